package machine

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const ms = time.Millisecond

// TestRestartPolicies: which ends are followed by another run.
func TestRestartPolicies(t *testing.T) {
	code := func(n int) Outcome { return Outcome{Code: n} }
	killed := Outcome{Signal: syscall.SIGSEGV}
	for _, tc := range []struct {
		name    string
		policy  Policy
		oneshot bool
		end     Outcome
		want    string
	}{
		{"never, exit 0", Never, false, code(0), "exited (exit code 0)"},
		{"never, exit 1", Never, false, code(1), "failed (exit code 1)"},
		{"never, signal", Never, false, killed, "failed (killed by signal 11)"},
		{"on failure, exit 0", OnFailure, false, code(0), "exited (exit code 0)"},
		{"on failure, exit 1", OnFailure, false, code(1), "failed (exit code 1), restart at 200ms"},
		{"on failure, signal", OnFailure, false, killed, "failed (killed by signal 11), restart at 200ms"},
		{"always, exit 0", Always, false, code(0), "exited (exit code 0), restart at 200ms"},
		{"always, exit 1", Always, false, code(1), "failed (exit code 1), restart at 200ms"},
		{"always, signal", Always, false, killed, "failed (killed by signal 11), restart at 200ms"},
		{"oneshot, exit 0", OnFailure, true, code(0), "exited (exit code 0)"},
		{"oneshot with a policy, exit 1", OnFailure, true, code(1), "failed (exit code 1), restart at 200ms"},
	} {
		l := begin(plain(func(r *Rules) { r.Policy, r.Oneshot = tc.policy, tc.oneshot })).up()
		l.give(ProcessGone{Run: 1, Outcome: tc.end})
		if got := describe(l.Service); got != tc.want+" [wanted, may start]" {
			t.Errorf("%s: %s", tc.name, got)
		}
	}
}

// TestRestartMatrix: every policy with every kind of end, as a table.
func TestRestartMatrix(t *testing.T) {
	succeeds, prevents := Statuses{}.With(75).WithSignal(syscall.SIGUSR1), Statuses{}.With(9).With(0).WithSignal(syscall.SIGSEGV)
	ends := []struct {
		name string
		why  Cause
	}{
		{"exit 0", Cause{Kind: Ended}},
		{"exit 75, which counts as success", Cause{Kind: Ended, Outcome: Outcome{Code: 75, Counts: true}}},
		{"exit 1", Cause{Kind: Ended, Outcome: Outcome{Code: 1}}},
		{"SIGTERM", Cause{Kind: Ended, Outcome: Outcome{Signal: syscall.SIGTERM}}},
		{"SIGKILL", Cause{Kind: Ended, Outcome: Outcome{Signal: syscall.SIGKILL}}},
		{"out of memory", Cause{Kind: Ended, Outcome: Outcome{Code: 1, OOM: true}}},
		{"start timeout", Cause{Kind: StartTimeout}},
		{"watchdog", Cause{Kind: WatchdogTimeout}},
		{"unhealthy", Cause{Kind: HealthFailed}},
		{"spawn error", Cause{Kind: SpawnError}},
		{"hook failed", Cause{Kind: HookFailed}},
		{"hook timed out", Cause{Kind: HookFailed, After: time.Second}},
		{"not ready", Cause{Kind: Unready}},
	}
	want := map[Policy]string{
		Never:      ".............",
		OnSuccess:  "rr...........",
		OnFailure:  "..rrrrrrrrrrr",
		OnAbnormal: "....rrrrr..r.",
		Always:     "rrrrrrrrrrrrr",
	}
	for policy, row := range want {
		for n, end := range ends {
			r := Rules{Policy: policy}
			if got := r.restarts(end.why); got != (row[n] == 'r') {
				t.Errorf("policy %d, %s: restarts is %v", policy, end.name, got)
			}
			r.Prevents = r.Prevents.With(end.why.Outcome.Code).WithSignal(end.why.Outcome.Signal)
			if end.why.Kind == Ended && r.restarts(end.why) {
				t.Errorf("policy %d, %s: restarts, though that is prevented", policy, end.name)
			}
		}
	}
	for _, tc := range []struct {
		set  Statuses
		o    Outcome
		want bool
	}{
		{succeeds, Outcome{Code: 75}, true},
		{succeeds, Outcome{Signal: syscall.SIGUSR1}, true},
		{succeeds, Outcome{Code: 10}, false}, // SIGUSR1 is 10
		{prevents, Outcome{}, true},
		{prevents, Outcome{Unknown: true}, false},
		{prevents, Outcome{Signal: 9}, false},
		{prevents, Outcome{Signal: 200}, false},
		{Statuses{}.With(256).With(-1).WithSignal(0).WithSignal(65), Outcome{}, false},
	} {
		if got := tc.set.Has(tc.o); got != tc.want {
			t.Errorf("%+v in %+v: %v", tc.o, tc.set, got)
		}
	}
}

