package reap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"zinit/reap/cgroup"
)

// inGroup plays a scenario whose processes are born in a real cgroup.
func inGroup(t *testing.T, name string) {
	t.Helper()
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if unix.Access(mount+"/cgroup.procs", unix.W_OK) != nil || unix.Access(mount+"/cgroup.controllers", unix.R_OK) != nil {
			continue
		}
		dir, err := os.MkdirTemp(mount, "test-reap-")
		if err != nil {
			t.Skip(err)
		}
		t.Setenv("ZINIT_TEST_CGROUP", dir)
		defer func() {
			_ = cgroup.Kill(dir) // who should be gone by now, if the test failed
			if err := eventually("the cgroup is empty", func() bool { return os.Remove(dir) == nil }); err != nil {
				t.Error(err)
			}
		}()
		play(t, name)
		return
	}
	t.Skip("there is no cgroup v2 tree that can be written")
}

func cgroupSpec(key string, run uint64, part string, args ...string) Spec {
	sp := spec(key, run, part, args...)
	dir, err := os.Open(os.Getenv("ZINIT_TEST_CGROUP"))
	if err != nil {
		panic(err)
	}
	sp.Cgroup = dir
	return sp
}

// leaves starts a main process that leaves others behind in its cgroup alone.
func leaves(s *serverPlay, key string, run uint64) (left int, err error) {
	main, left, err := spawnTelling(s, cgroupSpec(key, run, "daemonize", "p"))
	if err != nil {
		return 0, err
	}
	return left, exits(s, Exited{Key: key, Run: run, Pid: main, Lingers: true})
}

func groupGone(s *serverPlay, key string, run uint64) error {
	g, err := nextEvent[GroupGone](s)
	if err == nil && g != (GroupGone{key, run}) {
		err = fmt.Errorf("%#v", g)
	}
	return err
}

