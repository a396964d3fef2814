package supervise

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"zinit/reap"
	"zinit/supervise/config"
)

// Options is what a Supervisor is made of.
type Options struct {
	Parts // Post is set by New
	// Events is the keeper's, in batches, which may be empty.
	Events <-chan []reap.Event
	// ClockSet tells that the wall clock was set; nil: calendars find out when they
	// next wake up.
	ClockSet <-chan struct{}
	// Hangup is called, on a goroutine of its own, when a reload is asked for by
	// signal; nil: such signals are ignored.
	Hangup func()
	// Report is the same for an account of all services in the log.
	Report func()
	// Sent waits, for a bounded time, until what was flushed to the keeper has left this
	// process; nil: it leaves at once.
	Sent func()
}

// A Supervisor is the loop and its front: its methods may be called from any
// goroutine.
type Supervisor struct {
	core   *core
	opt    Options
	mail   chan func(*core)
	done   chan struct{}
	latest atomic.Pointer[Snapshot]
	// version is the core's count of changes, published after each turn.
	version atomic.Uint64
	feed    *feed
}

// ErrGone is what requests get when the loop has ended.
var ErrGone = errors.New("zinit is shutting down")

// ErrKeeperLost ends the loop when the keeper has died.
var ErrKeeperLost = errors.New("the keeper is gone")

// ErrLeft ends the loop when somebody asked for that: everything runs on, and
// another server takes over. Requests that come then get it too.
var ErrLeft = errors.New("another server takes over: ask again")

// mailRoom is how many requests wait for a busy loop before those who make them
// wait too.
const mailRoom = 256

// New makes a supervisor with nothing to supervise yet; Run loads it.
func New(o Options) *Supervisor {
	s := &Supervisor{opt: o, mail: make(chan func(*core), mailRoom), done: make(chan struct{}), feed: newFeed()}
	o.Parts.Post = s.post
	s.core = newCore(o.Parts)
	s.core.feed = s.feed
	s.latest.Store(s.core.snapshot())
	return s
}

// Run supervises a configuration until a shutdown has ended: nil when it was asked
// for, ErrKeeperLost when it had to be because the keeper is gone. ErrLeft: nothing
// was stopped, see Leave. It is called once. ready is called when the services have been asked for and requests are
// answered.
func (s *Supervisor) Run(set *config.Set, inv reap.Inventory, ready func()) error {
	c := s.core
	defer func() {
		s.latest.Store(c.snapshot()) // for those who look after the end
		s.version.Store(c.changes)
		close(s.done)
	}()
	c.now = time.Now()
	c.begun = c.now
	c.load(set, inv)
	s.endTurn()
	c.commit() // what an earlier server wrote is not needed any more
	ready()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var armed time.Time
	var lost error
	events := s.opt.Events
	for !c.down() {
		if c.leaves {
			return ErrLeft
		}
		if at := c.nextWake(); at != armed {
			armed = at
			if at.IsZero() {
				timer.Stop()
			} else {
				timer.Reset(time.Until(at))
			}
		}
		select {
		case batch, open := <-events:
			c.woke(time.Now(), armed)
			if !open || s.keeperLost(batch) {
				lost = ErrKeeperLost
				events = c.orphan()
			}
		case f := <-s.mail:
			c.woke(time.Now(), armed)
			f(c)
		case <-s.opt.ClockSet:
			c.woke(time.Now(), armed)
			c.clockSet()
		case <-timer.C:
			c.woke(time.Now(), armed)
			armed = time.Time{}
		}
		s.endTurn()
	}
	return lost
}

// keeperLost takes in what the keeper says; true: it says no more.
func (s *Supervisor) keeperLost(batch []reap.Event) bool {
	for _, ev := range batch {
		switch e := ev.(type) {
		case reap.KeeperLost:
			return true
		case reap.Signaled:
			if e.Signal == syscall.SIGHUP && s.opt.Hangup != nil {
				go s.opt.Hangup()
			}
			if e.Signal == syscall.SIGUSR2 && s.opt.Report != nil {
				go s.opt.Report()
			}
		}
		s.core.keeperEvent(ev)
	}
	return false
}

// endTurn does what has come due and what has been decided, and lets readers see
// that something has changed.
func (s *Supervisor) endTurn() {
	c := s.core
	c.work()
	// First of all: who is told of something, or answered, and looks must see it.
	s.version.Store(c.changes)
	if len(c.news) > 0 {
		s.feed.publish(c.news)
		clear(c.news)
		c.news = c.news[:0]
	}
	c.tryWaiters()
	for _, ran := range c.answers {
		close(ran)
	}
	c.answers = c.answers[:0]
}

// turn completes one turn of the loop, where nobody looks from outside.
func (c *core) turn() {
	c.work()
	c.tryWaiters()
}

// work does what has come due and what has been decided.
func (c *core) work() {
	c.lateFailures()
	c.tick()
	c.act()
	c.sweep()
	c.follow()
	c.act()
	c.alarm()
	c.send()
	for _, chore := range c.chores {
		chore()
	}
	clear(c.chores)
	c.chores = c.chores[:0]
}

// later leaves something to the end of the turn, in order, when what was decided
// is on its way: the next run of a service need not wait until the log of the last
// one is drained. Who asks is answered after that.
func (c *core) later(chore func()) { c.chores = append(c.chores, chore) }

