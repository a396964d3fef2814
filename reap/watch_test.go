package reap

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// spawnTelling starts a part that writes the number of a process that it has made, and
// answers with both.
func spawnTelling(s *serverPlay, sp Spec) (main, other int, err error) {
	r, w := pipe()
	defer r.Close()
	sp.Stdout = w
	s.Spawn(sp)
	e, err := nextEvent[Spawned](s)
	if err != nil {
		return 0, 0, err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return 0, 0, err
	}
	other, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return e.Pid, other, err
}

// exits waits for an Exited with those values.
func exits(s *serverPlay, want Exited) error {
	got, err := nextEvent[Exited](s)
	if err == nil && got != want {
		err = fmt.Errorf("%#v instead of %#v", got, want)
	}
	return err
}

func watches(s *serverPlay, key string, run uint64, pid int) error {
	s.Watch(key, run, pid)
	got, err := nextEvent[Watched](s)
	if err == nil && (got.Key != key || got.Run != run || got.Pid != pid || got.Start == 0) {
		err = fmt.Errorf("%#v", got)
	}
	return err
}

// A daemon that its parent has left behind is the main process from then on.
var daemon = scenario{server: func(_ int, s *serverPlay) error {
	for run, scope := range []Scope{ScopeMain, ScopeGroup, ScopeCgroup} {
		run := uint64(run + 1)
		main, pid, err := spawnTelling(s, spec("a", run, "daemonize", "p"))
		if err != nil {
			return err
		}
		if err := exits(s, Exited{Key: "a", Run: run, Pid: main}); err != nil {
			return err
		}
		if err := watches(s, "a", run, pid); err != nil {
			return err
		}
		s.Spawn(spec("a", run+10, "p")) // never two main processes
		if f, err := nextEvent[SpawnFailed](s); err != nil || !strings.Contains(f.Refused, "is alive") {
			return fmt.Errorf("%v: %#v", err, f)
		}
		s.Signal("a", run, syscall.SIGTERM, scope)
		if err := exits(s, Exited{Key: "a", Run: run, Pid: pid, Status: KilledBy(syscall.SIGTERM)}); err != nil {
			return err
		}
	}
	return nil
}}

func TestADaemonIsWatchedSignalledAndItsEndTold(t *testing.T) { play(t, "daemon") }

// One that has ended before anybody knew of it is remembered.
var outlived = scenario{server: func(_ int, s *serverPlay) error {
	main, pid, err := spawnTelling(s, spec("a", 1, "daemonize", "\x05"))
	if err != nil {
		return err
	}
	if err := exits(s, Exited{Key: "a", Run: 1, Pid: main}); err != nil {
		return err
	}
	if err := eventually("it is reaped", func() bool { return gone(pid) }); err != nil {
		return err
	}
	clock := newStartClock()
	tick := clock.now()
	if err := eventually("time passes", func() bool { return clock.now() > tick }); err != nil {
		return err
	}
	s.Spawn(spec("b", 1, "p"))
	if _, err := nextEvent[Spawned](s); err != nil {
		return err
	}
	s.Watch("b", 1, pid) // it was there before b was
	if f, err := nextEvent[WatchFailed](s); err != nil || f.Why == "" {
		return fmt.Errorf("%v: %#v", err, f)
	}
	if err := watches(s, "a", 1, pid); err != nil {
		return err
	}
	return exits(s, Exited{Key: "a", Run: 1, Pid: pid, Status: ExitCode(5)})
}}

func TestADaemonThatEndedFirstIsRemembered(t *testing.T) { play(t, "outlived") }

var refusedPids = scenario{server: func(_ int, s *serverPlay) error {
	s.Spawn(spec("a", 1, "p"))
	first, err := nextEvent[Spawned](s)
	if err != nil {
		return err
	}
	s.Spawn(spec("b", 1, "p"))
	b, err := nextEvent[Spawned](s)
	if err != nil {
		return err
	}
	cases := []struct {
		run uint64
		pid int
		why string
	}{
		{1, 0, "no process of a service"}, {1, -1, "no process of a service"}, {1, 1, "no process of a service"},
		{1, os.Getppid(), "no process of a service"},
		{1, os.Getpid(), "of zinit itself"},
		{1, b.Pid, "is the main process of b"},
		{2, b.Pid, "is not its last"}, {1, 1 << 30, "there is no process"},
	}
	for _, c := range cases {
		s.Watch("a", c.run, c.pid)
		f, err := nextEvent[WatchFailed](s)
		if err != nil || f.Pid != c.pid || f.Run != c.run || !strings.Contains(f.Why, c.why) {
			return fmt.Errorf("%d: %v: %#v", c.pid, err, f)
		}
	}
	if err := watches(s, "a", 1, first.Pid); err != nil { // which it is already
		return err
	}
	s.Signal("a", 1, syscall.SIGKILL, ScopeGroup)
	return exits(s, Exited{Key: "a", Run: 1, Pid: first.Pid, Status: KilledBy(syscall.SIGKILL)})
}}

