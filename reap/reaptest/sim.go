// Package reaptest simulates a keeper from a seed: the methods of reap.Client,
// without a process, a channel or a clock. Processes start, end by themselves,
// obey signals, ignore them, leave groups behind and cannot be killed, as the
// random numbers have it; the same seed gives the same history.
//
// A Sim is used by one goroutine.
package reaptest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	"zinit/reap"
)

// Odds says how processes behave, each value in per cent of the cases.
type Odds struct {
	SpawnFails int // fork or exec is refused
	Ends       int // ends by itself within MaxLife
	EndsWell   int // of those: with code 0
	Deaf       int // ignores every signal but SIGKILL
	Undead     int // survives SIGKILL
	Lingers    int // leaves others of its group behind
	Leaves     int // of the guests: leaves somebody in the cgroup of its service
	Forks      int // of the main processes that end well: leaves a daemon behind, see Sim.Daemon
	MaxLife    time.Duration
	MaxDying   time.Duration // from the signal to the end
}

// A Sim is a simulated keeper.
type Sim struct {
	Odds  Odds
	Of    map[string]Odds // for these keys instead of Odds
	Now   time.Time
	rng   *rand.Rand
	procs map[string]*proc // alive, by key
	runs  map[string]uint64
	exits map[string]reap.Exited // not acknowledged, by key
	forks map[string]*fork       // of a process of that key, by key
	left  map[string]bool        // by main key: whether guests have left somebody in the cgroup
	todo  []todo
	seq   int
	pids  int
	drain bool
	// Defects lists what no supervisor may do: two processes of a key, an old run
	// number, a main process while draining.
	Defects []string
}

type proc struct {
	run     uint64
	pid     int
	deaf    bool
	undead  bool
	lingers bool
	group   bool // as in reap.Spec
	gone    bool // the main process; the group lives on
	dying   bool
	watched bool
}

// todo is something that will happen.
type todo struct {
	at  time.Time
	seq int
	ev  reap.Event   // delivered, when the process is still the one it concerns
	end *reap.Status // of pid
	key string
	run uint64
	pid int
}

// New makes a keeper whose whole history follows from the seed and the calls.
func New(seed uint64, odds Odds, now time.Time) *Sim {
	return &Sim{
		Odds: odds, Now: now,
		rng:   rand.New(rand.NewPCG(seed, 0x5eed)),
		procs: map[string]*proc{}, runs: map[string]uint64{}, exits: map[string]reap.Exited{},
		forks: map[string]*fork{}, left: map[string]bool{},
	}
}

func (s *Sim) odds(key string) Odds {
	if o, ok := s.Of[key]; ok {
		return o
	}
	return s.Odds
}

func (s *Sim) chance(percent int) bool { return s.rng.IntN(100) < percent }

func (s *Sim) within(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(s.rng.Int64N(int64(d)))
}

func (s *Sim) later(d time.Duration, t todo) {
	s.seq++
	t.at, t.seq = s.Now.Add(d), s.seq
	at, _ := slices.BinarySearchFunc(s.todo, t, func(a, b todo) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.seq - b.seq
	})
	s.todo = slices.Insert(s.todo, at, t)
}

// Spawn starts a process, or refuses to.
func (s *Sim) Spawn(spec reap.Spec) {
	if spec.Run <= s.runs[spec.Key] {
		s.Defects = append(s.Defects, fmt.Sprintf("%s: run %d after run %d", spec.Key, spec.Run, s.runs[spec.Key]))
	}
	isProbe := strings.Contains(spec.Key, "/")
	if p := s.procs[spec.Key]; p != nil && !(isProbe && p.gone) {
		s.Defects = append(s.Defects, fmt.Sprintf("%s: run %d while run %d is alive", spec.Key, spec.Run, p.run))
	}
	if s.drain && !isProbe {
		s.Defects = append(s.Defects, fmt.Sprintf("%s: spawned while draining", spec.Key))
	}
	s.runs[spec.Key] = spec.Run
	delete(s.exits, spec.Key) // a newer run implies the acknowledgement
	delete(s.forks, spec.Key)
	odds := s.odds(spec.Key)
	if s.chance(odds.SpawnFails) {
		errno := []syscall.Errno{syscall.EAGAIN, syscall.ENOMEM, syscall.ENOENT, syscall.EMFILE}[s.rng.IntN(4)]
		s.later(s.within(time.Millisecond), todo{ev: reap.SpawnFailed{Key: spec.Key, Run: spec.Run, Errno: errno}, key: spec.Key})
		return
	}
	s.pids++
	p := &proc{run: spec.Run, pid: 1000 + s.pids, group: spec.Group,
		deaf: s.chance(odds.Deaf), undead: s.chance(odds.Undead), lingers: spec.Group && s.chance(odds.Lingers)}
	s.procs[spec.Key] = p
	delay := s.within(time.Millisecond)
	s.later(delay, todo{ev: reap.Spawned{Key: spec.Key, Run: spec.Run, Pid: p.pid, Start: uint64(p.pid)}, key: spec.Key})
	if s.chance(odds.Ends) {
		status := reap.ExitCode(s.rng.IntN(4))
		if s.chance(odds.EndsWell) {
			status = reap.ExitCode(0)
		}
		s.later(delay+s.within(odds.MaxLife), todo{end: &status, key: spec.Key, run: spec.Run, pid: p.pid})
	}
}

