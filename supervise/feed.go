package supervise

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"zinit/supervise/machine"
)

// An EventType tells events apart; the words are stable.
type EventType string

// The types of events.
const (
	EventState   EventType = "state"   // a service went From one state To another
	EventAdded   EventType = "added"   // it is configured from now on
	EventChanged EventType = "changed" // it is configured otherwise
	EventRemoved EventType = "removed" // it is gone
)

// An Event is one change of a service.
type Event struct {
	Type    EventType
	Seq     uint64 // grows by one with each event of this server, whether anybody listens or not
	Time    time.Time
	Service string

	// Of EventState only. Pid and Run are those of the process that it is about:
	// the living one, or the one that ended; 0 when there is none or it is not
	// known yet. Reason says why; empty when To says it all.
	From, To string
	Pid      int
	Run      uint64
	Reason   string
	// ExitCode is with what the run ended; nil when it did not end, or otherwise.
	ExitCode *int
}

const (
	// feedRoom is how many events a subscriber may fall behind.
	feedRoom = 4096
	// feedPause is how long events gather before subscribers are woken again.
	feedPause = 10 * time.Millisecond
)

// ErrSlow ends a subscription that fell too far behind: events are lost to it.
var ErrSlow = errors.New("too slow: events are lost")

// A feed takes events from the loop to subscribers. What it costs the loop does
// not depend on how many there are: the loop hands the events of a turn to one
// goroutine, which wakes the others.
//
// Events have numbers of their own here: those that nobody could hear have none.
type feed struct {
	listeners atomic.Int64
	begin     sync.Once
	poke      chan struct{} // capacity 1: there is something in the inbox

	mu    sync.Mutex // held for moments, by the loop, by distribute and by subscribe
	inbox []Event    // guarded by mu; those that distribute has not fetched
	sent  uint64     // guarded by mu; the number of the next event

	ring ring
}

// A ring keeps the last events for those who come to fetch them.
type ring struct {
	mu    sync.RWMutex
	room  []Event       // guarded by mu; event n is at n % feedRoom; made by the first Subscribe
	from  uint64        // guarded by mu; the oldest that is there
	to    uint64        // guarded by mu; the one after the newest
	more  chan struct{} // guarded by mu; closed when there are more, or an end
	ended bool          // guarded by mu
}

func newFeed() *feed {
	return &feed{poke: make(chan struct{}, 1), ring: ring{more: make(chan struct{})}}
}

// tellState makes an event of a change of state; run is the one that it is about.
func (c *core) tellState(r *record, before machine.State, run machine.Run) {
	if !c.heard() {
		return
	}
	c.news = append(c.news, Event{
		Type: EventState, Seq: c.seq, Time: c.now, Service: r.name,
		From: before.String(), To: r.m.State.String(), Pid: r.pid, Run: uint64(run),
		Reason: r.m.Reason(), ExitCode: exitCode(r.m.State),
	})
}

// tell makes an event of a change of the configuration.
func (c *core) tell(t EventType, r *record) {
	if c.heard() {
		c.news = append(c.news, Event{Type: t, Seq: c.seq, Time: c.now, Service: r.name})
	}
}

// heard counts an event, and reports whether anybody listens.
func (c *core) heard() bool {
	c.seq++
	return c.feed != nil && c.feed.listeners.Load() > 0
}

// exitCode is the code with which a run ended that led to this state.
func exitCode(s machine.State) *int {
	var o machine.Outcome
	switch st := s.(type) {
	case machine.Exited:
		o = st.Outcome
	case machine.Failed:
		if st.Why.Kind != machine.Ended {
			return nil
		}
		o = st.Why.Outcome
	default:
		return nil
	}
	if o.Unknown || o.Signal != 0 {
		return nil
	}
	return &o.Code
}

// publish hands over the events of a turn.
func (f *feed) publish(news []Event) {
	f.mu.Lock()
	f.inbox = append(f.inbox, news...)
	f.sent += uint64(len(news))
	if n := len(f.inbox); n > 2*feedRoom {
		f.inbox = append(f.inbox[:0], f.inbox[n-feedRoom:]...) // the others are lost to everybody
	}
	f.mu.Unlock()
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// distribute passes on what the loop publishes, until it ends.
func (f *feed) distribute(done <-chan struct{}) {
	var spare []Event
	for {
		select {
		case <-f.poke:
		case <-done:
			f.pass(spare, true)
			return
		}
		spare = f.pass(spare, false)
		select {
		case <-time.After(feedPause):
		case <-done:
		}
	}
}

// pass moves the inbox to the ring and wakes the subscribers. It returns a buffer
// for the next time.
func (f *feed) pass(spare []Event, last bool) []Event {
	f.mu.Lock()
	news, to := f.inbox, f.sent
	f.inbox = spare[:0]
	f.mu.Unlock()

	r := &f.ring
	r.mu.Lock()
	first := to - uint64(len(news))
	if first != r.to {
		r.from = first // some were lost on the way
	}
	for i, e := range news {
		r.room[(first+uint64(i))%feedRoom] = e
	}
	r.to, r.ended = to, last
	if r.to-r.from > feedRoom {
		r.from = r.to - feedRoom
	}
	more := r.more
	r.more = make(chan struct{})
	r.mu.Unlock()
	close(more)
	clear(news)
	return news
}

// fetch returns the events from number at on; none: more is closed when there are.
func (r *ring) fetch(at uint64) (events []Event, more <-chan struct{}, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	switch {
	case at < r.from:
		return nil, nil, ErrSlow
	case at < r.to:
		events = make([]Event, 0, r.to-at)
		for n := at; n < r.to; n++ {
			events = append(events, r.room[n%feedRoom])
		}
	case r.ended:
		return nil, nil, ErrGone
	}
	return events, r.more, nil
}

// A Subscription delivers every event from a moment on, in order. It is used by
// one goroutine.
type Subscription struct {
	feed   *feed
	at     uint64 // the number of the next event
	err    error  // ErrSlow or ErrGone, for ever
	closed bool
}

// Subscribe begins a subscription: it has every event that a Snapshot taken from
// now on does not show, and perhaps some that it does; see Snapshot.Seq.
func (s *Supervisor) Subscribe() *Subscription {
	s.feed.listen(s.done)
	// A turn that is under way may have had something to tell while nobody listened, and
	// no Snapshot shows it before the turn has ended.
	s.ask(func(*core) {})
	return s.feed.subscribe()
}

// listen has events made from now on.
func (f *feed) listen(done <-chan struct{}) {
	f.begin.Do(func() {
		f.ring.room = make([]Event, feedRoom)
		go f.distribute(done)
	})
	f.listeners.Add(1)
}

// subscribe begins with the next event that is published.
func (f *feed) subscribe() *Subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &Subscription{feed: f, at: f.sent}
}

// Next waits for events and returns all that there are, at least one. It fails
// with ErrSlow, then and ever after, when the subscriber has fallen too far behind,
// with ErrGone after the last event of the loop, or with the error of ctx.
func (s *Subscription) Next(ctx context.Context) ([]Event, error) {
	for s.err == nil {
		events, more, err := s.feed.ring.fetch(s.at)
		if s.err = err; err != nil {
			break
		}
		if len(events) > 0 {
			s.at += uint64(len(events))
			return events, nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, s.err
}

// Close ends the subscription. While there are none, events cost nothing.
func (s *Subscription) Close() {
	if !s.closed {
		s.closed = true
		s.feed.listeners.Add(-1)
	}
}
