package supervise

import (
	"container/heap"
	"time"

	"zinit/supervise/machine"
)

// tick gives every record whose moment has come its Ticked, and ends probes that
// took too long.
func (c *core) tick() {
	if c.now.Before(c.patience) {
		return
	}
	for len(c.wakes) > 0 && !c.wakes[0].wake.After(c.now) {
		r := c.wakes[0]
		c.probeDue(r)
		c.hookDue(r)
		c.findDue(r)
		c.idleDue(r)
		c.gateDue(r)
		c.timerDue(r)
		c.act()
		if at := r.m.Deadline(); !at.IsZero() && !at.After(c.now) && !c.hears(r) {
			c.step(r, machine.Ticked{})
			c.conclude()
		}
		c.setWake(r)
	}
}

// hears reports that a service may have said in time what it is about to be blamed for
// not having said: it waits to be heard, however short the loop was away.
func (c *core) hears(r *record) bool {
	at := r.sayBy()
	switch {
	case at.IsZero():
		return false
	case r.listens.going:
		return true
	case at.After(c.now) || c.Ears == nil || r.listens.by.Equal(at):
		return false
	}
	r.listens = listening{going: true}
	run := r.m.Run()
	c.Ears.Drain(r.name, func() {
		c.Post(func(c *core) {
			if c.byName[r.name] != r {
				return
			}
			r.listens = listening{}
			if r.m.Run() == run {
				r.listens.by = at
			}
			c.setWake(r)
		})
	})
	return true
}

// A listening is what is done before a service is blamed for its silence.
type listening struct {
	going bool      // it is being listened to; while it is to say something no deadline counts
	by    time.Time // that deadline is one by which all is heard
}

// sayBy is by when a service has to say something; zero: it need not.
func (r *record) sayBy() time.Time {
	if r.m.Rules.Readiness != machine.ByNotice {
		return time.Time{}
	}
	switch st := r.m.State.(type) {
	case machine.Starting:
		return st.ReadyBy
	case machine.Running:
		return st.WatchdogAt
	}
	return time.Time{}
}

// nextWake is when tick is next needed; zero: not before the next event.
func (c *core) nextWake() time.Time {
	if len(c.failures) > 0 {
		return c.now
	}
	if len(c.wakes) == 0 {
		return c.sweepAt
	}
	if at := c.wakes[0].wake; at.After(c.patience) {
		return sooner(at, c.sweepAt)
	}
	return sooner(c.patience, c.sweepAt)
}

const (
	// lateAfter is how late a turn has to be for the loop to have been away: stopped, or
	// on a machine that was.
	lateAfter = time.Second
	// settling is how long what has happened meanwhile is waited for then, before
	// anybody is blamed for not having been heard in time.
	settling = 200 * time.Millisecond
)

// woke begins a turn that was due at a moment, zero: never. After a time away the
// deadlines have to wait until what has happened meanwhile is told, and the
// watchdogs begin anew.
func (c *core) woke(now, due time.Time) {
	c.now = now
	if due.IsZero() || now.Sub(due) < lateAfter {
		return
	}
	c.Log.Warn("away for a while: time limits are judged a little later", "for", now.Sub(due).Round(time.Millisecond))
	c.patience = now.Add(settling)
	for _, r := range c.order {
		if st, runs := r.m.State.(machine.Running); runs && !st.WatchdogAt.IsZero() {
			c.step(r, machine.Resumed{Run: r.m.Run()})
		}
	}
	c.settle()
}

// due is when the record next needs a look; zero: it needs none.
func (c *core) due(r *record) time.Time {
	at := r.m.Deadline()
	if r.listens.going && !r.sayBy().IsZero() {
		at = time.Time{}
	}
	at = sooner(sooner(sooner(at, r.probe.deadline), r.hook.deadline), r.watch.until)
	if !r.idleBy.IsZero() {
		at = sooner(at, r.idleUntil())
	}
	if r.gate != nil {
		at = sooner(at, r.gateAt())
	}
	if r.timer != nil {
		at = sooner(at, c.timerAt(r))
	}
	return at
}

// sooner is the earlier of two moments, of which zero means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// setWake files the record under the moment that it next needs.
func (c *core) setWake(r *record) {
	at := c.due(r)
	switch {
	case at.IsZero() && r.heapPos >= 0:
		heap.Remove(&c.wakes, r.heapPos)
	case at.IsZero():
	case r.heapPos >= 0:
		if !r.wake.Equal(at) {
			r.wake = at
			heap.Fix(&c.wakes, r.heapPos)
		}
	default:
		r.wake = at
		heap.Push(&c.wakes, r)
	}
}

// wakeHeap orders records by the moment they next need; ties by name keep the
// simulation exact.
type wakeHeap []*record

func (h wakeHeap) Len() int { return len(h) }
func (h wakeHeap) Less(i, j int) bool {
	if h[i].wake.Equal(h[j].wake) {
		return h[i].name < h[j].name
	}
	return h[i].wake.Before(h[j].wake)
}
func (h wakeHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapPos, h[j].heapPos = i, j
}
func (h *wakeHeap) Push(x any) {
	r := x.(*record)
	r.heapPos = len(*h)
	*h = append(*h, r)
}
func (h *wakeHeap) Pop() any {
	old := *h
	r := old[len(old)-1]
	*h = old[:len(old)-1]
	r.heapPos = -1
	return r
}
