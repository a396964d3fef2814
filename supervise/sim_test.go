package supervise

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
	"zinit/supervise/config"
	"zinit/supervise/launch"
	"zinit/supervise/logs"
	"zinit/supervise/machine"
)

// noLogs takes in nothing.
type noLogs struct{}

func (noLogs) Configure(string, logs.Options)           {}
func (noLogs) Pipes(string, uint64) (logs.Pipes, error) { return logs.Pipes{}, nil }
func (noLogs) Start(string, uint64)                     {}
func (noLogs) Discard(string, uint64)                   {}
func (noLogs) Ended(string, uint64)                     {}
func (noLogs) Append(string, string)                    {}
func (noLogs) Remove(string)                            {}

// world is one simulated machine: a core, a simulated keeper, a fake clock.
type world struct {
	c    *core
	sim  *reaptest.Sim
	rng  *rand.Rand
	post []func(*core)
	// checks are the results of probes that are under way.
	checks  []check
	words   []check                // what services are about to say
	falling map[string]machine.Run // the last run that was seen to go down
	known   map[string]*config.Service
	digests int
	byHand  bool            // an operator's kill is under way
	dry     bool            // nothing may be asked of the keeper
	calm    bool            // the world is to come to rest
	ideal   bool            // what is asked for is done, sooner or later
	spawned map[string]bool // since the last look, of the main processes
	stopped map[string]bool
	targets map[string]bool // then and now
	channel channel
	adopts  bool // a new server finds out how things are
	gates   simGates
	told    map[string]uint64 // the last run that got a signal other than SIGKILL
	trace   []string
	amnesia bool // a server has died without having written anything down
	// pardoned are those whose last guests were not waited for to the end.
	pardoned map[string]bool
	fail     string
}

type check struct {
	at   time.Time
	done func(error)
}

// simKeeper checks the invariants that concern what is asked of the keeper, at
// the moment it is asked.
type simKeeper struct {
	*reaptest.Sim
	w *world
}

func (k simKeeper) Spawn(o launch.Order) {
	s := o.Spec()
	if s.Path == missingFile && !k.w.dry {
		k.Sim.Fail(s.Key, s.Run, "not found")
		return
	}
	if k.w.dry {
		k.w.failf("%s is spawned in a dry run", s.Key)
	}
	k.w.spawning(s.Key)
	k.w.channel.ask(func() {
		k.Sim.Spawn(s)
		k.w.lives(s)
	})
}

func (k simKeeper) Signal(key string, run uint64, sig syscall.Signal, scope reap.Scope) {
	if r := k.w.c.byName[key]; r != nil && sig != syscall.SIGKILL && sig != syscall.SIGHUP && !k.w.byHand {
		k.w.mayStop(r)
		k.w.stopped[key] = true
	}
	if k.w.dry {
		k.w.failf("%s gets a signal in a dry run", key)
	}
	first := k.w.firstKill(key, run, sig)
	k.w.channel.ask(func() {
		if first && k.w.told[key] != run {
			k.w.failf("%s is killed in run %d, which was never told to end", key, run)
		}
		if sig != syscall.SIGKILL {
			k.w.told[key] = run
		}
		k.Sim.Signal(key, run, sig, scope)
	})
}

func (k simKeeper) Watch(key string, run uint64, pid int) {
	k.w.channel.ask(func() { k.Sim.Watch(key, run, pid) })
}

func (k simKeeper) Ack(key string, run uint64) { k.w.channel.ask(func() { k.Sim.Ack(key, run) }) }

func (k simKeeper) Draining() { k.w.channel.ask(k.Sim.Draining) }

func (k simKeeper) Flush() bool { return k.w.channel.flush(k.w) }

func (k simKeeper) Keep(string, *os.File) error { return nil }

// Check answers a health probe some time later, at random.
func (w *world) Check(_ *config.Health, done func(error)) {
	var err error
	if !w.ideal && w.rng.IntN(100) < 25 {
		err = errors.New("refused")
	}
	w.checks = append(w.checks, check{w.c.now.Add(time.Duration(w.rng.IntN(50)) * time.Millisecond), func(error) { done(err) }})
}

