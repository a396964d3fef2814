package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// numbered writes n lines of the same length with rising numbers, many at a time.
func numbered(w io.Writer, n, each int) error {
	var b []byte
	for i := 0; i < n; {
		b = b[:0]
		for end := min(n, i+each); i < end; i++ {
			b = fmt.Appendf(b, "%09d %s\n", i, payload)
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

const payload = "the quick brown fox jumps over"

// A counter checks the lines of numbered: none twice, none torn, and none missing
// that was not dropped.
type counter struct {
	seen    [2]int // the next number
	missing int    // bytes of lines
	dropped int64
	cut     int // bytes of lines that are not whole
	before  int // bytes before a cursor, of a line that the other stream had begun there
	batch   int
}

const lineSize = 9 + 1 + len(payload) + 1

func (c *counter) take(lines []Line, dropped int64) error {
	c.dropped += dropped
	c.batch = max(c.batch, len(lines))
	for _, line := range lines {
		if line.Cut {
			c.cut += len(line.Text) + 1
			continue
		}
		number, rest, _ := bytes.Cut(line.Text, []byte{' '})
		n, err := strconv.Atoi(string(number))
		if err != nil || string(rest) != payload {
			return fmt.Errorf("a torn line: %q", line.Text)
		}
		next := &c.seen[line.Stream]
		if n < *next {
			return fmt.Errorf("line %d of %s comes after %d", n, line.Stream, *next-1)
		}
		c.missing += (n - *next) * lineSize
		*next = n + 1
	}
	if int64(c.missing) > c.dropped+int64(c.cut+c.before) {
		return fmt.Errorf("%d bytes are missing, and only %d dropped, %d in cut lines", c.missing, c.dropped, c.cut)
	}
	return nil
}

// TestFollowersAtFullSpeed: two streams are written as fast as can be, followed by
// clients that keep up, that lag, that come back again and again, and one that does
// not read at all.
func TestFollowersAtFullSpeed(t *testing.T) {
	const lines = 300000
	l, _ := open(t, t.TempDir())
	l.Configure("web", Options{BufferBytes: 256 << 10})
	p := start(t, l, "web", 1)
	stuck := follow(t, l, 0, Query{})
	var wg sync.WaitGroup
	clients := make([]counter, 5)
	for i := range clients {
		f := l.Follow("web", 0, Query{})
		wg.Go(func() {
			defer func() { f.Close() }()
			for batch := 0; ; batch++ {
				told, dropped, err := f.Next(context.Background())
				if err == nil {
					err = clients[i].take(told, dropped)
				}
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				at := told[len(told)-1].Next
				switch {
				case at == 2*lines*int64(lineSize):
					return
				case i == 1 || i == 2:
					for range 200 {
						runtime.Gosched()
					}
				case i == 3 && batch%10 == 9:
					f.Close()
					f = l.Follow("web", at, Query{})
					clients[i].before += lineSize // if it is released by now, with what follows
				}
			}
		})
	}
	before := heap()
	var writers sync.WaitGroup
	for i, w := range []*os.File{p.Stdout, p.Stderr} {
		writers.Go(func() {
			if err := numbered(w, lines, 1+i*20); err != nil {
				t.Error(err)
			}
			w.Close()
		})
	}
	writers.Wait()
	if grown := heap() - before; grown > 16<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	wg.Wait()
	l.Remove("web")
	for i := range clients {
		c := &clients[i]
		if c.batch > mostFollowed {
			t.Errorf("client %d: %d lines at once", i, c.batch)
		}
		rest := int64(2*lines-c.seen[0]-c.seen[1]) * int64(lineSize)
		if int64(c.missing)+rest > c.dropped+int64(c.cut+c.before) {
			t.Errorf("client %d: %d of %d bytes are missing, %d dropped", i, int64(c.missing)+rest, 2*lines*lineSize, c.dropped)
		}
		t.Logf("client %d: dropped %d of %d bytes, %d in cut lines", i, c.dropped, 2*lines*lineSize, c.cut)
	}
	var c counter
	for err := error(nil); err != io.EOF; {
		var some []Line
		var dropped int64
		some, dropped, err = next(t, stuck)
		if err := c.take(some, dropped); err != nil {
			t.Fatal(err)
		}
	}
	if kept := 2*lines*lineSize - int(c.dropped); kept > 256<<10 || kept < 128<<10 || max(c.seen[0], c.seen[1]) != lines {
		t.Errorf("who did not read gets %d bytes and comes to %d", kept, c.seen)
	}
}

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestFollowerBehindReleasedBytes(t *testing.T) {
	l, _ := open(t, t.TempDir())
	l.Configure("web", Options{BufferBytes: 64 << 10})
	p := start(t, l, "web", 1)
	f := follow(t, l, Now, Query{})
	say(t, l, "web", p.Stderr, "first\nbegun")
	expect(t, f, "[stderr] first")
	cursor := f.Cursor()
	say(t, l, "web", p.Stderr, ", and ended\n")
	numbered(p.Stdout, 5000, 100)
	say(t, l, "web", p.Stdout, "last\n")
	freed := l.services["web"].store.Freed()
	for name, f := range map[string]*Follower{"waiting": f, "resumed": follow(t, l, cursor, Query{})} {
		lines, dropped, err := next(t, f)
		at := int64(len("first\n"))
		if name == "waiting" {
			at += int64(len("begun"))
			if got := render(lines); got != "[stderr] begun CUT" || dropped != 0 || err != nil {
				t.Errorf("%s: %q, %d dropped, %v", name, got, dropped, err)
			}
			lines, dropped, err = next(t, f)
		}
		if len(lines) < 2 || !lines[0].Cut || lines[1].Cut || dropped != freed-at || err != nil {
			t.Errorf("%s: %.200q, %d dropped, %v, want %d", name, render(lines), dropped, err, freed-at)
		}
		for string(lines[len(lines)-1].Text) != "last" {
			if lines, dropped, err = next(t, f); dropped != 0 || err != nil {
				t.Fatalf("%s: %d dropped, %v", name, dropped, err)
			}
		}
	}
}

// TestFollowerBehindForgottenIntents: bytes are kept, but not any more whose they
// are: they count as dropped, and are not taken for those of another stream.
func TestFollowerBehindForgottenIntents(t *testing.T) {
	l, _ := open(t, t.TempDir())
	l.Configure("web", Options{BufferBytes: 64 << 10})
	p := start(t, l, "web", 1)
	st := l.services["web"].store
	f := follow(t, l, 0, Query{})
	size := int64(0)
	for i := range 3000 {
		w, text := p.Stdout, "out"
		if i%2 == 1 {
			w, text = p.Stderr, "err"
		}
		for _, part := range []string{text, "\n"} { // the streams take turns in the middle of lines
			w.WriteString(part)
			size += int64(len(part))
			for v, _ := st.View(); v.Size != size; v, _ = st.View() {
				runtime.Gosched()
			}
		}
	}
	if st.Freed() == 0 {
		t.Fatal("no intent is forgotten")
	}
	var dropped int64
	for at := int64(0); at < size; {
		lines, d, err := next(t, f)
		if dropped += d; err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if at = line.Next; !line.Cut && !strings.HasPrefix(line.Stream.String(), "std"+string(line.Text)) {
				t.Fatalf("%s has %q", line.Stream, line.Text)
			}
		}
	}
	if dropped == 0 || dropped > st.Freed() {
		t.Errorf("%d bytes are dropped, forgotten are %d", dropped, st.Freed())
	}
	tail, err := l.Tail("web", 1000)
	if err != nil || len(tail) < 500 {
		t.Errorf("%d lines in the tail, %v", len(tail), err)
	}
	for _, line := range tail {
		if !line.Cut && !strings.HasPrefix(line.Stream.String(), "std"+string(line.Text)) {
			t.Fatalf("in the tail %s has %q", line.Stream, line.Text)
		}
	}
}

// TestNobodyWatchesWhenNobodyFollows: the hub goes with its last follower.
func TestNobodyWatchesWhenNobodyFollows(t *testing.T) {
	l, _ := open(t, t.TempDir())
	start(t, l, "web", 1)
	before := runtime.NumGoroutine()
	a, b := l.Follow("web", Now, Query{}), l.Follow("web", Now, Query{})
	a.Close()
	if l.services["web"].hub == nil {
		t.Error("one follower is left without its hub")
	}
	b.Close()
	if l.services["web"].hub != nil {
		t.Error("the hub stays")
	}
	eventually(t, "its goroutine ends", func() bool { return runtime.NumGoroutine() <= before })
}

// BenchmarkFollow is a million lines, to so many followers that keep up or lag.
func BenchmarkFollow(b *testing.B) {
	for _, followers := range []int{0, 1, 10, 100} {
		b.Run(fmt.Sprintf("followers=%d", followers), func(b *testing.B) {
			for b.Loop() {
				l, err := Open(b.TempDir(), func(string) {})
				if err != nil {
					b.Fatal(err)
				}
				p, err := l.Pipes("web", 1)
				if err != nil {
					b.Fatal(err)
				}
				l.Start("web", 1)
				var wg sync.WaitGroup
				var told, dropped int64
				var mu sync.Mutex
				for range followers {
					f := l.Follow("web", Now, Query{})
					wg.Go(func() {
						defer f.Close()
						for {
							lines, d, err := f.Next(context.Background())
							mu.Lock()
							told += int64(len(lines))
							dropped += d
							mu.Unlock()
							if err != nil {
								return
							}
						}
					})
				}
				begin := time.Now()
				if err := numbered(p.Stdout, 1e6, 40); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(time.Since(begin).Seconds()*1000, "writer-ms")
				p.Stdout.Close()
				p.Stderr.Close()
				l.Ended("web", 1)
				l.Remove("web")
				wg.Wait()
				b.ReportMetric(float64(told)/float64(max(followers, 1)), "told/follower")
				b.ReportMetric(float64(dropped)/float64(max(followers, 1)), "dropped-B/follower")
				l.Close()
			}
		})
	}
}
