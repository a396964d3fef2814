package supervise

import (
	"zinit/depgraph"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// bits is what a record tells its neighbours in the graph. Neighbours never look
// further: whatever must travel, travels as bits.
type bits struct {
	// satisfied: what requires it may start.
	satisfied bool
	// holds: what requires it and runs may go on. It holds through a crash as
	// long as a restart will follow, and stops holding when it is told to go down
	// or has been given up.
	holds bool
	// hopeful: it is satisfied, or on its way without anybody's help.
	hopeful bool
	// coming: it is starting, or a oneshot at work; idle services wait for it.
	coming bool
	// first: it is about to start, so that what comes after it waits.
	first bool
	// claims: what conflicts with it may not start.
	claims bool
	// busy: what it requires may not be stopped yet. What has no process of its
	// own (a target, a service between two runs) is busy on behalf of those that
	// require it.
	busy bool
	// falling: busy and going down; what it is ordered after goes down later.
	falling bool
}

// counts sums the bits of a record's neighbours.
type counts struct {
	unmet    int32 // requires and awaits that are not satisfied
	gone     int32 // requires that do not hold
	hopeless int32 // requires and awaits that are not hopeful
	first    int32 // after: those about to start
	clash    int32 // conflicts that claim
	held     int32 // dependents that must be down before it goes down
}

// up reports that the record is to be up and nobody has asked otherwise.
func (c *core) up(r *record) bool {
	return r.m.Want && r.wish == noWish && r.breaking == nil && !c.draining && !r.leaving
}

// facts derives a record's bits from its state and its counts. What it requires
// counts as much as what it is itself: a target, a oneshot that has done its work,
// and a service between two runs, hold for others only as long as what they require
// holds for them.
func (c *core) facts(r *record) bits {
	up, n := c.up(r), r.counts
	restarts, done, active := !r.m.RestartAt().IsZero(), r.m.Satisfied(), r.m.Active()
	var b bits
	stopping := false
	switch st := r.m.State.(type) {
	case machine.Inactive, machine.Blocked:
		b.holds = !r.m.Broken && n.clash == 0 && !c.obstructed(r)
		b.hopeful = b.holds && n.hopeless == 0
		b.first = up && b.hopeful
		b.coming, b.claims = up && r.looking(), up && r.looking()
	case machine.Starting:
		b.holds, b.hopeful, b.coming, b.claims = true, true, true, true
	case machine.Running:
		b.holds, b.hopeful, b.coming, b.claims = true, true, !done, true
	case machine.Stopping:
		stopping, b.claims = true, true
		b.holds = st.Why.Failure() || st.Why.Kind == machine.Ended
		b.hopeful = true
	case machine.Exited, machine.Failed:
		b.holds = restarts || done
		b.hopeful = restarts || done && n.hopeless == 0
		b.claims = up && restarts
	}
	b.satisfied = up && done
	if _, ended := r.m.State.(machine.Exited); ended || r.m.Rules.Target {
		b.satisfied = b.satisfied && n.unmet == 0
	}
	b.holds = b.holds && up && n.gone == 0
	b.hopeful = b.hopeful && up

	b.coming = b.coming && r.cfg.Type != config.TypeIdle
	b.busy = active && !r.m.Stuck() || n.held > 0 && !r.knotted
	b.falling = b.busy && (!up || stopping || n.gone > 0)
	return b
}

// spread publishes a record's bits: it adjusts the counts of its neighbours and
// has those looked at whose counts changed.
func (c *core) spread(r *record) {
	was, is := r.bits, c.facts(r)
	if r.gate != nil {
		c.touch(r) // who is seen to be in its way is also a matter of the counts
	}
	if was == is {
		return
	}
	r.bits = is
	c.touch(r)
	if was.coming != is.coming {
		c.coming += int(diff(was.coming, is.coming))
		if c.coming == 0 {
			c.calm()
		}
	}
	for _, e := range c.graph.In(int(r.i)) {
		d := c.recs[e.To]
		switch e.Kind {
		case depgraph.Requires, depgraph.Awaits:
			d.counts.unmet += diff(!was.satisfied, !is.satisfied)
			d.counts.hopeless += diff(!was.hopeful, !is.hopeful)
			if e.Kind == depgraph.Requires {
				d.counts.gone += diff(!was.holds, !is.holds)
			}
		case depgraph.After:
			d.counts.first += diff(was.first, is.first)
		default:
			continue
		}
		c.markStale(d)
	}
	if was.claims != is.claims {
		for _, j := range c.graph.Conflicts(int(r.i)) {
			c.recs[j].counts.clash += diff(was.claims, is.claims)
			c.markStale(c.recs[j])
		}
		c.claimsPorts(r)
	}
	if was.busy != is.busy || was.falling != is.falling {
		for _, e := range c.graph.Out(int(r.i)) {
			d := c.recs[e.To]
			if e.Kind == depgraph.Requires {
				d.counts.held += diff(was.busy, is.busy)
			} else {
				d.counts.held += diff(was.falling, is.falling)
			}
			c.markStale(d)
		}
	}
}

func diff(was, is bool) int32 {
	switch {
	case was == is:
		return 0
	case is:
		return 1
	}
	return -1
}