func (w *world) failf(format string, args ...any) {
	if w.fail != "" {
		return
	}
	w.fail = fmt.Sprintf(format, args...)
	for _, r := range w.c.recs {
		w.fail += fmt.Sprintf("\n\t%s %s broken=%v breaking=%v want=%v wish=%d counts=%+v requires=%v after=%v wants=%v conflicts=%v reason=%q",
			r.name, r.m.State, r.m.Broken, r.breaking, r.m.Want, r.wish, r.counts, r.cfg.Requires, r.cfg.After, r.cfg.Wants, r.cfg.Conflicts, r.m.Reason())
	}
}

func newWorld(seed uint64) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 1)), known: map[string]*config.Service{}, falling: map[string]machine.Run{}, pardoned: map[string]bool{},

		gates:   simGates{looks: map[string]*simLook{}, preparing: map[string]bool{}},
		spawned: map[string]bool{}, stopped: map[string]bool{}, targets: map[string]bool{}, told: map[string]uint64{},
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pick := func(n int) int { return w.rng.IntN(n) }
	w.sim = reaptest.New(seed, reaptest.Odds{
		SpawnFails: pick(15), Ends: pick(80), EndsWell: pick(60), Deaf: pick(30), Undead: pick(2) * pick(5), Lingers: pick(20),
		MaxLife: time.Duration(1+pick(5000)) * time.Millisecond, MaxDying: time.Duration(1+pick(300)) * time.Millisecond,
	}, start)
	w.c = newCore(Parts{
		Keeper: simKeeper{w.sim, w}, Logs: noLogs{}, Prober: w, Cleaner: w, Finder: w, Gate: w,
		Unfit: func(s *config.Service) string {
			if len(s.Command.Argv) > 0 && s.Command.Argv[0] == missingFile {
				return "not found"
			}
			return ""
		},
		Log:  slog.New(slog.DiscardHandler),
		Post: func(f func(*core)) { w.post = append(w.post, f) },
	})
	w.c.Ears = simEars{w}
	w.c.now = start
	return w
}

const missingFile = "/missing"

// config makes a random configuration; n services named s0, s1, …
func (w *world) config(n int) *config.Set {
	set := &config.Set{}
	name := func(i int) string { return "s" + strconv.Itoa(i) }
	for i := range n {
		if w.rng.IntN(20) == 0 {
			continue // a hole: what requires it has a missing dependency
		}
		s := config.Default()
		s.Name, s.Exec, s.Command.Argv = name(i), "/x", []string{"/x"}
		if old := w.known[name(i)]; old != nil && w.rng.IntN(3) == 0 {
			set.Services = append(set.Services, old) // its file has not changed
			continue
		}
		w.digests++
		s.Digest[0], s.Digest[1] = byte(w.digests), byte(w.digests>>8)
		w.known[s.Name] = s
		switch w.rng.IntN(20) {
		case 0, 1, 2, 3:
			s.Env = []string{"A=" + strconv.Itoa(w.rng.IntN(2))}
		case 4:
			if !w.ideal {
				s.Exec, s.Command.Argv[0] = missingFile, missingFile
			}
		case 5:
			s.Class = config.ClassSystem
		}
		s.Target = w.rng.IntN(8) == 0
		if !s.Target {
			w.kind(s)
			w.claims(s, i)
		}
		switch w.rng.IntN(16) {
		case 0, 1:
			s.Status = config.StatusStop
		case 2:
			s.Status = config.StatusIgnore
		}
		for j := range n {
			backward := w.rng.IntN(200) == 0 // now and then a cycle
			if j >= i && !backward {
				continue
			}
			switch w.rng.IntN(3 * n / 2) {
			case 0, 1:
				s.Requires = append(s.Requires, name(j))
			case 2:
				s.After = append(s.After, name(j))
			case 3:
				s.Wants = append(s.Wants, name(j))
			case 5:
				// Whether it was satisfied in the moment that counts is a matter of time.
				if !w.ideal {
					s.Awaits = append(s.Awaits, name(j))
				}
			case 4:
				// Which of two rivals is up is for the first that comes to say.
				if w.rng.IntN(3) == 0 && j != i && !w.ideal {
					s.Conflicts = append(s.Conflicts, name(j))
				}
			}
		}
		if w.rng.IntN(20) == 0 && !w.ideal {
			s.Awaits = append(s.Awaits, "nobody")
		}
		w.lifecycle(s)
		set.Services = append(set.Services, s)
	}
	return set
}

