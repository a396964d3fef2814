package reap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A server that does not read stops nobody: everything is reaped meanwhile and
// told afterwards.
var stopped = scenario{keeper: func(k *keeperPlay) error {
	n := many(3000)
	if err := k.serveReady(); err != nil {
		return err
	}
	if err := k.SignalServer(syscall.SIGSTOP); err != nil {
		return err
	}
	children := k.Children()
	if len(children) != n {
		return fmt.Errorf("%d children", len(children))
	}
	for _, c := range children {
		if err := k.Signal(c.Key, c.Run, syscall.SIGKILL, ScopeGroup); err != nil {
			return err
		}
	}
	k.Forward(syscall.SIGHUP)
	if err := k.until("all are reaped", func() bool { return len(k.Children()) == 0 }); err != nil {
		return err
	}
	if err := k.SignalServer(syscall.SIGCONT); err != nil {
		return err
	}
	return k.ended()
}, server: func(_ int, s *serverPlay) error {
	n := many(3000)
	for i := range n {
		s.Spawn(spec("s"+strconv.Itoa(i), 1, "p"))
	}
	for range n {
		if _, err := nextEvent[Spawned](s); err != nil {
			return err
		}
	}
	s.Ready()
	seen, hup := make(map[string]bool), false
	for len(seen) < n || !hup {
		e, err := s.event()
		if err != nil {
			return fmt.Errorf("%w: %d exits came", err, len(seen))
		}
		switch e := e.(type) {
		case Exited:
			if seen[e.Key] || e.Status != KilledBy(syscall.SIGKILL) {
				return fmt.Errorf("%#v", e)
			}
			seen[e.Key] = true
		case Signaled:
			hup = true
		default:
			return fmt.Errorf("%#v", e)
		}
	}
	return nil
}}

func TestAStoppedServerDelaysNobodyAndMissesNothing(t *testing.T) { play(t, "stopped") }

// What outlives a server: children, unacknowledged exits, run numbers, the plan,
// the stage, forwarded signals and kept descriptors.
var heir = scenario{keeper: func(k *keeperPlay) error {
	if err := k.serveReady(); err != nil {
		return err
	}
	for run := uint64(1); run <= 2; run++ { // run 2 ends while nobody serves
		if run == 2 {
			if err := k.SignalServer(syscall.SIGKILL); err != nil {
				return err
			}
			e, err := next[ServerExited](k)
			if err != nil || !e.WasReady || e.Draining || e.Status != KilledBy(syscall.SIGKILL) {
				return fmt.Errorf("%v: %#v", err, e)
			}
			if err := k.Signal("late", 7, syscall.SIGKILL, ScopeMain); err != nil {
				return err
			}
			err = k.until("late is reaped", func() bool {
				return !slices.ContainsFunc(k.Children(), func(c Child) bool { return c.Key == "late" })
			})
			if err != nil {
				return err
			}
			k.Forward(syscall.SIGTERM)
		}
	}
	if steps, worst := k.Plan(); worst != time.Minute || len(steps) != 5000 || steps[4999].Wave != 4999 {
		return fmt.Errorf("plan of %d steps, %v", len(steps), worst)
	}
	k.SetStage(StageDrain)
	if err := k.serve(); err != nil {
		return err
	}
	if err := k.ended(); err != nil {
		return err
	}
	// The third finds what the second has acknowledged, released and taken.
	if err := k.serve(); err != nil {
		return err
	}
	return k.ended()
}, server: func(n int, s *serverPlay) error {
	switch n {
	case 1:
		return bequeath(s)
	case 2:
		return inherit(s)
	}
	if len(s.inv.Exits) != 0 || len(s.inv.Kept) != 299 || len(s.inv.Children) != 301 {
		return fmt.Errorf("exits %v, %d kept, %d children", s.inv.Exits, len(s.inv.Kept), len(s.inv.Children))
	}
	s.Signal("alive0", 3, syscall.SIGKILL, ScopeMain)
	_, err := nextEvent[Exited](s) // and no Signaled before it
	return err
}}

