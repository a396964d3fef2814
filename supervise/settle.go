package supervise

import (
	"container/heap"

	"zinit/depgraph"
	"zinit/supervise/machine"
)

const (
	inStale uint8 = 1 << iota
	inPending
	inWatched
	inUnsaved
)

// markStale has a record's bits derived anew.
func (c *core) markStale(r *record) {
	if r.queued&inStale == 0 {
		r.queued |= inStale
		c.stale = append(c.stale, r)
	}
}

func (c *core) markPending(r *record) {
	if r.queued&inPending == 0 {
		r.queued |= inPending
		heap.Push(&c.pending, r)
	}
}

// inOrder is a heap of records, first those that start first.
type inOrder []*record

func (q inOrder) Len() int           { return len(q) }
func (q inOrder) Less(i, j int) bool { return q[i].rank < q[j].rank }
func (q inOrder) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *inOrder) Push(x any)        { *q = append(*q, x.(*record)) }
func (q *inOrder) Pop() any {
	last := len(*q) - 1
	r := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return r
}

// settle lets what has changed travel through the graph until it is quiet. The
// bits are quiet before any service hears of them, so that none acts on a state
// of affairs that lasts only as long as the settling. Of those that may start and
// are in conflict the first in order does; otherwise one could keep down again and
// again what it itself requires.
func (c *core) settle() {
	for {
		c.quiet()
		if len(c.pending) == 0 {
			return
		}
		r := heap.Pop(&c.pending).(*record)
		r.queued &^= inPending
		c.deliver(r)
	}
}

// quiet derives bits until none changes.
func (c *core) quiet() {
	for n := 0; n < len(c.stale); n++ {
		r := c.stale[n]
		r.queued &^= inStale
		c.spread(r)
		c.markPending(r)
	}
	c.stale = c.stale[:0]
}

// deliver passes on to one service what it was told, when nothing that depends on
// it is left, and what the graph allows now.
func (c *core) deliver(r *record) {
	if r.counts.held == 0 {
		c.grant(r)
	}
	switch perm := c.permission(r); {
	case perm == r.m.Perm:
	case perm == machine.Go:
		c.step(r, machine.DepsMet{})
	case perm == machine.Lost:
		c.step(r, machine.DepsLost{On: c.obstacle(r)})
	default:
		c.step(r, machine.DepsHeld{On: c.obstacle(r)})
	}
}

// grant carries out the pending wishes of a record.
func (c *core) grant(r *record) {
	if why := r.breaking; why != nil {
		r.breaking = nil
		c.step(r, machine.Broken{Why: *why})
	}
	if r.wish != noWish {
		c.unsaved(r)
	}
	switch r.wish {
	case wishDown:
		r.wish = noWish
		c.step(r, machine.Dropped{})
	case wishRestart:
		r.wish = noWish
		// What has no process is down and up again in this one step.
		if !r.m.Main() && !r.m.Rules.Target && (c.permissionTo(r, true) != machine.Go || r.gate != nil) {
			c.step(r, machine.DepsHeld{On: c.obstacle(r)})
		}
		c.step(r, machine.Restarted{})
	}
}

// permission is what the counts of a record allow it. It has to go down no sooner
// than those that depend on it are down. What is told to go down starts no more,
// whatever the graph says.
func (c *core) permission(r *record) machine.Perm {
	_, up := r.m.State.(machine.Running)
	return c.permissionTo(r, !up)
}

// permissionTo is permission to start, or only to run on.
func (c *core) permissionTo(r *record, start bool) machine.Perm {
	n := r.counts
	if !start {
		n.first, n.clash = 0, 0 // order and conflict are questions of the start
	}
	switch {
	case n.gone > 0 && n.held == 0:
		return machine.Lost
	case n.gone > 0, n.unmet > 0 || n.first > 0 || n.clash > 0,
		r.wish != noWish, r.breaking != nil, r.leaving, c.draining, c.idles(r), c.barred(r):
		return machine.Hold
	}
	return machine.Go
}

// obstacle names the first thing that is in a record's way, those that make it go
// down before those that only make it wait.
func (c *core) obstacle(r *record) string {
	waits := ""
	for _, e := range c.graph.Out(int(r.i)) {
		d := c.recs[e.To]
		switch {
		case e.Kind == depgraph.Requires && !d.bits.holds:
			return d.name
		case waits != "":
		case (e.Kind == depgraph.Requires || e.Kind == depgraph.Awaits) && !d.bits.satisfied,
			e.Kind == depgraph.After && d.bits.first:
			waits = d.name
		}
	}
	if waits == "" {
		waits = r.absent
	}
	if waits != "" {
		return waits
	}
	for _, j := range c.graph.Conflicts(int(r.i)) {
		if c.recs[j].bits.claims {
			return c.recs[j].name
		}
	}
	switch {
	case !r.idleUntil().IsZero():
		return idleWaits
	case r.gate != nil:
		return gateWaits
	}
	return ""
}
