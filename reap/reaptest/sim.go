// Package reaptest simulates a keeper from a seed: the methods of reap.Client,
// without a process, a channel or a clock. Processes start, end by themselves,
// obey signals, ignore them, leave groups behind and cannot be killed, as the
// random numbers have it; the same seed gives the same history.
//
// A Sim is used by one goroutine.
package reaptest

import (
	"fmt"
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
	MaxLife    time.Duration
	MaxDying   time.Duration // from the signal to the end
}

// A Sim is a simulated keeper.
type Sim struct {
	Odds  Odds
	Now   time.Time
	rng   *rand.Rand
	procs map[string]*proc // alive, by key
	runs  map[string]uint64
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
	gone    bool // the main process; the group lives on
	dying   bool
}

// todo is something that will happen.
type todo struct {
	at  time.Time
	seq int
	ev  reap.Event // delivered, when the process is still the one it concerns
	end *reap.Status
	key string
	run uint64
}

// New makes a keeper whose whole history follows from the seed and the calls.
func New(seed uint64, odds Odds, now time.Time) *Sim {
	return &Sim{
		Odds: odds, Now: now,
		rng:   rand.New(rand.NewPCG(seed, 0x5eed)),
		procs: map[string]*proc{}, runs: map[string]uint64{},
	}
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
	if s.chance(s.Odds.SpawnFails) {
		errno := []syscall.Errno{syscall.EAGAIN, syscall.ENOMEM, syscall.ENOENT, syscall.EMFILE}[s.rng.IntN(4)]
		s.later(s.within(time.Millisecond), todo{ev: reap.SpawnFailed{Key: spec.Key, Run: spec.Run, Errno: errno}, key: spec.Key})
		return
	}
	s.pids++
	p := &proc{run: spec.Run, pid: 1000 + s.pids,
		deaf: s.chance(s.Odds.Deaf), undead: s.chance(s.Odds.Undead), lingers: spec.Group && s.chance(s.Odds.Lingers)}
	s.procs[spec.Key] = p
	delay := s.within(time.Millisecond)
	s.later(delay, todo{ev: reap.Spawned{Key: spec.Key, Run: spec.Run, Pid: p.pid, Start: uint64(p.pid)}, key: spec.Key})
	if s.chance(s.Odds.Ends) {
		status := reap.ExitCode(s.rng.IntN(4))
		if s.chance(s.Odds.EndsWell) {
			status = reap.ExitCode(0)
		}
		s.later(delay+s.within(s.Odds.MaxLife), todo{end: &status, key: spec.Key, run: spec.Run})
	}
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
	if p.gone {
		if scope == reap.ScopeGroup {
			s.later(s.within(time.Millisecond), todo{ev: reap.GroupGone{Key: key, Run: run}, key: key, run: run})
		}
		return
	}
	p.dying = true
	status := reap.KilledBy(sig)
	s.later(s.within(s.Odds.MaxDying), todo{end: &status, key: key, run: run})
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
				return nil
			}
			delete(s.procs, t.key)
		}
		return []reap.Event{t.ev}
	}
	if p == nil || p.run != t.run || p.gone {
		return nil
	}
	if p.lingers {
		p.gone = true
	} else {
		delete(s.procs, t.key)
	}
	return []reap.Event{reap.Exited{Key: t.key, Run: t.run, Pid: p.pid, Status: *t.end, Lingers: p.lingers}}
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

// Ack, Release and Plan have no effect on a simulation.
func (s *Sim) Ack(string, uint64)                  {}
func (s *Sim) Release(string)                      {}
func (s *Sim) Plan([]reap.PlanStep, time.Duration) {}

// Draining begins a shutdown: a main process spawned from now on is a defect.
func (s *Sim) Draining() { s.drain = true }