// TestWhatCountsAsSuccess is judged when a process ends, by the rules of then.
func TestWhatCountsAsSuccess(t *testing.T) {
	l := begin(plain(oneshot, func(r *Rules) { r.Succeeds = r.Succeeds.With(75) })).up()
	l.ends(75)
	if !l.Satisfied() || l.State.String() != "exited" {
		t.Errorf("a oneshot that ended with a code that counts as success: %s", describe(l.Service))
	}
	l.give(Configured{Rules: plain(oneshot)})
	if !l.Satisfied() {
		t.Error("other rules take its success away")
	}
	l.give(Wanted{}, Spawned{Run: 2}, ProcessGone{Run: 2, Outcome: Outcome{Code: 75}})
	if l.Satisfied() {
		t.Error("it counts under rules that do not say so")
	}
}

// TestExtensionsEnd: a service cannot put off its time limits for ever.
func TestExtensionsEnd(t *testing.T) {
	l := begin(plain(notify))
	l.give(Wanted{}, DepsMet{}, Spawned{Run: 1})
	for l.State.String() == "starting" {
		l.give(Notified{Run: 1, Extend: time.Minute})
		l.after(30 * time.Second)
	}
	if took := l.now.Sub(epoch); took != extendMax {
		t.Errorf("it starts for %s", took)
	}
	begun := l.now
	for l.State.(Stopping).Kills == 0 {
		l.give(Notified{Run: 1, Extend: time.Minute})
		l.after(30 * time.Second)
	}
	if took := l.now.Sub(begun); took != extendMax {
		t.Errorf("it stops for %s", took)
	}
	before := l.Deadline()
	l.give(Notified{Run: 1, Extend: time.Minute})
	if !l.Deadline().Equal(before) {
		t.Error("after SIGKILL there is nothing to extend")
	}
}

// TestPhases puts into words how far a start or a stop is.
func TestPhases(t *testing.T) {
	var got []string
	for _, v := range variants {
		if p := v.make().Phase(); p != "" {
			got = append(got, v.name+": "+p)
		}
	}
	want := []string{
		"starting, spawn under way: being spawned",
		"starting, up, probe due: not healthy yet",
		"starting, at its time limit: not healthy yet",
		"stopping, stuck: killed",
		"stopping, group lingers: its main process has ended, others live on",
		"starting, exec_start_pre runs: exec_start_pre runs",
		"starting, prepared, and then held: waits to be allowed to go on",
		"starting, of notify, not ready: not ready yet",
		"starting, of forking, its main process is looked for: its main process is looked for",
		"starting, exec_start_post runs: exec_start_post runs",
		"running, with hooks, exec_reload runs: exec_reload runs",
		"running oneshot, its work is done: its work is done",
		"stopping, exec_stop runs: exec_stop runs",
		"stopping, exec_stop_post runs: exec_stop_post runs",
		"stopping, what hooks left is ended: what its commands have left behind is ended",
		"stopping, of forking, its main process is looked for: its main process is looked for",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the phases are\n%s", strings.Join(got, "\n"))
	}
}

// delays lets a service fail again and again, each run as long as given, and
// returns the pauses before the restarts.
func delays(l *live, runs ...time.Duration) []string {
	var out []string
	for _, long := range runs {
		l.after(long)
		l.ends(1)
		at := l.RestartAt()
		if at.IsZero() {
			return append(out, "given up")
		}
		out = append(out, at.Sub(l.now).String())
		l.after(at.Sub(l.now))
		l.give(Spawned{Run: l.Run()})
	}
	return out
}

