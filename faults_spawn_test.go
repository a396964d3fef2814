package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"zinit/sock"
)

// aUser owns no process on any machine that the tests know of, so that a limit on
// the processes of a user concerns nobody else.
const aUser = 64123

// Fault 1: no process can be made any more.
func TestFault1ARefusedForkFailsOneStartAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to run a server as a user without other processes")
	}
	t.Parallel()
	in := newInstance(t, map[string]string{
		"before": file("before", quiet),
		"late":   file("late", quiet, stopped, lifecycle, "restart_delay_ms = 50", "max_restarts = 0"),
	})
	if err := os.Chown(in.dir, aUser, aUser); err != nil {
		t.Fatal(err)
	}
	in.alter = func(cmd *exec.Cmd) {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: aUser, Gid: aUser}
	}
	in.launch()
	in.waitState("before", "running")
	server, untouched := in.serverPID(), in.untouched("before")
	files := descriptors(t, in.keeperPID())

	limit := func(processes string) {
		t.Helper()
		// Only its own user may always do this.
		cmd := exec.Command("prlimit", "--pid", strconv.Itoa(in.keeperPID()), "--nproc="+processes+":")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: aUser, Gid: aUser}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	limit("1")
	in.zinit("start", "late")                      // says at once that it failed, when that is known in time
	in.until("the reason", func() (string, bool) { // between two attempts
		s := in.status("late")
		return fmt.Sprintf("%+v", s), s.State.State == sock.Failed && strings.Contains(s.Reason, "cannot fork: resource temporarily unavailable")
	})
	in.until("three attempts", func() (string, bool) {
		s := in.status("late")
		return s.Reason, s.Run >= 3
	})
	untouched()
	limit("1000")
	in.waitState("late", "running")
	untouched()
	if now := in.serverPID(); now != server {
		t.Errorf("the server was %d and is %d", server, now)
	}
	in.must("stop", "--wait", "late")
	in.until("as many descriptors as before", func() (string, bool) {
		now := descriptors(t, in.keeperPID())
		return strings.Repeat("|", now), now <= files
	})
}

// Fault 2: what cannot be executed.
func TestFault2AFailedExecNamesFileAndReason(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{"good": file("good", quiet)})
	put := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(in.dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	busy := put("busy", "#!/bin/sh\n", 0o755)
	writer, err := os.OpenFile(busy, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	// The header of a program for a machine that there never was.
	foreign := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\xff\x7f" + strings.Repeat("\x00", 60)
	cases := map[string]struct{ path, want string }{
		"missing":     {filepath.Join(in.dir, "nothing"), "does not exist"},
		"plain":       {put("plain", "text", 0o644), "is not executable"},
		"directory":   {in.config, "is a directory"},
		"foreign":     {put("foreign", foreign, 0o755), "exec format error"},
		"interpreter": {put("interpreter", "#!/nowhere/sh\n", 0o755), "interpreter does not exist"},
		"busy":        {busy, "text file busy"},
	}
	for name, c := range cases {
		in.write(name, file(name, c.path, lifecycle, "restart_delay_ms = 60000"))
	}
	in.launch()
	in.waitState("good", "running")
	check := in.untouched("good")
	for name, c := range cases {
		in.waitState(name, "failed")
		reason := in.status(name).Reason
		if !strings.Contains(reason, c.path) || !strings.Contains(reason, c.want) {
			t.Errorf("%s: the reason is %q, want %s and %q", name, reason, c.path, c.want)
		}
		if why := in.must("why", name); !strings.Contains(why, c.want) {
			t.Errorf("why %s says %s", name, why)
		}
	}
	writer.Close()
	in.must("restart", "busy")
	in.waitState("busy", "exited") // what was in the way is gone
	check()
}

// Fault 9: no descriptor for a start, in the keeper and in the server.
func TestFault9WithoutDescriptorsOneStartFailsCleanly(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"before": file("before", quiet),
		"late":   file("late", quiet, stopped, noRestart),
	})
	in.waitState("before", "running")
	c, server := in.dial(), in.serverPID()
	untouched := in.untouched("before")
	// Once for all that is opened at the first start.
	in.must("start", "--wait", "late")
	in.must("stop", "--wait", "late")
	for _, who := range []struct {
		name string
		pid  int
	}{{"keeper", in.keeperPID()}, {"server", server}} {
		files := descriptors(t, who.pid)
		// Whichever step of a start is refused.
		for spare := range 5 {
			restore := limitFiles(t, who.pid, uint64(files+spare))
			for range 5 {
				startShort(in, c, who.name)
			}
			restore()
		}
		untouched()
		in.must("start", "--wait", "late")
		in.must("stop", "--wait", "late")
		in.until("no more descriptors than before in the "+who.name, func() (string, bool) {
			now := descriptors(t, who.pid)
			return strings.Repeat("|", now), now <= files
		})
	}
}

// startShort starts the service late once where descriptors are short: it comes
// up with what there is, or its failure says what was missing.
func startShort(in *instance, c *sock.Client, who string) {
	t := in.t
	t.Helper()
	if err := c.Start(shortly(t), "late", sock.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	up, err := c.Wait(shortly(t), []string{"late"}, sock.GoalUp, sock.WaitOptions{Timeout: patience, Settle: true})
	if err != nil {
		t.Fatal(err)
	}
	if up.Reached {
		if err := c.Stop(shortly(t), "late"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Wait(shortly(t), []string{"late"}, sock.GoalDown, sock.WaitOptions{Timeout: patience}); err != nil {
			t.Fatal(err)
		}
		return
	}
	s, err := c.Status(shortly(t), "late")
	if err != nil {
		t.Fatal(err)
	}
	if s.State != sock.Failed || !strings.Contains(s.Reason, "too many open files") {
		t.Errorf("%s: it is %s, the reason is %q", who, s.State, s.Reason)
	}
}
