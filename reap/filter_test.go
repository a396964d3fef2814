package reap

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A rule refuses a system call of this process with an errno, in all its threads,
// from now on. With clone set only calls whose flags have the bit CLONE_THREAD
// (threads) or have it not (processes) are refused.
type rule struct {
	nr    uint32
	errno syscall.Errno
	clone string // "", "thread" or "process"
}

func refuse(rules ...rule) error {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		bits  = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret   = unix.BPF_RET | unix.BPF_K
	)
	var code []unix.SockFilter
	add := func(op uint16, jt, jf uint8, k uint32) {
		code = append(code, unix.SockFilter{Code: op, Jt: jt, Jf: jf, K: k})
	}
	for _, r := range rules {
		refused := uint32(unix.SECCOMP_RET_ERRNO) | uint32(r.errno)
		add(load, 0, 0, 0) // the number
		switch r.clone {
		case "":
			add(equal, 0, 1, r.nr)
		case "process":
			add(equal, 0, 3, r.nr)
			add(load, 0, 0, 16) // the first argument
			add(bits, 1, 0, unix.CLONE_THREAD)
		case "thread":
			add(equal, 0, 3, r.nr)
			add(load, 0, 0, 16)
			add(bits, 0, 1, unix.CLONE_THREAD)
		}
		add(ret, 0, 0, refused)
	}
	add(ret, 0, 0, unix.SECCOMP_RET_ALLOW)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(code)
	if errno != 0 {
		fmt.Fprintln(os.Stderr, "SKIP: no system call filter:", errno)
		os.Exit(0)
	}
	return nil
}

// forkRefused: the first service runs, then no process can be made; the failure
// has its reason and the first one goes on.
func forkRefused(errno syscall.Errno) scenario {
	return scenario{keeper: func(k *keeperPlay) error {
		if err := k.serveReady(); err != nil {
			return err
		}
		before := len(openFiles(os.Getpid()))
		if err := refuse(rule{unix.SYS_CLONE, errno, "process"}, rule{unix.SYS_CLONE3, errno, ""}); err != nil {
			return err
		}
		k.Forward(syscall.SIGHUP)
		err := k.ended()
		if after := len(openFiles(os.Getpid())); err == nil && after > before {
			err = fmt.Errorf("%d descriptors leaked", after-before)
		}
		return err
	}, server: func(_ int, s *serverPlay) error {
		s.Spawn(spec("first", 1, "p"))
		if _, err := nextEvent[Spawned](s); err != nil {
			return err
		}
		s.Ready()
		if _, err := nextEvent[Signaled](s); err != nil {
			return err
		}
		if err := failing(s, "second", 50, errno); err != nil {
			return err
		}
		s.Signal("first", 1, syscall.SIGTERM, ScopeGroup)
		_, err := nextEvent[Exited](s)
		return err
	}}
}

// failing makes n spawns with pipes, each of which must fail with that errno.
func failing(s *serverPlay, key string, n int, errno syscall.Errno) error {
	for run := range n {
		sp := spec(key, uint64(run+1), "p")
		_, sp.Stdout = pipe()
		_, sp.Stderr = pipe()
		s.Spawn(sp)
	}
	for range n {
		e, err := nextEvent[SpawnFailed](s)
		if err != nil || e.Errno != errno {
			return fmt.Errorf("%v: %#v", err, e)
		}
	}
	return nil
}

var (
	forkAgain  = forkRefused(unix.EAGAIN)
	forkMemory = forkRefused(unix.ENOMEM)
)

func TestARefusedForkFailsOneStartAlone(t *testing.T) {
	play(t, "forkAgain")
	play(t, "forkMemory")
}

// No descriptor is left in the keeper: each start fails cleanly with that reason,
// whichever step of it is refused, and starts work again when there are some.
var noFiles = scenario{server: func(_ int, s *serverPlay) error {
	keeper := os.Getppid()
	before := openFiles(keeper)
	var old unix.Rlimit
	if err := unix.Prlimit(keeper, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		return err
	}
	for spare := range 4 { // two outputs and the two ends of what reports a failed exec
		limit := unix.Rlimit{Cur: limitFor(before, spare), Max: old.Max}
		if err := unix.Prlimit(keeper, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
			return err
		}
		if err := failing(s, "a"+strconv.Itoa(spare), 20, unix.EMFILE); err != nil {
			return fmt.Errorf("%d spare: %w", spare, err)
		}
	}
	if err := unix.Prlimit(keeper, unix.RLIMIT_NOFILE, &old, nil); err != nil {
		return err
	}
	if after := openFiles(keeper); len(after) > len(before) {
		return fmt.Errorf("%d descriptors leaked", len(after)-len(before))
	}
	s.Spawn(spec("a0", 100, "p"))
	_, err := nextEvent[Spawned](s)
	return err
}}

