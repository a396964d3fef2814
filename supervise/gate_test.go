package supervise

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"zinit/reap"
	"zinit/supervise/config"
)

// theWay is who is in the way of services.
type theWay struct {
	mu     sync.Mutex
	of     map[string]*Obstacle // guarded by mu
	blind  error                // guarded by mu; why nothing can be seen
	silent bool                 // guarded by mu: it never answers
	takes  time.Duration        // guarded by mu
	looks  []string             // guarded by mu; since they were last asked for
	ended  []string             // guarded by mu; the looks whose answers nobody wants
	begun  time.Time            // guarded by mu; of the first look
	at     []int                // guarded by mu; of each look, in seconds after that
}

// Look answers after a millisecond, or as long as it takes.
func (h *clinic) Look(ctx context.Context, s *config.Service, ending func(*Obstacle), done func(*Obstacle, error)) {
	h.way.mu.Lock()
	defer h.way.mu.Unlock()
	h.way.looks = append(h.way.looks, s.Name)
	if h.way.begun.IsZero() {
		h.way.begun = time.Now()
	}
	h.way.at = append(h.way.at, int(time.Since(h.way.begun)/time.Second))
	context.AfterFunc(ctx, func() {
		h.way.mu.Lock()
		defer h.way.mu.Unlock()
		h.way.ended = append(h.way.ended, s.Name)
	})
	if h.way.silent {
		return
	}
	o, err := h.way.of[s.Name], h.way.blind
	if s.KillOthers && o != nil {
		ending(&Obstacle{Fact: o.Fact, Next: "it is being ended"})
	}
	time.AfterFunc(max(h.way.takes, time.Millisecond), func() { done(o, err) })
}

// blocks has somebody be in the way of a service; empty: nobody any more.
func (h *clinic) blocks(name, fact string) {
	h.way.mu.Lock()
	defer h.way.mu.Unlock()
	if h.way.of == nil {
		h.way.of = map[string]*Obstacle{}
	}
	h.way.of[name] = nil
	if fact != "" {
		h.way.of[name] = &Obstacle{Fact: fact, Next: "stop it"}
	}
}

func (h *clinic) ways(f func(w *theWay)) {
	h.way.mu.Lock()
	defer h.way.mu.Unlock()
	f(&h.way)
}

// saw checks who was looked for since the last time.
func (h *house) saw(want string) {
	h.t.Helper()
	h.way.mu.Lock()
	got := strings.Join(h.way.looks, ", ")
	h.way.looks = nil
	h.way.mu.Unlock()
	if got != want {
		h.t.Errorf("after %s:\n looked for %s\n      want %s", time.Since(h.begun), got, want)
	}
}

const nginx = "port 80 is in use by nginx (pid 7)"

// blockedHouse is one in which nginx has the port of web from the beginning on.
func blockedHouse(t *testing.T, lines []string, test func(h *house)) {
	t.Helper()
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.blocks("web", nginx)
		h.boot(services(t, lines...), h.k.inventory())
		defer h.close()
		h.pass(50 * time.Millisecond)
		test(h)
	})
}

func TestNobodyIsLookedForWithoutPortsOrFilters(t *testing.T) {
	inHouse(t, []string{"web", "api ports=80", "db filters=db", "all target"}, func(h *house) {
		h.is("web running, api running, db running, all running")
		h.saw("api, db")
	})
}

func TestAForeignPortBlocksUntilItIsFree(t *testing.T) {
	blockedHouse(t, []string{"web ports=80"}, func(h *house) {
		h.is("web blocked (" + nginx + ": stop itwaiting on:)")
		if v := h.s.Snapshot().Find("web"); v.Obstacle == nil || v.Obstacle.Fact != nginx {
			t.Errorf("in the way is %+v", v.Obstacle)
		}
		h.did("")
		h.blocks("web", "")
		h.pass(time.Second)
		h.is("web running")
		h.saw("web, web")
	})
}

func TestLooksAreFurtherAndFurtherApart(t *testing.T) {
	blockedHouse(t, []string{"web ports=80"}, func(h *house) {
		h.pass(2 * time.Minute)
		var at []int
		h.ways(func(w *theWay) { at = w.at })
		if want := []int{0, 1, 3, 7, 15, 31, 61, 91}; !slices.Equal(at, want) {
			t.Errorf("looked after %v seconds, want %v", at, want)
		}
	})
}

func TestAStartByHandLooksAtOnce(t *testing.T) {
	blockedHouse(t, []string{"web ports=80"}, func(h *house) {
		h.pass(20 * time.Second)
		h.saw("web, web, web, web, web")
		h.blocks("web", "port 80 is in use by apache (pid 8)")
		h.ok(h.s.Start("web", false))
		// Who asks hears of who is there now.
		waited, err := h.s.Wait(context.Background(), []string{"web"}, GoalUp, true)
		if err != nil || waited[0].Reached || waited[0].View.Obstacle == nil || waited[0].View.Obstacle.Fact != "port 80 is in use by apache (pid 8)" {
			t.Errorf("waited: %+v %v", waited[0].View.Obstacle, err)
		}
		h.blocks("web", "")
		h.ok(h.s.Restart("web"))
		if state := h.s.Snapshot().Find("web").State.String(); state != "starting" {
			t.Errorf("when it was answered it was %s", state)
		}
		h.pass(10 * time.Millisecond)
		h.is("web running")
		h.saw("web, web")
	})
}

