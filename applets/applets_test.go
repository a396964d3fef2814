package applets

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zinit/applets/env"
)

func TestDispatch(t *testing.T) {
	cases := []struct {
		place place
		argv  string
		want  string // name, then the arguments; empty for no applet
	}{
		{ordinary, "zinit list", "zinit list"},
		{ordinary, "/usr/bin/zinit start web", "zinit start web"},
		{ordinary, "zinit", "zinit"},
		{ordinary, "", "zinit"},
		{ordinary, "zinit server -c /c", "zinit-server -c /c"},
		{ordinary, "zinit pid1 -c", "zinit-pid1 -c"},
		{ordinary, "zinit init -c /c", "init -c /c"},
		{ordinary, "zinit -d init -c /c", "init -d -c /c"},
		{ordinary, "zinit -d list", "zinit -d list"},
		{ordinary, "zinit zinit-server -V", "zinit-server -V"},
		{ordinary, "zinit zinit-child", "zinit-child"},
		{ordinary, "zinit zinit-bogus", ""},
		{ordinary, "zinit shutdown", "zinit shutdown"},
		{ordinary, "zinit -s /s list", "zinit -s /s list"},
		{ordinary, "zinit-server list", "zinit-server list"},
		{ordinary, "./zinit-server --pid1-mode", "zinit-server --pid1-mode"},
		{ordinary, "zinit-pid1 -c", "zinit-pid1 -c"},
		{ordinary, "/sbin/init -c /c", "init -c /c"},
		{ordinary, "init server", "init server"},
		{ordinary, "bogus list", ""},

		{ofMachine, "/sbin/init quiet splash", "init quiet splash"},
		{ofMachine, "/init", "init"},
		{ofMachine, "/sbin/start init", "start init"},
		{ordinary, "start start web", "start start web"},
		{ofMachine, "/zinit list", "zinit-pid1 list"},
		{ofMachine, "/bogus", "zinit-pid1"},
		{ofMachine, "zinit-server -c /c", "zinit-server -c /c"},
		{ofMachine, "zinit zinit-child", "zinit-pid1"},
		{ofMachine, "zinit --version", "zinit-pid1 --version"},

		{ofContainer, "zinit", "zinit-pid1"},
		{ofContainer, "zinit --config-dir /c", "zinit-pid1 --config-dir /c"},
		{ofContainer, "zinit --config-dir /c --log-level debug", "zinit-pid1 --config-dir /c --log-level debug"},
		{ofContainer, "zinit --stop-timeout 20s -- list -l", "zinit-pid1 --stop-timeout 20s -- list -l"},
		{ofContainer, "zinit-pid1 --container -- zinit list", "zinit-pid1 --container -- zinit list"},
		{ofContainer, "zinit list", "zinit list"},
		{ofContainer, "zinit --socket /s list", "zinit --socket /s list"},
		{ofContainer, "zinit -V", "zinit -V"},
		{ofContainer, "zinit --help", "zinit --help"},
		{ofContainer, "zinit init --container", "init --container"},
		{ofContainer, "zinit server -c /c", "zinit-server -c /c"},
		{ofContainer, "zinit-server -c /c", "zinit-server -c /c"},
		{ofContainer, "/entrypoint", "zinit-pid1"},
		{ofContainer, "/init", "init"},
	}
	for _, c := range cases {
		a, args, ok := find(list(), strings.Fields(c.argv), c.place)
		got := strings.Join(args, " ")
		switch {
		case !ok:
			got = ""
		case a.Name != args[0] || a.Main == nil:
			t.Errorf("%q: applet %s with arguments %q", c.argv, a.Name, got)
		}
		if got != c.want {
			t.Errorf("place %d, %q: got %q, want %q", c.place, c.argv, got, c.want)
		}
	}
}

func TestTheListIsInOrder(t *testing.T) {
	var seen []string
	for _, a := range list() {
		if slices.Contains(seen, a.Name) {
			t.Errorf("%s is listed twice", a.Name)
		}
		seen = append(seen, a.Name)
		if a.Main == nil || !a.Hidden && a.Summary == "" {
			t.Errorf("%s lacks something", a.Name)
		}
	}
}

// call runs the dispatcher in-process.
func call(argv ...string) (code int, stdout, stderr string) {
	var out, complaints bytes.Buffer
	e := &env.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &complaints,
		Getenv: func(string) string { return "" }}
	code = run(e, argv, ordinary)
	return code, out.String(), complaints.String()
}