func TestAStrangerIsNotWatched(t *testing.T) { play(t, "refusedPids") }

// A process that the main process has made, and waits for itself.
var foreign = scenario{server: func(_ int, s *serverPlay) error { return watchForeign(s, "a") }}

func watchForeign(s *serverPlay, key string) error {
	main, pid, err := spawnTelling(s, spec(key, 1, "parent"))
	if err != nil {
		return err
	}
	if err := watches(s, key, 1, pid); err != nil {
		return err
	}
	s.Signal(key, 1, syscall.SIGTERM, ScopeMain)
	got, err := nextEvent[Exited](s)
	if err != nil || got.Pid != pid || !got.Unknown {
		return fmt.Errorf("%v: %#v", err, got)
	}
	return eventually("the first main process is reaped", func() bool { return gone(main) })
}

func TestTheEndOfAChildOfAServiceIsSeenThoughNotItsStatus(t *testing.T) { play(t, "foreign") }

// The same, but its parent ends first: then its status is known.
var named = scenario{server: func(_ int, s *serverPlay) error {
	main, pid, err := spawnTelling(s, spec("a", 1, "parent"))
	if err != nil {
		return err
	}
	if err := watches(s, "a", 1, pid); err != nil {
		return err
	}
	if err := unix.Kill(main, unix.SIGKILL); err != nil {
		return err
	}
	if err := eventually("the first main process is reaped", func() bool { return gone(main) }); err != nil {
		return err
	}
	s.Signal("a", 1, syscall.SIGTERM, ScopeGroup) // that it was born in, with the first one
	return exits(s, Exited{Key: "a", Run: 1, Pid: pid, Status: KilledBy(syscall.SIGTERM)})
}}

func TestTheStatusOfAChildWhoseParentEndedIsKnown(t *testing.T) { play(t, "named") }

// Who is watched, and who can be, outlives the keeper's program.
var watchedAgain = scenario{keeper: whenAsked, server: func(_ int, s *serverPlay) error {
	main, pid, err := spawnTelling(s, spec("a", 1, "daemonize", "p"))
	if err != nil {
		return err
	}
	if err := exits(s, Exited{Key: "a", Run: 1, Pid: main}); err != nil {
		return err
	}
	if err := reexecuted(s); err != nil {
		return err
	}
	if err := watches(s, "a", 1, pid); err != nil {
		return err
	}
	_, other, err := spawnTelling(s, spec("b", 1, "parent"))
	if err != nil {
		return err
	}
	if err := watches(s, "b", 1, other); err != nil {
		return err
	}
	if err := reexecuted(s); err != nil {
		return err
	}
	s.Signal("a", 1, syscall.SIGTERM, ScopeGroup)
	if err := exits(s, Exited{Key: "a", Run: 1, Pid: pid, Status: KilledBy(syscall.SIGTERM)}); err != nil {
		return err
	}
	s.Signal("b", 1, syscall.SIGTERM, ScopeMain)
	got, err := nextEvent[Exited](s)
	if err != nil || got.Pid != other || !got.Unknown {
		return fmt.Errorf("%v: %#v", err, got)
	}
	return nil
}}

func TestWhoIsWatchedOutlivesTheKeepersProgram(t *testing.T) { play(t, "watchedAgain") }

// whenAsked is a keeper that replaces its program whenever its server wants that.
func whenAsked(k *keeperPlay) error {
	if k.left == nil {
		if err := k.serve(); err != nil {
			return err
		}
	}
	for n := range k.Notices() {
		switch n := n.(type) {
		case ReexecWanted:
			return k.again(k.note("step")+1, nil)
		case ServerExited:
			if !n.Status.Success() {
				return fmt.Errorf("server: %v", n.Status)
			}
			return nil
		}
	}
	return nil
}

func reexecuted(s *serverPlay) error {
	s.Reexec()
	e, err := nextEvent[Reexecuted](s)
	if err == nil && e.Refused != "" {
		err = fmt.Errorf("%s", e.Refused)
	}
	return err
}
