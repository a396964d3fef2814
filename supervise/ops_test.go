package supervise

import (
	"syscall"
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
)

func TestRefusals(t *testing.T) {
	inHouse(t, []string{"db", "rival conflicts=db", "app requires=rival", "all target requires=db", "idle status=stop", "lost requires=nobody",
		"bad: exec is missing", "loop1 requires=loop2", "loop2 requires=loop1"}, func(h *house) {
		h.refused(h.s.Start("nope", false), NotFound, "service not found: nope")
		h.refused(h.s.Stop("nope"), NotFound, "service not found: nope")
		h.refused(h.s.Restart("nope"), NotFound, "service not found: nope")
		h.refused(h.s.Kill("nope", syscall.SIGHUP), NotFound, "service not found: nope")
		h.refused(h.s.Kill("idle", syscall.SIGHUP), NotRunning, "service not running: idle")
		h.refused(h.s.Kill("all", syscall.SIGHUP), IsTarget, "all: it is a target and has no process: signal one of its services")
		h.refused(h.s.Start("rival", false), InConflict, "rival: it conflicts with db, which is running: stop db first")
		h.refused(h.s.Restart("rival"), InConflict, "rival: it conflicts with db, which is running: stop db first")
		h.refused(h.s.Start("app", false), InConflict, "app: it requires rival, which conflicts with db, which is running: stop db first")
		h.refused(h.s.Start("lost", false), Unusable, "lost: missing dependency 'nobody': mend its configuration and reload")
		h.refused(h.s.Start("bad", false), Unusable, "bad: configuration error: bad.toml: exec is missing")
		h.refused(h.s.Start("loop1", false), Unusable, "loop1: dependency cycle: loop1 -> loop2 -> loop1: mend its configuration and reload")
		h.did("spawn db")
		h.is("db running, rival blocked (in conflict with: db), app blocked (waiting on: rival), all running, idle inactive, " +
			"lost failed (missing dependency 'nobody'), " +
			"loop1 failed (dependency cycle: loop1 -> loop2 -> loop1), loop2 failed (dependency cycle: loop1 -> loop2 -> loop1), " +
			"bad failed (configuration error: bad.toml: exec is missing)")
	})
}

// TestStartAloneMeetsARival: what is started alone waits; nothing is refused for
// what it requires.
func TestStartAloneMeetsARival(t *testing.T) {
	inHouse(t, []string{"db", "rival conflicts=db status=stop", "app requires=rival status=stop"}, func(h *house) {
		h.ok(h.s.Start("app", true))
		h.pass(10 * ms)
		h.is("db running, rival inactive, app blocked (waiting on: rival)")
	})
}

// TestConflicts: the first in order runs, the other says why and starts when the
// obstacle goes.
func TestConflicts(t *testing.T) {
	inHouse(t, []string{"a conflicts=b", "b"}, func(h *house) {
		h.did("spawn a")
		h.is("a running, b blocked (in conflict with: a)")
		h.ok(h.s.Stop("a"))
		h.pass(10 * ms)
		h.did("TERM a, spawn b")
		h.is("a exited (stopped), b running")
		h.refused(h.s.Start("a", false), InConflict, "a: it conflicts with b, which is running: stop b first")
		// What was told to stop is waited for.
		h.k.odds("b", reaptest.Odds{Deaf: 100})
		h.ok(h.s.Restart("b"))
		h.pass(3 * time.Second)
		h.ok(h.s.Stop("b"))
		h.ok(h.s.Start("a", false))
		h.pass(10 * ms)
		h.is("a blocked (in conflict with: b), b stopping (stop asked for)")
		h.pass(2 * time.Second)
		h.is("a running, b exited (stopped (killed by signal 9))")
	})
}

// TestConflictOutlastsACrash: a service that will be restarted keeps its rival
// out, one that is given up does not.
func TestConflictOutlastsACrash(t *testing.T) {
	inHouse(t, []string{"a conflicts=b max=1", "b"}, func(h *house) {
		h.k.take()
		h.k.ends(t, "a", reap.ExitCode(1))
		h.pass(300 * ms)
		h.did("spawn a")
		h.k.ends(t, "a", reap.ExitCode(1))
		h.pass(10 * ms)
		h.did("spawn b")
		h.is("a failed (exit code 1; given up after 1 restart), b running")
	})
}

func TestAfterIsOrderOnly(t *testing.T) {
	for _, tc := range []struct {
		name  string
		first string
		want  string
		spawn string
	}{
		{"runs", "first", "first running, then running", "spawn first, spawn then"},
		{"left down by boot", "first status=stop", "first inactive, then running", "spawn then"},
		{"ends at once", "first exec=/missing max=1", "first failed (spawn error: /missing: no such file), then running", "spawn then"},
		{"cannot start", "first requires=nobody", "first failed (missing dependency 'nobody'), then running", "spawn then"},
		{"does not exist", "other", "other running, then running", "spawn other, spawn then"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, []string{tc.first, "then after=first"}, func(h *house) {
				h.did(tc.spawn)
				h.is(tc.want)
			})
		})
	}
	t.Run("waits for what waits", func(t *testing.T) {
		sickHouse(t, []string{"slow health", "first requires=slow", "then after=first"}, func(h *house) {
			h.pass(100 * ms)
			h.is("slow starting (not yet), first blocked (waiting on: slow), then blocked (waiting on: first)")
			h.health("slow", "")
			h.pass(time.Second)
			h.is("slow running, first running, then running")
		})
	})
}

