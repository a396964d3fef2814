package supervise

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// timers puts into words what the timers say, with moments from the beginning on.
func (h *house) timers() string {
	var words []string
	for _, t := range h.s.Timers() {
		text := t.Name + ": " + t.Result
		if !t.Last.IsZero() {
			text += ", last " + t.Last.Sub(h.begun).Round(time.Second).String()
		}
		if !t.Next.IsZero() {
			text += ", next " + t.Next.Sub(h.begun).Round(time.Second).String()
		}
		if t.Skipped > 0 {
			text += fmt.Sprintf(", left out %d", t.Skipped)
		}
		if t.Off {
			text += ", off"
		}
		words = append(words, text)
	}
	return strings.Join(words, "; ")
}

func (h *house) timersAre(want string) {
	h.t.Helper()
	if got := h.timers(); got != want {
		h.t.Errorf("after %s:\n the timers are %s\n          want %s", time.Since(h.begun), got, want)
	}
}

func TestATimerStartsItsService(t *testing.T) {
	inHouse(t, []string{"tidy oneshot every=1m", "soon oneshot on-boot=10s", "late oneshot every=1m status=stop", "web"}, func(h *house) {
		h.did("spawn web")
		h.timersAre("soon: inactive, next 10s; tidy: inactive, next 1m0s")
		h.pass(11 * time.Second)
		h.k.ends(t, "soon", reap.ExitCode(3))
		h.pass(50 * time.Second)
		h.did("spawn soon, spawn tidy")
		h.timersAre("tidy: running, last 1m0s, next 2m0s; soon: exit code 3, last 10s")
		// It has not ended yet: never two runs at once.
		h.pass(60 * time.Second)
		h.did("")
		h.timersAre("tidy: running, last 1m0s, next 3m0s, left out 1; soon: exit code 3, last 10s")
		h.k.ends(t, "tidy", reap.ExitCode(0))
		h.pass(60 * time.Second)
		h.did("spawn tidy")
	})
}

// TestStoppedByHandItsTimerRests until it is started by hand.
func TestStoppedByHandItsTimerRests(t *testing.T) {
	inHouse(t, []string{"tidy oneshot every=1m"}, func(h *house) {
		h.ok(h.s.Stop("tidy"))
		h.pass(10 * time.Minute)
		h.did("")
		h.timersAre("tidy: inactive, off")
		h.ok(h.s.Start("tidy", false))
		h.pass(10 * ms)
		h.k.ends(t, "tidy", reap.ExitCode(0))
		h.pass(time.Minute)
		h.did("spawn tidy, spawn tidy")
		h.timersAre("tidy: running, last 11m0s, next 12m0s")
	})
}

func TestAReloadChangesATimer(t *testing.T) {
	inHouse(t, []string{"tidy oneshot every=1h", "web"}, func(h *house) {
		_, err := h.reload("tidy oneshot every=1m", "web every=10s")
		h.ok(err)
		h.pass(61 * time.Second)
		h.did("spawn web, spawn tidy")
		h.timersAre("web: running, next 1m10s, left out 6; tidy: running, last 1m0s, next 2m0s")
		_, err = h.reload("tidy oneshot", "web")
		h.ok(err)
		h.timersAre("")
	})
}

// TestAReloadOfSomethingElseLeavesATimerAlone: it goes on from where it was, and with
// another pause from the last start.
func TestAReloadOfSomethingElseLeavesATimerAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.s.core.Random = fixed(7 * time.Second)
		h.boot(services(t, "a oneshot every=1h", "b oneshot every=1m jitter=10s", "c oneshot on-boot=10m jitter=10s"), h.k.inventory())
		defer h.close()
		h.pass(10*time.Minute + 3*time.Second)
		h.k.ends(t, "b", reap.ExitCode(0))
		h.pass(10 * ms)
		h.timersAre("b: exit code 0, last 1m7s, next 10m7s, left out 8; c: inactive, next 10m7s; a: inactive, next 1h0m0s")
		_, err := h.reload("a oneshot every=1h stop-timeout=5s", "b oneshot every=1m jitter=10s stop-timeout=5s", "c oneshot on-boot=10m jitter=10s stop-timeout=5s")
		h.ok(err)
		h.timersAre("b: exit code 0, last 1m7s, next 10m7s, left out 8; c: inactive, next 10m7s; a: inactive, next 1h0m0s")
		_, err = h.reload("a oneshot every=30m", "b oneshot every=5m jitter=10s")
		h.ok(err)
		h.timersAre("b: exit code 0, last 1m7s, next 14m7s, left out 8; a: inactive, next 30m0s")
		_, err = h.reload("a oneshot every=5m", "b oneshot every=5m jitter=10s")
		h.ok(err)
		h.pass(10 * ms)
		h.timersAre("b: exit code 0, last 1m7s, next 14m7s, left out 8; a: running, last 10m3s, next 15m3s")
	})
}

