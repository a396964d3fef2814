package pump

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestBytesKeepTheirStreamAndOrder(t *testing.T) {
	p := startPump(t, "", time.Minute, nil)
	st := NewStore("", "web")
	out, _ := pipe(t, p, st, Stdout, nil)
	errs, _ := pipe(t, p, st, Stderr, nil)
	write(t, out, "one\n")
	eventually(t, "stdout arrived", func() bool { return content(st) == "one\n" })
	write(t, errs, "two\n")
	eventually(t, "stderr arrived", func() bool { return content(st) == "one\ntwo\n" })
	st.Append("started")
	write(t, out, "three")
	want := "stdout:one\n|stderr:two\n|zinit:started\n|stdout:three"
	eventually(t, want, func() bool { return streams(t, st) == want })
}

func TestSilentServiceHasNoFiles(t *testing.T) {
	dir := t.TempDir()
	p := startPump(t, dir, time.Minute, func() {})
	st := NewStore(dir, "web")
	closed := make(chan struct{}, 2)
	w, _ := pipe(t, p, st, Stdout, func() { closed <- struct{}{} })
	w.Close()
	<-closed
	w, src := pipe(t, p, st, Stderr, func() { closed <- struct{}{} })
	src.Finish()
	w.Close()
	<-closed
	if _, err := st.View(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("View: %v, want that it does not exist", err)
	}
	if found, _ := os.ReadDir(dir); len(found) > 0 {
		t.Errorf("a silent service has the file %s", found[0].Name())
	}
}

func TestFault22LastWordsAreThereWhenFinishReturns(t *testing.T) {
	for range 200 {
		p := startPump(t, "", time.Minute, nil)
		st := NewStore("", "web")
		closed := make(chan struct{})
		w, src := pipe(t, p, st, Stdout, func() { close(closed) })
		write(t, w, "no newline")
		w.Close()
		src.Finish()
		if got := content(st); got != "no newline\n" {
			t.Fatalf("the store has %q", got)
		}
		<-closed
		p.Close()
	}
}

func TestFault21GrandchildHoldsThePipeUntilTheBound(t *testing.T) {
	p := startPump(t, "", 50*time.Millisecond, nil)
	st := NewStore("", "web")
	closed := make(chan struct{})
	w, src := pipe(t, p, st, Stdout, func() { close(closed) })
	write(t, w, "main\n")
	src.Finish()
	src.Finish()
	if got := content(st); got != "main\n" {
		t.Fatalf("after Finish the store has %q", got)
	}
	write(t, w, "grandchild\n")
	<-closed
	if got := content(st); got != "main\ngrandchild\n" {
		t.Errorf("at the end the store has %q", got)
	}
	if _, err := w.WriteString("x"); !errors.Is(err, unix.EPIPE) {
		t.Errorf("a write after the bound: %v, want EPIPE", err)
	}
}

func TestFault24FastWriterStarvesNobody(t *testing.T) {
	p := startPump(t, "", time.Minute, nil)
	fast, slow := NewStore("", "fast"), NewStore("", "slow")
	w, _ := pipe(t, p, fast, Stdout, nil)
	var stop atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		for b := make([]byte, 1<<16); !stop.Load(); {
			w.Write(b)
		}
	})
	q, _ := pipe(t, p, slow, Stdout, nil)
	for i := range 50 {
		begin := time.Now()
		write(t, q, ".")
		eventually(t, "the slow one is served", func() bool { return len(content(slow)) == i+1 })
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("waited %s", took)
		}
	}
	stop.Store(true)
	writer.Wait()
}

func TestWriterWaitsForTheReaderOfTheStore(t *testing.T) {
	dir := t.TempDir()
	p := startPump(t, dir, 20*time.Millisecond, func() {})
	st := NewStore(dir, "web")
	st.Limit(128<<10, 0)
	st.Hold(0, func() {})
	closed := make(chan struct{})
	w, src := pipe(t, p, st, Stdout, func() { close(closed) })
	const size = 1 << 20
	var writer sync.WaitGroup
	writer.Go(func() {
		w.Write(append(make([]byte, size-1), '\n'))
		w.Close()
	})
	eventually(t, "the pump pauses", func() bool {
		st.mu.Lock()
		defer st.mu.Unlock()
		return len(st.waiting) == 1
	})
	src.Finish() // must neither close the pipe nor lose what is in it
	v, err := st.View()
	if err != nil {
		t.Fatal(err)
	}
	if v.Freed != 0 || v.Size > 128<<10 {
		t.Errorf("released %d, stored %d", v.Freed, v.Size)
	}
	eventually(t, "the bound has passed", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.linger = time.Minute // the writer may be slow
		return len(p.closing) == 0
	})
	eventually(t, "all is moved as the reader goes on", func() bool {
		v, err := st.View()
		if err != nil {
			t.Fatal(err)
		}
		st.Advance(v.Size, v.Size, v.count-1)
		return v.Size == size
	})
	writer.Wait()
	<-closed
}

