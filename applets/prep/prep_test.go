package prep

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"zinit/reap"
)

type testCase struct {
	root   bool                          // needs the rights of root
	cgroup bool                          // gets a cgroup of its own, in ZINIT_TEST_CGROUP
	before func() error                  // in the keeper, before it is one
	spec   func(*reap.Spec) error        // in the server
	after  func(*reap.Client, *finding)  // in the server, when the process runs
	check  func(t *testing.T, f finding) // in the test
	failed string                        // what SpawnFailed says
	errno  syscall.Errno                 // and its errno
}

func is[T any](v T) *T { return &v }

var nobody = &reap.Credential{Uid: 65534, Gid: 65533, Groups: []uint32{7, 65532}}

// bare wants nothing; what it finds is what every process begins with.
func bare(*reap.Spec) error { return nil }

func inCgroup(s *reap.Spec) (err error) {
	s.Cgroup, err = os.Open(os.Getenv("ZINIT_TEST_CGROUP"))
	return err
}

var cases = map[string]testCase{
	"bare": {spec: bare, check: func(t *testing.T, f finding) { clean(t, f) }},
	"user": {root: true, spec: func(s *reap.Spec) error { s.User = nobody; return nil }, check: func(t *testing.T, f finding) {
		clean(t, f)
		isNobody(t, f)
		same(t, "CapEff", f.Status["CapEff"], "0000000000000000")
	}},
	"keepGroups": {root: true, before: func() error { return syscall.Setgroups([]int{11, 12}) },
		spec: func(s *reap.Spec) error {
			s.User = &reap.Credential{Uid: 1, Gid: 2, KeepGroups: true}
			return nil
		}, check: func(t *testing.T, f finding) { same(t, "Groups", f.Status["Groups"], "11 12") }},
	"all": {root: true, spec: func(s *reap.Spec) error {
		s.User, s.Dir = nobody, "/tmp"
		s.Prep = &reap.Prep{Umask: is(uint32(0o137)), Nice: is(7), OOMScoreAdj: is(321), NoNewPrivs: true,
			Rlimits: []reap.Rlimit{{Resource: unix.RLIMIT_NOFILE, Soft: 33, Hard: 44}, {Resource: unix.RLIMIT_CORE, Soft: 0, Hard: 0},
				{Resource: unix.RLIMIT_NPROC, Soft: 64, Hard: 65}, {Resource: unix.RLIMIT_AS, Soft: 1 << 24, Hard: 1 << 25}},
			PidVars: []string{"LISTEN_PID", "WATCHDOG_PID"}}
		return nil
	}, check: func(t *testing.T, f finding) {
		isNobody(t, f)
		same(t, "Umask", f.Status["Umask"], "0137")
		same(t, "nice", f.Stat[16], "7")
		same(t, "score", f.Score, "321")
		same(t, "NoNewPrivs", f.Status["NoNewPrivs"], "1")
		same(t, "nofile", f.Limits["Max open files"], "33 44")
		same(t, "core", f.Limits["Max core file size"], "0 0")
		same(t, "nproc", f.Limits["Max processes"], "64 65")
		same(t, "as", f.Limits["Max address space"], "16777216 33554432")
		same(t, "dir", f.Dir, "/tmp")
		pid := strconv.Itoa(f.Pid)
		same(t, "environment", strings.Join(f.Env, " "), "A=1 GOMAXPROCS=3 LISTEN_PID="+pid+" WATCHDOG_PID="+pid)
		nothingLeaks(t, f)
	}},
	"zero": {spec: func(s *reap.Spec) error { s.Prep = new(reap.Prep); return nil }, check: func(t *testing.T, f finding) { clean(t, f) }},
	"rootCapabilities": {root: true, spec: func(s *reap.Spec) error {
		s.Prep = &reap.Prep{Capabilities: is(uint64(1)<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_KILL)}
		return nil
	}, check: func(t *testing.T, f finding) {
		for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
			same(t, set, f.Status[set], "0000000000000420")
		}
	}},
	"userCapabilities": {root: true, spec: func(s *reap.Spec) error {
		s.User = nobody
		s.Prep = &reap.Prep{Capabilities: is(uint64(1) << unix.CAP_NET_BIND_SERVICE)}
		return nil
	}, check: func(t *testing.T, f finding) {
		isNobody(t, f)
		for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
			same(t, set, f.Status[set], "0000000000000400")
		}
	}},
	"noCapabilities": {root: true, spec: func(s *reap.Spec) error {
		s.User = nobody
		s.Prep = &reap.Prep{Capabilities: is(uint64(0)), NoNewPrivs: true}
		return nil
	}, check: func(t *testing.T, f finding) {
		for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
			same(t, set, f.Status[set], "0000000000000000")
		}
	}},
	"files": {spec: func(s *reap.Spec) (err error) {
		s.Stdin, err = os.Open("/etc/hostname")
		for _, path := range []string{"/etc/passwd", "/etc/group"} {
			f, wrong := os.Open(path)
			if wrong != nil {
				err = wrong
			}
			s.Files = append(s.Files, f)
		}
		return err
	}, check: func(t *testing.T, f finding) {
		same(t, "descriptors", strings.Join(f.sorted(), " "), "0 1 2 3 4")
		same(t, "0", f.Files["0"], "/etc/hostname")
		same(t, "4", f.Files["4"], "/etc/group")
	}},
	"tty":      {spec: terminal, check: hasTerminal},
	"ttyPrep":  {root: true, spec: func(s *reap.Spec) error { s.User, s.Prep = nobody, new(reap.Prep); return terminal(s) }, check: hasTerminal},
	"cgroup":   {cgroup: true, spec: inCgroup, check: inItsCgroup},
	"cgroupUp": {cgroup: true, spec: func(s *reap.Spec) error { s.Prep = new(reap.Prep); return inCgroup(s) }, check: inItsCgroup},
	"oldClone": {cgroup: true, before: noClone3, spec: inCgroup, check: inItsCgroup},
	"oldPrep": {cgroup: true, root: true, before: noClone3, spec: func(s *reap.Spec) error {
		s.User, s.Prep = nobody, &reap.Prep{Umask: is(uint32(0o77))}
		return inCgroup(s)
	}, check: func(t *testing.T, f finding) {
		isNobody(t, f)
		inItsCgroup(t, f)
		same(t, "Umask", f.Status["Umask"], "0077")
	}},

	"noProgram": {spec: func(s *reap.Spec) error { s.Path, s.Prep = "/nothing", new(reap.Prep); return nil }, errno: unix.ENOENT},
	"noDir": {spec: func(s *reap.Spec) error { s.Dir, s.Prep = "/nothing", new(reap.Prep); return nil },
		failed: "cannot enter dir /nothing: no such file or directory: correct the path", errno: unix.ENOENT},
	"hardLimit": {spec: func(s *reap.Spec) error {
		s.Prep = &reap.Prep{Rlimits: []reap.Rlimit{{Resource: unix.RLIMIT_NOFILE, Soft: 1, Hard: math.MaxUint64}}}
		return nil
	}, failed: "cannot set nofile to 1:unlimited: operation not permitted: fs.nr_open is ", errno: unix.EPERM},
	"hardLimitOfUser": {root: true, before: demote, spec: func(s *reap.Spec) error {
		s.Prep = &reap.Prep{Rlimits: []reap.Rlimit{{Resource: unix.RLIMIT_CORE, Soft: 1, Hard: 4}, {Resource: unix.RLIMIT_CORE, Soft: 1, Hard: 5}}}
		return nil
	}, failed: "cannot set core to 1:5: operation not permitted: the hard limit is 4, and raising it needs CAP_SYS_RESOURCE: lower it", errno: unix.EPERM},
	"badCapability": {root: true, spec: func(s *reap.Spec) error {
		s.Prep = &reap.Prep{Capabilities: is(uint64(1) << 63)}
		return nil
	}, failed: "cannot keep capability 63: operation not permitted: the keeper does not have it: remove it", errno: unix.EPERM},
	"notRoot": {root: true, before: demote, spec: func(s *reap.Spec) error { s.User = &reap.Credential{Uid: 7, Gid: 7}; return nil },
		failed: "cannot become user 7 with group 7: operation not permitted: only root can: run zinit as root", errno: unix.EPERM},
	"notRootPrep": {root: true, before: demote, spec: func(s *reap.Spec) error {
		s.User, s.Prep = &reap.Credential{Uid: 7, Gid: 7, KeepGroups: true}, new(reap.Prep)
		return nil
	}, failed: "cannot become group 7: operation not permitted: only root can: run zinit as root", errno: unix.EPERM},
	"niceUp": {root: true, before: demote, spec: func(s *reap.Spec) error { s.Prep = &reap.Prep{Nice: is(-3)}; return nil },
		failed: "cannot set nice to -3: permission denied: lowering it needs CAP_SYS_NICE: raise it", errno: unix.EACCES},
	"scoreDown": {root: true, before: demote, spec: func(s *reap.Spec) error { s.Prep = &reap.Prep{OOMScoreAdj: is(-1000)}; return nil },
		failed: "cannot set oom_score_adj to -1000: permission denied: lowering it needs CAP_SYS_RESOURCE: raise it", errno: unix.EACCES},
	"dropNothing": {root: true, before: demote, spec: func(s *reap.Spec) error { s.Prep = &reap.Prep{Capabilities: is(uint64(0))}; return nil },
		failed: "cannot drop CAP_CHOWN: operation not permitted: only root can: run zinit as root", errno: unix.EPERM},
	"noCgroup": {cgroup: true, before: noClone3, spec: func(s *reap.Spec) (err error) {
		s.Cgroup, err = os.Open("/tmp")
		return err
	}, failed: "cannot enter the cgroup: no such file or directory", errno: unix.ENOENT},
}

