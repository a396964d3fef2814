//go:build chaos

package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/sock"
)

// The faults that kill the server at a moment of which something is known.

// observed makes a service of one of the processes of TestChaos, which prove by
// themselves that there is one of each, and returns its diary.
func (in *instance) observed(name, mode string, rest ...string) *chaosDiary {
	in.t.Helper()
	room := filepath.Join(in.dir, "room")
	if err := os.MkdirAll(room, 0o755); err != nil {
		in.t.Fatal(err)
	}
	in.write(name, file(name, fmt.Sprintf("%s %s %s %s 1", childExec(in.t, "chaos"), room, name, mode), rest...))
	in.t.Cleanup(func() {
		if text, err := os.ReadFile(filepath.Join(room, "doubles")); err == nil {
			in.t.Errorf("two processes of one service lived at a time:\n%s", text)
		}
	})
	return &chaosDiary{path: filepath.Join(room, name+".diary")}
}

// lived waits until a service has had so many lives, of which the last one is what
// the server says that it runs as.
func (in *instance) lived(service string, d *chaosDiary, n int) {
	in.t.Helper()
	in.waitState(service, "running")
	in.until(fmt.Sprintf("life %d of %s", n, service), func() (string, bool) {
		err := d.read()
		return fmt.Sprint(d.lives, err), err == nil && d.begun() >= n
	})
	s := in.status(service)
	if d.begun() != n || d.last().pid != s.State.PID || d.last().ended {
		in.t.Fatalf("%s runs as %d, want life %d of %+v", service, s.State.PID, n, d.lives)
	}
}

// send signals a child of the keeper's, and waits until a SIGSTOP has stopped it
// and a SIGKILL killed it.
func (in *instance) send(pid int, sig syscall.Signal) {
	in.t.Helper()
	if err := signalChild(in.keeperPID(), pid, sig); err != nil {
		in.t.Fatal(err)
	}
	in.obeyed(pid, sig)
}

// freeze stops the keeper; thaw lets it go on.
func (in *instance) freeze() {
	in.t.Helper()
	in.keeper.Process.Signal(syscall.SIGSTOP)
	in.obeyed(in.keeperPID(), syscall.SIGSTOP)
}

func (in *instance) thaw() { in.keeper.Process.Signal(syscall.SIGCONT) }

func (in *instance) obeyed(pid int, sig syscall.Signal) {
	in.t.Helper()
	if sig != syscall.SIGSTOP && sig != syscall.SIGKILL {
		return
	}
	in.until(fmt.Sprintf("pid %d to have got %v", pid, sig), func() (string, bool) {
		p, there := processOf(pid)
		return p.String(), sig == syscall.SIGSTOP && p.state == "T" || sig == syscall.SIGKILL && (!there || p.state == "Z")
	})
}

