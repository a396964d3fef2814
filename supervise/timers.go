package supervise

import (
	"slices"
	"strings"
	"time"

	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// A Stamper remembers over a reboot when a persistent timer last started its
// service. No method blocks.
type Stamper interface {
	Last(service string) time.Time // on the wall clock; zero: never, as far as is known
	Started(service string, at time.Time)
}

// Random is where jitter comes from; *math/rand/v2.Rand is one. It is used by one
// goroutine.
type Random interface{ Int64N(n int64) int64 }

// A timing is the timer of a service. Moments of every and boot are on the
// monotonic clock, as everything else is; those of the calendar are what the wall
// clock shows, and found anew when that is set.
type timing struct {
	of       *config.Timer // for which the moments were found
	every    time.Time     // the next one is due, without jitter; zero: there is none
	boot     time.Time
	calendar time.Time
	late     time.Duration // the jitter of the next start

	last    time.Time // the last start, on the wall clock; zero: none yet
	skipped int       // starts that were left out because the last run had not ended
	off     bool      // stopped by hand: it starts nothing until the service is started by hand
}

// wallNow is what the wall clock shows.
func (c *core) wallNow() time.Time {
	if c.Wall != nil {
		return c.Wall()
	}
	return c.now.Round(0)
}

// timed reports a service that is started by its timer, and not at boot.
func timed(s *config.Service) bool { return s.Timer != nil && s.Status == config.StatusStart }

// arm begins the timer of a record, or goes on with it under another
// configuration.
func (c *core) arm(r *record) {
	if !timed(r.cfg) {
		r.timer = nil
		c.setWake(r)
		return
	}
	t, was := r.cfg.Timer, r.timer
	next := &timing{of: t}
	if was != nil {
		next.last, next.skipped, next.off = was.last, was.skipped, was.off
	} else if t.Persistent && c.Stamps != nil {
		next.last = c.Stamps.Last(r.name)
	}
	c.armBoot(next, was)
	c.armEvery(next, was)
	next.calendar = c.nextDate(t, next.last)
	if was != nil && was.of.Calendar != nil && t.Calendar != nil && *was.of.Calendar == *t.Calendar && was.of.Persistent == t.Persistent {
		next.calendar = was.calendar // a start that is late on purpose is not left out
	}
	r.timer = next
	if was != nil && was.of.Jitter == t.Jitter {
		next.late = was.late
	} else {
		c.drawJitter(r)
	}
	c.setWake(r)
}

// armBoot finds the one start after zinit's, unless that was made.
func (c *core) armBoot(next, was *timing) {
	after := next.of.OnBoot
	switch {
	case after <= 0 || was != nil && was.boot.IsZero():
	case was != nil && was.of.OnBoot == after:
		next.boot = was.boot
	default:
		if at := c.begun.Add(after); at.After(c.now) {
			next.boot = at
		}
	}
}

// armEvery finds the next of the regular starts. A timer that there was goes on from
// where it was, with another pause if it has one now.
func (c *core) armEvery(next, was *timing) {
	every := next.of.Every
	if every <= 0 {
		return
	}
	next.every = c.now.Add(every)
	wall := c.wallNow()
	switch {
	case was != nil && !was.every.IsZero():
		next.every = was.every.Add(every - was.of.Every)
		if next.every.Before(c.now) && every != was.of.Every {
			next.every = c.now
		}
	case !next.last.IsZero() && next.last.Before(wall):
		// What was missed is made up for, once.
		next.every = c.now.Add(max(0, every-wall.Sub(next.last)))
	}
}

// nextDate is the next moment of a timer's calendar; zero: there is none. One that
// was missed since the last start is due at once if the timer is persistent.
func (c *core) nextDate(t *config.Timer, last time.Time) time.Time {
	if t.Calendar == nil {
		return time.Time{}
	}
	now := c.wallNow()
	if t.Persistent && !last.IsZero() && last.Before(now) {
		if missed := t.Calendar.Next(last); !missed.IsZero() && !missed.After(now) {
			return now
		}
	}
	return t.Calendar.Next(now)
}

func (c *core) drawJitter(r *record) {
	r.timer.late = 0
	if j := r.cfg.Timer.Jitter; j > 0 && c.Random != nil {
		r.timer.late = time.Duration(c.Random.Int64N(int64(j)))
	}
}

// timerAt is when the timer of a record needs a look, on the monotonic clock; zero:
// never.
func (c *core) timerAt(r *record) time.Time {
	t := r.timer
	if t == nil || t.off {
		return time.Time{}
	}
	var at time.Time
	if !t.calendar.IsZero() {
		at = c.now.Add(t.calendar.Sub(c.wallNow()))
	}
	for _, d := range [...]time.Time{t.every, t.boot} {
		if !d.IsZero() && (at.IsZero() || d.Before(at)) {
			at = d
		}
	}
	if at.IsZero() {
		return at
	}
	return at.Add(t.late)
}

// timerDue starts a service whose time has come, unless it is up still.
func (c *core) timerDue(r *record) {
	if at := c.timerAt(r); at.IsZero() || at.After(c.now) {
		return
	}
	t, cfg := r.timer, r.cfg.Timer
	if !t.every.IsZero() && !t.every.Add(t.late).After(c.now) {
		t.every = t.every.Add((c.now.Sub(t.every)/cfg.Every + 1) * cfg.Every)
	}
	if !t.boot.IsZero() && !t.boot.Add(t.late).After(c.now) {
		t.boot = time.Time{}
	}
	if !t.calendar.IsZero() && !t.calendar.Add(t.late).After(c.wallNow()) {
		t.calendar = cfg.Calendar.Next(c.wallNow())
	}
	c.drawJitter(r)
	c.touch(r)
	c.unsaved(r)
	c.timedStart(r)
	c.setWake(r)
}

// timedStart starts a service, unless its last run has not ended.
func (c *core) timedStart(r *record) {
	switch {
	case c.draining || r.leaving:
	case r.m.Active() || !r.m.RestartAt().IsZero() || r.wish != noWish:
		r.timer.skipped++
		c.Log.Info("timer: it has not ended yet, this start is left out", "service", r.name)
	default:
		r.timer.last = c.wallNow()
		if c.Stamps != nil && r.cfg.Timer.Persistent {
			at := r.timer.last
			c.later(func() { c.Stamps.Started(r.name, at) })
		}
		if err := c.start(r.name, false); err != nil {
			r.timer.skipped++
			c.Log.Warn("timer: not started", "service", r.name, "why", err)
		}
	}
}

// byHand notes that somebody has started or stopped a service: what was started by
// hand is not stopped because no connection needs it, what was stopped by hand is not
// started by its timer.
func (c *core) byHand(r *record, off bool) {
	if r.hand == off {
		r.hand = !off
		c.unsaved(r)
	}
	if r.timer != nil && r.timer.off != off {
		r.timer.off = off
		if every := r.cfg.Timer.Every; every > 0 {
			r.timer.every = c.now.Add(every)
		}
		r.timer.calendar = c.nextDate(r.cfg.Timer, time.Time{})
		c.touch(r)
		c.unsaved(r)
		c.setWake(r)
	}
}

// clockSet finds the dates anew: the wall clock was set. Those that it jumped over
// are left out, but for persistent timers; those that it shows again come again.
func (c *core) clockSet() {
	for _, r := range c.order {
		if r.timer != nil && r.cfg.Timer.Calendar != nil {
			r.timer.calendar = c.nextDate(r.cfg.Timer, r.timer.last)
			c.touch(r)
			c.unsaved(r)
			c.setWake(r)
		}
	}
}

// A timerMemo is what is written down of a timer.
type timerMemo struct {
	Every    int64 `json:"every,omitempty"` // of the clock of the memory
	Boot     int64 `json:"boot,omitempty"`
	Calendar int64 `json:"calendar_ms,omitempty"` // Unix milliseconds
	Last     int64 `json:"last_ms,omitempty"`
	Late     int64 `json:"late,omitempty"`
	Skipped  int   `json:"skipped,omitempty"`
	Off      bool  `json:"off,omitempty"`
}

func (t *timing) memo(clock machine.Clock) *timerMemo {
	if t == nil {
		return nil
	}
	nanos := func(at time.Time) int64 {
		if at.IsZero() {
			return 0
		}
		return clock.Nanos(at)
	}
	return &timerMemo{nanos(t.every), nanos(t.boot), millis(t.calendar), millis(t.last), int64(t.late), t.skipped, t.off}
}

// recall goes on with the timer that an earlier server had: what came due meanwhile
// is due now.
func (m *timerMemo) recall(r *record, clock machine.Clock) {
	if m == nil || r.timer == nil {
		return
	}
	t := r.timer
	t.last, t.skipped, t.off, t.late = fromMillis(m.Last), m.Skipped, m.Off, time.Duration(m.Late)
	t.boot = time.Time{}
	if m.Boot != 0 {
		t.boot = clock.Time(m.Boot)
	}
	if m.Every != 0 && !t.every.IsZero() {
		// Its pause may be a shorter one by now.
		if at := clock.Time(m.Every); at.Before(t.every) {
			t.every = at
		}
	}
	if m.Calendar != 0 && !t.calendar.IsZero() {
		t.calendar = fromMillis(m.Calendar).In(t.calendar.Location())
	}
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// A Timer is what can be seen of the timer of a service.
type Timer struct {
	Name string
	// Last and Next are the last start that it made and the next one, on the wall
	// clock; zero: there is none.
	Last, Next time.Time
	Skipped    int    // starts that were left out because the service had not ended
	Off        bool   // stopped by hand: it starts nothing until the service is started by hand
	Result     string // how the service is, or how it ended, for people
}

// timerOf is what can be seen of a record's timer; nil: it has none.
func (c *core) timerOf(r *record) *Timer {
	t := r.timer
	if t == nil {
		return nil
	}
	v := &Timer{Name: r.name, Last: t.last, Skipped: t.skipped, Off: t.off, Result: r.m.State.String()}
	if why := r.m.Reason(); why != "" {
		v.Result = why
	}
	if o := c.obstacleOf(r); o != nil {
		v.Result = o.String()
	}
	if at := c.timerAt(r); !at.IsZero() {
		v.Next = c.wallNow().Add(at.Sub(c.now))
	}
	return v
}

// Timers lists the timers of all services, those that are due first before others,
// and those that never are last.
func (s *Supervisor) Timers() []*Timer {
	var list []*Timer
	for _, v := range s.Snapshot().Views {
		if v.Timer != nil {
			list = append(list, v.Timer)
		}
	}
	slices.SortFunc(list, func(a, b *Timer) int {
		switch {
		case a.Next.IsZero() != b.Next.IsZero() && a.Next.IsZero():
			return 1
		case a.Next.IsZero() != b.Next.IsZero():
			return -1
		case !a.Next.Equal(b.Next):
			return a.Next.Compare(b.Next)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}