// fixed is a source of random numbers without a surprise.
type fixed int64

func (f fixed) Int64N(n int64) int64 { return int64(f) % n }

// stamps is what a persistent timer knows of the time before the boot.
type stamps map[string]time.Time

func (s stamps) Last(service string) time.Time            { return s[service] }
func (s stamps) Started(service string, moment time.Time) { s[service] = moment }

func TestJitterAndPersistence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.s.core.Random = fixed(7 * time.Second)
		known := stamps{"often": h.begun.Add(-50 * time.Second), "missed": h.begun.Add(-time.Hour), "forgets": h.begun.Add(-time.Hour)}
		h.s.core.Stamps = known
		h.boot(services(t, "often oneshot every=1m persistent", "missed oneshot every=10m persistent", "forgets oneshot every=10m", "late oneshot every=1m jitter=10s"), h.k.inventory())
		defer h.close()
		h.timersAre("often: inactive, last -50s, next 10s; late: inactive, next 1m7s; forgets: inactive, next 10m0s; missed: starting, last 0s, next 10m0s")
		h.pass(68 * time.Second)
		h.did("spawn missed, spawn often, spawn late")
		if got := known["missed"].Sub(h.begun).Round(time.Second); got != 0 {
			t.Errorf("what is remembered for the next boot is %s", got)
		}
	})
}

// calendar is a core whose wall clock is in the test's hands.
func calendar(t *testing.T, persistent bool) (c *core, k *planner, wall *time.Time) {
	t.Helper()
	cal, err := config.ParseCalendar("0 3 * * *")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 5, 1, 1, 0, 0, 0, time.UTC)
	wall = &start
	k = &planner{Sim: reaptest.New(1, reaptest.Odds{}, start)}
	c = newCore(Parts{
		Keeper: k, Logs: noLogs{}, Log: slog.New(slog.DiscardHandler), Wall: func() time.Time { return *wall },
	})
	c.now = start
	set := services(t, "tidy oneshot every=1h")
	set.Services[0].Timer = &config.Timer{Calendar: cal, Persistent: persistent}
	c.load(set, k.Inventory())
	return c, k, wall
}

// TestTheWallClockJumps a year both ways: calendars follow it, nothing else does.
func TestTheWallClockJumps(t *testing.T) {
	year := 365 * 24 * time.Hour
	for _, tc := range []struct {
		name       string
		persistent bool
		jump       time.Duration
		next       string // after the jump
		runs       uint64
	}{
		{"on", false, year, "2027-05-01 03:00", 0},
		{"back", false, -year, "2025-05-01 03:00", 0},
		{"over a date", false, 3 * time.Hour, "2026-05-02 03:00", 0},
		{"over a date, persistent, never run", true, 3 * time.Hour, "2026-05-02 03:00", 0},
	} {
		c, _, wall := calendar(t, tc.persistent)
		r := c.byName["tidy"]
		if got := c.nextWake().Sub(c.now); got != 2*time.Hour {
			t.Errorf("%s: it wakes up in %s", tc.name, got)
		}
		*wall = wall.Add(tc.jump)
		c.clockSet()
		c.turn()
		if got := r.timer.calendar.Format("2006-01-02 15:04"); got != tc.next || uint64(r.m.Last) != tc.runs {
			t.Errorf("%s: next %s, run %d", tc.name, got, r.m.Last)
		}
		if at := c.nextWake(); at.IsZero() || at.Sub(c.now) > 24*time.Hour {
			t.Errorf("%s: it wakes up at %s", tc.name, at)
		}
	}
	// What a persistent one has missed since it last ran is made up for, once.
	c, _, wall := calendar(t, true)
	r := c.byName["tidy"]
	r.timer.last = *wall
	*wall = wall.Add(50 * time.Hour)
	c.clockSet()
	c.turn()
	if r.m.Last != 1 {
		t.Errorf("a persistent timer has made up for %d of three starts", r.m.Last)
	}
	if got := r.timer.calendar.Format("2006-01-02 15:04"); got != "2026-05-04 03:00" {
		t.Errorf("and goes on at %s", got)
	}
	// Nobody says that the clock was put back: at the old moment it is too early.
	c, _, wall = calendar(t, false)
	c.now = c.now.Add(2 * time.Hour)
	*wall = wall.Add(time.Hour)
	c.turn()
	if r := c.byName["tidy"]; r.m.Last != 0 || c.nextWake().Sub(c.now) != time.Hour {
		t.Errorf("run %d, the next wake is in %s", r.m.Last, c.nextWake().Sub(c.now))
	}
	c.now = c.now.Add(time.Hour)
	*wall = wall.Add(time.Hour)
	c.turn()
	if r := c.byName["tidy"]; r.m.Last != 1 {
		t.Errorf("at its time: run %d", r.m.Last)
	}
}

