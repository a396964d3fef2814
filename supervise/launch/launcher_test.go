package launch

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"zinit/reap"
	"zinit/reap/cgroup"
	"zinit/supervise/config"
)

// A desk is a keeper that notes what it is asked.
type desk struct {
	mu    sync.Mutex
	asked []string    // guarded by mu
	specs []reap.Spec // guarded by mu
	came  chan string
}

func newDesk() *desk { return &desk{came: make(chan string, 1000)} }

func (d *desk) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	d.asked = append(d.asked, text)
	d.came <- text
}

func (d *desk) Signal(key string, run uint64, sig syscall.Signal, scope reap.Scope) {
	d.note("held signal %s %d %d", key, run, sig)
}
func (d *desk) Watch(key string, run uint64, pid int) { d.note("held watch %s %d %d", key, run, pid) }
func (d *desk) Ack(string, uint64)                    {}
func (d *desk) Keep(string, *os.File) error           { return nil }
func (d *desk) Release(string)                        {}
func (d *desk) Plan([]reap.PlanStep, time.Duration)   {}
func (d *desk) Draining()                             {}
func (d *desk) Flush() bool                           { return true }
func (d *desk) Deliver(e reap.Event) {
	f := e.(reap.SpawnFailed)
	d.note("failed %s %d: %s", f.Key, f.Run, f.Text)
}

type urgentDesk struct{ *desk }

func (d urgentDesk) Spawn(s reap.Spec) {
	d.mu.Lock()
	d.specs = append(d.specs, s)
	d.mu.Unlock()
	d.note("spawn %s %d", s.Key, s.Run)
}
func (d urgentDesk) Signal(key string, run uint64, sig syscall.Signal, scope reap.Scope) {
	d.note("signal %s %d %d", key, run, sig)
}
func (d urgentDesk) Watch(key string, run uint64, pid int) { d.note("watch %s %d %d", key, run, pid) }

func launcher(t testing.TB, d *desk, environ ...string) *Launcher {
	t.Helper()
	a := files(t)
	return New(Options{Keeper: d, Urgent: urgentDesk{d}, Environ: environ, Passwd: a.passwd, Group: a.group,
		Log: slog.New(slog.DiscardHandler)})
}

func service(name string) *config.Service {
	return &config.Service{Name: name, Command: config.Command{Argv: []string{"sleep", "1"}}, InheritEnv: true}
}

func order(s *config.Service, run uint64) Order {
	return Order{Key: s.Name, Run: run, Service: s, Command: s.Command}
}

// next is what the keeper is asked next.
func (d *desk) next(t *testing.T) string {
	t.Helper()
	select {
	case text := <-d.came:
		return text
	case <-time.After(30 * time.Second):
		t.Fatal("nothing comes")
		return ""
	}
}

func TestOneKeyIsServedInOrderAndNothingBeforeFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		l := launcher(t, d)
		defer func() { l.queue.stop() }()
		a := service("a")
		l.Signal("a", 1, 15, reap.ScopeMain) // of a run that is alive: the keeper holds it
		if got := d.next(t); got != "held signal a 1 15" {
			t.Error(got)
		}
		l.Spawn(order(a, 2))
		l.Signal("a", 2, 15, reap.ScopeMain)
		l.Watch("a", 2, 7)
		l.Signal("b", 1, 9, reap.ScopeMain) // waits for nobody
		if got := d.next(t); got != "held signal b 1 9" {
			t.Error(got)
		}
		synctest.Wait()
		if len(d.came) != 0 {
			t.Fatalf("before Flush: %v", d.asked)
		}
		if l.Flush() {
			t.Error("all has left, it says")
		}
		for _, want := range []string{"spawn a 2", "signal a 2 15", "watch a 2 7"} {
			if got := d.next(t); got != want {
				t.Errorf("%s instead of %s", got, want)
			}
		}
		synctest.Wait()
		if !l.Flush() {
			t.Error("something is left, it says")
		}
	})
}

// A job that never ends is in the way of its own key alone.
func TestAJobThatHangsIsInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		defer q.stop()
		hang, done := make(chan struct{}), make(chan string, 10)
		for i := range workers + 3 {
			q.put(fmt.Sprint("hung", i), func() { <-hang })
		}
		q.put("hung0", func() { done <- "after" })
		q.put("ok", func() { done <- "ok" })
		q.release()
		if got := <-done; got != "ok" {
			t.Error(got)
		}
		close(hang)
		if got := <-done; got != "after" {
			t.Error(got)
		}
		synctest.Wait()
		if !q.release() || q.workers > workers {
			t.Errorf("%d workers are left", q.workers)
		}
	})
}

