package server

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zinit/applets/env"
	"zinit/applets/logline"
	"zinit/reap"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/launch"
	"zinit/supervise/logs"
)

// patience bounds every wait of the tests; nothing takes that long.
const patience = time.Minute

// eventually waits for a fact that nothing announces.
func eventually(t *testing.T, what string, fact func() (string, bool)) {
	t.Helper()
	deadline := time.After(patience)
	for {
		seen, ok := fact()
		if ok {
			return
		}
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatalf("%s: not within %s: %s", what, patience, seen)
		}
	}
}

// A house is a whole server but for its processes: the supervisor, the logs and
// the socket are real, the keeper and the health checks are toys.
type house struct {
	t      *testing.T
	s      *server
	k      *toyKeeper
	path   string
	said   *safeBuffer
	ended  chan error    // what the loop returned
	waited chan struct{} // a value for each service.wait that has returned
}

// newHouse runs the services that the texts describe, in load order. A text is
// either a whole file, or "service NAME" for a plain one; the first line of a
// file may be a comment "# NAME" to say which service it is meant to be.
func newHouse(t *testing.T, texts ...string) *house {
	t.Helper()
	set := &config.Set{}
	for _, text := range texts {
		if name, plain := strings.CutPrefix(text, "service "); plain {
			text = service(name)
		}
		file := "/etc/zinit/services/" + nameIn(text) + ".toml"
		s, problems := config.Parse(file, []byte(text))
		if s != nil {
			set.Services = append(set.Services, s)
		}
		set.Problems = append(set.Problems, problems...)
	}
	h := emptyHouse(t)
	h.open(set)
	return h
}

// newStoredHouse runs the services of a configuration directory of its own, into
// which these files are written first; a name without a dot gets ".toml".
func newStoredHouse(t *testing.T, files map[string]string) *house {
	t.Helper()
	h := emptyHouse(t)
	mkdir(t, h.s.dirs.User)
	for name, text := range files {
		h.write(name, text)
	}
	h.open(h.s.firstConfig())
	return h
}

// emptyHouse is one that open is still to bring to life.
func emptyHouse(t *testing.T) *house {
	t.Helper()
	store, err := logs.Open("", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	dir := home(t)
	h := &house{t: t, k: newToyKeeper(), path: filepath.Join(dir, "s"), said: &safeBuffer{}, ended: make(chan error, 1), waited: make(chan struct{}, 100)}
	flags := env.ServerFlags{Socket: h.path, ConfigDir: filepath.Join(dir, "services")}
	h.s = newServer(flags, &place{dir: dir, lock: -1}, store, logline.New(h.said, "debug", false))
	h.s.heap.hurried = true // its settings are those of the process, and would come during other tests
	h.s.dirs.Ephemeral = filepath.Join(dir, "ephemeral")
	h.s.proxies = newYard(t).open()
	return h
}

// write puts a file into the configuration directory.
func (h *house) write(name, text string) {
	h.t.Helper()
	if !strings.Contains(name, ".") {
		name += ".toml"
	}
	write(h.t, h.s.dirs.User, map[string]string{name: text})
}

// open runs the services of a configuration, and answers.
func (h *house) open(set *config.Set) {
	h.t.Helper()
	h.s.sup = supervise.New(supervise.Options{
		Parts: supervise.Parts{
			Keeper: h.k, Logs: h.s.logs, Prober: h.k, Log: h.s.log,
		},
		Events: h.k.events,
		Hangup: h.s.hangup,
	})
	ready := make(chan struct{})
	go func() { h.ended <- h.s.sup.Run(set, reap.Inventory{}, func() { close(ready) }) }()
	<-ready
	h.serve()
	h.t.Cleanup(h.close)
}

// nameIn finds the name of a service in its text, right or wrong.
func nameIn(text string) string {
	if name, ok := strings.CutPrefix(text, "# "); ok {
		name, _, _ = strings.Cut(name, "\n")
		return name
	}
	_, name, _ := strings.Cut(text, `name = "`)
	name, _, _ = strings.Cut(name, `"`)
	return name
}

func (h *house) serve() {
	ln, err := sock.Listen(h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	table := h.s.table()
	for i := range table {
		if m := &table[i]; m.Name == sock.MethodWait {
			handle := m.Handle
			m.Handle = func(ctx context.Context, c *sock.Call) (any, error) {
				defer func() { h.waited <- struct{}{} }()
				return handle(ctx, c)
			}
		}
	}
	wire := sock.NewServer(table, sock.Options{Lines: h.s.lines, Log: slog.New(slog.DiscardHandler)})
	served := make(chan error, 1)
	go func() { served <- wire.Serve(ln) }()
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(wire.Shutdown(ctx), <-served, h.s.logs.Close()); err != nil {
			h.t.Error(err)
		}
	})
}

// close ends the loop, whatever the processes think of it.
func (h *house) close() {
	h.k.obey()
	h.s.sup.Shutdown()
	h.k.killAll()
	select {
	case <-h.s.sup.Done():
	case <-time.After(patience):
		h.t.Errorf("the loop does not end; alive are %v", h.k.alive())
	}
}

// wait returns when all services are in a state.
func (h *house) wait(names, state string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	goal, ok := supervise.ParseGoal(state)
	if !ok {
		h.t.Fatalf("no such state: %s", state)
	}
	got, err := h.s.sup.Wait(ctx, strings.Fields(names), goal, false)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, w := range got {
		switch {
		case w.View == nil:
			h.t.Fatalf("there is no service %s", w.Name)
		case !w.Reached:
			h.t.Fatalf("%s is %s (%s), want %s", w.Name, w.View.State, w.View.Reason, state)
		}
	}
}

