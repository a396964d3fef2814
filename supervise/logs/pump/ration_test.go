package pump

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRationStoresWholeLines(t *testing.T) {
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	type step struct {
		after      time.Duration // since the first
		in, stored string
		dropped    int64 // until now
	}
	for name, steps := range map[string][]step{
		"within the ration":      {{0, "a\nb\n", "a\nb\n", 0}, {0, "c\n", "c\n", 0}},
		"above it":               {{0, "a\nb\nc\nd\ne\n", "a\nb\nc\n", 2}, {0, "f\n", "", 3}},
		"a begun line is ended":  {{0, "a\nb\nc", "a\nb\nc", 0}, {0, "cc", "cc", 0}, {0, "c\nd\n", "c\n", 1}},
		"a dropped one is not":   {{0, "a\nb\nc\nd", "a\nb\nc\n", 1}, {2e9, "dd", "", 1}, {2e9, "d\ne\nf\n", "e\nf\n", 1}},
		"it fills up slowly":     {{0, "a\nb\n", "a\nb\n", 0}, {5e8, "c\nd\n", "c\nd\n", 0}, {5e8, "e\n", "", 1}},
		"and never above itself": {{0, "a\n", "a\n", 0}, {1e12, "b\nc\nd\ne\n", "b\nc\nd\n", 1}},
		"empty is shut":          {{0, "a\nb\nc\nd\n", "a\nb\nc\n", 1}, {9e8, "e\n", "", 2}, {1e9, "f\ng\nh\ni\n", "f\ng\nh\n", 3}},
	} {
		t.Run(name, func(t *testing.T) {
			r := ration{lines: 3}
			at := between
			for i, s := range steps {
				skip, keep := r.share([]byte(s.in), &at, noon.Add(s.after))
				if got := s.in[skip : skip+keep]; got != s.stored || r.dropped != s.dropped {
					t.Errorf("step %d: stored %q, dropped %d; want %q, %d", i, got, r.dropped, s.stored, s.dropped)
				}
			}
		})
	}
}

func FuzzRation(f *testing.F) {
	f.Add([]byte("a\nb\nc\nd\ne"), []byte{1, 3, 2, 200}, uint8(2))
	f.Fuzz(func(t *testing.T, text, cuts []byte, lines uint8) {
		r := ration{lines: int(lines) + 1}
		at := between
		now := time.Unix(1, 0)
		var stored []byte
		rest := text
		for i := 0; len(rest) > 0; i++ {
			n := len(rest)
			if i < len(cuts) {
				n = min(n, int(cuts[i])+1)
				now = now.Add(time.Duration(cuts[i]) * time.Millisecond)
			}
			skip, keep := r.share(rest[:n], &at, now)
			if skip < 0 || keep < 0 || skip+keep > n {
				t.Fatalf("%d bytes: skip %d, keep %d", n, skip, keep)
			}
			stored = append(stored, rest[skip:skip+keep]...)
			rest = rest[n:]
		}
		begun := func(b []byte) int64 {
			n := int64(bytes.Count(b, []byte{'\n'}))
			if len(b) > 0 && b[len(b)-1] != '\n' {
				n++
			}
			return n
		}
		if got := begun(stored) + r.dropped; got != begun(text) {
			t.Errorf("%d lines are stored or counted, of %d", got, begun(text))
		}
		seconds := now.Sub(time.Unix(1, 0)).Seconds()
		if most := float64(r.lines) * (seconds + 1); float64(begun(stored)) > most {
			t.Errorf("%d lines in %.3f s, %d a second are allowed", begun(stored), seconds, r.lines)
		}
	})
}

var droppedMark = regexp.MustCompile(`^(\d+) lines dropped until \d\d:\d\d:\d\d\.\d\d\d: more than 100 lines a second$`)

func TestFloodIsRationedAndMarked(t *testing.T) {
	p := startPump(t, t.TempDir(), linger, nil)
	st := NewStore(p.dir, "web")
	st.Ration(100)
	w, _ := pipe(t, p, st, Stdout, nil)
	const lines = 50_000
	var b strings.Builder
	for n := range lines {
		fmt.Fprintf(&b, "%d the line\n", n)
	}
	write(t, w, b.String())
	kept, dropped := 0, 0
	eventually(t, "all lines are stored or counted", func() bool {
		kept, dropped = 0, 0
		for line := range strings.Lines(content(st)) {
			line = strings.TrimSuffix(line, "\n")
			if m := droppedMark.FindStringSubmatch(line); m != nil {
				n, _ := strconv.Atoi(m[1])
				dropped += n
			} else if strings.HasSuffix(line, " the line") {
				kept++
			} else {
				t.Fatalf("a torn line: %q", line)
			}
		}
		return kept+dropped == lines
	})
	if kept < 100 || kept > 1000 {
		t.Errorf("%d lines were stored", kept)
	}
	write(t, w, "on it goes\n")
	eventually(t, "it goes on", func() bool { return strings.HasSuffix(content(st), "on it goes\n") })
	st.Ration(0)
	write(t, w, b.String())
	eventually(t, "all are stored", func() bool { return strings.Count(content(st), " the line\n") == kept+lines })
}

// What is dropped is said also when the store is closed before its time.
func TestDroppedLinesAreSaidAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	p := startPump(t, dir, linger, nil)
	st := NewStore(dir, "web")
	st.Ration(1)
	w, _ := pipe(t, p, st, Stdout, nil)
	write(t, w, "a\nb\nc\n")
	eventually(t, "it is taken", func() bool { return strings.HasPrefix(content(st), "a\n") })
	p.Close()
	st.Close()
	if got := content(NewStore(dir, "web")); !strings.HasPrefix(got, "a\n2 lines dropped until ") {
		t.Errorf("the store has %q", got)
	}
}
