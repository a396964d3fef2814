package supervise

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"time"

	"zinit/depgraph"
	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// Changes is what a reload did, by name, each list in load order.
type Changes struct {
	Added, Removed, Changed []string
}

// load takes in the first configuration and what an earlier server left behind,
// and brings up what is to be up.
func (c *core) load(set *config.Set, inv reap.Inventory) {
	c.configure(set)
	c.addStrangers(inv)
	c.rebuild()
	c.adopt(inv)
	c.quiet()
	c.partRivals()
	if inv.Stage == reap.StageDrain {
		c.shutdown()
		return
	}
	c.boot(func(*record) bool { return true })
	c.settle()
}

// boot wants what boot brings up, of those that are chosen.
func (c *core) boot(chosen func(*record) bool) {
	for _, i := range c.graph.StartOrder() {
		r := c.recs[i]
		if chosen(r) && r.cfg.Status == config.StatusStart && !r.leaving && !r.m.Want {
			if r.breaking != nil && !r.m.Active() && r.counts.held == 0 {
				c.grant(r) // it fails without having waited for anything
			}
			c.step(r, machine.Wanted{})
		}
	}
}

// configure makes the records say what a configuration says. It starts and stops
// nothing by itself; rebuild and settle do.
func (c *core) configure(set *config.Set) Changes {
	var ch Changes
	c.problems = set.Problems
	wanted := map[string]bool{}
	for _, s := range set.Services {
		wanted[s.Name] = true
		r := c.byName[s.Name]
		switch {
		case r == nil:
			c.add(s, "")
			ch.Added = append(ch.Added, s.Name)
		case r.leaving || r.cfg.Digest != s.Digest || r.cfg.Source != s.Source || r.problem != "":
			c.change(r, s)
			ch.Changed = append(ch.Changed, s.Name)
		}
	}
	failed := failedFiles(set)
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		text := failed[name]
		if wanted[name] {
			continue
		}
		wanted[name] = true
		if r := c.byName[name]; r != nil {
			// It goes on with the configuration that it has.
			r.problem = text
			c.touch(r)
			continue
		}
		c.add(&config.Service{Name: name}, text)
		ch.Added = append(ch.Added, name)
	}
	unread := unreadDirs(set)
	for _, r := range c.order {
		if dir := filepath.Dir(r.cfg.Source); unread[dir] && !wanted[r.name] && !r.leaving {
			continue // nobody knows whether its file is still there
		}
		if !wanted[r.name] && !r.leaving {
			r.leaving, r.wish = true, wishDown
			c.going++
			c.touch(r)
			ch.Removed = append(ch.Removed, r.name)
		}
	}
	return ch
}

// failedFiles maps the name of each service that could not be loaded to what is
// wrong with it.
func failedFiles(set *config.Set) map[string]string {
	first, more := map[string]string{}, map[string]int{}
	for _, p := range set.Problems {
		if p.Severity != config.Error || p.Service == "" {
			continue
		}
		if _, seen := first[p.Service]; seen {
			more[p.Service]++
			continue
		}
		first[p.Service] = "configuration error: " + p.String()
	}
	for name, n := range more {
		first[name] += fmt.Sprintf(" (and %d more; see zinit check)", n)
	}
	return first
}

// unreadDirs is the directories that could not be read.
func unreadDirs(set *config.Set) map[string]bool {
	dirs := map[string]bool{}
	for _, p := range set.Problems {
		if p.Severity == config.Error && p.Service == "" {
			dirs[filepath.Clean(p.File)] = true
		}
	}
	return dirs
}

func (c *core) add(s *config.Service, problem string) *record {
	r := &record{name: s.Name, cfg: s, problem: problem, heapPos: -1, since: c.now}
	r.m = machine.New(rulesOf(s))
	r.m.Last, r.probe.last = machine.Run(c.floor), c.floor
	c.byName[s.Name] = r
	c.order = append(c.order, r)
	if !s.Target && problem == "" {
		c.Logs.Configure(s.Name, outputs(s))
	}
	return r
}

// change gives a record another configuration. The process goes on; what it was
// started with changes at its next start.
func (c *core) change(r *record, s *config.Service) {
	if r.leaving {
		r.leaving, r.wish = false, noWish
		c.going--
	}
	if r.cfg.Target != s.Target {
		if r.m.Active() {
			r.problem = madeTarget(s)
			mixed := *r.cfg
			mixed.Requires, mixed.After, mixed.Wants, mixed.Conflicts = s.Requires, s.After, s.Wants, s.Conflicts
			r.cfg = &mixed
			c.touch(r)
			return
		}
		next := machine.New(rulesOf(s))
		next.Want, next.Last = r.m.Want, r.m.Last
		r.m = next
	}
	r.cfg, r.problem, r.env = s, "", nil
	c.step(r, machine.Configured{Rules: rulesOf(s)})
	if !s.Target {
		c.Logs.Configure(s.Name, outputs(s))
	}
	c.touch(r)
}

