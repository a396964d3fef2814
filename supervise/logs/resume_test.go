package logs

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zinit/supervise/logs/pump"
)

// left is all that there is to tell, without waiting.
func left(t testing.TB, f *Follower) (lines []Line) {
	t.Helper()
	f.hub.refresh(nil)
	for again := true; again; {
		var more []Line
		v, _, _ := f.hub.look()
		more, again = f.read(v)
		again = again || len(more) > 0
		lines = append(lines, more...)
	}
	if f.dropped != 0 {
		t.Errorf("%d bytes are dropped", f.dropped)
	}
	return lines
}

// reopened is the log of "web" as an earlier server left it.
func reopened(t testing.TB, log, idx []byte) *Logs {
	t.Helper()
	dir := t.TempDir()
	for ext, b := range map[string][]byte{".log": log, ".idx": idx} {
		if err := os.WriteFile(filepath.Join(dir, "web"+ext), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, _ := open(t, "")
	l.dir = dir // this way it is not watched: the kernel takes its time to end a watch
	l.Configure("web", Options{})
	return l
}

// resumes checks that following at each cursor tells what is behind it.
func resumes(t testing.TB, l *Logs, lines []Line, most int64) {
	t.Helper()
	for i := range lines {
		f := l.Follow("web", lines[i].Next, Query{})
		f.most = most
		// A line without a newline may be found to be over sooner or later.
		got, want := render(sorted(left(t, f))), render(sorted(lines[i+1:]))
		if got != want {
			t.Errorf("behind line %d, at %x: %.300q, want %.300q", i, lines[i].Next, got, want)
		}
		f.Close()
	}
}

func TestCursorsContinueBehindTheLine(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	tests := []struct {
		name   string
		pieces []string
		want   string
	}{
		{"nothing", nil, ""},
		{"lines", []string{"o:one\ntwo\n", "e:three\n"}, "[stdout] one|[stdout] two|[stderr] three"},
		{"order of ends", []string{"o:first", "e:second\n", "o: ends late\n"}, "[stderr] second|[stdout] first ends late"},
		{"end of a run", []string{"O:one", "Z:ended\n", "O:two\n"}, "[stdout] one|[zinit] ended|[stdout] two"},
		{"end of the last run", []string{"O:one", "E:err", "Z:ended\n"}, "[stdout] one|[stderr] err|[zinit] ended"},
		{"never whole, by no pipe", []string{"S:half", "O:one\n", "Z:torn", "E:err\n", "O:two\n"},
			"[syslog] half|[stdout] one|[zinit] torn|[stderr] err|[stdout] two"},
		{"bytes", []string{"o:a\x00b\xff\n\x00\n"}, "[stdout] a\x00b\xff|[stdout] \x00"},
		{"cut", []string{"o:" + long + long + "y\nb\n"}, "[stdout] " + long + " CUT|[stdout] " + long + " CUT|[stdout] y|[stdout] b"},
		{"cut by a byte that comes late", []string{"o:" + long, "e:e\n", "o:y\n"}, "[stdout] " + long + " CUT|[stderr] e|[stdout] y"},
		{"just not cut", []string{"o:" + long, "e:e\n", "o:\ny\n"}, "[stderr] e|[stdout] " + long + "|[stdout] y"},
		{"cut among others", []string{"o:" + long, "e:e\n", "o:" + long + "y", "e:f\n", "o:z", "e:g\n", "o:\n"},
			"[stdout] " + long + " CUT|[stderr] e|[stdout] " + long + " CUT|[stderr] f|[stderr] g|[stdout] yz"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			st := script(t, test.pieces...)
			log, idx := readStore(t, st)
			for _, most := range []int64{chunk, 20 << 10} {
				l := reopened(t, log, idx)
				f := follow(t, l, 0, Query{})
				f.most = most
				lines := left(t, f)
				if got := render(lines); got != test.want && most == chunk && len(log) < chunk {
					t.Errorf("it tells %.300q, want %.300q", got, test.want)
				}
				if got := render(sorted(lines)); got != render(sorted(left(t, follow(t, l, Last, Query{})))) {
					t.Errorf("the last are others than all: %.300q", got)
				}
				resumes(t, l, lines, most)
			}
		})
	}
}

func sorted(lines []Line) []Line {
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b Line) int { return int(a.Stream) - int(b.Stream) })
	return lines
}

