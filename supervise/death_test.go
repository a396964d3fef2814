package supervise

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"zinit/reap/reaptest"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// die drops the core, with all that it knows and all that was on its way to it,
// and builds another one from what the keeper has. The files say what they said.
func (w *world) die() {
	set := &config.Set{}
	for _, r := range w.c.order {
		if !r.leaving && r.cfg.Exec != "" || r.cfg.Target {
			set.Services = append(set.Services, r.cfg)
		}
	}
	w.post, w.checks = nil, nil
	w.channel.waiting, w.channel.full = nil, false
	before := w.c
	w.c = newCore(w.c.Parts)
	w.c.now = w.sim.Now
	w.adopts, w.amnesia = true, w.amnesia || w.c.Memory == nil
	w.c.load(set, w.sim.Inventory())
	w.adopts = false
	w.remembers(before)
	w.endTurn("a new server")
	w.check()
	for _, key := range w.sim.Alive() {
		if _, isGuest := guestOf(key); isGuest {
			continue
		}
		if r := w.c.byName[key]; r != nil && !r.m.Active() {
			w.failf("%s is alive, and the new server does not know: %s", key, r.m.State)
		}
	}
}

// A channel is what lies between core and keeper: it fills up now and then, and what
// waits then dies with the server.
type channel struct {
	clogs   bool
	full    bool
	waiting []func()
}

func (ch *channel) ask(what func()) {
	if ch.full {
		ch.waiting = append(ch.waiting, what)
		return
	}
	what()
}

// flush reports whether the keeper has heard everything.
func (ch *channel) flush(w *world) bool {
	ch.relieve(w)
	sent := !ch.full
	if ch.clogs && !w.calm && w.rng.IntN(8) == 0 {
		ch.full = true
	}
	return sent
}

// relieve lets the keeper read, or not yet.
func (ch *channel) relieve(w *world) {
	if ch.full && (w.calm || w.rng.IntN(3) == 0) {
		ch.read()
	}
}

func (ch *channel) read() {
	waiting := ch.waiting
	ch.full, ch.waiting = false, nil
	for _, what := range waiting {
		what()
	}
}

// firstKill reports whether SIGKILL to a run is what follows the stop signal, which
// must have been heard by then.
func (w *world) firstKill(key string, run uint64, sig syscall.Signal) bool {
	r := w.c.byName[key]
	if r == nil || sig != syscall.SIGKILL || w.byHand {
		return false
	}
	st, stopping := r.m.State.(machine.Stopping)
	return stopping && uint64(st.Run) == run && !st.Gone && st.Kills == 1 && !w.adopts
}

// remembers: the new server wants what the old one wanted, has its counters and
// does not shorten a back-off.
func (w *world) remembers(old *core) {
	if w.c.Memory == nil || w.c.draining {
		return
	}
	for _, r := range w.c.order {
		was := old.byName[r.name]
		if was == nil || was.leaving || was.problem != "" {
			continue
		}
		if was.wish == noWish && r.wish == noWish && r.m.Want != was.m.Want {
			w.failf("%s: want is %v, it was %v", r.name, r.m.Want, was.m.Want)
		}
		if r.m.Total < was.m.Total || r.m.Last < was.m.Last {
			w.failf("%s: %d restarts after %d, run %d after %d", r.name, r.m.Total, was.m.Total, r.m.Last, was.m.Last)
		}
		at, due := r.m.RestartAt(), was.m.RestartAt()
		if r.m.State.String() == was.m.State.String() && r.m.Last == was.m.Last && !r.m.Broken && !due.IsZero() && !at.Equal(due) {
			w.failf("%s: its restart is due at %v, it was at %v", r.name, at, due)
		}
		if r.m.Run() == was.m.Run() && r.m.Run() != 0 && r.outdated != was.outdated {
			w.failf("%s: outdated is %v, it was %v", r.name, r.outdated, was.outdated)
		}
	}
}

// simMemory is a Memory that outlives cores. What was put and not committed dies
// with the server.
type simMemory struct {
	kept, put map[string][]byte // nil: deleted
}

func newSimMemory() *simMemory { return &simMemory{map[string][]byte{}, map[string][]byte{}} }

func (m *simMemory) Records(f func(string, []byte)) {
	for _, key := range slices.Sorted(maps.Keys(m.kept)) {
		f(key, m.kept[key])
	}
}

func (m *simMemory) Put(key string, value []byte) error {
	m.put[key] = slices.Clone(value)
	return nil
}

func (m *simMemory) Delete(key string) { m.put[key] = nil }

func (m *simMemory) Commit() error {
	for key, value := range m.put {
		if value == nil {
			delete(m.kept, key)
		} else {
			m.kept[key] = value
		}
	}
	clear(m.put)
	return nil
}

// remembering gives the world a memory.
func (w *world) remembering() {
	w.c.Memory = newSimMemory()
	w.c.Clock = machine.Clock{
		Nanos: func(t time.Time) int64 { return t.UnixNano() },
		Time:  func(n int64) time.Time { return time.Unix(0, n).UTC() },
	}
}

