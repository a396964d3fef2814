package power

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"zinit/applets/env"
	"zinit/sock"
)

// A fake is a machine that notes what is done to it.
type fake struct {
	done   []string
	answer error    // of the server
	has    []string // its services; those that are up are stopped together
	other  bool     // process 1 is another init
	hidden bool     // what it is cannot be seen
	parent int      // of the server; 0: it cannot be seen
}

func (f *fake) machine() machine {
	note := func(what string) { f.done = append(f.done, what) }
	return machine{
		ask: f.ask,
		init: func() (bool, string) {
			if f.hidden {
				return false, ""
			}
			return !f.other, "/lib/systemd/systemd"
		},
		parent: func(int) int { return f.parent },
		signal: func(sig syscall.Signal) error { note("signal " + strconv.Itoa(int(sig))); return nil },
		force:  func(cmd uint32) error { note("force " + strconv.FormatUint(uint64(cmd), 16)); return unix.EPERM },
		leave:  func() { note("leave") },
	}
}

func (f *fake) ask(method string, params, result any) error {
	name := ""
	switch p := params.(type) {
	case sock.StartParams:
		name = p.Name
	case sock.NameParams:
		name = p.Name
	case sock.WaitParams:
		name = p.State + " " + strings.Join(p.Names, ",")
	}
	f.done = append(f.done, strings.TrimSpace(method+" "+name))
	if r, ok := result.(*sock.StoppedResult); ok {
		r.Stopped = f.has
	}
	if f.has != nil && (method == sock.MethodStart || method == sock.MethodStop) && !slices.Contains(f.has, name) {
		return sock.UnknownService(name)
	}
	return f.answer
}

func surroundings(args string) (e *env.Env, stderr *bytes.Buffer) {
	stderr = new(bytes.Buffer)
	return &env.Env{Args: strings.Fields(args), Stdout: new(bytes.Buffer), Stderr: stderr, Getenv: func(string) string { return "" }}, stderr
}

func TestTheMachineIsEndedByWhomItBelongsTo(t *testing.T) {
	refused := sock.Refuse(sock.WordNotInit, "Poweroff only available when running as PID 1")
	old := &sock.Error{Code: sock.CodeMethodNotFound, Message: "unknown method"}
	for _, c := range []struct {
		args  string
		fake  fake
		want  string
		code  int
		error string
	}{
		{"poweroff", fake{}, "system.poweroff", 0, ""},
		{"reboot", fake{}, "system.reboot", 0, ""},
		{"halt", fake{}, "system.halt", 0, ""},
		{"halt -p", fake{}, "system.poweroff", 0, ""},
		{"poweroff --reboot", fake{}, "system.reboot", 0, ""},
		{"reboot --kexec", fake{}, "system.kexec", 0, ""},
		{"reboot", fake{answer: errNoServer}, "system.reboot, signal 2", 0, ""},
		{"halt", fake{answer: old}, "system.halt, signal 37", 0, ""},
		{"poweroff", fake{answer: refused}, "system.poweroff", 1, "only available when running as PID 1"},
		{"reboot", fake{answer: errNoServer, other: true}, "system.reboot", 1, "process 1 is /lib/systemd/systemd and not zinit"},
		{"reboot", fake{answer: refused, other: true}, "system.reboot", 1, "use the command that belongs to it"},
		{"reboot", fake{answer: errNoServer, hidden: true}, "system.reboot", 1, "what process 1 is cannot be seen: be root"},
		{"reboot -f", fake{}, "force 1234567", 1, "the kernel refuses"},
		{"halt --force", fake{}, "force cdef0123", 1, "the kernel refuses"},
		{"reboot --now", fake{}, "", 2, `unexpected argument "--now"`},
	} {
		e, stderr := surroundings(c.args)
		code := command(e, c.fake.machine())
		if got := strings.Join(c.fake.done, ", "); got != c.want || code != c.code || !strings.Contains(stderr.String(), c.error) {
			t.Errorf("%s: did %q, code %d, said %s", c.args, got, code, stderr)
		}
	}
}