func (h *house) names() string {
	var names []string
	for _, v := range h.s.sup.Snapshot().Views {
		names = append(names, v.Name)
	}
	return strings.Join(names, " ")
}

// says checks that a line of the server's log has a part.
func (h *house) says(part string) {
	h.t.Helper()
	if text := h.said.String(); !strings.Contains(text, part) {
		h.t.Errorf("the log does not say %q:\n%s", part, text)
	}
}

// A line is one connection.
type line struct {
	t  *testing.T
	c  net.Conn
	in *bufio.Reader
}

func (h *house) dial() *line {
	h.t.Helper()
	c, err := net.Dial("unix", h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		h.t.Fatal(err)
	}
	return &line{h.t, c, bufio.NewReader(c)}
}

// ask sends one request as it is and returns the reply as it is.
func (l *line) ask(request string) string {
	l.t.Helper()
	if _, err := l.c.Write([]byte(request + "\n")); err != nil {
		l.t.Fatal(err)
	}
	reply, err := l.in.ReadString('\n')
	if err != nil {
		l.t.Fatalf("%s: %v", request, err)
	}
	return strings.TrimSuffix(reply, "\n")
}

// safeBuffer collects what goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A toyKeeper spawns at once what is asked for. What a process does follows from
// the words of its exec line: see play. It checks health, too.
type toyKeeper struct {
	events chan []reap.Event

	mu    sync.Mutex
	procs map[string]*toy
	pids  int
	kind  bool // everybody obeys
}

type toy struct {
	reap.Spec
	pid  int
	deaf bool
}

func newToyKeeper() *toyKeeper {
	return &toyKeeper{events: make(chan []reap.Event, 10_000), procs: map[string]*toy{}, pids: 1000}
}

func (k *toyKeeper) tell(e reap.Event) { k.events <- []reap.Event{e} }

// Spawn starts a toy: "/play [WORD...]" is said on its standard output for
// "say=LINE,LINE," and its standard error for "cry=LINE,", ends it for "exit=CODE" and
// "die", and makes it "deaf" to all but SIGKILL. "/refused" cannot be executed.
func (k *toyKeeper) Spawn(o launch.Order) {
	s := o.Spec()
	k.mu.Lock()
	defer k.mu.Unlock()
	if s.Path == "/refused" {
		shut(&s)
		k.tell(reap.SpawnFailed{Key: s.Key, Run: s.Run, Errno: syscall.ENOENT, Text: "cannot execute /refused: no such file or directory"})
		return
	}
	k.pids++
	p := &toy{Spec: s, pid: k.pids}
	k.procs[s.Key] = p
	k.tell(reap.Spawned{Key: s.Key, Run: s.Run, Pid: p.pid, Start: 1})
	p.deaf = slices.Contains(s.Argv, "deaf")
	if strings.HasSuffix(s.Path, "/play") {
		go k.play(p) // who says much waits until it is read
	}
}

func (k *toyKeeper) play(p *toy) {
	for _, word := range p.Argv[1:] {
		switch key, value, _ := strings.Cut(word, "="); key {
		case "say":
			speak(p.Stdout, value)
		case "cry":
			speak(p.Stderr, value)
		case "exit":
			k.end(p, reap.ExitCode(int(value[0]-'0')))
		case "die":
			k.end(p, reap.KilledBy(syscall.SIGSEGV))
		}
	}
}

func speak(f *os.File, lines string) {
	// When the other end is closed nobody listens any more.
	_, _ = f.WriteString(strings.ReplaceAll(lines, ",", "\n"))
}

func shut(s *reap.Spec) {
	for _, f := range []*os.File{s.Stdout, s.Stderr} {
		if f != nil {
			f.Close()
		}
	}
}

func (k *toyKeeper) endLocked(p *toy, status reap.Status) {
	shut(&p.Spec)
	delete(k.procs, p.Key)
	k.tell(reap.Exited{Key: p.Key, Run: p.Run, Pid: p.pid, Status: status})
}

// end has a process end by itself, if it is still alive.
func (k *toyKeeper) end(p *toy, status reap.Status) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.procs[p.Key] == p {
		k.endLocked(p, status)
	}
}

// find is the main process of a service.
func (k *toyKeeper) find(service string) *toy {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.procs[service]
}

// Signal ends what is not deaf, at once.
func (k *toyKeeper) Signal(key string, run uint64, sig syscall.Signal, _ reap.Scope) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.procs[key]
	switch {
	case p == nil || p.Run != run, sig == syscall.SIGHUP:
	case sig == syscall.SIGKILL || k.kind || !p.deaf:
		k.endLocked(p, reap.KilledBy(sig))
	}
}

func (k *toyKeeper) obey() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kind = true
}

func (k *toyKeeper) killAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.procs {
		k.endLocked(p, reap.KilledBy(syscall.SIGKILL))
	}
}

func (k *toyKeeper) alive() (keys []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range k.procs {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (k *toyKeeper) Ack(string, uint64)                  {}
func (k *toyKeeper) Keep(string, *os.File) error         { return nil }
func (k *toyKeeper) Watch(string, uint64, int)           {}
func (k *toyKeeper) Release(string)                      {}
func (k *toyKeeper) Plan([]reap.PlanStep, time.Duration) {}
func (k *toyKeeper) Draining()                           {}
func (k *toyKeeper) Flush() bool                         { return true }

// Check answers as the port of the target has it: 1 is well, 2 is sick, 3 never
// answers.
func (k *toyKeeper) Check(h *config.Health, done func(error)) {
	switch _, port, _ := net.SplitHostPort(h.Target); port {
	case "1":
		go done(nil)
	case "2":
		go done(errors.New(h.Target + ": connect: connection refused"))
	}
}
