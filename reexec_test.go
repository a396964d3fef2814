package main_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"zinit/sock"
)

// The keeper becomes another program, in place.

const (
	becomes = "this keeper is zinit"                               // the first words of the new one
	remains = "the keeper stays the program that it is: "          // of the old one, and why
	numbers = `sh -c 'i=0; while :; do i=$((i+1)); echo $i; done'` // a line each, as fast as it can
)

// reexec has the keeper become the program at its path and waits until it has.
func (in *instance) reexec() {
	in.t.Helper()
	before := strings.Count(in.log.String(), becomes)
	in.keeper.Process.Signal(syscall.SIGUSR2)
	in.until("another program", func() (string, bool) {
		text := in.log.String()
		return text, strings.Count(text, becomes) > before
	})
}

// counted fails the test unless a file has the numbers from 1, and each once.
func counted(t *testing.T, path string) (last int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range bytes.Split(text[:bytes.LastIndexByte(text, '\n')], []byte("\n")) {
		if n, err := strconv.Atoi(string(line)); err != nil || n != i+1 {
			t.Fatalf("line %d of %s is %q", i+1, path, line)
		}
		last = i + 1
	}
	return last
}

func TestTheKeeperBecomesAnotherProgramAndNobodyNotices(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{
		"seven": file("seven", "sh -c 'exit 7'", stopped, noRestart),
		"brief": file("brief", "true", "[lifecycle]", `restart = "always"`, "restart_delay_ms = 1", "max_restarts = 0"),
	})
	lines := filepath.Join(in.dir, "lines")
	in.write("lines", file("lines", numbers, "[logging]", fmt.Sprintf("file = %q", lines)))
	d := in.observed("still", "still")
	place := in.ofItsOwn()
	in.launch()
	in.lived("still", d, 1)
	in.waitState("lines", "running")
	check, server, keeper := in.untouched("still", "lines"), in.serverPID(), in.keeperPID()
	text, err := os.ReadFile(place)
	if err != nil {
		t.Fatal(err)
	}
	client, err := sock.Dial(shortly(t), in.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	asked := in.pester()
	const rounds = 10
	var took time.Duration
	for n := range rounds {
		replace(t, place, append(text, strings.Repeat("x", n+1)...))
		run := in.status("seven").Run
		in.zinit("start", "seven") // it may say that it has ended already
		began := time.Now()
		in.reexec()
		took += time.Since(began)
		if exe, err := os.Stat(fmt.Sprintf("/proc/%d/exe", keeper)); err != nil || exe.Size() != int64(len(text)+n+1) {
			t.Errorf("the keeper does not run the file that is there: %v, %v", exe, err)
		}
		in.until("the end of seven", func() (string, bool) {
			s := in.status("seven")
			return fmt.Sprintf("%+v", s), s.Run == run+1 && s.State.State == sock.Failed && strings.HasPrefix(s.Reason, "exit code 7")
		})
		if pong, err := client.Ping(shortly(t)); err != nil || pong.PID != server {
			t.Errorf("the connection from before: %+v, %v", pong, err)
		}
		check()
	}
	if in.serverPID() != server {
		t.Error("the server was replaced")
	}
	in.takeover(func(server int) { in.send(server, syscall.SIGKILL) })
	check()
	if n := asked(); n == 0 {
		t.Error("nobody asked meanwhile")
	}
	if s := in.status("brief"); s.Restarts < 3 {
		t.Errorf("brief was restarted %d times", s.Restarts)
	}
	in.must("stop", "lines", "--wait")
	t.Logf("%d lines; it took %v each time", counted(t, lines), took/rounds)
	in.shutdown()
}

// pester asks the server again and again, on new connections, until the answer is
// fetched: how often. None may be refused.
func (in *instance) pester() (asked func() int64) {
	var n atomic.Int64
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if _, err := ping(ctx, in.socket); err != nil && ctx.Err() == nil {
				in.t.Errorf("after %d answers: %v", n.Load(), err)
				return
			}
			n.Add(1)
		}
	}()
	asked = func() int64 {
		stop()
		<-done
		return n.Load()
	}
	in.t.Cleanup(func() { asked() }) // before the server is shut down
	return asked
}

func TestProcess1BecomesAnotherProgram(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("unshare", "-pf", "--mount-proc", "true").CombinedOutput(); err != nil {
		t.Skipf("cannot be process 1 here: %v: %s", err, out)
	}
	in := newInstance(t, nil)
	d := in.observed("still", "still")
	in.write("kill", file("kill", "sh -c 'kill -9 $$'", stopped, noRestart))
	in.alter = func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"unshare", "-pf", "--mount-proc", cmd.Path}, cmd.Args[1:]...)
		cmd.Path, _ = exec.LookPath("unshare") // it was there a moment ago
	}
	in.launch()
	in.waitState("still", "running")
	first := childrenOf(in.keeperPID())[0] // process 1 is the child of unshare
	check, server := in.untouched("still"), in.serverPID()
	if pid := in.pid("still"); pid > 100 {
		t.Fatalf("a service has pid %d in a new namespace", pid)
	}
	for n := range 5 {
		in.zinit("start", "kill")
		before := strings.Count(in.log.String(), becomes)
		send(t, first.pid, syscall.SIGUSR2)
		in.until("another program", func() (string, bool) {
			text := in.log.String()
			return text, strings.Count(text, becomes) > before
		})
		in.until("the end of kill", func() (string, bool) {
			s := in.status("kill")
			return fmt.Sprintf("%+v", s), s.Run == uint64(n+1) && s.State.State == sock.Failed && strings.Contains(s.Reason, "signal 9")
		})
		check()
	}
	if in.serverPID() != server || d.read() != nil || d.begun() != 1 {
		t.Errorf("server %d became %d, and there were %d lives", server, in.serverPID(), d.begun())
	}
	if now, ok := processOf(first.pid); !ok || now.start != first.start {
		t.Errorf("process 1 was %v, it is %v", first, now)
	}
	in.must("shutdown")
	if code := in.exit(); code != 0 {
		t.Errorf("process 1 ended with %d", code)
	}
}

