package logs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestLogOfAService(t *testing.T) {
	l, released := open(t, t.TempDir())
	if got := show(t, l, "web", 9); got != "" {
		t.Errorf("an unknown service has %q", got)
	}
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "ready\n")
	say(t, l, "web", p.Stderr, "warning\n")
	l.Append("web", "a note")
	say(t, l, "web", p.Stdout, "last words")
	want := "[stdout] ready|[stderr] warning|[zinit] a note|[stdout] last words"
	if got := show(t, l, "web", 9); got != want+" PARTIAL" {
		t.Errorf("while it runs: %q", got)
	}
	p.Stdout.Close()
	p.Stderr.Close()
	l.Ended("web", 1)
	l.Ended("web", 1)
	if got := show(t, l, "web", 9); got != want {
		t.Errorf("after its end: %q", got)
	}
	eventually(t, "both ends are released", func() bool {
		s := released.String()
		return s == "out/web/1/1 out/web/1/2" || s == "out/web/1/2 out/web/1/1"
	})
	p = start(t, l, "web", 2)
	say(t, l, "web", p.Stdout, "again\n")
	if got := show(t, l, "web", 9); got != want+"|[stdout] again" {
		t.Errorf("in the next run: %q", got)
	}
}

func TestFault22LastLineIsInTailWhenEndedReturns(t *testing.T) {
	l, _ := open(t, "")
	for run := range uint64(300) {
		p := start(t, l, "web", run)
		p.Stderr.WriteString("unfinished")
		p.Stdout.Close()
		p.Stderr.Close()
		l.Ended("web", run)
		lines, err := l.Tail("web", 1000)
		if err != nil || len(lines) != int(run)+1 || string(lines[run].Text) != "unfinished" {
			t.Fatalf("run %d: %d lines, %v: %q", run, len(lines), err, render(lines))
		}
	}
}

func TestFault23LongAndBinaryLines(t *testing.T) {
	l, _ := open(t, t.TempDir())
	p := start(t, l, "web", 1)
	var writer sync.WaitGroup
	writer.Go(func() {
		p.Stdout.WriteString(strings.Repeat("x", 16<<20) + "\n")
		p.Stdout.WriteString("nul \x00 bad \xff\xfe ansi \x1b[31m\n")
		p.Stdout.Close()
		p.Stderr.Close()
	})
	writer.Wait()
	l.Ended("web", 1)
	lines, err := l.Tail("web", 1000)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(lines); n < 20 || n > 66 {
		t.Fatalf("%d lines", n)
	}
	last := lines[len(lines)-1]
	if string(last.Text) != "nul \x00 bad \xff\xfe ansi \x1b[31m" || last.Cut {
		t.Errorf("the last line is %+v", last)
	}
	for i, line := range lines[:len(lines)-2] {
		if !line.Cut || len(line.Text) != MaxLine {
			t.Errorf("piece %d has %d bytes, cut %t", i, len(line.Text), line.Cut)
		}
	}
}

func TestDiscardedRunIsReleasedAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	l, released := open(t, dir)
	p, err := l.Pipes("web", 7)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stderr.Close()
	l.Discard("web", 7)
	l.Discard("web", 7)
	l.Start("web", 7)
	l.Ended("web", 7)
	if got := released.String(); got != "out/web/7/1 out/web/7/2" {
		t.Errorf("released %q", got)
	}
	if _, err := p.Stdout.WriteString("x"); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a write: %v", err)
	}
	p.Stdout.Close()
	if found, _ := os.ReadDir(dir); len(found) > 0 {
		t.Errorf("found %s", found[0].Name())
	}
}

func TestNextServerGoesOn(t *testing.T) {
	dir := t.TempDir()
	l, released := open(t, dir)
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stderr, "one\nhalf ")
	kept := dup(t, p.Keep[1])
	l.Close()
	if got := released.String(); got != "" {
		t.Errorf("Close released %q", got)
	}
	p.Stderr.WriteString("a line\n")
	l, released = open(t, dir)
	l.Configure("web", Options{})
	if got := show(t, l, "web", 9); got != "[stderr] one|[stderr] half " {
		t.Errorf("before it reads: %q", got)
	}
	l.Adopt("web", 1, 2, kept)
	want := "[stderr] one|[stderr] half a line"
	eventually(t, want, func() bool { return show(t, l, "web", 9) == want })
	p.Stderr.Close()
	eventually(t, "the end is released", func() bool { return released.String() == "out/web/1/2" })
}

// dup is a copy of a descriptor, as the keeper holds it.
func dup(t testing.TB, f *os.File) *os.File {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

func TestTailIsLimitedByBufferLines(t *testing.T) {
	l, _ := open(t, "")
	l.Configure("web", Options{BufferLines: 2})
	for _, text := range []string{"a", "b", "c"} {
		l.Append("web", text)
	}
	if got := show(t, l, "web", 100); got != "[zinit] b|[zinit] c" {
		t.Errorf("Tail: %q", got)
	}
}

func TestRemoveForgetsAndDeletes(t *testing.T) {
	dir := t.TempDir()
	l, released := open(t, dir)
	file := filepath.Join(t.TempDir(), "web.txt")
	l.Configure("web", Options{File: file})
	p := start(t, l, "web", 1)
	p.Stdout.WriteString("one\ntwo")
	l.Remove("web")
	l.Remove("web")
	eventually(t, "the log file is whole", func() bool {
		b, _ := os.ReadFile(file)
		return string(b) == "one\ntwo\n"
	})
	eventually(t, "the store is deleted", func() bool {
		found, err := os.ReadDir(dir)
		return err == nil && len(found) == 0
	})
	if got := released.String(); got != "out/web/1/1 out/web/1/2" {
		t.Errorf("released %q", got)
	}
	if got := show(t, l, "web", 9); got != "" {
		t.Errorf("Tail: %q", got)
	}
	l.Append("web", "a new life")
	if got := show(t, l, "web", 9); got != "[zinit] a new life" {
		t.Errorf("Tail: %q", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	l, _ := open(t, t.TempDir())
	files := t.TempDir()
	var all sync.WaitGroup
	for i := range 6 {
		name := string(rune('a' + i%3))
		all.Go(func() {
			for run := range uint64(20) {
				run := run*6 + uint64(i)
				l.Configure(name, Options{BufferBytes: 64 << 10, File: filepath.Join(files, name+string(rune('0'+run%2)))})
				p, err := l.Pipes(name, run)
				if err != nil {
					t.Error(err)
					return
				}
				l.Start(name, run)
				p.Stdout.WriteString(strings.Repeat("out\n", 100))
				p.Stderr.WriteString(strings.Repeat("err\n", 100))
				p.Stdout.Close()
				l.Append(name, "note")
				l.Ended(name, run)
				p.Stderr.Close()
				if _, err := l.Tail(name, 50); err != nil {
					t.Error(err)
				}
				if run%7 == 0 {
					l.Remove(name)
				}
			}
		})
	}
	all.Wait()
	l.Flush(t.Context())
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkTail(b *testing.B) {
	l, _ := open(b, "")
	for range 2000 {
		l.Append("web", strings.Repeat("x", 99))
	}
	for b.Loop() {
		if lines, err := l.Tail("web", 100); err != nil || len(lines) != 100 {
			b.Fatal(len(lines), err)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	l, _ := open(b, b.TempDir())
	for run := uint64(1); b.Loop(); run++ {
		p, err := l.Pipes("web", run)
		if err != nil {
			b.Fatal(err)
		}
		l.Start("web", run)
		p.Stdout.Close()
		p.Stderr.Close()
		l.Ended("web", run)
	}
}
