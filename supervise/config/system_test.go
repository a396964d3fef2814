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

func TestEphemeralServicesComeLastAndAreShadowed(t *testing.T) {
	system, user, ephemeral := t.TempDir(), t.TempDir(), t.TempDir()
	write := func(dir, name, exec string) {
		writeFile(t, filepath.Join(dir, name+".toml"), "[service]\nname = \""+name+"\"\nexec = \""+exec+"\"\n")
	}
	write(system, "net", "/system")
	write(user, "web", "/user")
	for _, name := range []string{"net", "web", "job"} {
		write(ephemeral, name, "/ephemeral")
	}
	execs := func(set *Set) string {
		var all []string
		for _, s := range set.Services {
			all = append(all, s.Name+"="+s.Exec)
		}
		return strings.Join(all, " ")
	}
	none := filepath.Join(user, "none")
	file := filepath.Join(t.TempDir(), "file")
	writeFile(t, file, "")
	for _, c := range []struct {
		dirs Dirs
		want string
		bad  []string // what the problems begin with
	}{
		{Dirs{System: system, User: user, Ephemeral: ephemeral}, "net=/system web=/user job=/ephemeral", []string{ephemeral + "/net.toml: ", ephemeral + "/web.toml: "}},
		{Dirs{User: user, Ephemeral: ephemeral}, "web=/user job=/ephemeral net=/ephemeral", []string{ephemeral + "/web.toml: "}},
		{Dirs{User: user, Ephemeral: none}, "web=/user", nil},
		{Dirs{System: none, User: user}, "web=/user", nil},
		{Dirs{System: system, User: user, Ephemeral: file}, "net=/system web=/user", []string{file + ": cannot be read: not a directory"}},
		{Dirs{System: system, User: none, Ephemeral: ephemeral}, "net=/system job=/ephemeral web=/ephemeral", []string{none + ": cannot be read: no such file", ephemeral + "/net.toml: "}},
	} {
		set, err := LoadDirs(c.dirs)
		if err != nil || execs(set) != c.want {
			t.Errorf("%+v: %v, %v", c.dirs, execs(set), err)
			continue
		}
		if len(set.Problems) != len(c.bad) {
			t.Errorf("%+v: %v", c.dirs, set.Problems)
			continue
		}
		for i, p := range set.Problems {
			if !strings.HasPrefix(p.String(), c.bad[i]) {
				t.Errorf("%+v: %v, want %s", c.dirs, p, c.bad[i])
			}
		}
	}
	for _, dirs := range []Dirs{{User: none, Ephemeral: ephemeral}, {User: file}, {System: none, User: none, Ephemeral: ephemeral}} {
		if set, err := LoadDirs(dirs); err == nil {
			t.Errorf("%+v: %v", dirs, set)
		}
	}
	for name, class := range map[string]Class{"net": ClassSystem, "web": ClassUser, "job": ClassUser} {
		set, err := LoadDirs(Dirs{System: system, User: user, Ephemeral: ephemeral})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range set.Services {
			if s.Name == name && s.Class != class {
				t.Errorf("%s is of class %d", name, s.Class)
			}
		}
	}
}
