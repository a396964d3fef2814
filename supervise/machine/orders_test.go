package machine

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLastWordWins: what is asked last, while a service stops, decides.
func TestLastWordWins(t *testing.T) {
	const starts, rests, blocked = "starting run 2", "exited (exit code 0), as told", "blocked"
	for _, tc := range []struct {
		events []Event
		want   string
	}{
		{[]Event{Dropped{}}, rests},
		{[]Event{Dropped{}, Wanted{}}, starts},
		{[]Event{Dropped{}, Wanted{}, Dropped{}}, rests},
		{[]Event{Restarted{}}, starts},
		{[]Event{Restarted{}, Dropped{}}, rests},
		{[]Event{Dropped{}, Restarted{}}, starts},
		{[]Event{DepsLost{On: "db"}}, blocked},
		{[]Event{DepsLost{On: "db"}, DepsMet{}}, starts},
		{[]Event{DepsLost{On: "db"}, Dropped{}, DepsMet{}}, rests},
		{[]Event{Dropped{}, DepsLost{On: "db"}, Wanted{}}, blocked},
		{[]Event{Broken{Why: Cause{Kind: MissingDependency, Name: "db"}}}, "failed (missing dependency 'db')"},
		{[]Event{Broken{Why: Cause{Kind: MissingDependency, Name: "db"}}, Mended{}}, starts},
		{[]Event{Broken{Why: Cause{Kind: MissingDependency, Name: "db"}}, Mended{}, Dropped{}}, rests},
	} {
		l := begin(plain(func(r *Rules) { r.Policy = Never })).up()
		l.give(tc.events...)
		l.ends(0)
		if got := describe(l.Service); !strings.HasPrefix(got, tc.want) {
			t.Errorf("%v: %s, want %s", tc.events, got, tc.want)
		}
	}
}

// TestStopCancelsAPendingRestart, of both kinds.
func TestStopCancelsAPendingRestart(t *testing.T) {
	for code, want := range []string{"exited (exit code 0) [dropped, may start]", "inactive [dropped, may start]"} {
		l := begin(plain(func(r *Rules) { r.Policy = Always })).up()
		l.ends(code)
		if l.RestartAt().IsZero() {
			t.Fatalf("no restart is pending: %s", describe(l.Service))
		}
		l.give(Dropped{})
		if got := l.after(time.Hour); len(got) > 0 || describe(l.Service) != want {
			t.Errorf("code %d: %s %s", code, describe(l.Service), describeActions(got))
		}
	}
}

// TestRestartWaitsForPermission: a due restart that may not start is blocked, and
// starts when it may.
func TestRestartWaitsForPermission(t *testing.T) {
	l := begin(plain()).up()
	l.ends(1)
	l.give(DepsHeld{On: "db"})
	l.after(time.Second)
	if got := l.State.String() + ": " + l.Reason(); got != "blocked: waiting on: db" {
		t.Error(got)
	}
	if got := describeActions(l.give(DepsMet{})); got != "SPAWN run 2" {
		t.Error(got)
	}
}

func TestTargets(t *testing.T) {
	l := begin(plain(target))
	for _, tc := range []struct {
		ev   Event
		want string
	}{
		{Wanted{}, "blocked [wanted, waits]"},
		{DepsMet{}, "running since 0s [wanted, may start]"},
		{DepsHeld{On: "db"}, "blocked [wanted, waits for db]"},
		{DepsMet{}, "running since 0s [wanted, may start]"},
		{DepsLost{On: "db"}, "blocked [wanted, lost db]"},
		{DepsMet{}, "running since 0s [wanted, may start]"},
		{Restarted{}, "running since 0s [wanted, may start]"},
		{Adopted{Run: 4}, "running since 0s [wanted, may start]"},
		{Dropped{}, "inactive [dropped, may start]"},
		{Wanted{}, "running since 0s [wanted, may start]"},
	} {
		if actions := l.give(tc.ev); len(actions) > 0 || describe(l.Service) != tc.want || l.Active() {
			t.Errorf("%T: %s %s, want %s", tc.ev, describe(l.Service), describeActions(actions), tc.want)
		}
	}
}