func TestAnUnknownNameShowsTheList(t *testing.T) {
	code, stdout, stderr := call("/usr/bin/bogus", "x")
	if code != env.ExitNoApplet || stdout != "" {
		t.Errorf("code %d, stdout %q", code, stdout)
	}
	for _, a := range list() {
		if a.Hidden == strings.Contains(stderr, "\n  "+a.Name+" ") {
			t.Errorf("%s, hidden %v, in:\n%s", a.Name, a.Hidden, stderr)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, flag := range []string{"-V", "--version"} {
		if code, stdout, _ := call("zinit", flag); code != 0 || stdout != "zinit 0.4.0\n" {
			t.Errorf("%s: code %d, %q", flag, code, stdout)
		}
	}
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// linked is what an installation links, with the programs of an init or without.
func linked(init bool) []string {
	var names []string
	for _, a := range list() {
		if !a.Hidden && (init || !a.Init) {
			names = append(names, a.Name)
		}
	}
	return names
}

func TestInstallMakesLinks(t *testing.T) {
	for _, flags := range [][]string{{}, {"-s"}, {"-s", "--init"}} {
		init := slices.Contains(flags, "--init")
		dir := beside(t)
		code, stdout, stderr := call(append(append([]string{"zinit", "--install"}, flags...), dir)...)
		if code != 0 || stderr != "" {
			t.Fatalf("%v: code %d, %s", flags, code, stderr)
		}
		for _, name := range linked(init) {
			path := filepath.Join(dir, name)
			if !strings.Contains(stdout, path+": ") {
				t.Errorf("%v: nothing is said of %s:\n%s", flags, path, stdout)
			}
			info, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			target, _ := os.Readlink(path)
			switch {
			case len(flags) > 0 && target != self(t):
				t.Errorf("%s links to %q", path, target)
			case len(flags) == 0 && !os.SameFile(info, stat(t, self(t))):
				t.Errorf("%s is another file", path)
			}
		}
		code, stdout, _ = call(append(append([]string{"zinit", "--install"}, flags...), dir)...)
		if code != 0 || strings.Count(stdout, " already\n") != len(linked(init)) {
			t.Errorf("%v, again: code %d\n%s", flags, code, stdout)
		}
	}
}

// beside is a directory on the file system of this binary, for hard links.
func beside(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(self(t)), "links")
	if err != nil {
		t.Skipf("cannot write beside the test binary: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestInstallReplacesOnlyWhatIsOurs(t *testing.T) {
	text, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	other := append([]byte{}, text...)
	other[len(other)-1] ^= 1
	cases := []struct {
		name string
		make func(path string) error
		ours bool
	}{
		{"a copy", func(p string) error { return os.WriteFile(p, text, 0o755) }, true},
		{"a symbolic link to us", func(p string) error { return os.Symlink(self(t), p) }, true},
		{"another program", func(p string) error { return os.WriteFile(p, []byte("#!/bin/sh\n"), 0o755) }, false},
		{"another program of our size", func(p string) error { return os.WriteFile(p, other, 0o755) }, false},
		{"a link to another program", func(p string) error { return os.Symlink("/bin/sh", p) }, false},
		{"a link to nothing", func(p string) error { return os.Symlink("/nonexistent", p) }, false},
		{"a directory", func(p string) error { return os.Mkdir(p, 0o755) }, false},
	}
	for _, c := range cases {
		dir := beside(t)
		path := filepath.Join(dir, "zinit-server")
		if err := c.make(path); err != nil {
			t.Fatal(err)
		}
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := call("zinit", "--install", dir)
		after, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		replaced := os.SameFile(after, stat(t, self(t)))
		switch {
		case c.ours && (code != 0 || !replaced):
			t.Errorf("%s: code %d, replaced %v\n%s%s", c.name, code, replaced, stdout, stderr)
		case !c.ours && (code != env.ExitFailed || !os.SameFile(before, after) || !strings.Contains(stderr, path+" is not ours")):
			t.Errorf("%s: code %d, replaced %v\n%s%s", c.name, code, replaced, stdout, stderr)
		}
		if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != len(linked(false)) {
			t.Errorf("%s: the directory holds %v", c.name, names)
		}
	}
}

func TestInstallUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"-s"}, {"-x", "/d"}, {"/a", "/b"}, {""}} {
		code, _, stderr := call(append([]string{"zinit", "--install"}, args...)...)
		if code != env.ExitUsage || !strings.Contains(stderr, "usage: zinit --install") {
			t.Errorf("%q: code %d, %s", args, code, stderr)
		}
	}
	if code, stdout, _ := call("zinit", "--install", "--help"); code != 0 || stdout != installUsage {
		t.Errorf("help: code %d, %s", code, stdout)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		"/nonexistent/dir": "zinit: /nonexistent/dir does not exist: make it first\n", file: "zinit: " + file + " is no directory: name the one for the links\n",
	} {
		if code, _, stderr := call("zinit", "--install", dir); code != env.ExitFailed || stderr != want {
			t.Errorf("%s: code %d, %s", dir, code, stderr)
		}
	}
}