// TestATimerOutlivesTheServer: the next start comes when it would have come.
func TestATimerOutlivesTheServer(t *testing.T) {
	lines := []string{"tidy oneshot every=1m", "soon oneshot on-boot=90s", "off oneshot every=1m"}
	bubble(t, func(t *testing.T) {
		h := remembering(t)
		h.boot(services(t, lines...), h.k.inventory())
		h.ok(h.s.Stop("off"))
		h.pass(61 * time.Second)
		h.k.ends(t, "tidy", reap.ExitCode(0))
		h.pass(10 * ms)
		g := h.succeed(t, lines...)
		g.begun = h.begun
		defer g.close()
		g.timersAre("soon: inactive, next 1m30s; tidy: exit code 0, last 1m0s, next 2m0s; off: inactive, off")
		g.pass(time.Minute)
		g.did("spawn soon, spawn tidy")
	})
}

// remembering is a house whose server remembers for the next one.
func remembering(t *testing.T) *house {
	h := newHouse(t, newPlayer())
	h.s.core.Memory = newSimMemory()
	h.s.core.Clock = machine.Clock{
		Nanos: func(t time.Time) int64 { return int64(t.Sub(h.begun)) + 1 },
		Time:  func(n int64) time.Time { return h.begun.Add(time.Duration(n - 1)) },
	}
	return h
}

// succeed ends the server, and boots another one that knows what it has written
// down.
func (h *house) succeed(t *testing.T, lines ...string) *house {
	t.Helper()
	memory, clock := h.s.core.Memory, h.s.core.Clock
	h.s.Leave()
	<-h.s.Done()
	h.k.close()
	next := newHouse(t, playOn(h.k.sim))
	next.s.core.Memory, next.s.core.Clock, next.begun = memory, clock, h.begun
	next.s.core.Critical = h.s.core.Critical
	next.clinic = h.clinic
	next.s.core.Prober, next.s.core.Finder, next.s.core.Ears = h.clinic, h.clinic, h.s.core.Ears
	next.boot(services(t, lines...), next.k.inventory())
	next.pass(20 * ms)
	return next
}

func TestIdleWaitsForTheOthers(t *testing.T) {
	sickHouse(t, []string{"getty idle", "db health", "web requires=db", "log"}, func(h *house) {
		h.pass(100 * ms)
		h.did("spawn db, spawn log")
		h.is("getty blocked (waiting for other services to finish startingwaiting on:), db starting (not yet), web blocked (waiting on: db), log running")
		h.health("db", "")
		h.pass(time.Second)
		h.did("spawn web, spawn getty")
	})
	// Not for ever.
	sickHouse(t, []string{"getty idle", "db notify"}, func(h *house) {
		h.pass(4990 * ms)
		h.did("spawn db")
		h.pass(20 * ms)
		h.did("spawn getty")
		h.is("getty running, db starting")
	})
	// When nothing starts, not at all.
	inHouse(t, []string{"getty idle status=stop", "log"}, func(h *house) {
		h.k.take()
		h.ok(h.s.Start("getty", false))
		h.pass(10 * ms)
		h.did("spawn getty")
	})
}