func TestAdopted(t *testing.T) {
	l := begin(plain(checked))
	l.give(Adopted{Run: 7})
	if got := describe(l.Service); got != "running run 7 since 0s, probe at 0s [wanted, waits]" {
		t.Error(got)
	}
	l.ends(1)
	l.give(DepsMet{})
	l.after(200 * ms)
	if got := describe(l.Service); got != "starting run 8, ready by 30.2s [wanted, may start]" {
		t.Errorf("after its end: %s", got)
	}
	l.give(Adopted{Run: 9})
	if l.Run() != 8 {
		t.Errorf("two runs at once: %s", describe(l.Service))
	}
}

// TestConfigured: other rules apply at once to a living run.
func TestConfigured(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func() *live
		to   *Rules
		want string
	}{
		{"health goes, the process is up", func() *live {
			l := begin(plain(checked))
			l.give(Wanted{}, DepsMet{}, Spawned{Run: 1})
			return l
		}, plain(), "running run 1 since 0s"},
		{"health goes, the process is not up", func() *live { l := begin(plain(checked)); l.give(Wanted{}, DepsMet{}); return l }, plain(), "starting run 1"},
		{"health comes, the process is not up", func() *live { l := begin(plain()); l.give(Wanted{}, DepsMet{}); return l }, plain(checked), "starting run 1, ready by 30s"},
		{"health comes", func() *live { return begin(plain()).up() }, plain(checked), "running run 1 since 0s, probe at 0s"},
		{"health goes", func() *live { return begin(plain(checked)).up() }, plain(), "running run 1 since 0s"},
		{"health stays", func() *live { return begin(plain(checked)).up() }, plain(checked), "running run 1 since 0s, probe at 1s"},
	} {
		l := tc.make()
		l.give(Configured{Rules: tc.to})
		if got := describe(l.Service); got != tc.want+" [wanted, may start]" {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
	l := begin(plain(func(r *Rules) { r.DelayMax = time.Hour })).up()
	delays(l, 5*ms, 5*ms, 5*ms) // the next delay is 1.6 s
	l.give(Configured{Rules: plain()})
	if got := delays(l, 5*ms); !slices.Equal(got, []string{"1s"}) {
		t.Errorf("a back-off beyond the new maximum: %v", got)
	}
}

// TestBrokenAndMended: a configuration that cannot be is a state with a reason.
func TestBrokenAndMended(t *testing.T) {
	missing := Broken{Why: Cause{Kind: MissingDependency, Name: "db"}}
	for _, v := range variants {
		l := v.make()
		wanted := l.Want
		l.give(missing, DepsMet{})
		for n := 0; l.Active() && n < 3; n++ {
			l.hookEnds("")
			l.give(MainMissing{Run: l.Run(), Text: "none"})
			l.ends(0)
			l.give(GroupGone{Run: l.Run()}, Cleared{Run: l.Run()})
		}
		if got := l.State.String() + ": " + l.Reason(); got != "failed: missing dependency 'db'" && v.name != "failed, broken" {
			t.Errorf("%s: %s", v.name, got)
		}
		if actions := l.give(Wanted{}, Restarted{}, DepsMet{}); len(actions) > 0 || l.State.String() != "failed" {
			t.Errorf("%s: broken, and yet %s", v.name, describe(l.Service))
		}
		if !wanted {
			l.give(Dropped{})
		}
		l.give(Mended{})
		if up := l.Active() || l.State.String() == "running"; up != wanted {
			t.Errorf("%s: wanted %v, mended: %s", v.name, wanted, describe(l.Service))
		}
	}
	l := begin(plain())
	if actions := l.give(Wanted{}, DepsMet{}, SpawnFailed{Run: 1}, Mended{}); len(actions) != 1 {
		t.Errorf("mended without being broken, it starts: %s", describeActions(actions))
	}
}

// TestStoppedInWords leaves out the end that a stop leads to.
func TestStoppedInWords(t *testing.T) {
	for _, tc := range []struct {
		end  Outcome
		want string
	}{
		{Outcome{}, "stopped"},
		{Outcome{Signal: syscall.SIGTERM}, "stopped"},
		{Outcome{Code: 1}, "stopped (exit code 1)"},
		{Outcome{Signal: syscall.SIGKILL}, "stopped (killed by signal 9)"},
	} {
		l := begin(plain()).up()
		l.give(Dropped{}, ProcessGone{Run: 1, Outcome: tc.end})
		if got := l.Reason(); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.end, got, tc.want)
		}
	}
}

