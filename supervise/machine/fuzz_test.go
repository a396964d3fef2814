package machine

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// history turns bytes into a service's rules and a life of random events.
type history struct {
	bytes []byte
	l     *live
	t     *testing.T

	// What a keeper would know: the run that it was asked for and has not seen the
	// end of. It checks that no other is asked for meanwhile.
	alive   Run
	up      bool // its process executes
	gone    bool // its main process ended, its group lives on
	highest Run
	hook    Hook // under way
	finding bool // somebody looks for a main process
	clears  bool // somebody ends what is left
	steps   int
}

func (h *history) next() int {
	if len(h.bytes) == 0 {
		return 0
	}
	b := h.bytes[0]
	h.bytes = h.bytes[1:]
	return int(b)
}

// rules are small numbers, so that their limits are met.
func (h *history) rules() *Rules {
	r := &Rules{
		Target: h.next()%8 == 0, Oneshot: h.next()%4 == 0, Policy: Policy(h.next() % 5),
		Remain: h.next()%2 == 0, Readiness: Readiness(h.next() % 3), Hooks: h.someHooks(),
		Watchdog: time.Duration(h.next()%4) * 300 * ms, ReloadSignal: syscall.SIGHUP,
		Succeeds: Statuses{}.With(h.next() % 4), Prevents: Statuses{}.With(1 + h.next()%4),
		Delay: time.Duration(h.next()%4) * 50 * ms, DelayMax: time.Duration(1+h.next()%8) * 100 * ms,
		MaxRestarts: h.next() % 4, Stability: time.Duration(h.next()) * 10 * ms,
		StartTimeout: time.Duration(1+h.next()) * 10 * ms, StopTimeout: time.Duration(1+h.next()) * 10 * ms,
		StopSignal: syscall.SIGTERM, StopScope: Scope(h.next() % 3), KillScope: Scope(h.next() % 3),
	}
	if r.Oneshot || r.Target {
		r.Readiness, r.Watchdog = AtSpawn, 0
	}
	if h.next()%2 == 0 && !r.Target {
		r.Health = &Health{Interval: time.Duration(1+h.next()%16) * 50 * ms, Retries: 1 + h.next()%4, ReportOnly: h.next()%3 == 0, Guest: h.next()%2 == 0}
	}
	return r
}

func (h *history) someHooks() Hooks {
	mask := h.next()
	return Hooks(h.next()&mask) &^ 1
}

// event is what may happen next; now and then it concerns a run that is over.
func (h *history) event() Event {
	run := h.alive
	if h.next()%8 == 0 {
		run = Run(h.next() % 4)
	}
	switch h.next() % 28 {
	case 0, 1:
		return Wanted{}
	case 2:
		return Dropped{}
	case 3:
		return Restarted{}
	case 4, 5:
		return DepsMet{}
	case 6:
		return DepsHeld{On: "x"}
	case 7:
		return DepsLost{On: "x"}
	case 8:
		return Broken{Why: Cause{Kind: MissingDependency, Name: "x"}}
	case 9:
		return Mended{}
	case 10:
		r := h.rules()
		r.Target = h.l.Rules.Target
		if r.Target {
			r.Health = nil
		}
		return Configured{Rules: r}
	case 11, 12:
		return Spawned{Run: run}
	case 13:
		return SpawnFailed{Run: run, Text: "x"}
	case 14:
		return Probed{Run: run}
	case 15:
		return Probed{Run: run, Err: "x"}
	case 16, 17:
		return ProcessGone{Run: run, Outcome: Outcome{Code: h.next() % 3}, Lingers: h.next()%3 == 0}
	case 18:
		return GroupGone{Run: run}
	}
	return h.eventOfItsOwn(run)
}

// eventOfItsOwn is one that not every service knows.
func (h *history) eventOfItsOwn(run Run) Event {
	failed := map[bool]string{true: "x"}[h.next()%4 == 0]
	switch h.next() % 10 {
	case 9:
		return Cleared{Run: h.l.Run()}
	case 0:
		return MainFound{Run: run}
	case 1:
		return MainMissing{Run: run, Text: "x"}
	case 2, 3, 4:
		return HooksDone{Run: h.l.Run(), Hook: h.hook, Err: failed, TimedOut: time.Duration(h.next()%2) * time.Second}
	case 5:
		return ReloadAsked{}
	case 6:
		b := h.next()
		return Notified{Run: run, Ready: b&1 > 0, Reloading: b&2 > 0, Stopping: b&4 > 0, Alive: b&8 > 0, Trigger: b&48 == 48, Extend: time.Duration(b>>6) * time.Second, Period: time.Duration(h.next()%3) * 300 * ms}
	case 7:
		return Resumed{Run: run}
	}
	return Ticked{}
}