func TestCriticalFailuresAreSaidOnce(t *testing.T) {
	var said []string
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.s.core.Critical = func(name, why string, _ func(string) bool) { said = append(said, name+": "+why) }
		h.boot(services(t, "db max=1", "web critical restart=never", "all target requires=db critical", "off critical requires=nothing status=stop", "log critical"), h.k.inventory())
		defer h.close()
		h.pass(10 * ms)
		h.k.ends(t, "web", reap.ExitCode(3))
		h.k.ends(t, "log", reap.ExitCode(3)) // is tried again
		h.k.ends(t, "db", reap.ExitCode(1))
		h.pass(500 * ms)
		h.ok(h.s.Stop("log"))
		h.k.ends(t, "db", reap.ExitCode(1))
		h.pass(time.Minute)
		h.ok(h.s.Start("web", false))
		h.pass(10 * ms)
		h.k.ends(t, "web", reap.KilledBy(11))
		h.pass(10 * ms)
	})
	want := "web: exit code 3; all: db, which it requires, is failed (exit code 1; given up after 1 restart); web: killed by signal 11"
	if got := strings.Join(said, "; "); got != want {
		t.Errorf("said was %s\n     want %s", got, want)
	}
}

// TestTheNextServerSaysWhatHasFailed: whoever is at the shell that the last one gave has it
// tried again by leaving.
func TestTheNextServerSaysWhatHasFailed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		said := 0
		h := remembering(t)
		h.s.core.Critical = func(string, string, func(string) bool) { said++ }
		h.boot(services(t, "web critical restart=never"), h.k.inventory())
		h.pass(10 * ms)
		h.k.ends(t, "web", reap.ExitCode(3))
		h.pass(10 * ms)
		g := h.succeed(t, "web critical restart=never")
		defer g.close()
		if said != 2 {
			t.Errorf("it was said %d times by two servers", said)
		}
	})
}

// TestACriticalServiceThatWaitsForAFailureHasFailed, however far away that is; what
// somebody has stopped is no failure.
func TestACriticalServiceThatWaitsForAFailureHasFailed(t *testing.T) {
	var said []string
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.s.core.Critical = func(name, why string, _ func(string) bool) { said = append(said, name+": "+why) }
		h.boot(services(t, "disk restart=never", "db requires=disk", "web critical requires=db", "all target requires=db critical",
			"net", "ssh critical requires=net", "rest target requires=net critical"), h.k.inventory())
		defer h.close()
		h.pass(10 * ms)
		h.ok(h.s.Stop("net"))
		h.pass(10 * ms)
		h.is("disk running, db running, web running, all running, net exited (stopped), ssh blocked (waiting on: net), rest blocked (waiting on: net)")
		h.k.ends(t, "disk", reap.ExitCode(3))
		h.pass(time.Minute)
	})
	want := "all: disk, which db requires, is failed (exit code 3); web: disk, which db requires, is failed (exit code 3)"
	slices.Sort(said)
	if got := strings.Join(said, "; "); got != want {
		t.Errorf("said was %s\n     want %s", got, want)
	}
}

// mute answers no check.
type mute struct{}

func (mute) Check(*config.Health, func(error)) {}

// TestAwayForAWhile: a loop that was stopped hears first what has happened, and then
// looks at time limits.
func TestAwayForAWhile(t *testing.T) {
	b := newBench()
	set := services(t, "web notify watchdog=5s", "db health", "log")
	b.c.Prober = mute{}
	b.c.load(set, reap.Inventory{})
	b.c.turn()
	for _, ev := range b.k.events {
		b.c.keeperEvent(ev)
	}
	b.c.notified("web", Notice{Ready: true})
	b.c.turn()
	web, db := b.c.byName["web"], b.c.byName["db"]
	due := b.c.nextWake()
	b.c.woke(due.Add(time.Minute), due) // all deadlines have passed
	b.c.turn()
	if web.m.State.String() != "running" || db.m.State.String() != "starting" {
		t.Fatalf("web is %s, db is %s", web.m.State, db.m.State)
	}
	next := b.c.nextWake()
	if wait := next.Sub(b.c.now); wait != settling {
		t.Errorf("it looks again in %s", wait)
	}
	// What was on its way comes now.
	b.c.probed(db, db.m.Run(), nil)
	b.c.conclude()
	b.c.woke(next, next)
	b.c.turn()
	if web.m.State.String() != "running" || db.m.State.String() != "running" {
		t.Errorf("web is %s, db is %s", web.m.State, db.m.State)
	}
	b.c.now = b.c.now.Add(5 * time.Second)
	b.c.turn()
	if web.m.State.String() != "stopping" {
		t.Errorf("a watchdog that is not fed after that: %s", web.m.State)
	}
}
