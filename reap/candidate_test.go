package reap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Programs that cannot take over are found out, and nothing is left of the attempt.
var candidates = scenario{keeper: func(k *keeperPlay) error {
	if k.left != nil {
		return errors.New("one was executed")
	}
	dir, err := os.MkdirTemp("", "reap")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	whole, err := os.ReadFile(self())
	if err != nil {
		return err
	}
	put := func(name string, text []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, mode); err != nil {
			panic(err)
		}
		return path
	}
	foreign := append([]byte(nil), whole...)
	foreign[18] = 0xf7 // for a BPF machine
	cases := []struct{ name, path, part, want string }{
		{"missing", filepath.Join(dir, "missing"), "", "no such file or directory"},
		{"a directory", dir, "", "is no program"},
		{"not executable", put("plain", whole, 0o600), "", "permission denied"},
		{"a script", put("script", []byte("#!/bin/sh\nexit 0\n"), 0o700), "", "is no program for this kind of machine"},
		{"empty", put("empty", nil, 0o700), "", "is no program"},
		{"for another machine", put("foreign", foreign, 0o700), "", "exec format error"},
		{"cut short", put("short", whole[:100], 0o700), "", "cannot start"},
		{"cut in the middle", put("half", whole[:len(whole)/2], 0o700), "", "half"},
		{"another program", "/bin/true", "", "ended without saying that it can take over"},
		{"one that hangs", self(), "hangs", "did not answer within 2s"},
		{"one that crashes", self(), "crashes", "something is wrong"},
		{"one that refuses", self(), "refuses", "cannot take over (exit code 7): zinit: this is too much"},
		{"one that has understood something else", self(), "other", "ended without saying"},
		{"one that does not stop talking", self(), "floods", "did not answer"},
	}
	if err := k.serveReady(); err != nil {
		return err
	}
	before := allFiles()
	for _, c := range cases {
		os.Setenv("ZINIT_TEST_CANDIDATE", c.part)
		_, err := k.Rehearse(c.path, nil, 2*time.Second)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			return fmt.Errorf("%s: %v", c.name, err)
		}
	}
	if err := k.until("nobody who rehearsed is left", func() bool { return len(k.table.Children()) == 2 }); err != nil {
		return err
	}
	if now := allFiles(); now != before {
		return fmt.Errorf("%d descriptors, there were %d", now, before)
	}
	os.Unsetenv("ZINIT_TEST_CANDIDATE")
	path := put("good", whole, 0o700)
	c, err := k.Rehearse(path, nil, patience)
	if err != nil {
		return err
	}
	if err := os.Rename(put("new", []byte("another"), 0o700), path); err != nil {
		return err
	}
	if err := k.replace(c, 1, func() map[string]string { return nil }); err == nil || !strings.Contains(err.Error(), "was replaced while it was tried") {
		return fmt.Errorf("a file that was replaced: %v", err)
	}
	k.Forward(unix.SIGTERM)
	return k.ended()
}, server: func(_ int, s *serverPlay) error {
	s.Spawn(spec("steady", 1, "p"))
	if _, err := nextEvent[Spawned](s); err != nil {
		return err
	}
	s.Ready()
	_, err := nextEvent[Signaled](s) // and nothing else before it
	return err
}}

func TestACandidateThatCannotTakeOverIsFoundOut(t *testing.T) { play(t, "candidates") }

