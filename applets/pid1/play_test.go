package pid1

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zinit/applets/env"
	"zinit/applets/pid1/host"
	"zinit/reap"
)

// The test binary plays all parts, chosen by the name it is called by: the keeper
// ("play-keeper"), the server that the keeper starts ("zinit-child"; which one, the
// environment says), and the services of that ("play-NAME"). All of them tell what
// happens in lines on standard output, which is the keeper's.
func TestMain(m *testing.M) {
	switch name := os.Args[0]; {
	case name == "play-keeper":
		os.Exit(playKeeper())
	case name == RehearsalApplet:
		os.Exit(Rehearse(surroundings(RehearsalApplet)))
	case name == "zinit-child":
		os.Exit(playServer(os.Getenv("ZINIT_PLAY")))
	case strings.HasPrefix(name, "play-"):
		playService(strings.TrimPrefix(name, "play-"))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func tell(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// playKeeper is the real thing, less patient.
func playKeeper() int {
	e := surroundings("zinit-server")
	w := ways{role: roleOf, machine: noMachine(), patience: func(role) patience {
		return patience{soft: 500 * time.Millisecond, answer: 300 * time.Millisecond, spare: 200 * time.Millisecond, own: 3 * time.Second, sweep: 3 * time.Second}
	}}
	if os.Getenv("ZINIT_PLAY_MACHINE") != "" {
		w.role = func(int, env.ServerFlags, func(string) string) role { return machine }
	}
	return start(e, env.DialectServer, w)
}

// noMachine leaves the machine that tests run on alone.
func noMachine() machinery {
	m := thisMachine()
	m.up = func(func(string, ...any)) {}
	m.down = func(time.Time, func(string, ...any)) {}
	m.asks = func() host.Cmdline { return host.Cmdline{} }
	return m
}

func surroundings(name string) *env.Env {
	return &env.Env{Args: append([]string{name}, os.Args[1:]...),
		Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, UID: os.Geteuid()}
}

// playServer is a server that runs two services, b on top of a, unless its part
// is to fail.
func playServer(part string) int {
	nth := "first"
	if marker := os.Getenv("ZINIT_PLAY_MARKER"); marker != "" {
		if _, err := os.Stat(marker); err == nil {
			nth = "later"
		}
		if err := os.WriteFile(marker, nil, 0o600); err != nil {
			return 99
		}
	}
	switch {
	case part == "exits", part == "exits later" && nth == "later":
		return 7
	case part == "dies at first" && nth == "first":
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
	c, inv, err := reap.Connect(3, 4)
	if err != nil {
		tell("server: %v", err)
		return 98
	}
	return (&serverPart{Client: c, part: part}).play(inv)
}

type serverPart struct {
	*reap.Client
	part  string
	alive map[string]uint64
}

func (s *serverPart) play(inv reap.Inventory) int {
	s.alive = map[string]uint64{}
	var known []string
	for _, c := range inv.Children {
		s.alive[c.Key] = c.Run
		known = append(known, c.Key)
	}
	slices.Sort(known)
	tell("server %d finds %v", os.Getpid(), known)
	if len(known) == 0 {
		s.spawn("a")
		s.spawn("b")
		if s.part == "leaves a stray" {
			s.spawn("forks")
		}
	}
	s.Plan([]reap.PlanStep{
		{Key: "b", Wave: 0, Signal: term, Scope: reap.ScopeGroup, Timeout: 500},
		{Key: "a", Wave: 1, Signal: term, Scope: reap.ScopeGroup, Timeout: 500},
	}, time.Second)
	s.Ready()
	tell("ready")
	for batch := range s.Events() {
		for _, e := range batch {
			if code := s.event(e); code >= 0 {
				return code
			}
		}
	}
	return 97
}

func (s *serverPart) spawn(key string) {
	out, err := unix.Dup(1)
	if err != nil {
		tell("server: %v", err)
		return
	}
	self, err := os.Executable()
	if err != nil {
		tell("server: %v", err)
		return
	}
	s.alive[key] = 1
	s.Spawn(reap.Spec{Key: key, Run: 1, Path: self, Argv: []string{"play-" + key}, Env: os.Environ(),
		Stdout: os.NewFile(uintptr(out), "stdout"), Group: true})
}

// event returns the exit code, or -1 to go on.
func (s *serverPart) event(e reap.Event) int {
	switch e := e.(type) {
	case reap.Signaled:
		if e.Signal != unix.SIGTERM && e.Signal != unix.SIGINT {
			tell("server got signal %d", e.Signal)
			if e.Signal == unix.SIGUSR1 && s.part != "stays" {
				return 0 // and leaves everything running
			}
			return -1
		}
		switch s.part {
		case "deaf":
			return -1
		case "hangs":
			s.Draining()
			tell("draining")
			return -1
		case "dies in the shutdown":
			s.Draining()
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {}
		}
		s.Draining()
		for key, run := range s.alive {
			s.Signal(key, run, unix.SIGTERM, reap.ScopeGroup)
		}
	case reap.SpawnFailed:
		tell("server: spawn of %s failed: %v %s", e.Key, e.Errno, e.Refused)
	case reap.Exited:
		delete(s.alive, e.Key)
		s.Ack(e.Key, e.Run)
	}
	if s.part != "deaf" && s.part != "hangs" && len(s.alive) == 0 {
		return 0
	}
	return -1
}

func playService(name string) {
	got := make(chan os.Signal, 4)
	signal.Notify(got, unix.SIGTERM)
	switch {
	case name == "stray":
		tell("stray %d up", os.Getpid())
		select {} // TERM is caught and dropped
	case name == "forks":
		self, err := os.Executable()
		if err != nil {
			tell("forks: %v", err)
			return
		}
		_, err = syscall.ForkExec(self, []string{"play-stray"}, &syscall.ProcAttr{Env: os.Environ(),
			Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true}})
		if err != nil {
			tell("forks: %v", err)
		}
	}
	tell("%s %d up", name, os.Getpid())
	<-got
	tell("%s stops", name)
	if name == "b" && os.Getenv("ZINIT_PLAY_STUBBORN") != "" {
		select {}
	}
}

// A stage play is a keeper that runs, seen from outside.
type play struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	seen  []string
	pids  []int // of services that came up
	ended chan struct{}
}

// enter starts a keeper. change, if not nil, sees the command before it starts.
func enter(t *testing.T, part string, change func(*exec.Cmd)) *play {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &play{t: t, lines: make(chan string, 1024), ended: make(chan struct{})}
	p.cmd = &exec.Cmd{Path: self, Args: []string{"play-keeper"}, Stdout: w, Stderr: w,
		// Under the race detector each process would wait a second before it exits.
		Env: append(os.Environ(), "ZINIT_PLAY="+part, "GORACE=atexit_sleep_ms=0")}
	if change != nil {
		change(p.cmd)
	}
	if err := p.cmd.Start(); err != nil {
		w.Close()
		r.Close()
		t.Skipf("cannot start a keeper in this way here: %v", err)
	}
	w.Close()
	go func() {
		defer close(p.lines)
		defer r.Close()
		for in := bufio.NewScanner(r); in.Scan(); {
			p.lines <- in.Text()
		}
	}()
	go func() {
		_ = p.cmd.Wait() // the state tells
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended nearly always
		<-p.ended
		for _, pid := range p.pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	})
	return p
}

const longest = 60 * time.Second

// await reads lines until one begins with the words, and gives the rest of it.
func (p *play) await(words string) string {
	p.t.Helper()
	late := time.After(longest)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("it ended without %q:\n%s", words, strings.Join(p.seen, "\n"))
			}
			p.seen = append(p.seen, line)
			var name string
			var pid int
			if n, _ := fmt.Sscanf(line, "%s %d up", &name, &pid); n == 2 && strings.HasSuffix(line, " up") {
				p.pids = append(p.pids, pid)
			}
			if rest, ok := strings.CutPrefix(line, words); ok {
				return rest
			}
		case <-late:
			p.t.Fatalf("no %q, state %v:\n%s", words, p.cmd.ProcessState, strings.Join(p.seen, "\n"))
		}
	}
}

