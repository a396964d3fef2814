package machine

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestHealthWhileStarting(t *testing.T) {
	t.Run("the first pass makes it running", func(t *testing.T) {
		l := begin(plain(checked, func(r *Rules) { r.Health.StartPeriod = 3 * time.Second }))
		l.give(Wanted{}, DepsMet{}, Spawned{Run: 1})
		if got := l.after(3*time.Second - 1); len(got) > 0 {
			t.Errorf("probed in the start period: %s", describeActions(got))
		}
		if got := describeActions(l.after(1)); got != "PROBE run 1" {
			t.Errorf("after the start period: %q", got)
		}
		l.give(Probed{Run: 1})
		if got := describe(l.Service); got != "running run 1 since 3s, probe at 4s [wanted, may start]" {
			t.Error(got)
		}
	})
	t.Run("probes quickly, counts one failure per interval", func(t *testing.T) {
		l := begin(plain(checked))
		l.give(Wanted{}, DepsMet{}, Spawned{Run: 1})
		var when, counts []string
		for l.State.String() == "starting" {
			l.after(l.Deadline().Sub(l.now))
			when = append(when, moment(l.now))
			l.give(Probed{Run: 1, Err: "refused"})
			if st, ok := l.State.(Starting); ok {
				counts = append(counts, fmt.Sprint(st.Probe.Failures))
			}
		}
		if got := strings.Join(when, " "); got != "0s 50ms 150ms 350ms 750ms 1.55s 2.55s" {
			t.Errorf("probed at %s", got)
		}
		if got := strings.Join(counts, ""); got != "111112" {
			t.Errorf("failures after each probe: %s", got)
		}
		if got := l.Reason(); got != "health check failed after 3 attempts: refused" {
			t.Error(got)
		}
	})
	t.Run("the start timeout is not extended", func(t *testing.T) {
		l := begin(plain(checked, func(r *Rules) { r.StartTimeout = 500 * ms }))
		l.give(Wanted{}, DepsMet{}, Spawned{Run: 1})
		l.after(499 * ms) // a probe is under way
		if l.State.String() != "starting" {
			t.Error(describe(l.Service))
		}
		if got := describeActions(l.after(1 * ms)); got != "TERM to the group of run 1" {
			t.Errorf("at the timeout: %q", got)
		}
	})
	t.Run("a spawn that is not answered times out", func(t *testing.T) {
		l := begin(plain(checked))
		l.give(Wanted{}, DepsMet{})
		if got := describeActions(l.after(30 * time.Second)); got != "TERM to the group of run 1" {
			t.Errorf("at the timeout: %q", got)
		}
	})
	t.Run("report stops nothing before the start timeout", func(t *testing.T) {
		l := begin(plain(checked, func(r *Rules) { r.Health.ReportOnly = true }))
		l.give(Wanted{}, DepsMet{}, Spawned{Run: 1})
		for l.now.Before(at(10 * time.Second)) {
			l.after(l.Deadline().Sub(l.now))
			l.give(Probed{Run: 1, Err: "refused"})
		}
		if got := l.State.String() + ": " + l.Reason(); got != "starting: refused" {
			t.Error(got)
		}
		l.after(30 * time.Second)
		if got := l.Reason(); got != "start timeout: not ready after 30s" {
			t.Error(got)
		}
	})
}

func TestHealthWhileRunning(t *testing.T) {
	fail := func(l *live, n int) {
		for range n {
			l.after(time.Second)
			l.give(Probed{Run: 1, Err: "refused"})
		}
	}
	t.Run("failures count only in a row", func(t *testing.T) {
		l := begin(plain(checked)).up()
		for range 4 {
			fail(l, 2)
			l.after(time.Second)
			l.give(Probed{Run: 1})
		}
		if got := describe(l.Service); got != "running run 1 since 0s, probe at 13s [wanted, may start]" {
			t.Error(got)
		}
	})
	t.Run("goes on for the whole life", func(t *testing.T) {
		l := begin(plain(checked)).up()
		probes := 0
		for range 100 {
			probes += len(l.after(time.Second))
			l.give(Probed{Run: 1})
		}
		if probes != 100 {
			t.Errorf("%d probes in 100 s", probes)
		}
	})
	t.Run("one at a time", func(t *testing.T) {
		l := begin(plain(checked)).up()
		if got := describeActions(l.after(time.Minute)); got != "PROBE run 1" {
			t.Errorf("without an answer: %s", got)
		}
	})
	t.Run("report shows it and stops nothing", func(t *testing.T) {
		l := begin(plain(checked, func(r *Rules) { r.Health.ReportOnly = true })).up()
		fail(l, 5)
		if got := l.State.String() + ": " + l.Reason(); got != "running: unhealthy: refused" {
			t.Error(got)
		}
		l.after(time.Second)
		l.give(Probed{Run: 1})
		if got := l.State.String() + ": " + l.Reason(); got != "running: " {
			t.Error(got)
		}
	})
}

// TestLingeringGroups: a run is over when the last of its group has ended.
func TestLingeringGroups(t *testing.T) {
	gone := func(code int) Event {
		return ProcessGone{Run: 1, Outcome: Outcome{Code: code}, Lingers: true}
	}
	t.Run("after an end by itself they are killed at once", func(t *testing.T) {
		l := begin(plain()).up()
		if got := describeActions(l.give(gone(3))); got != "KILL to the group of run 1" {
			t.Error(got)
		}
		l.after(time.Second)
		if l.State.String() != "stopping" {
			t.Errorf("the next run before the group is gone: %s", describe(l.Service))
		}
		l.give(GroupGone{Run: 1})
		if got := describe(l.Service); got != "failed (exit code 3), restart at 1.2s [wanted, may start]" {
			t.Error(got)
		}
	})
	t.Run("after a stop they have the rest of the stop timeout", func(t *testing.T) {
		l := begin(plain()).up()
		l.give(Dropped{})
		l.after(500 * ms)
		if got := describeActions(l.give(gone(0))); got != "" {
			t.Errorf("killed at once: %s", got)
		}
		if got := describeActions(l.after(1500 * ms)); got != "KILL to the group of run 1" {
			t.Errorf("at the stop timeout: %q", got)
		}
		l.give(GroupGone{Run: 1})
		if got := describe(l.Service); got != "exited (exit code 0), as told [dropped, may start]" {
			t.Error(got)
		}
	})
	t.Run("a group that is gone before the main process says nothing", func(t *testing.T) {
		l := begin(plain()).up()
		l.give(Dropped{}, GroupGone{Run: 1})
		if l.State.String() != "stopping" {
			t.Error(describe(l.Service))
		}
	})
	t.Run("a oneshot is done when its group is", func(t *testing.T) {
		l := begin(plain(oneshot)).up()
		l.give(gone(0))
		if l.Satisfied() {
			t.Error("satisfied with its group alive")
		}
		l.give(GroupGone{Run: 1})
		if !l.Satisfied() {
			t.Error(describe(l.Service))
		}
	})
}
