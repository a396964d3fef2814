package supervise

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"syscall"
	"time"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/launch"
	"zinit/supervise/logs"
	"zinit/supervise/machine"
)

// foresee says what a change will do: the difference between two futures, one with
// it and one without. Both are played by copies of the core, that is, by the very
// code that is going to make the change; see stage.
func (c *core) foresee(ch Change) (Changes, error) {
	with := c.rehearse()
	in := with.apply(ch)
	if err := c.newCycle(with, ch); err != nil {
		return Changes{}, err
	}
	all := slices.Clone(with.order) // before those that leave are gone
	with.play()
	without := c.rehearse()
	without.play()

	plan := Changes{Added: namesOf(in.added), Changed: namesOf(in.changed), Removed: namesOf(in.removed), Missing: with.missing()}
	for _, r := range all {
		now, otherwise, then := fateOf(c.byName[r.name]), fateOf(without.byName[r.name]), fateOf(with.byName[r.name])
		again := then.good && then.run > otherwise.run
		switch {
		case otherwise.up && again:
			plan.Restarted = append(plan.Restarted, r.name)
		case otherwise.up && now.up && !then.up:
			plan.Stopped = append(plan.Stopped, r.name)
		case !otherwise.up && (then.up || again):
			plan.Started = append(plan.Started, r.name)
		}
		if then.failed != "" && then.failed != otherwise.failed {
			plan.Failed = append(plan.Failed, NamedReason{r.name, then.failed})
		}
	}
	for _, r := range in.changed {
		if r.outdated && r.stands() {
			plan.RestartToApply = append(plan.RestartToApply, r.name)
		}
	}
	return plan, nil
}

// newCycle refuses what would knot a service that is not on a cycle yet.
func (c *core) newCycle(with *core, ch Change) error {
	var first *record
	for _, r := range with.order {
		if was := c.byName[r.name]; r.knotted && (was == nil || !was.knotted) && (first == nil || r.name < first.name) {
			first = r
		}
	}
	if first == nil {
		return nil
	}
	what := "reload"
	if ch.Only != "" {
		what = ch.Only
	}
	return refuse(Cycle, first.name, "%s refused, nothing is changed: %s: drop one of these dependencies", what, first.m.Fault)
}

// missing pairs the services that require what there is not with its name.
func (c *core) missing() (pairs [][2]string) {
	for _, r := range c.order {
		for _, name := range r.cfg.Requires {
			if d := c.byName[name]; !r.leaving && (d == nil || d.leaving) {
				pairs = append(pairs, [2]string{r.name, name})
			}
		}
	}
	return pairs
}

func namesOf(recs []*record) (names []string) {
	for _, r := range recs {
		names = append(names, r.name)
	}
	return names
}

// A fate is what has become of a service; of none: nothing.
type fate struct {
	up     bool // it has a process, or is a target that runs
	good   bool // it is up, or has done its work
	run    machine.Run
	failed string // why it failed; empty: it did not
}

func fateOf(r *record) fate {
	if r == nil {
		return fate{}
	}
	f := fate{up: r.isUp(), good: r.stands(), run: r.m.Last}
	if _, failed := r.m.State.(machine.Failed); failed {
		f.failed = r.m.Reason()
	}
	return f
}

// A stage takes the place of all that a core can reach, for a copy of it that
// plays what the future may bring. Time stands still there, and what is asked for
// is done: processes start and are healthy, oneshots end well, what is told to end
// ends. Checks that are under way stay so.
type stage struct {
	c    *core
	next []func() // what happens next
}

// rehearse copies the core onto a stage. The copy shares with it only what is
// never changed.
func (c *core) rehearse() *core {
	s := &stage{}
	d := newCore(Parts{
		Keeper: s, Logs: s, Prober: s, Finder: s, Unfit: c.Unfit, Log: slog.New(slog.DiscardHandler),
	})
	s.c = d
	if c.Gate != nil {
		d.Gate = s
	}
	d.Post = func(f func(*core)) {
		s.next = append(s.next, func() {
			f(d)
			d.conclude()
		})
	}
	d.coming, d.begun, d.ports = c.coming, c.begun, c.ports
	d.now, d.graph, d.starts, d.going, d.floor, d.problems = c.now, c.graph, c.starts, c.going, c.floor, c.problems
	d.recs, d.order = make([]*record, len(c.recs)), make([]*record, len(c.order))
	slab := make([]record, len(c.order))
	for n, r := range c.order {
		q := &slab[n]
		*q = *r
		q.view, q.waits, q.queued, q.heapPos = nil, nil, 0, -1
		q.timer = nil
		if r.gate != nil {
			g := *r.gate
			g.heard, g.stop = nil, nil
			q.gate = &g
		}
		d.order[n], d.recs[q.i], d.byName[q.name] = q, q, q
		if !q.idleBy.IsZero() {
			d.idle = append(d.idle, q)
		}
		d.setWake(q)
	}
	return d
}

// play lets happen what is under way, and what follows, until nothing does any
// more.
func (c *core) play() {
	s := c.Keeper.(*stage)
	c.hasty = true
	c.calm()
	c.settle()
	for _, r := range c.order {
		s.underWay(r)
	}
	// What a service goes through is short; the bound is for what nobody has
	// thought of.
	for rounds := 100 + 20*len(c.order); rounds > 0; rounds-- {
		c.turn()
		if len(s.next) == 0 {
			return
		}
		next := s.next
		s.next = nil
		for _, f := range next {
			f()
		}
	}
}