func TestBackOff(t *testing.T) {
	quick, good := 5*ms, 10*time.Second
	for _, tc := range []struct {
		name  string
		rules func(*Rules)
		runs  []time.Duration
		want  string
	}{
		{"doubles up to its maximum, then gives up", func(*Rules) {}, []time.Duration{quick, quick, quick, quick, quick}, "200ms 400ms 800ms 1s given up"},
		{"begins anew after a good run", func(*Rules) {}, []time.Duration{quick, quick, quick, good, quick, quick, quick, quick}, "200ms 400ms 800ms 200ms 400ms 800ms 1s given up"},
		{"a run a little short of good is a quick one", func(*Rules) {}, []time.Duration{quick, good - 1, quick}, "200ms 400ms 800ms"},
		{"no delay", func(r *Rules) { r.Delay = 0 }, []time.Duration{quick, quick, quick, quick, quick}, "0s 0s 0s 0s given up"},
		{"no limit", func(r *Rules) { r.MaxRestarts = 0 }, []time.Duration{quick, quick, quick, quick, quick, quick, quick}, "200ms 400ms 800ms 1s 1s 1s 1s"},
		{"a maximum below the delay does not shorten it", func(r *Rules) { r.DelayMax = 50 * ms }, []time.Duration{quick, quick}, "200ms 200ms"},
		{"one try", func(r *Rules) { r.MaxRestarts = 1 }, []time.Duration{quick, quick}, "200ms given up"},
	} {
		l := begin(plain(tc.rules)).up()
		if got := strings.Join(delays(l, tc.runs...), " "); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestAlwaysIsGivenUpToo(t *testing.T) {
	l := begin(plain(func(r *Rules) { r.Policy, r.MaxRestarts, r.Delay = Always, 2, 0 })).up()
	for range 3 {
		l.ends(0)
		l.after(0)
		l.give(Spawned{Run: l.Run()})
	}
	if got := l.Reason(); got != "exit code 0; given up after 2 restarts" {
		t.Errorf("the reason is %q: %s", got, describe(l.Service))
	}
	if l.Total != 2 {
		t.Errorf("%d restarts are counted", l.Total)
	}
}

// givenUp is a service that was given up after one restart.
func givenUp() *live {
	l := begin(plain(func(r *Rules) { r.MaxRestarts = 1 })).up()
	delays(l, 5*ms, 5*ms)
	return l
}

// TestTriesComeBack: after a service was given up, asking for it gives it all its
// tries again, by whatever way it was asked.
func TestTriesComeBack(t *testing.T) {
	for name, events := range map[string][]Event{
		"start":            {Wanted{}},
		"restart":          {Restarted{}},
		"stop, then start": {Dropped{}, Wanted{}},
	} {
		l := givenUp()
		if !strings.Contains(l.Reason(), "given up after 1 restart") {
			t.Fatalf("not given up: %s", describe(l.Service))
		}
		l.give(events...)
		l.give(Spawned{Run: l.Run()})
		if got := strings.Join(delays(l, 5*ms, 5*ms), " "); got != "200ms given up" {
			t.Errorf("%s: the next failures wait %s", name, got)
		}
	}
	// Asked for while the last of its runs was still stopping.
	l := begin(plain(checked, func(r *Rules) { r.MaxRestarts, r.Health.Retries = 1, 1 })).up()
	for range 2 {
		l.after(time.Second)
		l.give(Probed{Run: l.Run(), Err: "refused"})
		if l.Quick == 1 {
			l.give(Wanted{})
		}
		l.ends(0)
		if l.RestartAt().IsZero() {
			break
		}
		l.after(200 * ms)
		l.give(Spawned{Run: l.Run()}, Probed{Run: l.Run()})
	}
	if l.Run() != 3 || l.Quick != 0 {
		t.Errorf("started while it was stopping for the last time: %s, quick %d", describe(l.Service), l.Quick)
	}
}

// TestStartByHandKeepsTheBackOff: only a restart asked for, or a good run, resets
// it while tries are left.
func TestStartByHandKeepsTheBackOff(t *testing.T) {
	for _, tc := range []struct {
		ev   Event
		want string
	}{{Wanted{}, "800ms"}, {Restarted{}, "200ms"}} {
		l := begin(plain()).up()
		delays(l, 5*ms)
		l.ends(1) // waits 400 ms
		l.give(tc.ev)
		if l.Run() != 3 {
			t.Errorf("%T does not start it at once: %s", tc.ev, describe(l.Service))
		}
		if got := delays(l, 5*ms)[0]; got != tc.want {
			t.Errorf("after %T the next failure waits %s, want %s", tc.ev, got, tc.want)
		}
	}
}

// TestAStubbornEndIsNoGoodRun: the time from the failure to the end does not count
// as a good run.
func TestAStubbornEndIsNoGoodRun(t *testing.T) {
	l := begin(plain(checked, func(r *Rules) { r.Health.Retries, r.StopTimeout = 1, time.Minute })).up()
	var waits []string
	for range 5 {
		l.after(time.Second)
		l.give(Probed{Run: l.Run(), Err: "refused"})
		l.after(time.Minute) // deaf
		l.ends(0)
		at := l.RestartAt()
		if at.IsZero() {
			waits = append(waits, "given up")
			break
		}
		waits = append(waits, at.Sub(l.now).String())
		l.after(at.Sub(l.now))
		l.give(Spawned{Run: l.Run()}, Probed{Run: l.Run()})
	}
	if got := strings.Join(waits, " "); got != "200ms 400ms 800ms 1s given up" {
		t.Errorf("it waits %s", got)
	}
}

// TestSpawnErrors are failures like others, with a pause even where the delay is
// 0.
func TestSpawnErrors(t *testing.T) {
	for _, tc := range []struct {
		delay time.Duration
		want  string
	}{{0, "100ms"}, {50 * ms, "100ms"}, {200 * ms, "200ms"}} {
		l := begin(plain(func(r *Rules) { r.Delay = tc.delay }))
		l.give(Wanted{}, DepsMet{}, SpawnFailed{Run: 1, Text: "no such file"})
		if want := "failed (spawn error: no such file), restart at " + tc.want + " [wanted, may start]"; describe(l.Service) != want {
			t.Errorf("delay %s: %s", tc.delay, describe(l.Service))
		}
	}
	// With the rules of zinit 0.2 only what may go by is tried again.
	l := begin(plain(func(r *Rules) { r.Delay, r.ExecOnce = 200*ms, true }))
	l.give(Wanted{}, DepsMet{}, SpawnFailed{Run: 1, Text: "no such file", Lasting: true})
	if want := "failed (spawn error: no such file) [wanted, may start]"; describe(l.Service) != want {
		t.Errorf("of zinit 0.2: %s, want %s", describe(l.Service), want)
	}
	l.give(Wanted{}, SpawnFailed{Run: 2, Text: "try again"})
	if want := "failed (spawn error: try again), restart at 200ms [wanted, may start]"; describe(l.Service) != want {
		t.Errorf("of zinit 0.2, what may go by: %s, want %s", describe(l.Service), want)
	}
	l = begin(plain(func(r *Rules) { r.Delay, r.MaxRestarts = 0, 2 }))
	l.give(Wanted{}, DepsMet{})
	for n := Run(1); n <= 3; n++ {
		l.give(SpawnFailed{Run: n, Text: "no such file"})
		l.after(100 * ms)
	}
	if got := l.Reason(); got != "spawn error: no such file; given up after 2 restarts" || l.Last != 3 {
		t.Errorf("after %d tries: %s", l.Last, got)
	}
}

// TestStopThatMeetsASpawnError: what never ran has not exited.
func TestStopThatMeetsASpawnError(t *testing.T) {
	for _, tc := range []struct {
		name   string
		events []Event
		want   string
	}{
		{"stopped", []Event{Dropped{}}, "inactive [dropped, may start]"},
		{"restarted", []Event{Restarted{}}, "starting run 2 [wanted, may start]"},
		{"lost", []Event{DepsLost{On: "db"}}, "blocked [wanted, lost db]"},
		{"lost, then stopped", []Event{DepsLost{On: "db"}, Dropped{}}, "inactive [dropped, lost db]"},
		{"stopped, then started", []Event{Dropped{}, Wanted{}}, "starting run 2 [wanted, may start]"},
	} {
		l := begin(plain())
		l.give(Wanted{}, DepsMet{})
		l.give(tc.events...)
		l.give(SpawnFailed{Run: 1, Text: "no memory"})
		if got := describe(l.Service); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// TestStopEscalates: the stop signal, SIGKILL after stop_timeout, and again and
// again while the kernel holds it.
func TestStopEscalates(t *testing.T) {
	for _, tc := range []struct {
		name       string
		stop, kill Scope
		want       string
	}{
		{"group", Group, Group, "INT to the group of run 1; KILL to the group of run 1"},
		{"mixed", Main, Group, "INT to the main process of run 1; KILL to the group of run 1"},
		{"process", Main, Main, "INT to the main process of run 1; KILL to the main process of run 1"},
	} {
		l := begin(plain(func(r *Rules) { r.StopSignal, r.StopScope, r.KillScope = syscall.SIGINT, tc.stop, tc.kill })).up()
		actions := l.give(Dropped{})
		actions = append(actions, l.after(2*time.Second-1)...)
		if len(actions) != 1 {
			t.Errorf("%s: killed too early: %s", tc.name, describeActions(actions))
		}
		actions = append(actions, l.after(1)...)
		if got := describeActions(actions); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
		if l.Stuck() {
			t.Errorf("%s: stuck at the first kill", tc.name)
		}
		var pauses []string
		last := l.now
		for range 6 {
			l.after(l.Deadline().Sub(l.now))
			pauses = append(pauses, l.now.Sub(last).String())
			last = l.now
			if !l.Stuck() {
				t.Errorf("%s: survived two kills and is not stuck", tc.name)
			}
		}
		if got := strings.Join(pauses, " "); got != "5s 10s 20s 40s 1m0s 1m0s" {
			t.Errorf("%s: kills again after %s", tc.name, got)
		}
		l.give(ProcessGone{Run: 1, Outcome: Outcome{Signal: syscall.SIGKILL}})
		if got := describe(l.Service); got != "exited (killed by signal 9), as told [dropped, may start]" {
			t.Errorf("%s: %s", tc.name, got)
		}
	}
}

// TestFirstCauseIsKept: what brought a service down is its reason, not the signal
// that ended it.
func TestFirstCauseIsKept(t *testing.T) {
	kill := func(l *live) {
		l.after(2 * time.Second)
		l.give(ProcessGone{Run: l.Run(), Outcome: Outcome{Signal: syscall.SIGKILL}})
	}
	t.Run("health", func(t *testing.T) {
		l := begin(plain(checked)).up()
		for range 3 {
			l.after(time.Second)
			l.give(Probed{Run: 1, Err: "refused"})
		}
		kill(l)
		if got := l.Reason(); got != "health check failed after 3 attempts: refused" {
			t.Error(got)
		}
	})
	t.Run("start timeout", func(t *testing.T) {
		l := begin(plain(checked))
		l.give(Wanted{}, DepsMet{}, Spawned{Run: 1})
		l.after(30 * time.Second)
		kill(l)
		if got := l.Reason(); got != "start timeout: not ready after 30s" {
			t.Error(got)
		}
	})
	t.Run("a failure, then a stop", func(t *testing.T) {
		l := begin(plain(checked))
		l.give(Wanted{}, DepsMet{}, Spawned{Run: 1})
		l.after(30 * time.Second)
		l.give(Dropped{})
		kill(l)
		if got := describe(l.Service); got != "failed (start timeout: not ready after 30s) [dropped, may start]" {
			t.Error(got)
		}
	})
}

func TestSatisfied(t *testing.T) {
	for _, tc := range []struct {
		name string
		make func() *live
		want bool
	}{
		{"inactive", func() *live { return begin(plain()) }, false},
		{"starting", func() *live { l := begin(plain(checked)); l.give(Wanted{}, DepsMet{}, Spawned{Run: 1}); return l }, false},
		{"running", func() *live { return begin(plain()).up() }, true},
		{"running target", func() *live { return begin(plain(target)).up() }, true},
		{"running oneshot", func() *live { return begin(plain(oneshot)).up() }, false},
		{"oneshot, code 0", func() *live { l := begin(plain(oneshot)).up(); l.ends(0); return l }, true},
		{"oneshot, code 1", func() *live { l := begin(plain(oneshot)).up(); l.ends(1); return l }, false},
		{"service, code 0", func() *live { l := begin(plain()).up(); l.ends(0); return l }, false},
		{"stopping", func() *live { l := begin(plain()).up(); l.give(Dropped{}); return l }, false},
	} {
		if l := tc.make(); l.Satisfied() != tc.want {
			t.Errorf("%s: satisfied is %v: %s", tc.name, l.Satisfied(), describe(l.Service))
		}
	}
}
