package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheSystemDirectoryComesFirstAndShadows(t *testing.T) {
	system, user := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(system, "net.toml"): "[service]\nname = \"net\"\nexec = \"/bin/net\"\n",
		filepath.Join(user, "net.toml"):   "[service]\nname = \"net\"\nexec = \"/bin/other\"\n",
		filepath.Join(user, "app.toml"):   "[service]\nname = \"app\"\nexec = \"/bin/app\"\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, err := LoadDirs(Dirs{System: system, User: user})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Services) != 2 || set.Services[0].Exec != "/bin/net" || set.Services[0].Class != ClassSystem ||
		set.Services[1].Name != "app" || set.Services[1].Class != ClassUser {
		t.Errorf("services: %+v", set.Services)
	}
	if len(set.Problems) != 1 || set.Problems[0].Severity != Warning || !strings.Contains(set.Problems[0].Message, "shadowed by system service") {
		t.Errorf("problems: %v", set.Problems)
	}
	if set, err := LoadDirs(Dirs{System: filepath.Join(system, "none"), User: user}); err != nil || len(set.Services) != 2 {
		t.Errorf("without a system directory: %v, %v", set, err)
	}
}

func TestOneUnreadableDirectoryLosesNotTheOther(t *testing.T) {
	good, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	for path, text := range map[string]string{
		filepath.Join(good, "net.toml"): "[service]\nname = \"net\"\nexec = \"/bin/net\"\n",
		file:                            "no directory",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	none := filepath.Join(good, "none")
	for _, tc := range []struct {
		system, user, bad string
	}{
		{good, file, file},
		{file, good, file},
		{good, none, none},
	} {
		set, err := LoadDirs(Dirs{System: tc.system, User: tc.user})
		if err != nil {
			t.Errorf("%+v: %v", tc, err)
			continue
		}
		if len(set.Services) != 1 || set.Services[0].Name != "net" {
			t.Errorf("%+v: services: %+v", tc, set.Services)
		}
		if len(set.Problems) != 1 || set.Problems[0].File != tc.bad || set.Problems[0].Service != "" || set.Problems[0].Severity != Error {
			t.Errorf("%+v: problems: %v", tc, set.Problems)
		}
	}
	for _, system := range []string{none, file} {
		if set, err := LoadDirs(Dirs{System: system, User: file}); err == nil {
			t.Errorf("neither %s nor %s can be read: %+v", system, file, set)
		}
	}
}