func TestCapHolds(t *testing.T) {
	dir := t.TempDir()
	p := startPump(t, dir, time.Minute, func() {})
	for _, limit := range []int64{1, 100 << 10, 1 << 20} {
		st := NewStore(dir, "web")
		st.Limit(limit, 0)
		closed := make(chan struct{})
		w, _ := pipe(t, p, st, Stdout, func() { close(closed) })
		for range 100 {
			write(t, w, strings.Repeat("0123456789abcde\n", 2048))
			if du := diskUsage2(dir); du > max(limit, minBytes)+2*pageSize {
				t.Fatalf("cap %d: the store takes %d", limit, du)
			}
		}
		w.Close()
		<-closed
		v, err := st.View()
		if err != nil {
			t.Fatal(err)
		}
		if kept := v.Size - v.Freed; kept < max(limit, minBytes)/2 {
			t.Errorf("cap %d: only %d bytes are kept", limit, kept)
		}
		again := NewStore(dir, "web")
		again.Limit(limit, 0)
		if content(again) != content(st) {
			t.Errorf("cap %d: another server sees something else", limit)
		}
		st.Remove()
	}
}

func diskUsage2(dir string) int64 {
	var s unix.Stat_t
	if unix.Stat(filepath.Join(dir, "web.log"), &s) != nil {
		return 0
	}
	return s.Blocks * 512
}

func TestIntentsAreReleased(t *testing.T) {
	dir := t.TempDir()
	st := NewStore(dir, "web")
	st.Limit(minBytes, 0)
	for range 5 * minIntents {
		st.Append("x")
	}
	v, err := st.View()
	if err != nil {
		t.Fatal(err)
	}
	if kept := v.count - v.first; kept < minIntents || kept > 2*minIntents {
		t.Errorf("%d intents are kept", kept)
	}
	if du := diskUsage(t, dir, "web.idx"); du > 2*minIntents*intentSize+pageSize {
		t.Errorf("the index takes %d bytes", du)
	}
	segs, _ := v.Segments(v.Size-4, v.Size, 0)
	if len(segs) != 2 || segs[0].Stream != Zinit || !segs[1].Fresh {
		t.Errorf("the last two lines are %+v", segs)
	}
}

func TestRecoveryNeedsNoIntactIndex(t *testing.T) {
	entry := func(i intent) []byte {
		var b [intentSize]byte
		i.encode(&b)
		return b[:]
	}
	cat := func(bs ...[]byte) (all []byte) {
		for _, b := range bs {
			all = append(all, b...)
		}
		return all
	}
	a, b := entry(intent{off: 0, ms: 1, stream: Stderr}), entry(intent{off: 4, ms: 2, stream: Stdout})
	tests := []struct {
		name, want string
		idx        []byte
	}{
		{"intact", "stderr:one\n|stdout:two\n", cat(a, b)},
		{"missing", "stdout:one\ntwo\n", nil},
		{"short", "stderr:one\ntwo\n", cat(a, b[:9])},
		{"not carried out", "stderr:one\n|stdout:two\n", cat(a, b, entry(intent{off: 8, ms: 3, stream: Stderr}))},
		{"garbage", "stdout:one\ntwo\n", []byte(strings.Repeat("garbage!", 100))},
		{"zeros before", "stdout:one\n|stdout:two\n", cat(make([]byte, 160), b)},
		{"garbage behind", "stderr:one\n|stdout:two\n", cat(a, b, []byte(strings.Repeat("\xff", 64)))},
		{"of a longer log", "stdout:one\ntwo\n", entry(intent{off: 8, ms: 1, stream: Stderr})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			os.WriteFile(filepath.Join(dir, "web.log"), []byte("one\ntwo\n"), 0o600)
			if test.idx != nil {
				os.WriteFile(filepath.Join(dir, "web.idx"), test.idx, 0o600)
			}
			st := NewStore(dir, "web")
			if got := streams(t, st); got != test.want {
				t.Errorf("the store has %q, want %q", got, test.want)
			}
			st.Append("on")
			if got, want := streams(t, st), test.want+"|zinit:on\n"; got != want {
				t.Errorf("with a line more it has %q, want %q", got, want)
			}
		})
	}
}

// A store that cannot grow any more: the service is not blocked, the loss is
// counted and marked when it works again.
func TestFullStoreDiscardsCountsAndMarks(t *testing.T) {
	for _, how := range []string{"splice fails", "write fails"} {
		t.Run(how, func(t *testing.T) {
			p := startPump(t, "", time.Minute, nil)
			st := NewStore("", "web")
			w, _ := pipe(t, p, st, Stdout, nil)
			write(t, w, "before\n")
			eventually(t, "the store works", func() bool { return content(st) == "before\n" })
			good := breakStore(t, st, how == "write fails")
			write(t, w, strings.Repeat("lost", 100_000))
			eventually(t, "all is discarded", func() bool {
				st.mu.Lock()
				defer st.mu.Unlock()
				return st.lost == 400_000
			})
			st.mu.Lock()
			st.log.Close()
			st.log = good
			st.copies = false
			st.notes = nil
			st.mu.Unlock()
			write(t, w, "after\n")
			want := "stdout:before\n|zinit:400000 bytes lost\n|stdout:after\n"
			eventually(t, want, func() bool { return streams(t, st) == want })
		})
	}
}