// An exec that fails is as if nothing had happened: to the server, to signals, to the
// limits and masks of children.
var execFails = scenario{before: caught, keeper: func(k *keeperPlay) error {
	switch k.note("step") {
	case 0:
		// As if it had been started with a limit that Go raises.
		setFiles(0, &unix.Rlimit{Cur: 1000, Max: 2000})
		return k.again(1, nil)
	case 2:
		for range k.note("signals") {
			k.Forward(unix.SIGHUP)
		}
		return k.ended()
	}
	if err := k.serveReady(); err != nil {
		return err
	}
	// Neither the rehearsal nor the kernel's first look finds it out.
	bad := filepath.Join(os.TempDir(), "reap-bad-"+strconv.Itoa(os.Getpid()))
	if err := os.WriteFile(bad, []byte("text"), 0o700); err != nil {
		return err
	}
	info, err := os.Stat(bad)
	if err != nil {
		return err
	}
	for range 20 {
		err := k.replace(&Candidate{path: bad, file: info}, 99, func() map[string]string { return nil })
		if !errors.Is(err, unix.ENOEXEC) {
			return fmt.Errorf("error %v", err)
		}
	}
	if err := os.Remove(bad); err != nil { // here: what is deferred does not outlive an exec
		return err
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 1999 {
		return fmt.Errorf("the limit is %v, %v", limit, err)
	}
	k.Forward(unix.SIGUSR1)
	<-signals // the server answers
	return k.again(2, map[string]string{"signals": "1"})
}, server: func(_ int, s *serverPlay) error {
	if err := limited(s, "before"); err != nil {
		return err
	}
	s.Ready()
	if _, err := nextEvent[Signaled](s); err != nil {
		return err
	}
	if err := limited(s, "between"); err != nil {
		return err
	}
	_ = unix.Kill(os.Getppid(), firstDisturber)
	if _, err := nextEvent[Signaled](s); err != nil {
		return err
	}
	return limited(s, "after")
}}

// limited starts a child that must have the limit and the signals of the first
// program.
func limited(s *serverPlay, key string) error {
	s.Spawn(spec(key, 1, "p"))
	e, err := nextEvent[Spawned](s)
	if err != nil {
		return err
	}
	var limit unix.Rlimit
	if err := unix.Prlimit(e.Pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil || limit.Cur != 1000 || limit.Max != 2000 {
		return fmt.Errorf("%s: the limit is %v, %v", key, limit, err)
	}
	if err := wellBorn(e.Pid); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	s.Signal(key, 1, syscall.SIGKILL, ScopeMain)
	_, err = nextEvent[Exited](s)
	return err
}

func TestAFailedExecIsAsIfNothingHadHappened(t *testing.T) { play(t, "execFails") }

// The server asks, and gets one answer to each question.
var asks = scenario{keeper: func(k *keeperPlay) error {
	if k.note("step") == 1 {
		return k.ended()
	}
	k.RefuseReexec("nobody asked") // nor can, before there is a server
	if err := k.serve(); err != nil {
		return err
	}
	if _, err := next[ReexecWanted](k); err != nil {
		return err
	}
	k.RefuseReexec("not now")
	if _, err := next[ReexecWanted](k); err != nil {
		return err
	}
	return k.again(1, nil)
}, server: func(_ int, s *serverPlay) error {
	for _, want := range []string{"not now", ""} {
		s.Reexec()
		if e, err := nextEvent[Reexecuted](s); err != nil || e.Refused != want {
			return fmt.Errorf("%v: %#v", err, e)
		}
	}
	s.Spawn(spec("a", 1, "p"))
	_, err := nextEvent[Spawned](s)
	return err
}}

func TestTheServerCanAskForAnotherProgram(t *testing.T) { play(t, "asks") }

// Children of a later program are born as clean as those of the first.
var birthAgain = scenario{keeper: func(k *keeperPlay) error {
	if step := k.note("step"); step < 3 {
		return k.again(step+1, nil)
	}
	if err := k.serve(); err != nil {
		return err
	}
	return k.ended()
}, server: birth.server}

func TestAChildOfALaterProgramIsBornClean(t *testing.T) { play(t, "birthAgain") }

// What a stopped server was not told yet, it is told by a later program.
var stoppedAgain = scenario{keeper: func(k *keeperPlay) error {
	n, step := many(3000), k.note("step")
	switch step {
	case 0:
		if err := k.serveReady(); err != nil {
			return err
		}
		if err := k.SignalServer(syscall.SIGSTOP); err != nil {
			return err
		}
	case 4:
		if err := k.until("all are reaped", func() bool { return len(k.Children()) == 0 }); err != nil {
			return err
		}
		if err := k.SignalServer(syscall.SIGCONT); err != nil {
			return err
		}
		return k.ended()
	}
	for _, c := range k.Children()[:min(n/3, len(k.Children()))] {
		if err := k.Signal(c.Key, c.Run, syscall.SIGKILL, ScopeGroup); err != nil && err != unix.ESRCH {
			return err
		}
	}
	if step == 1 {
		k.Forward(syscall.SIGHUP)
	}
	return k.again(step+1, nil)
}, server: stopped.server}

func TestWhatAStoppedServerWasNotToldALaterProgramTells(t *testing.T) { play(t, "stoppedAgain") }

// A server that reads its inventory slowly gets it from several programs.
var halfTold = scenario{keeper: func(k *keeperPlay) error {
	step := k.note("step")
	switch step {
	case 0:
		if err := k.serve(); err != nil {
			return err
		}
		if err := k.ended(); err != nil {
			return err
		}
		if err := k.serve(); err != nil {
			return err
		}
		if err := eventually("the server stops", func() bool { return statusLine(k.session.pid, "State") == "T" }); err != nil {
			return err
		}
	case 3:
		if err := k.SignalServer(syscall.SIGCONT); err != nil {
			return err
		}
		return k.ended()
	}
	return k.again(step+1, nil)
}, early: func(n int) {
	if n == 2 {
		_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
	}
}, server: func(n int, s *serverPlay) error {
	const kept = 3000
	if n == 2 {
		if len(s.inv.Kept) != kept || len(s.inv.Children) != kept/10 {
			return fmt.Errorf("%d descriptors, %d children", len(s.inv.Kept), len(s.inv.Children))
		}
		for name, f := range s.inv.Kept {
			if link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd())); err != nil || !strings.HasPrefix(link, "pipe:") {
				return fmt.Errorf("%s is %s, %v", name, link, err)
			}
		}
		return nil
	}
	r, w := pipe()
	defer w.Close()
	for i := range kept {
		if err := s.Keep("kept"+strconv.Itoa(i), r); err != nil {
			return err
		}
	}
	for i := range kept / 10 {
		s.Spawn(spec(strings.Repeat("long", 200)+strconv.Itoa(i), 1, "p"))
		if _, err := nextEvent[Spawned](s); err != nil {
			return err
		}
	}
	s.sendQueued()
	return nil
}}

func TestAnInventoryIsHandedOutByWhoeverIsThere(t *testing.T) { play(t, "halfTold") }

// While a program is being executed and its file system does not answer, the keeper
// stays what it is, and goes on when that is over.
var stuck = scenario{keeper: func(k *keeperPlay) error {
	if err := k.serveReady(); err != nil {
		return err
	}
	c, err := newCandidate(self())
	if err != nil {
		return err
	}
	if err := k.replace(c, 1, func() map[string]string { return nil }); err == nil || !strings.Contains(err.Error(), "does not answer") {
		return fmt.Errorf("error %v", err)
	}
	k.Forward(unix.SIGUSR1)
	return k.ended()
}, server: func(_ int, s *serverPlay) error {
	free, err := hang(s)
	if err != nil {
		return err
	}
	defer free()
	s.Ready()
	if _, err := nextEvent[Signaled](s); err != nil {
		return err
	}
	free()
	e, err := nextEvent[Spawned](s)
	if err == nil {
		s.Signal(e.Key, e.Run, unix.SIGKILL, ScopeMain)
		_, err = nextEvent[Exited](s)
	}
	return err
}}

func TestAHungExecPutsTheReplacementOff(t *testing.T) { play(t, "stuck") }