func (w *world) lifecycle(s *config.Service) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	s.Lifecycle = config.Lifecycle{
		Restart:         config.RestartPolicy(w.rng.IntN(5)),
		RestartExplicit: w.rng.IntN(2) == 0,
		RestartDelay:    ms(w.rng.IntN(4) * 50),
		RestartDelayMax: ms(1000),
		MaxRestarts:     w.rng.IntN(5),
		StabilityPeriod: ms(2000),
		StartTimeout:    ms(1 + w.rng.IntN(1000)),
		StopTimeout:     ms(1 + w.rng.IntN(500)),
		StopSignal:      syscall.SIGTERM,
		HookTimeout:     ms(50 + w.rng.IntN(500)),
		KillMode:        config.KillMode(w.rng.IntN(4)),
	}
	if s.Oneshot() && s.Lifecycle.Restart == config.RestartOnSuccess {
		s.Lifecycle.Restart = config.RestartOnAbnormal
	}
	if w.ideal {
		s.Lifecycle.StartTimeout, s.Lifecycle.HookTimeout = time.Minute, time.Minute
	}
	if w.rng.IntN(3) == 0 && !s.Target {
		s.Health = &config.Health{Kind: config.ProbeTCP, Target: "localhost:1", Interval: ms(200), Timeout: ms(100), Retries: 1 + w.rng.IntN(3), ReportOnly: w.rng.IntN(3) == 0}
		if w.rng.IntN(3) == 0 {
			s.Health.Kind = config.ProbeExec
			s.Health.Target, s.Health.Command = "/probe", config.Command{Argv: []string{"/probe"}}
		}
		if w.ideal {
			s.Health.Retries = 10 // a check fails when the one before has not ended
		}
	}
}

// run lives through one history: boot, commands and ends at random, and then
// either quiet or a shutdown.
func (w *world) run(steps int) {
	n := 2 + w.rng.IntN(9)
	w.c.load(w.config(n), reap.Inventory{Runs: map[string]uint64{}})
	w.endTurn("boot")
	for range steps {
		if w.fail != "" {
			return
		}
		switch w.rng.IntN(4) {
		case 0:
			w.command(n)
		default:
			w.advance()
		}
	}
	if w.rng.IntN(3) == 0 {
		w.c.shutdown()
		w.endTurn("shutdown")
		w.drainDown()
		return
	}
	w.converge()
}

