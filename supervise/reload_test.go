package supervise

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
	"zinit/supervise/config"
)

func (h *house) changes(ch Changes, err error, want string) {
	h.t.Helper()
	h.ok(err)
	if got := fmt.Sprintf("added %v removed %v changed %v", ch.Added, ch.Removed, ch.Changed); got != want {
		h.t.Errorf("the reload says %s, want %s", got, want)
	}
}

// TestWhatIsRemovedGoesWhenItIsDown, and does not wait for others.
func TestWhatIsRemovedGoesWhenItIsDown(t *testing.T) {
	inHouse(t, []string{"quick every=1h", "slow", "stays", "needs requires=quick"}, func(h *house) {
		h.ok(h.s.Start("quick", false))
		h.pass(10 * ms)
		h.k.odds("slow", reaptest.Odds{Deaf: 100})
		h.ok(h.s.Restart("slow"))
		h.pass(50 * ms)
		_, err := h.reload("stays", "needs requires=quick")
		h.ok(err)
		h.pass(50 * ms)
		h.is("slow stopping (stop asked for), stays running, needs failed (missing dependency 'quick')")
		h.timersAre("")
		h.s.ask(func(c *core) {
			if c.going != 1 {
				t.Errorf("%d are going", c.going)
			}
		})
		h.pass(2 * time.Second)
		h.is("stays running, needs failed (missing dependency 'quick')")
	})
}

// TestManyThatGoAreSweptTogether: what a new graph costs is not paid for each.
func TestManyThatGoAreSweptTogether(t *testing.T) {
	c, sweeps := newCore(Parts{Keeper: &planner{Sim: reaptest.New(1, reaptest.Odds{}, time.Now())}, Logs: noLogs{}, Log: slog.New(slog.DiscardHandler)}), 0
	c.now = time.Now()
	var lines []string
	for n := range 1000 {
		lines = append(lines, fmt.Sprintf("s%d", n))
	}
	c.load(services(t, lines...), reap.Inventory{})
	if _, err := c.reload(Change{Set: services(t)}); err != nil {
		t.Fatal(err)
	}
	c.turn()
	for n := range 1000 {
		before := len(c.order)
		c.now = c.now.Add(ms)
		for _, ev := range []reap.Event{reap.Spawned{Key: fmt.Sprintf("s%d", n), Run: 1}, reap.Exited{Key: fmt.Sprintf("s%d", n), Run: 1}} {
			c.keeperEvent(ev)
		}
		c.turn()
		if len(c.order) < before {
			sweeps++
		}
	}
	if len(c.order) > 0 || sweeps < 20 || sweeps > 200 {
		t.Errorf("%d are left after %d sweeps", len(c.order), sweeps)
	}
}

func TestReloadAddsAMissingDependency(t *testing.T) {
	inHouse(t, []string{"web requires=db", "other"}, func(h *house) {
		h.is("web failed (missing dependency 'db'), other running")
		h.did("spawn other")
		ch, err := h.reload("web requires=db", "db", "other", "idle status=stop")
		h.changes(ch, err, "added [db idle] removed [] changed []")
		h.pass(10 * ms)
		h.did("spawn db, spawn web")
		h.is("web running, other running, db running, idle inactive")
	})
}

// TestReloadRemovesWhatIsRequired: dependents stop first, then say what is missing.
func TestReloadRemovesWhatIsRequired(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db", "other"}, func(h *house) {
		h.k.odds("web", reaptest.Odds{Deaf: 100})
		h.ok(h.s.Restart("web"))
		h.pass(3 * time.Second)
		h.k.take()
		ch, err := h.reload("web requires=db", "other")
		h.changes(ch, err, "added [] removed [db] changed []")
		h.pass(time.Second)
		h.did("TERM web")
		h.refused(h.s.Start("db", false), NotFound, "service not found: db")
		h.pass(2 * time.Second)
		h.did("KILL web, TERM db")
		h.is("web failed (missing dependency 'db'), other running")
		// It comes back, with a run number that the keeper has not seen.
		ch, err = h.reload("web requires=db", "db", "other")
		h.changes(ch, err, "added [db] removed [] changed []")
		h.pass(10 * ms)
		h.did("spawn db, spawn web")
		h.is("web running, other running, db running")
	})
}