// TestTotalCountsRestarts that have happened, and not the starts by hand.
func TestTotalCountsRestarts(t *testing.T) {
	l := begin(plain()).up()
	delays(l, 5*ms, 5*ms)
	l.ends(1)
	if l.Total != 2 {
		t.Errorf("a restart is counted before it happens: %d", l.Total)
	}
	l.give(Restarted{})
	if l.Total != 2 {
		t.Errorf("a restart by hand is counted: %d", l.Total)
	}
}

func TestCausesInWords(t *testing.T) {
	for _, tc := range []struct {
		why     Cause
		failure bool
		want    string
	}{
		{Cause{Outcome: Outcome{Code: 3}}, true, "exit code 3"},
		{Cause{Outcome: Outcome{}}, false, "exit code 0"},
		{Cause{Outcome: Outcome{Signal: syscall.SIGKILL}}, true, "killed by signal 9"},
		{Cause{Outcome: Outcome{Unknown: true}}, true, "end not seen"},
		{Cause{Kind: StartTimeout, After: time.Second}, true, "start timeout: not ready after 1s"},
		{Cause{Kind: HealthFailed, Count: 3}, true, "health check failed after 3 attempts"},
		{Cause{Kind: HealthFailed, Count: 3, Text: "refused"}, true, "health check failed after 3 attempts: refused"},
		{Cause{Kind: SpawnError, Text: "no such file"}, true, "spawn error: no such file"},
		{Cause{Kind: MissingDependency, Name: "db"}, true, "missing dependency 'db'"},
		{Cause{Kind: Unsatisfiable, Text: "a cycle"}, true, "a cycle"},
		{Cause{Kind: Asked}, false, "stop asked for"},
		{Cause{Kind: Restarting}, false, "restart asked for"},
		{Cause{Kind: Requirement, Name: "db"}, false, "db, which it requires, went down"},
	} {
		if tc.why.String() != tc.want || tc.why.Failure() != tc.failure {
			t.Errorf("%q, failure %v; want %q, %v", tc.why, tc.why.Failure(), tc.want, tc.failure)
		}
	}
}

// TestConfiguredNeverCancelsAPendingRestart: a policy that is never says so from
// now on, not from the next end on.
func TestConfiguredNeverCancelsAPendingRestart(t *testing.T) {
	for _, code := range []int{0, 1} {
		l := begin(plain(func(r *Rules) { r.Policy = Always })).up()
		l.ends(code)
		if l.RestartAt().IsZero() {
			t.Fatalf("exit %d: no restart is pending", code)
		}
		l.give(Configured{Rules: plain(func(r *Rules) { r.Policy = Never })})
		if !l.RestartAt().IsZero() {
			t.Errorf("exit %d: a restart is pending still", code)
		}
	}
}

// TestAStartTimeoutIsNoGoodRun: with a start timeout as long as the stability
// period, a service that never becomes ready is given up all the same.
func TestAStartTimeoutIsNoGoodRun(t *testing.T) {
	l := begin(plain(checked, func(r *Rules) { r.MaxRestarts = 2; r.Stability = r.StartTimeout }))
	l.give(Wanted{}, DepsMet{})
	for range 3 {
		l.give(Spawned{Run: l.Run()})
		l.after(l.Rules.StartTimeout)
		l.give(ProcessGone{Run: l.Run(), Outcome: Outcome{Signal: syscall.SIGTERM}})
		l.after(time.Hour)
	}
	if st, ok := l.State.(Failed); !ok || !st.GivenUp {
		t.Errorf("after three start timeouts: %s", describe(l.Service))
	}
}
