package main_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// bare is a command that notes what it was born with, in files that begin with name.
func (in *instance) bare(name string) string {
	at := in.path(name)
	return "ls /proc/self/fd >" + at + ".fd; env >" + at + ".env; cat /proc/self/status >" + at + ".new && mv " + at + ".new " + at + ".status"
}

// TestNothingOfOursIsInheritedByWhatIsStarted: services, hooks and probes, with the
// step in between and without it, whatever the keeper itself was born with.
func TestNothingOfOursIsInheritedByWhatIsStarted(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	sh := func(name, then string) string { return fmt.Sprintf("sh -c '%s; %s'", in.bare(name), then) }
	type birth struct {
		name string
		fds  string
		more []string // variables that it has on top
	}
	var births []birth
	for kind, keys := range map[string]string{"plain": "", "prepared": `umask = "0022"`} {
		own := func(part string) string { return kind + "-" + part }
		in.write(kind, file(kind, sh(own("main"), "exec sleep 100000"), keys,
			fmt.Sprintf("exec_start_pre = %q\nexec_start_post = %q\nexec_stop = %q\nexec_stop_post = %q\nexec_reload = %q",
				sh(own("pre"), ":"), sh(own("post"), ":"), sh(own("stop"), ":"), sh(own("stop-post"), ":"), sh(own("reload"), ":")),
			"[health]", `type = "exec"`, fmt.Sprintf("target = %q", sh(own("probe"), ":"))))
		in.write(own("notify"), file(own("notify"), sh(own("notify"), "exec "+acts(t, "tell", "READY=1", "be", quiet)), keys, `type = "notify"`, `watchdog = "1h"`))
		in.write(own("line"), file(own("line"), sh(own("line"), "echo >&3; exec sleep 100000"), keys, "notify_fd = 3"))
		in.write(own("timed"), file(own("timed"), sh(own("timed"), ":"), keys, "oneshot = true", "[timer]", `on_boot = "1ms"`))
		std := "0\n1\n2\n3\n" // the last one is that of ls
		stopping := []string{"SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS", "MAINPID"}
		births = append(births, birth{own("main"), std, nil}, birth{own("pre"), std, nil}, birth{own("post"), std, []string{"MAINPID"}},
			birth{own("probe"), std, []string{"MAINPID"}}, birth{own("reload"), std, []string{"MAINPID"}},
			birth{own("stop"), std, stopping}, birth{own("stop-post"), std, stopping},
			birth{own("notify"), std, []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}},
			birth{own("line"), std + "4\n", nil}, birth{own("timed"), std, nil})
	}
	// The keeper has signals that are ignored, descriptors that it was not told of, and
	// variables that others have meant for it.
	in.alter = func(cmd *exec.Cmd) {
		cmd.Args = append([]string{"sh", "-c", `trap "" HUP PIPE USR1 QUIT; exec 5</dev/null 7>/dev/null; exec "$0" "$@"`}, cmd.Args...)
		cmd.Args[3] = cmd.Path
		cmd.Path = "/bin/sh"
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET=/nowhere", "WATCHDOG_USEC=1000000", "WATCHDOG_PID=1", "LISTEN_FDS=1", "LISTEN_PID=1", "MAINPID=1", "GOTRACEBACK=none")
	}
	in.launch()
	in.waitState("plain prepared plain-notify prepared-notify plain-line prepared-line", "running")
	in.replaceServer()
	in.waitState("plain prepared", "running")
	for _, kind := range []string{"plain", "prepared"} {
		if err := in.dial().SignalReload(shortly(t), kind); err != nil {
			t.Fatal(err)
		}
		in.text(kind + "-reload.status")
	}
	in.must("stop", "plain", "prepared")
	in.waitState("plain prepared", "exited")
	for _, b := range births {
		status := in.text(b.name + ".status")
		for _, key := range []string{"SigBlk:", "SigIgn:"} {
			_, rest, _ := strings.Cut(status, key)
			if line, _, _ := strings.Cut(rest, "\n"); strings.TrimSpace(line) != "0000000000000000" {
				t.Errorf("%s: %s%s", b.name, key, line)
			}
		}
		if fds := in.text(b.name + ".fd"); fds != b.fds {
			t.Errorf("%s has the descriptors %q", b.name, strings.Fields(fds))
		}
		allowed := append([]string{"PWD", "OLDPWD", "SHLVL", "_", "GOTRACEBACK"}, b.more...)
		for _, kv := range in.env {
			name, _, _ := strings.Cut(kv, "=")
			allowed = append(allowed, name)
		}
		for line := range strings.Lines(in.text(b.name + ".env")) {
			name, _, ok := strings.Cut(line, "=")
			if ok && !slices.Contains(allowed, name) {
				t.Errorf("%s has %s", b.name, strings.TrimSpace(line))
			}
		}
	}
}
