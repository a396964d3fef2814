package supervise

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
)

const ms = time.Millisecond

func TestBootStartsInOrder(t *testing.T) {
	inHouse(t, []string{"web requires=db after=cache", "cache", "db", "all target requires=web", "extra status=stop"}, func(h *house) {
		h.did("spawn cache, spawn db, spawn web")
		h.is("web running, cache running, db running, all running, extra inactive")
	})
}

func TestRequiresWaitsForHealth(t *testing.T) {
	sickHouse(t, []string{"db health", "web requires=db"}, func(h *house) {
		h.health("db", "refused")
		h.pass(500 * ms)
		h.is("db starting (refused), web blocked (waiting on: db)")
		h.health("db", "")
		h.pass(time.Second)
		h.is("db running, web running")
	})
}

// sickHouse is inHouse from its first moment, with all health checks failing.
func sickHouse(t *testing.T, lines []string, test func(h *house)) {
	t.Helper()
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		for _, s := range services(t, lines...).Services {
			if s.Health != nil {
				h.health(s.Name, "not yet")
			}
		}
		h.boot(services(t, lines...), h.k.inventory())
		defer h.close()
		test(h)
	})
}

func TestStopCascades(t *testing.T) {
	inHouse(t, []string{"db", "app requires=db", "web requires=app", "after after=db", "wants wants=db"}, func(h *house) {
		h.k.odds("web", reaptest.Odds{MaxDying: 1})
		h.k.take()
		h.ok(h.s.Stop("db"))
		h.pass(10 * ms)
		h.did("TERM web, TERM app, TERM db")
		h.is("db exited (stopped), app blocked (waiting on: db), web blocked (waiting on: app), after running, wants running")
		if pid := h.s.Snapshot().Find("db").Pid; pid != 0 {
			t.Errorf("db is stopped and has pid %d", pid)
		}
		h.ok(h.s.Start("db", false))
		h.pass(10 * ms)
		h.did("spawn db, spawn app, spawn web")
		h.is("db running, app running, web running, after running, wants running")
	})
}

// TestDependentsGoFirst: db is told to stop only when web, which is slow, is gone.
func TestDependentsGoFirst(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db"}, func(h *house) {
		h.k.odds("web", reaptest.Odds{Deaf: 100})
		h.ok(h.s.Restart("web"))
		h.pass(3 * time.Second)
		h.k.take()
		h.ok(h.s.Stop("db"))
		h.pass(1999 * ms)
		h.did("TERM web")
		h.is("db running, web stopping (db, which it requires, went down)")
		h.pass(10 * ms)
		h.did("KILL web, TERM db")
		h.is("db exited (stopped), web blocked (waiting on: db)")
	})
}

func TestStoppedByHandStaysDown(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db"}, func(h *house) {
		h.ok(h.s.Stop("web"))
		h.ok(h.s.Stop("db"))
		h.pass(10 * ms)
		h.ok(h.s.Start("db", false))
		h.pass(time.Minute)
		h.is("db running, web exited (stopped)")
		// Stopped while it is blocked, too.
		h.ok(h.s.Start("web", false))
		h.pass(10 * ms)
		h.ok(h.s.Stop("db"))
		h.pass(10 * ms)
		h.is("db exited (stopped), web blocked (waiting on: db)")
		h.ok(h.s.Stop("web"))
		h.ok(h.s.Start("db", false))
		h.pass(time.Minute)
		h.is("db running, web inactive")
	})
}

// TestStartBringsWhatIsRequired: start X starts what X requires and wants.
func TestStartBringsWhatIsRequired(t *testing.T) {
	lines := []string{"db status=stop", "cache status=stop", "log status=stop", "web status=stop requires=db wants=cache after=log"}
	inHouse(t, lines, func(h *house) {
		h.did("")
		h.ok(h.s.Start("web", false))
		h.pass(10 * ms)
		h.is("db running, cache running, log inactive, web running")
	})
	inHouse(t, lines, func(h *house) {
		h.ok(h.s.Start("web", true))
		h.pass(10 * ms)
		h.is("db inactive, cache inactive, log inactive, web blocked (waiting on: db)")
		h.ok(h.s.Start("db", false))
		h.pass(10 * ms)
		h.is("db running, cache inactive, log inactive, web running")
	})
}

