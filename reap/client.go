package reap

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Client is the server's end of the channel. Its methods only queue; none of
// them waits, and all are safe for concurrent use. Requests of one key are carried
// out in the order of the calls.
//
// Keys are at most a kilobyte long.
type Client struct {
	requests int             // channel 1
	file     *os.File        // of requests, non-blocking
	raw      syscall.RawConn // of file
	files    int             // channel 2
	events   chan []Event
	wake     chan struct{} // capacity 1

	// answers are the client's own; the listener waits for them before it closes events.
	answers sync.WaitGroup // added to with mu held, while lost is not set
	gone    chan struct{}  // closed when the keeper is

	// sending is held from taking what is queued until it is sent, so that nothing
	// overtakes. Taken before mu.
	sending sync.Mutex

	mu    sync.Mutex
	lost  bool   // guarded by mu; the keeper is gone, requests are dropped
	held  bool   // guarded by mu; requests wait for Flush
	drain bool   // guarded by mu; a shutdown has begun
	code  uint8  // guarded by mu; for the end of the keeper
	can   uint64 // guarded by mu; what the keeper can do
	// words are for the answers to requests that this client has declined itself.
	words map[runID]string // guarded by mu
	// What is not sent yet, guarded by mu. A descriptor must be with the holder
	// before the process that writes into it is started, so kept is sent before asked
	// whenever both are taken.
	unsent []packet // to be sent by whoever comes first; before all others
	asked  []packet
	kept   []packet
	plan   []packet // the last plan, replaced as a whole; before what is asked after it
}

// Connect takes over both channels and waits for the inventory.
func Connect(requests, files int) (c *Client, inv Inventory, err error) {
	unix.CloseOnExec(requests)
	unix.CloseOnExec(files)
	c = &Client{
		requests: requests, files: files,
		events: make(chan []Event), // no room: what was received is what was delivered
		wake:   make(chan struct{}, 1),
		gone:   make(chan struct{}),
		words:  make(map[runID]string),
	}
	inv = Inventory{Runs: make(map[string]uint64), Kept: make(map[string]*os.File)}
	recv := &receiver{fd: requests}
	var early []Event
	if c.can, err = readInventory(recv, &inv, &early); err != nil {
		return nil, Inventory{}, fmt.Errorf("cannot read inventory of the keeper: %w", err)
	}
	clock := newStartClock()
	for i := range inv.Children {
		inv.Children[i].Started = clock.moment(inv.Children[i].Start)
	}
	if err := readKept(files, inv.Kept); err != nil {
		return nil, Inventory{}, fmt.Errorf("cannot read kept descriptors: %w", err)
	}
	if c.file, c.raw, err = pollable(requests, "channel of the keeper"); err != nil {
		return nil, Inventory{}, fmt.Errorf("cannot wait for the keeper: %w", err)
	}
	recv.raw = c.raw
	go c.send()
	go c.listen(recv, early)
	return c, inv, nil
}

// Events is where the keeper's events arrive, in order, several at a time, or none: see
// confirm. It is closed after KeeperLost. Whoever does not read it lets the keeper's
// outbox fill, no more.
func (c *Client) Events() <-chan []Event { return c.events }

func appendEvent(list []Event, m message) []Event {
	switch m := m.(type) {
	case *Spawned:
		return append(list, *m)
	case *SpawnFailed:
		return append(list, *m)
	case *Exited:
		return append(list, *m)
	case *Watched:
		return append(list, *m)
	case *WatchFailed:
		return append(list, *m)
	case *GroupGone:
		return append(list, *m)
	case *Signaled:
		return append(list, *m)
	case *Reexecuted:
		return append(list, *m)
	}
	return list
}

func (c *Client) listen(recv *receiver, batch []Event) {
	for {
		if len(batch) > 0 {
			c.events <- batch
			c.confirm(batch)
		}
		data, files, _, err := recv.next()
		if err != nil {
			c.lose()
			if err == errClosed {
				err = errors.New("the keeper closed the channel")
			}
			c.events <- []Event{KeeperLost{Err: err}}
			close(c.gone)
			c.answers.Wait()
			close(c.events)
			return
		}
		(&packet{files: files}).close()
		batch = nil
		decodePacket(data, func(m message) {
			c.heed(m)
			batch = appendEvent(batch, m)
		})
	}
}

// heed takes from an event what concerns the client itself.
func (c *Client) heed(m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m := m.(type) {
	case *helloMessage:
		c.can = m.Can // the keeper is another program now
	case *Reexecuted:
		if m.Refused == "" {
			c.can = m.can // none if the program is older than that
		}
	case *SpawnFailed:
		id := runID{m.Key, m.Run}
		if text, ok := c.words[id]; ok && m.Refused == "" {
			m.Text = text
		}
		delete(c.words, id)
	}
}

