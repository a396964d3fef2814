package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bomb makes more and more of itself, each in a session of its own and deaf to TERM,
// for as long as there is the file. A process that cannot fork any more ends.
const bomb = "trap '' TERM\nwhile test -e %s; do\n\tsetsid sh \"$0\" &\n\tsleep 0.4\ndone\n"

// bombMost bounds it, because the limit of processes is one of its user.
const bombMost = 60

// ofUser are the living processes of a user.
func ofUser(uid int) []process {
	var out []process
	for _, p := range processes() {
		info, err := os.Stat("/proc/" + strconv.Itoa(p.pid))
		if err != nil || p.state == "Z" {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) == uid {
			out = append(out, p)
		}
	}
	return out
}

// explode starts a service with a fork bomb, of a user that has nothing else, and
// returns when it has gone off. A bomb may come to its end by itself, where none of it
// can fork any more; what is started beside it does not.
func explode(t *testing.T, in *instance, uid int) {
	t.Helper()
	in.cue("fuse")
	t.Cleanup(func() { os.Remove(in.path("fuse")) })
	program := in.path("bomb")
	executable(t, program, fmt.Appendf(nil, bomb, in.path("fuse")))
	in.write("bomb", file("bomb", "sh -c 'setsid sleep 100000 & setsid sh "+program+" & exec sleep 100000'", fmt.Sprintf("user = %d", uid),
		noRestart, "stop_timeout_ms = 200", "[rlimits]", fmt.Sprintf("nproc = %d", bombMost), "[limits]", "tasks_max = 200"))
	in.write("calm", file("calm", quiet))
	in.until("the end of an earlier one", func() (string, bool) {
		left := ofUser(uid)
		return fmt.Sprint(left), len(left) == 0
	})
	in.launch()
	in.waitState("bomb calm", "running")
	in.until("an explosion", func() (string, bool) {
		n := len(ofUser(uid))
		return strconv.Itoa(n), n > bombMost/2
	})
}

// cgroupMount is where cgroups of version 2 are mounted.
func cgroupMount(t *testing.T) string {
	t.Helper()
	for _, mount := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if exists(filepath.Join(mount, "cgroup.procs")) {
			return mount
		}
	}
	t.Skip("there are no cgroups of version 2")
	return ""
}

// Fault 19: a fork bomb that calls setsid is ended as a whole, whoever started it.
func TestFault19AForkBombIsEmptiedByItsCgroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to run a service as a user without other processes")
	}
	t.Parallel()
	const uid = aUser + 19
	in := newInstance(t, nil)
	explode(t, in, uid)
	check := in.untouched("calm")
	if dir := cgroupOf(t, in.pid("bomb")); filepath.Base(dir) != "bomb.svc" {
		t.Skipf("services have no cgroups here: %q", dir)
	}
	in.replaceServer()
	in.must("stop", "bomb")
	in.waitState("bomb", "exited")
	if left := ofUser(uid); len(left) > 0 {
		t.Errorf("%d processes are left: %v", len(left), left[0])
	}
	check()
	// And it is no hindrance to the next run.
	in.must("start", "bomb")
	in.waitState("bomb", "running")
	in.must("stop", "bomb")
	in.waitState("bomb", "exited")
	if left := ofUser(uid); len(left) > 0 {
		t.Errorf("%d processes are left: %v", len(left), left[0])
	}
}

// Fault 19 without cgroups: what has left its session cannot be told from others'.
// That is said, and the end of the keeper is the end of it.
func TestFault19WithoutCgroupsTheTruthIsTold(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to run a service as a user without other processes")
	}
	t.Parallel()
	const uid = aUser + 20
	in := newInstance(t, nil)
	in.confine("readonly:" + cgroupMount(t))
	explode(t, in, uid)
	if !in.tells("services have no cgroups") {
		t.Errorf("the log is\n%s", in.log)
	}
	if out := in.must("status", "bomb"); !strings.Contains(out, "tasks_max not in force") {
		t.Errorf("its status is\n%s", out)
	}
	main := in.pid("bomb")
	check := in.untouched("calm")
	if out := in.must("stop", "--wait", "bomb"); !strings.Contains(out, "Warning: bomb: ") || !strings.Contains(out, "have left their session live on, perhaps some of it (") {
		t.Errorf("the stop says\n%s\n%v", out, ofUser(uid))
	}
	in.waitState("bomb", "exited")
	if p, ok := processOf(main); ok && p.state != "Z" {
		t.Errorf("its main process is left: %v", p)
	}
	if out := in.must("status", "bomb"); !strings.Contains(out, "Left:    perhaps ") {
		t.Errorf("its status is\n%s", out)
	}
	check()
	in.shutdown()
	if left := ofUser(uid); len(left) > 0 {
		t.Errorf("%d processes are left: %v", len(left), left[0])
	}
}

