package supervise

import (
	"strings"
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
)

// dies ends the server as kill -9 does, and boots another one on what the keeper
// has.
func (h *house) dies(lines ...string) *house {
	h.t.Helper()
	h.k.close()
	<-h.s.Done()
	k := playOn(h.k.sim)
	next := newHouse(h.t, k)
	next.boot(services(h.t, lines...), k.inventory())
	h.k, h.s, h.clinic, h.ended = k, next.s, next.clinic, next.ended
	h.pass(50 * ms)
	return h
}

func TestANewServerAdopts(t *testing.T) {
	lines := []string{"web requires=db", "db", "idle status=stop", "off status=stop"}
	inHouse(t, lines, func(h *house) {
		h.ok(h.s.Start("idle", false))
		h.pass(10 * ms)
		was := h.s.Snapshot().Find("web")
		h.k.take()
		h.dies(lines...)
		h.did("")
		h.is("web running, db running, idle running, off inactive")
		if is := h.s.Snapshot().Find("web"); is.Pid != was.Pid || is.Run != was.Run || is.Pid == 0 {
			t.Errorf("web has pid %d and run %d; it was %d and %d", is.Pid, is.Run, was.Pid, was.Run)
		}
		// It is supervised like before.
		h.k.ends(t, "db", reap.ExitCode(1))
		h.pass(300 * ms)
		h.did("spawn db")
		h.ok(h.s.Stop("db"))
		h.pass(10 * ms)
		h.did("TERM web, TERM db")
	})
}

// TestEndsThatNobodySaw: a oneshot that ended well has done its work; others start
// as at a boot.
func TestEndsThatNobodySaw(t *testing.T) {
	lines := []string{"web requires=setup", "setup oneshot", "crashed", "broke oneshot"}
	inHouse(t, lines, func(h *house) {
		h.k.ends(t, "setup", reap.ExitCode(0))
		h.pass(50 * ms)
		h.is("web running, setup exited (exit code 0), crashed running, broke running")
		h.k.take()
		// These end while no server is there.
		h.k.close()
		<-h.s.Done()
		for _, key := range []string{"crashed", "broke"} {
			h.k.sim.Now = time.Now()
			h.k.sim.End(key, reap.ExitCode(2))
			h.k.sim.Take()
		}
		h.k = playOn(h.k.sim)
		h.dies(lines...)
		h.did("spawn broke, spawn crashed")
		h.is("web running, setup exited (exit code 0), crashed running, broke running")
	})
}

// TestALingeringGroupIsAdopted: the next run waits until it is gone.
func TestALingeringGroupIsAdopted(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		h.k.odds("web", reaptest.Odds{Lingers: 100, Undead: 100})
		h.ok(h.s.Restart("web"))
		h.pass(10 * ms)
		h.k.ends(t, "web", reap.ExitCode(3))
		h.pass(10 * ms)
		h.is("web stopping (exit code 3)")
		h.k.take()
		h.dies("web")
		h.did("KILL web")
		h.is("web stopping (exit code 3)")
		h.pass(time.Minute)
		if did := h.k.take(); strings.Contains(did, "spawn") {
			t.Errorf("a new run beside the old group: %s", did)
		}
	})
}

// TestAProbeIsAdopted: its result counts; it is no failure that it is still there.
func TestAProbeIsAdopted(t *testing.T) {
	inHouse(t, []string{"web probe"}, func(h *house) {
		h.k.ends(t, "web/health", reap.ExitCode(0))
		h.pass(1010 * ms)
		h.k.take()
		h.dies("web probe")
		h.did("")
		h.k.ends(t, "web/health", reap.ExitCode(1))
		h.pass(1010 * ms)
		h.did("spawn web/health")
		h.k.ends(t, "web/health", reap.ExitCode(0))
		h.pass(1010 * ms)
		h.did("spawn web/health")
		h.is("web running")
		h.k.ends(t, "web/health", reap.ExitCode(1))
		h.pass(1010 * ms)
		h.did("spawn web/health")
		h.k.ends(t, "web/health", reap.ExitCode(1))
		h.pass(10 * ms)
		h.is("web failed (health check failed after 2 attempts: the check ended with exit code 1)")
	})
	inHouse(t, []string{"web probe"}, func(h *house) {
		h.k.ends(t, "web/health", reap.ExitCode(0))
		h.pass(1010 * ms)
		h.dies("web probe")
		h.k.ends(t, "web/health", reap.ExitCode(0))
		h.pass(1010 * ms)
		h.k.ends(t, "web/health", reap.ExitCode(1))
		h.pass(10 * ms)
		h.is("web running") // one failure: that there was a check under way is none
	})
	inHouse(t, []string{"web probe"}, func(h *house) {
		h.k.take()
		h.dies("web") // the check was dropped while no server was there
		h.did("KILL web/health")
		h.is("web running")
	})
}

// TestStrangers: what was removed, or made a target, while no server was there is
// stopped as after a reload.
func TestStrangers(t *testing.T) {
	inHouse(t, []string{"web", "old"}, func(h *house) {
		h.k.odds("old", reaptest.Odds{Deaf: 100})
		h.ok(h.s.Restart("old"))
		h.pass(3 * time.Second)
		h.k.take()
		h.dies("web")
		h.pass(9 * time.Second)
		h.did("TERM old")
		h.refused(h.s.Start("old", false), NotFound, "service not found: old")
		h.pass(2 * time.Second)
		h.did("KILL old")
		h.is("web running")
		_, err := h.reload("web", "old")
		h.ok(err)
		h.pass(10 * ms)
		h.is("web running, old running")
	})
	inHouse(t, []string{"web"}, func(h *house) {
		h.k.take()
		h.dies("web target")
		h.did("TERM web")
		h.is("web failed (web.toml makes a target of it while its process runs: stop it and reload)")
		_, err := h.reload("web target")
		h.ok(err)
		h.is("web running")
	})
}

// TestAdoptedRivals: the files say since the last server that they are in conflict.
func TestAdoptedRivals(t *testing.T) {
	inHouse(t, []string{"a", "b"}, func(h *house) {
		h.k.take()
		h.dies("a", "b conflicts=a")
		h.did("TERM b")
		h.is("a running, b blocked (in conflict with: a)")
	})
}

// TestAServerThatStartsInAShutdown stops what is left, in order, and starts
// nothing.
func TestAServerThatStartsInAShutdown(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db", "crashed"}, func(h *house) {
		h.k.ends(t, "crashed", reap.ExitCode(1))
		h.pass(10 * ms)
		h.k.take()
		h.k.close()
		<-h.s.Done()
		h.k.sim.Draining()
		h.k = playOn(h.k.sim)
		h.dies("db", "web requires=db", "crashed", "new")
		if err := <-h.ended; err != nil {
			t.Errorf("the loop ended with: %v", err)
		}
		h.did("draining, TERM web, TERM db")
	})
}

// TestRunNumbersOutliveTheServer: the keeper refuses a number at or below one it
// has seen, for services that come back after years too.
func TestRunNumbersOutliveTheServer(t *testing.T) {
	inHouse(t, []string{"a", "b"}, func(h *house) {
		for range 3 {
			h.ok(h.s.Restart("a"))
			h.pass(10 * ms)
		}
		_, err := h.reload("b")
		h.ok(err)
		h.pass(10 * ms)
		h.dies("b")
		_, err = h.reload("a", "b")
		h.ok(err)
		h.pass(10 * ms)
		h.is("b running, a running")
		if run := h.s.Snapshot().Find("a").Run; run != 5 {
			t.Errorf("a has run %d", run)
		}
	})
}
