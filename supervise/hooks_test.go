package supervise

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
	"zinit/supervise/config"
)

// hookEnds has the hook's command of a service end, and what follows happen.
func (h *house) hookEnds(service string, code int) {
	h.t.Helper()
	h.k.ends(h.t, service+hookSuffix, reap.ExitCode(code))
	h.pass(5 * ms)
}

func TestHooksRunOneAfterTheOther(t *testing.T) {
	inHouse(t, []string{"web pre=/a,-/b,/c post=/d stop=/e stop-post=/f", "proxy requires=web"}, func(h *house) {
		h.is("web starting, proxy blocked (waiting on: web)")
		h.hookEnds("web", 0)
		h.hookEnds("web", 7) // its failure does not count
		h.did("spawn web/hook /a, spawn web/hook /b, spawn web/hook /c")
		h.hookEnds("web", 0)
		h.did("spawn web, spawn web/hook /d")
		h.is("web starting, proxy blocked (waiting on: web)")
		h.hookEnds("web", 0)
		h.did("spawn proxy")
		h.is("web running, proxy running")
		h.ok(h.s.Stop("web"))
		h.pass(10 * ms)
		h.did("TERM proxy, spawn web/hook /e")
		h.hookEnds("web", 1) // nobody can do anything about that
		h.did("TERM web, spawn web/hook /f")
		h.is("web stopping (stop asked for), proxy blocked (waiting on: web)")
		h.hookEnds("web", 0)
		h.is("web exited (stopped), proxy blocked (waiting on: web)")
	})
}

func TestAFailedHookFailsTheStart(t *testing.T) {
	inHouse(t, []string{"web pre=/a,/b max=1"}, func(h *house) {
		h.hookEnds("web", 3)
		h.is("web failed (exec_start_pre failed: /a: exit code 3)")
		h.pass(200 * ms)
		h.hookEnds("web", 0)
		h.hookEnds("web", 4)
		h.did("spawn web/hook /a, spawn web/hook /a, spawn web/hook /b")
		h.is("web failed (exec_start_pre failed: /b: exit code 4; given up after 1 restart)")
	})
}

// A notebook has what is said in the logs of services.
type notebook struct {
	noLogs
	mu   sync.Mutex
	said []string // guarded by mu
}

func (n *notebook) Append(service, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, service+": "+text)
}

// TestAFailedHookIsSaidOnce in the log of its service, whether it decides anything or
// not.
func TestAFailedHookIsSaidOnce(t *testing.T) {
	for line, want := range map[string]string{
		"web pre=/a restart=never":       "web: exec_start_pre failed: /a: exit code 3",
		"web post=/a restart=never":      "web: exec_start_post failed: /a: exit code 3",
		"web stop=/a restart=never":      "web: exec_stop failed: /a: exit code 3",
		"web stop-post=/a restart=never": "web: exec_stop_post failed: /a: exit code 3",
	} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t, newPlayer())
			said := &notebook{}
			h.s.core.Logs = said
			h.boot(services(t, line), h.k.inventory())
			defer h.close()
			h.pass(10 * ms)
			if strings.Contains(line, "stop") {
				h.ok(h.s.Stop("web"))
				h.pass(10 * ms)
			}
			h.hookEnds("web", 3)
			h.pass(10 * ms)
			said.mu.Lock()
			defer said.mu.Unlock()
			if got := strings.Join(said.said, "; "); got != want {
				t.Errorf("%s: %q, want %q", line, got, want)
			}
		})
	}
}

func TestAHookThatHangsIsEnded(t *testing.T) {
	inHouse(t, []string{"web pre=/a hook-timeout=3s stop-post=/b"}, func(h *house) {
		h.pass(3 * time.Second)
		h.did("spawn web/hook /a, KILL web/hook, spawn web/hook /b")
		h.hookEnds("web", 0)
		h.is("web failed (exec_start_pre failed: /a: timed out after 3s)")
	})
	// One that nothing ends does not hold up anything for ever.
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.k.odds("web/hook", reaptest.Odds{Undead: 100})
		h.boot(services(t, "web pre=/a hook-timeout=3s stop-post=/b restart=never"), h.k.inventory())
		defer h.close()
		h.pass(3*time.Second + 4*time.Second)
		h.is("web stopping (exec_start_pre failed: /a: timed out after 3s)")
		h.pass(7 * time.Second)
		h.is("web failed (exec_start_pre failed: /a: timed out after 3s)")
		h.did("spawn web/hook /a, KILL web/hook")
	})
}

func TestAHookWithoutAProgramFails(t *testing.T) {
	inHouse(t, []string{"web pre=/missing restart=never", "log pre=-/missing"}, func(h *house) {
		h.is("web failed (exec_start_pre failed: /missing: /missing: no such file), log running")
	})
}