func TestRunlevels(t *testing.T) {
	for args, want := range map[string]string{
		"telinit 0": "system.poweroff", "telinit 6": "system.reboot", "telinit q": "service.reload",
		"telinit 1": "leave, service.stop_all, service.wait down web,rescue, service.start single, service.start rescue",
		"init S":    "leave, service.stop_all, service.wait down web,rescue, service.start single, service.start rescue",
		"telinit 3": "service.start_all, service.stop single, service.stop rescue, service.stop rescue-shell",
	} {
		f := fake{has: []string{"web", "rescue"}}
		e, stderr := surroundings(args)
		if code := telinit(e, f.machine()); code != 0 || strings.Join(f.done, ", ") != want {
			t.Errorf("%s: %v, code %d, %s", args, f.done, code, stderr)
		}
	}
	f := fake{has: []string{"web"}}
	e, stderr := surroundings("telinit 1")
	if code := telinit(e, f.machine()); code != env.ExitFailed || !strings.Contains(stderr.String(), "all is stopped, and there is no shell") {
		t.Errorf("no shell: code %d, %s", code, stderr)
	}
	for _, args := range []string{"telinit q", "telinit 1", "telinit 5"} {
		f := fake{answer: errNoServer}
		e, stderr := surroundings(args)
		if code := telinit(e, f.machine()); code != env.ExitFailed || stderr.String() != "telinit: no zinit server answers: be root, or name its socket in ZINIT_SOCKET\n" {
			t.Errorf("%s: code %d, %s", args, code, stderr)
		}
	}
	for _, args := range []string{"telinit", "telinit 7", "telinit 0 0"} {
		f := fake{}
		e, _ := surroundings(args)
		if code := telinit(e, f.machine()); code != env.ExitUsage || f.done != nil {
			t.Errorf("%s: %v, code %d", args, f.done, code)
		}
	}
	if IsTelinit([]string{"init", "-c"}) || !IsTelinit([]string{"init", "6"}) {
		t.Error("init 6 is a runlevel, init -c is not")
	}
}

func TestMoments(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 30, 10, 0, time.UTC)
	for word, want := range map[string]time.Time{
		"now": now, "+0": now, "+5": now.Add(5 * time.Minute), "12:31": time.Date(2026, 3, 4, 12, 31, 0, 0, time.UTC),
		"12:30": time.Date(2026, 3, 5, 12, 30, 0, 0, time.UTC), "0:05": time.Date(2026, 3, 5, 0, 5, 0, 0, time.UTC),
	} {
		if got, err := moment(word, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v %v, want %v", word, got, err, want)
		}
	}
	for _, word := range []string{"", "5", "+", "+-1", "+x", "24:00", "12:60", "12:3x", "12", "-1:00", "tomorrow"} {
		if got, err := moment(word, now); err == nil {
			t.Errorf("%q: %v", word, got)
		}
	}
}

func TestShutdownsFlags(t *testing.T) {
	now := time.Now()
	o, err := parse(strings.Fields("-r --no-wall +3 disk is - full -- -k"), now)
	if err != nil || o.way != wayReboot || !o.silent || o.only || o.message != "disk is - full -k" || !o.at.Equal(now.Add(3*time.Minute)) {
		t.Errorf("%+v %v", o, err)
	}
	if o, err = parse(nil, now); err != nil || o.way != wayPoweroff || !o.at.Equal(now.Add(time.Minute)) {
		t.Errorf("%+v %v", o, err)
	}
	if o, err = parse([]string{"-c", "all", "well"}, now); err != nil || !o.cancel || o.message != "all well" {
		t.Errorf("%+v %v", o, err)
	}
	for args, want := range map[string]way{"now -r": wayReboot, "now bye -r": wayReboot, "-H -h now": wayHalt, "-hH now": wayHalt,
		"-hP now": wayPoweroff, "now -h": wayPoweroff, "-rk now": wayReboot, "now --halt": wayHalt} {
		if o, err := parse(strings.Fields(args), now); err != nil || o.way != want || strings.Contains(o.message, "-") || o.only != strings.Contains(args, "k") {
			t.Errorf("%s: %+v %v", args, o, err)
		}
	}
	for _, args := range []string{"-x", "soon", "-r 5", "now -rx", "now full -x"} {
		if _, err := parse(strings.Fields(args), now); err == nil {
			t.Errorf("%s is understood", args)
		}
	}
}