// Fault 10: kill -9 of the server around the start of a service.
func TestFault10AServerKilledAroundASpawnLeavesExactlyOneProcess(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	d := in.observed("a", "still", stopped)
	in.launch()
	c := in.dial()

	// Before the order is read: nothing is written, and nothing comes of it.
	server := in.serverPID()
	in.send(server, syscall.SIGSTOP)
	answer := make(chan error, 1)
	go func() { answer <- c.Start(shortly(t), "a", sock.StartOptions{}) }()
	select {
	case err := <-answer:
		t.Fatalf("a server that is stopped answers %v", err)
	case <-time.After(50 * time.Millisecond): // the order is in its socket by then; if not it is not worse
	}
	in.send(server, syscall.SIGKILL)
	if err := <-answer; err == nil {
		t.Error("an order that nobody read was said to be carried out")
	}
	if s := in.status("a"); s.State.State != sock.Inactive {
		t.Errorf("it is %s", s.State.State)
	}

	// After the state is written and before the fork.
	server = in.serverPID()
	in.freeze()
	if err := c.Start(shortly(t), "a", sock.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	in.send(server, syscall.SIGKILL)
	in.thaw()
	in.lived("a", d, 1)

	// After the fork, and wherever it happens to be.
	again := 0
	for i := range 40 {
		server := in.serverPID()
		n := d.begun()
		if err := c.Restart(shortly(t), "a"); err != nil {
			t.Fatal(err)
		}
		late := time.NewTimer(time.Duration(i) * 250 * time.Microsecond)
		<-late.C
		in.send(server, syscall.SIGKILL)
		in.lived("a", d, n+1)
		again++
	}
	if s := in.status("a"); s.Restarts != 0 {
		t.Errorf("after %d restarts that were asked for it counts %d of its own", again, s.Restarts)
	}
}

// Fault 11: kill -9 of the server during a stop.
func TestFault11AStopThatIsUnderWayIsCompletedByTheNextServer(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{
		"deaf":   file("deaf", deaf, lifecycle, "stop_timeout_ms = 1500"),
		"gentle": file("gentle", `sh -c "trap 'sleep 0.4; exit 0' TERM; while :; do sleep 0.02; done"`, lifecycle, "stop_timeout_ms = 20000"),
		"base":   file("base", quiet),
		"upper":  file("upper", deaf, "[dependencies]\nrequires = [\"base\"]", lifecycle, "stop_timeout_ms = 1000"),
	})
	again := in.observed("again", "deaf", lifecycle, "stop_timeout_ms = 500")
	in.launch()
	in.waitState("deaf gentle base upper", "running")
	in.lived("again", again, 1)
	for _, name := range []string{"deaf", "upper", "again"} {
		in.deafened(in.pid(name))
	}
	c := in.dial()
	began := time.Now()
	for _, name := range []string{"deaf", "gentle", "base"} {
		if err := c.Stop(shortly(t), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Restart(shortly(t), "again"); err != nil {
		t.Fatal(err)
	}
	// Twice: what one server has taken over the next one takes over from it.
	in.killServer()
	in.killServer()
	for _, name := range []string{"deaf", "gentle"} {
		if s := in.status(name); s.State.State == sock.Running {
			t.Errorf("%s is running again", name)
		}
	}
	if s := in.status("base"); s.State.State != sock.Running {
		t.Errorf("base is %s before what requires it is down", s.State.State)
	}
	in.waitState("deaf gentle base", "down")
	if took := time.Since(began); took < 1500*time.Millisecond || took > 12*time.Second {
		t.Errorf("the stops took %v", took)
	}
	for name, want := range map[string]string{"deaf": "stopped (killed by signal 9)", "gentle": "stopped", "base": "stopped"} {
		if s := in.status(name); s.State.State != sock.Exited || s.Reason != want {
			t.Errorf("%s is %s: %s, want %s", name, s.State.State, s.Reason, want)
		}
	}
	if s := in.status("upper"); s.State.State != sock.Blocked {
		t.Errorf("upper is %s: %s", s.State.State, s.Reason)
	}
	in.lived("again", again, 2)
}

// Fault 12: kill -9 of the server during a back-off.
func TestFault12DelaysAndCountersGoOnUnderTheNextServer(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"fails": file("fails", childExec(t, "fail"), lifecycle, "restart_delay_ms = 400", "max_restarts = 3"),
	})
	c := in.dial()
	const delay = 400 * time.Millisecond
	for run := uint64(1); run <= 3; run++ {
		var was sock.ServiceStatus
		in.until(fmt.Sprintf("the end of run %d", run), func() (string, bool) {
			var err error
			was, err = c.Status(shortly(t), "fails")
			return fmt.Sprintf("%+v, %v", was, err), err == nil && was.Run == run && was.State == sock.Failed
		})
		in.killServer()
		is, err := c.Status(shortly(t), "fails")
		if err != nil {
			t.Fatal(err)
		}
		off := time.Duration(is.NextStartMs-was.NextStartMs) * time.Millisecond
		if is.State != sock.Failed || is.Restarts != was.Restarts || is.Restarts != int64(run)-1 || is.Reason != "exit code 7" || off.Abs() > 20*time.Millisecond {
			t.Errorf("it was %+v and is %+v", was, is)
		}
		if wait := time.Duration(is.NextStartMs-is.SinceMs) * time.Millisecond; (wait - delay<<(run-1)).Abs() > 50*time.Millisecond {
			t.Errorf("after run %d the delay is %v", run, wait)
		}
	}
	in.waitState("fails", "down")
	if s := in.status("fails"); s.Run != 4 || s.Restarts != 3 || s.Reason != "exit code 7; given up after 3 restarts" {
		t.Errorf("in the end it is %+v", s)
	}
}

// Fault 13: kill -9 of the server while services log at full speed.
func TestFault13AKilledServerCostsNoLine(t *testing.T) {
	t.Parallel()
	var services []chaosService
	for _, s := range chaosServices() {
		if s.name == "flood" || s.name == "pair" || s.name == "still-1" || s.name == "told-1" {
			s.act, s.untouched = nil, true
			services = append(services, s)
		}
	}
	c := newChaos(t, 13, services)
	c.begin()
	again := time.NewTicker(60 * time.Millisecond)
	defer again.Stop()
	for range 25 {
		<-again.C
		c.killer.kill("kill -9")
	}
	c.rest()
	c.shutdown()
	c.compare()
	if c.counts["lines"] < 100_000 {
		t.Errorf("only %d lines were written", c.counts["lines"])
	}
}

// Fault 14: the server ends again and again before it is ready.
func TestFault14TheKeeperBacksOffAndTheServicesRunOn(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 14, []chaosService{{name: "a", mode: "still"}})
	c.killer.prepare()
	c.launch()
	c.waitState("a", "running")
	check, server := c.untouched("a"), c.serverPID()
	// Whoever upgrades puts it there as one step, too.
	bad := filepath.Join(c.dir, "bin", "bad")
	if err := os.WriteFile(bad, []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(bad, filepath.Join(c.dir, "bin", "zinit")); err != nil {
		t.Fatal(err)
	}
	c.send(server, syscall.SIGKILL)
	for _, delay := range []string{"100ms", "200ms", "400ms", "800ms"} {
		c.until("a pause of "+delay, func() (string, bool) {
			return c.log.String(), c.log.contains("exit code 3", "before it was ready: starting it again in "+delay)
		})
	}
	c.killer.swap(0)
	if !c.killer.find(server) {
		return
	}
	check()
	if n := strings.Count(c.log.String(), "before it was ready"); n > 8 {
		t.Errorf("the server was started %d times", n)
	}
}
