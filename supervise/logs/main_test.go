package logs

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"zinit/supervise/logs/pump"
)

// TestMain lets the test binary be the server that is killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "logs-child" {
		logsChild(os.Args[2], os.Args[3])
	}
	if len(os.Args) > 1 && os.Args[1] == "rotate-child" {
		rotateChild(os.Args[2], os.Args[3])
	}
	os.Exit(m.Run())
}

// eventually waits until a fact is true.
func eventually(t testing.TB, what string, fact func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(time.Minute)
	defer end.Stop()
	for !fact() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("never came true: %s", what)
		}
	}
}

// releases collects what was released.
type releases struct {
	mu    sync.Mutex
	names []string
}

func (r *releases) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = append(r.names, name)
}

func (r *releases) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.names, " ")
}

func open(t testing.TB, dir string) (*Logs, *releases) {
	t.Helper()
	var r releases
	l, err := Open(dir, r.add)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, &r
}

// start begins a run of the service and returns its write ends.
func start(t testing.TB, l *Logs, service string, run uint64) Pipes {
	t.Helper()
	p, err := l.Pipes(service, run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stdout.Close()
		p.Stderr.Close()
	})
	l.Start(service, run)
	return p
}

// say writes a text and waits until the service's log ends with it.
func say(t testing.TB, l *Logs, service string, w *os.File, text string) {
	t.Helper()
	if _, err := w.WriteString(text); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	last := lines[len(lines)-1]
	eventually(t, "the log has "+last, func() bool {
		got, err := l.Tail(service, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range got {
			if strings.HasSuffix(string(line.Text), last) {
				return true
			}
		}
		return false
	})
}

// show renders lines as "[stream] text", with marks for cut and partial ones.
func show(t testing.TB, l *Logs, service string, n int) string {
	t.Helper()
	lines, err := l.Tail(service, n)
	if err != nil {
		t.Fatal(err)
	}
	return render(lines)
}

func render(lines []Line) string {
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('|')
		}
		fmt.Fprintf(&b, "[%s] %s", line.Stream, line.Text)
		if line.Cut {
			b.WriteString(" CUT")
		}
		if line.Partial {
			b.WriteString(" PARTIAL")
		}
	}
	return b.String()
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Stderr = os.Stderr
	return cmd
}

// tailBy is tail, with another size to begin with.
func tailBy(st *pump.Store, n int, size int64) ([]Line, error) {
	r, err := readEnd(st, n, size)
	lines := r.lines()
	return lines[max(0, len(lines)-max(n, 0)):], err
}
