package supervise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// A Gate sees who is in the way of a service outside of zinit: who holds a port that
// it declares, or has a name that it does not suffer beside it.
type Gate interface {
	// Look calls done exactly once, from any goroutine, and not before it has
	// returned: with the first thing in the way, nil when there is none, or with why
	// that cannot be seen. With kill_others who is in the way is ended before, within
	// evictWithin; ending is called once that begins, and not after done. Look must not
	// block. When ctx ends nobody is ended any more, and what is answered is not heard.
	Look(ctx context.Context, s *config.Service, ending func(*Obstacle), done func(*Obstacle, error))
}

// An Obstacle is what is in the way of a start. It is never changed.
type Obstacle struct {
	Fact string // what it is, for people
	Next string // what helps
	// Filter is the part of a name that Intruders were found by; empty: a port is taken.
	Filter    string
	Intruders []Intruder
}

// An Intruder is a process in the way by its name.
type Intruder struct {
	Pid  int
	Name string
}

// String is the form that people read: thing, reason, next step.
func (o *Obstacle) String() string { return o.Fact + ": " + o.Next }

// rivalry is a port that another service has, or is to have in a moment.
func rivalry(port uint16, other *record) *Obstacle {
	how := "in use by the service " + other.name
	switch other.m.State.(type) {
	case machine.Failed:
		how = "kept for the service " + other.name + ", which failed and is about to start again"
	case machine.Exited:
		how = "kept for the service " + other.name + ", which ended and is about to start again"
	case machine.Starting, machine.Blocked:
		how = "kept for the service " + other.name + ", which is starting"
	}
	return &Obstacle{
		Fact: fmt.Sprintf("port %d is %s", port, how),
		Next: fmt.Sprintf("stop %s, or give one of them another port", other.name),
	}
}

var errNoAnswer = errors.New("the look for who is in the way takes too long")

const (
	// lookWithin is how long a look may take, evictWithin how much longer one that ends
	// who is in the way. A service is not held up any longer by a look without an answer.
	lookWithin  = 5 * time.Second
	evictWithin = 10 * time.Second
	// The pause before the next look doubles from the first to the last.
	firstLook = time.Second
	lastLook  = 30 * time.Second
)

// gateWaits is what a service waits for that is looked at, for people.
const gateWaits = "its ports and filters to be checked"

// A gating is what stands between a service that declares ports or filters and its
// next start. Another configuration has another one.
type gating struct {
	looks int       // counts them: what an earlier one says is not heard
	until time.Time // when an answer is waited for no longer; zero: no look is under way
	stop  func()    // ends the look that is under way; nil: there was none
	free  bool      // nobody is in the way, as was just seen; counts for one start
	// old: somebody has asked since that look began. Whom it finds may be gone by then.
	old bool

	// ending is who is being ended for the service; nil: nobody.
	ending *Obstacle

	heard   chan struct{} // closed when the look has ended; nil: nobody waits for that
	foreign *Obstacle     // nil: none, as far as is known
	again   time.Time     // when it is looked at again; zero: not because of the time
	pause   time.Duration // before the next look
}

// guard gives a record the gate that its configuration asks for.
func (c *core) guard(r *record) {
	c.endLook(r)
	r.gate = nil
	if len(r.cfg.Ports)+len(r.cfg.ProcessFilters) > 0 && !r.cfg.Target && c.Gate != nil {
		r.gate = &gating{}
	}
}

// indexPorts finds the services that declare the same ports.
func (c *core) indexPorts() {
	c.ports = nil
	for i, r := range c.recs {
		if r.gate == nil {
			continue
		}
		for _, port := range r.cfg.Ports {
			if c.ports == nil {
				c.ports = map[uint16][]int32{}
			}
			c.ports[port] = append(c.ports[port], int32(i))
		}
	}
}

// portRival is another service that is up, or about to be, and the port that both
// declare; nil: there is none.
func (c *core) portRival(r *record) (*record, uint16) {
	if r.gate == nil {
		return nil, 0
	}
	for _, port := range r.cfg.Ports {
		for _, i := range c.ports[port] {
			if d := c.recs[i]; d != r && d.bits.claims {
				return d, port
			}
		}
	}
	return nil, 0
}

