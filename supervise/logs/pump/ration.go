package pump

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A ration bounds how many lines a second are stored of a service. Bytes are looked
// at with tee before they are taken out of the pipe: what is stored goes by splice
// as ever, what is above the ration is read and forgotten. It begins with a second's
// worth of lines. Whoever uses it up gets nothing for a second, so that there is one
// mark for each second and not one for each line.
type ration struct {
	lines   int       // a second
	left    float64   // at the moment at
	at      time.Time // zero: all is left
	shut    time.Time // until then nothing is stored; zero: it is not shut
	dropped int64     // lines, since it was shut
	peeks   *os.File  // the pipe that is looked into: its ends
	peeked  *os.File
	timer   *time.Timer // says what was dropped; nil: nothing to say
}

// A course is where a source is in its line.
type course uint8

const (
	between course = iota // it begins one
	stored                // the line is stored to its end
	skipped               // and this one is not
)

// Ration sets how many lines a second are stored, from the next byte on; 0: all.
func (st *Store) Ration(lines int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case lines <= 0 && st.ration != nil:
		st.endRationLocked()
	case lines > 0 && st.ration == nil:
		st.ration = &ration{lines: lines}
	case lines > 0:
		st.ration.lines = lines
	}
}

func (st *Store) endRationLocked() {
	r := st.ration
	st.sayDroppedLocked(time.Now())
	if r.peeks != nil {
		r.peeks.Close()
		r.peeked.Close()
	}
	st.ration = nil
}

// grant is how many lines may be stored now.
func (r *ration) grant(now time.Time) int {
	switch {
	case now.Before(r.shut):
		return 0
	case r.at.IsZero() || !r.shut.IsZero():
		r.left = float64(r.lines)
	default:
		r.left += now.Sub(r.at).Seconds() * float64(r.lines)
	}
	r.left = max(0, min(r.left, float64(r.lines)))
	r.at, r.shut = now, time.Time{}
	return int(r.left)
}

// share divides what comes next of a source: the first skip bytes are dropped, the
// next keep bytes are stored, and what is behind them is dropped. Lines are stored
// whole.
func (r *ration) share(b []byte, at *course, now time.Time) (skip, keep int) {
	if *at == skipped {
		if skip = lineEnd(b); skip == 0 {
			return len(b), 0
		}
		*at = between
	}
	b = b[skip:]
	if *at == stored {
		if keep = lineEnd(b); keep == 0 {
			return skip, len(b)
		}
		*at = between
	}
	for n := r.grant(now); n > 0 && keep < len(b); n-- {
		r.left--
		end := lineEnd(b[keep:])
		if end == 0 {
			*at = stored
			return skip, len(b)
		}
		keep += end
	}
	if b = b[keep:]; len(b) > 0 {
		r.dropped += int64(bytes.Count(b, []byte{'\n'}))
		if b[len(b)-1] != '\n' {
			r.dropped++
			*at = skipped
		}
		if r.shut.IsZero() {
			r.shut = now.Add(time.Second)
		}
	}
	return skip, keep
}

// lineEnd is the length of the first line with its newline, 0 when it has none.
func lineEnd(b []byte) int { return bytes.IndexByte(b, '\n') + 1 }

// takeRationLocked is takeLocked for a store with a ration that has room.
func (st *Store) takeRationLocked(s *Source) (int, error) {
	buf := scratch.Get().(*[pipeFull]byte)
	defer scratch.Put(buf)
	b, err := st.ration.look(s.fd, buf[:st.move])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, err
	case err != nil:
		st.endRationLocked()
		st.appendLocked(Zinit, "the rate of lines is not bounded: its pipe cannot be looked into: "+err.Error())
		return st.takeLocked(s)
	case len(b) == 0:
		return 0, nil
	}
	now := time.Now()
	if r := st.ration; !r.shut.IsZero() && !now.Before(r.shut) {
		st.sayDroppedLocked(now)
	}
	skip, keep := st.ration.share(b, &s.course, now)
	if st.ration.dropped > 0 && st.ration.timer == nil {
		st.ration.timer = time.AfterFunc(time.Until(st.ration.shut), st.sayDropped)
	}
	if err := s.skip(buf[:], skip); err != nil {
		return 0, err
	}
	for left := keep; left > 0; {
		n, err := st.moveLocked(s, int64(left))
		if n <= 0 {
			return n, err
		}
		left -= n
	}
	return len(b), s.skip(buf[:], len(b)-skip-keep)
}

// look tells what is in a pipe, as far as it fits into b, and leaves it there. No
// bytes are its end.
func (r *ration) look(fd int, b []byte) ([]byte, error) {
	if r.peeks == nil {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			return nil, err
		}
		r.peeks, r.peeked = os.NewFile(uintptr(fds[1]), "peek"), os.NewFile(uintptr(fds[0]), "peek")
	}
	n, err := unix.Tee(fd, int(r.peeks.Fd()), len(b), unix.SPLICE_F_NONBLOCK)
	if err != nil || n <= 0 {
		return nil, err
	}
	// All of it is there, so that this is one read, or several that do not wait.
	for got := 0; got < int(n); {
		m, err := unix.Read(int(r.peeked.Fd()), b[got:n])
		if err == unix.EINTR {
			continue
		}
		if m <= 0 {
			return nil, err
		}
		got += m
	}
	return b[:n], nil
}

// skip reads n bytes that are in the pipe and forgets them.
func (s *Source) skip(buf []byte, n int) error {
	for n > 0 {
		m, err := s.read(buf[:min(n, len(buf))])
		if m <= 0 {
			return err
		}
		n -= m
	}
	return nil
}

func (st *Store) sayDropped() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if r := st.ration; r != nil && r.timer != nil {
		st.sayDroppedLocked(time.Now())
	}
}

// sayDroppedLocked marks what was dropped.
func (st *Store) sayDroppedLocked(now time.Time) {
	r := st.ration
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	if r.dropped == 0 {
		return
	}
	text := fmt.Sprintf("%d lines dropped until %s: more than %d lines a second", r.dropped, now.Format("15:04:05.000"), r.lines)
	r.dropped = 0
	if n := st.appendLocked(Zinit, text); n <= len(text) {
		st.lost += int64(len(text) + 1 - n)
	}
}
