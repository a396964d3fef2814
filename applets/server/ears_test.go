package server

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/notify"
	"zinit/supervise/proc"
)

// A cellar keeps descriptors as the keeper does.
type cellar struct {
	mu   sync.Mutex
	kept map[string]*os.File // guarded by mu
}

func (c *cellar) Keep(name string, f *os.File) error {
	own, err := pollableCopy(f)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = map[string]*os.File{}
	}
	c.kept[name] = own
	return nil
}

func (c *cellar) Release(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.kept[name]; f != nil {
		f.Close()
		delete(c.kept, name)
	}
}

func (c *cellar) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.kept))
}

func (c *cellar) close() {
	for _, name := range c.names() {
		c.Release(name)
	}
}

// pollableCopy is another descriptor of f, which stays as it is.
func pollableCopy(f *os.File) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var dup int
	if ctl := raw.Control(func(fd uintptr) { dup, err = dupCloseOnExec(int(fd)) }); ctl != nil {
		return nil, ctl
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(dup), f.Name()), nil
}

// hearing are ears whose word comes by a channel, as "SERVICE/RUN WORDS".
func hearing(t *testing.T, dir string, c *cellar) (*ears, <-chan string) {
	t.Helper()
	heard := make(chan string, 16)
	e := newEars(dir, c, slog.New(slog.DiscardHandler))
	e.owner = func(config.Identity) (int, int, error) { return -1, -1, nil }
	e.belongs = func(_ string, n notify.Notice) bool { return n.FromFD || n.Pid == os.Getpid() }
	e.tell = func(service string, n supervise.Notice) {
		word := fmt.Sprintf("%s/%d", service, n.Run)
		for text, is := range map[string]bool{" ready": n.Ready, " alive": n.Alive, " stopping": n.Stopping} {
			if is {
				word += text
			}
		}
		if n.Status != nil {
			word += " " + *n.Status
		}
		heard <- word
	}
	t.Cleanup(func() { e.Close("web"); c.close() })
	return e, heard
}

func hearsWord(t *testing.T, heard <-chan string, want string) {
	t.Helper()
	select {
	case got := <-heard:
		if got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("heard nothing, want %q", want)
	}
}

func sayTo(t *testing.T, v supervise.Voice, text string) {
	t.Helper()
	for _, kv := range v.Env {
		if path, ok := strings.CutPrefix(kv, "NOTIFY_SOCKET="); ok {
			send(t, path, text)
			return
		}
	}
	t.Fatalf("no socket in %q", v.Env)
}

func TestASocketServesAllRunsOfAService(t *testing.T) {
	c := &cellar{}
	e, heard := hearing(t, t.TempDir(), c)
	web := &config.Service{Name: "web", Type: config.TypeNotify}
	first, err := e.Open(web, 1)
	if err != nil {
		t.Fatal(err)
	}
	sayTo(t, first, "READY=1")
	hearsWord(t, heard, "web/0 ready")
	second, err := e.Open(web, 2)
	if err != nil || !slices.Equal(first.Env, second.Env) {
		t.Errorf("the next run is told %q, %v; the one before %q", second.Env, err, first.Env)
	}
	if got := c.names(); !slices.Equal(got, []string{"notify/web"}) {
		t.Errorf("the keeper holds %q", got)
	}
	e.Close("web")
	if got := c.names(); len(got) != 0 {
		t.Errorf("the keeper still holds %q", got)
	}
}

func TestAStrangerIsNotHeard(t *testing.T) {
	c := &cellar{}
	e, heard := hearing(t, t.TempDir(), c)
	e.belongs = func(string, notify.Notice) bool { return false }
	v, err := e.Open(&config.Service{Name: "web", Type: config.TypeNotify}, 1)
	if err != nil {
		t.Fatal(err)
	}
	sayTo(t, v, "STATUS=mine")
	e.mu.Lock()
	s := e.sockets["web"]
	e.mu.Unlock()
	s.Close() // Serve has read all that came before
	select {
	case got := <-heard:
		t.Errorf("heard %q", got)
	default:
	}
}

