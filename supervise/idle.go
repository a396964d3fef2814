package supervise

import (
	"slices"
	"time"

	"zinit/supervise/config"
)

// idleFor is how long at most an idle service waits for others to come up.
const idleFor = 5 * time.Second

// idleWaits is what an idle service waits for, for people.
const idleWaits = "other services to finish starting"

// idles reports that a service, which could start as far as the graph goes, waits
// until nothing else is coming up.
func (c *core) idles(r *record) bool {
	if r.cfg.Type != config.TypeIdle {
		return false
	}
	if c.coming == 0 || c.hasty || r.m.Active() || !c.up(r) {
		c.waitsIdly(r, time.Time{})
		return false
	}
	if r.idleBy.IsZero() {
		c.waitsIdly(r, c.now.Add(idleFor))
	}
	if !slices.Contains(c.idle, r) {
		c.idle = append(c.idle, r)
	}
	return c.now.Before(r.idleBy)
}

func (c *core) waitsIdly(r *record, until time.Time) {
	if r.idleBy != until {
		r.idleBy = until
		c.touch(r)
		c.setWake(r)
	}
}

// idleUntil is when an idle service waits no longer; zero: it does not wait.
func (r *record) idleUntil() time.Time {
	if r.blocked() && !r.looking() {
		return r.idleBy
	}
	return time.Time{}
}

// idleDue ends a wait that has been long enough.
func (c *core) idleDue(r *record) {
	if at := r.idleUntil(); !at.IsZero() && !at.After(c.now) {
		c.markStale(r)
		c.conclude()
		if r.blocked() && !r.looking() {
			c.waitsIdly(r, time.Time{}) // something else is in the way by now
		}
	}
}

// calm has the idle services look again: nothing else is coming up.
func (c *core) calm() {
	for _, r := range c.idle {
		c.markStale(r)
	}
	clear(c.idle)
	c.idle = c.idle[:0]
}
