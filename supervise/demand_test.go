package supervise

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
)

// activates has somebody need a service for a second.
func (h *house) activates(name string) error {
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Second)
	defer cancel()
	return h.s.Activate(ctx, name)
}

// releases checks whether a service that is needed no more is stopped.
func (h *house) releases(name string, want bool) {
	h.t.Helper()
	stopped, err := h.s.Release(name)
	h.ok(err)
	if stopped != want {
		h.t.Errorf("after %s: %s is stopped: %v", time.Since(h.begun), name, stopped)
	}
	h.pass(50 * time.Millisecond)
}

func TestWhatIsActivatedIsReleased(t *testing.T) {
	inHouse(t, []string{"db status=stop", "net", "web requires=net status=ignore"}, func(h *house) {
		h.did("spawn net")
		h.ok(h.activates("db"))
		h.ok(h.activates("db")) // it is up
		h.did("spawn db")
		h.releases("db", true)
		h.did("TERM db")
		h.is("db exited (stopped), net running, web inactive")
		h.ok(h.activates("db"))
		h.releases("db", true)
		h.releases("db", true)
		h.ok(h.activates("web"))
		h.releases("net", false)
		h.releases("web", true)
		h.releases("net", true)
	})
}

func TestWhatWasStartedByHandIsNotReleased(t *testing.T) {
	inHouse(t, []string{"db status=stop", "web status=stop"}, func(h *house) {
		h.ok(h.s.Start("db", false))
		h.pass(50 * time.Millisecond)
		h.ok(h.activates("db"))
		h.releases("db", false)
		h.ok(h.activates("web"))
		h.ok(h.s.Start("web", false)) // it is up: somebody wants it to stay
		h.releases("web", false)
		h.ok(h.s.Stop("db"))
		h.pass(50 * time.Millisecond)
		h.ok(h.activates("db"))
		h.releases("db", true)
	})
}

// TestWhatStartsIsNotReleased: who gave it up comes again, and it is up then.
func TestWhatStartsIsNotReleased(t *testing.T) {
	sickHouse(t, []string{"db health status=stop"}, func(h *house) {
		if h.activates("db") == nil {
			t.Error("it is up")
		}
		h.releases("db", false)
		h.health("db", "")
		h.pass(time.Second)
		h.releases("db", true)
	})
}

func TestThatItWasStartedByHandOutlivesTheServer(t *testing.T) {
	lines := []string{"db status=stop", "web status=stop"}
	synctest.Test(t, func(t *testing.T) {
		h := remembering(t)
		h.boot(services(t, lines...), h.k.inventory())
		h.ok(h.s.Start("db", false))
		h.ok(h.activates("web"))
		next := h.succeed(t, lines...)
		defer next.close()
		next.releases("db", false)
		next.releases("web", true)
	})
}

func TestWhatCannotComeUpIsRefusedWithTheReason(t *testing.T) {
	inHouse(t, []string{"bad exec=/missing restart=never status=stop", "lost requires=nobody", "slow", "idle status=stop"}, func(h *house) {
		h.refused(h.activates("nobody"), NotFound, "service not found: nobody")
		_, err := h.s.Release("nobody")
		h.refused(err, NotFound, "service not found: nobody")
		err = h.activates("bad")
		h.refused(err, Unusable, "bad: it does not come up (failed: spawn error: /missing: no such file): zinit why bad and zinit logs bad tell more")
		h.k.odds("slow", reaptest.Odds{Deaf: 100}) // or everything is over before the next call
		h.ok(h.s.Restart("slow"))
		h.pass(50 * ms)
		h.s.Shutdown()
		h.refused(h.activates("idle"), ShuttingDown, "idle: zinit is shutting down: start it after the next boot")
	})
}

func TestAnActivationDoesNotCutTheBackOffShort(t *testing.T) {
	inHouse(t, []string{"db status=stop"}, func(h *house) {
		h.ok(h.activates("db"))
		h.k.ends(t, "db", reap.ExitCode(1))
		h.pass(10 * time.Millisecond)
		h.did("spawn db")
		began := time.Now()
		h.ok(h.activates("db"))
		if waited := time.Since(began); waited < 150*time.Millisecond {
			t.Errorf("started again after %s", waited)
		}
		h.did("spawn db")
	})
}

// TestWhoStopsAServiceThatIsNeededHearsThatItIsDown, although it comes up again at once.
func TestWhoStopsAServiceThatIsNeededHearsThatItIsDown(t *testing.T) {
	inHouse(t, []string{"db status=stop"}, func(h *house) {
		h.k.odds("db", reaptest.Odds{Deaf: 100}) // it is killed after a while
		h.ok(h.activates("db"))
		h.ok(h.s.Stop("db"))
		h.pass(50 * time.Millisecond)
		waited := make(chan Waited, 1)
		go func() {
			list, err := h.s.Wait(h.t.Context(), []string{"db"}, GoalDown, true)
			if err != nil || len(list) != 1 {
				h.t.Error(list, err)
			}
			waited <- list[0]
		}()
		h.pass(50 * time.Millisecond)
		needed := make(chan error, 1)
		go func() { needed <- h.s.Activate(h.t.Context(), "db") }()
		if w := <-waited; !w.Reached || w.View.State.String() != "exited" {
			h.t.Errorf("who waits hears %+v, %s", w, w.View.State)
		}
		h.ok(<-needed)
		h.is("db running")
	})
}
