package pump

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLastLineOfAStreamGetsItsNewline(t *testing.T) {
	tests := []struct {
		name     string
		out, err string // written one after the other
		adopt    bool   // by another server, which sees nothing but the ends
		store    string
	}{
		{"nothing", "", "", false, ""},
		{"ended", "one\n", "two\n", false, "stdout:one\n|stderr:two\n"},
		{"one", "", "two", false, "stderr:two\n"},
		{"the last", "one\n", "two", false, "stdout:one\n|stderr:two\n"},
		{"the first", "one", "two\n", false, "stdout:one|stderr:two\n|stdout:\n"},
		{"both", "one", "two", false, "stdout:one|stderr:two|stdout:\n|stderr:\n"},
		{"both, found again", "one", "two", true, "stdout:one|stderr:two|stdout:\n|stderr:\n"},
		{"ended, found again", "one\n", "two\n", true, "stdout:one\n|stderr:two\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			p := startPump(t, dir, time.Minute, func() {})
			st := NewStore(dir, "web")
			t.Cleanup(func() { st.Close() })
			var ends [2]*os.File
			var keep [2]int
			var sources [2]*Source
			for i, text := range []string{test.out, test.err} {
				var err error
				ends[i], sources[i] = pipe(t, p, st, Stream(i), nil)
				if keep[i], err = unix.Dup(sources[i].fd); err != nil {
					t.Fatal(err)
				}
				write(t, ends[i], text)
				eventually(t, "it is moved", func() bool { return strings.Contains(content(st), text) })
			}
			if test.adopt {
				p.Close()
				st.Close()
				p, st = startPump(t, dir, time.Minute, func() {}), NewStore(dir, "web")
			}
			for i := range ends {
				ends[i].Close()
				if test.adopt {
					sources[i] = p.NewSource(os.NewFile(uintptr(keep[i]), "reader"), st, Stream(i), 1, false, func() {})
				} else {
					unix.Close(keep[i])
				}
				sources[i].Finish()
			}
			if got := merged(streams(t, st)); got != merged(test.store) {
				t.Errorf("the store has %q, want %q", got, test.store)
			}
			if _, err := os.Stat(filepath.Join(dir, "web.log")); (err == nil) != (test.store != "") {
				t.Errorf("its file: %v", err)
			}
		})
	}
}

// merged is the text of streams with neighbours of one stream put together.
func merged(text string) string {
	for _, s := range []string{"stdout:", "stderr:"} {
		parts := strings.Split(text, "|")
		for i := len(parts) - 1; i > 0; i-- {
			if strings.HasPrefix(parts[i], s) && strings.HasPrefix(parts[i-1], s) {
				parts[i-1] += strings.TrimPrefix(parts[i], s)
				parts = append(parts[:i], parts[i+1:]...)
			}
		}
		text = strings.Join(parts, "|")
	}
	return text
}

// TestNewlineIsForStreamsThatAreOver: while somebody else writes the stream, the end
// of one pipe must not cut a line of the other.
func TestNewlineIsForStreamsThatAreOver(t *testing.T) {
	p := startPump(t, "", time.Minute, func() {})
	st := NewStore("", "web")
	old, oldSource := pipe(t, p, st, Stdout, nil)
	write(t, old, "old")
	eventually(t, "it is moved", func() bool { return content(st) == "old" })
	w, src := pipeOf(t, p, st, Stdout, 2, nil)
	write(t, w, "ne")
	eventually(t, "it is moved", func() bool { return content(st) == "oldne" })
	old.Close()
	oldSource.Finish()
	write(t, w, "w")
	w.Close()
	src.Finish()
	if got := content(st); got != "oldnew\n" {
		t.Errorf("the store has %q", got)
	}
}