// runWithDeaths lives through a history in which servers die at any moment. In
// the end the processes behave, and everything wanted must come up.
func (w *world) runWithDeaths(steps int) {
	n := 2 + w.rng.IntN(9)
	w.channel.clogs = w.rng.IntN(2) == 0
	w.c.load(w.config(n), w.sim.Inventory())
	w.endTurn("boot")
	for range steps {
		if w.fail != "" {
			return
		}
		switch w.rng.IntN(8) {
		case 0, 1:
			w.command(n)
		case 2:
			w.die()
		default:
			w.advance()
		}
	}
	if w.rng.IntN(4) == 0 {
		w.channel.clogs = false
		w.channel.read() // and so the keeper hears of it
		w.c.shutdown()
		w.endTurn("shutdown")
		for range 1 + w.rng.IntN(20) {
			w.advance()
		}
		w.die()
		if !w.c.draining && w.fail == "" {
			w.failf("a server that starts in a shutdown does not go on with it")
		}
		w.drainDown()
		return
	}
	w.sim.Odds = reaptest.Odds{MaxLife: time.Second, MaxDying: 100 * time.Millisecond}
	w.die()
	w.converge()
	for _, r := range w.c.recs {
		w.explained(r)
	}
}

// explained: a service that is to be up is up, or the reason why not is shown.
func (w *world) explained(r *record) {
	if !r.m.Want || w.fail != "" {
		return
	}
	switch st := r.m.State.(type) {
	case machine.Inactive:
		w.failf("%s is wanted and inactive", r.name)
	case machine.Blocked:
		if w.c.obstacle(r) == "" {
			w.failf("%s is blocked, and nobody knows by what", r.name)
		}
	case machine.Failed:
		if st.Why.String() == "" {
			w.failf("%s has failed without a reason", r.name)
		}
	}
}

// TestWaitsInRandomHistories compares the waits, which look only at what has
// changed, with a look at everything, after every event; and the views likewise.
func TestWaitsInRandomHistories(t *testing.T) {
	for seed := range uint64(300) {
		w := newWorld(seed)
		n := 2 + w.rng.IntN(9)
		w.c.load(w.config(n), w.sim.Inventory())
		w.endTurn("boot")
		for range 100 {
			if w.rng.IntN(4) == 0 {
				goal := Goals()[w.rng.IntN(len(Goals()))]
				names := []string{"s" + strconv.Itoa(w.rng.IntN(n)), "s" + strconv.Itoa(w.rng.IntN(n))}
				w.c.wait(&waiter{names: names[:1+w.rng.IntN(2)], goal: Goal(goal), settle: w.rng.IntN(2) == 0, done: func([]Waited) {}})
			}
			if w.rng.IntN(3) == 0 {
				w.command(n)
			} else {
				w.advance()
			}
			w.checkReaders()
		}
		if w.fail != "" {
			t.Fatalf("seed %d: %s\nlast events:\n%s", seed, w.fail, join(w.trace[max(0, len(w.trace)-15):]))
		}
	}
}

func (w *world) checkReaders() {
	for wait := range w.c.waiters {
		all, over := true, false
		for _, one := range w.c.look(wait) {
			all = all && one.Reached
			over = over || one.View == nil && !one.Reached || wait.settle && one.Hopeless
		}
		if all || over {
			w.failf("a wait for %v to be %s is not answered", wait.names, wait.goal)
		}
	}
	for _, r := range w.c.recs {
		seen := r.view
		r.view = nil
		if is := w.c.viewOf(r); seen != nil && !reflect.DeepEqual(is, seen) {
			w.failf("%s is shown as %+v, it is %+v", r.name, *seen, *is)
		}
	}
}

// TestServerDeathAtAnyMoment: servers die, their successors know only what the
// keeper does, and no invariant is broken. ZINIT_SIM_RUNS and ZINIT_SIM_SEED as
// for TestSimulation.
func TestServerDeathAtAnyMoment(t *testing.T) {
	otherwise := uint64(1500)
	if testing.Short() {
		otherwise = 300
	}
	runs, first := simNumber(t, "ZINIT_SIM_RUNS", otherwise), simNumber(t, "ZINIT_SIM_SEED", 1)
	var next, failures atomic.Uint64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for failures.Load() < 3 {
				n := next.Add(1) - 1
				if n >= runs {
					return
				}
				w := newWorld(first + n)
				if (first+n)%4 > 0 {
					w.remembering()
				}
				w.runWithDeaths(80)
				if w.fail != "" {
					failures.Add(1)
					t.Errorf("seed %d: %s\nlast events:\n%s\nreplay: ZINIT_SIM_RUNS=1 ZINIT_SIM_SEED=%s go test ./supervise -run %s",
						first+n, w.fail, join(w.trace[max(0, len(w.trace)-15):]), strconv.FormatUint(first+n, 10), t.Name())
				}
			}
		})
	}
	wg.Wait()
	if os.Getenv("ZINIT_SIM_RUNS") != "" {
		t.Logf("%d runs", runs)
	}
}