// Who has left the group has not left the cgroup.
var leftInCgroup = scenario{server: func(_ int, s *serverPlay) error {
	for run := uint64(1); run <= 3; run++ {
		pid, err := leaves(s, "a", run)
		if err != nil {
			return err
		}
		switch run {
		case 1:
			s.Signal("a", run, syscall.SIGTERM, ScopeCgroup)
		case 2:
			s.Signal("a", run, syscall.SIGKILL, ScopeCgroup)
		case 3:
			s.Signal("a", run, syscall.SIGKILL, ScopeGroup) // reaches nobody
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if err := groupGone(s, "a", run); err != nil {
			return fmt.Errorf("run %d: %w", run, err)
		}
	}
	return nil
}}

func TestWhoIsLeftInTheCgroupIsSeenSignalledAndItsEndTold(t *testing.T) { inGroup(t, "leftInCgroup") }

// The last one does not end but goes elsewhere: nobody is reaped.
var movedOut = scenario{server: func(_ int, s *serverPlay) error {
	pid, err := leaves(s, "a", 1)
	if err != nil {
		return err
	}
	elsewhere := filepath.Join(filepath.Dir(os.Getenv("ZINIT_TEST_CGROUP")), "cgroup.procs")
	if err := os.WriteFile(elsewhere, []byte(strconv.Itoa(pid)), 0); err != nil {
		return err
	}
	defer unix.Kill(pid, unix.SIGKILL)
	return groupGone(s, "a", 1)
}}

func TestACgroupThatWasLeftIsSeenWithoutReaping(t *testing.T) { inGroup(t, "movedOut") }

// In a shutdown a cgroup goes with its last process; a hook that was to be born there is
// born all the same, with the step before it or without.
var drained = scenario{server: func(_ int, s *serverPlay) error {
	s.Spawn(cgroupSpec("a", 1, "p"))
	e, err := nextEvent[Spawned](s)
	if err != nil {
		return err
	}
	hook, prepared := cgroupSpec("a/stop", 1, "p"), cgroupSpec("a/stop2", 1, "p")
	umask := uint32(0o22)
	prepared.Prep = &Prep{Umask: &umask}
	dir := os.Getenv("ZINIT_TEST_CGROUP")
	s.Draining()
	s.Signal("a", 1, syscall.SIGKILL, ScopeMain)
	if err := exits(s, Exited{Key: "a", Run: 1, Pid: e.Pid, Status: KilledBy(syscall.SIGKILL)}); err != nil {
		return err
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the cgroup is left: %v", err)
	}
	for _, sp := range []Spec{hook, prepared} {
		s.Spawn(sp)
		sp.Cgroup.Close()
		if e, err = nextEvent[Spawned](s); err != nil {
			return err
		}
		s.Signal(sp.Key, 1, syscall.SIGKILL, ScopeMain)
		if err := exits(s, Exited{Key: sp.Key, Run: 1, Pid: e.Pid, Status: KilledBy(syscall.SIGKILL)}); err != nil {
			return err
		}
	}
	return os.Mkdir(dir, 0o755)
}}

func TestACgroupThatIsEmptyInAShutdownGoes(t *testing.T) { inGroup(t, "drained") }

// What one run has left in the cgroup is the next one's.
var nextTenant = scenario{server: func(_ int, s *serverPlay) error {
	pid, err := leaves(s, "a", 1)
	if err != nil {
		return err
	}
	s.Spawn(cgroupSpec("a", 2, "p"))
	if err := groupGone(s, "a", 1); err != nil {
		return err
	}
	e, err := nextEvent[Spawned](s)
	if err != nil {
		return err
	}
	if gone(pid) {
		return fmt.Errorf("it ended with its run")
	}
	s.Signal("a", 2, syscall.SIGKILL, ScopeMain)
	if err := exits(s, Exited{Key: "a", Run: 2, Pid: e.Pid, Status: KilledBy(syscall.SIGKILL), Lingers: true}); err != nil {
		return err
	}
	s.Signal("a", 2, syscall.SIGKILL, ScopeCgroup)
	return groupGone(s, "a", 2)
}}

func TestWhatARunLeavesInItsCgroupIsTheNextOnes(t *testing.T) { inGroup(t, "nextTenant") }

// A fork bomb whose processes each have a session of their own.
var bombed = scenario{server: func(_ int, s *serverPlay) error {
	s.Spawn(cgroupSpec("a", 1, "bomb"))
	e, err := nextEvent[Spawned](s)
	if err != nil {
		return err
	}
	if err := exits(s, Exited{Key: "a", Run: 1, Pid: e.Pid, Lingers: true}); err != nil {
		return err
	}
	s.Signal("a", 1, syscall.SIGKILL, ScopeCgroup)
	return groupGone(s, "a", 1)
}}

func TestAForkBombInItsCgroupEnds(t *testing.T) { inGroup(t, "bombed") }

var noInotify = scenario{before: func() error {
	return refuse(rule{unix.SYS_INOTIFY_INIT1, unix.EMFILE, ""})
}, server: func(_ int, s *serverPlay) error {
	if _, err := leaves(s, "a", 1); err != nil {
		return err
	}
	s.Signal("a", 1, syscall.SIGKILL, ScopeCgroup)
	return groupGone(s, "a", 1)
}}

func TestACgroupIsAskedAboutWhenNobodyTells(t *testing.T) { inGroup(t, "noInotify") }

// A kernel without what is newer than 4.18 but for the cgroup itself.
var oldTenant = scenario{before: func() error {
	return refuse(rule{unix.SYS_PIDFD_OPEN, unix.ENOSYS, ""}, rule{unix.SYS_CLONE3, unix.ENOSYS, ""},
		rule{unix.SYS_CLOSE_RANGE, unix.ENOSYS, ""})
}, server: func(n int, s *serverPlay) error {
	if err := leftInCgroup.server(n, s); err != nil {
		return err
	}
	return watchForeign(s, "b")
}}

func TestAnOldKernelIsEnoughForCgroupsAndWatching(t *testing.T) { inGroup(t, "oldTenant") }

// What a later server is told of a watched process and of one in a cgroup.
var told = scenario{keeper: func(k *keeperPlay) error {
	for range 2 {
		if err := k.serve(); err != nil {
			return err
		}
		if err := k.ended(); err != nil {
			return err
		}
	}
	return nil
}, server: func(n int, s *serverPlay) error {
	if n == 1 {
		pid, err := leaves(s, "a", 1)
		if err != nil {
			return err
		}
		if err := watches(s, "a", 1, pid); err != nil {
			return err
		}
		_, err = leaves(s, "b", 3)
		return err
	}
	dir := os.Getenv("ZINIT_TEST_CGROUP")
	for _, c := range s.inv.Children {
		want := c.Key == "a" && c.Run == 1 && c.Watched && !c.MainGone || c.Key == "b" && c.Run == 3 && !c.Watched && c.MainGone
		if !want || c.Cgroup != dir || !c.Group {
			return fmt.Errorf("%+v", c)
		}
	}
	if len(s.inv.Children) != 2 || len(s.inv.Exits) != 1 || s.inv.Exits[0].Key != "b" {
		return fmt.Errorf("%+v", s.inv)
	}
	s.Signal("a", 1, syscall.SIGTERM, ScopeMain)
	if e, err := nextEvent[Exited](s); err != nil || e.Key != "a" || !e.Lingers { // with b, in the same cgroup
		return fmt.Errorf("%v: %#v", err, e)
	}
	s.Signal("b", 3, syscall.SIGKILL, ScopeCgroup)
	for range 2 {
		if _, err := nextEvent[GroupGone](s); err != nil {
			return err
		}
	}
	return nil
}}

func TestTheNextServerIsToldWhoIsWatchedAndWhoIsInACgroup(t *testing.T) { inGroup(t, "told") }

var cgroupAgain = scenario{keeper: whenAsked, server: func(_ int, s *serverPlay) error {
	pid, err := leaves(s, "a", 1)
	if err != nil {
		return err
	}
	if err := reexecuted(s); err != nil {
		return err
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return err
	}
	if err := groupGone(s, "a", 1); err != nil {
		return err
	}
	// And one that the program watches anew.
	if pid, err = leaves(s, "a", 2); err != nil {
		return err
	}
	if err := watches(s, "a", 2, pid); err != nil {
		return err
	}
	if err := reexecuted(s); err != nil {
		return err
	}
	s.Signal("a", 2, syscall.SIGTERM, ScopeCgroup)
	return exits(s, Exited{Key: "a", Run: 2, Pid: pid, Status: KilledBy(syscall.SIGTERM)})
}}

func TestWhoIsInACgroupOutlivesTheKeepersProgram(t *testing.T) { inGroup(t, "cgroupAgain") }

// A guest enters the cgroup and is not answerable for it.
var guest = scenario{server: func(_ int, s *serverPlay) error {
	s.Spawn(cgroupSpec("a", 1, "p"))
	if _, err := nextEvent[Spawned](s); err != nil {
		return err
	}
	probe := cgroupSpec("a/health", 1, "p")
	probe.Guest = true
	s.Spawn(probe)
	e, err := nextEvent[Spawned](s)
	if err != nil {
		return err
	}
	if pids, err := cgroup.Procs(os.Getenv("ZINIT_TEST_CGROUP")); err != nil || len(pids) != 2 {
		return fmt.Errorf("%v: %v", err, pids)
	}
	s.Signal("a/health", 1, syscall.SIGKILL, ScopeCgroup)
	if err := exits(s, Exited{Key: "a/health", Run: 1, Pid: e.Pid, Status: KilledBy(syscall.SIGKILL)}); err != nil {
		return err
	}
	s.Watch("a", 1, e.Pid) // it was in the cgroup, and is remembered as none of a's
	if _, err := nextEvent[WatchFailed](s); err != nil {
		return err
	}
	s.Signal("a", 1, syscall.SIGKILL, ScopeCgroup)
	_, err = nextEvent[Exited](s)
	return err
}}

func TestAGuestOfACgroupIsNotAnswerableForIt(t *testing.T) { inGroup(t, "guest") }