// underWay completes what had begun before the copy was made. A oneshot takes as
// long as it takes.
func (s *stage) underWay(r *record) {
	run := uint64(r.m.Run())
	_, stopping := r.m.State.(machine.Stopping)
	_, starting := r.m.State.(machine.Starting)
	held := r.watch.held
	r.watch = watching{}
	switch {
	case r.m.Finding():
		r.watch.asked = 1
		s.Watch(r.name, run, r.pid)
	case held != nil:
		s.next = append(s.next, func() { s.c.keeperEvent(*held) })
	case r.m.Clearing():
		s.next = append(s.next, func() { s.c.cleaned(r, machine.Run(run)) })
	case r.hook.kind != machine.NoHook: // see below
	case starting:
		s.next = append(s.next, func() { s.rises(r.name, run) })
	case stopping && !r.m.Stuck():
		s.next = append(s.next, func() { s.falls(r.name, run, syscall.SIGTERM) })
	}
	if g := r.gate; g != nil && !g.until.IsZero() {
		s.next = append(s.next, func() {
			if r.gate == g && !g.until.IsZero() {
				s.c.looked(r, nil, nil)
			}
		})
	}
	if r.hook.alive {
		s.next = append(s.next, func() { s.ends(r.name+hookSuffix, r.hook.last) })
	}
	if p := r.probe; p.alive && p.of == 0 {
		s.Signal(r.name+probeSuffix, p.last, syscall.SIGKILL, reap.ScopeGroup)
	}
}

// ends is a process that ends well.
func (s *stage) ends(key string, run uint64) {
	s.c.keeperEvent(reap.Exited{Key: key, Run: run, Status: reap.ExitCode(0)})
}

// rises is a process that starts and is healthy.
func (s *stage) rises(key string, run uint64) {
	s.c.keeperEvent(reap.Spawned{Key: key, Run: run})
	r := s.c.byName[key]
	if r == nil {
		return
	}
	if st, starting := r.m.State.(machine.Starting); starting && st.Stage == machine.Coming && r.m.Rules.Readiness == machine.ByFork {
		s.ends(key, run)
	}
	s.c.step(r, machine.Notified{Run: machine.Run(run), Ready: true})
	s.c.step(r, machine.Probed{Run: machine.Run(run)})
	s.c.conclude()
}

// falls is the end of a process, or of the rest of its group.
func (s *stage) falls(key string, run uint64, sig syscall.Signal) {
	if r := s.c.byName[key]; r != nil && !r.m.Main() {
		if !r.m.Empty() {
			s.c.keeperEvent(reap.GroupGone{Key: key, Run: run})
		}
		return
	}
	s.c.keeperEvent(reap.Exited{Key: key, Run: run, Status: reap.KilledBy(sig)})
}

func (s *stage) Spawn(o launch.Order) {
	if _, isProbe := probeOf(o.Key); isProbe {
		return
	}
	if f := s.c.Unfit; f != nil && o.Key == o.Service.Name {
		if why := f(o.Service); why != "" {
			s.next = append(s.next, func() {
				s.c.keeperEvent(reap.SpawnFailed{Key: o.Key, Run: o.Run, Text: why})
			})
			return
		}
	}
	s.next = append(s.next, func() {
		s.rises(o.Key, o.Run)
		_, isHook := hookOf(o.Key)
		if r := s.c.byName[o.Key]; isHook || r != nil && r.cfg.Oneshot() {
			s.ends(o.Key, o.Run)
		}
	})
}

// Watch succeeds.
func (s *stage) Watch(key string, run uint64, pid int) {
	s.next = append(s.next, func() {
		s.c.keeperEvent(reap.Watched{Key: key, Run: run, Pid: pid})
		if r := s.c.byName[key]; r != nil {
			s.c.step(r, machine.Probed{Run: machine.Run(run)})
			s.c.conclude()
		}
	})
}

// Look finds nobody. What is known to be in the way stays there: time stands still.
func (s *stage) Look(_ context.Context, _ *config.Service, _ func(*Obstacle), done func(*Obstacle, error)) {
	done(nil, nil)
}

// Find finds a process.
func (s *stage) Find(_ *config.Service, _ uint64, first int, _ func(string), done func(Found, error)) {
	done(Found{Pid: first}, nil)
}

func (s *stage) Signal(key string, run uint64, sig syscall.Signal, _ reap.Scope) {
	s.next = append(s.next, func() { s.falls(key, run, sig) })
}

// The rest has no effect on what happens.
func (s *stage) Ack(string, uint64)                       {}
func (s *stage) Release(string)                           {}
func (s *stage) Keep(string, *os.File) error              { return nil }
func (s *stage) Plan([]reap.PlanStep, time.Duration)      {}
func (s *stage) Draining()                                {}
func (s *stage) Flush() bool                              { return true }
func (s *stage) Configure(string, logs.Options)           {}
func (s *stage) Pipes(string, uint64) (logs.Pipes, error) { return logs.Pipes{}, nil }
func (s *stage) Start(string, uint64)                     {}
func (s *stage) Discard(string, uint64)                   {}
func (s *stage) Ended(string, uint64)                     {}
func (s *stage) Append(string, string)                    {}
func (s *stage) Remove(string)                            {}
func (s *stage) Check(*config.Health, func(error))        {}