// TestAStopEndsTheHook: it is not waited for.
func TestAStopEndsTheHook(t *testing.T) {
	inHouse(t, []string{"web pre=/a", "log post=/b"}, func(h *house) {
		h.k.take()
		h.ok(h.s.Stop("web"))
		h.ok(h.s.Stop("log"))
		h.pass(10 * ms)
		h.did("KILL web/hook, KILL log/hook, TERM log")
		h.is("web inactive, log exited (stopped)")
		h.ok(h.s.Start("web", false))
		h.pass(10 * ms)
		h.did("spawn web/hook /a")
	})
}

// TestHooksKnowTheRun: MAINPID while there is a main process, how it ended after it.
func TestHooksKnowTheRun(t *testing.T) {
	inHouse(t, []string{"web post=/a stop-post=/b"}, func(h *house) {
		env := func() string {
			h.k.mu.Lock()
			defer h.k.mu.Unlock()
			spec := h.k.specs["web/hook"]
			if !spec.Guest || !spec.Group {
				t.Errorf("a hook is no guest: %+v", spec)
			}
			return strings.Join(spec.Env, " ")
		}
		if got, want := env(), "MAINPID="; !strings.HasPrefix(got, want) || got == want+"0" {
			t.Errorf("exec_start_post gets %q", got)
		}
		h.hookEnds("web", 0)
		h.k.ends(t, "web", reap.ExitCode(3))
		h.pass(10 * ms)
		if got, want := env(), "SERVICE_RESULT=exit-code EXIT_CODE=exited EXIT_STATUS=3"; got != want {
			t.Errorf("exec_stop_post gets %q, want %q", got, want)
		}
		h.hookEnds("web", 0)
		h.pass(200 * ms)
		h.hookEnds("web", 0)
		h.ok(h.s.Stop("web"))
		h.pass(10 * ms)
		if got, want := env(), "SERVICE_RESULT=success EXIT_CODE=killed EXIT_STATUS=TERM"; got != want {
			t.Errorf("exec_stop_post gets %q, want %q", got, want)
		}
	})
}

func TestReloadBySignalAndByHook(t *testing.T) {
	inHouse(t, []string{"web", "db reload=/r", "off status=stop", "all target", "one remain"}, func(h *house) {
		h.k.ends(t, "one", reap.ExitCode(0))
		h.pass(10 * ms)
		h.k.take()
		h.ok(h.s.SignalReload("web"))
		h.ok(h.s.SignalReload("db"))
		h.pass(10 * ms)
		h.did("HUP web, spawn db/hook /r")
		h.refused(h.s.SignalReload("db"), NotRunning, "db: exec_reload runs already: wait until it has ended")
		h.hookEnds("db", 1)
		h.ok(h.s.SignalReload("db"))
		h.hookEnds("db", 0)
		h.refused(h.s.SignalReload("off"), NotRunning, "off: it is inactive, and only what is running can be reloaded: start it")
		h.refused(h.s.SignalReload("all"), IsTarget, "all: it is a target and has no process: reload one of its services")
		h.refused(h.s.SignalReload("one"), NotRunning, "one: it has no process that could be reloaded: give it exec_reload")
		h.refused(h.s.SignalReload("none"), NotFound, "service not found: none")
	})
}

func TestForkingComesUpByItsPidFile(t *testing.T) {
	inHouse(t, []string{"web forking", "proxy requires=web"}, func(h *house) {
		h.is("web starting, proxy blocked (waiting on: web)")
		h.forks("web")
		h.did("spawn web, watch web, spawn proxy")
		h.is("web running, proxy running")
		pid := h.clinic.pids["web"]
		if v := h.s.Snapshot().Find("web"); v.Pid != pid {
			t.Errorf("its pid is %d, the daemon's is %d", v.Pid, pid)
		}
		h.k.ends(t, "web", reap.ExitCode(1)) // the daemon
		h.pass(10 * ms)
		h.is("web failed (exit code 1), proxy running")
		h.pass(200 * ms)
		h.k.ends(t, "web", reap.ExitCode(0)) // the pid file is of the run before
		h.pass(10 * ms)
		h.is("web failed (no main process: pid " + strconv.Itoa(pid) + " is no process of web), proxy running")
	})
}

// forks has the first process of a forking service leave a daemon, and end.
func (h *house) forks(name string) {
	h.t.Helper()
	h.k.with(func(s *reaptest.Sim) { h.pidFile(name, s.Fork(name)) })
	h.k.ends(h.t, name, reap.ExitCode(0))
	h.pass(10 * ms)
}

func TestForkingWithoutAPidFileFails(t *testing.T) {
	inHouse(t, []string{"web forking restart=never"}, func(h *house) {
		h.k.ends(t, "web", reap.ExitCode(0))
		h.pass(10 * ms)
		h.is("web failed (no main process: there is no pid file)")
	})
}