// Deliver puts an event of the caller's own among those of the keeper: the answer to a
// request that did not get as far as the keeper.
func (c *Client) Deliver(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deliverLocked(e)
}

func (c *Client) deliverLocked(e Event) {
	if c.lost {
		return
	}
	c.answers.Go(func() {
		select {
		case c.events <- []Event{e}:
		case <-c.gone:
		}
	})
}

// confirm tells the keeper which signals need not be handed to another server. It
// does so before the next event is delivered: who acts on that and ends must not leave
// the signal to the next server.
func (c *Client) confirm(batch []Event) {
	isSignal := func(e Event) bool { _, ok := e.(Signaled); return ok }
	if !slices.ContainsFunc(batch, isSignal) {
		return
	}
	// Who takes this has come back for more, so that what the signal asks for is done, or
	// has been flushed. A server that is killed before that leaves the signal to the next.
	c.events <- nil
	for _, e := range batch {
		if s, ok := e.(Signaled); ok {
			c.askNow(&tookMessage{s.Signal})
		}
	}
	c.sendQueued() // what waits for Flush goes on waiting
}

// lose drops what nobody will carry out any more.
func (c *Client) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = true
	c.dropLocked()
	notify(c.wake)
}

func (c *Client) dropLocked() {
	for _, list := range [][]packet{c.unsent, c.asked, c.kept, c.plan} {
		for i := range list {
			list[i].close()
		}
	}
	c.unsent, c.asked, c.kept, c.plan = nil, nil, nil, nil
}

// Hold has requests wait for Flush from now on: a loop sends what one turn has
// come to at once, and from its own thread.
func (c *Client) Hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
}

// Flush sends what is queued as far as that does not mean waiting; the rest is
// sent by somebody else. True: everything that was asked for before has left, and
// reaches the keeper even if this process is killed at once. False: a later Flush
// tells.
func (c *Client) Flush() (sent bool) {
	c.mu.Lock()
	c.unsent = append(append(c.unsent, c.plan...), c.asked...)
	c.plan, c.asked = nil, nil
	c.mu.Unlock()
	return c.push()
}

// Settle sends everything that was asked for, and waits for that up to the bound: what a
// process that ends has not sent goes with it. Flush does not wait for another goroutine
// that is about to send.
func (c *Client) Settle(bound time.Duration) {
	within(bound, func() {
		c.Flush()
		c.sendQueued()
	})
}

// Sent waits up to the bound until what was flushed has left, and leaves alone what waits
// for the next Flush: it may be called by anybody at any time.
func (c *Client) Sent(bound time.Duration) { within(bound, func() { c.sendQueued() }) }

// within waits for f, and no longer than the bound.
func within(bound time.Duration, f func()) {
	sent := make(chan struct{})
	go func() {
		f()
		close(sent)
	}()
	late := time.NewTimer(bound)
	defer late.Stop()
	select {
	case <-sent:
	case <-late.C:
	}
}

// push sends what does not wait for Flush, as far as that does not mean waiting.
// True: all of it has left.
func (c *Client) push() (sent bool) {
	if !c.sending.TryLock() {
		notify(c.wake) // who sends just now looks again
		return false
	}
	defer c.sending.Unlock()
	kept, asked, _ := c.take()
	kept = sendNow(c.files, kept)
	if len(kept) == 0 {
		asked = sendNow(c.requests, asked)
	}
	if len(kept)+len(asked) == 0 {
		return true
	}
	c.leave(kept, asked)
	return false
}

// leave puts back what could not be sent, in front of what came meanwhile.
func (c *Client) leave(kept, asked []packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept, c.unsent = append(kept, c.kept...), append(asked, c.unsent...)
	if c.lost {
		c.dropLocked()
	}
	notify(c.wake)
}

// take empties the queues, but for what waits for Flush: who flushes writes down
// before what is going to be asked, and that must not be overtaken because a
// descriptor is released meanwhile.
func (c *Client) take() (kept, asked []packet, lost bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, asked = c.kept, append(c.unsent, c.plan...)
	c.kept, c.unsent, c.plan = nil, nil, nil
	if !c.held {
		asked, c.asked = append(asked, c.asked...), nil
	}
	return kept, asked, c.lost
}

// sendNow sends until that would mean waiting, and returns what is left.
func sendNow(fd int, list []packet) []packet {
	for len(list) > 0 {
		switch err := send(fd, &list[0], unix.MSG_DONTWAIT); err {
		case unix.EAGAIN, unix.ETOOMANYREFS, unix.ENOBUFS, unix.ENOMEM:
			return list
		}
		list[0].close()
		list = list[1:]
	}
	return nil
}

