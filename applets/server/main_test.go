package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"zinit/applets/env"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/logs"
)

func service(name string, more ...string) string {
	return "[service]\nname = \"" + name + "\"\nexec = \"/bin/" + name + "\"\n" + strings.Join(more, "\n")
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func namesOf(set *config.Set) (names []string) {
	for _, s := range set.Services {
		names = append(names, s.Name)
	}
	return names
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
		}, []string{"a", "odd"}, []string{" error ", " error ", " warn  "}, true},
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
			set := firstConfig(env.ServerFlags{ConfigDir: dir}, log)
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
		if set := firstConfig(env.ServerFlags{ConfigDir: dir}, log); len(set.Services) != 0 {
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
	dir := filepath.Join(t.TempDir(), "services")
	h.s.flags.ConfigDir = dir
	mkdir(t, dir)
	write(t, dir, map[string]string{"a.toml": service("a"), "c.toml": service("c")})
	h.s.reload()
	h.wait("a c", "running")
	h.says("info  reloaded added=1 removed=1 changed=1")
	eventually(t, "b is gone", func() (string, bool) {
		names := h.names()
		return names, names == "a c"
	})

	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	h.s.reload()
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
	h.s.reload()
	h.says("error cannot reload: nothing is changed error=\"reload refused, nothing is changed: ")
	h.wait("a c", "running")
}

func TestOutputsOfAnEarlierServerAreAdopted(t *testing.T) {
	kept := map[string]*os.File{}
	open := func(name, text string) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		w.Close()
		kept[name] = r
	}
	odd := []string{
		"out/", "out/web", "out/web/1", "out/web/1/", "out/web/1/3", "out/web/1/0", "out/web/1/-1", "out/web/x/1", "out/web/-1/1",
		"out/web/01/1", "out/web/+1/1", "out/web/18446744073709551616/1", "out/web/1/1/1", "out//1/1", "out/../1/1", "out/./1/1",
		"out/web/health/1/1", "out/web\x00/1/1",
	}
	for _, name := range odd {
		open(name, "odd\n")
	}
	open("out/web/7/1", "said before\n")
	open("out/web/7/2", "wrong before\n")
	open("out/gone/3/1", "last words\n")
	open("listen/1/2", "")
	open("notify/web", "")

	released := make(chan string, 100)
	store, err := logs.Open("", func(name string) { released <- name })
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	inv := reap.Inventory{Kept: kept, Exits: []reap.Exited{{Key: "gone", Run: 3}, {Key: "web/health", Run: 1}, {Key: "", Run: 0}}}
	adoptOutputs(store, inv, func(name string) { released <- name })

	text := func(name string) string {
		lines, err := store.Tail(name, 10)
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, l := range lines {
			words = append(words, fmt.Sprintf("[%s] %s", l.Stream, l.Text))
		}
		slices.Sort(words)
		return strings.Join(words, ", ")
	}
	if got := text("gone"); got != "[stdout] last words" {
		t.Errorf("of a service that has ended there is %q at once", got)
	}
	// All pipes are at their end, so that each name is given back in time.
	want := append(slices.Clone(odd), "out/web/7/1", "out/web/7/2", "out/gone/3/1")
	for range want {
		name := <-released
		if i := slices.Index(want, name); i >= 0 {
			want[i] = ""
		} else {
			t.Errorf("%q is released", name)
		}
	}
	if got := text("web"); got != "[stderr] wrong before, [stdout] said before" {
		t.Errorf("of a service that runs there is %q", got)
	}
	for _, name := range odd {
		if kept[name].Close() == nil {
			t.Errorf("%q was left open", name)
		}
	}
	for _, name := range []string{"listen/1/2", "notify/web"} {
		if err := kept[name].Close(); err != nil {
			t.Errorf("%q is not an output, and was closed: %v", name, err)
		}
	}
}

func FuzzOutputNames(f *testing.F) {
	f.Add("out/web/1/1")
	f.Add("out/../1/2")
	f.Fuzz(func(t *testing.T, name string) {
		service, run, fd, ok := parseOutput(name)
		if ok && reap.OutputName(service, run, fd) != name {
			t.Errorf("%q is read as %q, %d, %d", name, service, run, fd)
		}
	})
}
