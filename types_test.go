package main_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Services of every type, by actors that do what such services do.

// TestAWatchdogThatIsNotFedEndsTheService with SIGABRT, and it is started again.
func TestAWatchdogThatIsNotFedEndsTheService(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	in.write("web", file("web", acts(t, "tell", "READY=1", "feed", in.path("enough"), "be", quiet),
		`type = "notify"`, `watchdog = "1s"`,
		`exec_stop_post = "sh -c 'echo $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS >>`+in.path("how")+`'"`,
		lifecycle, "restart_delay_ms = 1", "max_restarts = 0"))
	in.launch()
	in.waitState("web", "running")
	pid := in.pid("web")
	// More than a period passes: the next server gives it a whole one, too.
	in.replaceServer()
	if now := in.pid("web"); now != pid {
		t.Errorf("it was %d, it is %d", pid, now)
	}
	in.cue("enough")
	if how := in.text("how"); !strings.HasPrefix(how, "watchdog killed ABRT\n") {
		t.Errorf("it ended so: %q", how)
	}
	in.waitRun("web", 1)
	in.until("its reason in the log", func() (string, bool) {
		return in.log.String(), in.log.contains("service=web", "watchdog: no sign of life for 1s")
	})
}

// TestATimeLimitIsExtendedByWhoAsks: of two services that take long to start, the
// one that asks for more time gets it.
func TestATimeLimitIsExtendedByWhoAsks(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	in.write("asks", file("asks", acts(t, "tell", "EXTEND_TIMEOUT_USEC=60000000", "await", in.path("go"), "tell", "READY=1", "serve"),
		`type = "notify"`, noRestart, "start_timeout_ms = 3000"))
	in.write("silent", file("silent", acts(t, "await", in.path("go"), "serve"),
		`type = "notify"`, noRestart, "start_timeout_ms = 3000"))
	in.launch()
	in.waitState("silent", "failed")
	in.says("silent", "start timeout: not ready after 3s")
	if s := in.status("asks"); s.State.State != "starting" {
		t.Errorf("asks is %s", s.State.State)
	}
	in.cue("go")
	in.waitState("asks", "running")
}

// TestReadinessComesByADescriptor: what requires the service waits for the line.
func TestReadinessComesByADescriptor(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	in.write("web", file("web", acts(t, "await", in.path("go"), "line", "5", "serve"), "notify_fd = 5"))
	in.write("next", file("next", quiet, "[dependencies]", `requires = ["web"]`))
	in.launch()
	in.waitState("web", "starting")
	in.waitState("next", "blocked")
	in.until("its process", func() (string, bool) {
		now := in.status("web")
		return fmt.Sprintf("%+v", now), now.State.PID != 0
	})
	pid := in.pid("web")
	for fd, want := range map[int]string{3: os.DevNull, 4: os.DevNull, 5: "pipe:"} {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		if err != nil || !strings.HasPrefix(link, want) {
			t.Errorf("descriptor %d is %q, %v", fd, link, err)
		}
	}
	in.replaceServer()
	in.cue("go")
	in.waitState("web next", "running")
	if now := in.pid("web"); now != pid {
		t.Errorf("it was %d, it is %d", pid, now)
	}
}

// TestAnotherProcessBecomesTheMainOne when the service says so: it is the one that
// is stopped, and whose end counts.
func TestAnotherProcessBecomesTheMainOne(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	in.write("web", file("web", acts(t, "apart", "1", "serve", "write", in.path("pid"), "tell", "MAINPID=%p", "tell", "READY=1", "await", in.path("go"), "exit", "0"),
		`type = "notify"`, lifecycle, "restart_delay_ms = 1"))
	in.launch()
	in.waitState("web", "running")
	in.until("the other process", func() (string, bool) {
		text, err := os.ReadFile(in.path("pid"))
		return fmt.Sprint(in.pid("web"), err), string(text) == fmt.Sprint(in.pid("web"))
	})
	heir := in.pid("web")
	in.cue("go")
	in.until("the first process to end", func() (string, bool) {
		p, ok := processOf(heir)
		return p.String(), ok && p.parent == in.keeperPID()
	})
	in.replaceServer()
	if s := in.status("web"); s.State.PID != heir || s.Run != 1 || s.State.State != "running" {
		t.Errorf("it is %+v, not %d", s, heir)
	}
	run := in.kill9("web")
	in.waitRun("web", run)
}