// Fail answers a request that did not get as far as the keeper.
func (s *Sim) Fail(key string, run uint64, text string) {
	s.later(s.within(time.Millisecond), todo{ev: reap.SpawnFailed{Key: key, Run: run, Text: text}, key: key})
}

// Signal reaches the process of a run, if it is still that one.
func (s *Sim) Signal(key string, run uint64, sig syscall.Signal, scope reap.Scope) {
	p := s.procs[key]
	if p == nil || p.run != run || p.dying && !p.gone {
		return
	}
	switch {
	case sig == syscall.SIGKILL && !p.undead:
	case sig != syscall.SIGTERM || p.deaf || p.gone:
		return
	}
	if sig == syscall.SIGKILL && scope == reap.ScopeCgroup {
		delete(s.left, key)
	}
	if p.gone {
		if scope != reap.ScopeMain {
			delete(s.forks, key)
			s.later(s.within(time.Millisecond), todo{ev: reap.GroupGone{Key: key, Run: run}, key: key, run: run})
		}
		return
	}
	p.dying = true
	status := reap.KilledBy(sig)
	s.later(s.within(s.odds(key).MaxDying), todo{end: &status, key: key, run: run, pid: p.pid})
}

// Next is when something happens next; false: nothing will.
func (s *Sim) Next() (time.Time, bool) {
	if len(s.todo) == 0 {
		return time.Time{}, false
	}
	return s.todo[0].at, true
}

// Take lets the next thing happen, at its time, and returns what a server would
// be told; it may be nothing.
func (s *Sim) Take() []reap.Event {
	t := s.todo[0]
	s.todo = s.todo[1:]
	if t.at.After(s.Now) {
		s.Now = t.at
	}
	p := s.procs[t.key]
	if t.end == nil {
		if gone, ok := t.ev.(reap.GroupGone); ok {
			if p == nil || p.run != gone.Run || !p.gone {
				return nil // or somebody of it is the main process by now
			}
			delete(s.procs, t.key)
		}
		return []reap.Event{t.ev}
	}
	if p == nil || p.run != t.run || p.gone || p.pid != t.pid {
		s.forkEnds(t)
		return nil
	}
	if t.end.Success() && !p.watched && s.forks[t.key] == nil && s.chance(s.odds(t.key).Forks) {
		s.Fork(t.key)
	}
	return []reap.Event{s.exit(t.key, p, *t.end)}
}

// exit is the end of a main process.
func (s *Sim) exit(key string, p *proc, status reap.Status) reap.Exited {
	if service, _, isGuest := strings.Cut(key, "/"); isGuest && s.odds(key).Leaves > 0 && s.chance(s.odds(key).Leaves) {
		s.left[service] = true
	}
	if p.lingers = p.lingers || p.group && s.left[key]; p.lingers {
		p.gone = true
	} else {
		delete(s.procs, key)
	}
	e := reap.Exited{Key: key, Run: p.run, Pid: p.pid, Status: status, Lingers: p.lingers}
	s.exits[key] = e
	return e
}

// End has the main process of a key end by itself, now; false: there is none.
func (s *Sim) End(key string, status reap.Status) bool {
	p := s.procs[key]
	if p == nil || p.gone {
		return false
	}
	s.later(0, todo{end: &status, key: key, run: p.run, pid: p.pid})
	return true
}

// Left reports that guests have left somebody in the cgroup of a service.
func (s *Sim) Left(key string) bool { return s.left[key] }

// Clean ends who was left in the cgroup of a service.
func (s *Sim) Clean(key string) { delete(s.left, key) }

// Inventory is what the keeper tells a server that connects. The one before is
// dead: what was on its way to it is lost, what it had asked for has been done.
func (s *Sim) Inventory() reap.Inventory {
	s.todo = slices.DeleteFunc(s.todo, func(t todo) bool {
		switch t.ev.(type) {
		case reap.Spawned, reap.SpawnFailed, reap.Watched, reap.WatchFailed:
			return true
		}
		return false
	})
	inv := reap.Inventory{Runs: maps.Clone(s.runs)}
	if s.drain {
		inv.Stage = reap.StageDrain
	}
	for _, key := range s.Alive() {
		p := s.procs[key]
		inv.Children = append(inv.Children, reap.Child{Key: key, Run: p.run, Pid: p.pid, Start: uint64(p.pid), Group: p.group, MainGone: p.gone, Watched: p.watched})
	}
	for _, key := range slices.Sorted(maps.Keys(s.exits)) {
		inv.Exits = append(inv.Exits, s.exits[key])
	}
	return inv
}

// Alive lists the keys that have a living main process or group, sorted.
func (s *Sim) Alive() []string {
	var keys []string
	for k := range s.procs {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Ack has the exits of a run, and of earlier ones, not be repeated.
func (s *Sim) Ack(key string, run uint64) {
	if e, ok := s.exits[key]; ok && e.Run <= run {
		delete(s.exits, key)
	}
}

// Release and Plan have no effect on a simulation.
func (s *Sim) Release(string)                      {}
func (s *Sim) Plan([]reap.PlanStep, time.Duration) {}

// Flush has no effect: a simulation hears at once.
func (s *Sim) Flush() bool { return true }

// Draining begins a shutdown: a main process spawned from now on is a defect.
func (s *Sim) Draining() { s.drain = true }