// breakStore puts a file that cannot grow in the place of the log, and returns it.
func breakStore(t *testing.T, st *Store, full bool) *os.File {
	t.Helper()
	var bad *os.File
	var err error
	if full {
		bad, err = os.OpenFile("/dev/full", os.O_RDWR, 0)
	} else if bad, err = memory(); err == nil {
		_, err = unix.FcntlInt(bad.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil && full {
		t.Fatal(err)
	}
	if err != nil { // memory files that cannot be sealed: one that cannot be written
		if bad, err = os.Open("/dev/zero"); err != nil {
			t.Fatal(err)
		}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	good := st.log
	st.log = bad
	return good
}

func TestSpliceRefusedIsCopiedAndSaidOnce(t *testing.T) {
	dir := t.TempDir()
	p := startPump(t, dir, time.Minute, func() {})
	st := NewStore(dir, "web")
	st.Append("first")
	st.mu.Lock() // the kernel refuses to splice into a file opened for appending
	path := st.path(".log")
	log, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(log.Fd(), unix.F_SETFL, unix.O_APPEND); err != nil {
		t.Fatal(err)
	}
	st.log.Close()
	st.log = log
	st.mu.Unlock()
	w, _ := pipe(t, p, st, Stdout, nil)
	write(t, w, "one\n")
	eventually(t, "a line", func() bool { return strings.HasSuffix(content(st), "one\n") })
	write(t, w, "two\n")
	eventually(t, "another", func() bool { return strings.HasSuffix(content(st), "two\n") })
	if got := content(st); strings.Count(got, "splice is refused") != 1 {
		t.Errorf("the store has %q", got)
	}
}

func TestFault60DeletedDirectoryIsMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	st, other := NewStore(dir, "web"), NewStore(dir, "db")
	p := startPump(t, dir, time.Minute, st.Restore)
	w, _ := pipe(t, p, st, Stderr, nil)
	write(t, w, "before\n")
	eventually(t, "the store works", func() bool { return content(st) == "before\n" })
	for range 3 {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the store is back", func() bool {
			b, err := os.ReadFile(filepath.Join(dir, "web.log"))
			return err == nil && strings.HasPrefix(string(b), "before\n") && strings.HasSuffix(string(b), "made again\n")
		})
	}
	write(t, w, "after\n")
	eventually(t, "it goes on", func() bool { return strings.HasSuffix(content(st), "made again\nafter\n") })
	again := NewStore(dir, "web")
	if got := streams(t, again); !strings.HasPrefix(got, "stderr:before\n|zinit:") {
		t.Errorf("the next server sees %q", got)
	}
	other.Append("new")
	if got := content(other); got != "new\n" {
		t.Errorf("a new store has %q", got)
	}
}

func TestNameThatIsNoFileStaysInMemory(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"", "a/b", "../x", "nul\x00", strings.Repeat("x", 300)} {
		st := NewStore(dir, name)
		st.Append("text")
		if got := content(st); got != "text\n" {
			t.Errorf("%q: the store has %q", name, got)
		}
		st.Remove()
	}
	if found, _ := os.ReadDir(dir); len(found) > 0 {
		t.Errorf("found %s", found[0].Name())
	}
}

func TestStoreGoesOnInMemoryWhereHolesAreRefused(t *testing.T) {
	st := NewStore(t.TempDir(), "web")
	st.Append("kept")
	st.mu.Lock()
	st.moveToMemoryLocked()
	st.mu.Unlock()
	st.Append("more")
	got := streams(t, st)
	if !strings.HasPrefix(got, "zinit:kept\n|zinit:log store: ") || !strings.HasSuffix(got, "|zinit:more\n") {
		t.Errorf("the store has %q", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	p := startPump(t, dir, time.Millisecond, func() {})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			st := NewStore(dir, string(rune('a'+i)))
			st.Limit(64<<10, 0)
			for range 10 {
				w, src := pipe(t, p, st, Stream(i%2), nil)
				for range 20 {
					w.WriteString(strings.Repeat("text\n", 1000))
					st.Append("own")
					content(st)
				}
				src.Finish()
				src.Discard()
				w.Close()
			}
			st.Restore()
			st.Remove()
			st.Append("after the end")
		})
	}
	all.Wait()
}

// A pipe that cannot be watched is tried again after a while, not at once.
func TestUnwatchedPipeIsTriedAgain(t *testing.T) {
	p := startPump(t, "", time.Minute, nil)
	st := NewStore("", "web")
	w, src := pipe(t, p, st, Stdout, nil)
	p.unwatch(src)
	p.mu.Lock()
	p.unlucky = append(p.unlucky, src)
	p.retryAt = time.Now().Add(50 * time.Millisecond)
	p.mu.Unlock()
	p.wake()
	begin := time.Now()
	write(t, w, "text\n")
	eventually(t, "it is read", func() bool { return content(st) == "text\n" })
	if took := time.Since(begin); took < 20*time.Millisecond {
		t.Errorf("tried again after %s", took)
	}
}
