package supervise

import (
	"testing"
	"time"

	"zinit/reap"
	"zinit/supervise/config"
)

// Fault 43: the wall clock jumps a year, both ways. Back-off, time limits, watchdogs,
// health checks and timers that count from a start come when they would have come.
func TestFault43AJumpOfTheWallClockMovesNothingButCalendars(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, jump := range []time.Duration{year, -year} {
		b := newBench()
		wall := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		b.c.Wall = func() time.Time { return wall }
		b.c.Prober = mute{}
		set := services(t, "slow notify", "fed notify watchdog=5s", "crashed", "sick health", "often oneshot every=11s", "nightly oneshot every=1h")
		cal, err := config.ParseCalendar("0 3 * * *")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range set.Services {
			switch s.Name {
			case "nightly":
				s.Timer = &config.Timer{Calendar: cal}
			case "crashed":
				s.Lifecycle.RestartDelay = 7 * time.Second
			}
		}
		b.boot(set)
		b.c.notified("fed", Notice{Ready: true})
		b.c.keeperEvent(reap.Exited{Key: "crashed", Run: 1, Status: reap.KilledBy(9)})
		b.c.turn()
		states := func() map[string]string {
			all := map[string]string{}
			for _, r := range b.c.recs {
				all[r.name] = r.m.State.String()
			}
			return all
		}
		before, due := states(), b.c.nextWake()
		calendarWas := b.c.byName["nightly"].timer.calendar
		wall = wall.Add(jump)
		b.c.clockSet()
		b.c.turn()
		for name, state := range states() {
			if state != before[name] {
				t.Errorf("%s: %s was %s and is %s", jump, name, before[name], state)
			}
		}
		if now := b.c.nextWake(); !now.Equal(due) {
			t.Errorf("%s: the next thing was due at %s, now at %s", jump, due, now)
		}
		if now := b.c.byName["nightly"].timer.calendar; now.Sub(calendarWas).Round(year) != jump {
			t.Errorf("%s: the calendar's next date was %s and is %s", jump, calendarWas, now)
		}
		// All that is due comes at its moment, in the time of the loop.
		for _, c := range []struct {
			after time.Duration
			name  string
			was   string
			is    string
		}{
			{5 * time.Second, "fed", "running", "stopping"},
			{7 * time.Second, "crashed", "failed", "starting"},
			{11 * time.Second, "often", "inactive", "starting"},
			{30 * time.Second, "slow", "starting", "stopping"},
		} {
			r, start := b.c.byName[c.name], time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			b.c.now = start.Add(c.after - time.Millisecond)
			b.c.turn()
			was := r.m.State.String()
			b.c.now = start.Add(c.after)
			b.c.turn()
			if is := r.m.State.String(); was != c.was || is != c.is {
				t.Errorf("%s: around %s %s was %s and is %s", jump, c.after, c.name, was, is)
			}
		}
	}
}
