package supervise

import (
	"math"
	"slices"
	"time"

	"zinit/depgraph"
	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

func nodeOf(s *config.Service) depgraph.Node {
	return depgraph.Node{Name: s.Name, Requires: s.Requires, After: s.After, Wants: s.Wants, Conflicts: s.Conflicts, Awaits: s.Awaits}
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
			nodes[n].Awaits = slices.DeleteFunc(slices.Clone(nodes[n].Awaits), stays)
		}
	}
	graph, faults := depgraph.Build(nodes)
	c.graph, c.starts = graph, graph.StartOrder()
	c.recs = make([]*record, len(c.order))
	c.coming, c.critical, c.mains = 0, nil, nil
	for _, r := range c.order {
		i, _ := graph.Index(r.name)
		r.i = int32(i)
		c.recs[i] = r
		if r.cfg.Critical {
			c.critical = append(c.critical, r)
		}
		if r.cfg.Main {
			c.mains = append(c.mains, r)
		}
		r.bits, r.counts = bits{}, counts{}
		c.touch(r) // its bits may be none from now on, which spread does not see
		if !r.isUp() {
			// What the old graph allowed is no permission to start under this one.
			r.m.Perm = machine.Hold
		}
	}
	c.indexPorts()
	for rank, i := range c.starts {
		r := c.recs[i]
		if r.rank = int32(rank); r.cfg.Type == config.TypeIdle {
			r.rank += int32(len(c.starts)) // what may start because of the others does so before
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
	c.keepWaiting(faults)
	c.judge(faults)
	c.quiet()
	c.partRivals()
	c.sendPlan()
}

// onlyWaits reports a service that lacks nothing but one that it awaits: that may
// be added yet.
func onlyWaits(f depgraph.Fault) bool { return f.Cycle == nil && f.MissingKind == depgraph.Awaits }

// keepWaiting has those that await what there is not go on waiting.
func (c *core) keepWaiting(faults []depgraph.Fault) {
	for _, r := range c.order {
		r.absent = ""
	}
	for _, f := range faults {
		if onlyWaits(f) {
			r := c.byName[f.Name]
			r.absent = f.Missing
			r.counts.unmet++
			r.counts.hopeless++
		}
	}
}

// partRivals takes down the later of two services that run and are in conflict
// from now on.
func (c *core) partRivals() {
	for i, r := range c.recs {
		for _, j := range c.graph.Conflicts(i) {
			d := c.recs[j]
			if int(j) < i && r.stays() && d.stays() {
				c.wishes(r, wishRestart)
			}
		}
	}
}

// stays reports a process that nobody has told to go down.
func (r *record) stays() bool {
	_, stopping := r.m.State.(machine.Stopping)
	return r.m.Active() && !stopping && r.wish == noWish
}

// judge breaks the services that cannot be satisfied and mends those that can
// again.
func (c *core) judge(faults []depgraph.Fault) {
	broken, knotted := map[string]machine.Cause{}, map[string]bool{}
	for _, f := range faults {
		if onlyWaits(f) {
			continue
		}
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

// hooksTake is how long the hooks of a stop may take.
func (r *record) hooksTake() time.Duration {
	h := r.cfg.Hooks
	return min(time.Duration(len(h.Stop)+len(h.StopPost))*min(r.cfg.Lifecycle.HookTimeout, longestStop), longestStop)
}

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
			longest = max(longest, timeout+r.hooksTake())
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