func (d *desk) only(t *testing.T) reap.Spec {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.specs) != 1 {
		t.Fatalf("%v", d.asked)
	}
	return d.specs[0]
}

func TestAnOrderBecomesAWholeSpec(t *testing.T) {
	umask, nice := uint32(0o27), 5
	caps := []int{0, 40}
	dir := t.TempDir()
	env := filepath.Join(dir, "env")
	if err := os.WriteFile(env, []byte("FILE=1\nOWN=file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		alter func(s *config.Service, o *Order)
		check func(t *testing.T, s reap.Spec)
		err   string
	}{
		{"nothing special", func(*config.Service, *Order) {}, func(t *testing.T, s reap.Spec) {
			if !filepath.IsAbs(s.Path) || s.Prep != nil || s.User != nil || s.Stdin != nil || s.Cgroup != nil || !s.Group ||
				!slices.Equal(s.Env, []string{"PATH=/bin:/usr/bin", "HOME=/root", "OWN=base"}) {
				t.Errorf("%+v", s)
			}
		}, ""},
		{"the environment", func(s *config.Service, o *Order) {
			s.EnvFiles, s.Env, o.Env = []config.EnvFile{{Path: env}}, []string{"OWN=service"}, []string{"WATCHDOG_USEC=5"}
		}, func(t *testing.T, s reap.Spec) {
			if want := "PATH=/bin:/usr/bin HOME=/root OWN=service FILE=1 WATCHDOG_USEC=5"; strings.Join(s.Env, " ") != want {
				t.Errorf("%q", s.Env)
			}
			if s.Prep == nil || !slices.Equal(s.Prep.PidVars, []string{"WATCHDOG_PID"}) {
				t.Errorf("%+v", s.Prep)
			}
		}, ""},
		{"nothing inherited", func(s *config.Service, o *Order) { s.InheritEnv = false }, func(t *testing.T, s reap.Spec) {
			if slices.Contains(s.Env, "OWN=base") || !slices.Contains(s.Env, "PATH=/bin:/usr/bin") || !slices.Contains(s.Env, "HOME=/root") {
				t.Errorf("%q", s.Env)
			}
		}, ""},
		{"a user", func(s *config.Service, o *Order) { s.Identity.User = "www" }, func(t *testing.T, s reap.Spec) {
			if s.User == nil || s.User.Uid != 33 || !slices.Contains(s.Env, "HOME=/var/www") || !slices.Contains(s.Env, "USER=www") {
				t.Errorf("%+v %q", s.User, s.Env)
			}
		}, ""},
		{"a user that inherits nothing", func(s *config.Service, o *Order) { s.Identity.User, s.InheritEnv = "bare", false }, func(t *testing.T, s reap.Spec) {
			if slices.Contains(s.Env, "HOME=/root") || !slices.Contains(s.Env, "LOGNAME=bare") {
				t.Errorf("%q", s.Env)
			}
		}, ""},
		{"a setup", func(s *config.Service, o *Order) {
			s.Setup = config.Setup{Umask: &umask, Nice: &nice, Capabilities: &caps, Rlimits: []config.Rlimit{{Resource: 7, Soft: 1, Hard: 2}}}
		}, func(t *testing.T, s reap.Spec) {
			if p := s.Prep; p == nil || *p.Umask != umask || *p.Nice != 5 || *p.Capabilities != 1<<40|1 || p.Rlimits[0] != (reap.Rlimit{Resource: 7, Soft: 1, Hard: 2}) {
				t.Errorf("%+v", p)
			}
		}, ""},
		{"standard input", func(s *config.Service, o *Order) { s.Stdin = env }, func(t *testing.T, s reap.Spec) {
			if text, err := io.ReadAll(s.Stdin); err != nil || len(text) == 0 {
				t.Errorf("%q %v", text, err)
			}
		}, ""},
		{"a guest", func(s *config.Service, o *Order) {
			s.Stdin, s.Lifecycle.KillMode, o.Guest = env, config.KillProcess, true
		}, func(t *testing.T, s reap.Spec) {
			if !s.Guest || !s.Group || s.Stdin != nil {
				t.Errorf("%+v", s)
			}
		}, ""},
		{"no file", func(s *config.Service, o *Order) { o.Command.Argv = []string{"/nothing/here"} }, nil, "/nothing/here does not exist"},
		{"no user", func(s *config.Service, o *Order) { s.Identity.User = "nobody" }, nil, "user nobody does not exist"},
		{"no dir", func(s *config.Service, o *Order) { s.Dir = "/nothing" }, nil, "dir /nothing does not exist: make it"},
		{"no directory", func(s *config.Service, o *Order) { s.Dir = env }, nil, "dir " + env + " is not a directory"},
		{"no env_file", func(s *config.Service, o *Order) { s.EnvFiles = []config.EnvFile{{Path: "/nothing"}} }, nil, "env_file /nothing does not exist"},
		{"no stdin", func(s *config.Service, o *Order) { s.Stdin = "/nothing" }, nil, "cannot open stdin /nothing: no such file or directory: correct the path"},
		{"no tty", func(s *config.Service, o *Order) { s.Stdin, s.TTY = config.StdinTTY, "/nothing" }, nil, "cannot open tty /nothing: no such file or directory: name a terminal"},
		{"no limits", func(s *config.Service, o *Order) { s.Limits.TasksMax, s.RequiresLimits = 5, true }, nil,
			"a limit cannot be put in force: tasks_max: there are no cgroups: make the controller available, or set requires_limits = false"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk()
			l := launcher(t, d, "PATH=/bin:/usr/bin", "HOME=/root", "OWN=base")
			defer l.queue.stop()
			l.uid = 0
			s := service("a")
			o := order(s, 1)
			test.alter(s, &o)
			l.Spawn(o)
			l.Flush()
			got := d.next(t)
			if test.err != "" {
				if !strings.HasPrefix(got, "failed a 1: "+test.err) {
					t.Error(got)
				}
				return
			}
			if got != "spawn a 1" {
				t.Fatal(got)
			}
			test.check(t, d.only(t))
		})
	}
}