// command does what an operator might.
func (w *world) command(n int) {
	name := "s" + strconv.Itoa(w.rng.IntN(n))
	what := ""
	switch w.rng.IntN(11) {
	case 0, 1:
		what = "stop " + name
		_ = w.c.stop(name) // a refusal is an answer too
	case 2, 3, 4:
		what = "start " + name
		_ = w.c.start(name, w.rng.IntN(4) == 0)
	case 5:
		what = "restart " + name
		_ = w.c.restart(name)
	case 6:
		what = "kill " + name
		w.byHand = true
		_ = w.c.kill(name, syscall.SIGTERM)
		w.byHand = false
	case 7:
		what = "jump"
		w.sim.Now = w.sim.Now.Add(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
	case 8, 9:
		var do func(*core, bool) (Changes, error)
		what, do = w.change(n)
		w.rehearse(what, do)
	case 10:
		what = w.bulk()
	}
	w.endTurn(what)
}

// advance lets the next thing happen: an event of the keeper, a probe's result or
// a deadline. False: nothing will happen any more.
func (w *world) advance() bool {
	w.channel.relieve(w)
	at, any := w.sim.Next()
	if wake := w.c.nextWake(); !wake.IsZero() && (!any || wake.Before(at)) {
		at, any = wake, true
	}
	list, probe := &w.checks, -1
	for _, l := range []*[]check{&w.checks, &w.words} {
		for i, ch := range *l {
			if !any || ch.at.Before(at) {
				at, any, list, probe = ch.at, true, l, i
			}
		}
	}
	if !any {
		return false
	}
	if at.After(w.sim.Now) {
		w.sim.Now = at
	}
	w.c.now = w.sim.Now
	if probe >= 0 {
		done := (*list)[probe].done
		*list = slices.Delete(*list, probe, probe+1)
		done(nil)
		w.endTurn("probe")
		return true
	}
	what := "tick"
	if next, ok := w.sim.Next(); ok && !next.After(w.sim.Now) {
		for _, ev := range w.sim.Take() {
			what = fmt.Sprintf("%T%+v", ev, ev)
			w.c.keeperEvent(ev)
		}
	}
	w.endTurn(what)
	return true
}

func (w *world) endTurn(what string) {
	w.c.now = w.sim.Now
	w.c.turn()
	for len(w.post) > 0 {
		f := w.post[0]
		w.post = w.post[1:]
		f(w.c)
		w.c.turn()
	}
	if len(w.trace) < 4000 {
		w.trace = append(w.trace, fmt.Sprintf("%s %s", w.c.now.Format("05.000"), what))
	}
	w.check()
	if len(w.sim.Defects) > 0 {
		w.failf("%s", w.sim.Defects[0])
	}
}

// converge lets the world run until it is quiet, or for a bounded simulated time
// when something restarts for ever, and checks that every service is where it is
// to be, or says why not.
func (w *world) converge() {
	w.calm = true
	for range 4000 {
		if w.fail != "" || !w.advance() {
			break
		}
		for _, r := range w.c.recs {
			_, failed := r.m.State.(machine.Blocked)
			if failed && r.m.Perm == machine.Go {
				w.failf("%s is blocked though nothing is in its way", r.name)
			}
		}
	}
}

// drainDown checks that a shutdown ends in bounded time with nothing alive that
// could be ended.
func (w *world) drainDown() {
	limit := w.sim.Now.Add(5 * time.Minute)
	for !w.c.down() && w.fail == "" {
		if !w.advance() {
			w.failf("the shutdown rests before its end")
		}
		if w.sim.Now.After(limit) {
			w.failf("the shutdown takes more than five minutes")
		}
	}
	for _, key := range w.sim.Alive() {
		if r := w.c.byName[key]; r != nil && !r.m.Stuck() && w.fail == "" {
			w.failf("%s is alive after the shutdown", key)
		}
	}
}

func simNumber(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestSimulation lives through many random histories and checks the invariants
// after every event. ZINIT_SIM_RUNS says how many, ZINIT_SIM_SEED where to begin;
// a failing seed replays exactly.
func TestSimulation(t *testing.T) {
	otherwise := uint64(10000)
	if testing.Short() {
		otherwise = 2000
	}
	histories(t, simNumber(t, "ZINIT_SIM_RUNS", otherwise), func(seed uint64) *world {
		w := newWorld(seed)
		w.run(60)
		return w
	})
}

// histories lives through some, on all processors, and shows the first that fail.
func histories(t *testing.T, runs uint64, live func(seed uint64) *world) {
	first := simNumber(t, "ZINIT_SIM_SEED", 1)
	var next, events, failures atomic.Uint64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for failures.Load() < 3 {
				n := next.Add(1) - 1
				if n >= runs {
					return
				}
				seed := first + n
				w := live(seed)
				events.Add(uint64(len(w.trace)))
				if w.fail != "" {
					failures.Add(1)
					tail := w.trace[max(0, len(w.trace)-15):]
					t.Errorf("seed %d: %s\nlast events:\n%s\nreplay: ZINIT_SIM_RUNS=1 ZINIT_SIM_SEED=%d go test ./supervise -run '^%s$'",
						seed, w.fail, join(tail), seed, t.Name())
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d runs, %d events", runs, events.Load())
}

func join(lines []string) string {
	s := ""
	for _, l := range lines {
		s += "\t" + l + "\n"
	}
	return s
}
