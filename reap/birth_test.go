package reap

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A child is born with its own session and group, nothing ignored or blocked, no
// descriptor but the three, and reads nothing; however the keeper was started.
var birth = scenario{before: func() error {
	if os.Getenv("ZINIT_TEST_AGAIN") != "" {
		return nil
	}
	runtime.LockOSThread()
	if _, err := unix.FcntlInt(2, unix.F_DUPFD, 99); err != nil { // an inherited descriptor
		return err
	}
	action := [8]uintptr{sigIgn}
	for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGCHLD, unix.SIGTSTP, unix.SIGPIPE, unix.SIGTTOU, 40} {
		if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0); errno != 0 {
			return errno
		}
	}
	var blocked unix.Sigset_t
	blocked.Val[0] = 1<<(unix.SIGUSR2-1) | 1<<(unix.SIGTERM-1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &blocked, nil); err != nil {
		return err
	}
	return syscall.Exec(self(), os.Args, append(os.Environ(), "ZINIT_TEST_AGAIN=1"))
}, server: func(_ int, s *serverPlay) error {
	for run := uint64(1); run <= 8; run++ {
		sp := spec("a", run, "p")
		sp.Keep[0], sp.Stdout = pipe()
		s.Spawn(sp)
		e, err := nextEvent[Spawned](s)
		if err != nil {
			return err
		}
		if err := wellBorn(e.Pid); err != nil {
			return err
		}
		s.Signal("a", run, syscall.SIGHUP, ScopeMain)
		end, err := nextEvent[Exited](s)
		if err != nil || end.Status != KilledBy(syscall.SIGHUP) {
			return fmt.Errorf("%v: %#v", err, end)
		}
		if rest, err := io.ReadAll(sp.Keep[0]); err != nil || len(rest) > 0 {
			return fmt.Errorf("its output: %q %v", rest, err)
		}
	}
	if size := statusLine(os.Getpid(), "FDSize"); len(size) < 4 {
		return fmt.Errorf("the server's descriptor table has %s entries", size)
	}
	return nil
}}

// wellBorn waits for it: who has forked goes on when the new program has its memory,
// and the kernel takes the old one's signal handlers away a moment later.
func wellBorn(pid int) (err error) {
	for late := time.After(patience); ; {
		if err = isWellBorn(pid); err == nil {
			return nil
		}
		select {
		case <-late:
			return err
		case <-time.After(time.Millisecond):
		}
	}
}

func isWellBorn(pid int) error {
	for _, field := range []string{"SigBlk", "SigIgn", "SigCgt"} {
		if strings.Trim(statusLine(pid, field), "0") != "" {
			return fmt.Errorf("%s is %s", field, statusLine(pid, field))
		}
	}
	open := openFiles(pid)
	if len(open) != 3 || !open[0] || !open[1] || !open[2] {
		return fmt.Errorf("descriptors %v", open)
	}
	if name, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/fd/0"); name != "/dev/null" {
		return fmt.Errorf("input is %q %v", name, err)
	}
	if size := statusLine(pid, "FDSize"); len(size) > 3 { // an inherited high descriptor may have made it 256
		return fmt.Errorf("the descriptor table has %s entries", size)
	}
	sid, _ := unix.Getsid(pid)
	pgid, _ := unix.Getpgid(pid)
	if sid != pid || pgid != pid {
		return fmt.Errorf("pid %d, session %d, group %d", pid, sid, pgid)
	}
	return nil
}

func statusLine(pid int, field string) string {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	found := regexp.MustCompile(field + `:\s*(\S+)`).FindSubmatch(text)
	if found == nil {
		return "?"
	}
	return string(found[1])
}

// The same with a kernel that has no close_range.
var birthOld = scenario{before: func() error {
	if _, err := unix.FcntlInt(2, unix.F_DUPFD, 77); err != nil {
		return err
	}
	return refuse(rule{unix.SYS_CLOSE_RANGE, unix.ENOSYS, ""})
}, server: birth.server}

func TestAChildIsBornClean(t *testing.T) {
	play(t, "birth")
	play(t, "birthOld")
}

// A server that cannot be executed is an error, after which another can start.
var badServer = scenario{keeper: func(k *keeperPlay) error {
	for range 3 {
		_, err := k.StartServer("/nonexistent/server", []string{"server"}, nil, [3]*os.File{})
		if err == nil || !strings.Contains(err.Error(), "cannot start server /nonexistent/server: no such file") {
			return fmt.Errorf("error %v", err)
		}
	}
	before := len(openFiles(os.Getpid()))
	for range 3 {
		if err := k.serve(); err != nil {
			return err
		}
		if _, err := k.StartServer("/x", nil, nil, [3]*os.File{}); err == nil {
			return fmt.Errorf("two servers")
		}
		if err := k.ended(); err != nil {
			return err
		}
	}
	// The channel of the last one is closed by whoever reads it.
	return eventually("no descriptor is leaked", func() bool { return len(openFiles(os.Getpid())) <= before })
}, server: func(int, *serverPlay) error { return nil }}

func TestAServerThatCannotStartIsAnError(t *testing.T) { play(t, "badServer") }

// An idle keeper does nothing at all; its server looks on.
var idle = scenario{server: func(_ int, s *serverPlay) error {
	for i := range 100 {
		s.Spawn(spec("s"+strconv.Itoa(i), 1, "p"))
		if _, err := nextEvent[Spawned](s); err != nil {
			return err
		}
	}
	keeper := os.Getppid()
	before, quiet := switches(keeper), 0
	for range 200 { // the runtime needs a moment until it is at rest
		<-time.After(300 * time.Millisecond)
		now := switches(keeper)
		if quiet++; now != before {
			before, quiet = now, 0
		}
		if quiet == 6 {
			return nil
		}
	}
	return fmt.Errorf("never at rest")
}}

// switches is the number of context switches of all threads of a process.
func switches(pid int) (n int) {
	lines, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/status")
	for _, name := range lines {
		text, _ := os.ReadFile(name)
		for _, found := range regexp.MustCompile(`ctxt_switches:\s*(\d+)`).FindAllSubmatch(text, -1) {
			count, _ := strconv.Atoi(string(found[1]))
			n += count
		}
	}
	return n
}

func TestAnIdleKeeperDoesNotWakeUp(t *testing.T) {
	play(t, "idle")
}

func TestSelfIsTheBinaryThatWasExecuted(t *testing.T) {
	f, path, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.Stat(self())
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(a, b) || !filepath.IsAbs(path) {
		t.Errorf("%s is not %s", path, self())
	}
}

// Where /dev/null is missing, what stands in for it ends a reader at once and
// fails a writer without a signal.
func TestAMissingNullDeviceIsReplaced(t *testing.T) {
	null, err := openNullAt(filepath.Join(t.TempDir(), "null"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	if n, err := unix.Read(null, make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("read: %d, %v", n, err)
	}
	if _, err := unix.Write(null, []byte("x")); err != unix.EBADF {
		t.Errorf("write: %v", err)
	}
}