func bequeath(s *serverPlay) error {
	for i := range 300 {
		sp := spec("alive"+strconv.Itoa(i), 3, "p")
		sp.Keep[0], sp.Stdout = pipe()
		s.Spawn(sp)
		sp.Keep[0].Close()
	}
	s.Spawn(spec("early", 1, "\x2a"))
	s.Spawn(spec("acked", 1, "\x2a"))
	s.Spawn(spec("late", 7, "p"))
	s.Spawn(spec("group", 1, "leave"))
	for spawned, exits := 0, 0; spawned < 304 || exits < 3; {
		e, err := s.event()
		if err != nil {
			return err
		}
		switch e.(type) {
		case Spawned:
			spawned++
		case Exited:
			exits++
		default:
			return fmt.Errorf("%#v", e)
		}
	}
	s.Ack("acked", 1)
	steps := make([]PlanStep, 5000)
	for i := range steps {
		steps[i] = PlanStep{Key: "service-with-a-name-" + strconv.Itoa(i), Wave: i, Signal: 15, Scope: ScopeGroup, Timeout: 10}
	}
	s.Plan(steps[:10], time.Hour)
	s.Plan(steps, time.Minute)
	r, w := pipe()
	w.WriteString("hello")
	if err := s.Keep("note", w); err != nil {
		return err
	}
	if err := s.Keep("note", r); err != nil {
		return err
	}
	r.Close()
	w.Close()
	s.Ready()
	_, err := s.event() // waits to be killed
	return fmt.Errorf("%w: not killed", err)
}

func inherit(s *serverPlay) error {
	inv := s.inv
	if inv.Stage != StageDrain || len(inv.Children) != 301 || len(inv.Exits) != 3 || len(inv.Kept) != 301 {
		return fmt.Errorf("stage %d, %d children, exits %v, %d kept", inv.Stage, len(inv.Children), inv.Exits, len(inv.Kept))
	}
	for _, c := range inv.Children {
		start, err := StartTime(c.Pid)
		switch {
		case c.Key == "group":
			if !c.MainGone || !c.Group {
				return fmt.Errorf("%#v", c)
			}
		case c.Run != 3 || err != nil || start != c.Start:
			return fmt.Errorf("%#v: started %d %v", c, start, err)
		}
	}
	want := map[string]Status{"early": ExitCode(42), "late": KilledBy(syscall.SIGKILL), "group": ExitCode(3)}
	for _, e := range inv.Exits {
		if want[e.Key] != e.Status || e.Lingers != (e.Key == "group") {
			return fmt.Errorf("%#v", e)
		}
		s.Ack(e.Key, e.Run)
	}
	if inv.Runs["acked"] != 1 || inv.Runs["late"] != 7 || inv.Runs["alive7"] != 3 {
		return fmt.Errorf("runs %v", inv.Runs)
	}
	text := make([]byte, 5)
	if _, err := io.ReadFull(inv.Kept["note"], text); err != nil || !bytes.Equal(text, []byte("hello")) {
		return fmt.Errorf("note: %q %v", text, err)
	}
	s.Release("note")
	s.Release(OutputName("alive5", 3, 1))
	e, err := nextEvent[Signaled](s)
	if err != nil || e.Signal != syscall.SIGTERM {
		return fmt.Errorf("%v: %#v", err, e)
	}
	// An answer says that the keeper has read everything before it.
	s.Spawn(spec("late", 7, "p"))
	f, err := nextEvent[SpawnFailed](s)
	if err != nil || f.Refused == "" {
		return fmt.Errorf("%v: %#v", err, f)
	}
	return nil
}

func TestTheNextServerInheritsEverything(t *testing.T) { play(t, "heir") }

// A first server that ends by itself: its code is told. Then a storm of deaths in
// the middle of a mass start: each service has exactly one process afterwards.
var storm = scenario{keeper: func(k *keeperPlay) error {
	if err := k.serve(); err != nil {
		return err
	}
	e, err := next[ServerExited](k)
	if err != nil || e.WasReady || e.Status != ExitCode(77) {
		return fmt.Errorf("%v: %#v", err, e)
	}
	for range 30 {
		if err := k.serveReady(); err != nil {
			return err
		}
		if err := k.SignalServer(syscall.SIGKILL); err != nil {
			return err
		}
		if _, err := next[ServerExited](k); err != nil {
			return err
		}
	}
	if err := k.serve(); err != nil {
		return err
	}
	return k.ended()
}, server: func(n int, s *serverPlay) error {
	if n == 1 {
		os.Exit(77)
	}
	have := make(map[string]int)
	for _, c := range s.inv.Children {
		have[c.Key]++
		if have[c.Key] > 1 || unix.Kill(c.Pid, 0) != nil {
			return fmt.Errorf("%v", c)
		}
	}
	const services = 300
	last := n == 32
	if last && len(have) == 0 {
		return errors.New("nothing came of thirty servers")
	}
	// Who is ready may die at any moment. Every third is not before something has come
	// of it; how far the others come is a matter of luck.
	lives := n%3 == 0 && len(have) < services
	if !last && !lives {
		s.Ready()
	}
	for i := range services {
		key := "s" + strconv.Itoa(i)
		if have[key] == 0 {
			s.Spawn(spec(key, s.inv.Runs[key]+1, "p"))
		}
	}
	// The last one has the time to bring up what is missing, and no more than that.
	for !last || len(have) < services {
		e, err := s.event()
		if err != nil {
			return err
		}
		spawned, ok := e.(Spawned)
		if !ok || have[spawned.Key] > 0 && last {
			return fmt.Errorf("%#v", e)
		}
		have[spawned.Key]++
		if lives {
			s.Ready()
		}
	}
	return nil
}}

