package main_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestPoliciesDecideWhetherAServiceIsStartedAgain by how it ended.
func TestPoliciesDecideWhetherAServiceIsStartedAgain(t *testing.T) {
	t.Parallel()
	const kill = "sh -c 'kill -KILL $$'"
	const polite = "sh -c 'kill -TERM $$'"
	cases := []struct {
		name, exec, policy, rest string
		again                    bool
		state                    string // of what is not started again
	}{
		{"success-well", "true", "on-success", "", true, ""},
		{"success-badly", "false", "on-success", "", false, "failed"},
		{"abnormal-code", "false", "on-abnormal", "", false, "failed"},
		{"abnormal-polite", polite, "on-abnormal", "", false, "failed"},
		{"abnormal-kill", kill, "on-abnormal", "", true, ""},
		{"failure-polite", polite, "on-failure", "", true, ""},
		{"failure-well", "true", "on-failure", "", false, "exited"},
		{"failure-counts", "sh -c 'exit 42'", "on-failure", `success_exit_status = [42]`, false, "exited"},
		{"success-counts", polite, "on-success", `success_exit_status = ["SIGTERM"]`, true, ""},
		{"prevent-code", "sh -c 'exit 42'", "always", `restart_prevent_exit_status = [42]`, false, "failed"},
		{"prevent-signal", kill, "always", `restart_prevent_exit_status = ["KILL"]`, false, "failed"},
		{"prevent-other", "sh -c 'exit 41'", "always", `restart_prevent_exit_status = [42]`, true, ""},
		{"no", kill, "no", "", false, "failed"},
	}
	in := newInstance(t, nil)
	for _, c := range cases {
		in.write(c.name, file(c.name, c.exec, c.rest, lifecycle, fmt.Sprintf("restart = %q", c.policy), "restart_delay_ms = 1", "max_restarts = 5"))
	}
	in.launch()
	for _, c := range cases {
		want, state := uint64(1), c.state
		if c.again {
			want = 6
		}
		in.until(fmt.Sprintf("run %d of %s", want, c.name), func() (string, bool) {
			s := in.status(c.name)
			return fmt.Sprintf("%+v", s), s.Run == want && s.State.PID == 0 &&
				(state == "" && (s.State.State == "failed" || s.State.State == "exited") || s.State.State == state)
		})
	}
	for _, c := range cases {
		if s := in.status(c.name); !c.again && s.Run != 1 {
			t.Errorf("%s was started again: %+v", c.name, s)
		}
	}
}

// TestHooksBelongToALife: what fails, what takes too long, and what may.
func TestHooksBelongToALife(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	note := func(text string) string { return "sh -c 'echo " + text + " >>" + in.path("notes") + "'" }
	hooks := func(name string, rest ...string) {
		all := []string{fmt.Sprintf("exec_stop_post = %q", note(name+"-over-$SERVICE_RESULT"))}
		in.write(name, file(name, "sh -c 'echo "+name+"-main >>"+in.path("notes")+"; exec sleep 100000'", append(all, rest...)...))
	}
	const limit = "\nhook_timeout_ms = 300"
	hooks("pre-fails", `exec_start_pre = ["echo about to fail", "sh -c 'exit 3'"]`, noRestart)
	hooks("pre-hangs", `exec_start_pre = "sleep 100000"`, noRestart+limit)
	hooks("pre-may-fail", `exec_start_pre = ["-false", "-/no/such/program"]`, noRestart)
	hooks("post-fails", `exec_start_post = "sh -c 'test -n $MAINPID && exit 4'"`, noRestart)
	hooks("post-hangs", `exec_start_post = "sleep 100000"`, noRestart+limit)
	hooks("stop-hangs", fmt.Sprintf("exec_stop = [%q, \"sleep 100000\"]", note("stop-hangs-asked")), noRestart+limit)
	in.launch()
	in.waitState("pre-fails pre-hangs post-fails post-hangs", "failed")
	in.waitState("pre-may-fail stop-hangs", "running")
	for name, want := range map[string]string{
		"pre-fails":  "exec_start_pre failed: sh -c 'exit 3': exit code 3",
		"pre-hangs":  "exec_start_pre failed: sleep 100000: timed out after 300ms",
		"post-fails": "exec_start_post failed: sh -c 'test -n $MAINPID && exit 4': exit code 4",
		"post-hangs": "exec_start_post failed: sleep 100000: timed out after 300ms",
	} {
		if got := in.status(name).Reason; !strings.Contains(got, want) {
			t.Errorf("the reason of %s is %q", name, got)
		}
	}
	if log := in.must("logs", "pre-fails"); !strings.Contains(log, "about to fail") {
		t.Errorf("its log is %q", log)
	}
	in.must("stop", "stop-hangs")
	in.waitState("stop-hangs", "exited")
	in.must("stop", "pre-may-fail")
	in.waitState("pre-may-fail", "exited")
	notes, err := os.ReadFile(in.path("notes"))
	got := map[string]int{}
	for line := range strings.Lines(string(notes)) {
		got[strings.TrimSpace(line)]++
	}
	for line, n := range map[string]int{
		"pre-fails-main": 0, "pre-hangs-main": 0, "pre-may-fail-main": 1, "stop-hangs-main": 1, "stop-hangs-asked": 1,
		"pre-fails-over-exit-code": 1, "pre-hangs-over-timeout": 1, "post-fails-over-exit-code": 1,
		"post-hangs-over-timeout": 1, "stop-hangs-over-success": 1, "pre-may-fail-over-success": 1,
	} {
		if got[line] != n {
			t.Errorf("%s: %d times, not %d", line, got[line], n)
		}
	}
	if t.Failed() {
		t.Logf("%s%v", notes, err)
	}
}

