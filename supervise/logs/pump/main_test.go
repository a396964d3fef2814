package pump

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be the process that is killed while it pumps.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "pump-child" {
		pumpChild(os.Args[2], os.Args[3])
	}
	if len(os.Args) > 1 && os.Args[1] == "flood-child" {
		floodChild(os.Args[2])
		return
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

func startPump(t testing.TB, dir string, linger time.Duration, gone func()) *Pump {
	t.Helper()
	p, err := newPump(dir, gone, linger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	watch, err := p.Watch(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	watch.Close()
	return p
}

// pipe makes a source that runs, and its write end.
func pipe(t testing.TB, p *Pump, st *Store, s Stream, done func()) (*os.File, *Source) {
	t.Helper()
	return pipeOf(t, p, st, s, 1, done)
}

// pipeOf is the same for a run.
func pipeOf(t testing.TB, p *Pump, st *Store, s Stream, run uint64, done func()) (*os.File, *Source) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	w := os.NewFile(uintptr(fds[1]), "writer")
	t.Cleanup(func() { w.Close() })
	if done == nil {
		done = func() {}
	}
	src := p.NewSource(os.NewFile(uintptr(fds[0]), "reader"), st, s, run, true, done)
	src.Start()
	return w, src
}

func write(t testing.TB, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// content is all bytes of a store, "" while it has none.
func content(st *Store) string {
	v, err := st.View()
	if err != nil {
		return ""
	}
	b := make([]byte, v.Size-v.Freed)
	if _, err := v.ReadAt(b, v.Freed); err != nil && err != io.EOF {
		return err.Error()
	}
	return string(b)
}

// streams is the bytes of a store by stream, as "stdout:text|stderr:text".
func streams(t testing.TB, st *Store) string {
	t.Helper()
	v, err := st.View()
	if err != nil {
		return ""
	}
	var out []string
	segs, _ := v.Segments(v.Freed, v.Size, 0)
	for _, s := range segs {
		b := make([]byte, s.End-s.Off)
		if _, err := v.ReadAt(b, s.Off); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		out = append(out, s.Stream.String()+":"+string(b))
	}
	return strings.Join(out, "|")
}

// numbers checks that text is the lines FROM, FROM+1, ... and returns the first
// and the last. A torn line at the beginning is passed over when torn is set.
func numbers(t *testing.T, text []byte, torn bool) (from, to int) {
	t.Helper()
	lines := bytes.Split(bytes.TrimSuffix(text, []byte{'\n'}), []byte{'\n'})
	if torn {
		lines = lines[1:]
	}
	for i, line := range lines {
		f := bytes.Fields(line)
		if len(f) != 2 || string(f[1]) != strings.Repeat("x", 20) {
			t.Fatalf("line %d is torn: %q", i, line)
		}
		n, err := strconv.Atoi(string(f[0]))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			from = n
		}
		if n != from+i {
			t.Fatalf("line %d has number %d, want %d", i, n, from+i)
		}
	}
	return from, from + len(lines) - 1
}

func pumpChild(dir, limit string) {
	n, err := strconv.ParseInt(limit, 10, 64)
	if err != nil {
		panic(err)
	}
	p, err := New(dir, func() {})
	if err != nil {
		panic(err)
	}
	st := NewStore(dir, "web")
	st.Limit(n, 1<<20)
	for i := range 2 {
		p.NewSource(os.NewFile(uintptr(3+i), "pipe"), st, Stream(i), 1, false, func() {}).Start()
	}
	select {}
}

func child(t *testing.T, dir string, limit int64, ends [2]*os.File) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "pump-child", dir, fmt.Sprint(limit))
	cmd.ExtraFiles = ends[:]
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// diskUsage is what a file takes, in bytes.
func diskUsage(t testing.TB, dir, name string) int64 {
	t.Helper()
	var s unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, name), &s); err != nil {
		t.Fatal(err)
	}
	return s.Blocks * 512
}