// readStore is the files of a store that was made by script.
func readStore(t testing.TB, st *pump.Store) (log, idx []byte) {
	t.Helper()
	v, err := st.View()
	if err != nil {
		t.Fatal(err)
	}
	log = make([]byte, v.Size)
	if _, err := v.ReadAt(log, 0); v.Size > 0 && err != nil {
		t.Fatal(err)
	}
	segs, _ := v.Segments(0, v.Size, 0)
	return log, intents(segs)
}

// intents is the index of segments.
func intents(segs []pump.Segment) []byte {
	var b bytes.Buffer
	for _, s := range segs {
		meta := uint64(s.Time.UnixMilli())<<8 | uint64(s.Stream)
		if s.Fresh {
			meta |= 4
		}
		for _, v := range []uint64{uint64(s.Off), meta} {
			for range 8 {
				b.WriteByte(byte(v))
				v >>= 8
			}
		}
	}
	return b.Bytes()
}

// A client follows, loses its connection and goes on at its cursor.
type client struct {
	f     *Follower
	lines []Line
	at    int64
}

func (c *client) read(t testing.TB, r *rand.Rand) {
	if r.IntN(3) == 0 {
		c.f.most = 1 + r.Int64N(300)
	}
	lines := left(t, c.f)
	if len(lines) > 0 && r.IntN(2) == 0 {
		lines = lines[:r.IntN(len(lines)+1)] // the rest is lost with the connection
		c.keep(lines)
		c.f.Close()
		c.f = c.f.logs.Follow("web", c.at, Query{})
		return
	}
	c.keep(lines)
	if c.at != c.f.Cursor() {
		t.Fatalf("the last line has the cursor %x, the follower %x", c.at, c.f.Cursor())
	}
}

func (c *client) keep(lines []Line) {
	if c.lines = append(c.lines, lines...); len(lines) > 0 {
		c.at = lines[len(lines)-1].Next
	}
}

// A story is a service that writes at random, and what it has written.
type story struct {
	t    testing.TB
	r    *rand.Rand
	l    *Logs
	dir  string
	run  uint64
	w    [2]*os.File // nil: closed
	keep [2]*os.File // as the keeper holds them
	size int64
	text [pump.Streams][]string // of each stream; the last one is not ended
}

func (s *story) start() {
	s.run++
	p, err := s.l.Pipes("web", s.run)
	if err != nil {
		s.t.Fatal(err)
	}
	s.w = [2]*os.File{p.Stdout, p.Stderr}
	for i, f := range p.Keep {
		s.keep[i] = dup(s.t, f)
	}
	s.l.Start("web", s.run)
}

func (s *story) write(i int, text string) {
	if s.w[i] == nil {
		return
	}
	if _, err := s.w[i].WriteString(text); err != nil {
		s.t.Fatal(err)
	}
	s.wrote(i, text)
}

// wrote notes a text down and waits until it is in the store.
func (s *story) wrote(i int, text string) {
	s.size += int64(len(text))
	s.text[i][len(s.text[i])-1] += text
	last := s.text[i][len(s.text[i])-1]
	s.text[i] = append(s.text[i][:len(s.text[i])-1], strings.Split(last, "\n")...)
	st := s.l.services["web"].store
	eventually(s.t, "all is in the store", func() bool {
		v, err := st.View()
		return err == nil && v.Size == s.size
	})
}

func (s *story) close(i int) {
	if s.w[i] == nil {
		return
	}
	s.w[i].Close()
	s.keep[i].Close()
	s.w[i] = nil
	if n := len(s.text[i]); s.text[i][n-1] != "" {
		s.text[i] = append(s.text[i], "")
		s.size++ // the store ends the line
	}
	st := s.l.services["web"].store
	eventually(s.t, "the end is seen", func() bool {
		v, err := st.View()
		return err != nil || !v.Open[i]
	})
}

func (s *story) end() {
	s.close(0)
	s.close(1)
	s.l.Ended("web", s.run)
}

// restart is another server.
func (s *story) restart() {
	s.l.Close()
	s.l, _ = open(s.t, s.dir)
	s.l.Configure("web", Options{})
	for i := range s.w {
		if s.w[i] != nil {
			s.l.Adopt("web", s.run, i+1, dup(s.t, s.keep[i]))
		}
	}
}

