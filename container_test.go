package main_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// appService is a service file whose program is the one of the image; more goes to the
// end of its table.
func appService(name, args string, more ...string) string {
	return fmt.Sprintf("[service]\nname = %q\nexec = \"app %s\"\n%s\n", name, args, strings.Join(more, "\n"))
}

// quietly is a time that a stop never takes.
const quietly = "[lifecycle]\nstop_timeout_ms = 600000"

// TestContainerOfServices: the image as it is, under the name zinit alone.
func TestContainerOfServices(t *testing.T) {
	t.Parallel()
	b := newBox(t, "/bin/zinit").start()
	b.says(b.out, "db | serving\n", "web | serving\n")
	b.says(b.errs, "db | ready\n", "web | ready\n", "started")
	if strings.Contains(b.out.String(), "ready") || strings.Contains(b.errs.String(), "serving") {
		t.Error("stdout and stderr are mixed")
	}
	if list := b.must("zinit", "list"); !strings.Contains(list, "web Running") || !strings.Contains(list, "db  Running") {
		t.Errorf("zinit list in it shows\n%s", list)
	}
	if text := b.must("zinit", "logs", "web"); !strings.Contains(text, "serving") {
		t.Errorf("zinit logs in it shows\n%s", text)
	}
	if text := b.must("app", "orphans", "20"); text != "reaped\n" {
		t.Errorf("orphans: %s", text)
	}
	b.exec("zinit", "shutdown") // it is killed with the container, if it has not ended yet
	b.ends(0)
	b.saidBye("web", "db")
}

// TestContainerIsTheCommandLine: docker run IMAGE zinit list.
func TestContainerIsTheCommandLine(t *testing.T) {
	t.Parallel()
	b := newBox(t, "zinit", "list").start()
	b.ends(5)
	if b.out.String() != "" || !strings.Contains(b.errs.String(), "no zinit server answers") {
		t.Errorf("it says %q, %q", b.out, b.errs)
	}
}

// TestContainerIsStoppedFromOutside: by what engines send. A service that does not end
// takes nothing from those that stop after it.
func TestContainerIsStoppedFromOutside(t *testing.T) {
	for name, c := range map[string]struct {
		sig   syscall.Signal
		web   string
		hangs bool // the server does, which is for the keeper to find out
		flags []string
	}{
		"TERM":                 {sig: syscall.SIGTERM, web: "serve"},
		"RTMIN+3":              {sig: 34 + 3, web: "serve"},
		"a stubborn service":   {sig: syscall.SIGTERM, web: "stubborn", flags: []string{"--stop-timeout", "2"}},
		"a server that hangs":  {sig: syscall.SIGTERM, web: "serve", hangs: true, flags: []string{"--stop-timeout=1s"}},
		"no server that works": {sig: syscall.SIGTERM, web: "stubborn", hangs: true, flags: []string{"--stop-timeout=1s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, append([]string{"zinit-pid1", "-c"}, c.flags...)...)
			b.services = map[string]string{
				"db":  appService("db", "serve", quietly),
				"web": appService("web", c.web, "[dependencies]\nrequires = [\"db\"]", quietly),
			}
			b.start()
			b.says(b.out, "db | serving\n", "web | serving\n")
			if c.hangs {
				b.signalServer(syscall.SIGSTOP)
			}
			b.kill(c.sig)
			b.ends(0)
			if c.hangs {
				return // nobody is left to pass on what they say
			}
			if c.web != "serve" {
				b.saidBye("db")
				return
			}
			b.saidBye("web", "db")
		})
	}
}

// TestContainerCommandBesideServices: they are stopped, in order, when it ends.
func TestContainerCommandBesideServices(t *testing.T) {
	t.Parallel()
	in, feed := feeder(t)
	b := newBox(t, "zinit-pid1", "--log-level", "info", "--", "app", "cat")
	b.stdin = in
	b.start()
	b.says(b.out, "db | serving\n", "web | serving\n")
	if _, err := io.WriteString(feed, "through\n"); err != nil {
		t.Fatal(err)
	}
	b.says(b.out, "\nthrough\n")
	// Neither the server nor the keeper may be in the way of what it reads and writes.
	b.signalServer(syscall.SIGKILL)
	b.becomesAnother()
	if _, err := io.WriteString(feed, "again\n"); err != nil {
		t.Fatal(err)
	}
	b.says(b.out, "\nagain\n")
	if text := b.must("zinit", "status", "main"); !strings.Contains(text, "app cat") && !strings.Contains(text, "Running") {
		t.Errorf("its status is %s", text)
	}
	feed.Close()
	b.ends(0)
	b.saidBye("web", "db")
}

