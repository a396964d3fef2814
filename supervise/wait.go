package supervise

import (
	"slices"

	"zinit/supervise/machine"
)

// A Goal is the state that a client waits for.
type Goal string

// The goals beside the seven states' words.
const (
	GoalUp   Goal = "up"   // others may rely on it: running, or a oneshot that ended well
	GoalDown Goal = "down" // it has no process and none is about to start
)

// Goals lists the words that Wait takes.
func Goals() []string {
	return []string{"inactive", "blocked", "starting", "running", "stopping", "exited", "failed", string(GoalUp), string(GoalDown)}
}

// ParseGoal checks a word.
func ParseGoal(word string) (Goal, bool) {
	return Goal(word), slices.Contains(Goals(), word)
}

// A Waited is what a wait says about one service.
type Waited struct {
	Name    string
	View    *View // nil: there is no such service, or, if that is Reached, not any more
	Reached bool
	// Hopeless: it will not be reached without somebody's help.
	Hopeless bool
}

// waiter is one wait under way.
type waiter struct {
	names  []string
	goal   Goal
	settle bool // answer as soon as one is hopeless
	done   func([]Waited)

	recs []*record            // those named, each once
	left map[*record]struct{} // of them, those that have not reached the goal
	over bool                 // one is gone or, with settle, hopeless
}

// wait answers when every named service has reached the goal; with settle also
// when one of them cannot reach it any more. The caller bounds it by cancel.
func (c *core) wait(w *waiter) {
	w.left = map[*record]struct{}{}
	for _, name := range w.names {
		r := c.byName[name]
		if r == nil {
			w.over = true
			break
		}
		if !slices.Contains(r.waits, w) {
			r.waits = append(r.waits, w)
			w.recs = append(w.recs, r)
			w.see(c, r)
		}
	}
	if w.over || len(w.left) == 0 {
		c.answer(w)
		return
	}
	c.waiters[w] = struct{}{}
}

// see takes in how one of the services is now.
func (w *waiter) see(c *core, r *record) {
	switch {
	case c.byName[r.name] != r && w.goal == GoalDown && c.byName[r.name] == nil:
		delete(w.left, r) // what is removed is down
	case c.byName[r.name] != r:
		w.over = true
	case reached(r, w.goal):
		delete(w.left, r)
	default:
		w.left[r] = struct{}{}
		w.over = w.over || w.settle && hopeless(r, w.goal)
	}
}

// cancel answers a wait with what there is.
func (c *core) cancel(w *waiter) {
	if _, ok := c.waiters[w]; ok {
		c.answer(w)
	}
}

func (c *core) answer(w *waiter) {
	delete(c.waiters, w)
	for _, r := range w.recs {
		r.waits = slices.DeleteFunc(r.waits, func(other *waiter) bool { return other == w })
	}
	w.done(c.look(w))
}

// tryWaiters answers the waits that the changes of this turn have brought to an
// end. It looks at the services that have changed, and at all of them before it
// answers: of two, one may have come up when the other went down.
func (c *core) tryWaiters() {
	if len(c.watched) == 0 {
		return
	}
	for _, r := range c.watched {
		r.queued &^= inWatched
		for _, w := range r.waits {
			w.see(c, r)
		}
	}
	c.watched = c.watched[:0]
	for w := range c.waiters {
		if w.over || len(w.left) == 0 {
			c.answer(w)
		}
	}
}

func (c *core) look(w *waiter) []Waited {
	out := make([]Waited, 0, len(w.names))
	for _, name := range w.names {
		r := c.byName[name]
		if r == nil {
			removed := w.goal == GoalDown && slices.ContainsFunc(w.recs, func(r *record) bool { return r.name == name })
			out = append(out, Waited{Name: name, Reached: removed})
			continue
		}
		out = append(out, Waited{name, c.glance(r), reached(r, w.goal), hopeless(r, w.goal)})
	}
	return out
}

// glance is viewOf for who looks once: nothing is kept for the next one, which with many
// services that are waited for and then rest would be for nobody.
func (c *core) glance(r *record) *View {
	kept := r.view
	v := c.viewOf(r)
	r.view = kept
	return v
}

func reached(r *record, goal Goal) bool {
	switch goal {
	case GoalUp:
		return r.bits.satisfied
	case GoalDown:
		return !r.m.Active() && r.wish == noWish && r.m.RestartAt().IsZero() && (!r.m.Want || !canStart(r))
	}
	return string(goal) == r.m.State.String() && r.wish == noWish
}

// canStart reports that the record will start without anybody's help.
func canStart(r *record) bool {
	switch r.m.State.(type) {
	case machine.Exited, machine.Failed:
		return false
	}
	return r.m.Perm == machine.Go || r.looking()
}

// hopeless reports that a record rests where it is, short of the goal.
func hopeless(r *record, goal Goal) bool {
	if r.wish != noWish || reached(r, goal) {
		return false
	}
	switch r.m.State.(type) {
	case machine.Failed, machine.Exited:
		return r.m.RestartAt().IsZero()
	case machine.Stopping:
		return r.m.Stuck()
	case machine.Blocked:
		return !r.bits.hopeful
	case machine.Inactive:
		return !r.m.Want
	}
	return false
}