func demote() error {
	// The keeper's own files have to be readable by whoever it becomes: it is the test
	// binary, and its directory belongs to root.
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	for dir := filepath.Dir(exe); dir != "/" && dir != "/tmp"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	if err := syscall.Setgroups(nil); err != nil {
		return err
	}
	if err := syscall.Setresgid(4000, 4000, 4000); err != nil {
		return err
	}
	if err := syscall.Setresuid(4000, 4000, 4000); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
}

// noClone3 has the kernel refuse what is newer than 4.18.
func noClone3() error {
	code := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_CLONE3},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

func terminal(s *reap.Spec) error {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return err
	}
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		return err
	}
	s.Stdin, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	s.TTY = true
	return err
}

func hasTerminal(t *testing.T, f finding) {
	pid := strconv.Itoa(f.Pid)
	same(t, "session", f.Stat[3], pid)
	same(t, "foreground group", f.Stat[5], pid)
	if f.Stat[4] == "0" || !strings.HasPrefix(f.Files["0"], "/dev/pts/") {
		t.Errorf("terminal %s, standard input %s", f.Stat[4], f.Files["0"])
	}
	nothingLeaks(t, f)
}

func inItsCgroup(t *testing.T, f finding) {
	if !strings.HasPrefix(f.cgroupName(), "test-prep-") {
		t.Errorf("in %s", f.Cgroup)
	}
	nothingLeaks(t, f)
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, not %q", what, got, want)
	}
}

