package supervise

import (
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
)

// TestHooksGoOnUnderAnotherServer: the command that runs is waited for, what ended
// meanwhile has its result, and none runs twice.
func TestHooksGoOnUnderAnotherServer(t *testing.T) {
	lines := []string{"web pre=/a,/b stop=/c stop-post=/d hook-timeout=10s", "db pre=/a restart=never hook-timeout=3s"}
	bubble(t, func(t *testing.T) {
		h := remembering(t)
		h.boot(services(t, lines...), h.k.inventory())
		h.pass(10 * ms)
		h.did("spawn db/hook /a, spawn web/hook /a")
		h = h.succeed(t, lines...)
		h.did("")
		h.is("web starting, db starting")
		h.hookEnds("web", 0)
		h.did("spawn web/hook /b")
		// Its end comes while no server is there.
		h.s.Leave()
		<-h.s.Done()
		h.k.ends(t, "web/hook", reap.ExitCode(0))
		h.pass(10 * ms)
		h = h.succeed(t, lines...)
		h.did("spawn web")
		h.is("web running, db starting")
		h.pass(3 * time.Second)
		h.did("KILL db/hook") // the time limit is the one it had
		h.is("web running, db failed (exec_start_pre failed: /a: timed out after 3s)")
		h.ok(h.s.Stop("web"))
		h.pass(10 * ms)
		h = h.succeed(t, lines...)
		h.did("")
		h.hookEnds("web", 0)
		h.did("TERM web, spawn web/hook /d")
		h = h.succeed(t, lines...)
		h.hookEnds("web", 0)
		h.is("web exited (stopped), db failed (exec_start_pre failed: /a: timed out after 3s)")
		h.close()
	})
}

// TestWhatIsLookedForIsLookedForAgain by the server that takes over.
func TestWhatIsLookedForIsLookedForAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := remembering(t)
		h.boot(services(t, "web forking"), h.k.inventory())
		h.pass(10 * ms)
		h.k.with(func(s *reaptest.Sim) { h.pidFile("web", s.Fork("web")) })
		h.k.ends(t, "web", reap.ExitCode(0))
		h.s.Leave()
		<-h.s.Done()
		h.pass(10 * ms)
		h = h.succeed(t, "web forking")
		h.is("web running")
		pid := h.s.Snapshot().Find("web").Pid
		h = h.succeed(t, "web forking")
		h.is("web running")
		if v := h.s.Snapshot().Find("web"); v.Pid != pid || pid != h.clinic.pids["web"] {
			t.Errorf("its pid is %d, it was %d, the pid file says %d", v.Pid, pid, h.clinic.pids["web"])
		}
		h.k.ends(t, "web", reap.ExitCode(4))
		h.pass(10 * ms)
		h.is("web failed (exit code 4)")
		h.close()
	})
}

// TestAGuessIsMadeAgain: the one that was left may have been on its way out, and leave
// the daemon. That is found out by the next server, too; and only soon.
func TestAGuessIsMadeAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := remembering(t)
		h.guessed = true
		h.boot(services(t, "web forking restart=never"), h.k.inventory())
		h.pass(10 * ms)
		forks := func() (pid int) {
			h.k.with(func(s *reaptest.Sim) { pid = s.Fork("web") })
			h.pidFile("web", pid)
			return pid
		}
		is := func(pid int) {
			t.Helper()
			h.is("web running")
			if v := h.s.Snapshot().Find("web"); v.Pid != pid || v.Run != 1 {
				t.Errorf("its pid is %d in run %d, want %d", v.Pid, v.Run, pid)
			}
		}
		first := forks()
		h.k.ends(t, "web", reap.ExitCode(0))
		h.pass(10 * ms)
		is(first)
		second := forks()
		h.k.ends(t, "web", reap.ExitCode(0))
		h.pass(10 * ms)
		is(second)
		third := forks()
		h.s.Leave()
		<-h.s.Done()
		h.k.ends(t, "web", reap.ExitCode(0))
		h.pass(10 * ms)
		h = h.succeed(t, "web forking restart=never")
		is(third)
		// When nobody else is left that was its end.
		delete(h.clinic.pids, "web")
		h.k.ends(t, "web", reap.ExitCode(0))
		h.pass(10 * ms)
		h.is("web exited (exit code 0)")
		h.ok(h.s.Start("web", false))
		h.pass(10 * ms)
		forks()
		h.k.ends(t, "web", reap.ExitCode(0))
		h.pass(11 * time.Second)
		forks()
		h.k.ends(t, "web", reap.ExitCode(0))
		h.pass(10 * ms)
		h.is("web exited (exit code 0)")
		h.close()
	})
}

// TestAWatchdogGetsAWholePeriod from the server that takes over, and what the
// service has said about itself is kept.
func TestAWatchdogGetsAWholePeriod(t *testing.T) {
	lines := []string{"web notify watchdog=5s", "one remain"}
	bubble(t, func(t *testing.T) {
		h := remembering(t)
		h.boot(services(t, lines...), h.k.inventory())
		h.pass(10 * ms)
		status := "serving"
		h.s.Notify("web", Notice{Ready: true, Status: &status})
		h.k.ends(t, "one", reap.ExitCode(0))
		h.pass(4 * time.Second)
		h = h.succeed(t, lines...)
		h.is("web running, one running")
		if v := h.s.Snapshot().Find("web"); v.Status != "serving" {
			t.Errorf("it says %q", v.Status)
		}
		h.k.take()
		h.pass(4900 * ms)
		h.did("")
		h.pass(200 * ms)
		h.did("ABRT web")
		h.close()
	})
}