func TestAFullDescriptorTableFailsOneStartAlone(t *testing.T) { play(t, "noFiles") }

// The same for a process that is prepared: whichever descriptor of the step is the one
// too many, and what it had been given is closed.
var fewFiles = scenario{server: func(_ int, s *serverPlay) error {
	keeper := os.Getppid()
	before := openFiles(keeper)
	var old unix.Rlimit
	if err := unix.Prlimit(keeper, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		return err
	}
	failed := 0
	for run := range uint64(14) {
		limit := unix.Rlimit{Cur: limitFor(before, int(run)), Max: old.Max}
		if err := unix.Prlimit(keeper, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
			return err
		}
		sp := preparedSpec("a", run+1, "\x07")
		_, sp.Stdout = pipe()
		sp.Stdin, _ = pipe()
		extra, _ := pipe()
		sp.Files = []*os.File{extra}
		s.Spawn(sp)
		extra.Close()
		e, err := s.event()
		if err != nil {
			return err
		}
		if e, ok := e.(SpawnFailed); ok {
			if failed++; e.Errno != unix.EMFILE {
				return fmt.Errorf("%d spare: %#v", run, e)
			}
			continue
		}
		if _, err := nextEvent[Exited](s); err != nil {
			return err
		}
	}
	if err := unix.Prlimit(keeper, unix.RLIMIT_NOFILE, &old, nil); err != nil {
		return err
	}
	if failed < 4 || failed > 13 {
		return fmt.Errorf("%d failed", failed)
	}
	return eventually("nothing is left open", func() bool { return len(openFiles(keeper)) <= len(before) })
}}

func TestAFullDescriptorTableFailsOnePreparationAlone(t *testing.T) { play(t, "fewFiles") }

// limitFor is the limit under which so many descriptors can still be made.
func limitFor(open map[int]bool, spare int) uint64 {
	free := 0
	for limit := 0; ; limit++ {
		if !open[limit] {
			free++
		}
		if free > spare {
			return uint64(limit)
		}
	}
}

// openFiles is the descriptors of a process.
func openFiles(pid int) map[int]bool {
	names, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	if err != nil {
		panic(err)
	}
	open := make(map[int]bool)
	for _, name := range names {
		n, _ := strconv.Atoi(name.Name())
		open[n] = true
	}
	return open
}

// Execs that cannot be: the errno is told.
var noExec = scenario{server: func(_ int, s *serverPlay) error {
	dir, err := os.MkdirTemp("", "reap")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	write := func(name, text string, mode os.FileMode) string {
		if err := os.WriteFile(dir+"/"+name, []byte(text), mode); err != nil {
			panic(err)
		}
		return dir + "/" + name
	}
	busy, err := os.Create(dir + "/busy")
	if err != nil {
		return err
	}
	defer busy.Close()
	if err := busy.Chmod(0o755); err != nil {
		return err
	}
	foreign := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\xff\x7f" + strings.Repeat("\x00", 60)
	cases := []struct {
		path, dir string
		errno     syscall.Errno
	}{
		{dir + "/missing", "", unix.ENOENT},
		{write("plain", "text", 0o644), "", unix.EACCES},
		{write("foreign", foreign, 0o755), "", unix.ENOEXEC},
		{dir + "/busy", "", unix.ETXTBSY},
		{self(), dir + "/missing", unix.ENOENT},
		{dir + "/plain/x", "", unix.ENOTDIR},
		{"nul\x00byte", "", unix.EINVAL},
	}
	for i, c := range cases {
		sp := spec("a", uint64(i+1), "p")
		sp.Path, sp.Dir = c.path, c.dir
		s.Spawn(sp)
		e, err := nextEvent[SpawnFailed](s)
		if err != nil || e.Errno != c.errno {
			return fmt.Errorf("%q: %v: %#v", c.path, err, e)
		}
	}
	return nil
}}

func TestAFailedExecTellsItsErrno(t *testing.T) { play(t, "noExec") }

