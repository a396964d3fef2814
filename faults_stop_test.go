package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/sock"
)

// stopTakes stops a service and returns how long that took.
func (in *instance) stopTakes(service string) time.Duration {
	in.t.Helper()
	began := time.Now()
	in.must("stop", "--wait", service)
	return time.Since(began)
}

// Fault 16: a stopped child takes no TERM, but a KILL.
func TestFault16AStoppedChildIsKilledInTime(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{"a": file("a", quiet, lifecycle, "stop_timeout_ms = 300"), "b": file("b", quiet)})
	in.waitState("a b", "running")
	check, pid := in.untouched("b"), in.pid("a")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	in.until("a stopped process", func() (string, bool) {
		p, _ := processOf(pid)
		return p.String(), p.state == "T"
	})
	if took := in.stopTakes("a"); took < 300*time.Millisecond || took > 10*time.Second {
		t.Errorf("the stop took %v", took)
	}
	in.gone(pid)
	if log := in.must("logs", "a"); !strings.Contains(log, "did not end within 300ms of the stop signal: killed") {
		t.Errorf("its log is %q", log)
	}
	check()
}

// Fault 17: a child that ignores the stop signal, by itself and as a group.
func TestFault17AChildThatIgnoresTermIsKilledAtItsStopTimeout(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"a": file("a", deaf, lifecycle, "stop_timeout_ms = 300"),
		"g": file("g", `sh -c "trap '' TERM; sleep 100000 & wait"`, lifecycle, "stop_timeout_ms = 300"),
	})
	in.waitState("a g", "running")
	for _, name := range []string{"a", "g"} {
		group := in.pid(name)
		in.deafened(group)
		if took := in.stopTakes(name); took < 300*time.Millisecond || took > 10*time.Second {
			t.Errorf("the stop of %s took %v", name, took)
		}
		if err := syscall.Kill(-group, 0); err != syscall.ESRCH {
			t.Errorf("%s: its group is not gone: %v", name, err)
		}
		if s := in.status(name); s.State.State != sock.Exited {
			t.Errorf("%s is %s: %s", name, s.State.State, s.Reason)
		}
	}
}

// deafened waits until a process ignores SIGTERM.
func (in *instance) deafened(pid int) {
	in.t.Helper()
	in.until(fmt.Sprintf("pid %d to ignore SIGTERM", pid), func() (string, bool) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			in.t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "SigIgn:\t")
		mask, err := strconv.ParseUint(rest[:16], 16, 64)
		return rest[:16], err == nil && mask&(1<<(syscall.SIGTERM-1)) != 0
	})
}

// Fault 18: a process that not even SIGKILL ends. In a frozen freezer of the first
// version it is as good as one that waits for a dead disk.
func TestFault18AChildThatCannotBeKilledIsReportedAndLeftBehind(t *testing.T) {
	freezer := "/sys/fs/cgroup/freezer"
	if _, err := os.Stat(freezer + "/cgroup.procs"); err != nil {
		t.Skipf("needs a freezer of cgroup v1: %v", err)
	}
	group := fmt.Sprintf("%s/zinit-test-%d", freezer, os.Getpid())
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("needs a freezer of cgroup v1 that can be written: %v", err)
	}
	t.Parallel()
	in := startServer(t, map[string]string{
		"stuck": file("stuck", quiet, lifecycle, "stop_timeout_ms = 200"),
		"other": file("other", quiet, "[dependencies]\nafter = [\"stuck\"]"),
	})
	in.waitState("stuck other", "running")
	pid := in.pid("stuck")
	was, _ := processOf(pid)
	set := func(name, value string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(group, name), []byte(value), 0); err != nil {
			t.Error(err)
		}
	}
	thaw := func() {
		set("freezer.state", "THAWED")
		if p, ok := processOf(pid); ok && p.start == was.start {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		in.until("the end of the thawed process", func() (string, bool) {
			left := alive([]process{was})
			return fmt.Sprint(left), len(left) == 0
		})
		in.until("an empty freezer", func() (string, bool) {
			err := os.Remove(group)
			return fmt.Sprint(err), err == nil
		})
	}
	set("cgroup.procs", strconv.Itoa(pid))
	set("freezer.state", "FROZEN")
	thawed := false
	t.Cleanup(func() {
		if !thawed {
			thaw()
		}
	})

	in.zinit("stop", "stuck")
	in.until("the truth about it", func() (string, bool) {
		s := in.status("stuck")
		return s.State.State + ": " + s.Reason, strings.Contains(s.Reason, "got SIGKILL")
	})
	if s := in.status("stuck"); s.State.State != sock.Stopping || s.State.PID != pid {
		t.Errorf("it is %s as %d", s.State.State, s.State.PID)
	}
	if log := in.must("logs", "stuck"); !strings.Contains(log, "survived SIGKILL") {
		t.Errorf("its log is %q", log)
	}
	in.must("restart", "--wait", "other") // the rest of the world goes on
	in.must("shutdown")
	if code := in.exit(); code != 0 { // it does not wait for it
		t.Errorf("zinit-server ended with code %d", code)
	}
	if !in.tells("cannot be killed") {
		t.Error("the keeper says nothing of what it left behind")
	}
	thaw()
	thawed = true
}

