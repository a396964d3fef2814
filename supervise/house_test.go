package supervise

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"zinit/depgraph"
	"zinit/reap"
	"zinit/reap/reaptest"
	"zinit/supervise/config"
	"zinit/supervise/launch"
	"zinit/supervise/machine"
)

// A house is a real Supervisor with a simulated keeper, in a synctest bubble: its
// time is fake, so that seconds pass at once.
type house struct {
	t *testing.T
	s *Supervisor
	k *player
	*clinic
	ended chan error // what Run returned
	begun time.Time
}

// A clinic knows which health targets answer with an error.
type clinic struct {
	mu   sync.Mutex
	sick map[string]string // guarded by mu
	pids map[string]int    // guarded by mu; what the pid files hold
	// guessed: there are none, and pids are those that are left; guarded by mu.
	guessed bool
	way     theWay
}

// Find reads a pid file.
func (h *clinic) Find(s *config.Service, _ uint64, _ int, _ func(string), done func(Found, error)) {
	h.mu.Lock()
	pid, ok := h.pids[s.Name]
	guessed := h.guessed
	h.mu.Unlock()
	if !ok {
		done(Found{}, errors.New("there is no pid file"))
		return
	}
	time.AfterFunc(time.Millisecond, func() { done(Found{Pid: pid, Guessed: guessed}, nil) })
}

// pidFile says what the pid file of a service holds from now on.
func (h *clinic) pidFile(name string, pid int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pids == nil {
		h.pids = map[string]int{}
	}
	h.pids[name] = pid
}

// inHouse runs a test in a bubble, with a supervisor of the services that the
// lines describe; see parseService.
func inHouse(t *testing.T, lines []string, test func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.boot(services(t, lines...), h.k.inventory())
		defer h.close()
		h.pass(50 * time.Millisecond)
		test(h)
	})
}

func newHouse(t *testing.T, k *player) *house {
	h := &house{t: t, k: k, clinic: &clinic{sick: map[string]string{}}, ended: make(chan error, 1), begun: time.Now()}
	h.s = New(Options{
		Parts: Parts{
			Keeper: k, Logs: noLogs{}, Prober: h.clinic, Finder: h.clinic, Gate: h.clinic, Log: slog.New(slog.DiscardHandler),
			Unfit: func(s *config.Service) string {
				if len(s.Command.Argv) > 0 && s.Command.Argv[0] == "/missing" {
					return "/missing: no such file"
				}
				return ""
			},
		},
		Events: k.events,
	})
	return h
}

// boot runs the supervisor; it returns when the services have been asked for.
func (h *house) boot(set *config.Set, inv reap.Inventory) {
	ready := make(chan struct{})
	s, ended := h.s, h.ended
	go func() { ended <- s.Run(set, inv, func() { close(ready) }) }()
	<-ready
}

// close ends the loop as the death of the keeper does, and the keeper.
func (h *house) close() {
	h.k.close()
	<-h.s.Done()
	for _, defect := range h.k.defects() {
		h.t.Errorf("the keeper saw: %s", defect)
	}
}

// Check answers a health probe after a millisecond.
func (h *clinic) Check(c *config.Health, done func(error)) {
	h.mu.Lock()
	text := h.sick[c.Target]
	h.mu.Unlock()
	var err error
	if text != "" {
		err = errors.New(text)
	}
	time.AfterFunc(time.Millisecond, func() { done(err) })
}

// health has the checks of a target answer with text from now on; empty: well.
func (h *clinic) health(target, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sick[target] = text
}