func TestWhatAnOrderHoldsIsClosedWhenItFails(t *testing.T) {
	d := newDesk()
	l := launcher(t, d)
	defer l.queue.stop()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	notify, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	s := service("a")
	o := order(s, 1)
	o.Command.Argv = []string{"/nothing"}
	o.Stdout, o.Files = w, []*os.File{other}
	l.Spawn(o)
	other.Close() // a copy has been made
	l.Flush()
	d.next(t)
	for _, f := range []*os.File{r, notify} { // the end: nobody holds the other one
		if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%d %v", n, err)
		}
	}
}

func TestAFifoIsOpenedWithoutWaiting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openAtOnce(path, os.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFL, 0)
	if errno != 0 || flags&syscall.O_NONBLOCK != 0 {
		t.Errorf("%x %v", flags, errno)
	}
}

func TestLimitsThatAreNotInForceAreNamed(t *testing.T) {
	root := t.TempDir() // no cgroup: every limit is refused
	d := newDesk()
	l := launcher(t, d)
	defer l.queue.stop()
	l.groups.tree = cgroup.At(root)
	s := service("a")
	s.Limits.MemoryMaxPercent, s.Limits.CPUWeight = 50, 200
	l.Spawn(order(s, 1))
	l.Flush()
	if got := d.next(t); got != "spawn a 1" {
		t.Fatal(got)
	}
	var names []string
	for _, r := range l.Refused("a") {
		names = append(names, r.Limit)
	}
	if !slices.Equal(names, []string{"memory_max", "cpu_weight"}) {
		t.Error(names)
	}
	if got := d.only(t).Cgroup; got == nil || got.Name() != filepath.Join(root, "a.svc") || l.Cgroup("a") != got.Name() {
		t.Errorf("%v", got)
	}
	s.RequiresLimits = true
	l.Spawn(order(s, 2))
	l.Flush()
	if got := d.next(t); !strings.HasPrefix(got, "failed a 2: a limit cannot be put in force: memory_max: the memory controller is not available") {
		t.Error(got)
	}
	l.Forget("a")
	l.Spawn(order(service("b"), 1)) // of another key; both are done when the queue is empty
	l.Flush()
	d.next(t)
	for !l.queue.release() {
		<-time.After(time.Millisecond)
	}
	if _, err := os.Stat(filepath.Join(root, "a.svc")); !os.IsNotExist(err) || l.Refused("a") != nil {
		t.Error(err)
	}
}