// TestAStartDuringALook: what that look finds was before whoever was in the way was asked
// to go.
func TestAStartDuringALook(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.ways(func(w *theWay) { w.takes = 200 * time.Millisecond })
		h.blocks("web", nginx)
		h.boot(services(t, "web ports=80"), h.k.inventory())
		defer h.close()
		h.pass(100 * time.Millisecond)
		h.saw("web")
		h.blocks("web", "")
		h.ok(h.s.Start("web", false))
		if v := h.s.Snapshot().Find("web"); v.Obstacle != nil {
			t.Errorf("it is told %+v", v.Obstacle)
		}
		h.pass(time.Millisecond)
		h.is("web running")
		h.saw("web")
	})
}

func TestEachRunNeedsALook(t *testing.T) {
	inHouse(t, []string{"web ports=80", "user requires=web"}, func(h *house) {
		h.did("spawn web, spawn user")
		h.saw("web")
		h.k.ends(t, "web", reap.ExitCode(1))
		h.pass(100 * time.Millisecond)
		h.saw("")
		h.blocks("web", nginx)
		h.pass(200 * time.Millisecond)
		// As with everything that it may take long to come back, who requires it goes.
		h.is("web blocked (" + nginx + ": stop itwaiting on:), user blocked (waiting on: web)")
		h.blocks("web", "")
		h.pass(time.Second)
		h.is("web running, user running")
		h.saw("web, web")
		if v := h.s.Snapshot().Find("web"); v.Restarts != 1 {
			t.Errorf("%d restarts", v.Restarts)
		}
		h.k.take()
		h.ok(h.s.Restart("web"))
		h.pass(50 * time.Millisecond)
		h.did("TERM user, TERM web, spawn web, spawn user")
		h.saw("web")
	})
}

func TestARestartThatIsNotHinderedKeepsWhoRequiresIt(t *testing.T) {
	inHouse(t, []string{"web ports=80", "user requires=web"}, func(h *house) {
		h.k.take()
		h.k.ends(t, "web", reap.ExitCode(1))
		h.pass(300 * time.Millisecond)
		h.did("spawn web")
	})
}

func TestTwoServicesWithOnePort(t *testing.T) {
	inHouse(t, []string{"one ports=80", "two ports=81,80", "last after=two"}, func(h *house) {
		const waits = "port 80 is in use by the service one: stop one, or give one of them another port"
		h.is("one running, two blocked (" + waits + "waiting on:), last running")
		h.saw("one")
		// The one that has it keeps it through a restart.
		h.k.ends(t, "one", reap.ExitCode(1))
		h.pass(100 * time.Millisecond)
		h.is("one failed (exit code 1), two blocked (port 80 is kept for the service one, which failed and is about to start again: stop one, or give one of them another portwaiting on:), last running")
		h.pass(200 * time.Millisecond)
		h.is("one running, two blocked (" + waits + "waiting on:), last running")
		h.ok(h.s.Restart("one"))
		h.pass(50 * time.Millisecond)
		h.is("one running, two blocked (" + waits + "waiting on:), last running")
		h.saw("one, one")
		h.pass(time.Hour)
		h.saw("")
		h.ok(h.s.Stop("one"))
		h.pass(50 * time.Millisecond)
		h.is("one exited (stopped), two running, last running")
		h.saw("two")
		h.ok(h.s.Start("one", false))
		h.pass(50 * time.Millisecond)
		h.is("one blocked (port 80 is in use by the service two: stop two, or give one of them another portwaiting on:), two running, last running")
	})
}

func TestWhereNothingCanBeSeenServicesStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.ways(func(w *theWay) { w.blind = errors.New("needs /proc") })
		h.boot(services(t, "web ports=80", "api ports=81"), h.k.inventory())
		defer h.close()
		h.pass(50 * time.Millisecond)
		h.is("web running, api running")
	})
}

func TestALookWithoutAnAnswerHoldsUpNobodyForLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.ways(func(w *theWay) { w.silent = true })
		h.boot(services(t, "web ports=80", "killer ports=81 kill-others"), h.k.inventory())
		defer h.close()
		h.pass(lookWithin - time.Millisecond)
		h.is("web blocked (waiting for its ports and filters to be checkedwaiting on:), killer blocked (waiting for its ports and filters to be checkedwaiting on:)")
		h.pass(time.Second)
		h.did("spawn web")
		h.pass(evictWithin)
		h.did("spawn killer")
	})
}

