package main_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The faults of the keeper, and those in which it does the server's work.

// bury is the child that starts its arguments and takes over whatever loses its
// parent, and writes "PID CODE" into a file for each that ends.
func bury() int {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "cannot become a subreaper:", err)
		return 1
	}
	graves := os.Getenv(gravesVar)
	for _, name := range []string{childVar, gravesVar, "GORACE"} {
		os.Unsetenv(name)
	}
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0 // nobody is left
		}
		appendLine(graves, fmt.Sprintf("%d %d\n", pid, status.ExitStatus()))
	}
}

// gravesVar names the file that bury writes.
const gravesVar = "ZINIT_TEST_GRAVES"

// bereave has the keeper run under a process that learns how its orphans end.
func (in *instance) bereave() {
	in.t.Helper()
	self, err := os.Executable()
	if err != nil {
		in.t.Fatal(err)
	}
	in.alter = func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, childVar+"=bury", "GORACE=atexit_sleep_ms=0", gravesVar+"="+in.graves())
		cmd.Args = append([]string{self, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = self
	}
}

func (in *instance) graves() string { return filepath.Join(in.dir, "graves") }

// buried waits for the end of a process under bury and returns its exit code.
func (in *instance) buried(pid int) (code int) {
	in.t.Helper()
	in.until(fmt.Sprintf("the end of pid %d", pid), func() (string, bool) {
		text, _ := os.ReadFile(in.graves()) // not there yet
		for lines := bufio.NewScanner(strings.NewReader(string(text))); lines.Scan(); {
			var who int
			if _, err := fmt.Sscan(lines.Text(), &who, &code); err == nil && who == pid {
				return "", true
			}
		}
		return string(text), false
	})
	return code
}

// endedAt is when a life noted its end, which was as it should be.
func (in *instance) endedAt(d *diary) time.Time {
	in.t.Helper()
	err := d.read()
	if err != nil || d.begun() == 0 || !d.last().ended || d.last().how != 0 {
		in.t.Fatalf("%s has not ended well: %+v, %v", d.path, d.lives, err)
	}
	st, err := os.Stat(d.path)
	if err != nil {
		in.t.Fatal(err)
	}
	return st.ModTime()
}

// tower makes three services that require each other, and starts them.
func (in *instance) tower() (floors []*diary) {
	in.t.Helper()
	below := "[dependencies]"
	for _, name := range []string{"low", "middle", "high"} {
		floors = append(floors, in.observed(name, "slow", below))
		below = requires(name)
	}
	return floors
}

// fell fails the test unless they ended from the top.
func (in *instance) fell(floors []*diary) {
	in.t.Helper()
	low, middle, high := in.endedAt(floors[0]), in.endedAt(floors[1]), in.endedAt(floors[2])
	if !high.Before(middle) || !middle.Before(low) {
		in.t.Errorf("high ended at %v, middle at %v, low at %v", high, middle, low)
	}
}

// Fault 58: the keeper is killed, and later keeper and server.
func TestFault58WithoutItsKeeperTheServerStopsEverythingInOrder(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{"deaf": file("deaf", deaf, lifecycle, "stop_timeout_ms = 500")})
	floors := in.tower()
	in.bereave()
	in.launch()
	in.waitState("high deaf", "running")
	in.deafened(in.pid("deaf"))
	for i, name := range []string{"low", "middle", "high"} {
		in.lived(name, floors[i], 1)
	}
	server := in.serverPID()
	p, _ := processOf(server)
	keeper := p.parent
	if keeper == in.keeperPID() {
		t.Fatal("the keeper has no other parent")
	}
	seen := descendants(keeper)
	if err := syscall.Kill(keeper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := in.buried(server); code != 1 {
		t.Errorf("the server ended with code %d", code)
	}
	in.fell(floors)
	in.exit()
	in.nothingLeft(seen)
	if !in.tells("error", "the keeper is gone") {
		t.Error("nobody says so")
	}
	if t.Failed() {
		t.Fatalf("the log of the server:\n%s", in.log)
	}
	in.launch()
	in.lived("high", floors[2], 2)
	p, _ = processOf(in.serverPID())
	in.must("shutdown")
	if code := in.buried(p.parent); code != 0 {
		t.Errorf("the next keeper ended with code %d", code)
	}
	in.exit()
	in.nothingLeft(nil)
}