// pass lets time pass, and everything come to rest.
func (h *house) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// states is every service with its state and its reason, in load order.
func (h *house) states() string {
	var words []string
	snap := h.s.Snapshot()
	for _, v := range snap.Views {
		word := v.Name + " " + v.State.String()
		why := v.Reason
		if v.State == (machine.Blocked{}) {
			why += "waiting on:"
			for _, b := range snap.Blockers(v.Name) {
				if b.Kind == depgraph.Conflicts {
					why = "in conflict with:"
				}
				why += " " + b.Name
			}
		}
		if why != "" {
			word += " (" + why + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// is checks the states of all services.
func (h *house) is(want string) {
	h.t.Helper()
	if got := h.states(); got != want {
		h.t.Errorf("after %s:\n it is %s\n  want %s", time.Since(h.begun), got, want)
	}
}

// did checks what the keeper was asked for since the last time.
func (h *house) did(want string) {
	h.t.Helper()
	if got := h.k.take(); got != want {
		h.t.Errorf("after %s:\n it did %s\n    want %s", time.Since(h.begun), got, want)
	}
}

// ok checks that a request was carried out, refused that it was not, with the
// code and the text.
func (h *house) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Errorf("refused: %v", err)
	}
}

func (h *house) refused(err error, code RefusalCode, text string) {
	h.t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		h.t.Errorf("not refused: %v; want %q", err, text)
		return
	}
	if r.Code != code || r.Text != text {
		h.t.Errorf("refused with %s: %q\n          want %s: %q", r.Code, r.Text, code, text)
	}
}

func (h *house) reload(lines ...string) (Changes, error) {
	return h.s.Reload(Change{Set: services(h.t, lines...)})
}

// services makes a configuration from one line for each service.
func services(t *testing.T, lines ...string) *config.Set {
	t.Helper()
	set := &config.Set{}
	for _, line := range lines {
		if name, text, bad := strings.Cut(line, ": "); bad {
			set.Problems = append(set.Problems, config.Problem{File: name + ".toml", Service: name, Severity: config.Error, Message: text})
			continue
		}
		s, err := parseService(line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		set.Services = append(set.Services, s)
	}
	return set
}

// parseService reads "NAME [KEY[=VALUE]]...". What crashes is tried again after
// 200, 400, 800 and 1000 ms, and is then given up; a run of 10 s is a good one; the
// stop timeout is 2 s.
func parseService(line string) (*config.Service, error) {
	words := strings.Fields(line)
	ms := time.Millisecond
	s := config.Default()
	s.Name, s.Source, s.Digest = words[0], words[0]+".toml", sha256.Sum256([]byte(line))
	s.Exec, s.Command.Argv = "/bin/"+words[0], []string{"/bin/" + words[0]}
	l := &s.Lifecycle
	l.RestartDelay, l.RestartDelayMax, l.MaxRestarts, l.StabilityPeriod = 200*ms, time.Second, 4, 10*time.Second
	l.StartTimeout, l.StopTimeout = 30*time.Second, 2*time.Second
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		if err := setKey(s, key, value); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// A player lets a simulated keeper live in a bubble: it delivers events when their
// time has come, in batches, and writes down what it is asked for.
type player struct {
	events  chan []reap.Event
	stop    chan struct{}
	stopped chan struct{}
	stir    chan struct{} // capacity 1

	mu   sync.Mutex
	sim  *reaptest.Sim // guarded by mu
	done []string      // guarded by mu; what was asked for, in order
	// specs are the last of each key; guarded by mu.
	specs map[string]reap.Spec
}

func newPlayer() *player {
	return playOn(reaptest.New(1, reaptest.Odds{}, time.Now()))
}

// playOn goes on with a keeper for another server.
func playOn(sim *reaptest.Sim) *player {
	k := &player{sim: sim, events: make(chan []reap.Event), stop: make(chan struct{}), stopped: make(chan struct{}), stir: make(chan struct{}, 1)}
	go k.play()
	return k
}

func (k *player) close() {
	close(k.stop)
	<-k.stopped
}

// play delivers what is due until it is stopped; then the channel is closed, as it
// is when the keeper dies.
func (k *player) play() {
	defer close(k.stopped)
	defer close(k.events)
	for {
		batch, next := k.due()
		if len(batch) > 0 {
			select {
			case k.events <- batch:
			case <-k.stop:
				return
			}
			continue
		}
		select {
		case <-time.After(next):
		case <-k.stir:
		case <-k.stop:
			return
		}
	}
}

func (k *player) due() (batch []reap.Event, next time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		at, any := k.sim.Next()
		switch {
		case !any:
			return batch, time.Hour
		case at.After(time.Now()):
			return batch, time.Until(at)
		}
		batch = append(batch, k.sim.Take()...)
	}
}

// with gives a test the simulation, at the present time.
func (k *player) with(f func(*reaptest.Sim)) {
	k.mu.Lock()
	k.sim.Now = time.Now()
	f(k.sim)
	k.mu.Unlock()
	select {
	case k.stir <- struct{}{}:
	default:
	}
}

func (k *player) note(format string, args ...any) {
	k.done = append(k.done, fmt.Sprintf(format, args...))
}

// take returns what was asked for since the last time.
func (k *player) take() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	text := strings.Join(k.done, ", ")
	k.done = nil
	return text
}

