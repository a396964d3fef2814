package supervise

import (
	"slices"
	"time"

	"zinit/depgraph"
	"zinit/supervise/machine"
)

// mayStart: no main process starts before everything it requires is satisfied,
// and services in conflict are never up together.
func (w *world) mayStart(name string) {
	r := w.c.byName[name]
	for _, e := range w.c.graph.Out(int(r.i)) {
		d := w.c.recs[e.To]
		// What it awaits may go down in the very moment in which it starts: that does
		// not concern it any more.
		awaits := e.Kind == depgraph.Awaits && !d.since.Equal(w.c.now)
		if (e.Kind == depgraph.Requires || awaits) && !d.m.Satisfied() {
			w.failf("%s starts while %s, which it requires, is %s", name, d.name, d.m.State)
		}
	}
	for _, j := range w.c.graph.Conflicts(int(r.i)) {
		if d := w.c.recs[j]; d.m.Active() {
			w.failf("%s starts while %s, in conflict with it, is %s", name, d.name, d.m.State)
		}
	}
}

// mayStop: dependents stop before what they require.
func (w *world) mayStop(r *record) {
	st, ok := r.m.State.(machine.Stopping)
	if !ok || st.Why.Failure() || st.Why.Kind == machine.Ended || w.falling[r.name] == st.Run {
		return // what was decided upon earlier may have been overtaken by a reload
	}
	if slices.ContainsFunc(w.c.recs, func(d *record) bool { return d.knotted }) {
		return // no order holds through a cycle
	}
	for _, i := range w.c.graph.Dependents(int(r.i)) {
		if d := w.c.recs[i]; d.m.Active() && !d.m.Stuck() {
			w.failf("%s is told to stop while %s, which requires it, is %s", r.name, d.name, d.m.State)
		}
	}
}

// check is what holds after every event.
func (w *world) check() {
	c := w.c
	want := make([]counts, len(c.recs))
	for i, r := range c.recs {
		if got := c.facts(r); got != r.bits {
			w.failf("%s publishes %+v, its state says %+v", r.name, r.bits, got)
		}
		for _, e := range c.graph.Out(i) {
			d := c.recs[e.To]
			count(&want[i], e.Kind, d.bits)
			if e.Kind == depgraph.Requires {
				want[e.To].held += diff(false, r.bits.busy)
			} else {
				want[e.To].held += diff(false, r.bits.falling)
			}
		}
		for _, j := range c.graph.Conflicts(i) {
			want[i].clash += diff(false, c.recs[j].bits.claims)
			if d := c.recs[j]; d.m.Active() && r.m.Active() && w.stays(d) && w.stays(r) {
				w.failf("%s and %s are in conflict and both up", r.name, c.recs[j].name)
			}
		}
		w.checkRecord(r)
	}
	for i, r := range c.recs {
		if r.absent != "" {
			want[i].unmet++
			want[i].hopeless++
		}
		if _, there := c.byName[r.absent]; there {
			w.failf("%s waits for %s, as if there were none", r.name, r.absent)
		}
		if r.counts != want[i] {
			w.failf("%s counts %+v, its neighbours say %+v", r.name, r.counts, want[i])
		}
	}
	coming := 0
	for _, r := range c.recs {
		coming -= int(diff(r.bits.coming, false))
	}
	if coming != c.coming {
		w.failf("%d are coming up, and %d are counted", coming, c.coming)
	}
	if len(c.stale) > 0 || len(c.pending) > 0 || len(c.orders) > 0 {
		w.failf("the turn ended before it was quiet")
	}
}

// stays reports a service that nobody has told to go down.
func (w *world) stays(r *record) bool {
	_, stopping := r.m.State.(machine.Stopping)
	return !stopping && r.wish == noWish
}

func count(n *counts, kind depgraph.Kind, d bits) {
	switch kind {
	case depgraph.Requires, depgraph.Awaits:
		n.unmet += diff(false, !d.satisfied)
		n.hopeless += diff(false, !d.hopeful)
		if kind == depgraph.Requires {
			n.gone += diff(false, !d.holds)
		}
	case depgraph.After:
		n.first += diff(false, d.first)
	}
}

func (w *world) checkRecord(r *record) {
	if st, ok := r.m.State.(machine.Stopping); ok {
		w.falling[r.name] = st.Run
	}
	c := w.c
	w.checkUnderWay(r)
	w.checkGate(r)
	at := c.due(r)
	switch {
	case at.IsZero() != (r.heapPos < 0):
		w.failf("%s: deadline %v, place in the heap %d", r.name, at, r.heapPos)
	case r.heapPos >= 0 && (c.wakes[r.heapPos] != r || !r.wake.Equal(at)):
		w.failf("%s is filed under %v, its deadline is %v", r.name, r.wake, at)
	case r.heapPos >= 0 && !at.After(c.now):
		w.failf("%s: its deadline %v has passed unserved", r.name, at)
	}
	if st, ok := r.m.State.(machine.Stopping); ok {
		longest := r.m.Rules.StopTimeout + 10*time.Second + time.Second
		longest += time.Duration(len(r.cfg.Hooks.Stop)+len(r.cfg.Hooks.StopPost)) * (r.cfg.Lifecycle.HookTimeout + machine.StuckAfter)
		if bound := st.Since.Add(longest); c.now.After(bound) && !r.m.Stuck() && st.Kills == 0 {
			w.failf("%s is stopping since %v without a kill", r.name, st.Since)
		}
	}
	if r.m.Delay > max(r.m.Rules.DelayMax, r.m.Rules.Delay) {
		w.failf("%s: a back-off of %v is over its maximum", r.name, r.m.Delay)
	}
	if r.m.Want && r.wish == noWish && r.breaking == nil && !r.m.Active() && r.m.Perm == machine.Go {
		switch st := r.m.State.(type) {
		case machine.Inactive, machine.Blocked:
			if !r.m.Broken {
				w.failf("%s is wanted, may start, and is %s", r.name, st)
			}
		}
	}
	if r.m.Rules.Target && r.m.Active() {
		w.failf("the target %s has a process", r.name)
	}
}