// What happens while a look is under way counts, and not what it finds.
func TestALookThatIsOvertaken(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(h *house)
		want string
		did  string
	}{
		{"by a stop", func(h *house) { h.ok(h.s.Stop("web")) }, "web inactive", ""},
		{"by a stop and a start", func(h *house) {
			h.ok(h.s.Stop("web"))
			h.ok(h.s.Start("web", false))
		}, "web running", "spawn web"},
		{"by a removal", func(h *house) {
			_, err := h.reload()
			h.ok(err)
		}, "", ""},
		{"by a reload without ports", func(h *house) {
			_, err := h.reload("web")
			h.ok(err)
		}, "web running", "spawn web"},
		{"by a reload with another port", func(h *house) {
			h.blocks("web", nginx)
			_, err := h.reload("web ports=90")
			h.ok(err)
		}, "web blocked (" + nginx + ": stop itwaiting on:)", ""},
		{"by a dependency", func(h *house) {
			_, err := h.reload("web ports=80 requires=db", "db status=stop")
			h.ok(err)
		}, "web blocked (waiting on: db), db inactive", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t, newPlayer())
				h.ways(func(w *theWay) { w.takes = 300 * time.Millisecond })
				h.boot(services(t, "web ports=80"), h.k.inventory())
				defer h.close()
				h.pass(100 * time.Millisecond)
				tc.do(h)
				h.pass(500 * time.Millisecond)
				h.is(tc.want)
				h.did(tc.did)
			})
		})
	}
}

// TestAStopEndsALook, so that nobody is ended for a service that does not start.
func TestAStopEndsALook(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.ways(func(w *theWay) { w.silent = true })
		h.boot(services(t, "web ports=80", "log ports=81", "old ports=82"), h.k.inventory())
		defer h.close()
		h.pass(10 * ms)
		ended := func(want string) {
			t.Helper()
			h.ways(func(w *theWay) {
				slices.Sort(w.ended)
				if got := strings.Join(w.ended, " "); got != want {
					t.Errorf("the looks that were ended are of %q, want %q", got, want)
				}
				w.ended = nil
			})
		}
		ended("")
		h.ok(h.s.Stop("web"))
		h.pass(10 * ms)
		ended("web")
		h.ok(h.s.Start("web", false))
		h.pass(10 * ms)
		h.saw("log, old, web, web")
		// Another configuration has another look, and none is for what is removed.
		_, err := h.reload("web ports=80", "log ports=83")
		h.ok(err)
		h.pass(10 * ms)
		ended("log old")
		h.saw("log")
		// One that takes too long is ended too; then the service starts all the same.
		h.pass(lookWithin)
		ended("log web")
		h.is("web running, log running")
	})
}

func TestAShutdownDoesNotWaitForALook(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.ways(func(w *theWay) { w.silent = true })
		h.boot(services(t, "web ports=80", "db"), h.k.inventory())
		h.pass(50 * time.Millisecond)
		h.s.Shutdown()
		if err := <-h.ended; err != nil {
			t.Error(err)
		}
		h.did("spawn db, draining, TERM db")
		h.k.close()
	})
}

// Who does not end at once is seen for as long.
func TestWhoIsBeingEndedIsSeen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.blocks("web", nginx)
		h.ways(func(w *theWay) { w.takes = 5 * time.Second })
		h.boot(services(t, "web ports=80 kill-others"), h.k.inventory())
		defer h.close()
		h.pass(time.Second)
		h.is("web blocked (" + nginx + ": it is being endedwaiting on:)")
		h.blocks("web", "")
		h.ok(h.s.Stop("web"))
		h.is("web inactive")
		h.ok(h.s.Start("web", false))
		h.pass(time.Second)
		h.is("web blocked (waiting for " + gateWaits + "waiting on:)")
		h.pass(5 * time.Second)
		h.is("web running")
	})
}

// What is in the way now is in the way in a dry run, which looks for nobody.
func TestADryRunLooksForNobody(t *testing.T) {
	blockedHouse(t, []string{"web ports=80 kill-others"}, func(h *house) {
		h.saw("web")
		for _, tc := range []struct{ line, starts string }{
			{"web ports=80 kill-others", ""},
			{"web ports=90 kill-others", "web"},
			{"web", "web"},
		} {
			ch, err := h.s.Reload(Change{Set: services(t, tc.line), DryRun: true})
			h.ok(err)
			if got := strings.Join(ch.Started, ", "); got != tc.starts {
				t.Errorf("%s: it would start %q", tc.line, got)
			}
		}
		h.saw("")
	})
}

func TestWhatIsBlockedByAPortHoldsUpOnlyWhoRequiresIt(t *testing.T) {
	blockedHouse(t, []string{"web ports=80", "user requires=web", "later after=web", "fan wants=web", "idler idle"}, func(h *house) {
		h.is("web blocked (" + nginx + ": stop itwaiting on:), user blocked (waiting on: web), later running, fan running, idler running")
	})
}

func TestANewServerLooksAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.blocks("web", nginx)
		set := services(t, "web ports=80", "db ports=81")
		h.boot(set, h.k.inventory())
		h.pass(50 * time.Millisecond)
		h.s.Leave()
		<-h.ended
		sim := h.k.sim
		h.k.close()
		h = newHouse(t, playOn(sim))
		h.boot(set, h.k.inventory())
		defer h.close()
		h.pass(50 * time.Millisecond)
		h.is("web running, db running")
		h.saw("web") // db runs on
	})
}