func madeTarget(s *config.Service) string {
	return s.Source + " makes a target of it while its process runs: stop it and reload"
}

func nodeOf(s *config.Service) depgraph.Node {
	return depgraph.Node{Name: s.Name, Requires: s.Requires, After: s.After, Wants: s.Wants, Conflicts: s.Conflicts}
}

// rebuild makes the graph anew from the records, and has every record learn what
// it says now. The bits are derived for all before any service hears of them.
func (c *core) rebuild() {
	nodes := make([]depgraph.Node, len(c.order))
	for n, r := range c.order {
		nodes[n] = nodeOf(r.cfg)
		if r.leaving {
			// It is still ordered among those that leave with it. What stays may
			// name it by now, and the other way round that would be a cycle.
			stays := func(name string) bool { d := c.byName[name]; return d == nil || !d.leaving }
			nodes[n].Requires = slices.DeleteFunc(slices.Clone(nodes[n].Requires), stays)
			nodes[n].After = slices.DeleteFunc(slices.Clone(nodes[n].After), stays)
			nodes[n].Wants = slices.DeleteFunc(slices.Clone(nodes[n].Wants), stays)
		}
	}
	graph, faults := depgraph.Build(nodes)
	c.graph = graph
	c.recs = make([]*record, len(c.order))
	for _, r := range c.order {
		i, _ := graph.Index(r.name)
		r.i = int32(i)
		c.recs[i] = r
		r.bits, r.counts = bits{}, counts{}
		c.touch(r) // its bits may be none from now on, which spread does not see
		if !r.m.Active() {
			// What the old graph allowed is no permission to start under this one.
			r.m.Perm = machine.Hold
		}
	}
	for i, r := range c.recs {
		for _, e := range graph.Out(i) {
			switch e.Kind {
			case depgraph.Requires:
				r.counts.gone++
				fallthrough
			case depgraph.Awaits:
				r.counts.unmet++
				r.counts.hopeless++
			}
		}
		c.markStale(r)
	}
	c.judge(faults)
	c.quiet()
	c.partRivals()
	c.sendPlan()
}

// partRivals takes down the later of two services that run and are in conflict
// from now on.
func (c *core) partRivals() {
	for i, r := range c.recs {
		for _, j := range c.graph.Conflicts(i) {
			d := c.recs[j]
			if int(j) < i && r.m.Active() && d.m.Active() && r.wish == noWish && d.wish == noWish {
				r.wish = wishRestart
				c.touch(r)
				c.markStale(r)
			}
		}
	}
}

// judge breaks the services that cannot be satisfied and mends those that can
// again.
func (c *core) judge(faults []depgraph.Fault) {
	broken, knotted := map[string]machine.Cause{}, map[string]bool{}
	for _, f := range faults {
		knotted[f.Name] = f.Cycle != nil
		if f.Cycle != nil {
			broken[f.Name] = machine.Cause{Kind: machine.Unsatisfiable, Text: f.Cycle.Error()}
		} else {
			broken[f.Name] = machine.Cause{Kind: machine.MissingDependency, Name: f.Missing}
		}
	}
	for _, r := range c.order {
		why, is := broken[r.name]
		r.knotted = knotted[r.name]
		if r.problem != "" && r.cfg.Exec == "" && !r.cfg.Target {
			why, is = machine.Cause{Kind: machine.Unsatisfiable, Text: r.problem}, true
		}
		switch {
		case is && r.m.Broken && r.m.Fault == why:
		case is && r.knotted:
			// In a cycle nobody is last: waiting for those that depend on it would
			// be for ever.
			c.step(r, machine.Broken{Why: why})
		case is:
			r.breaking = &why
		case !is && r.m.Broken:
			c.step(r, machine.Mended{})
		}
		if !is {
			r.breaking = nil
		}
	}
}

// The bounds of a plan: what its milliseconds can express, and a sum that leaves
// everybody who adds to it far from an overflow.
const (
	longestStop = math.MaxUint32 * time.Millisecond
	longestPlan = 100 * 365 * 24 * time.Hour
)

