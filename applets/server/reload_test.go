package server

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"zinit/applets/env"
	"zinit/sock"
)

// readingFrom is a server that is told a configuration directory, and nothing else.
func readingFrom(dir string, log *slog.Logger) *server {
	return newServer(env.ServerFlags{ConfigDir: dir}, &place{lock: -1}, nil, log)
}

func TestTheFirstConfiguration(t *testing.T) {
	for _, c := range []struct {
		name  string
		make  func(t *testing.T, dir string)
		names []string
		says  []string // parts of the lines of the log, in order
		made  bool     // it is a directory afterwards
	}{
		{"a directory that is missing is made", func(*testing.T, string) {}, nil, nil, true},
		{"an empty one", func(t *testing.T, dir string) { mkdir(t, dir) }, nil, nil, true},
		{"services", func(t *testing.T, dir string) {
			mkdir(t, dir)
			write(t, dir, map[string]string{"b.toml": service("b"), "a.toml": service("a"), "README": "x"})
		}, []string{"a", "b"}, nil, true},
		{"one bad file", func(t *testing.T, dir string) {
			mkdir(t, dir)
			write(t, dir, map[string]string{"a.toml": service("a"), "bad.toml": "[service]\nname = 5\n", "odd.toml": service("odd", `colour = "red"`)})
		}, []string{"a", "odd"}, []string{" error ", " error ", "service.colour: colour is not a key of [service]"}, true},
		{"a file in its place", func(t *testing.T, dir string) { write(t, filepath.Dir(dir), map[string]string{"services": ""}) },
			nil, []string{" warn  cannot make the configuration directory", " error starting without services: cannot read configuration directory"}, false},
		{"a link that leads nowhere", func(t *testing.T, dir string) {
			if err := os.Symlink("/nowhere/at/all", dir); err != nil {
				t.Fatal(err)
			}
		}, nil, []string{" warn  ", " error starting without services: "}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "services")
			c.make(t, dir)
			log, said := keptLog()
			set := readingFrom(dir, log).firstConfig()
			if got := namesOf(set); !slices.Equal(got, c.names) {
				t.Errorf("services %v, want %v", got, c.names)
			}
			lines := strings.Split(strings.TrimSuffix(said.String(), "\n"), "\n")
			if len(c.says) == 0 {
				lines = slices.DeleteFunc(lines, func(l string) bool { return l == "" })
			}
			if len(lines) != len(c.says) {
				t.Fatalf("it says %q, want %q", lines, c.says)
			}
			for n, part := range c.says {
				if !strings.Contains(lines[n], part) {
					t.Errorf("it says %q, want %q", lines[n], part)
				}
			}
			if st, err := os.Stat(dir); (err == nil && st.IsDir()) != c.made {
				t.Errorf("the directory: %v, %v", st, err)
			}
		})
	}
}

// A directory that may not be read is left as it is.
func TestAConfigurationThatMayNotBeRead(t *testing.T) {
	parent := home(t)
	dir := filepath.Join(parent, "services")
	if err := errors.Join(os.Chmod(parent, 0o711), os.Mkdir(dir, 0o300)); err != nil {
		t.Fatal(err)
	}
	log, said := keptLog()
	asNobody(t, func() {
		if set := readingFrom(dir, log).firstConfig(); len(set.Services) != 0 {
			t.Errorf("services %v", namesOf(set))
		}
	})
	text := said.String()
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, " error starting without services: cannot read configuration directory "+dir+": ") {
		t.Errorf("it says %q", text)
	}
}

// asNobody runs f so that files are opened with the rights of a user without any;
// only root needs to be made one.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and it ends with the thread
		var err error
		if os.Geteuid() == 0 {
			err = syscall.Setfsuid(65534)
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// A reload applies what is there; when the directory is not, everything goes on.
func TestReload(t *testing.T) {
	h := newHouse(t, `service a`, `service b`)
	dir := h.s.dirs.User
	mkdir(t, dir)
	write(t, dir, map[string]string{"a.toml": service("a"), "c.toml": service("c")})
	h.s.hangup()
	h.wait("a c", "running")
	h.says("info  reloaded added=1 removed=1 changed=1")
	eventually(t, "b is gone", func() (string, bool) {
		names := h.names()
		return names, names == "a c"
	})

	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	h.s.hangup()
	h.says("error cannot reload: nothing is changed error=\"cannot read configuration directory " + dir)
	if _, err := os.Stat(dir); err == nil {
		t.Error("the reload made the directory, and the next one would find it empty")
	}
	h.wait("a c", "running")
	if names := h.names(); names != "a c" {
		t.Errorf("there are %s", names)
	}

	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"a.toml": service("a", "[dependencies]", `after = ["c"]`), "c.toml": service("c", "[dependencies]", `after = ["a"]`)})
	h.s.hangup()
	h.says("error cannot reload: nothing is changed error=\"reload refused, nothing is changed: ")
	h.wait("a c", "running")
}

// A file that cannot be loaded takes nothing away from what runs, and the answer says so.
func TestAReloadTellsWhatGoesOnAsItWas(t *testing.T) {
	h := newHouse(t)
	dir := h.s.dirs.User
	mkdir(t, dir)
	write(t, dir, map[string]string{"a.toml": service("a"), "b.toml": service("b")})
	h.s.hangup()
	h.wait("a b", "running")
	write(t, dir, map[string]string{"a.toml": "[service]\nname = \"a\"\nexec = \"sle", "b.toml": "[service]\nname = \"b\"\n", "new.toml": "[service\n"})
	const a, b = "a: goes on as it was until its file is mended, and reloaded", "b: goes on as it was until its file is mended, and reloaded"
	for _, c := range []struct {
		params sock.ReloadParams
		want   []string
	}{
		{sock.ReloadParams{DryRun: true}, []string{a, b}}, {sock.ReloadParams{}, []string{a, b}},
		{sock.ReloadParams{}, []string{a, b}}, {sock.ReloadParams{Name: "b"}, []string{b}},
	} {
		r, err := h.s.reread(t.Context(), c.params)
		if err != nil {
			t.Fatal(err)
		}
		files := 3
		if c.params.Name != "" {
			files = 1
		}
		if len(r.Problems) != files+len(c.want) || !slices.Equal(r.Problems[files:], c.want) {
			t.Errorf("%+v: %q", c.params, r.Problems)
		}
	}
	h.wait("a b", "running")
}