func TestAwaitsIsForTheStartAlone(t *testing.T) {
	inHouse(t, []string{"db", "web awaits=db", "late awaits=nobody", "later after=late"}, func(h *house) {
		h.did("spawn db, spawn later, spawn web")
		h.is("db running, web running, late blocked (waiting on: nobody), later running")
		// What is not there yet is waited for, and that is no failure.
		h.puts("nobody", "Added[nobody] Started[late nobody]")
		h.did("spawn nobody, spawn late")
		// A stop of what was waited for stops nothing else, nor does its removal.
		h.ok(h.s.Stop("db"))
		h.pass(10 * ms)
		h.did("TERM db")
		h.deletes("nobody", false, "Removed[nobody] Stopped[nobody]")
		h.did("TERM nobody")
		h.is("db exited (stopped), web running, late running, later running")
		h.ok(h.s.Restart("late"))
		h.pass(10 * ms)
		h.is("db exited (stopped), web running, late blocked (waiting on: nobody), later running")
	})
}

func TestTargets(t *testing.T) {
	inHouse(t, []string{"db", "web", "all target requires=db,web", "top requires=all"}, func(h *house) {
		h.is("db running, web running, all running, top running")
		h.k.take()
		h.ok(h.s.Stop("all"))
		h.pass(10 * ms)
		h.did("TERM top")
		h.is("db running, web running, all inactive, top blocked (waiting on: all)")
		h.ok(h.s.Start("all", false))
		h.pass(10 * ms)
		h.did("spawn top")
		h.ok(h.s.Stop("db"))
		h.pass(10 * ms)
		h.did("TERM top, TERM db")
		h.is("db exited (stopped), web running, all blocked (waiting on: db), top blocked (waiting on: all)")
		h.ok(h.s.Restart("all"))
		h.pass(10 * ms)
		h.is("db running, web running, all running, top running")
		h.k.take()
		h.ok(h.s.Restart("all"))
		h.pass(10 * ms)
		h.did("TERM top, spawn top")
	})
}

// TestStatusStopAndIgnore: boot leaves both down, both can be started by hand;
// ignore is never restarted.
func TestStatusStopAndIgnore(t *testing.T) {
	inHouse(t, []string{"stop status=stop", "ignore status=ignore restart=always", "needs requires=stop"}, func(h *house) {
		h.did("")
		h.is("stop inactive, ignore inactive, needs blocked (waiting on: stop)")
		h.ok(h.s.Start("stop", false))
		h.ok(h.s.Start("ignore", false))
		h.pass(10 * ms)
		h.is("stop running, ignore running, needs running")
		h.k.ends(t, "stop", reap.ExitCode(1))
		h.k.ends(t, "ignore", reap.ExitCode(1))
		h.pass(time.Minute)
		h.is("stop running, ignore failed (exit code 1), needs running")
	})
}

func TestOneshots(t *testing.T) {
	inHouse(t, []string{"setup oneshot", "web requires=setup"}, func(h *house) {
		h.did("spawn setup")
		h.is("setup running, web blocked (waiting on: setup)")
		h.k.ends(t, "setup", reap.ExitCode(0))
		h.pass(10 * ms)
		h.did("spawn web")
		// A start of what requires it does not run it again; its own start does.
		h.ok(h.s.Restart("web"))
		h.pass(10 * ms)
		h.did("TERM web, spawn web")
		// What runs on its account goes on while it is done once more, and goes
		// down when that fails.
		h.ok(h.s.Restart("setup"))
		h.pass(10 * ms)
		h.is("setup running, web running")
		h.k.ends(t, "setup", reap.ExitCode(3))
		h.pass(time.Minute)
		h.is("setup failed (exit code 3), web blocked (waiting on: setup)")
	})
	inHouse(t, []string{"setup oneshot restart=on-failure", "web requires=setup"}, func(h *house) {
		h.k.ends(t, "setup", reap.ExitCode(3))
		h.pass(300 * ms)
		h.is("setup running, web blocked (waiting on: setup)")
	})
}

func TestKillSendsOneSignal(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		h.k.take()
		h.ok(h.s.Kill("web", syscall.SIGHUP))
		h.pass(10 * ms)
		h.did("HUP web")
		h.is("web running")
		h.ok(h.s.Kill("web", syscall.SIGKILL))
		h.pass(10 * ms)
		h.is("web failed (killed by signal 9)")
		h.pass(time.Second)
		h.is("web running")
	})
}

// TestStopOfWhatDoesNotRun cancels a pending restart, and is no error.
func TestStopOfWhatDoesNotRun(t *testing.T) {
	inHouse(t, []string{"web", "idle status=stop"}, func(h *house) {
		h.k.ends(t, "web", reap.ExitCode(1))
		h.pass(10 * ms)
		h.k.take()
		h.ok(h.s.Stop("web"))
		h.ok(h.s.Stop("idle"))
		h.pass(time.Hour)
		h.did("")
		h.is("web inactive, idle inactive")
	})
}

// TestStartTakesAStopBack while what depends on it is still stopping, and a start
// during the stop comes after it.
func TestStartTakesAStopBack(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db"}, func(h *house) {
		h.k.odds("web", reaptest.Odds{MaxDying: 1, Deaf: 100})
		h.ok(h.s.Restart("web"))
		h.pass(3 * time.Second)
		h.k.take()
		h.ok(h.s.Stop("db"))
		h.pass(time.Second)
		h.ok(h.s.Start("db", false))
		h.pass(10 * time.Second)
		h.did("TERM web, KILL web, spawn web")
		h.is("db running, web running")
	})
	inHouse(t, []string{"db"}, func(h *house) {
		h.k.odds("db", reaptest.Odds{Deaf: 100})
		h.ok(h.s.Restart("db"))
		h.pass(3 * time.Second)
		h.k.take()
		h.ok(h.s.Stop("db"))
		h.pass(time.Second)
		h.ok(h.s.Start("db", false))
		h.pass(10 * time.Second)
		h.did("TERM db, KILL db, spawn db")
		h.is("db running")
	})
}