// claimsPorts has those look that declare the same ports: r claims them from now on, or
// does no longer, or for another reason.
func (c *core) claimsPorts(r *record) {
	if r.gate == nil {
		return
	}
	for _, port := range r.cfg.Ports {
		for _, i := range c.ports[port] {
			if d := c.recs[i]; d != r {
				c.touch(d)
				c.markStale(d)
			}
		}
	}
}

// obstructed reports that somebody is known to be in the way.
func (c *core) obstructed(r *record) bool {
	if r.gate == nil {
		return false
	}
	rival, _ := c.portRival(r)
	return rival != nil || r.gate.foreign != nil
}

// looking reports a service that starts as soon as a look has found nobody.
func (r *record) looking() bool {
	return r.gate != nil && !r.gate.until.IsZero() && r.blocked()
}

func (r *record) blocked() bool {
	_, blocked := r.m.State.(machine.Blocked)
	return blocked
}

// barred reports that a service, which could start as far as anything else goes, may
// not before nobody is in its way, and has that looked at. Each start needs a look of
// its own: the port may be taken meanwhile.
func (c *core) barred(r *record) bool {
	if r.gate == nil || r.passed() {
		return false
	}
	rival, _ := c.portRival(r)
	switch {
	case rival != nil:
	case r.gate.free:
		return false
	case r.blocked() && c.up(r):
		c.lookAround(r)
	}
	return true
}

// passed reports a run that has begun and goes on: it is past the gate.
func (r *record) passed() bool { return r.coming() }

// passes keeps the gate in step with the machine: what has passed it needs another
// look for the next run, and what is Blocked right after a run, or a pause, is looked
// at right away, so that nobody takes its place meanwhile who waits for that.
func (c *core) passes(r *record, was machine.Service) {
	g := r.gate
	if g == nil {
		return
	}
	if r.m.State.String() != was.State.String() {
		c.claimsPorts(r) // what they are told of it may not be true any more
	}
	if !r.blocked() {
		c.endLook(r) // nobody is to be ended for one that does not start
		g.free, g.foreign, g.again, g.pause = false, nil, time.Time{}, 0
	}
	if !r.passed() && r.m.Perm == machine.Go {
		r.m.Perm = machine.Hold
	}
	if r.blocked() && (was.Active() || !was.RestartAt().IsZero()) {
		_ = c.permission(r) // it begins the look if that is all that is left to do
	}
}

// lookAround begins a look, unless one is under way or it is not time for the next one.
func (c *core) lookAround(r *record) {
	g := r.gate
	if !g.until.IsZero() || !g.again.IsZero() {
		return
	}
	g.looks++
	g.old = false
	look := g.looks
	g.until = c.now.Add(lookWithin)
	if r.cfg.KillOthers {
		g.until = g.until.Add(evictWithin)
	}
	c.gateMoved(r)
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	waited := func() bool {
		return c.byName[r.name] == r && r.gate == g && g.looks == look && !g.until.IsZero()
	}
	c.Gate.Look(ctx, r.cfg, func(o *Obstacle) {
		c.Post(func(c *core) {
			if waited() {
				g.ending = o
				c.touch(r)
			}
		})
	}, func(o *Obstacle, err error) {
		c.Post(func(c *core) {
			if waited() {
				c.looked(r, o, err)
			}
		})
	})
}

// endLook ends the look that is under way, if there is one.
func (c *core) endLook(r *record) {
	g := r.gate
	if g == nil || g.until.IsZero() {
		return
	}
	if g.stop != nil {
		g.stop()
	}
	g.over()
	c.touch(r)
	c.setWake(r)
}

// over notes that no look is under way any more.
func (g *gating) over() {
	g.until, g.stop, g.ending = time.Time{}, nil, nil
	if g.heard != nil {
		close(g.heard)
		g.heard = nil
	}
}