func (s *Supervisor) post(f func(*core)) {
	select {
	case s.mail <- f:
	case <-s.done:
	}
}

// ask has the loop run f and waits for it; false: the loop has ended.
func (s *Supervisor) ask(f func(*core)) bool {
	ran := make(chan struct{})
	s.post(func(c *core) {
		f(c)
		c.answers = append(c.answers, ran)
	})
	select {
	case <-ran:
		return true
	case <-s.done:
		return false
	}
}

func (s *Supervisor) try(f func(*core) error) error {
	var err error
	did := false // ask may not tell, when f was the last thing that the loop did
	s.ask(func(c *core) { err, did = f(c), true })
	if !did {
		return s.gone()
	}
	return err
}

// order is try for what is written down nowhere: who asked for it must not be answered
// before the keeper has been told, since this process may end then.
func (s *Supervisor) order(f func(*core) error) error {
	err := s.try(f)
	if err == nil && s.opt.Sent != nil {
		s.opt.Sent()
	}
	return err
}

// tryStart is try for what starts a service: whether somebody is in its way is known
// when it returns, unless that takes long.
func (s *Supervisor) tryStart(name string, f func(*core) error) error {
	var looked <-chan struct{}
	err := s.try(func(c *core) error {
		err := f(c)
		looked = c.lookOf(name)
		return err
	})
	s.hear(looked)
	return err
}

// Snapshot is what can be seen now: never older than the last request that was
// answered before the call. When nothing has changed it costs one comparison.
func (s *Supervisor) Snapshot() *Snapshot {
	if snap := s.latest.Load(); snap.Version == s.version.Load() {
		return snap
	}
	s.ask(func(c *core) {
		if s.latest.Load().Version != c.changes {
			s.latest.Store(c.snapshot())
		}
	})
	return s.latest.Load()
}

// Start wants a service up, with what it requires and wants; alone: only itself.
// It returns when this is decided, not when the service is up. A *Refusal says
// why it was not.
func (s *Supervisor) Start(name string, alone bool) error {
	return s.tryStart(name, func(c *core) error { return c.start(name, alone) })
}

// Stop wants a service down; those that require it go first.
func (s *Supervisor) Stop(name string) error {
	return s.try(func(c *core) error { return c.stop(name) })
}

// Restart takes a service down and up again, with those that require it.
func (s *Supervisor) Restart(name string) error {
	return s.tryStart(name, func(c *core) error { return c.restart(name) })
}

// Kill sends a signal to a service's process group.
func (s *Supervisor) Kill(name string, sig syscall.Signal) error {
	return s.order(func(c *core) error { return c.kill(name, sig) })
}

// StartAll wants every service of class user up, but for those with the status
// ignore, and returns those that were not, in load order. What cannot start is left
// alone.
func (s *Supervisor) StartAll() (names []string, err error) {
	err = s.try(func(c *core) (err error) {
		names, err = c.startAll()
		return err
	})
	return names, err
}

// StopAll wants the same services down, but for those that others require which
// are not stopped, and returns those that were wanted up, in load order.
func (s *Supervisor) StopAll() (names []string, err error) {
	err = s.try(func(c *core) error {
		names = c.stopAll()
		return nil
	})
	return names, err
}

// Shutdown begins to take everything down; Run returns when it is done. The keeper
// carries it out when this process ends meanwhile. ErrLeft: the loop has ended, and
// nothing is shut down.
func (s *Supervisor) Shutdown() error {
	err := s.order(func(c *core) error {
		c.shutdown()
		return nil
	})
	if errors.Is(err, ErrGone) {
		return nil // it is done
	}
	return err
}

// gone is why the loop has ended: ErrLeft, and nothing of what was asked was done, but for
// what a Wait had asked for before; or ErrGone.
func (s *Supervisor) gone() error {
	if s.latest.Load().Draining {
		return ErrGone
	}
	return ErrLeft
}

// Leave ends the loop and stops nothing. A shutdown that has begun is not left.
func (s *Supervisor) Leave() {
	s.ask(func(c *core) { c.leaves = !c.draining })
}

// Remember has Memory look whether what it keeps is still there, although nothing has
// changed: somebody may have deleted it.
func (s *Supervisor) Remember() { s.post(func(c *core) { c.commit() }) }

// Done is closed when the loop has ended.
func (s *Supervisor) Done() <-chan struct{} { return s.done }

// Wait answers when all named services have reached the goal, when one of them
// does not exist, when ctx ends, or, with settle, when one cannot reach it
// without help.
func (s *Supervisor) Wait(ctx context.Context, names []string, goal Goal, settle bool) ([]Waited, error) {
	answer := make(chan []Waited, 1)
	w := &waiter{names: names, goal: goal, settle: settle, done: func(r []Waited) { answer <- r }}
	s.post(func(c *core) { c.wait(w) })
	select {
	case r := <-answer:
		return r, nil
	case <-ctx.Done():
		s.post(func(c *core) { c.cancel(w) })
	case <-s.done:
	}
	select {
	case r := <-answer:
		return r, nil
	case <-s.done:
	}
	// The last turn may have answered and ended the loop.
	select {
	case r := <-answer:
		return r, nil
	default:
		return nil, s.gone()
	}
}
