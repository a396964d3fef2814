package cli

import (
	"path/filepath"
	"testing"
)

func TestAddService(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join(goldenDir, "add"))
	if err != nil {
		t.Fatal(err)
	}
	f := newFake(t, world())
	s := &stage{env: map[string]string{"ZINIT_SOCKET": f.path}, spy: f, hide: []string{dir, "$DIR", f.path, "$SOCKET"}}
	s.stdin = "[service]\nname = \"piped\"\nexec = \"sleep 9\"\n"
	for _, args := range [][]string{
		{dir + "/web.toml"},
		{dir + "/odd.toml", "--ephemeral"},
		{dir + "/bad.toml", dir + "/target.toml", dir + "/none.toml", dir + "/web.toml"},
		{dir + "/web.toml", "--json"},
		{dir + "/web.toml", dir + "/odd.toml", "--json"},
		{"-"},

		{"--name", "job", "--exec", "sleep 60"},
		{"--name=job", "--exec=sleep 60", "--ephemeral"},
		{"--name", "job", "--exec", "sleep 60", "--oneshot", "--dir", "/tmp", "-e", "A=1", "--env", "B=x=y", "-eC=", "--requires", "db",
			"--requires", "log", "--after=shot", "--wants", "metrics", "--conflicts", "conf", "--restart", "Always", "--restart-delay", "50",
			"--restart-delay-max", "2m", "--max-restarts", "0", "--persist"},
		{"--name", "original", "--exec", "sleep 60", "--ephemeral"},
		{"--name", "a b", "--exec", ""},
		{"--name", "job", "--exec", "nosuch"},
		{"--name", "job", "--exec", "sleep 1", "--requires", "nosuch"},
		{"--name", "full", "--exec", "sleep 1", "--json"},

		{},
		{"--persist"},
		{"--name", "job"},
		{"--exec", "job"},
		{"--oneshot"},
		{dir + "/web.toml", "--oneshot"},
		{"--name", "job", "--exec", "sleep 1", "-e", "A"},
		{"--name", "job", "--exec", "sleep 1", "--restart", "bogus"},
		{"--name", "job", "--exec", "sleep 1", "--restart-delay", "soon"},
		{"--name", "job", "--exec", "sleep 1", "--restart-delay-max", "-1s"},
		{"--name", "job", "--exec", "sleep 1", "--max-restarts", "many"},
		{"--persist", "--ephemeral", dir + "/web.toml"},
		{"--nmae", "job"},
	} {
		s.run(append([]string{"add-service"}, args...)...)
	}
	s.compare(t, "add")
}