func TestNotifySaysWhenItIsReady(t *testing.T) {
	inHouse(t, []string{"web notify watchdog=5s restart=on-abnormal", "proxy requires=web"}, func(h *house) {
		h.is("web starting, proxy blocked (waiting on: web)")
		status := "loading"
		h.s.Notify("web", Notice{Status: &status})
		h.s.Notify("web", Notice{Ready: true, Run: 7}) // another run
		h.s.Notify("nobody", Notice{Ready: true})
		h.pass(10 * ms)
		h.is("web starting, proxy blocked (waiting on: web)")
		if v := h.s.Snapshot().Find("web"); v.Status != "loading" || v.Phase != "not ready yet" {
			t.Errorf("it is shown as %q, %q", v.Status, v.Phase)
		}
		h.s.Notify("web", Notice{Ready: true})
		h.pass(10 * ms)
		h.is("web running, proxy running")
		h.k.take()
		for range 3 {
			h.pass(4 * time.Second)
			h.s.Notify("web", Notice{Alive: true})
		}
		h.did("")
		h.pass(5 * time.Second)
		h.k.with(func(s *reaptest.Sim) { s.End("web", reap.KilledBy(6)) })
		h.pass(10 * ms)
		h.did("ABRT web")
		h.is("web failed (watchdog: no sign of life for 5s), proxy running")
		h.pass(200 * ms)
		if v := h.s.Snapshot().Find("web"); v.Status != "" {
			t.Errorf("a new run says %q", v.Status)
		}
		h.k.mu.Lock()
		defer h.k.mu.Unlock()
		if env := h.k.specs["web"].Env; !slices.Equal(env, []string{"WATCHDOG_USEC=5000000"}) {
			t.Errorf("it is told %q", env)
		}
	})
}

// TestMainPIDOutlivesTheEndOfTheFirst: a process that names another one as the main
// one and ends is no end of the service, whatever is heard first.
func TestMainPIDOutlivesTheEndOfTheFirst(t *testing.T) {
	for _, known := range []bool{true, false} {
		inHouse(t, []string{"web notify restart=never"}, func(h *house) {
			pid := 4711
			h.k.with(func(s *reaptest.Sim) {
				if known {
					pid = s.Fork("web")
				}
			})
			h.s.Notify("web", Notice{Ready: true, MainPID: pid})
			h.k.ends(t, "web", reap.ExitCode(0))
			h.pass(10 * ms)
			if known {
				h.is("web running")
				h.k.ends(t, "web", reap.ExitCode(2))
				h.pass(10 * ms)
				h.is("web failed (exit code 2)")
			} else {
				h.is("web exited (exit code 0)")
			}
		})
	}
}

// TestWhoComesAfterTheEndIsNotTheMainProcess: of a run that is on its way down
// nobody becomes the main process any more, and it ends.
func TestWhoComesAfterTheEndIsNotTheMainProcess(t *testing.T) {
	b := newBench()
	b.boot(services(t, "web notify"))
	b.c.notified("web", Notice{Ready: true})
	b.c.keeperEvent(reap.Exited{Key: "web", Run: 1, Lingers: true})
	b.c.notified("web", Notice{MainPID: 4711})
	r := b.c.byName["web"]
	if r.m.State.String() != "stopping" || r.watch.asked != 0 {
		t.Fatalf("it is %s, and %d processes are to be watched", r.m.State, r.watch.asked)
	}
	b.c.keeperEvent(reap.GroupGone{Key: "web", Run: 1})
	if r.m.State.String() != "exited" {
		t.Errorf("it is %s", r.m.State)
	}
}

func TestOnlyTheMainProcessMaySpeak(t *testing.T) {
	only := services(t, "web notify")
	only.Services[0].NotifyAccess = config.NotifyMain
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.boot(only, h.k.inventory())
		defer h.close()
		h.pass(10 * ms)
		h.s.Notify("web", Notice{Ready: true, Pid: 1})
		h.pass(10 * ms)
		h.is("web starting")
		h.s.Notify("web", Notice{Ready: true, Pid: h.s.Snapshot().Find("web").Pid})
		h.pass(10 * ms)
		h.is("web running")
	})
}

// Who that is may be told later than what it, or another one, says.
func TestOnlyTheMainProcessMaySpeakBeforeItIsKnown(t *testing.T) {
	for pid, want := range map[int]string{4711: "starting", 12: "running"} {
		only := services(t, "web notify")
		only.Services[0].NotifyAccess = config.NotifyMain
		b := newBench()
		b.boot(only)
		r := b.c.byName["web"]
		run := uint64(r.m.Run())
		r.pid = 0
		b.c.notified("web", Notice{Ready: true, Pid: pid})
		if got := r.m.State.String(); got != "starting" {
			t.Errorf("before it is known it is %s", got)
		}
		b.c.keeperEvent(reap.Spawned{Key: "web", Run: run, Pid: 12})
		if got := r.m.State.String(); got != want || len(b.c.early) != 0 {
			t.Errorf("by the word of %d it is %s, want %s; %v waits", pid, got, want, b.c.early)
		}
	}
}

