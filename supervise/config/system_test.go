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
	set, err := LoadDirs(system, user)
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
	if set, err := LoadDirs(filepath.Join(system, "none"), user); err != nil || len(set.Services) != 2 {
		t.Errorf("without a system directory: %v, %v", set, err)
	}
}
