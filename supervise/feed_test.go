package supervise

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
)

// next is what a subscription says next, without numbers and times.
func next(t *testing.T, sub *Subscription) string {
	t.Helper()
	events, err := sub.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range events {
		word := e.Service + " " + string(e.Type)
		if e.Type == EventState {
			word = fmt.Sprintf("%s %s>%s", e.Service, e.From, e.To)
		}
		if e.Run != 0 {
			word += fmt.Sprintf(" run %d", e.Run)
		}
		if e.Pid != 0 {
			word += fmt.Sprintf(" pid %d", e.Pid)
		}
		if e.ExitCode != nil {
			word += fmt.Sprintf(" code %d", *e.ExitCode)
		}
		if e.Reason != "" {
			word += fmt.Sprintf(" (%s)", e.Reason)
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func TestEvents(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db"}, func(h *house) {
		sub := h.s.Subscribe()
		defer sub.Close()
		check := func(want string) {
			t.Helper()
			h.pass(20 * ms)
			if got := next(h.t, sub); got != want {
				t.Errorf("it says\n     %s\nwant %s", got, want)
			}
		}
		h.k.ends(t, "web", reap.ExitCode(3))
		check("web running>failed run 1 pid 1002 code 3 (exit code 3)")
		h.pass(200 * ms)
		check("web failed>starting run 2, web starting>running run 2 pid 1003")
		// One run follows the other: the pid is not that of the one before.
		h.ok(h.s.Restart("web"))
		check("web running>stopping run 2 pid 1003 (restart asked for), web stopping>starting run 3, web starting>running run 3 pid 1004")
		h.k.ends(t, "web", reap.KilledBy(11))
		check("web running>failed run 3 pid 1004 (killed by signal 11)")
		h.ok(h.s.Stop("web"))
		check("web failed>inactive")
		h.puts("new", "Added[new] Started[new]")
		check("new added, new inactive>blocked, new blocked>starting run 1, new starting>running run 1 pid 1005")
		_, err := h.reload("db env=A=1")
		h.ok(err)
		check("db changed, new running>stopping run 1 pid 1005 (stop asked for), web removed, new stopping>exited run 1 pid 1005 (stopped), new removed")
		h.s.Shutdown()
		<-h.ended
		check("db running>stopping run 1 pid 1001 (stop asked for), db stopping>exited run 1 pid 1001 (stopped)")
		for range 2 {
			if _, err := sub.Next(h.t.Context()); !errors.Is(err, ErrGone) {
				t.Errorf("after the last event: %v", err)
			}
		}
	})
}

// TestEventsAndSnapshots: an event that a snapshot shows has no higher number than
// the snapshot, all others have.
func TestEventsAndSnapshots(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		h.ok(h.s.Restart("web")) // nobody hears that
		h.pass(10 * ms)
		sub := h.s.Subscribe()
		defer sub.Close()
		before := h.s.Snapshot().Seq
		h.ok(h.s.Stop("web"))
		h.pass(20 * ms)
		after := h.s.Snapshot().Seq
		events, err := sub.Next(h.t.Context())
		h.ok(err)
		for i, e := range events {
			if e.Seq != before+1+uint64(i) {
				t.Errorf("event %d has the number %d, the snapshot before it %d", i, e.Seq, before)
			}
			if e.Time.IsZero() {
				t.Errorf("event %d has no time", i)
			}
		}
		if last := events[len(events)-1].Seq; last != after {
			t.Errorf("the last event has the number %d, the snapshot after it %d", last, after)
		}
	})
}

func TestNextEndsWithItsContext(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		sub := h.s.Subscribe()
		ctx, cancel := context.WithTimeout(h.t.Context(), time.Second)
		defer cancel()
		if _, err := sub.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ended with %v", err)
		}
		// It goes on where it was.
		h.ok(h.s.Stop("web"))
		h.pass(20 * ms)
		if got, want := next(h.t, sub), "web running>stopping run 1 pid 1001 (stop asked for), web stopping>exited run 1 pid 1001 (stopped)"; got != want {
			t.Errorf("it says %s", got)
		}
		sub.Close()
		sub.Close()
		if n := h.s.feed.listeners.Load(); n != 0 {
			t.Errorf("%d listen", n)
		}
	})
}

// TestASlowSubscriber is told so; the others lose nothing.
func TestASlowSubscriber(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		h.k.odds("web", reaptest.Odds{MaxDying: 1})
		slow, fast := h.s.Subscribe(), h.s.Subscribe()
		defer slow.Close()
		defer fast.Close()
		seq := h.s.Snapshot().Seq
		for seen := 0; seen < 2*feedRoom; {
			h.ok(h.s.Restart("web"))
			h.pass(20 * ms)
			events, err := fast.Next(h.t.Context())
			h.ok(err)
			for _, e := range events {
				if seq++; e.Seq != seq {
					t.Fatalf("event %d comes after %d", e.Seq, seq-1)
				}
			}
			seen += len(events)
		}
		for range 2 {
			if _, err := slow.Next(h.t.Context()); !errors.Is(err, ErrSlow) {
				t.Errorf("the slow one is told %v", err)
			}
		}
	})
}

// TestTheInboxIsBounded: where nobody distributes, the newest events are kept, and
// those who miss the others are told.
func TestTheInboxIsBounded(t *testing.T) {
	f := newFeed()
	f.ring.room = make([]Event, feedRoom)
	sub := &Subscription{feed: f}
	for seq := range 3*feedRoom + 7 {
		f.publish([]Event{{Seq: uint64(seq)}})
	}
	if n := len(f.inbox); n > 2*feedRoom {
		t.Errorf("the inbox holds %d events", n)
	}
	f.pass(nil, false)
	if _, err := sub.Next(t.Context()); !errors.Is(err, ErrSlow) {
		t.Errorf("told: %v", err)
	}
	sub = &Subscription{feed: f, at: 2*feedRoom + 7}
	events, err := sub.Next(t.Context())
	if err != nil || len(events) != feedRoom || events[0].Seq != 2*feedRoom+7 || events[feedRoom-1].Seq != 3*feedRoom+6 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// TestASubscriptionBeginsBetweenTurns: what happened in the turn that was under way, when
// nobody listened yet, is in the snapshot that is taken after Subscribe.
func TestASubscriptionBeginsBetweenTurns(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		h.s.Snapshot() // which is good until the turn has ended
		under, end := make(chan uint64), make(chan struct{})
		h.s.post(func(c *core) {
			c.tell(EventAdded, c.recs[0])
			c.changes++
			under <- c.seq
			<-end
		})
		told, shown := <-under, make(chan uint64, 1)
		go func() {
			defer h.s.Subscribe().Close()
			shown <- h.s.Snapshot().Seq
		}()
		synctest.Wait()
		close(end)
		if seq := <-shown; seq < told {
			t.Errorf("event %d was told to nobody, and the snapshot shows what was before, up to %d", told, seq)
		}
	})
}

// TestManySubscribers: all of them hear everything, in order, while the loop goes
// on.
func TestManySubscribers(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		const subscribers, restarts = 200, 20
		var wg sync.WaitGroup
		for range subscribers {
			sub := h.s.Subscribe()
			wg.Go(func() {
				defer sub.Close()
				for n := 0; n < 3*restarts; {
					events, err := sub.Next(h.t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					n += len(events)
				}
			})
		}
		for range restarts {
			h.ok(h.s.Restart("web"))
			h.pass(5 * ms)
		}
		wg.Wait()
	})
}
