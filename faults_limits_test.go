package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"zinit/sock"
)

// The faults in which the server, or a service, reaches a limit of the system.

// threads is how many tasks the processes of a user have.
func threads(uid int) (n int) {
	for _, p := range processes() {
		st, err := os.Stat(fmt.Sprintf("/proc/%d", p.pid))
		if err != nil || int(st.Sys().(*syscall.Stat_t).Uid) != uid {
			continue
		}
		n += tasks(p.pid)
	}
	return n
}

// tasks is how many threads a process has.
func tasks(pid int) int {
	list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid)) // the pattern is good
	return len(list)
}

// spareThreads is how many threads a server makes ahead of need.
const spareThreads = 12

// limitProcesses limits the processes and threads of a user for one of them.
func limitProcesses(pid, user, n int) error {
	// Only its own user may always do this.
	cmd := exec.Command("prlimit", "--pid", strconv.Itoa(pid), fmt.Sprintf("--nproc=%d:", n))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// enough is a limit on processes that nobody reaches.
const enough = 10_000

// Fault 3: no thread can be made while services start and a server dies.
func TestFault3WithoutThreadsTheServicesRunOn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to run a server as a user without other processes")
	}
	t.Parallel()
	user := aUser - 10_000 + os.Getpid()%10_000 // no other test has it, nor another run of this one
	in := newInstance(t, map[string]string{
		"before": file("before", quiet),
		"late":   file("late", quiet, stopped, lifecycle, "restart_delay_ms = 50", "max_restarts = 0"),
	})
	if err := os.Chown(in.dir, user, user); err != nil {
		t.Fatal(err)
	}
	in.alter = func(cmd *exec.Cmd) {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}
	}
	in.launch()
	in.waitState("before", "running")
	check, first := in.untouched("before"), in.serverPID()
	limit := func(pid, n int) {
		t.Helper()
		if err := limitProcesses(pid, user, n); err != nil {
			t.Fatal(err)
		}
	}
	// The limit is that of who forks: the server may still have threads, and lives.
	limit(in.keeperPID(), threads(user))
	in.zinit("start", "late")
	for _, run := range []string{"run=1", "run=2"} {
		in.until("a start that fails for want of a process", func() (string, bool) {
			return in.log.String(), in.log.contains("service=late "+run, "the limit on processes is reached")
		})
	}
	limit(in.keeperPID(), enough)
	in.waitState("late", "running")
	// A server at its limit goes on with the threads that it has, or ends when it wants
	// another one: whoever only asks is answered, by the next if need be.
	in.until("the threads that a server makes when it has begun", func() (string, bool) {
		n := tasks(first)
		return strconv.Itoa(n), n > spareThreads
	})
	limit(first, threads(user))
	var askers sync.WaitGroup
	for range 50 {
		askers.Go(func() {
			if out, code := in.zinit("list"); code != 0 {
				t.Errorf("zinit list: exit code %d\n%s", code, out)
			}
		})
	}
	askers.Wait()
	// A server can be forked in its place, but can have no more than two threads.
	server := in.serverPID()
	limit(in.keeperPID(), threads(user)-tasks(server)+2)
	in.send(server, syscall.SIGKILL)
	for _, delay := range []string{"100ms", "200ms"} {
		in.until("a server that does not come up, and a pause of "+delay, func() (string, bool) {
			return in.log.String(), in.log.contains("starting it again in " + delay)
		})
	}
	limit(in.keeperPID(), enough)
	in.waitState("late", "running")
	check()
	if now := in.serverPID(); now == server || now == first {
		t.Error("the server did not die")
	}
}

// Fault 4: the server may have no more memory.
func TestFault4AServerWithoutMemoryCostsNoService(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{"held": file("held", quiet)})
	d := in.observed("a", "still")
	in.launch()
	in.lived("a", d, 1)
	in.must("stop", "--wait", "held")
	check, server := in.untouched("a"), in.serverPID()
	// Not a byte more than it has, in data and in address space.
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", server))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	for what, field := range map[int]int{unix.RLIMIT_AS: 0, unix.RLIMIT_DATA: 5} {
		pages, err := strconv.ParseUint(fields[field], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		now := pages * uint64(os.Getpagesize())
		if err := unix.Prlimit(server, what, &unix.Rlimit{Cur: now, Max: now}, nil); err != nil {
			t.Fatal(err)
		}
	}
	// Whatever it is asked for, long requests have to be held somewhere.
	long := strings.Repeat("x", 900<<10)
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	for range 64 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if c, err := sock.Dial(ctx, in.socket); err == nil {
					c.Status(ctx, long) // there is no such service, and perhaps no server
					c.Close()
				}
			}
		})
	}
	in.until("another server", func() (string, bool) {
		pid, err := ping(shortly(t), in.socket)
		return fmt.Sprint(pid, err), err == nil && pid != server
	})
	cancel()
	check()
	in.lived("a", d, 1)
	if s := in.status("held"); s.State.State != sock.Exited {
		t.Errorf("what was stopped by hand is %s", s.State.State)
	}
}

// Fault 65: an environment and arguments of 1 MiB.
func TestFault65AMebibyteOfEnvironmentAndArguments(t *testing.T) {
	t.Parallel()
	sleep := func(n, size int) string {
		return "sleep" + strings.Repeat(" "+strings.Repeat("0", size)+"100000", n)
	}
	in := newInstance(t, map[string]string{
		"big":   file("big", `sh -c "env | wc -c; exec sleep 100000"`),
		"wide":  file("wide", sleep(6, 100<<10), lifecycle, "restart_delay_ms = 50"),
		"other": file("other", quiet),
		// What Linux takes is 128 KiB in one argument, and in all together a quarter
		// of the limit of the stack.
		"long": file("long", sleep(1, 128<<10), noRestart),
		"over": file("over", sleep(9, 100<<10), noRestart),
	})
	for i := range 10 {
		in.env = append(in.env, fmt.Sprintf("BIG%d=%s", i, strings.Repeat("e", 120<<10)))
	}
	in.alter = func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", `ulimit -s 8192 && exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
	}
	in.launch()
	in.waitState("big wide other", "running")
	check := in.untouched("big", "wide", "other")
	in.until("what big has", func() (string, bool) {
		words := strings.Fields(in.must("logs", "big"))
		n, err := strconv.Atoi(words[len(words)-1])
		return fmt.Sprint(words, err), err == nil && n > 1<<20
	})
	for _, name := range []string{"long", "over"} {
		in.waitState(name, "failed")
		if s := in.status(name); !strings.Contains(s.Reason, "argument list too long") {
			t.Errorf("the reason of %s is %.300q", name, s.Reason)
		}
	}
	check()
	// The channel holds that again, and so does what the server wrote down.
	in.kill9("wide")
	in.waitRun("wide", 1)
	check = in.untouched("big", "wide", "other")
	in.killServer()
	check()
	in.kill9("wide")
	in.waitRun("wide", 2)
	in.untouched("big", "other")()
}