// Arguments and environment far beyond a packet.
var large = scenario{server: func(_ int, s *serverPlay) error {
	run := uint64(0)
	try := func(env []string) (Event, error) {
		run++
		sp := spec("a", run, "count")
		sp.Env = env
		sp.Keep[0], sp.Stdout = pipe()
		defer sp.Keep[0].Close()
		s.Spawn(sp)
		e, err := s.event()
		if _, ok := e.(Spawned); ok {
			return s.event()
		}
		return e, err
	}
	for _, n := range []int{40, 47, 48, 49, 64, 100, 200} { // kilobytes
		env := make([]string, n)
		for i := range env {
			env[i] = "V" + strconv.Itoa(i) + "=" + strings.Repeat("x", 1018)
		}
		e, err := try(env)
		if exit, ok := e.(Exited); err != nil || !ok || exit.Status != ExitCode(n) {
			return fmt.Errorf("%d kB: %v %#v", n, err, e)
		}
	}
	cases := []struct {
		name, value string
		count       int
		want        syscall.Errno
	}{
		{"1 MiB in many", strings.Repeat("y", 1024), 1024, 0},
		{"one of 1 MiB", strings.Repeat("y", 1<<20), 1, unix.E2BIG},
		{"16 MiB", strings.Repeat("y", 1<<16), 256, unix.E2BIG},
	}
	for _, c := range cases {
		env := make([]string, c.count)
		for i := range env {
			env[i] = "V" + strconv.Itoa(i) + "=" + c.value
		}
		e, err := try(env)
		failed, _ := e.(SpawnFailed)
		if _, ran := e.(Exited); err != nil || ran != (c.want == 0) || failed.Errno != c.want {
			return fmt.Errorf("%s: %v %#v", c.name, err, e)
		}
	}
	return nil
}}

func TestLargeArgumentsRunOrFailWithTooBig(t *testing.T) { play(t, "large") }

// A kernel without what is newer than 4.18, and one that refuses a descriptor
// table of its own to the holder.
var oldKernel = scenario{before: func() error {
	return refuse(rule{unix.SYS_PIDFD_OPEN, unix.ENOSYS, ""}, rule{unix.SYS_CLONE3, unix.ENOSYS, ""},
		rule{unix.SYS_CLOSE_RANGE, unix.ENOSYS, ""}, rule{unix.SYS_UNSHARE, unix.EPERM, ""})
}, keeper: heir.keeper, server: heir.server}

func TestAnOldOrRestrictedKernelIsEnough(t *testing.T) { play(t, "oldKernel") }

func TestSignalByPidfdWithoutPidfds(t *testing.T) { play(t, "noPidfd") }

var noPidfd = scenario{server: func(_ int, s *serverPlay) error {
	s.Spawn(spec("a", 1, "p"))
	e, err := nextEvent[Spawned](s)
	if err != nil {
		return err
	}
	if err := refuse(rule{unix.SYS_PIDFD_OPEN, unix.ENOSYS, ""}); err != nil {
		return err
	}
	if err := SignalByPidfd(e.Pid, e.Start+1, syscall.SIGKILL); err != ErrStranger {
		return fmt.Errorf("a stranger was signalled: %v", err)
	}
	if err := SignalByPidfd(e.Pid, e.Start, syscall.SIGKILL); err != nil {
		return err
	}
	if _, err := nextEvent[Exited](s); err != nil {
		return err
	}
	if err := SignalByPidfd(e.Pid, e.Start, syscall.SIGKILL); err != unix.ESRCH {
		return fmt.Errorf("a reaped process: %v", err)
	}
	return nil
}}

// No further thread can be made: the keeper goes on through deaths of the server
// and through signals.
var noThreads = scenario{keeper: func(k *keeperPlay) error {
	err := refuse(rule{unix.SYS_CLONE, unix.EAGAIN, "thread"}, rule{unix.SYS_CLONE3, unix.EAGAIN, ""})
	if err != nil {
		return err
	}
	for range 10 {
		// The server inherits the filter and may die of it; the keeper may not.
		if err := k.serve(); err != nil {
			return err
		}
		if err := k.SignalServer(syscall.SIGKILL); err != nil {
			return err
		}
		if _, err := next[ServerExited](k); err != nil {
			return err
		}
		k.Forward(syscall.SIGHUP)
	}
	return nil
}, server: func(int, *serverPlay) error { return nil }}

func TestTheKeeperNeedsNoFurtherThread(t *testing.T) { play(t, "noThreads") }