func TestTheGroupsOfAnEarlierServerAreTidiedUp(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"old.svc", "old.svc/below", "lives.svc", "new.svc", "keeper"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d := newDesk()
	l := New(Options{Keeper: d, Urgent: urgentDesk{d}, Tree: cgroup.At(root), Log: slog.New(slog.DiscardHandler)})
	defer l.queue.stop()
	l.groups.note("new", cgroup.Limits{}, nil, 0) // a process of it is about to be born there
	l.Tidy(map[string]bool{"lives": true})
	l.Flush()
	for !l.queue.release() {
		<-time.After(time.Millisecond)
	}
	list, err := os.ReadDir(root)
	var left []string
	for _, e := range list {
		left = append(left, e.Name())
	}
	if err != nil || !slices.Equal(left, []string{"keeper", "lives.svc", "new.svc"}) {
		t.Errorf("%v %v", left, err)
	}
}

// The kernel counts from the making of a cgroup on: what it killed before a server took
// over is not that server's news.
func TestAServiceOfAnEarlierServerIsKnownToBeOutOfMemory(t *testing.T) {
	root := t.TempDir()
	kills := func(service string, n int) {
		t.Helper()
		dir := filepath.Join(root, service+".svc")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "memory.events"), fmt.Appendf(nil, "oom %d\noom_kill %d\n", n, n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kills("web", 2)
	kills("again", 0)
	l := New(Options{Keeper: newDesk(), Urgent: urgentDesk{newDesk()}, Tree: cgroup.At(root), Log: slog.New(slog.DiscardHandler)})
	defer l.queue.stop()
	l.groups.note("again", cgroup.Limits{}, nil, 0) // it was started before the others are looked at
	kills("again", 1)
	l.Tidy(map[string]bool{"web": true, "again": true, "gone": true})
	if l.OOM("web", 1) || l.OOM("gone", 1) || !l.OOM("again", 1) {
		t.Errorf("web %v, gone %v, again %v", l.OOM("web", 1), l.OOM("gone", 1), l.OOM("again", 1))
	}
	kills("web", 3)
	if !l.OOM("web", 1) {
		t.Error("web was killed for want of memory, and nobody knows")
	}
	if l.groups.entered("web") || !l.groups.entered("again") {
		t.Error("this server has set up the cgroup of one of them, and not of the other")
	}
}

func TestWhatCannotBeStartedIsFoundBefore(t *testing.T) {
	l := launcher(t, newDesk())
	good, bad := service("a"), service("b")
	bad.Command.Argv = []string{"/nothing"}
	l.Examine([]*config.Service{good, bad, {Name: "t", Target: true}})
	if l.Unfit(good) != "" || !strings.HasPrefix(l.Unfit(bad), "/nothing does not exist") {
		t.Errorf("%q %q", l.Unfit(good), l.Unfit(bad))
	}
	bad.Command.Argv = good.Command.Argv
	l.Examine([]*config.Service{bad})
	if why := l.Unfit(bad); why != "" {
		t.Error(why)
	}
}

func BenchmarkLaunch(b *testing.B) {
	d := newDesk()
	d.came = make(chan string, 1)
	l := launcher(b, d, os.Environ()...)
	defer l.queue.stop()
	s := service("a")
	b.ReportAllocs()
	for b.Loop() {
		l.Spawn(order(s, 1))
		l.Flush()
		<-d.came
	}
}

// TestCleanComesAfterWhatWasAsked, and ends where there is nothing to end.
func TestCleanComesAfterWhatWasAsked(t *testing.T) {
	for name, tree := range map[string]*cgroup.Tree{"without cgroups": nil, "with nobody there": cgroup.At(t.TempDir())} {
		d := newDesk()
		l := launcher(t, d)
		l.groups.tree = tree
		l.Spawn(order(service("a"), 1))
		done := make(chan string, 2)
		l.Clean("a", func() { done <- d.next(t) })
		select {
		case <-done:
			t.Errorf("%s: cleaned before the flush", name)
		default:
		}
		l.Flush()
		if first := <-done; first != "spawn a 1" {
			t.Errorf("%s: cleaned before %q", name, first)
		}
		l.queue.stop()
	}
}
