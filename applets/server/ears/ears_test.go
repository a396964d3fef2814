package ears

import (
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/notify"
)

// patience bounds every wait of the tests; nothing takes that long.
const patience = time.Minute

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
func hearing(t *testing.T, dir string, c *cellar) (*Ears, <-chan string) {
	t.Helper()
	heard := make(chan string, 16)
	tell := func(service string, n supervise.Notice) {
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
	e := New(Options{
		Dir: dir, Keeper: c, Log: slog.New(slog.DiscardHandler),
		Owner:   func(config.Identity) (int, int, error) { return -1, -1, nil },
		Belongs: func(_ string, _ int, n notify.Notice) bool { return n.FromFD || n.Pid == os.Getpid() },
		Tell:    tell,
	})
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
			c, err := net.Dial("unixgram", path)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
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
	e.Belongs = func(string, int, notify.Notice) bool { return false }
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
	next.Adopt(inv)
	hearsWord(t, heard, "web/0 alive")
	sayTo(t, socket, "STOPPING=1")
	hearsWord(t, heard, "web/0 stopping")
	if _, err := line.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	line.Close()
	hearsWord(t, heard, "db/4 ready")
}

// TestCloseDoesNotWaitForANoticeThatIsJudged: to judge one the state of the services is
// asked for, which the loop answers when it has closed the socket.
func TestCloseDoesNotWaitForANoticeThatIsJudged(t *testing.T) {
	judging, closed, judged := make(chan struct{}), make(chan struct{}), make(chan bool, 1)
	e := New(Options{Dir: t.TempDir(), Keeper: &cellar{}, Log: slog.New(slog.DiscardHandler),
		Owner: func(config.Identity) (int, int, error) { return -1, -1, nil },
		Belongs: func(string, int, notify.Notice) bool {
			close(judging)
			select {
			case <-closed:
				judged <- true
			case <-time.After(patience):
				judged <- false
			}
			return true
		},
		Tell: func(string, supervise.Notice) {}})
	e.Adopt(nil)
	v, err := e.Open(&config.Service{Name: "web", Type: config.TypeNotify}, 1)
	if err != nil {
		t.Fatal(err)
	}
	sayTo(t, v, "STOPPING=1")
	<-judging
	e.Close("web")
	close(closed)
	if !<-judged {
		t.Error("who closes waits for who waits for it")
	}
}

// TestWhatIsAdoptedDoesNotReplaceWhatARunWasGiven by this server, before it came to adopt.
func TestWhatIsAdoptedDoesNotReplaceWhatARunWasGiven(t *testing.T) {
	dir, c := t.TempDir(), &cellar{}
	svc := &config.Service{Name: "web", Type: config.TypeNotify}
	first, _ := hearing(t, dir, c)
	if _, err := first.Open(svc, 1); err != nil {
		t.Fatal(err)
	}
	left := map[string]*os.File{}
	for name, f := range c.kept {
		copied, err := pollableCopy(f)
		if err != nil {
			t.Fatal(err)
		}
		left[name] = copied
	}
	first.sockets["web"].Close()
	next, heard := hearing(t, dir, c)
	v, err := next.Open(svc, 2)
	if err != nil {
		t.Fatal(err)
	}
	fresh := next.sockets["web"]
	next.Adopt(left)
	if next.sockets["web"] != fresh {
		t.Error("the socket of the last server is taken for that of the run")
	}
	sayTo(t, v, "READY=1")
	hearsWord(t, heard, "web/0 ready")
}