func TestReloadTakesARemovalBack(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db"}, func(h *house) {
		h.k.odds("web", reaptest.Odds{Deaf: 100})
		h.ok(h.s.Restart("web"))
		h.pass(3 * time.Second)
		h.k.take()
		_, err := h.reload("web requires=db")
		h.ok(err)
		h.pass(time.Second)
		ch, err := h.reload("db", "web requires=db")
		h.changes(ch, err, "added [] removed [] changed [db]")
		h.pass(5 * time.Second)
		h.did("TERM web, KILL web, spawn web")
		h.is("db running, web running")
	})
}

func TestReloadWithANewCycleIsRefusedWhole(t *testing.T) {
	inHouse(t, []string{"a", "b requires=a"}, func(h *house) {
		h.k.take()
		_, err := h.reload("a requires=b", "b requires=a", "new")
		h.refused(err, Cycle, "reload refused, nothing is changed: dependency cycle: a -> b -> a: drop one of these dependencies")
		h.pass(10 * ms)
		h.did("")
		h.is("a running, b running")
	})
	// One that was there before is no reason to refuse, and can be mended.
	inHouse(t, []string{"a requires=b", "b requires=a"}, func(h *house) {
		_, err := h.reload("a requires=b", "b requires=a", "new")
		h.ok(err)
		h.pass(10 * ms)
		h.is("a failed (dependency cycle: a -> b -> a), b failed (dependency cycle: a -> b -> a), new running")
		_, err = h.reload("a", "b requires=a", "new")
		h.ok(err)
		h.pass(10 * ms)
		h.is("a running, b running, new running")
	})
}

// TestABadFile concerns its service only: one that runs goes on, a new one is
// shown with what is wrong.
func TestABadFile(t *testing.T) {
	inHouse(t, []string{"web", "other"}, func(h *house) {
		h.k.take()
		_, err := h.reload("web: exec is missing", "new: no such key", "other")
		h.ok(err)
		h.pass(10 * ms)
		h.did("")
		h.is("web running, other running, new failed (configuration error: new.toml: no such key)")
		v := h.s.Snapshot().Find("web")
		if v.Problem != "configuration error: web.toml: exec is missing" {
			t.Errorf("the problem of web is %q", v.Problem)
		}
		if n := len(h.s.Snapshot().Problems); n != 2 {
			t.Errorf("%d problems are shown", n)
		}
		_, err = h.reload("web", "new", "other")
		h.ok(err)
		h.pass(10 * ms)
		h.did("spawn new")
		h.is("web running, other running, new running")
		if v := h.s.Snapshot().Find("web"); v.Problem != "" {
			t.Errorf("a problem that was mended is shown: %q", v.Problem)
		}
	})
}

// TestReloadAppliesRulesAtOnce, but starts and stops nothing that has changed.
func TestReloadAppliesRulesAtOnce(t *testing.T) {
	inHouse(t, []string{"web max=1", "down status=stop"}, func(h *house) {
		h.k.take()
		h.health("web", "refused")
		ch, err := h.reload("web health", "down")
		h.changes(ch, err, "added [] removed [] changed [web down]")
		h.pass(2100 * ms)
		h.did("TERM web")
		h.is("web failed (health check failed after 3 attempts: refused), down inactive")
	})
}

// TestReloadPartsNewRivals: of two that run, the later one goes down, and says why.
func TestReloadPartsNewRivals(t *testing.T) {
	inHouse(t, []string{"a", "b"}, func(h *house) {
		h.k.take()
		_, err := h.reload("a", "b conflicts=a")
		h.ok(err)
		h.pass(10 * ms)
		h.did("TERM b")
		h.is("a running, b blocked (in conflict with: a)")
	})
}

