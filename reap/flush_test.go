package reap

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// heldClient is a client whose requests wait for Flush, and the keeper's end of its
// channel.
func heldClient(t *testing.T, files int) (c *Client, theirs int) {
	t.Helper()
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(theirs) })
	c = &Client{requests: ours, files: files, wake: make(chan struct{}, 1)}
	if c.file, c.raw, err = pollable(ours, "channel"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.file.Close() })
	c.Hold()
	return c, theirs
}

// TestNothingLeavesBeforeTheFlush: what is asked for is written down before it is
// flushed, whatever else is sent meanwhile.
func TestNothingLeavesBeforeTheFlush(t *testing.T) {
	files, holders, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(files)
	defer unix.Close(holders)
	c, theirs := heldClient(t, files)
	c.Signal("web", 1, unix.SIGTERM, ScopeMain)
	c.Release("out/web/1/1")
	c.events = make(chan []Event, 1) // somebody takes them
	c.confirm([]Event{Signaled{unix.SIGHUP}})
	c.Ready()
	c.sendQueued()
	recv := &receiver{fd: theirs, flags: unix.MSG_DONTWAIT}
	verbs := func() (list []byte) {
		for {
			data, _, _, err := recv.next()
			if err == unix.EAGAIN {
				return list
			}
			if err != nil {
				t.Fatal(err)
			}
			decodePacket(data, func(m message) { list = append(list, m.verb()) })
		}
	}
	if got := string(verbs()); got != string([]byte{verbTook, verbReady}) {
		t.Errorf("before the flush %q is sent", got)
	}
	recv.fd = holders
	if got := string(verbs()); got != string([]byte{verbRelease}) {
		t.Errorf("the holder gets %q", got)
	}
	c.Flush()
	recv.fd = theirs
	if got := string(verbs()); got != string([]byte{verbSignal}) {
		t.Errorf("the flush sends %q", got)
	}
}

// TestASignalIsTakenWhenWhatItAsksForHasLeft: a server that is killed between the two
// leaves the signal to the next one.
func TestASignalIsTakenWhenWhatItAsksForHasLeft(t *testing.T) {
	p := connect(t, &helloMessage{Stage: StageServe, Can: can})
	p.client.Hold()
	p.tell(&Signaled{unix.SIGTERM})
	p.event()
	p.client.Draining()
	p.client.Flush()
	if m, _ := p.asked(); m.verb() != verbDraining {
		t.Errorf("first it says %#v", m)
	}
	if batch := <-p.client.Events(); len(batch) > 0 {
		t.Errorf("it is told %v", batch)
	}
	if m, _ := p.asked(); m.verb() != verbTook {
		t.Errorf("then it says %#v", m)
	}
}

// TestALaterPlanIsNotOvertakenByTheRestOfAnEarlierOne: what a flush could not send
// goes before what was asked after it.
func TestALaterPlanIsNotOvertakenByTheRestOfAnEarlierOne(t *testing.T) {
	c, theirs := heldClient(t, -1)
	old := make([]PlanStep, 60_000)
	for i := range old {
		old[i] = PlanStep{Key: "a-service-with-a-name-" + strconv.Itoa(i), Wave: i}
	}
	c.Plan(old, time.Hour)
	c.Flush()
	if len(c.unsent) == 0 {
		t.Fatal("the socket took the whole of the first plan: make it larger")
	}
	c.Plan([]PlanStep{{Key: "new"}}, time.Minute)
	c.Signal("last", 1, unix.SIGTERM, ScopeMain)
	c.Flush()
	go c.send()
	defer c.lose()
	k, recv := &Keeper{}, &receiver{fd: theirs}
	for last := false; !last; {
		data, _, _, err := recv.next()
		if err != nil {
			t.Fatal(err)
		}
		decodePacket(data, func(m message) {
			switch m := m.(type) {
			case *planMessage:
				k.takePlan(m)
			case *signalMessage:
				last = true
			}
		})
	}
	if steps, worst := k.Plan(); len(steps) != 1 || worst != time.Minute {
		t.Errorf("the keeper holds a plan of %d steps, worst %v", len(steps), worst)
	}
}

// TestAFlushTellsWhetherAllHasLeft: what is noted as asked for must outlive its
// server.
func TestAFlushTellsWhetherAllHasLeft(t *testing.T) {
	c, theirs := heldClient(t, -1)
	if !c.Flush() {
		t.Error("nothing was asked for, and not all of it has left")
	}
	key, asked := strings.Repeat("k", 1000), 0
	for sent := true; sent; asked++ {
		c.Signal(key, uint64(asked), unix.SIGTERM, ScopeMain)
		sent = c.Flush()
	}
	if c.Flush() {
		t.Error("the socket is full, and all has left")
	}
	recv := &receiver{fd: theirs, flags: unix.MSG_DONTWAIT}
	read := 0
	drain := func() {
		for {
			data, _, _, err := recv.next()
			if err == unix.EAGAIN {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			decodePacket(data, func(message) { read++ })
		}
	}
	drain()
	if read >= asked {
		t.Errorf("all %d were there", read)
	}
	c.sending.Lock() // somebody sends just now
	if c.Flush() {
		t.Error("somebody is sending, and all has left")
	}
	c.sending.Unlock()
	if !c.Flush() {
		t.Error("there was room, and not all has left")
	}
	if drain(); read != asked {
		t.Errorf("%d of %d have left", read, asked)
	}
}

// TestWhatIsSettledHasLeft: also when somebody else is about to send, whom a flush would
// leave it to.
func TestWhatIsSettledHasLeft(t *testing.T) {
	c, theirs := heldClient(t, -1)
	c.Draining()
	c.sending.Lock()
	if c.Flush() {
		t.Error("a flush has sent it beside somebody who sends")
	}
	settled := make(chan struct{})
	go func() {
		c.Settle(patience)
		close(settled)
	}()
	c.sending.Unlock()
	<-settled
	recv, last := &receiver{fd: theirs, flags: unix.MSG_DONTWAIT}, byte(0)
	data, _, _, err := recv.next()
	decodePacket(data, func(m message) { last = m.verb() })
	if err != nil || last != verbDraining {
		t.Errorf("verb %d has left (%v)", last, err)
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	c.Settle(time.Millisecond) // and somebody who sends for ever is not waited for
}

// TestWhatIsSentIsNotWhatWaitsForAFlush: what is asked for in a turn is written down before
// it leaves, whoever waits for something of an earlier one.
func TestWhatIsSentIsNotWhatWaitsForAFlush(t *testing.T) {
	c, theirs := heldClient(t, -1)
	c.Draining()
	c.sending.Lock()
	c.Flush() // is left to the one who sends
	c.sending.Unlock()
	c.Ack("web", 7) // of the next turn
	c.Sent(patience)
	recv, verbs := &receiver{fd: theirs, flags: unix.MSG_DONTWAIT}, []byte(nil)
	for {
		data, _, _, err := recv.next()
		if err != nil {
			break
		}
		decodePacket(data, func(m message) { verbs = append(verbs, m.verb()) })
	}
	if len(verbs) != 1 || verbs[0] != verbDraining {
		t.Errorf("verbs %v have left", verbs)
	}
}
