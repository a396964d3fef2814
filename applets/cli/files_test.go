package cli

import (
	"os"
	"path/filepath"
	"testing"

	"zinit/supervise/config"
)

func TestCheck(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join(goldenDir, "check"))
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{env: map[string]string{"ZINIT_CONFIG_DIR": dir + "/good"}, hide: []string{dir, "$DIR"}}
	s.run("check")
	s.run("check", dir+"/good", "--json")
	s.run("check", dir+"/warn")
	s.run("check", dir+"/bad")
	s.run("check", dir+"/bad", "--json")
	s.run("check", dir+"/good/web.toml")
	s.run("check", dir+"/good/web.toml", dir+"/good/db.toml")
	s.run("check", dir+"/good", dir+"/bad/twin.toml", dir+"/bad/twin.toml")
	s.run("check", dir+"/none")
	s.run("check", dir+"/sideros/start.toml")
	s.run("check", dir+"/sideros/start.toml", dir+"/good/web.toml", dir+"/good/db.toml", dir+"/sideros/pg.toml")
	s.run("check", dir+"/sideros")
	s.run("check", "--json", dir+"/sideros/start.toml")
	s.compare(t, "check")
}

// Services of the user may need those of the system, which are in a directory of theirs.
func TestCheckKnowsTheServicesOfTheSystem(t *testing.T) {
	dir := t.TempDir()
	dirs := config.Dirs{System: filepath.Join(dir, "system"), User: filepath.Join(dir, "services"), Legacy: dir}
	for path, text := range map[string]string{
		dirs.System + "/basic.toml": "[target]\nname = \"basic\"\n",
		dirs.User + "/getty.toml":   "[service]\nname = \"getty\"\nexec = \"/bin/true\"\n[dependencies]\nrequires = [\"basic\"]\n",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wrong := func() (n int) {
		sets, err := defaultSet(dirs)
		if err != nil || len(sets) != 1 {
			t.Fatalf("%d sets, %v", len(sets), err)
		}
		return len(sets[0].Problems) + len(relations(sets[0]))
	}
	if n := wrong(); n != 0 {
		t.Errorf("%d problems, and there is none", n)
	}
	dirs.System = filepath.Join(dir, "none")
	if n := wrong(); n != 1 {
		t.Errorf("%d problems of a service that needs what is nowhere", n)
	}
}

func TestTheCommandLineOfZinit02(t *testing.T) {
	f := newFake(t, world())
	s := &stage{env: map[string]string{"ZINIT_SOCKET": f.path}, spy: f, hide: []string{f.path, "$SOCKET"}}
	for _, args := range [][]string{
		{"list", "--legacy"},
		{"list", "--legacy", "--json"},
		{"status", "--legacy", "web", "db", "nosuch"},
		{"monitor", "web"},
		{"forget", "web", "nosuch"},
		{"monitor"},
		{"log", "-s"},
		{"log"},
		{"log", "-s", "web"},
		{"log", "nosuch"},
		{"log", "a", "b"},
	} {
		s.run(args...)
	}
	s.compare(t, "legacy")
}

func TestConvert(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"redis.yaml":  "exec: redis-server --port 7777\ntest: redis-cli ping\nafter: [net]\nlgo: ring\n",
		"bad.yaml":    "exec: a\noneshot: yes\n",
		"net.service": "[Unit]\nDescription=the net\n[Service]\nType=oneshot\nExecStart=/sbin/net up\nPrivateTmp=yes\n",
		"web.toml":    "[service]\nname = \"web\"\nexec = \"web\"\n[lifecycle]\nrestart = \"on-failure\"\nmax_restarts = 0\n",
		"notes.txt":   "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &stage{hide: []string{dir, "$DIR"}}
	s.run("convert", dir+"/redis.yaml")
	s.run("convert", dir)
	s.run("convert", "--to", out, dir+"/redis.yaml", dir+"/net.service", dir+"/web.toml")
	s.run("check", out)
	s.run("convert", "--to", out, dir+"/redis.yaml")
	s.run("convert", "--to", dir+"/none", dir+"/redis.yaml")
	s.run("convert", "--replace", dir+"/redis.yaml", dir+"/bad.yaml")
	s.run("convert", dir+"/redis.yaml")
	s.run("convert", out)
	s.run("convert")
	s.run("convert", "--to", out, "--replace", dir)
	s.compare(t, "convert")
	entries, err := filepath.Glob(dir + "/*")
	if err != nil || len(entries) != 7 {
		t.Error(entries, err)
	}
}