// send sends what Flush does not. It may wait for the keeper; the callers do not.
func (c *Client) send() {
	for range c.wake {
		if lost := c.sendQueued(); lost {
			return
		}
	}
}

// sendQueued sends everything that is queued, and waits where it must.
func (c *Client) sendQueued() (lost bool) {
	c.sending.Lock()
	defer c.sending.Unlock()
	kept, asked, lost := c.take()
	sendAll(kept, func(p *packet) error { return send(c.files, p, 0) })
	sendAll(asked, c.sendWhenReady)
	return lost
}

// sendWhenReady sends one packet over channel 1, and waits for room.
func (c *Client) sendWhenReady(p *packet) (err error) {
	lost := c.raw.Write(func(fd uintptr) bool {
		err = send(int(fd), p, unix.MSG_DONTWAIT)
		return err != unix.EAGAIN
	})
	if lost != nil {
		err = lost
	}
	return err
}

func sendAll(list []packet, send func(*packet) error) {
	for i := range list {
		for {
			err := send(&list[i])
			if err != unix.ETOOMANYREFS && err != unix.ENOBUFS && err != unix.ENOMEM {
				break // sent, or the keeper is gone, which the listener tells
			}
			// Too many descriptors are under way, or no memory for more. Nothing tells
			// when that is over.
			<-time.After(retryAfter)
		}
		list[i].close()
	}
}

// ask queues a request without descriptors.
func (c *Client) ask(m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.askLocked(m, nil)
}

// askNow queues a request that does not wait for Flush, nor for what does.
func (c *Client) askNow(m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.askNowLocked(m, nil)
	notify(c.wake)
}

func (c *Client) askNowLocked(m message, files []int) {
	if c.lost {
		(&packet{files: files}).close()
		return
	}
	c.unsent, c.plan = append(c.unsent, c.plan...), nil // it was asked for before
	c.unsent = appendMessage(c.unsent, m, files)
}

func (c *Client) askLocked(m message, files []int) {
	if c.lost {
		(&packet{files: files}).close()
		return
	}
	c.asked = appendMessage(c.asked, m, files)
	if !c.held {
		notify(c.wake)
	}
}

// Signal sends a signal to a run of a key, after every earlier request for that
// key. A run that is gone is not an error: its exit is under way.
func (c *Client) Signal(key string, run uint64, sig syscall.Signal, scope Scope) {
	c.ask(&signalMessage{key, run, sig, scope})
}

// Watch says that the run's main process is from now on pid, which the keeper did not
// spawn: the daemon that a forking service has left behind, or another process that
// the service named. The answer is Watched, also for a process that ended not long
// ago, whose Exited then follows at once, or WatchFailed.
func (c *Client) Watch(key string, run uint64, pid int) { c.watch(key, run, pid, c.askLocked) }

func (c *Client) watch(key string, run uint64, pid int, ask func(m message, files []int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.lost:
	case c.can&canWatch == 0:
		c.deliverLocked(WatchFailed{key, run, pid, "the keeper is an older program that cannot watch what it has not started: replace the keeper too"})
	default:
		ask(&watchMessage{key, run, pid}, nil)
	}
}

// Ack says that the exit of that run, and of earlier ones, need not be repeated
// to another server.
func (c *Client) Ack(key string, run uint64) { c.ask(&ackMessage{runID{key, run}}) }

// Ready says that this server has taken over.
func (c *Client) Ready() {
	c.askNow(new(readyMessage))
}

// Draining says that a shutdown begins: the keeper is in StageDrain from then on.
func (c *Client) Draining() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drain = true
	c.askLocked(&drainingMessage{c.code}, nil)
}

// ExitWith says with which code the keeper is to exit, as process 1 of a container or
// beside others, after the shutdown that the next Draining begins.
func (c *Client) ExitWith(code uint8) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.code = code
}

// Reexec asks the keeper to become, in place, the program that is at its path now.
// Nothing of what it keeps and nobody whom it has started notices. The answer is
// Reexecuted; a keeper that is older than this request gives none.
func (c *Client) Reexec() {
	c.askNow(new(reexecMessage))
}

// Plan replaces the stop waves that the keeper follows when no server can, and
// the time that they take at worst.
func (c *Client) Plan(steps []PlanStep, worst time.Duration) {
	var pages []packet
	page := planMessage{Reset: true, Worst: worst}
	size := 0
	for i := range steps {
		if size += len(steps[i].Key) + 32; size > maxInline {
			pages = appendMessage(pages, &page, nil)
			page, size = planMessage{Worst: worst}, 0
		}
		page.Steps = append(page.Steps, steps[i])
	}
	page.Complete = true
	pages = appendMessage(pages, &page, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.lost {
		c.plan = pages
		notify(c.wake)
	}
}
