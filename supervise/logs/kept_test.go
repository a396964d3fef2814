package logs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A line is not left out because its stream is silent before it, as far back as
// the request reads.
func TestRareStreamIsInTheTail(t *testing.T) {
	var pieces []string
	for i := range 60 {
		pieces = append(pieces, "o:"+strings.Repeat(fmt.Sprintf("%03d %s\n", i, strings.Repeat("x", 95)), 30))
	}
	pieces = append(pieces, "e:rare\n", "o:last\n")
	st := script(t, pieces...)
	lines, err := tail(st, 3)
	if err != nil || len(lines) != 3 || string(lines[1].Text) != "rare" || lines[1].Cut {
		t.Errorf("%s, %v", render(lines), err)
	}
}

// Lines that come one by one are kept for who lags as long as their bytes are, not
// only the last of them.
func TestLaggingFollowerGetsEveryShortLine(t *testing.T) {
	l, _ := open(t, t.TempDir())
	l.Configure("web", Options{})
	f := l.Follow("web", Now, Query{})
	defer f.Close()
	const n = 10_000
	for i := range n {
		l.Append("web", fmt.Sprint(i))
	}
	for i := 0; i < n; {
		lines, dropped, err := f.Next(t.Context())
		if dropped != 0 || err != nil {
			t.Fatalf("behind line %d: %d dropped, %v", i, dropped, err)
		}
		for _, line := range lines {
			if string(line.Text) != fmt.Sprint(i) {
				t.Fatalf("line %d is %q", i, line.Text)
			}
			i++
		}
	}
}

// A cursor holds over a restart in which the output is adopted before the service
// is configured, however much its store keeps.
func TestCursorHoldsInALargeStoreThatIsAdopted(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	o := Options{BufferBytes: 32 << 20}
	l.Configure("web", o)
	p := start(t, l, "web", 1)
	flood := strings.Repeat(strings.Repeat("x", 1023)+"\n", 16<<10)
	p.Stdout.WriteString(flood)
	say(t, l, "web", p.Stdout, "last of the first\n")
	kept := dup(t, p.Keep[0])
	l.Close()
	l, _ = open(t, dir)
	l.Adopt("web", 1, 1, kept)
	say(t, l, "web", p.Stdout, "first of the second\n")
	l.Configure("web", o)
	f := l.Follow("web", 0, Query{})
	defer f.Close()
	for n := 0; n < 16<<10+2; {
		lines, dropped, err := f.Next(t.Context())
		if n += len(lines); dropped != 0 || err != nil {
			t.Fatalf("%d lines, %d bytes dropped, %v", n, dropped, err)
		}
	}
}

// What comes behind released bytes is marked as cut when it may be what is left of a
// line, and not because nobody can be sure.
func TestOnlyAStreamThatHasWrittenMayBeCut(t *testing.T) {
	for _, begun := range []string{"", "begun"} {
		l, _ := open(t, t.TempDir())
		l.Configure("web", Options{BufferBytes: 64 << 10})
		p := start(t, l, "web", 1)
		lagging := follow(t, l, 0, Query{})
		if begun != "" {
			say(t, l, "web", p.Stderr, begun)
		}
		p.Stdout.WriteString(strings.Repeat("flood\n", 40_000))
		say(t, l, "web", p.Stdout, "flood ends\n")
		l.Append("web", "note")
		resumed := follow(t, l, follow(t, l, Now, Query{}).Cursor(), Query{})
		say(t, l, "web", p.Stderr, "rare\n")
		want := "[stderr] rare"
		if begun != "" {
			want += " CUT"
		}
		for name, f := range map[string]*Follower{"lagging": lagging, "resumed": resumed} {
			var last Line
			for last.Stream != Stderr || string(last.Text) == begun {
				lines, _, err := next(t, f)
				if err != nil {
					t.Fatal(err)
				}
				last = lines[len(lines)-1]
			}
			if got := render([]Line{last}); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		lines, err := l.Read("web", Query{Lines: 1})
		if got := render(lines); got != want || err != nil {
			t.Errorf("in the tail: %q, %v, want %q", got, err, want)
		}
	}
}

// What was released while no server kept it for the file is missing there, and
// marked.
func TestWhatIsReleasedWithoutAServerIsMarkedInTheFile(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "web.txt")
	o := Options{BufferBytes: 64 << 10, File: path}
	l, _ := open(t, dir)
	l.Configure("web", o)
	l.Append("web", "first")
	l.Flush(t.Context())
	l.Close()
	l, _ = open(t, dir)
	l.Configure("web", Options{BufferBytes: 64 << 10})
	pos, err := os.ReadFile(filepath.Join(dir, "web.pos"))
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		l.Append("web", "nobody keeps this"+strings.Repeat("x", 500))
	}
	l.Close()
	if err := os.WriteFile(filepath.Join(dir, "web.pos"), pos, 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ = open(t, dir)
	l.Configure("web", o)
	l.Append("web", "last")
	l.Flush(t.Context())
	text, err := os.ReadFile(path)
	if err != nil || !regexp.MustCompile(`^\[zinit: first\]\n\[zinit: \d+ bytes lost\]\n.*\n(\[zinit: nobody keeps thisx+\]\n)+\[zinit: last\]\n$`).Match(text) {
		t.Errorf("the file has %.200q, %v", text, err)
	}
}

// The next server reads the pipes before it knows of the log file: what the file has
// not is kept, however much comes and however little the store may keep.
func TestWhatComesBeforeTheFileIsNamedIsForTheFile(t *testing.T) {
	for _, file := range []bool{true, false} {
		dir, path := t.TempDir(), filepath.Join(t.TempDir(), "web.txt")
		l, _ := open(t, dir)
		o := Options{BufferBytes: 64 << 10, File: path}
		l.Configure("web", o)
		p := start(t, l, "web", 1)
		say(t, l, "web", p.Stdout, "first\n")
		l.Flush(t.Context())
		kept := dup(t, p.Keep[0])
		l.Close()
		l, _ = open(t, dir)
		l.Adopt("web", 1, 1, kept)
		lines := strings.Repeat("a line of the flood\n", 500_000)
		written := make(chan error, 1)
		go func() {
			_, err := p.Stdout.WriteString(lines)
			written <- err
		}()
		eventually(t, "much more is there than the store may keep", func() bool {
			got, err := l.Tail("web", 1_000_000)
			return err == nil && len(got) > 900 && got[len(got)-1].Next > 4<<20-128<<10
		})
		if !file {
			o.File = ""
		}
		l.Configure("web", o)
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		p.Stdout.Close()
		if file {
			hasFile(t, path, "first\n"+lines)
		}
		l.Close()
	}
}