func TestRestartTakesDependentsAlong(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db", "other after=db"}, func(h *house) {
		h.k.take()
		h.ok(h.s.Restart("db"))
		h.pass(10 * ms)
		h.did("TERM web, TERM db, spawn db, spawn web")
		h.is("db running, web running, other running")
	})
}

// TestCrashWithinPolicy: what requires it runs on, until it is given up.
func TestCrashWithinPolicy(t *testing.T) {
	inHouse(t, []string{"db max=2", "web requires=db"}, func(h *house) {
		h.k.take()
		for _, pause := range []time.Duration{200 * ms, 400 * ms} {
			h.k.ends(t, "db", reap.ExitCode(1))
			h.pass(pause - 10*ms)
			h.is("db failed (exit code 1), web running")
			h.pass(20 * ms)
			h.is("db running, web running")
		}
		h.did("spawn db, spawn db")
		h.k.ends(t, "db", reap.ExitCode(1))
		h.pass(10 * ms)
		h.did("TERM web")
		h.is("db failed (exit code 1; given up after 2 restarts), web blocked (waiting on: db)")
		h.ok(h.s.Start("db", false))
		h.pass(10 * ms)
		h.is("db running, web running")
	})
}

// TestBackOffIsKept over the loop: 200, 400, 800, 1000 ms, given up.
func TestBackOffIsKept(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		h.k.take()
		for _, pause := range []time.Duration{200, 400, 800, 1000} {
			h.k.ends(t, "web", reap.KilledBy(syscall.SIGSEGV))
			h.pass(pause*ms - 1*ms)
			h.did("")
			h.pass(2 * ms)
			h.did("spawn web")
		}
		h.k.ends(t, "web", reap.ExitCode(1))
		h.pass(time.Hour)
		h.did("")
		h.is("web failed (exit code 1; given up after 4 restarts)")
	})
}

func TestAMissingProgramIsTriedAgain(t *testing.T) {
	inHouse(t, []string{"web exec=/missing max=1"}, func(h *house) {
		h.is("web failed (spawn error: /missing: no such file)")
		h.pass(300 * ms)
		h.is("web failed (spawn error: /missing: no such file; given up after 1 restart)")
		h.did("")
	})
}

func TestEscalation(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		h.k.odds("web", reaptest.Odds{Deaf: 100, Undead: 100})
		h.ok(h.s.Restart("web"))
		h.pass(10 * ms)
		h.k.take()
		h.ok(h.s.Stop("web"))
		h.pass(1990 * ms)
		h.did("TERM web")
		h.pass(20 * ms)
		h.did("KILL web")
		h.pass(5 * time.Second)
		h.did("KILL web")
		if v := h.s.Snapshot().Find("web"); !v.Stuck {
			t.Errorf("it survived two kills and is not stuck: %+v", v)
		}
	})
}

func TestShutdown(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db", "log", "net after=log", "all target requires=web"}, func(h *house) {
		h.k.ends(t, "net", reap.ExitCode(1)) // its restart must not come
		h.pass(10 * ms)
		h.k.take()
		h.s.Shutdown()
		if err := <-h.ended; err != nil {
			t.Errorf("the loop ended with: %v", err)
		}
		h.did("draining, TERM log, TERM web, TERM db")
		if err := h.s.Start("db", false); !errors.Is(err, ErrGone) {
			t.Errorf("a request after the end: %v", err)
		}
		h.is("db exited (stopped), web exited (stopped), log exited (stopped), net inactive, all inactive")
	})
}

// TestTheKeeperKnowsFirst what is written down nowhere else: before whoever asked for it
// is told, since this process may die then.
func TestTheKeeperKnowsFirst(t *testing.T) {
	for want, order := range map[string]func(*Supervisor) error{
		"ABRT db":  func(s *Supervisor) error { return s.Kill("db", syscall.SIGABRT) },
		"HUP db":   func(s *Supervisor) error { return s.SignalReload("db") },
		"draining": (*Supervisor).Shutdown,
	} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t, newPlayer())
			told := ""
			h.s.opt.Sent = func() { told = h.k.take() }
			h.boot(services(t, "db"), h.k.inventory())
			defer h.close()
			h.pass(10 * ms)
			h.k.take()
			if err := order(h.s); err != nil || !strings.HasPrefix(told, want) {
				t.Errorf("%s: when it is answered the keeper has been told %q (%v)", want, told, err)
			}
		})
	}
}

