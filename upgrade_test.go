package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// compiled builds a static program into dir: zinit itself, with a version, or one
// from source.
func compiled(t *testing.T, out, version, source string) string {
	t.Helper()
	args := []string{"build", "-trimpath", "-o", out, "-ldflags", "-s -w -E zinit/applets/pid1.entry -X zinit/applets/env.Version=" + version, "."}
	if source != "" {
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		args = []string{"build", "-o", out, file}
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build: %v\n%s", err, text)
	}
	return out
}

// fraud says that it is zinit, and is no server.
const fraud = `package main

import ("fmt"; "os")

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-V" {
		fmt.Println("zinit 9.9.9")
		return
	}
	os.Exit(3)
}
`

// ofItsOwn has the instance run from a copy of the binary that may be replaced. It
// returns its path.
func (in *instance) ofItsOwn() string {
	in.t.Helper()
	dir := filepath.Join(in.dir, "bin")
	text, err := os.ReadFile(filepath.Join(binDir(in.t), "zinit"))
	if err != nil {
		in.t.Fatal(err)
	}
	program := filepath.Join(dir, "zinit")
	executable(in.t, program, text)
	if err := os.Symlink("zinit", filepath.Join(dir, "zinit-server")); err != nil {
		in.t.Fatal(err)
	}
	in.alter = func(cmd *exec.Cmd) { cmd.Path = filepath.Join(dir, "zinit-server") }
	return program
}

func TestUpgradeReplacesTheServerAndFallsBackToTheOldOne(t *testing.T) {
	in := newInstance(t, map[string]string{
		"web": "[service]\nname = \"web\"\nexec = \"sleep 1000\"\n",
		"off": "[service]\nname = \"off\"\nexec = \"sleep 1000\"\n",
	})
	program := in.ofItsOwn()
	in.launch()
	in.waitState("web off", "running")
	in.must("stop", "off", "--wait")
	pid := in.pid("web")
	unchanged := func(version string) {
		t.Helper()
		if out := in.must("ping"); out != "zinit daemon v"+version+" is running\n" {
			t.Errorf("ping says %s", out)
		}
		if now := in.pid("web"); now != pid {
			t.Errorf("web has pid %d, it had %d", now, pid)
		}
		if s := in.status("off"); s.State.State != "exited" {
			t.Errorf("what was stopped by hand is %s", s.State.State)
		}
	}
	dir := t.TempDir()
	next := compiled(t, filepath.Join(dir, "next"), "0.4.1", "")
	script := filepath.Join(dir, "script")
	executable(t, script, []byte("#!/bin/sh\necho zinit 9.9.9\n"))
	for _, bad := range []struct{ args, why string }{
		{script, "no program that Linux executes"},
		{"/bin/sh", "linked dynamically"},
		{filepath.Join(dir, "missing"), "no such file"},
		{next + " --sha256=00", "not the file that you mean"},
	} {
		out, code := in.zinit(append([]string{"upgrade"}, strings.Fields(bad.args)...)...)
		if code != 1 || !strings.Contains(out, bad.why) {
			t.Errorf("upgrade %s: exit code %d\n%s", bad.args, code, out)
		}
	}
	unchanged("0.4.0")
	in.must("upgrade", next)
	unchanged("0.4.1")
	if _, err := os.Stat(program + ".old"); err != nil {
		t.Errorf("the old program is not kept: %v", err)
	}
	out, code := in.zinit("upgrade", compiled(t, filepath.Join(dir, "fraud"), "", fraud), "--timeout", "2s")
	if code != 1 || !strings.Contains(out, "the old program is back and runs") {
		t.Errorf("an upgrade to a fraud: exit code %d\n%s", code, out)
	}
	unchanged("0.4.1")
	if left, _ := filepath.Glob(program + ".new"); len(left) > 0 {
		t.Errorf("left behind: %s", fmt.Sprint(left))
	}
}
