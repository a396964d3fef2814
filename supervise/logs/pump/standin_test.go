package pump

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A scene is a directory of stores, a lock, and the pipe of a service that the
// keeper holds.
type scene struct {
	dir, lock string
	kept      *os.File
	writer    *os.File
}

func newScene(t testing.TB) *scene {
	t.Helper()
	dir := t.TempDir()
	s := &scene{dir: filepath.Join(dir, "logs"), lock: filepath.Join(dir, "lock")}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	s.kept, s.writer = os.NewFile(uintptr(fds[0]), "kept"), os.NewFile(uintptr(fds[1]), "writer")
	t.Cleanup(func() {
		s.kept.Close()
		s.writer.Close()
	})
	return s
}

// output is a copy of what the keeper holds.
func (s *scene) output(t testing.TB) Output {
	t.Helper()
	fd, err := unix.FcntlInt(s.kept.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return Output{Service: "web", Run: 3, FD: 1, File: os.NewFile(uintptr(fd), "copy")}
}

func (s *scene) standIn(t testing.TB) *StandIn {
	t.Helper()
	in, err := NewStandIn(s.dir, s.lock, []Output{s.output(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	return in
}

// server takes the lock, as long as that needs, and returns what gives it back.
func (s *scene) server(t *testing.T) (end func()) {
	t.Helper()
	fd, err := unix.Open(s.lock, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(fd, unix.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { unix.Close(fd) }
}

// text is what the store has.
func (s *scene) text(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "web.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

// TestStandInTakesTurnsWithServers: a service writes at full speed while servers come
// and go, and in between there is none.
func TestStandInTakesTurnsWithServers(t *testing.T) {
	s := newScene(t)
	stop := make(chan struct{})
	var wrote int
	var writer sync.WaitGroup
	writer.Go(func() { wrote = writeNumbers(s.writer, 0, stop) })
	size := func() int64 {
		info, err := os.Stat(filepath.Join(s.dir, "web.log"))
		if err != nil {
			return 0
		}
		return info.Size()
	}
	for range 10 {
		in := s.standIn(t)
		before := size()
		eventually(t, "the service writes on without a server", func() bool { return size() > before+100_000 })
		in.Close()
		before = size()
		p, st := startPump(t, s.dir, time.Minute, func() {}), NewStore(s.dir, "web")
		st.Limit(1<<30, 0)
		if size() != before {
			t.Fatal("something was under way")
		}
		p.NewSource(s.output(t).File, st, Stdout, 3, false, func() {}).Start()
		eventually(t, "the server reads", func() bool { return size() > before+100_000 })
		p.Close()
		st.Close()
	}
	in := s.standIn(t)
	close(stop)
	writer.Wait()
	s.writer.Close()
	eventually(t, "the end is moved", func() bool {
		n, err := unix.IoctlGetInt(int(s.kept.Fd()), unix.TIOCINQ)
		return n == 0 && err == nil
	})
	in.Close()
	st := NewStore(s.dir, "web")
	defer st.Close()
	v, err := st.View()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, v.Size-v.Freed)
	if _, err := v.ReadAt(b, v.Freed); err != nil {
		t.Fatal(err)
	}
	if _, to := numbers(t, b, v.Freed > 0); to != wrote-1 {
		t.Errorf("the last line is %d of %d", to, wrote)
	}
}

// TestStandInEndsWhenAServerHasTheLock: also when nobody told it of that server.
func TestStandInEndsWhenAServerHasTheLock(t *testing.T) {
	s := newScene(t)
	in := s.standIn(t)
	write(t, s.writer, "before\n")
	eventually(t, "it is moved", func() bool { return s.text(t) == "before\n" })
	end := s.server(t)
	write(t, s.writer, "for the server\n")
	<-in.Ended()
	if _, err := NewStandIn(s.dir, s.lock, []Output{s.output(t)}); !errors.Is(err, ErrServed) {
		t.Errorf("beside a server there can be another one: %v", err)
	}
	if got := s.text(t); got != "before\n" {
		t.Errorf("the store has %q", got)
	}
	end()
	s.standIn(t)
	if got := s.text(t); got != "before\nfor the server\n" {
		t.Errorf("what was in the pipe is not moved at once: the store has %q", got)
	}
}

// TestStandInGoesOnBehindWhatAServerWrote: one came and went that it never met.
func TestStandInGoesOnBehindWhatAServerWrote(t *testing.T) {
	s := newScene(t)
	s.standIn(t)
	write(t, s.writer, "one\n")
	eventually(t, "it is moved", func() bool { return s.text(t) == "one\n" })
	end := s.server(t)
	st := NewStore(s.dir, "web")
	st.Append("a server was here")
	st.Close()
	end()
	write(t, s.writer, "two\n")
	eventually(t, "it is moved", func() bool { return strings.HasSuffix(s.text(t), "two\n") })
	st = NewStore(s.dir, "web")
	defer st.Close()
	if got := streams(t, st); got != "stdout:one\n|zinit:a server was here\n|stdout:two\n" {
		t.Errorf("the store has %q", got)
	}
}

// TestStandInNeverPassesALogFile: the service waits instead.
func TestStandInNeverPassesALogFile(t *testing.T) {
	const cursor = 4096
	s := newScene(t)
	if err := os.WriteFile(filepath.Join(s.dir, "web.log"), bytes.Repeat([]byte("old line\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	rec := binary.LittleEndian.AppendUint64(make([]byte, 4), cursor)
	rec = append(rec, make([]byte, 6*8+1)...)
	for range Streams {
		rec = binary.LittleEndian.AppendUint64(rec, cursor)
		rec = append(rec, 0, 0)
	}
	binary.LittleEndian.PutUint32(rec, crc32.Update(crc32.ChecksumIEEE([]byte("2")), crc32.IEEETable, rec[4:]))
	if err := os.WriteFile(filepath.Join(s.dir, "web.pos"), rec, 0o600); err != nil {
		t.Fatal(err)
	}
	in := s.standIn(t)
	go func() {
		line := bytes.Repeat([]byte("x"), 4096)
		for {
			if _, err := s.writer.Write(line); err != nil {
				return // the test is over
			}
		}
	}()
	st := in.stores["web"]
	eventually(t, "the service waits", func() bool {
		st.mu.Lock()
		defer st.mu.Unlock()
		return len(st.waiting) == 1
	})
	if st.size-st.freed > st.cap || st.freed > cursor {
		t.Errorf("the store has the bytes %d to %d, the log file needs them from %d on, the cap is %d", st.freed, st.size, int64(cursor), st.cap)
	}
}

// TestStandInKeepsToTheCap: where no log file needs it the oldest goes.
func TestStandInKeepsToTheCap(t *testing.T) {
	s := newScene(t)
	in := s.standIn(t)
	for range 3 * DefaultBytes >> 12 {
		write(t, s.writer, strings.Repeat("x", 4095)+"\n")
	}
	eventually(t, "it is moved", func() bool {
		info, err := os.Stat(filepath.Join(s.dir, "web.log"))
		return err == nil && info.Size() == 3*DefaultBytes
	})
	in.Close()
	if du := diskUsage(t, s.dir, "web.log"); du > DefaultBytes+2*pageSize {
		t.Errorf("the store takes %d bytes", du)
	}
}

// TestStandInNeedsNoMemory: the keeper must not grow because services write.
func TestStandInNeedsNoMemory(t *testing.T) {
	s := newScene(t)
	in, err := newStandIn(s.dir, s.lock, []Output{s.output(t)})
	if err != nil {
		t.Fatal(err)
	}
	p := in.pump
	events := make([]unix.EpollEvent, 4)
	line := []byte("a line\n")
	turn := func() {
		if _, err := s.writer.Write(line); err != nil {
			t.Fatal(err)
		}
		n, err := unix.EpollWait(p.ep, events, -1)
		if n != 1 || err != nil || p.enter() != nil {
			t.Fatalf("%d events, %v", n, err)
		}
		p.handle(events[0])
		p.leave()
	}
	turn()
	if n := testing.AllocsPerRun(100, turn); n > 0 {
		t.Errorf("a turn allocates %v times", n)
	}
	go p.loop()
	in.Close()
}