// gateMoved publishes what has changed at a record's gate.
func (c *core) gateMoved(r *record) {
	c.touch(r)
	c.setWake(r)
	c.markStale(r)
}

// looked takes in what a look has found. Where nothing can be seen, nobody is kept
// from starting.
func (c *core) looked(r *record, o *Obstacle, err error) {
	g := r.gate
	waits := r.blocked() && c.up(r)
	if g.stop != nil {
		g.stop() // it may have taken too long
	}
	if waits && o != nil && g.old {
		g.until, g.ending = time.Time{}, nil
		c.lookAround(r)
		c.conclude()
		return
	}
	g.over()
	switch {
	case !waits: // the next start needs a look of its own
		g.foreign = nil
	case o != nil:
		c.noteObstacle(r, o)
		g.pause = min(max(2*g.pause, firstLook), lastLook)
		g.foreign, g.again = o, c.now.Add(g.pause)
	default:
		if err != nil && c.blind != err.Error() {
			c.blind = err.Error() // said once: it is the same for all services
			c.Log.Warn("started without knowing who is in the way", "service", r.name, "why", err)
		}
		g.foreign, g.free = nil, true
	}
	c.gateMoved(r)
	c.conclude()
	g.free = false // if something else was in the way, it is looked at anew after that
}

// noteObstacle says once who is in the way.
func (c *core) noteObstacle(r *record, o *Obstacle) {
	text := o.String()
	if was := r.gate.foreign; was != nil && was.String() == text {
		return
	}
	c.Log.Warn("blocked", "service", r.name, "why", text)
	c.later(func() { c.Logs.Append(r.name, text) })
}

// lookNow has a look at once where one is waited for. Who asks sees what it finds.
func (c *core) lookNow(r *record) {
	g := r.gate
	if g == nil {
		return
	}
	g.old = !g.until.IsZero()
	if !g.again.IsZero() {
		g.foreign, g.again, g.pause = nil, time.Time{}, 0
		c.gateMoved(r)
	}
}

// lookOf is closed when the look for a service that was asked for has ended; nil: none
// is under way.
func (c *core) lookOf(name string) <-chan struct{} {
	r := c.byName[name]
	if r == nil || !r.looking() {
		return nil
	}
	if r.gate.heard == nil {
		r.gate.heard = make(chan struct{})
	}
	return r.gate.heard
}

// answerWithin is how long whoever asks for a start waits for a look to end, which
// usually takes a millisecond.
const answerWithin = 500 * time.Millisecond

// hear waits until a look has ended, but not for long.
func (s *Supervisor) hear(looked <-chan struct{}) {
	if looked == nil {
		return
	}
	late := time.NewTimer(answerWithin)
	defer late.Stop()
	select {
	case <-looked:
		s.ask(func(*core) {}) // and the turn that heard of it
	case <-late.C:
	case <-s.done:
	}
}

// gateAt is when the gate of a record needs a look from the loop; zero: never.
func (r *record) gateAt() time.Time {
	if r.gate == nil {
		return time.Time{}
	}
	return sooner(r.gate.until, r.gate.again)
}

// gateDue ends a look without an answer, or looks again.
func (c *core) gateDue(r *record) {
	if at := r.gateAt(); at.IsZero() || at.After(c.now) {
		return
	}
	g := r.gate
	if !g.until.IsZero() {
		c.looked(r, nil, errNoAnswer)
		return
	}
	g.again = time.Time{}
	c.gateMoved(r)
	c.conclude()
	if r.gate == g && g.until.IsZero() && g.foreign != nil {
		g.foreign = nil // something else is in the way by now
		c.gateMoved(r)
		c.conclude()
	}
}

// obstacleOf is who is in the way of a service when nothing else is; nil: nobody.
func (c *core) obstacleOf(r *record) *Obstacle {
	n := r.counts
	if r.gate == nil || !r.blocked() || n.gone > 0 || n.unmet > 0 || n.first > 0 || n.clash > 0 {
		return nil
	}
	if rival, port := c.portRival(r); rival != nil {
		return rivalry(port, rival)
	}
	return cmp.Or(r.gate.ending, r.gate.foreign)
}