// TestReloadMakesATarget: not while its process runs.
func TestReloadMakesATarget(t *testing.T) {
	inHouse(t, []string{"web", "top requires=web"}, func(h *house) {
		_, err := h.reload("web target", "top requires=web")
		h.ok(err)
		h.pass(10 * ms)
		h.is("web running, top running")
		if got, want := h.s.Snapshot().Find("web").Problem, "web.toml makes a target of it while its process runs: stop it and reload"; got != want {
			t.Errorf("the problem is %q", got)
		}
		h.ok(h.s.Stop("web"))
		h.pass(10 * ms)
		_, err = h.reload("web target", "top requires=web")
		h.ok(err)
		h.ok(h.s.Start("web", false))
		h.pass(10 * ms)
		if v := h.s.Snapshot().Find("web"); !v.Target() || v.Problem != "" {
			t.Errorf("no target yet: %+v", v)
		}
		h.is("web running, top running")
	})
}

// TestReloadIsSeenFarAway: what a change of one service means to others is shown,
// although their files are the same.
func TestReloadIsSeenFarAway(t *testing.T) {
	lines := []string{"one oneshot", "two oneshot requires=one", "idle status=stop"}
	inHouse(t, lines, func(h *house) {
		h.k.ends(t, "one", reap.ExitCode(0))
		h.pass(10 * ms)
		h.k.ends(t, "two", reap.ExitCode(0))
		h.pass(10 * ms)
		if !h.s.Snapshot().Find("two").Satisfied() {
			t.Errorf("not done: %s", h.states())
		}
		_, err := h.reload("one oneshot requires=idle", lines[1], lines[2])
		h.ok(err)
		h.pass(10 * ms)
		if h.s.Snapshot().Find("two").Satisfied() {
			t.Errorf("done, though what it requires is not any more: %s", h.states())
		}
	})
}

// TestReloadTouchesNothingUnchanged: not what runs, not what was stopped by hand,
// not a restart that is pending.
func TestReloadTouchesNothingUnchanged(t *testing.T) {
	lines := []string{"db", "web requires=db health", "stopped", "crashed", "once oneshot"}
	inHouse(t, lines, func(h *house) {
		h.ok(h.s.Stop("stopped"))
		h.k.ends(t, "once", reap.ExitCode(0))
		h.pass(10 * ms)
		h.k.ends(t, "crashed", reap.ExitCode(1))
		h.pass(10 * ms)
		h.k.take()
		type facts struct {
			state string
			since time.Time
			run   uint64
			pid   int
			due   time.Time
			want  bool
		}
		look := func() (list []facts) {
			for _, v := range h.s.Snapshot().Views {
				list = append(list, facts{fmt.Sprintf("%+v", v.State), v.Since, v.Run, v.Pid, v.RestartAt(), v.Want})
			}
			return list
		}
		before := look()
		ch, err := h.reload(lines...)
		h.changes(ch, err, "added [] removed [] changed []")
		for i, now := range look() {
			if now != before[i] {
				t.Errorf("it was %+v, it is %+v", before[i], now)
			}
		}
		h.did("")
		h.pass(250 * ms)
		h.did("spawn crashed")
	})
}

// TestReloadKeepsWhatItCannotRead: the services of a directory that cannot be read
// are not removed.
func TestReloadKeepsWhatItCannotRead(t *testing.T) {
	inHouse(t, nil, func(h *house) {
		set := services(t, "net", "web")
		set.Services[0].Source, set.Services[1].Source = "/system/net.toml", "/user/web.toml"
		_, err := h.s.Reload(Change{Set: set})
		h.ok(err)
		h.pass(10 * ms)
		h.did("spawn net, spawn web")
		ch, err := h.s.Reload(Change{Set: &config.Set{
			Services: set.Services[:1],
			Problems: []config.Problem{{File: "/user/", Severity: config.Error, Message: "cannot be read"}},
		}})
		h.changes(ch, err, "added [] removed [] changed []")
		h.pass(10 * ms)
		h.did("")
		h.is("net running, web running")
		ch, err = h.s.Reload(Change{Set: &config.Set{Services: set.Services[:1]}})
		h.changes(ch, err, "added [] removed [web] changed []")
	})
}