func (k *player) inventory() (inv reap.Inventory) {
	k.with(func(s *reaptest.Sim) { inv = s.Inventory() })
	return inv
}

// ends has a main process end by itself.
func (k *player) ends(t *testing.T, key string, status reap.Status) {
	t.Helper()
	k.with(func(s *reaptest.Sim) {
		if !s.End(key, status) {
			t.Errorf("%s has no main process", key)
		}
	})
}

// odds says how the processes of a key behave from the next run on.
func (k *player) odds(key string, o reaptest.Odds) {
	k.with(func(s *reaptest.Sim) {
		if s.Of == nil {
			s.Of = map[string]reaptest.Odds{}
		}
		s.Of[key] = o
	})
}

func (k *player) Spawn(o launch.Order) {
	if s := o.Spec(); s.Path != "/missing" {
		k.start(s)
		return
	}
	k.with(func(s *reaptest.Sim) { s.Fail(o.Key, o.Run, "/missing: no such file") })
}

func (k *player) start(spec reap.Spec) {
	k.with(func(s *reaptest.Sim) {
		word := ""
		if _, isHook := hookOf(spec.Key); isHook {
			word = " " + spec.Argv[0]
		}
		k.note("spawn %s%s", spec.Key, word)
		if k.specs == nil {
			k.specs = map[string]reap.Spec{}
		}
		k.specs[spec.Key] = spec
		s.Spawn(spec)
	})
}

func (k *player) Signal(key string, run uint64, sig syscall.Signal, scope reap.Scope) {
	word := map[syscall.Signal]string{syscall.SIGTERM: "TERM", syscall.SIGKILL: "KILL", syscall.SIGHUP: "HUP", syscall.SIGABRT: "ABRT"}[sig]
	k.with(func(s *reaptest.Sim) { k.note("%s %s", word, key); s.Signal(key, run, sig, scope) })
}

func (k *player) Watch(key string, run uint64, pid int) {
	k.with(func(s *reaptest.Sim) { k.note("watch %s", key); s.Watch(key, run, pid) })
}

func (k *player) Keep(string, *os.File) error { return nil }

func (k *player) Flush() bool { return true }

func (k *player) Draining() {
	k.with(func(s *reaptest.Sim) { k.note("draining"); s.Draining() })
}

func (k *player) Ack(key string, run uint64)          { k.with(func(s *reaptest.Sim) { s.Ack(key, run) }) }
func (k *player) Release(string)                      {}
func (k *player) Plan([]reap.PlanStep, time.Duration) {}

// defects is what no supervisor may have done.
func (k *player) defects() (list []string) {
	k.with(func(s *reaptest.Sim) { list = slices.Clone(s.Defects) })
	return list
}

// bubble is synctest.Test under a name that says what it is for.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}