// Nothing but the program itself: there is no /proc either.
func TestProcess1BecomesAnotherProgramWhereThereIsNothingElse(t *testing.T) {
	t.Parallel()
	root, err := os.MkdirTemp("", "zinit-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	furnish(t, root)
	p := startProcess1(t, root, "zinit-pid1")
	in := &instance{t: t, socket: filepath.Join(root, "run", "s"), env: os.Environ()}
	in.until("an answer of process 1", func() (string, bool) {
		out, code := in.zinit("ping")
		return out, code == 0
	})
	in.waitState("stays", "running")
	check := in.untouched("stays")
	place := filepath.Join(root, "zinit")
	text, err := os.ReadFile(place)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, place, append(text, "another one"...))
	send(t, p.pid, syscall.SIGUSR2)
	in.until("another program", func() (string, bool) {
		exe, err := os.Stat(fmt.Sprintf("/proc/%d/exe", p.pid))
		return fmt.Sprint(exe, err), err == nil && exe.Size() == int64(len(text)+len("another one"))
	})
	check()
	in.must("restart", "stays")
	in.must("shutdown")
	if code := p.exit(); code != 0 {
		t.Errorf("process 1 ended with %d", code)
	}
}

func TestAProgramThatCannotBeTheKeeperIsRefused(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{"web": file("web", quiet)})
	place := in.ofItsOwn()
	good, err := os.ReadFile(place)
	if err != nil {
		t.Fatal(err)
	}
	in.launch()
	in.waitState("web", "running")
	check, server := in.untouched("web"), in.serverPID()
	foreign := bytes.Clone(good)
	foreign[18] = 0xf7 // for a BPF machine
	crash, err := os.ReadFile(compiled(t, filepath.Join(t.TempDir(), "fraud"), "", fraud))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text []byte
		why  string
	}{
		"a text":              {[]byte("nothing\n"), "is no program for this kind of machine"},
		"a script":            {[]byte(hopeless), "is no program for this kind of machine"},
		"for another machine": {foreign, "exec format error"},
		"cut short":           {good[:100000], ""},
		"one that crashes":    {crash, "cannot take over: exit code 3"},
	} {
		replace(t, place, c.text)
		before := strings.Count(in.log.String(), remains)
		in.keeper.Process.Signal(syscall.SIGUSR2)
		in.until(name+" to be refused", func() (string, bool) {
			_, why, ok := strings.Cut(in.log.String(), remains)
			for range before {
				_, why, ok = strings.Cut(why, remains)
			}
			why, _, ended := strings.Cut(why, "\n")
			return why, ok && ended && strings.Contains(why, place) && strings.Contains(why, c.why)
		})
		check()
	}
	replace(t, place, good)
	in.reexec()
	check()
	if in.serverPID() != server {
		t.Error("the server was replaced")
	}
	in.shutdown()
}

func TestNoOtherProgramInAShutdown(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{"deaf": file("deaf", deaf, lifecycle, "stop_timeout_ms = 500")})
	in.waitState("deaf", "running")
	in.deafened(in.pid("deaf"))
	seen := descendants(in.keeperPID())
	in.keeper.Process.Signal(syscall.SIGTERM)
	in.keeper.Process.Signal(syscall.SIGUSR2)
	if code := in.exit(); code != 0 {
		t.Errorf("the keeper ended with %d", code)
	}
	in.nothingLeft(seen)
	in.until("a reason", func() (string, bool) {
		text := in.log.String()
		return text, strings.Contains(text, remains+"a shutdown is under way")
	})
	if strings.Contains(in.log.String(), becomes) {
		t.Error("it became another program")
	}
}

// Go's runtime is open to some signals while it begins.
func TestNoSignalIsLostToAKeeperThatBecomesAnotherProgram(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("on this machine they are dropped")
	}
	in := newInstance(t, nil)
	obeyed := 0
	for range 60 {
		in.launch()
		in.reexec()
		in.keeper.Process.Signal(syscall.SIGUSR2)
		<-time.After(rand.N(15 * time.Millisecond))
		in.keeper.Process.Signal(syscall.SIGTERM)
		if code := in.exit(); code != 0 {
			t.Fatalf("the keeper ended with %v:\n%s", in.keeper.ProcessState, in.log)
		}
		obeyed += strings.Count(in.log.String(), becomes) - 1
	}
	t.Logf("%d of 60 signals came after the exec", obeyed)
	in.launch()
	for range 20 {
		before := strings.Count(in.log.String(), becomes)
		in.keeper.Process.Signal(syscall.SIGUSR2)
		in.until("another program, whatever comes", func() (string, bool) {
			in.keeper.Process.Signal(syscall.SIGHUP)
			text := in.log.String()
			return text, strings.Count(text, becomes) > before
		})
	}
	in.shutdown()
}