// clean is what every process begins with.
func clean(t *testing.T, f finding) {
	t.Helper()
	nothingLeaks(t, f)
	same(t, "environment", strings.Join(f.Env, " "), "A=1 LISTEN_PID=x GOMAXPROCS=3")
	other := exec.Command("sleep", "1000")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = other.Process.Kill()
		_ = other.Wait() // it was killed
	}()
	var files unix.Rlimit
	if err := unix.Prlimit(other.Process.Pid, unix.RLIMIT_NOFILE, nil, &files); err != nil {
		t.Fatal(err)
	}
	same(t, "nofile", f.Limits["Max open files"], amount(files.Cur)+" "+amount(files.Max))
}

func nothingLeaks(t *testing.T, f finding) {
	t.Helper()
	pid := strconv.Itoa(f.Pid)
	same(t, "group and session", f.Stat[2]+" "+f.Stat[3], pid+" "+pid)
	for _, set := range []string{"SigBlk", "SigIgn", "SigCgt"} {
		same(t, set, f.Status[set], "0000000000000000")
	}
	if got := f.sorted(); !slices.Equal(got, []string{"0", "1", "2"}) {
		t.Errorf("descriptors %v", f.Files)
	}
	for _, variable := range f.Env {
		if strings.HasPrefix(variable, "GOGC=") {
			t.Errorf("environment %v", f.Env)
		}
	}
}

func isNobody(t *testing.T, f finding) {
	t.Helper()
	same(t, "Uid", f.Status["Uid"], "65534\t65534\t65534\t65534")
	same(t, "Gid", f.Status["Gid"], "65533\t65533\t65533\t65533")
	same(t, "Groups", f.Status["Groups"], "7 65532")
}

func TestAProcessBeginsWithWhatWasOrdered(t *testing.T) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := of(t, name)
			if f.Failed.Errno != c.errno || !strings.HasPrefix(f.Failed.Text, c.failed) || c.errno != 0 && c.failed == "" && f.Failed.Text != "" {
				t.Fatalf("failed: %+v (%v)", f.Failed, f.Failed.Errno)
			}
			if c.check != nil {
				c.check(t, f)
			}
		})
	}
}