// Fault 46: nothing comes up while everything goes down.
func TestFault46AStartInAShutdownIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"slow": file("slow", deaf, lifecycle, "stop_timeout_ms = 100000"),
		"done": file("done", quiet, stopped),
	})
	in.waitState("slow", "running")
	slow := in.pid("slow")
	in.deafened(slow)
	c := in.dial()
	if err := c.Shutdown(shortly(t)); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"start done", "restart done", "start slow", "restart slow"} {
		out, code := in.zinit(strings.Fields(args)...)
		if code != 1 || !strings.Contains(out, "shutting down") {
			t.Errorf("zinit %s: code %d: %s", args, code, out)
		}
	}
	if s := in.status("slow"); s.State.State != sock.Stopping {
		t.Errorf("slow is %s", s.State.State)
	}
	if err := syscall.Kill(slow, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := in.exit(); code != 0 {
		t.Errorf("zinit-server ended with code %d", code)
	}
}

// Fault 47: contrary orders, from two clients at once.
func TestFault47OfContraryOrdersTheLastCounts(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"slow": file("slow", deaf, lifecycle, "stop_timeout_ms = 200"),
		// It has a port to open and never does: it stays in its start.
		"starting": file("starting", quiet, "[health]\ntype = \"exec\"\ntarget = \"false\"\nretries = 1000000"),
	})
	in.waitState("slow", "running")
	in.waitState("starting", "starting")
	a, b := in.dial(), in.dial()
	order := func(c *sock.Client, what, name string) error {
		if what == "start" {
			return c.Start(shortly(t), name, sock.StartOptions{})
		}
		return c.Stop(shortly(t), name)
	}
	for _, name := range []string{"slow", "starting"} {
		for i := range 6 {
			last := []string{"stop", "start"}[i%2]
			first := []string{"start", "stop"}[i%2]
			answers := make(chan error, 4)
			go func() { answers <- order(a, first, name) }()
			go func() { answers <- order(b, last, name) }()
			go func() { answers <- order(a, last, name) }()
			go func() { answers <- order(b, first, name) }()
			for range cap(answers) {
				if err := <-answers; err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			for range 2 { // the same twice, and it is the last word
				if err := order(a, last, name); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			state := map[string]string{"startslow": "running", "startstarting": "starting"}[last+name]
			if state == "" {
				in.must("wait", "--state", "down", "--timeout", patience.String(), name)
			} else {
				in.waitState(name, state)
			}
		}
	}
	if got := len(childrenOf(in.keeperPID())); got > 4 {
		t.Errorf("the keeper has %d children: %v", got, childrenOf(in.keeperPID()))
	}
}

// Fault 48: services that all take their whole time are stopped side by side.
func TestFault48FiftyStopTimeoutsTakeNotLongerThanOne(t *testing.T) {
	t.Parallel()
	takes := func(n int) time.Duration {
		files := map[string]string{}
		var names []string
		for i := range n {
			name := "s" + strconv.Itoa(i)
			files[name] = file(name, deaf, lifecycle, "stop_timeout_ms = 1000")
			names = append(names, name)
		}
		in := startServer(t, files)
		in.waitState(strings.Join(names, " "), "running")
		for _, name := range names {
			in.deafened(in.pid(name))
		}
		seen := descendants(in.keeperPID())
		began := time.Now()
		in.must("shutdown")
		code := in.exit()
		took := time.Since(began)
		if code != 0 {
			t.Errorf("zinit-server ended with code %d", code)
		}
		in.nothingLeft(seen)
		return took
	}
	one, fifty := takes(1), takes(50)
	t.Logf("one takes %v, fifty take %v", one, fifty)
	if one < time.Second || fifty > 25*time.Second { // one after the other they take 50
		t.Errorf("one takes %v, fifty take %v", one, fifty)
	}
}

// Fault 49: a probe that neither ends nor stays alone.
func TestFault49AProbeThatHangsAndForksIsEndedWithItsGroup(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	pids, script := filepath.Join(in.dir, "pids"), filepath.Join(in.dir, "probe")
	text := "echo $$ >> " + pids + "; trap '' TERM; sleep 100000 & sleep 100000 & wait\n"
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	in.write("a", file("a", quiet, "[health]", `type = "exec"`, fmt.Sprintf("target = %q", "sh "+script),
		"interval_ms = 500", "timeout_ms = 500", "retries = 2", noRestart))
	in.launch()
	in.waitState("a", "failed")
	if s := in.status("a"); !strings.Contains(s.Reason, "health check failed after 2 attempts") {
		t.Errorf("the reason is %q", s.Reason)
	}
	got, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	groups := strings.Fields(string(got))
	if len(groups) == 0 {
		t.Error("there was no probe")
	}
	for _, word := range groups {
		group, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		in.until("the end of the probe's group", func() (string, bool) {
			err := syscall.Kill(-group, 0)
			return fmt.Sprint(err), err == syscall.ESRCH
		})
	}
	in.until("a keeper with no child but the server", func() (string, bool) {
		now := childrenOf(in.keeperPID())
		return fmt.Sprint(now), len(now) == 1
	})
}