// TestTheLastWordCountsBeforeTheEnd: a process names another one as the main process
// and ends at once. Of a server that is away both wait, for the next one too.
func TestTheLastWordCountsBeforeTheEnd(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	const many = 4
	var names []string
	for n := range many {
		name := fmt.Sprint("web", n)
		names = append(names, name)
		in.write(name, file(name, acts(t, "tell", "READY=1", "apart", "1", "serve", "write", in.path(name+".pid"), "await", in.path("go"+name), "tell", "MAINPID=%p", "exit", "0"),
			`type = "notify"`, lifecycle, "restart_delay_ms = 1"))
	}
	in.launch()
	in.waitState(strings.Join(names, " "), "running")
	inherits := func(name string) {
		t.Helper()
		in.until("the heir of "+name, func() (string, bool) {
			text, err := os.ReadFile(in.path(name + ".pid"))
			s := in.status(name)
			if s.Run != 1 {
				t.Fatalf("%s was started again: %+v", name, s)
			}
			return fmt.Sprintf("%+v %s %v", s, text, err), string(text) == fmt.Sprint(s.State.PID)
		})
	}
	for _, name := range names[1:] {
		in.cue("go" + name)
		inherits(name)
	}
	// The server is there, and does not get to it.
	server := in.serverPID()
	first := in.pid(names[0])
	in.send(server, syscall.SIGSTOP)
	in.cue("go" + names[0])
	in.until("the end of the first process", func() (string, bool) {
		p, ok := processOf(first)
		return p.String(), !ok
	})
	in.send(server, syscall.SIGKILL)
	in.must("ping", "--timeout", patience.String())
	inherits(names[0])
}

// TestOnlyTheMainProcessSpeaksWhereThatIsAskedFor.
func TestOnlyTheMainProcessSpeaksWhereThatIsAskedFor(t *testing.T) {
	t.Parallel()
	words := []string{"apart", "5", "tell", "READY=1", "note", "", "serve", "await", "", "tell", "STATUS=still_here", "await", "", "tell", "READY=1", "serve"}
	in := newInstance(t, nil)
	words[5], words[8], words[12] = in.path("told"), in.path("told"), in.path("go")
	in.write("strict", file("strict", acts(t, words...), `type = "notify"`, `notify_access = "main"`))
	in.write("liberal", file("liberal", acts(t, words...), `type = "notify"`))
	in.launch()
	in.waitState("liberal", "running")
	in.until("what the main process says", func() (string, bool) {
		out := in.must("status", "--json", "strict")
		return out, strings.Contains(out, "still_here")
	})
	if s := in.status("strict"); s.State.State != "starting" {
		t.Errorf("the word of another process made it %s", s.State.State)
	}
	in.cue("go")
	in.waitState("strict", "running")
}

// TestIdleServicesComeLast.
func TestIdleServicesComeLast(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	in.write("a-idle", file("idle", quiet, `type = "idle"`))
	in.write("slow", file("slow", acts(t, "await", in.path("go"), "tell", "READY=1", "serve"), `type = "notify"`))
	in.launch()
	in.waitState("slow", "starting")
	if out, _ := in.zinit("why", "idle"); !strings.Contains(out, "waiting for other services to finish starting") {
		t.Errorf("why says %s", out)
	}
	in.cue("go")
	in.waitState("slow idle", "running")
	in.until("both in the log", func() (string, bool) {
		return "", in.log.contains("service=slow run=1") && in.log.contains("service=idle run=1")
	})
	log := in.log.String()
	if a, b := strings.Index(log, "service=slow run=1"), strings.Index(log, "service=idle run=1"); b < a {
		t.Errorf("slow came up at %d, idle at %d", a, b)
	}
}

// TestWhatRemainsAfterItsExitIsUpUntilItIsStopped.
func TestWhatRemainsAfterItsExitIsUpUntilItIsStopped(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	in.write("net", file("net", "true", "oneshot = true", "remain_after_exit = true",
		`exec_stop = "sh -c 'echo down >>`+in.path("net")+`'"`))
	in.write("web", file("web", quiet, "[dependencies]", `requires = ["net"]`))
	in.launch()
	in.waitState("net web", "running")
	in.replaceServer()
	in.waitState("net web", "running")
	in.absent("net")
	in.must("stop", "net")
	in.waitState("net", "exited")
	if got := in.text("net"); got != "down\n" {
		t.Errorf("exec_stop wrote %q", got)
	}
	in.waitState("web", "blocked")
	in.must("start", "net")
	in.waitState("net web", "running")
}