// TestContainerOnATerminal: the command is in the foreground of the container's terminal,
// and has job control.
func TestContainerOnATerminal(t *testing.T) {
	t.Parallel()
	b := newBox(t, "zinit-pid1", "--container", "--log-level", "info", "--", "app", "terminal")
	master, shown := b.startOnTerminal(t)
	defer func() {
		if t.Failed() {
			t.Logf("the terminal shows\n%s", shown)
		}
	}()
	for _, step := range [][2]string{
		{"leader true, in front true", "a line\n"},
		{`read "a line\n"`, "\x03"},
		{"interrupted", ""},
		{"job runs", "\x1a"},
		{"job stopped true", ""},
		{"job continued", "\x03"},
		{"job ended by 2", ""},
	} {
		b.says(shown, step[0])
		if step[1] == "" {
			continue // the container may have ended, and nobody hold the terminal any more
		}
		if _, err := master.WriteString(step[1]); err != nil {
			t.Fatalf("after %s: %v", step[0], err)
		}
	}
	b.ends(3)
	if strings.Contains(shown.String(), "reloaded") {
		t.Error("that process 1 gave up its terminal was taken for a wish to reload")
	}
}

// TestContainerThatIsInterrupted: without a command process 1 itself has the terminal; a
// command that is told to stop has not ended by itself.
func TestContainerThatIsInterrupted(t *testing.T) {
	t.Parallel()
	b := newBox(t, "zinit")
	master, shown := b.startOnTerminal(t)
	b.says(shown, "web |\x1b[0m serving", "db |\x1b[0m serving")
	if _, err := master.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	b.ends(0)

	b = newBox(t, "zinit-pid1", "--", "app", "serve")
	b.services = map[string]string{}
	b.start()
	b.says(b.errs, "ready")
	b.kill(syscall.SIGTERM)
	b.ends(0)
	if text := b.out.String(); !strings.HasPrefix(text, "serving\nbye ") || strings.Count(text, "\n") != 2 {
		t.Errorf("it wrote %q", text)
	}
}

// TestContainerBelowAnInit: docker run --init -it IMAGE zinit-pid1 -c -- CMD. The terminal
// is the init's then, and the command does without the control of it.
func TestContainerBelowAnInit(t *testing.T) {
	t.Parallel()
	dir, bin := t.TempDir(), binDir(t)
	if _, err := image(); err != nil {
		t.Fatal(err)
	}
	_, path := terminal(t)
	tty, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	cmd := exec.Command(filepath.Join(bin, "zinit-pid1"), "--config-dir", filepath.Join(dir, "services"),
		"--socket", filepath.Join(dir, "z.sock"), "--", filepath.Join(bin, "app"), "exit", "42")
	cmd.Env = append(os.Environ(), "ZINIT_CONTAINER=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 42 {
		t.Errorf("it ended with %v", err)
	}
}

// TestContainerStopsAsFastAsItsSlowestService: several that take their time do so at the
// same time. What is around them takes little; see docs/containers.md for figures.
func TestContainerStopsAsFastAsItsSlowestService(t *testing.T) {
	t.Parallel()
	b := newBox(t, "zinit-pid1", "-c", "--stop-timeout", "60")
	b.services = map[string]string{}
	for i := range 20 {
		name := fmt.Sprintf("s%d", i)
		b.services[name] = appService(name, "stubborn", "[lifecycle]\nstop_timeout_ms = 1000")
	}
	b.start()
	for name := range b.services {
		b.says(b.out, name+" | serving\n")
	}
	began := time.Now()
	b.kill(syscall.SIGTERM)
	b.ends(0)
	if took := time.Since(began); took > 15*time.Second { // one after the other they take 20
		t.Errorf("it took %v", took)
	} else {
		t.Logf("20 services that take 1s each: stopped after %v", took.Round(time.Millisecond))
	}
}
