package pump

import (
	"os"

	"golang.org/x/sys/unix"
)

// A Source is the read end of one pipe, on its way into a store. Its methods are
// safe for concurrent use and do not wait for the writer of the pipe.
type Source struct {
	pump   *Pump
	store  *Store
	file   *os.File // owned
	fd     int
	stream Stream
	tag    tag
	done   func()

	id int64 // guarded by pump.mu: what its events are known by; 0: it is not watched

	// guarded by store.mu
	fresh    bool   // the next byte begins a line
	course   course // with a ration: what becomes of the line that was begun
	nonblock bool   // the pipe's own flag is set
	started  bool
	paused   bool // waits for the store's reader
	finished bool // Finish was called
	closed   bool
}

// NewSource prepares the read end r of a pipe for the store, and owns r from now
// on. run is the number of the run that writes into it, above those of the runs
// before, 0 when it is not known. fresh says that nothing of this pipe was stored
// before. done is called once
// when r has been closed because the stream ended, was finished or discarded; not
// when the pump is closed. Nothing is read before Start.
func (p *Pump) NewSource(r *os.File, st *Store, stream Stream, run uint64, fresh bool, done func()) *Source {
	s := &Source{pump: p, store: st, file: r, fd: int(r.Fd()), stream: stream, tag: tagOf(run), fresh: fresh, done: done}
	st.mu.Lock()
	st.sources[stream]++
	st.mu.Unlock()
	return s
}

// Start begins to move bytes as they come.
func (s *Source) Start() {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if s.closed || s.started {
		return
	}
	s.started = true
	s.pump.watch(s)
}

// Finish says that the process that the pipe belongs to has ended. What is in the
// pipe now is in the store when Finish returns, unless the store waits for its
// reader. A pipe that somebody else still holds open is closed after a bound.
func (s *Source) Finish() {
	s.store.mu.Lock()
	closed := s.finishLocked()
	s.store.mu.Unlock()
	if closed {
		s.done()
	}
}

func (s *Source) finishLocked() (closed bool) {
	if s.closed || s.finished {
		return false
	}
	s.finished = true
	if !s.paused && s.drainLocked() {
		return true
	}
	s.pump.closeLater(s)
	return false
}

// drainLocked moves what is in the pipe at this moment, not what a busy writer
// adds meanwhile, and reports whether it was the end of the stream.
func (s *Source) drainLocked() (closed bool) {
	if !s.emptyLocked() {
		return false
	}
	poll := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(poll, 0); err != nil || poll[0].Revents&unix.POLLHUP == 0 || s.available() > 0 {
		return false
	}
	s.closeLocked()
	return true
}

// emptyLocked moves what is in the pipe at this moment; false: the store is full.
func (s *Source) emptyLocked() bool {
	for left := s.available(); left > 0; {
		n, err := s.store.takeLocked(s)
		if err == errFull {
			s.pauseLocked()
			return false
		}
		if n <= 0 {
			break
		}
		left -= n
	}
	return true
}

// Discard closes the pipe, whatever is in it.
func (s *Source) Discard() {
	s.store.mu.Lock()
	closed := !s.closed
	s.closeLocked()
	s.store.mu.Unlock()
	if closed {
		s.done()
	}
}

// turn answers one event of the pipe.
func (s *Source) turn(events uint32) {
	s.store.mu.Lock()
	closed := s.turnLocked(events)
	s.store.mu.Unlock()
	if closed {
		s.done()
	}
}

func (s *Source) turnLocked(events uint32) (closed bool) {
	if s.closed || s.paused {
		return false
	}
	if events&unix.EPOLLIN == 0 && s.available() == 0 {
		// Looked at after the hang-up was seen, so no byte can come any more; and a
		// service that never wrote gets no files.
		if events&(unix.EPOLLHUP|unix.EPOLLERR) == 0 {
			return false
		}
		s.closeLocked()
		return true
	}
	n, err := s.store.takeLocked(s)
	switch {
	case err == errFull:
		s.pauseLocked()
	case n <= 0 && err != unix.EAGAIN && err != unix.EINTR:
		s.closeLocked() // the end, or a descriptor that cannot be read: it would spin
		return true
	}
	return false
}

// expire closes a finished source whose time is up.
func (s *Source) expire() {
	s.store.mu.Lock()
	closed := false
	if !s.closed && !s.paused {
		if closed = s.drainLocked(); !closed && !s.paused {
			s.closeLocked()
			closed = true
		}
	}
	s.store.mu.Unlock()
	if closed {
		s.done()
	}
}

func (s *Source) pauseLocked() {
	if s.paused {
		return
	}
	s.paused = true
	s.pump.unwatch(s) // a hang-up would be reported again and again otherwise
	s.store.waiting = append(s.store.waiting, s)
}

// resumeLocked goes on after a pause. What the pipe still holds gets its time anew.
func (s *Source) resumeLocked() {
	if s.closed || !s.paused {
		return
	}
	s.paused = false
	// The last words of a run come before those of the next, which waits, too.
	if s.finished && !s.emptyLocked() {
		return
	}
	if s.started {
		s.pump.watch(s)
	}
	if s.finished {
		s.pump.closeLater(s)
	}
}

func (s *Source) closeLocked() {
	if s.closed {
		return
	}
	s.closed = true
	s.pump.unwatch(s)
	s.file.Close() // a read end has nothing to lose
	s.store.sources[s.stream]--
	s.store.ended[s.stream] = true
	if !s.fresh {
		s.store.endLineLocked(s.stream, s.tag)
	}
	s.store.newsLocked() // or nothing was written: an unterminated line is complete all the same
}

// available is how many bytes are in the pipe.
func (s *Source) available() int {
	n, err := unix.IoctlGetInt(s.fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// read takes bytes out of the pipe without waiting.
func (s *Source) read(b []byte) (int, error) {
	if !s.nonblock {
		if err := unix.SetNonblock(s.fd, true); err != nil {
			return 0, err
		}
		s.nonblock = true
	}
	for {
		n, err := unix.Read(s.fd, b)
		if err != unix.EINTR {
			return n, err
		}
	}
}
