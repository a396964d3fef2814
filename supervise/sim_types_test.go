package supervise

import (
	"errors"
	"slices"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// kind makes a service one of a random type, with hooks now and then.
func (w *world) kind(s *config.Service) {
	s.Type = []config.Type{config.TypeSimple, config.TypeSimple, config.TypeSimple, config.TypeOneshot, config.TypeOneshot,
		config.TypeNotify, config.TypeForking, config.TypeIdle}[w.rng.IntN(8)]
	s.RemainAfterExit = s.Type == config.TypeOneshot && w.rng.IntN(2) == 0
	if s.Type == config.TypeNotify && w.rng.IntN(2) == 0 {
		s.Watchdog = 300 * time.Millisecond
	}
	if w.rng.IntN(3) > 0 {
		return
	}
	for _, list := range []*[]config.Hook{&s.Hooks.StartPre, &s.Hooks.StartPost, &s.Hooks.Stop, &s.Hooks.StopPost, &s.Hooks.Reload} {
		for range max(0, w.rng.IntN(5)-2) {
			*list = append(*list, config.Hook{Line: "/hook", Command: config.Command{Argv: []string{"/hook"}}, IgnoreFailure: w.rng.IntN(4) == 0})
		}
	}
}

// spawning checks what is about to be spawned, and says how it will behave.
func (w *world) spawning(key string) {
	service, isGuest := guestOf(key)
	_, isHook := hookOf(key)
	r := w.c.byName[service]
	switch {
	case !isGuest:
		w.mayStart(service)
		w.mayPass(r)
	case isHook && r.m.Hook() == machine.ExecStop:
		w.mayStop(r)
	case isHook && r.m.Hook() == machine.ExecStartPre:
		w.mayPass(r)
	}
	if !isGuest {
		w.spawned[key] = true
	}
	odds := w.sim.Odds
	switch {
	case isHook:
		odds.Ends, odds.EndsWell, odds.MaxLife = 90, 85, 300*time.Millisecond
		odds.Leaves = leaves(r, 30)
	case !isGuest && r.cfg.Type == config.TypeForking:
		odds.Ends, odds.EndsWell, odds.Forks, odds.MaxLife = 95, 85, 85, 50*time.Millisecond
	}
	if isGuest && !isHook {
		odds.Leaves = leaves(r, 10)
	}
	if w.ideal && (isGuest || r.cfg.Oneshot() || r.cfg.Type == config.TypeForking) {
		odds.Ends, odds.EndsWell, odds.Forks, odds.MaxLife = 100, 100, 100, 50*time.Millisecond
	}
	if w.sim.Of == nil {
		w.sim.Of = map[string]reaptest.Odds{}
	}
	w.sim.Of[key] = odds
}

// leaves is how often guests of a service leave somebody behind who is not to stay.
func leaves(r *record, percent int) int {
	if r.m.Rules.KillScope != machine.Cgroup {
		return 0
	}
	return percent
}

// Clean ends who was left behind, after a while.
func (w *world) Clean(service string, done func()) {
	if w.dry {
		w.failf("a dry run ends what is left of %s", service)
	}
	// Who was waited for in vain may still come, and leave something.
	r := w.c.byName[service]
	w.pardoned[service] = r.hook.alive || r.probe.alive
	w.checks = append(w.checks, check{w.sim.Now.Add(w.within(20 * time.Millisecond)), func(error) {
		if slices.Contains(w.sim.Alive(), service) {
			w.failf("%s is cleaned up after while it lives", service)
		}
		w.sim.Clean(service)
		done()
	}})
}

// simEars take their time to pass on what was said; what that is others have said.
type simEars struct{ w *world }

func (simEars) Open(*config.Service, uint64) (Voice, error) { return Voice{}, nil }
func (simEars) Close(string)                                {}
func (e simEars) Drain(_ string, done func()) {
	e.w.checks = append(e.w.checks, check{e.w.sim.Now.Add(e.w.within(20 * time.Millisecond)), func(error) { done() }})
}

// lives says how a daemon behaves that a main process will leave, and what a main
// process says about itself.
func (w *world) lives(spec reap.Spec) {
	odds := w.sim.Odds
	if w.ideal {
		odds.Ends = 0
	}
	r := w.c.byName[spec.Key]
	if r == nil {
		return
	}
	odds.Forks = w.sim.Of[spec.Key].Forks
	w.sim.Of[spec.Key] = odds
	if r.cfg.Type != config.TypeNotify {
		return
	}
	if w.ideal || w.rng.IntN(10) > 0 {
		w.says(spec, Notice{Ready: true}, w.within(40*time.Millisecond))
	}
	for range w.rng.IntN(4) {
		n := Notice{Reloading: w.rng.IntN(4) == 0, Stopping: w.rng.IntN(4) == 0, Alive: w.rng.IntN(2) == 0}
		n.Hurt = !w.ideal && w.rng.IntN(20) == 0
		n.Extend = time.Duration(w.rng.IntN(3)) * 100 * time.Millisecond
		w.says(spec, n, w.within(time.Second))
	}
	if r.cfg.Watchdog > 0 {
		w.feeds(spec)
	}
}

func (w *world) within(d time.Duration) time.Duration { return time.Duration(w.rng.Int64N(int64(d))) }

// says has a run say something after a while, if it lives by then. The words wait
// for a server.
func (w *world) says(spec reap.Spec, n Notice, after time.Duration) {
	w.words = append(w.words, check{w.sim.Now.Add(after), func(error) {
		if !slices.Contains(w.sim.Alive(), spec.Key) {
			return
		}
		n.Run = spec.Run
		if w.rng.IntN(10) == 0 {
			n.MainPID = w.sim.Fork(spec.Key)
		}
		w.c.notified(spec.Key, n)
	}})
}

// feeds gives signs of life, for ever in an ideal world, and not when the world is
// to come to rest.
func (w *world) feeds(spec reap.Spec) {
	w.words = append(w.words, check{w.sim.Now.Add(250 * time.Millisecond), func(error) {
		r := w.c.byName[spec.Key]
		if r == nil || uint64(r.m.Run()) != spec.Run || !r.m.Main() {
			return
		}
		w.c.notified(spec.Key, Notice{Alive: true, Run: spec.Run})
		if w.ideal || !w.calm && w.rng.IntN(20) > 0 {
			w.feeds(spec)
		}
	}})
}

// Find looks for the daemon that a process has left, which may have ended.
func (w *world) Find(s *config.Service, run uint64, _ int, _ func(string), done func(Found, error)) {
	w.checks = append(w.checks, check{w.sim.Now.Add(w.within(20 * time.Millisecond)), func(error) {
		of, pid, ok := w.sim.Daemon(s.Name)
		switch {
		case !ok || of != run:
			done(Found{}, errors.New("there is no pid file"))
		case !w.ideal && w.rng.IntN(10) == 0:
			done(Found{Pid: 17}, nil) // somebody else's
		default:
			done(Found{Pid: pid, Guessed: w.rng.IntN(2) == 0}, nil)
		}
	}})
}

// checkUnderWay: what a service waits for is under way, and is bounded.
func (w *world) checkUnderWay(r *record) {
	h := r.hook
	if !r.m.Active() && r.m.Rules.KillScope == machine.Main {
		w.sim.Clean(r.name) // they may live on, whatever it becomes
	}
	switch {
	case h.kind != r.m.Hook():
		w.failf("%s waits for %q, and what runs is %q", r.name, r.m.Hook(), h.kind)
	case h.kind != machine.NoHook && (h.of != r.m.Run() || h.deadline.IsZero() || h.deadline.After(w.c.now.Add(max(h.timeout, machine.StuckAfter)))):
		w.failf("%s: %q is not bounded: %+v", r.name, h.kind, h)
	case h.kind != machine.NoHook && !h.alive:
		w.failf("%s: %q is not under way: %+v", r.name, h.kind, h)
	case r.m.Finding() && r.watch.asked == 0 && r.watch.until.IsZero():
		w.failf("%s: nobody looks for its main process", r.name)
	case !r.m.Active() && !w.amnesia && !w.pardoned[r.name] && r.m.Rules.KillScope == machine.Cgroup && w.sim.Left(r.name):
		w.failf("%s is %s, and what its hooks or checks have left lives on", r.name, r.m.State)
	case r.watch.held != nil && r.watch.asked == 0 && !r.watch.hearing && r.watch.until.IsZero():
		w.failf("%s: the end of its main process is kept back for ever", r.name)
	}
}