// TestATimerRunsItsServiceAgainAndAgain, never twice at a time, under every server.
func TestATimerRunsItsServiceAgainAndAgain(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	// A run takes longer than the period, and says so when it meets another one.
	in.write("tidy", file("tidy", "sh -c 'mkdir "+in.path("busy")+" || echo twice >>"+in.path("twice")+"; sleep 0.3; rmdir "+in.path("busy")+"; echo ran >>"+in.path("ran")+"'",
		"oneshot = true", "[timer]", `every = "1s"`))
	in.launch()
	runs := func(n int) {
		t.Helper()
		in.until(fmt.Sprintf("run %d", n), func() (string, bool) {
			text, err := os.ReadFile(in.path("ran"))
			return fmt.Sprint(string(text), err), strings.Count(string(text), "ran\n") >= n
		})
	}
	runs(2)
	in.replaceServer()
	runs(3)
	in.absent("twice")
	list, err := in.dial().Timers(shortly(t))
	if err != nil || len(list) != 1 || list[0].Name != "tidy" || list[0].LastMs == 0 || list[0].NextMs-list[0].LastMs > 5000 {
		t.Errorf("the timers are %+v, %v", list, err)
	}
}

// TestAReloadGoesToTheMainProcessOrToItsHook.
func TestAReloadGoesToTheMainProcessOrToItsHook(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	trap := "sh -c 'trap \"echo heard >>" + in.path("heard") + "\" USR1; while :; do sleep 0.02; done'"
	in.write("signal", file("signal", trap, `reload_signal = "USR1"`))
	in.write("hook", file("hook", trap, `reload_signal = "USR1"`, `exec_reload = "sh -c 'echo $MAINPID >>`+in.path("hook")+`'"`))
	in.launch()
	in.waitState("signal hook", "running")
	check := in.untouched("signal", "hook")
	reload := func(name string) {
		t.Helper()
		if err := in.dial().SignalReload(shortly(t), name); err != nil {
			t.Fatal(err)
		}
	}
	reload("hook")
	if got := in.text("hook"); got != fmt.Sprintln(in.pid("hook")) {
		t.Errorf("the hook was told of %q", got)
	}
	in.absent("heard")
	// The shell may not have come to its trap yet.
	in.until("its trap", func() (string, bool) {
		caught := factsOf(t, in.pid("signal"))("status", "SigCgt:")
		return caught, len(caught) > 2 && strings.Contains("2367abef", caught[len(caught)-3:len(caught)-2])
	})
	reload("signal")
	in.text("heard")
	check()
}