func TestFault58WhatAKilledKeeperAndServerLeftBehindIsEndedFirst(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	var mutes []*diary
	names := []string{"one", "two"}
	for _, name := range names {
		mutes = append(mutes, in.observed(name, "mute"))
	}
	in.launch()
	for i, name := range names {
		in.lived(name, mutes[i], 1)
	}
	old := in.serverPID()
	for n := 2; n <= 3; n++ {
		seen := descendants(in.keeperPID())
		in.killBoth()
		if left := alive(seen); len(left) != 4 {
			t.Fatalf("left are %v, want two and what they started", left)
		}
		in.launch() // the diaries tell whether there ever were two of one
		for i, name := range names {
			in.lived(name, mutes[i], n)
		}
		if left := alive(seen); len(left) != 0 {
			t.Errorf("they live on: %v", left)
		}
	}
	for _, d := range mutes {
		if !d.lives[1].ended || d.lives[2].ended {
			t.Errorf("the first was to end by itself, the second to be killed: %+v", d.lives)
		}
	}
	if !in.tells("warn", "service=one", "left this process behind") {
		t.Error("nobody says so")
	}
	if in.serverPID() == old {
		t.Error("the server is the same")
	}
}

// Fault 58: a record is lost beside both, that of the keeper or that of a service.
func TestFault58WhatWasLeftBehindIsEndedFirstAlsoWhereARecordIsLost(t *testing.T) {
	t.Parallel()
	for lost, c := range map[string]struct{ needs, says string }{
		"keeper":    {"", "left this process behind"},
		"state/one": {"cgroups", "left processes behind in this cgroup"},
	} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, nil)
			d := in.observed("one", "mute")
			in.launch()
			in.lived("one", d, 1)
			if c.needs != "" && in.log.contains("info", "services have no cgroups") {
				t.Skip("no cgroups")
			}
			in.killBoth()
			in.loseRecord(lost)
			in.launch()
			in.lived("one", d, 2) // the diary tells whether there ever were two
			if !in.tells("warn", "service=one", c.says) {
				t.Errorf("nobody says so:\n%s", in.log)
			}
			in.shutdown()
		})
	}
}

// Fault 61: the server is stopped, or there is none, when everything is to stop.
func TestFault61TheKeeperStopsTheServicesInTheirOrder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(in *instance, place string, server int)
		says    string
	}{
		"the server is stopped": {func(in *instance, _ string, server int) {
			in.send(server, syscall.SIGSTOP)
		}, "does not answer"},
		"the server is dead": {func(in *instance, place string, server int) {
			replace(in.t, place, []byte(hopeless))
			in.send(server, syscall.SIGKILL)
			in.until("a pause without a server", func() (string, bool) {
				return in.log.String(), in.log.contains("starting it again in 800ms")
			})
		}, "the keeper stops the services by itself"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, map[string]string{"deaf": file("deaf", deaf, lifecycle, "stop_timeout_ms = 500")})
			floors := in.tower()
			place := in.ofItsOwn()
			in.launch()
			in.waitState("high deaf", "running")
			in.deafened(in.pid("deaf"))
			for i, name := range []string{"low", "middle", "high"} {
				in.lived(name, floors[i], 1)
			}
			seen := descendants(in.keeperPID())
			c.prepare(in, place, in.serverPID())
			in.keeper.Process.Signal(syscall.SIGTERM)
			in.exit()
			in.fell(floors)
			in.nothingLeft(seen)
			if !in.tells(c.says) {
				t.Error("nobody says so")
			}
		})
	}
}