// sendPlan tells the keeper in which waves it is to stop the services when no
// server can.
func (c *core) sendPlan() {
	var steps []reap.PlanStep
	var worst time.Duration
	for n, wave := range c.graph.StopWaves(func(i int) bool { return !c.recs[i].cfg.Target }) {
		longest := time.Duration(0)
		for _, i := range wave {
			r := c.recs[i]
			if r.cfg.Target {
				continue
			}
			rules := r.m.Rules
			timeout := min(rules.StopTimeout, longestStop)
			longest = max(longest, timeout)
			steps = append(steps, reap.PlanStep{
				Key: r.name, Wave: n, Signal: rules.StopSignal,
				Scope: reap.Scope(rules.StopScope), Timeout: uint32(timeout.Milliseconds()),
			})
		}
		if longest > 0 {
			// As long as the server itself waits before it calls a process stuck.
			longest += machine.StuckAfter
		}
		worst = min(worst+longest, longestPlan)
	}
	c.Keeper.Plan(steps, worst)
}

// reload takes in another configuration as one step. One that would bring a new
// cycle is refused as a whole.
func (c *core) reload(set *config.Set) (Changes, error) {
	if c.draining {
		return Changes{}, refuse(ShuttingDown, "", "zinit is shutting down: the configuration is read at the next start")
	}
	if err := c.newCycle(set); err != nil {
		return Changes{}, err
	}
	ch := c.configure(set)
	c.rebuild()
	added := map[string]bool{}
	for _, name := range ch.Added {
		added[name] = true
	}
	c.boot(func(r *record) bool { return added[r.name] })
	c.settle()
	return ch, nil
}

func (c *core) newCycle(set *config.Set) error {
	nodes := make([]depgraph.Node, len(set.Services))
	for n, s := range set.Services {
		nodes[n] = nodeOf(s)
	}
	_, faults := depgraph.Build(nodes)
	for _, f := range faults {
		if f.Cycle == nil {
			continue
		}
		if r := c.byName[f.Name]; r == nil || !r.m.Broken {
			return refuse(Unusable, f.Name, "reload refused, nothing is changed: %s: mend one of these files", f.Cycle)
		}
	}
	return nil
}

// sweep forgets the services that are no longer configured, once all of them are
// down. Those that require them become Failed then, and no sooner: until then
// they were Blocked, after a stop in order.
func (c *core) sweep() {
	if c.going == 0 {
		return
	}
	for _, r := range c.order {
		if r.leaving && (r.m.Active() || r.wish != noWish || r.probe.alive) {
			return
		}
	}
	c.order = slices.DeleteFunc(c.order, func(r *record) bool {
		if !r.leaving {
			return false
		}
		delete(c.byName, r.name)
		c.touch(r)
		c.floor = max(c.floor, uint64(r.m.Last), r.probe.last)
		c.Keeper.Ack(r.name, uint64(r.m.Last))
		c.later(func() { c.Logs.Remove(r.name) })
		r.m.State = machine.Inactive{}
		r.probe.deadline = time.Time{}
		c.setWake(r)
		return true
	})
	c.going = 0
	c.changes++
	c.rebuild()
	c.settle()
}

// rulesOf is what the machine needs to know of a configuration.
func rulesOf(s *config.Service) *machine.Rules {
	l := s.Lifecycle
	r := &machine.Rules{
		Target: s.Target, Oneshot: s.Oneshot,
		Delay: l.RestartDelay, DelayMax: l.RestartDelayMax,
		MaxRestarts: l.MaxRestarts, Stability: l.StabilityPeriod,
		StartTimeout: l.StartTimeout, StopTimeout: l.StopTimeout, StopSignal: l.StopSignal,
		StopScope: machine.Group, KillScope: machine.Group,
	}
	switch l.Restart {
	case config.RestartAlways:
		r.Policy = machine.Always
	case config.RestartOnFailure:
		r.Policy = machine.OnFailure
	}
	if s.Oneshot {
		// A oneshot that ended well has done its work; one that failed is tried
		// again only when its file says so in words.
		if r.Policy == machine.Always {
			r.Policy = machine.OnFailure
		}
		if !l.RestartExplicit {
			r.Policy = machine.Never
		}
	}
	if s.Status == config.StatusIgnore {
		r.Policy = machine.Never
	}
	switch l.KillMode {
	case config.KillMixed:
		r.StopScope = machine.Main
	case config.KillProcess:
		r.StopScope, r.KillScope = machine.Main, machine.Main
	}
	if h := s.Health; h != nil {
		r.Health = &machine.Health{Interval: h.Interval, StartPeriod: h.StartPeriod, Retries: h.Retries, ReportOnly: h.ReportOnly}
	}
	return r
}