// step does something at random.
func (s *story) step() (restarted bool) {
	words := []string{"a\n", "b", "cd\nef", "\n", "\r\n", "\x00", "\xff\n", strings.Repeat("x", 40<<10), "g\nh\ni"}
	switch n := s.r.IntN(20); {
	case n < 14:
		s.write(s.r.IntN(2), words[s.r.IntN(len(words))])
	case n < 16:
		s.l.Append("web", fmt.Sprint("note ", s.size))
		s.wrote(int(Zinit), fmt.Sprint("note ", s.size, "\n"))
	case n < 17:
		s.close(s.r.IntN(2))
	case n < 18:
		s.end()
		s.start()
	case n < 19:
		s.restart()
		return true
	}
	return false
}

// want is the lines of a stream as they are told in the end.
func (s *story) want(i int) (lines []string) {
	for _, text := range s.text[i][:len(s.text[i])-1] {
		for len(text) > MaxLine {
			lines = append(lines, text[:MaxLine])
			text = text[MaxLine:]
		}
		lines = append(lines, strings.TrimSuffix(text, "\r"))
	}
	return lines
}

// difference is where two lists of lines differ.
func difference(got, want []string) string {
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	short := func(lines []string) (out []string) {
		for _, s := range lines[max(0, min(i-1, len(lines))):min(i+3, len(lines))] {
			out = append(out, fmt.Sprintf("%.20q of %d", s, len(s)))
		}
		return out
	}
	return fmt.Sprintf("%d lines, want %d; about %d: %s, want %s", len(got), len(want), i, short(got), short(want))
}

// TestFollowersLoseAndDoubleNothing lets clients follow a service that writes,
// ends, begins again, over servers that come and go, and lose their connections.
func TestFollowersLoseAndDoubleNothing(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := &story{t: t, r: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir()}
			for i := range s.text {
				s.text[i] = []string{""}
			}
			s.l, _ = open(t, s.dir)
			s.l.Configure("web", Options{BufferBytes: 64 << 20})
			s.start()
			clients := make([]client, 4)
			for i := range clients {
				clients[i].f = s.l.Follow("web", 0, Query{})
			}
			for range 120 {
				if s.step() {
					for i := range clients {
						clients[i].f.Close()
						clients[i].f = s.l.Follow("web", clients[i].at, Query{})
					}
				}
				for i := range clients {
					if s.r.IntN(1+2*i) == 0 {
						clients[i].read(t, s.r)
					}
				}
			}
			s.end()
			for n := range clients {
				c := &clients[n]
				for range 100 {
					c.read(t, s.r)
				}
				c.keep(left(t, c.f))
				c.f.Close()
				var got [pump.Streams][]string
				for _, line := range c.lines {
					got[line.Stream] = append(got[line.Stream], string(line.Text))
				}
				for i := range got {
					if want := s.want(i); !slices.Equal(got[i], want) {
						t.Errorf("client %d, stream %d: %s", n, i, difference(got[i], want))
					}
				}
			}
		})
	}
}

func TestForeignCursorsAreForAnotherLog(t *testing.T) {
	st := script(t, "o:one\n", "e:two\n")
	log, idx := readStore(t, st)
	for _, test := range []struct {
		cursor int64
		want   string
	}{
		{0, "[stdout] one|[stderr] two"},
		{4, "[stderr] two"},
		{8, ""},
		{9, "[stdout] one|[stderr] two"},
		{2, "[stdout] e|[stderr] two"},
		{4 | 1<<toldShift, "[stderr] two"},
		{8 | 15<<toldShift, ""},
		{1 << 62, "[stdout] one|[stderr] two"},
		{-3, "[stdout] one|[stderr] two"},
	} {
		f := follow(t, reopened(t, log, idx), test.cursor, Query{})
		if got := render(left(t, f)); got != test.want {
			t.Errorf("at %x: %q, want %q", test.cursor, got, test.want)
		}
	}
	l, _ := open(t, t.TempDir())
	l.Configure("web", Options{})
	f := l.Follow("web", 4, Query{}) // before there is a byte
	defer f.Close()
	l.Append("web", "first")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if lines, dropped, err := f.Next(ctx); render(lines) != "[zinit] first" || dropped != 0 || err != nil {
		t.Errorf("a new log: %q, %d, %v", render(lines), dropped, err)
	}
}