// Fault 20: a daemon that forks twice, each time into a session of its own, belongs
// to its service; with cgroups and without.
func TestFault20ADaemonThatForksTwiceIsItsServices(t *testing.T) {
	t.Parallel()
	for name, confined := range map[string]bool{"with cgroups": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, nil)
			// The first process ends when the last one is there and the one between has
			// ended, as daemon(7) has it.
			in.write("daemon", file("daemon", acts(t, "apart", "5", "apart", "3", "note", in.path("up"), "serve", "join", "await", in.path("up"), "exit", "0"),
				`type = "forking"`, fmt.Sprintf("exec_start_pre = \"rm -f %s\"", in.path("up")), lifecycle, "restart_delay_ms = 1"))
			in.write("other", file("other", quiet))
			if confined {
				if os.Geteuid() != 0 {
					t.Skip("needs root to take the cgroups away")
				}
				in.confine("readonly:" + cgroupMount(t))
			}
			in.launch()
			in.waitState("daemon other", "running")
			pid := in.pid("daemon")
			p, ok := processOf(pid)
			if !ok || p.parent != in.keeperPID() {
				t.Fatalf("its main process is %v", p)
			}
			in.replaceServer()
			if got := in.pid("daemon"); got != pid {
				t.Errorf("it is %d, it was %d", got, pid)
			}
			run := in.kill9("daemon")
			p, _ = processOf(in.waitRun("daemon", run).State.PID)
			in.must("stop", "daemon")
			in.waitState("daemon", "exited")
			if left := alive([]process{p}); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// Fault 20, where nothing names the daemon and the process between is taken for it,
// because it takes its time to fork.
func TestFault20TheLastOfThoseThatForkIsTheDaemon(t *testing.T) {
	t.Parallel()
	for name, confined := range map[string]bool{"with cgroups": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, nil)
			in.write("daemon", file("daemon", acts(t, "apart", "9", "await", in.path("go"), "apart", "1", "serve", "write", in.path("pid"), "exit", "0"),
				`type = "forking"`, lifecycle, `restart = "always"`, "restart_delay_ms = 1"))
			if confined {
				if os.Geteuid() != 0 {
					t.Skip("needs root to take the cgroups away")
				}
				in.confine("readonly:" + cgroupMount(t))
			}
			in.launch()
			in.waitState("daemon", "running")
			between := in.pid("daemon")
			in.cue("go")
			in.until("the daemon itself", func() (string, bool) {
				text, err := os.ReadFile(in.path("pid"))
				s := in.status("daemon")
				if s.Run != 1 {
					t.Fatalf("it was started again: %+v", s)
				}
				return fmt.Sprintf("%+v, %q, %v", s, text, err), s.State.PID != between && string(text) == fmt.Sprint(s.State.PID)
			})
		})
	}
}

// Fault 44: a machine that was suspended, with everything on it. That a sign of life
// is late is nobody's fault then.
func TestFault44WhoWasAwayBlamesNobody(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	in.write("web", file("web", acts(t, "tell", "READY=1", "feed", in.path("enough"), "be", quiet),
		`type = "notify"`, `watchdog = "2s"`, noRestart))
	in.launch()
	in.waitState("web", "running")
	web, server, away := in.pid("web"), in.serverPID(), time.Now()
	in.send(server, syscall.SIGSTOP)
	in.send(web, syscall.SIGSTOP)
	in.until("more than the period to pass", func() (string, bool) {
		gone := time.Since(away)
		return gone.String(), gone > 3500*time.Millisecond
	})
	in.send(server, syscall.SIGCONT)
	in.until("the server to notice", func() (string, bool) {
		return in.log.String(), in.log.contains("away for a while")
	})
	if s := in.status("web"); s.State.State != "running" {
		t.Errorf("it is %+v", s)
	}
	in.send(web, syscall.SIGCONT)
	// It is watched as before.
	in.cue("enough")
	in.waitState("web", "failed")
	if got := in.status("web").Reason; !strings.Contains(got, "watchdog: no sign of life for 2s") {
		t.Errorf("its reason is %q", got)
	}
}

// older is the child that becomes a program for which the kernel is of version 4.18:
// every system call that came later is missing.
func older() int {
	const number, latest = 0, 424 // pidfd_send_signal, of 5.1, is the first that all architectures count alike
	code := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jt: 0, Jf: 1, K: latest},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	runtime.LockOSThread()
	var err error
	if os.Geteuid() != 0 {
		err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	if err == nil {
		program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
		if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); errno != 0 {
			err = errno
		}
	}
	if err == nil {
		os.Unsetenv(childVar)
		os.Unsetenv("GORACE")
		err = syscall.Exec(os.Args[1], os.Args[2:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "cannot make the kernel older:", err)
	return 1
}

// Fault 64: on a kernel of version 4.18 everything works.
func TestFault64AKernelThatLacksWhatIsNewIsEnough(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	in.write("plain", file("plain", quiet, lifecycle, "restart_delay_ms = 1"))
	in.write("prepared", file("prepared", quiet, "nice = 5", `umask = "0077"`))
	in.write("ready", file("ready", acts(t, "tell", "READY=1", "serve"), `type = "notify"`))
	in.write("daemon", file("daemon", acts(t, "apart", "1", "serve", "exit", "0"), `type = "forking"`))
	in.write("crowd", file("crowd", "sh -c 'setsid sleep 1003 & exec sleep 1005'", lifecycle, "stop_timeout_ms = 300"))
	in.write("hooked", file("hooked", quiet, `exec_start_pre = "true"`, `exec_stop = "true"`))
	in.alter = func(cmd *exec.Cmd) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Args = append([]string{self, cmd.Path, "zinit-server"}, cmd.Args[1:]...)
		cmd.Path = self
		cmd.Env = append(cmd.Env, childVar+"=older", "GORACE=atexit_sleep_ms=0")
	}
	in.launch()
	all := "plain prepared ready daemon crowd hooked"
	in.waitState(all, "running")
	if got := factsOf(t, in.keeperPID())("status", "Seccomp:"); got != "2" {
		t.Errorf("the filter of the keeper is %q", got)
	}
	check := in.untouched(strings.Fields(all)...)
	in.replaceServer()
	check()
	in.waitRun("plain", in.kill9("plain"))
	in.must("stop", "crowd")
	in.waitState("crowd", "exited")
	in.must("restart", "daemon")
	in.until("another run", func() (string, bool) { s := in.status("daemon"); return fmt.Sprint(s), s.Run == 2 })
	in.waitState("daemon", "running")
	in.shutdown()
}