// possible keeps a keeper's word: for one run Spawned or SpawnFailed comes first
// and once, then the end, then the end of the group; and that of those who run
// hooks and look for processes.
func (h *history) possible(ev Event) bool {
	run, concerns := runOf(ev)
	switch ev.(type) {
	case HooksDone:
		return h.hook != NoHook
	case Cleared:
		return h.clears
	case MainFound, MainMissing:
		return run == h.l.Run() && h.finding
	}
	if !concerns || run != h.alive {
		return !concerns || run != h.l.Run()
	}
	switch ev := ev.(type) {
	case Spawned:
		if h.up {
			return false
		}
		h.up = true
	case SpawnFailed:
		if h.up {
			return false
		}
		h.alive = 0
	case Probed, Notified:
		return h.up && !h.gone
	case ProcessGone:
		if !h.up || h.gone {
			return false
		}
		if h.gone = ev.Lingers; !ev.Lingers {
			h.alive = 0
		}
	case GroupGone:
		if !h.gone {
			return false
		}
		h.alive = 0
	}
	return true
}

// step applies an event and checks all that must hold.
func (h *history) step(ev Event) {
	if !h.possible(ev) {
		return
	}
	l := h.l
	before, due := l.Service, l.Deadline()
	actions := l.give(ev)
	if h.steps++; h.steps%4 == 0 {
		l.Service = remembered(h.t, l.Service) // another server goes on with it
	}
	h.heard(ev)
	for _, a := range actions {
		h.ordered(ev, a)
	}
	h.finding = h.finding && l.Finding()
	if h.alive != 0 && l.Run() != h.alive || h.alive == 0 && l.Run() != 0 && l.Hook() == NoHook && !h.finding && !h.clears && !l.remaining() && !l.prepared() {
		h.t.Fatalf("%T: %s -> %s, and alive is run %d", ev, describe(before), describe(l.Service), h.alive)
	}
	if l.Hook() != h.hook {
		h.t.Fatalf("%T: %s -> %s, and under way is %q", ev, describe(before), describe(l.Service), h.hook)
	}
	if l.Last < before.Last {
		h.t.Fatalf("%T: run numbers fall from %d to %d", ev, before.Last, l.Last)
	}
	if l.Delay > max(l.Rules.DelayMax, l.Rules.Delay) {
		h.t.Fatalf("%T: a back-off of %s, at most %s", ev, l.Delay, l.Rules.DelayMax)
	}
	if r := l.Rules.MaxRestarts; r > 0 && before.Rules == l.Rules && l.Quick > max(r, before.Quick) {
		h.t.Fatalf("%T: %d quick restarts, at most %d", ev, l.Quick, r)
	}
	if _, ticked := ev.(Ticked); ticked && !due.IsZero() && !due.After(l.now) {
		if next := l.Deadline(); !next.IsZero() && !next.After(l.now) && !l.dueTwice(before) {
			h.t.Fatalf("a tick at %s leaves the deadline %s: %s -> %s", moment(l.now), moment(next), describe(before), describe(l.Service))
		}
	}
}

// prepared reports a service that waits to be allowed to go on.
func (l *live) prepared() bool {
	st, ok := l.State.(Starting)
	return ok && st.Stage == Prepared
}

// remaining reports a oneshot that has done its work and stays.
func (l *live) remaining() bool {
	st, ok := l.State.(Running)
	return ok && st.Gone && st.Empty
}

// heard is what events mean to those who do what they are ordered.
func (h *history) heard(ev Event) {
	switch ev.(type) {
	case HooksDone:
		h.hook = NoHook
	case Cleared:
		h.clears = false
	case MainFound:
		h.alive, h.up, h.gone, h.finding = h.l.Last, true, false, false
	case MainMissing:
		h.finding = false
	}
}

