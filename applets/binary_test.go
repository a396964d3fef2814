//go:build linux

package applets

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/applets/env"
)

// built is the directory of the real binary and its links, made once per run.
var built struct {
	dir string
	err error
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "zinit-applets")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built.dir = dir
	built.err = build(dir)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(dir string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -E zinit/applets/pid1.entry",
		"-o", filepath.Join(dir, "zinit"), "zinit")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	out, err := exec.Command(filepath.Join(dir, "zinit"), "--install", "-s", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// binary is the path of the binary under one of its names.
func binary(t *testing.T, name string) string {
	t.Helper()
	if built.err != nil {
		t.Fatalf("cannot build: %v", built.err)
	}
	return filepath.Join(built.dir, name)
}

func TestTheBinaryAnswersByName(t *testing.T) {
	bogus := binary(t, "bogus")
	if err := os.Symlink("zinit", bogus); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(bogus) })
	cases := []struct {
		argv   string
		code   int
		stdout string // exactly, unless empty
		stderr string // a part of it; empty for none
	}{
		{"zinit -V", 0, "zinit 0.4.0\n", ""},
		{"zinit --version", 0, "zinit 0.4.0\n", ""},
		{"zinit-server -V", 0, "zinit-server 0.4.0\n", ""},
		{"zinit server --version", 0, "zinit-server 0.4.0\n", ""},
		{"zinit-pid1 -V", 0, "zinit-pid1 0.4.0\n", ""},
		{"zinit-server --socket", env.ExitUsage, "", "zinit-server: --socket needs a value"},
		{"zinit-server --log-level loud", env.ExitUsage, "", "usage: zinit-server"},
		{"zinit init --bogus", env.ExitUsage, "", "init: unknown flag --bogus"},
		{"bogus", env.ExitNoApplet, "", "bogus: there is no applet of this name"},
	}
	for _, c := range cases {
		argv := strings.Fields(c.argv)
		cmd := exec.Command(binary(t, argv[0]), argv[1:]...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		var ended *exec.ExitError
		if err != nil && !errors.As(err, &ended) {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != c.code || c.stdout != "" && stdout.String() != c.stdout {
			t.Errorf("%s: code %d, %q", c.argv, code, stdout.String())
		}
		if !strings.Contains(stderr.String(), c.stderr) || c.stderr == "" && stderr.Len() > 0 {
			t.Errorf("%s: stderr %q", c.argv, stderr.String())
		}
	}
}

// A scratch is a root directory that holds the binary and nothing else.
func scratch(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can change the root directory")
	}
	root := t.TempDir()
	text, err := os.ReadFile(binary(t, "zinit"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"run", "etc"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "zinit-server"), text, 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// start runs the server in a scratch and waits until it answers.
func start(t *testing.T, root string, files []uintptr, cloneFlags uintptr) (pid int) {
	t.Helper()
	pid, err := syscall.ForkExec("/zinit-server", []string{"zinit-server", "-c", "/etc", "-s", "/run/s.sock"}, &syscall.ProcAttr{
		Dir: "/", Env: []string{}, Files: files,
		Sys: &syscall.SysProcAttr{Chroot: root, Cloneflags: cloneFlags, Setsid: true},
	})
	if err == syscall.EPERM {
		t.Skipf("namespaces are not allowed here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) }) // it has ended nearly always
	answers(t, filepath.Join(root, "run/s.sock"))
	return pid
}

// answers waits until something listens.
func answers(t *testing.T, socket string) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	late := time.After(30 * time.Second)
	for {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("no server: %v", err)
		}
	}
}

// ends waits for a process; killed by a signal is a code of -1.
func ends(t *testing.T, pid int) int {
	t.Helper()
	code := make(chan int)
	go func() {
		var ws syscall.WaitStatus
		for {
			_, err := syscall.Wait4(pid, &ws, 0, nil)
			if err != syscall.EINTR {
				break
			}
		}
		code <- ws.ExitStatus()
	}()
	select {
	case c := <-code:
		return c
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
		return 0
	}
}

const closed = ^uintptr(0)

func TestFault59ClosedStandardStreams(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	root := scratch(t)
	for gaps := range 8 {
		files := []uintptr{null.Fd(), null.Fd(), null.Fd()}
		for i := range files {
			if gaps&(1<<i) != 0 {
				files[i] = closed
			}
		}
		pid := start(t, root, files, 0)
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := ends(t, pid); code != 0 {
			t.Errorf("closed %03b: it ended with %d", gaps, code)
		}
	}
}

// No /dev at all, no /proc, no environment, process 1.
func TestFault63Process1WithoutDevNullAndDescriptors(t *testing.T) {
	pid := start(t, scratch(t), []uintptr{closed, closed, closed}, syscall.CLONE_NEWPID)
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := ends(t, pid); code != 0 {
		t.Errorf("it ended with %d", code)
	}
}

func TestProcess1OfAContainerCanBeTheCommandLine(t *testing.T) {
	cmd := exec.Command(binary(t, "zinit"), "--socket", filepath.Join(t.TempDir(), "none.sock"), "list")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("namespaces are not allowed here: %v", err)
	}
	_ = cmd.Wait() // the code tells
	if code := cmd.ProcessState.ExitCode(); code != env.ExitNoServer {
		t.Errorf("it ended with %d", code)
	}
}