// TestAnEarlierRunLeavesNobodyUnheard, whatever was said of which nobody knew whether it
// was the main process.
func TestAnEarlierRunLeavesNobodyUnheard(t *testing.T) {
	only := services(t, "web notify")
	only.Services[0].NotifyAccess = config.NotifyMain
	b := newBench()
	b.boot(only)
	r := b.c.byName["web"]
	r.pid = 0
	for range maxEarly {
		b.c.notified("web", Notice{Alive: true, Pid: 4711})
	}
	b.c.keeperEvent(reap.Exited{Key: "web", Run: uint64(r.m.Run()), Status: reap.ExitCode(1)})
	if err := b.c.start("web", false); err != nil {
		t.Fatal(err)
	}
	b.c.turn()
	r.pid = 0
	b.c.notified("web", Notice{Ready: true, Pid: 12})
	b.c.keeperEvent(reap.Spawned{Key: "web", Run: uint64(r.m.Run()), Pid: 12})
	if got := r.m.State.String(); got != "running" || r.m.Run() != 2 {
		t.Errorf("run %d, whose word nobody else may have, is %s", r.m.Run(), got)
	}
	r.pid = 0
	b.c.notified("web", Notice{Alive: true, Pid: 4711})
	b.k.events = append(b.k.events[:0], reap.Exited{Key: "web", Run: 2, Status: reap.ExitCode(0)})
	if _, err := b.c.reload(Change{Set: services(t, "other")}); err != nil {
		t.Fatal(err)
	}
	b.c.turn()
	b.deliver()
	if len(b.c.early) != 0 || b.c.byName["web"] != nil {
		t.Errorf("of a service that is gone waits %v", b.c.early)
	}
}

// TestEarsThatCannotBeOpened fail the start.
func TestEarsThatCannotBeOpened(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.s.core.Ears = deaf{}
		h.boot(services(t, "web notify restart=never", "log"), h.k.inventory())
		defer h.close()
		h.pass(10 * ms)
		h.is("web failed (spawn error: no room for a socket), log running")
	})
}

type deaf struct{}

func (deaf) Open(*config.Service, uint64) (Voice, error) {
	return Voice{}, errors.New("no room for a socket")
}
func (deaf) Close(string)                {}
func (deaf) Drain(_ string, done func()) { done() }

func TestARemainingOneshot(t *testing.T) {
	inHouse(t, []string{"net remain stop=/down", "web requires=net"}, func(h *house) {
		h.is("net running, web blocked (waiting on: net)")
		h.k.ends(t, "net", reap.ExitCode(0))
		h.pass(10 * ms)
		h.is("net running, web running")
		if v := h.s.Snapshot().Find("net"); v.Pid != 0 || v.Phase != "its work is done" {
			t.Errorf("it is shown with pid %d, %q", v.Pid, v.Phase)
		}
		h.refused(h.s.Kill("net", 15), NotRunning, "service not running: net")
		h.k.take()
		h.ok(h.s.Stop("net"))
		h.pass(10 * ms)
		h.did("TERM web, spawn net/hook /down")
		h.hookEnds("net", 0)
		h.is("net exited (stopped), web blocked (waiting on: net)")
	})
}

func TestOutOfMemoryIsNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.s.core.OOM = func(service string, run uint64) bool { return service == "web" && run == 1 }
		h.boot(services(t, "web", "log"), h.k.inventory())
		defer h.close()
		h.pass(10 * ms)
		h.k.ends(t, "web", reap.KilledBy(9))
		h.k.ends(t, "log", reap.KilledBy(9))
		h.pass(10 * ms)
		h.is("web failed (killed: out of memory), log failed (killed by signal 9)")
	})
}

// TestTheKeeperGoesWhileHooksRun: nothing waits for what nobody can do any more.
func TestTheKeeperGoesWhileHooksRun(t *testing.T) {
	inHouse(t, []string{"web pre=/a stop-post=/b", "one remain stop=/c", "fork forking"}, func(h *house) {
		h.k.ends(t, "one", reap.ExitCode(0))
		h.pass(10 * ms)
		h.k.events <- []reap.Event{reap.KeeperLost{}}
		if err := <-h.ended; !errors.Is(err, ErrKeeperLost) {
			t.Errorf("the loop ended with: %v", err)
		}
	})
}
