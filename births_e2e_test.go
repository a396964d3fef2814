package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// factsOf reads files of /proc about a process.
func factsOf(t *testing.T, pid int) func(file, name string) string {
	return func(file, name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(strings.ReplaceAll(string(text), "\x00", "\n")) {
			if rest, ok := strings.CutPrefix(line, name); ok {
				return strings.Join(strings.Fields(rest), " ")
			}
		}
		return ""
	}
}

// TestAServiceBeginsAsItsFileSays with everything that its process can be given.
func TestAServiceBeginsAsItsFileSays(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	in := newInstance(t, nil)
	vars := filepath.Join(in.dir, "vars")
	if err := os.WriteFile(vars, []byte("FROM_FILE='a b'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	in.write("web", `[service]
name = "web"
exec = "sleep 1000"
dir = "/tmp"
user = "nobody"
supplementary_groups = [7, "daemon"]
umask = "0137"
nice = 3
oom_score_adj = 222
capabilities = ["net_bind_service"]
no_new_privs = true
env_file = "`+vars+`"
inherit_env = false
[service.env]
OWN = "1"
[rlimits]
nofile = "100:200"
core = 0
`)
	in.write("plain", "[service]\nname = \"plain\"\nexec = \"sleep 1001\"\n")
	in.launch()
	in.waitState("web plain", "running")
	fact := factsOf(t, in.pid("web"))
	for _, want := range []struct{ file, name, value string }{
		{"status", "Uid:", "65534 65534 65534 65534"},
		{"status", "Umask:", "0137"},
		{"status", "NoNewPrivs:", "1"},
		{"status", "CapEff:", "0000000000000400"},
		{"status", "CapBnd:", "0000000000000400"},
		{"status", "SigBlk:", "0000000000000000"},
		{"status", "SigIgn:", "0000000000000000"},
		{"limits", "Max open files", "100 200 files"},
		{"limits", "Max core file size", "0 0 bytes"},
		{"oom_score_adj", "", "222"},
		{"environ", "OWN=", "1"},
		{"environ", "FROM_FILE=", "a b"},
		{"environ", "USER=", "nobody"},
		{"environ", "HOME=", "/nonexistent"},
		{"environ", "GOGC=", ""},
	} {
		if got := fact(want.file, want.name); got != want.value {
			t.Errorf("%s of %s: %q, not %q", want.name, want.file, got, want.value)
		}
	}
	if groups := fact("status", "Groups:"); !strings.Contains(" "+groups+" ", " 7 ") {
		t.Errorf("groups %q", groups)
	}
	if dir, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(in.pid("web")), "cwd")); dir != "/tmp" {
		t.Errorf("in %s: %v", dir, err)
	}
	for _, name := range []string{"web", "plain"} {
		names, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(in.pid(name)), "fd"))
		if err != nil || len(names) != 3 {
			t.Errorf("%s: descriptors %v %v", name, names, err)
		}
	}
}

// TestABirthThatFailsSaysWhy, and nothing is started.
func TestABirthThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	head := "[service]\nexec = \"sleep 1000\"\n"
	tail := "[lifecycle]\nrestart = \"never\"\n"
	in := startServer(t, map[string]string{
		"who":   "[service]\nname = \"who\"\n" + head[10:] + "user = \"nosuchuser\"\n" + tail,
		"where": "[service]\nname = \"where\"\n" + head[10:] + "dir = \"/nothing\"\n" + tail,
		"limit": "[service]\nname = \"limit\"\n" + head[10:] + tail + "[rlimits]\nnofile = \"unlimited\"\n",
	})
	in.waitState("who where limit", "failed")
	for name, want := range map[string]string{
		"who":   "user nosuchuser does not exist: it is not in /etc/passwd: create it, or correct the name",
		"where": "dir /nothing does not exist: make it, or correct the path",
		"limit": "cannot set nofile to unlimited:unlimited: operation not permitted",
	} {
		if out, _ := in.zinit("why", name); !strings.Contains(out, want) {
			t.Errorf("%s: %q is not in %s", name, want, out)
		}
	}
}

// cgroupOf is the directory of the cgroup that a process is in, empty where there is
// no tree that can be written.
func cgroupOf(t *testing.T, pid int) string {
	t.Helper()
	path := factsOf(t, pid)("cgroup", "0::")
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if dir := filepath.Join(mount, path); path != "" {
			if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
				return dir
			}
		}
	}
	return ""
}

// TestStopReachesWhoHasLeftTheGroup: processes in sessions of their own, the last of
// them without a parent.
func TestStopReachesWhoHasLeftTheGroup(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"crowd": "[service]\nname = \"crowd\"\nexec = \"sh -c 'for i in 1 2 3; do setsid sh -c \\\"sleep 1003 & sleep 1004\\\" & done; sleep 1005'\"\n[lifecycle]\nstop_timeout_ms = 300\n",
	})
	in.waitState("crowd", "running")
	dir := cgroupOf(t, in.pid("crowd"))
	if filepath.Base(dir) != "crowd.svc" {
		t.Skipf("services have no cgroups here: %q", dir)
	}
	members := func() string {
		text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var seen []process
	in.until("all of them", func() (string, bool) {
		text := members()
		seen = nil
		for _, word := range strings.Fields(text) {
			pid, _ := strconv.Atoi(word)
			if p, ok := processOf(pid); ok {
				seen = append(seen, p)
			}
		}
		return text, len(seen) == 11
	})
	in.replaceServer()
	in.must("stop", "crowd")
	in.waitState("crowd", "exited")
	if left := alive(seen); len(left) != 0 || members() != "" {
		t.Errorf("left: %v, in the cgroup: %q", left, members())
	}
	// And it can be started again, though its cgroup was killed.
	in.must("start", "crowd")
	in.waitState("crowd", "running")
	if again := cgroupOf(t, in.pid("crowd")); again != dir {
		t.Errorf("in %s, it was %s", again, dir)
	}
}

// TestTheTreeOfCgroupsGoesWithTheKeeper that has made it.
func TestTheTreeOfCgroupsGoesWithTheKeeper(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{"a": "[service]\nname = \"a\"\nexec = \"sleep 1006\"\n"})
	in.waitState("a", "running")
	dir := cgroupOf(t, in.pid("a"))
	if filepath.Base(dir) != "a.svc" {
		t.Skipf("services have no cgroups here: %q", dir)
	}
	tree := filepath.Dir(dir)
	if want := fmt.Sprintf("zinit-%d", in.keeperPID()); filepath.Base(tree) != want || cgroupOf(t, in.keeperPID()) != filepath.Join(tree, "keeper") {
		t.Errorf("the tree is %s, not %s", tree, want)
	}
	in.shutdown()
	if _, err := os.Stat(tree); !os.IsNotExist(err) {
		t.Errorf("left: %v", err)
	}
}

// TestATerminalIsTheServices: a shell on it reads, writes and is its session's leader.
func TestATerminalIsTheServices(t *testing.T) {
	t.Parallel()
	master, slave := terminal(t)
	defer master.Close()
	in := startServer(t, map[string]string{
		"shell": "[service]\nname = \"shell\"\nexec = \"sh -c 'read line; tty; echo got $line; ps -o tpgid= -p $$; echo pid $$; exec sleep 1007'\"\ntty = \"" + slave + "\"\n",
	})
	in.waitState("shell", "running")
	if _, err := master.WriteString("hello\n"); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(in.pid("shell"))
	text, buf := "", make([]byte, 4096)
	in.until("the words of the shell", func() (string, bool) {
		n, err := master.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		text += string(buf[:n])
		return text, strings.Contains(text, slave) && strings.Contains(text, "got hello") && strings.Contains(text, pid+"\r\npid "+pid)
	})
}

// terminal makes a pseudo-terminal.
func terminal(t *testing.T) (master *os.File, slave string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	// The garbage collector would close one that the caller has no use for, which hangs
	// the terminal up.
	t.Cleanup(func() { master.Close() })
	var n, unlocked int32
	for _, call := range []struct {
		request uintptr
		arg     *int32
	}{{syscall.TIOCSPTLCK, &unlocked}, {syscall.TIOCGPTN, &n}} {
		if errno := ioctl(master, call.request, call.arg); errno != 0 {
			t.Skip(errno)
		}
	}
	return master, "/dev/pts/" + strconv.Itoa(int(n))
}

func ioctl(f *os.File, request uintptr, arg *int32) syscall.Errno {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(unsafe.Pointer(arg)))
	return errno
}