func TestServerDeathsLeaveExactlyOneProcessOfEach(t *testing.T) { play(t, "storm") }

// The same as process 1, which is nobody's child and everybody's last parent.
var (
	first      = scenario{alone: true, keeper: heir.keeper, server: heir.server}
	firstStorm = scenario{alone: true, keeper: storm.keeper, server: storm.server}
)

func TestTheKeeperIsProcessOne(t *testing.T) {
	play(t, "first")
	play(t, "firstStorm")
}

// ownProc mounts the /proc of this process's PID namespace.
func ownProc() error {
	if pid := os.Getpid(); pid != 1 {
		return fmt.Errorf("pid %d", pid)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("proc", "/proc", "proc", 0, "")
}

// An exec that hangs delays others' exits, but no signal: the operator can still
// stop things. The file hangs while somebody holds a lease on it.
var hungExec = scenario{server: func(_ int, s *serverPlay) error {
	s.Spawn(spec("victim", 1, "p"))
	victim, err := nextEvent[Spawned](s)
	if err != nil {
		return err
	}
	free, err := hang(s)
	if err != nil {
		return err
	}
	defer free()
	for range 2 { // the second after the reaper has begun to wait
		s.Signal("victim", 1, syscall.SIGKILL, ScopeMain)
		if err := eventually("the signal arrives", func() bool { return statusLine(victim.Pid, "State") == "Z" }); err != nil {
			return err
		}
	}
	free()
	seen := ""
	for range 2 {
		e, err := s.event()
		if err != nil {
			return err
		}
		seen += fmt.Sprintf("%T ", e)
	}
	if seen != "reap.Spawned reap.Exited " {
		return fmt.Errorf("events %s", seen)
	}
	return nil
}}

// hang asks for a process whose exec hangs until free is called.
func hang(s *serverPlay) (free func(), err error) {
	dir, err := os.MkdirTemp("", "reap")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	text, err := os.ReadFile(os.Getenv("ZINIT_TEST_TINY"))
	if err != nil {
		return nil, err
	}
	hung := spec("hung", 1, "p")
	hung.Path = dir + "/leased"
	if err := os.WriteFile(hung.Path, text, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Open(hung.Path)
	if err != nil {
		return nil, err
	}
	signal.Ignore(syscall.SIGIO) // the kernel's wish that we let go
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		fmt.Fprintln(os.Stderr, "SKIP: no leases:", err)
		os.Exit(0)
	}
	s.Spawn(hung)
	return func() { f.Close() }, eventually("exec hangs", func() bool {
		held, _ := unix.FcntlInt(f.Fd(), unix.F_GETLEASE, 0)
		return held != unix.F_WRLCK // what the kernel wants it to become
	})
}

func TestAnExecThatHangsDelaysNoSignal(t *testing.T) { play(t, "hungExec") }

// The server learns that the keeper died, and can still reach its services.
var orphaned = scenario{keeper: func(k *keeperPlay) error {
	if err := k.serveReady(); err != nil {
		return err
	}
	unix.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}, server: func(_ int, s *serverPlay) error {
	s.Spawn(spec("a", 1, "p"))
	e, err := nextEvent[Spawned](s)
	if err != nil {
		return err
	}
	s.Ready()
	if _, err := nextEvent[KeeperLost](s); err != nil {
		return err
	}
	for range 3 { // nothing waits, nothing fails
		s.Spawn(spec("b", 1, "p"))
		s.Signal("a", 1, syscall.SIGKILL, ScopeMain)
		s.Plan(nil, 0)
	}
	if _, open := <-s.Events(); open {
		return fmt.Errorf("an event after the last one")
	}
	if err := SignalByPidfd(e.Pid, e.Start+1, syscall.SIGKILL); err != ErrStranger {
		return fmt.Errorf("a stranger was signalled: %v", err)
	}
	if err := SignalByPidfd(e.Pid, e.Start, syscall.SIGKILL); err != nil {
		return err
	}
	err = eventually("the service ends", func() bool {
		return SignalByPidfd(e.Pid, e.Start, 0) != nil
	})
	fmt.Fprintln(os.Stderr, "server:", err)
	return err
}}

func TestTheServerSurvivesTheKeeperAndReachesItsServices(t *testing.T) {
	out, _ := run(t, "orphaned") // the keeper is killed
	if !bytes.Contains(out, []byte("server: <nil>")) {
		t.Fatalf("%s", out)
	}
}