func TestALineIsTheReadinessOfItsRun(t *testing.T) {
	c := &cellar{}
	e, heard := hearing(t, t.TempDir(), c)
	v, err := e.Open(&config.Service{Name: "web", NotifyFD: 5}, 7)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Files) != 3 {
		t.Fatalf("%d descriptors, want 3 to 5", len(v.Files))
	}
	if _, err := v.Files[2].WriteString("up\n"); err != nil {
		t.Fatal(err)
	}
	closeFiles(v.Files)
	hearsWord(t, heard, "web/7 ready")
}

// What is said while no server is there is heard by the next.
func TestTheNextServerHearsWhatWasSaidMeanwhile(t *testing.T) {
	dir, c := t.TempDir(), &cellar{}
	e, _ := hearing(t, dir, c)
	socket, err := e.Open(&config.Service{Name: "web", Type: config.TypeNotify}, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, line, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	e.mu.Lock()
	e.sockets["web"].Close() // as the death of the server does
	e.mu.Unlock()
	sayTo(t, socket, "WATCHDOG=1")
	inv := map[string]*os.File{readyName("db", 4): r}
	c.mu.Lock()
	for name, f := range c.kept {
		if inv[name], err = pollableCopy(f); err != nil {
			t.Fatal(err)
		}
	}
	c.mu.Unlock()
	next, heard := hearing(t, dir, c)
	next.adopt(inv)
	hearsWord(t, heard, "web/0 alive")
	sayTo(t, socket, "STOPPING=1")
	hearsWord(t, heard, "web/0 stopping")
	if _, err := line.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	line.Close()
	hearsWord(t, heard, "db/4 ready")
}

func TestWhoMaySpeakForAService(t *testing.T) {
	self, err := (proc.FS{}).Read(os.Getpid())
	if err != nil {
		t.Skip("needs /proc:", err)
	}
	base := speakers{
		keeper: -1,
		main:   func(string) int { return 999999999 },
		group:  func(string) ([]int, bool) { return nil, false },
		uid:    func(string) int { return 77 },
	}
	for _, c := range []struct {
		name string
		with func(*speakers)
		n    notify.Notice
		want bool
	}{
		{"the main process", func(s *speakers) { s.main = func(string) int { return self.Pid } }, notify.Notice{Pid: self.Pid}, true},
		{"its child", func(s *speakers) { s.main = func(string) int { return self.Ppid } }, notify.Notice{Pid: self.Pid}, true},
		{"one of its session", func(s *speakers) { s.main = func(string) int { return self.Session } }, notify.Notice{Pid: self.Pid}, self.Session != 0},
		{"one of its cgroup", func(s *speakers) { s.group = func(string) ([]int, bool) { return []int{self.Pid}, true } }, notify.Notice{Pid: self.Pid}, true},
		{"a stranger", func(*speakers) {}, notify.Notice{Pid: self.Pid}, false},
		{"a child of the keeper, before anybody knows the main process", func(s *speakers) {
			s.main, s.keeper = func(string) int { return 0 }, self.Ppid
		}, notify.Notice{Pid: self.Pid}, true},
		{"a stranger, before that", func(s *speakers) { s.main = func(string) int { return 0 } }, notify.Notice{Pid: self.Pid}, false},
		{"one that has ended, of the service's user", func(*speakers) {}, notify.Notice{Pid: 999999998, UID: 77}, true},
		{"one that has ended, of root", func(*speakers) {}, notify.Notice{Pid: 999999998}, true},
		{"one that has ended, of another user", func(*speakers) {}, notify.Notice{Pid: 999999998, UID: 78}, false},
		{"over its own descriptor", func(*speakers) {}, notify.Notice{FromFD: true}, true},
	} {
		sp := base
		c.with(&sp)
		if got := sp.belong("web", c.n); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}