// TestWhoAsksAServerThatLeavesIsToldSo: the next one knows nothing of what was asked.
func TestWhoAsksAServerThatLeavesIsToldSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.boot(services(t, "db"), h.k.inventory())
		h.s.Leave()
		<-h.s.Done()
		for name, err := range map[string]error{"shutdown": h.s.Shutdown(), "stop": h.s.Stop("db")} {
			if !errors.Is(err, ErrLeft) {
				t.Errorf("%s: %v", name, err)
			}
		}
		h.close()
	})
}

func TestShutdownIsRefusedNothing(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db"}, func(h *house) {
		h.k.odds("web", reaptest.Odds{Deaf: 100})
		h.ok(h.s.Restart("web"))
		h.pass(3 * time.Second)
		h.k.take()
		h.s.Shutdown()
		h.refused(h.s.Start("db", false), ShuttingDown, "db: zinit is shutting down: start it after the next boot")
		h.refused(h.s.Restart("db"), ShuttingDown, "db: zinit is shutting down: start it after the next boot")
		_, err := h.reload("db")
		h.refused(err, ShuttingDown, "zinit is shutting down: the configuration is read at the next start")
		h.s.Shutdown() // once more changes nothing
		begun := time.Now()
		<-h.ended
		h.did("draining, TERM web, KILL web, TERM db")
		if took := time.Since(begun); took < time.Second || took > 3*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// TestShutdownLeavesTheStuckBehind: what the kernel holds does not hold up the
// rest.
func TestShutdownLeavesTheStuckBehind(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db"}, func(h *house) {
		h.k.odds("web", reaptest.Odds{Undead: 100, Deaf: 100})
		h.ok(h.s.Restart("web"))
		h.pass(3 * time.Second)
		h.k.take()
		h.s.Shutdown()
		begun := time.Now()
		<-h.ended
		h.did("draining, TERM web, KILL web, KILL web, TERM db")
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestSignalsOfTheKeeper(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		inHouse(t, []string{"web"}, func(h *house) {
			h.k.events <- []reap.Event{reap.Signaled{Signal: sig}}
			if err := <-h.ended; err != nil {
				t.Errorf("%v: the loop ended with: %v", sig, err)
			}
			h.did("spawn web, draining, TERM web")
		})
	}
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		asked := make(chan bool, 1)
		h.s.opt.Hangup = func() { asked <- true }
		h.boot(services(t, "web"), h.k.inventory())
		defer h.close()
		h.k.events <- []reap.Event{reap.Signaled{Signal: syscall.SIGHUP}}
		<-asked
	})
}

func TestLostKeeperEndsTheLoop(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		h.k.events <- []reap.Event{reap.KeeperLost{Err: errors.New("closed")}}
		if err := <-h.ended; !errors.Is(err, ErrKeeperLost) {
			t.Errorf("the loop ended with: %v", err)
		}
		if _, err := h.s.Wait(context.Background(), []string{"web"}, GoalDown, false); !errors.Is(err, ErrGone) {
			t.Errorf("a wait after the end: %v", err)
		}
	})
}

func TestHealthOverTheLoop(t *testing.T) {
	inHouse(t, []string{"web health", "proxy requires=web"}, func(h *house) {
		h.is("web running, proxy running")
		h.k.take()
		h.health("web", "connection refused")
		h.pass(3*time.Second - 20*ms)
		h.did("TERM web")
		h.is("web failed (health check failed after 3 attempts: connection refused), proxy running")
		h.health("web", "")
		h.pass(time.Second)
		h.is("web running, proxy running")
	})
}

// TestExecProbes are processes of their own; one that hangs is ended and counts as
// failed.
func TestExecProbes(t *testing.T) {
	inHouse(t, []string{"web probe"}, func(h *house) {
		h.did("spawn web, spawn web/health")
		h.k.ends(t, "web/health", reap.ExitCode(0))
		h.pass(10 * ms)
		h.is("web running")
		h.pass(time.Second)
		h.did("spawn web/health")
		h.k.ends(t, "web/health", reap.ExitCode(3))
		h.pass(1010 * ms)
		h.did("spawn web/health")
		h.pass(1010 * ms) // it hangs
		h.did("KILL web/health, TERM web")
		h.is("web failed (health check failed after 2 attempts: timed out after 1s)")
	})
}
