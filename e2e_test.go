package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for a fact before it fails. It is long
// because it only costs time when something is broken.
const patience = time.Minute

// program is the directory in which the binary and its links are built, once for
// all tests and only when one of them asks.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "zinit-bin-")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -E zinit/applets/pid1.entry", "-o", filepath.Join(dir, "zinit"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("cannot build: %w\n%s", err, out)
	}
	out, err := exec.Command(filepath.Join(dir, "zinit"), "--install", "-s", dir).CombinedOutput()
	if err != nil {
		return dir, fmt.Errorf("cannot make the links: %w\n%s", err, out)
	}
	// Services run as other users, too.
	return dir, os.Chmod(dir, 0o755)
})

// built tells TestMain whether there is something to remove.
var built sync.Once

func TestMain(m *testing.M) {
	if name := os.Getenv(childVar); name != "" {
		os.Exit(children[name]())
	}
	code := m.Run()
	nothing := false
	built.Do(func() { nothing = true })
	if !nothing {
		if dir, _ := program(); dir != "" {
			os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// binDir is the directory with the binary, called zinit, and its links. It is
// built at the first call.
func binDir(t testing.TB) string {
	t.Helper()
	built.Do(func() {})
	dir, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// An instance is a keeper with its server, started from the built binary with a
// configuration directory and a socket of its own. Its methods belong to the
// test's goroutine.
type instance struct {
	t      *testing.T
	dir    string          // everything of this instance, readable by all, removed at the end
	config string          // the configuration directory
	socket string          // where the server listens
	env    []string        // the environment of the keeper and of zinit; may be changed before launch
	flags  []string        // further flags of zinit-server
	mark   string          // is in the environment of every process of this instance
	alter  func(*exec.Cmd) // if not nil, sees the command of the keeper before it starts

	keeper *exec.Cmd
	ended  chan struct{} // closed when the keeper is gone and reaped
	log    *record
}

// startServer starts zinit-server on these files (name to text; a name without a
// dot gets ".toml") and returns when it listens. Further flags are handed on. At
// the end of the test it is shut down, and the test fails when a process is left.
func startServer(t *testing.T, files map[string]string, flags ...string) *instance {
	t.Helper()
	in := newInstance(t, files, flags...)
	in.launch()
	return in
}

// newInstance prepares what startServer starts, so that a test can look at a
// start that fails, or start a second time in the same place: see launch.
func newInstance(t *testing.T, files map[string]string, flags ...string) *instance {
	t.Helper()
	// Not t.TempDir: a path of a socket has at most 107 bytes.
	dir, err := os.MkdirTemp("", "zinit-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	in := &instance{
		t: t, dir: dir, flags: flags,
		config: filepath.Join(dir, "services"),
		socket: filepath.Join(dir, "zinit.sock"),
		mark:   "ZINIT_TEST_MARK=" + filepath.Base(dir),
	}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "ZINIT_") && !strings.HasPrefix(kv, "RUST_LOG=") {
			in.env = append(in.env, kv)
		}
	}
	in.env = append(in.env, in.mark)
	if err := os.Mkdir(in.config, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		in.write(name, text)
	}
	t.Cleanup(in.cleanup)
	return in
}

// write puts a file into the configuration directory.
func (in *instance) write(name, text string) {
	in.t.Helper()
	if !strings.Contains(name, ".") {
		name += ".toml"
	}
	if err := os.WriteFile(filepath.Join(in.config, name), []byte(text), 0o644); err != nil {
		in.t.Fatal(err)
	}
}

// launch starts the keeper and returns when its server listens.
func (in *instance) launch() {
	in.t.Helper()
	in.spawn()
	select {
	case <-in.log.started:
	case <-in.ended:
		in.t.Fatalf("zinit-server ended before it listened: %v", in.keeper.ProcessState)
	case <-time.After(patience):
		in.t.Fatal("zinit-server does not listen")
	}
}

// spawn starts the keeper and does not wait for its server.
func (in *instance) spawn() {
	in.t.Helper()
	if in.running() {
		in.t.Fatal("launched twice")
	}
	r, w, err := os.Pipe()
	if err != nil {
		in.t.Fatal(err)
	}
	// A file, and no writer of ours: Wait would wait for all who have it.
	args := append([]string{"-c", in.config, "-s", in.socket}, in.flags...)
	in.keeper = exec.Command(filepath.Join(binDir(in.t), "zinit-server"), args...)
	in.keeper.Env, in.keeper.Stdout, in.keeper.Stderr = in.env, w, w
	in.keeper.Dir = in.dir
	in.keeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if in.alter != nil {
		in.alter(in.keeper)
	}
	err = in.keeper.Start()
	w.Close()
	if err != nil {
		r.Close()
		in.t.Fatal(err)
	}
	in.log = newRecord(r)
	in.ended = make(chan struct{})
	keeper, ended := in.keeper, in.ended
	go func() {
		keeper.Wait() // its verdict stays in ProcessState
		close(ended)
	}()
}

// running tells whether the keeper was started and has not ended.
func (in *instance) running() bool {
	if in.ended == nil {
		return false
	}
	select {
	case <-in.ended:
		return false
	default:
		return true
	}
}

// zinit runs the command line and returns what it wrote to both streams, and its
// exit code.
func (in *instance) zinit(args ...string) (out string, code int) {
	in.t.Helper()
	// Whatever is wrong with the server, the tests do not wait for it for ever.
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binDir(in.t), "zinit"), append([]string{"--socket", in.socket}, args...)...)
	cmd.Env = in.env
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		in.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// must is zinit for what has to end with 0.
func (in *instance) must(args ...string) string {
	in.t.Helper()
	out, code := in.zinit(args...)
	if code != 0 {
		in.t.Fatalf("zinit %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// A serviceStatus is what tests look at of zinit status --json.
type serviceStatus struct {
	Name     string `json:"name"`
	Run      uint64 `json:"run"`
	Restarts int    `json:"restarts"`
	SinceMs  int64  `json:"since_ms"`
	Reason   string `json:"reason"`
	Health   string `json:"health"`
	State    struct {
		State string `json:"state"`
		PID   int    `json:"pid"`
	} `json:"state"`
}

// status is the service as the server sees it.
func (in *instance) status(service string) serviceStatus {
	in.t.Helper()
	var s serviceStatus
	if err := json.Unmarshal([]byte(in.must("status", "--json", service)), &s); err != nil {
		in.t.Fatal(err)
	}
	return s
}

// pid is the main process of a service, which must have one.
func (in *instance) pid(service string) int {
	in.t.Helper()
	s := in.status(service)
	if s.State.PID <= 0 {
		in.t.Fatalf("%s has no process, it is %s", service, s.State.State)
	}
	return s.State.PID
}

// waitState returns when all the services (one, or several with blanks between)
// are in the state. It does not poll: the server answers when it is so.
func (in *instance) waitState(services, state string) {
	in.t.Helper()
	args := append([]string{"wait", "--state", state, "--timeout", patience.String()}, strings.Fields(services)...)
	in.must(args...)
}

// kill9 kills the main process of a service and returns the run that ended with
// it, for waitRun.
func (in *instance) kill9(service string) (run uint64) {
	in.t.Helper()
	s := in.status(service)
	if s.State.PID <= 0 {
		in.t.Fatalf("%s has no process, it is %s", service, s.State.State)
	}
	if err := syscall.Kill(s.State.PID, syscall.SIGKILL); err != nil {
		in.t.Fatalf("cannot kill %s: %v", service, err)
	}
	return s.Run
}

// waitRun returns when a later run of the service than this one is running.
func (in *instance) waitRun(service string, after uint64) serviceStatus {
	in.t.Helper()
	var s serviceStatus
	in.until("a later run of "+service, func() (string, bool) {
		s = in.status(service)
		return fmt.Sprintf("run %d is %s", s.Run, s.State.State), s.Run > after && s.State.State == "running"
	})
	return s
}

// until asks every few milliseconds whether something is so, for what nobody can
// be asked to announce; the last answer is shown when it does not come to be.
func (in *instance) until(what string, so func() (last string, ok bool)) {
	in.t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for {
		last, ok := so()
		if ok {
			return
		}
		select {
		case <-again.C:
		case <-late:
			in.t.Fatalf("waited in vain for %s; last: %s", what, last)
		}
	}
}

// keeperPID is the process that was started; all others descend from it.
func (in *instance) keeperPID() int { return in.keeper.Process.Pid }

// serverPID asks the server for its own process.
func (in *instance) serverPID() int {
	in.t.Helper()
	var pong struct {
		PID int `json:"pid"`
	}
	if err := json.Unmarshal([]byte(in.must("ping", "--json")), &pong); err != nil {
		in.t.Fatal(err)
	}
	return pong.PID
}

// exit waits for the end of the keeper and returns its exit code, -1 when a
// signal ended it.
func (in *instance) exit() int {
	in.t.Helper()
	select {
	case <-in.ended:
	case <-time.After(patience):
		in.t.Fatal("zinit-server does not end")
	}
	return in.keeper.ProcessState.ExitCode()
}

// tells waits until the log has a line with all of these words; false: there is none.
// What was written by now is read a moment later.
func (in *instance) tells(words ...string) bool {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for !in.log.contains(words...) {
		select {
		case <-again.C:
		case <-late:
			return false
		}
	}
	return true
}

// shutdown ends everything by zinit shutdown and fails the test when the keeper
// does not end with 0 or a process of this instance is left behind.
func (in *instance) shutdown() {
	in.t.Helper()
	seen := descendants(in.keeperPID())
	in.must("shutdown")
	if code := in.exit(); code != 0 {
		in.t.Errorf("zinit-server ended with code %d", code)
	}
	in.nothingLeft(seen)
}

// nothingLeft fails the test when one of these processes lives, or any with the
// mark of this instance in its environment or its directory as working directory,
// and ends them. Call it when the keeper is gone.
func (in *instance) nothingLeft(seen []process) {
	in.t.Helper()
	left := slices.Concat(alive(seen), marked(in.mark), within(in.dir))
	slices.SortFunc(left, func(a, b process) int { return a.pid - b.pid })
	for _, p := range slices.CompactFunc(left, func(a, b process) bool { return a.pid == b.pid }) {
		in.t.Errorf("left behind: %s", p)
		syscall.Kill(p.pid, syscall.SIGKILL)
	}
}

// cleanup ends what the test left running, with force where it has to, and shows
// the log of a test that failed.
func (in *instance) cleanup() {
	if in.log == nil {
		return
	}
	var seen []process
	if in.running() {
		seen = descendants(in.keeperPID())
		// The usual way first: it is what leaves nothing behind.
		in.zinit("shutdown")
		select {
		case <-in.ended:
		case <-time.After(patience):
			in.t.Error("zinit-server did not end")
			in.keeper.Process.Kill()
			<-in.ended
		}
	}
	in.nothingLeft(seen)
	if in.t.Failed() {
		in.t.Logf("the log of zinit-server:\n%s", in.log)
	}
}

// A record keeps what the keeper and the server write.
type record struct {
	started chan struct{} // closed when a server said that it has started
	over    chan struct{} // closed when nobody can write any more
	w       *os.File      // of containers: where they write to

	mu   sync.Mutex
	text bytes.Buffer
}

func newRecord(r *os.File) *record {
	rec := &record{started: make(chan struct{}), over: make(chan struct{})}
	go func() {
		defer close(rec.over)
		defer r.Close()
		once := sync.OnceFunc(func() { close(rec.started) })
		lines := bufio.NewReader(r)
		for {
			line, err := lines.ReadString('\n')
			rec.mu.Lock()
			rec.text.WriteString(line)
			rec.mu.Unlock()
			if strings.Contains(line, "started") && strings.Contains(line, "socket=") {
				once()
			}
			if err != nil {
				return
			}
		}
	}()
	return rec
}

// String is everything up to now.
func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// contains tells whether the log has a line with all of these words.
func (r *record) contains(words ...string) bool {
	return slices.ContainsFunc(strings.Split(r.String(), "\n"), func(line string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	})
}
