package reap

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A signal that follows a spawn of its key reaches the process, however many
// others wait, and the answers of a key come in order.
var order = scenario{server: func(_ int, s *serverPlay) error {
	const n = 400
	for i := range n {
		key := "s" + strconv.Itoa(i)
		s.Spawn(spec(key, 1, "p"))
		s.Signal(key, 1, syscall.SIGUSR1, ScopeGroup)
		s.Signal(key, 1, syscall.SIGKILL, ScopeMain)
	}
	seen := make(map[string]string)
	for left := n; left > 0; {
		e, err := s.event()
		if err != nil {
			return fmt.Errorf("%w: %d left", err, left)
		}
		switch e := e.(type) {
		case Spawned:
			seen[e.Key] += "spawned "
		case Exited:
			seen[e.Key] += "exited"
			if e.Status != KilledBy(syscall.SIGUSR1) || e.Lingers {
				return fmt.Errorf("%#v", e)
			}
			left--
		default:
			return fmt.Errorf("%#v", e)
		}
	}
	for key, order := range seen {
		if order != "spawned exited" {
			return fmt.Errorf("%s: %s", key, order)
		}
	}
	return nil
}}

func TestASignalFollowsItsQueuedSpawn(t *testing.T) { play(t, "order") }

// What the keeper refuses, and what is refused for good.
var refusals = scenario{server: func(_ int, s *serverPlay) error {
	steps := []struct {
		key  string
		run  uint64
		want string // "" runs
	}{
		{"a", 5, ""},
		{"a", 5, "run 5 is not newer than run 5"},
		{"a", 4, "run 4 is not newer than run 5"},
		{"a", 6, "is alive"},
		{"", 1, "a key must not be empty"},
		{"b", 1, ""},
	}
	for _, step := range steps {
		s.Spawn(spec(step.key, step.run, "p"))
		if err := answered(s, step.want); err != nil {
			return err
		}
	}
	s.ExitWith(42)
	s.Draining()
	s.Spawn(spec("c", 1, "p"))
	if err := answered(s, "a shutdown is under way"); err != nil {
		return err
	}
	s.Spawn(spec("c/health", 1, "p"))
	return answered(s, "")
}, keeper: func(k *keeperPlay) error {
	if err := k.serve(); err != nil {
		return err
	}
	if d, err := next[Draining](k); err != nil || d.Code != 42 {
		return fmt.Errorf("%#v, %v", d, err)
	}
	e, err := next[ServerExited](k)
	if err == nil && (!e.Status.Success() || !e.Draining || e.WasReady || k.Stage() != StageDrain) {
		err = fmt.Errorf("%#v, stage %d", e, k.Stage())
	}
	return err
}}

func answered(s *serverPlay, refused string) error {
	if refused == "" {
		_, err := nextEvent[Spawned](s)
		return err
	}
	e, err := nextEvent[SpawnFailed](s)
	if err == nil && !strings.Contains(e.Refused, refused) {
		err = fmt.Errorf("refused with %q instead of %q", e.Refused, refused)
	}
	return err
}

func TestOldRunsSecondProcessesAndStartsWhileDrainingAreRefused(t *testing.T) { play(t, "refusals") }

// A pid that was reaped and given to another process gets nothing that was meant
// for the first.
var stranger = scenario{server: func(_ int, s *serverPlay) error {
	for run := uint64(1); run < 50; run++ {
		s.Spawn(spec("old", run, "p"))
		old, err := nextEvent[Spawned](s)
		if err != nil {
			return err
		}
		s.Signal("old", run, syscall.SIGKILL, ScopeGroup)
		if _, err := nextEvent[Exited](s); err != nil {
			return err
		}
		last := strconv.Itoa(old.Pid - 1)
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(last), 0); err != nil {
			fmt.Fprintln(os.Stderr, "SKIP: pids cannot be chosen:", err)
			return nil
		}
		s.Spawn(spec("new", run, "p"))
		born, err := nextEvent[Spawned](s)
		if err != nil {
			return err
		}
		s.Signal("old", run, syscall.SIGKILL, ScopeGroup)
		s.Signal("old", run, syscall.SIGKILL, ScopeMain)
		s.Signal("new", run, syscall.SIGTERM, ScopeMain)
		end, err := nextEvent[Exited](s)
		if err != nil {
			return err
		}
		if end.Status != KilledBy(syscall.SIGTERM) {
			return fmt.Errorf("the stranger got the signal: %v", end.Status)
		}
		if born.Pid == old.Pid {
			return nil
		}
	}
	return fmt.Errorf("the pid was never used again")
}}

func TestASignalNeverReachesAStrangerOfTheSamePid(t *testing.T) { play(t, "stranger") }

// The group of a main process that has ended is seen, signalled and its end told.
var lingering = scenario{server: func(_ int, s *serverPlay) error {
	s.Spawn(spec("a", 1, "leave"))
	if _, err := nextEvent[Spawned](s); err != nil {
		return err
	}
	e, err := nextEvent[Exited](s)
	if err != nil || !e.Lingers || e.Status != ExitCode(3) {
		return fmt.Errorf("%v: %#v", err, e)
	}
	// Another run may start while the old group lingers, and is not confused with it.
	s.Spawn(spec("a", 2, "p"))
	if _, err := nextEvent[Spawned](s); err != nil {
		return err
	}
	s.Signal("a", 1, syscall.SIGTERM, ScopeMain) // reaches nobody
	s.Signal("a", 1, syscall.SIGKILL, ScopeGroup)
	g, err := nextEvent[GroupGone](s)
	if err != nil || g != (GroupGone{"a", 1}) {
		return fmt.Errorf("%v: %#v", err, g)
	}
	s.Signal("a", 2, syscall.SIGKILL, ScopeGroup)
	if e, err = nextEvent[Exited](s); err != nil || e.Lingers || e.Run != 2 {
		return fmt.Errorf("%v: %#v", err, e)
	}
	// Who leaves the group is not a member of it.
	s.Spawn(spec("b", 1, "flee"))
	if _, err := nextEvent[Spawned](s); err != nil {
		return err
	}
	if e, err = nextEvent[Exited](s); err != nil || e.Lingers {
		return fmt.Errorf("%v: %#v", err, e)
	}
	// Nor is a group asked about that the service does not own.
	sp := spec("c", 1, "leave")
	sp.Group = false
	s.Spawn(sp)
	if _, err := nextEvent[Spawned](s); err != nil {
		return err
	}
	if e, err = nextEvent[Exited](s); err != nil || e.Lingers {
		return fmt.Errorf("%v: %#v", err, e)
	}
	return nil
}}

func TestALingeringGroupIsSeenSignalledAndItsEndTold(t *testing.T) { play(t, "lingering") }

// A group whose last member left it without ending is forgotten when another
// orphan ends, or when it is signalled.
var emptied = scenario{server: func(_ int, s *serverPlay) error {
	s.Spawn(spec("a", 1, "wander"))
	if _, err := nextEvent[Spawned](s); err != nil {
		return err
	}
	if e, err := nextEvent[Exited](s); err != nil || !e.Lingers {
		return fmt.Errorf("%v: %#v", err, e)
	}
	g, err := nextEvent[GroupGone](s)
	if err != nil || g != (GroupGone{"a", 1}) {
		return fmt.Errorf("%v: %#v", err, g)
	}
	return nil
}}

func TestAGroupThatWasLeftIsForgotten(t *testing.T) { play(t, "emptied") }