// awaitAll reads until each of the words was seen at the beginning of a line.
func (p *play) awaitAll(words ...string) {
	p.t.Helper()
	p.awaitSince(len(p.seen), words...)
}

// awaitSince is the same, and what was seen from a line on counts, too: of two processes
// nobody knows whose line comes first.
func (p *play) awaitSince(from int, words ...string) {
	p.t.Helper()
	for _, w := range words {
		if !slices.ContainsFunc(p.seen[from:], func(l string) bool { return strings.HasPrefix(l, w) }) {
			p.await(w)
		}
	}
}

func (p *play) send(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the keeper's end, wants its code, and that nobody is left.
func (p *play) ends(code int) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(longest):
		p.t.Fatalf("the keeper does not end:\n%s", strings.Join(p.seen, "\n"))
	}
	for line := range p.lines { // its end is that the last writer is gone
		p.seen = append(p.seen, line)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("the keeper ended with %v, want %d:\n%s", p.cmd.ProcessState, code, strings.Join(p.seen, "\n"))
	}
	for _, pid := range p.pids {
		if err := unix.Kill(pid, 0); err != unix.ESRCH {
			p.t.Errorf("pid %d is left: %v", pid, err)
		}
	}
}

// before says whether a line was seen before another one.
func (p *play) before(first, second string) bool {
	i := slices.IndexFunc(p.seen, func(l string) bool { return strings.HasPrefix(l, first) })
	j := slices.IndexFunc(p.seen, func(l string) bool { return strings.HasPrefix(l, second) })
	return i >= 0 && j >= 0 && i < j
}

func (p *play) count(words string) int {
	n := 0
	for _, l := range p.seen {
		if strings.HasPrefix(l, words) {
			n++
		}
	}
	return n
}