// ordered checks one action.
func (h *history) ordered(ev Event, a Action) {
	l := h.l
	switch a := a.(type) {
	case Spawn:
		if h.alive != 0 {
			h.t.Fatalf("%T: run %d while run %d lives", ev, a.Run, h.alive)
		}
		if a.Run <= h.highest {
			h.t.Fatalf("%T: run %d after run %d", ev, a.Run, h.highest)
		}
		if !l.Want || l.Broken || l.Perm != Go {
			h.t.Fatalf("%T: spawned, and %s", ev, describe(l.Service))
		}
		h.alive, h.highest, h.up, h.gone = a.Run, a.Run, false, false
	case Signal:
		if a.Run != h.alive {
			h.t.Fatalf("%T: a signal to run %d, alive is %d", ev, a.Run, h.alive)
		}
	case Probe:
		if a.Run != h.alive || !h.up {
			h.t.Fatalf("%T: a probe of run %d, alive is %d", ev, a.Run, h.alive)
		}
	case FindMain:
		h.finding = true
	case RunHooks:
		if h.hook != NoHook || a.Run != l.Run() || !l.Rules.Hooks.Has(a.Hook) {
			h.t.Fatalf("%T: %s of run %d while %q runs: %s", ev, a.Hook, a.Run, h.hook, describe(l.Service))
		}
		h.hook = a.Hook
	case Clear:
		if a.Run != l.Run() || h.alive != 0 || h.hook != NoHook || h.clears && !l.Stuck() {
			h.t.Fatalf("%T: run %d is cleared while run %d is alive and %q runs: %s", ev, a.Run, h.alive, h.hook, describe(l.Service))
		}
		h.clears = true
	case EndHooks:
		if h.hook == NoHook {
			h.t.Fatalf("%T: there is no hook to end: %s", ev, describe(l.Service))
		}
		h.hook = NoHook
	}
}

// dueTwice: what was due has been done and something else is due at once, which
// the next tick does. A restart may meet a time limit that has passed.
func (l *live) dueTwice(before Service) bool {
	return before.State.String() != l.State.String()
}

// FuzzStep lives through random histories: never two live runs, no order for a
// dead run, every tick at the deadline moves it, every stop ends when the process
// does, run numbers only grow, the back-off stays within its limit.
func FuzzStep(f *testing.F) {
	f.Add([]byte("a service that starts, fails and is tried again"))
	f.Add([]byte{1, 1, 1, 2, 3, 2, 50, 50, 50, 1, 1, 0, 3, 2, 1, 1, 0, 1, 4, 1, 11, 1, 15, 1, 15, 1, 16, 1, 19})
	f.Fuzz(func(t *testing.T, bytes []byte) { (&history{bytes: bytes, t: t}).run() })
}

// TestRandomLives is the same from a seed, for those who do not fuzz.
func TestRandomLives(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	bytes := make([]byte, 600)
	for range 5000 {
		for i := range bytes {
			bytes[i] = byte(rng.Uint32())
		}
		(&history{bytes: bytes, t: t}).run()
	}
}

func (h *history) run() {
	h.l = begin(h.rules())
	for len(h.bytes) > 0 {
		if b := h.next(); b%3 == 0 {
			h.l.now = h.l.now.Add(time.Duration(b) * 10 * ms)
		}
		if due := h.l.Deadline(); h.next()%4 == 0 && due.After(h.l.now) {
			h.l.now = due
		}
		h.step(h.event())
	}
	h.end()
}

// end stops the service: it takes a stop, the end of what was ordered for it, and
// its process's end, and no more.
func (h *history) end() {
	h.step(Dropped{})
	for n := 0; n < 8 && h.l.Active(); n++ {
		switch {
		case h.hook != NoHook:
			h.step(HooksDone{Run: h.l.Run(), Hook: h.hook})
		case h.clears:
			h.step(Cleared{Run: h.l.Run()})
		case h.finding:
			h.step(MainMissing{Run: h.l.Run(), Text: "x"})
		case !h.up:
			h.step(Spawned{Run: h.alive})
		case !h.gone:
			h.step(ProcessGone{Run: h.alive})
		default:
			h.step(GroupGone{Run: h.alive})
		}
	}
	if h.l.Active() || !h.l.Deadline().IsZero() {
		h.t.Fatalf("stopped and ended, it is %s, with a deadline at %s", describe(h.l.Service), moment(h.l.Deadline()))
	}
}
