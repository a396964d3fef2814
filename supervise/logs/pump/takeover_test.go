package pump

import (
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEventOfAClosedPipeIsNotTakenForTheNext: the kernel gives the number of a
// descriptor again at once, and an event may be looked at late.
func TestEventOfAClosedPipeIsNotTakenForTheNext(t *testing.T) {
	p, err := makePump("", func() {}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	st := NewStore("", "web")
	old, source := pipeOf(t, p, st, Stdout, 1, nil)
	number := source.fd
	old.Close()
	events := make([]unix.EpollEvent, 4)
	n, err := unix.EpollWait(p.ep, events, -1)
	if n != 1 || err != nil {
		t.Fatalf("%d events, %v", n, err)
	}
	source.Finish()
	w, next := pipeOf(t, p, st, Stdout, 2, nil)
	if next.fd != number {
		t.Fatalf("the next pipe has number %d, want %d again", next.fd, number)
	}
	p.handle(events[0])
	go p.loop()
	t.Cleanup(p.Close)
	write(t, w, "it lives\n")
	eventually(t, "the line is moved", func() bool { return content(st) == "it lives\n" })
}

// TestLastWordsAreALineAfterATakeover: a pump that dies may leave behind the pipes
// of two runs, and what the first of them wrote last has no newline.
func TestLastWordsAreALineAfterATakeover(t *testing.T) {
	tests := []struct {
		name  string
		moved string // by the pump that dies, of the first run
		left  string // of the first run, in its pipe
		begun string // of the second, moved by the pump that dies
		rest  string
		order []int // in which the next pump adopts the two runs
		want  string
	}{
		{"moved", "last", "", "", "new\n", []int{1, 2}, "last\n|new\n"},
		{"moved, the other way round", "last", "", "", "new\n", []int{2, 1}, "last|new\n"},
		{"not moved", "", "last", "", "new\n", []int{1, 2}, "last\n|new\n"},
		{"half moved", "la", "st", "", "new\n", []int{1, 2}, "last\n|new\n"},
		{"over, but the keeper has not heard", "last\n", "", "ne", "w\n", []int{1, 2}, "last\n|new\n"},
		{"over, and the next has begun", "last", "", "ne", "w\n", []int{1, 2}, "last|new\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p, st := startPump(t, dir, time.Minute, func() {}), NewStore(dir, "web")
			keep := [3]int{}
			writers := [3]*os.File{}
			moved := ""
			for run, text := range []string{1: test.moved, 2: test.begun} {
				if run == 0 {
					continue
				}
				w, source := pipeOf(t, p, st, Stdout, uint64(run), nil)
				fd, err := unix.FcntlInt(uintptr(source.fd), unix.F_DUPFD_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				keep[run], writers[run] = fd, w
				write(t, w, text)
				moved += text
				eventually(t, "it is moved", func() bool { return content(st) == moved })
			}
			p.Close()
			st.Close()
			write(t, writers[1], test.left)
			write(t, writers[2], test.rest)
			writers[1].Close()
			writers[2].Close()
			p, st = startPump(t, dir, time.Minute, func() {}), NewStore(dir, "web")
			defer st.Close()
			for _, run := range test.order {
				p.NewSource(os.NewFile(uintptr(keep[run]), "kept"), st, Stdout, uint64(run), false, func() {}).Finish()
			}
			if got := afresh(t, st); got != test.want {
				t.Errorf("the store has %q, want %q", got, test.want)
			}
		})
	}
}

// afresh is the text of a store, divided where a line is said to begin afresh.
func afresh(t *testing.T, st *Store) (text string) {
	t.Helper()
	v, err := st.View()
	if err != nil {
		t.Fatal(err)
	}
	segs, _ := v.Segments(v.Freed, v.Size, 0)
	for i, s := range segs {
		b := make([]byte, s.End-s.Off)
		if _, err := v.ReadAt(b, s.Off); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if s.Fresh && i > 0 {
			text += "|"
		}
		text += string(b)
	}
	return text
}