// Nobody is told, and nobody waits, where it would come to nothing.
func TestAShutdownThatNobodyWouldCarryOutIsRefusedAtOnce(t *testing.T) {
	for _, f := range []fake{{answer: errNoServer, other: true}, {other: true, parent: 4711}} {
		e, _ := surroundings("shutdown")
		o := order{way: wayReboot, at: time.Now().Add(time.Hour), silent: true}
		if err := o.carryOut(e, f.machine()); err == nil || !strings.Contains(err.Error(), "and not zinit") || strings.Join(f.done, ", ") != "system.ping" {
			t.Errorf("%v, did %q", err, f.done)
		}
	}
	for _, f := range []fake{{other: true, parent: 1}, {other: true}, {parent: 4711}} {
		if err := f.machine().reach(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if parent := parentOf(os.Getpid()); parent != os.Getppid() {
		t.Errorf("the parent of this process is %d", parent)
	}
}

func TestEverybodyIsToldAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []time.Duration
		begin := time.Now()
		o := order{at: begin.Add(16*time.Minute + 30*time.Second)}
		if err := o.wait(nil, func(left time.Duration) { told = append(told, left.Round(time.Second)) }); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 16*time.Minute+30*time.Second {
			t.Errorf("it took %v", took)
		}
		s := time.Second
		want := []time.Duration{990 * s, 870 * s, 570 * s, 270 * s, 30 * s}
		if !slices.Equal(told, want) {
			t.Errorf("told %v, want %v", told, want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan os.Signal, 1)
		time.AfterFunc(90*time.Second, func() { stop <- syscall.SIGTERM })
		o := order{at: time.Now().Add(time.Hour)}
		if err := o.wait(stop, func(time.Duration) {}); !errors.Is(err, errCancelled) {
			t.Errorf("it ended with %v", err)
		}
	})
}

// The lock of a process is nothing to itself, so another one has to hold it.
func TestOneShutdownWaitsAndIsCancelled(t *testing.T) {
	if path := os.Getenv("ZINIT_TEST_CLAIM"); path != "" {
		release, err := claim(path)
		if err != nil {
			os.Stdout.WriteString(err.Error() + "\n")
			return
		}
		defer release()
		os.Stdout.WriteString("claimed\n")
		select {}
	}
	path := filepath.Join(t.TempDir(), "plan")
	if err := cancel(path); err == nil || err.Error() != "no shutdown waits" {
		t.Errorf("nothing to cancel: %v", err)
	}
	holder := func() (*exec.Cmd, string) {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestOneShutdownWaitsAndIsCancelled$")
		cmd.Env = append(os.Environ(), "ZINIT_TEST_CLAIM="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 20)
		n, err := out.Read(line)
		if err != nil {
			t.Fatal(err)
		}
		return cmd, string(line[:n])
	}
	first, said := holder()
	if said != "claimed\n" {
		t.Fatalf("the first said %q", said)
	}
	second, said := holder()
	if !strings.HasPrefix(said, "another shutdown") {
		t.Errorf("the second said %q", said)
	}
	_ = second.Wait() // whatever became of it
	if err := cancel(path); err != nil {
		t.Error(err)
	}
	if err := first.Wait(); err == nil || first.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("the first ended with %v", err)
	}
	if err := cancel(path); err == nil || err.Error() != "no shutdown waits" {
		t.Errorf("a file without a lock: %v", err)
	}
}

func TestTerminalsInUse(t *testing.T) {
	proc := t.TempDir()
	for pid, stat := range map[string]string{
		"1": "1 (init) S 0 1 1 0 -1 4194560", "20": "20 (a) b)) S 1 20 20 1025 20 0", "21": "21 (sh) S 1 20 20 34819 20 0",
		"22": "22 (sh) S 1 20 20 34819 20 0", "23": "23 (getty) S 1 20 20 1088 20 0", "24": "24 (x)", "25": "25 (sh) S 1 2 2 1281 2",
	} {
		if err := os.Mkdir(filepath.Join(proc, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "stat"), []byte(stat+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"/dev/tty1", "/dev/pts/3", "/dev/ttyS0", "/dev/console"}
	if got := inUse(proc); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := printable("a\x1b[2Jb\tc"); got != "a?[2Jb?c" {
		t.Errorf("%q", got)
	}
}
