package logs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// Outlets are where lines can go beside files. The zero Outlets lead to the kernel
// and the system log only.
type Outlets struct {
	Stdout  io.Writer // nil: lines for it are dropped
	Stderr  io.Writer // for lines that were not written to stdout; nil: they go to Stdout too
	Colour  bool      // people look at Stdout
	Ring    string    // empty: /dev/kmsg
	Syslog  string    // empty: /dev/log
	MainPid func(service string) int
	// OwnSyslog says that we read the socket of the system log ourselves: nothing is
	// sent there, for it would come back.
	OwnSyslog bool
}

// SetOutlets is called once, before the first Configure. MainPid, which may be nil,
// tells the main process of a service, 0 when there is none; it is called from any
// goroutine.
func (l *Logs) SetOutlets(o Outlets) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.Ring == "" {
		o.Ring = "/dev/kmsg"
	}
	if o.Syslog == "" {
		o.Syslog = "/dev/log"
	}
	if o.MainPid == nil {
		o.MainPid = func(string) int { return 0 }
	}
	l.outlets = o
}

// An outlet passes lines of one service on, in its own time: who calls put waits for
// nobody but it. It counts what it cannot pass on and says so to its readers when it
// can again.
type outlet interface {
	// put passes lines on. lost is how many bytes before them were not read in time.
	// problem is what to say in the service's log.
	put(lines []Line, lost int64) (problem string)
	// owes is in how long it can say what it dropped, if no line comes before; 0:
	// there is nothing to say, or only the next line can find out whether it can.
	owes() time.Duration
	close()
}

// The kinds of outlets, and how the names of the files end in which they keep how
// far they have come.
type kind uint8

const (
	toStdout kind = iota
	toRing
	toSyslog
	kinds
)

var kindNames = [kinds]string{"stdout-pos", "ring-pos", "syslog-pos"}

// A forward reads the log of a service for one outlet, on a goroutine of its own. It
// is a Follower: neither the service nor anybody else waits for it.
type forward struct {
	out      outlet
	follower *Follower
	say      func(string)
	done     chan struct{}

	mu      sync.Mutex
	place   string          // guarded by mu: the file that has its cursor; empty: none
	file    *os.File        // guarded by mu
	waiters []forwardWaiter // guarded by mu
	ended   bool            // guarded by mu
}

// A forwardWaiter waits until all below an offset of the store is passed on.
type forwardWaiter struct {
	to   int64
	done chan struct{}
}

// makeOutlet makes the outlet of a kind for a service. The caller holds Logs.mu.
func (l *Logs) makeOutlet(k kind, service string) outlet {
	switch k {
	case toStdout:
		return &stdoutOutlet{service: service, to: &l.stdout, w: l.outlets.Stdout, errs: l.outlets.Stderr, colour: l.outlets.Colour}
	case toRing:
		return &ringOutlet{service: service, path: l.outlets.Ring}
	}
	return &syslogOutlet{service: service, path: l.outlets.Syslog, pid: l.outlets.MainPid, own: l.outlets.OwnSyslog}
}

// forwardLocked has the lines of a service passed on, or no longer.
func (l *Logs) forwardLocked(s *service, k kind, on bool) {
	switch old := s.forwards[k]; {
	case on && old == nil:
		s.forwards[k] = l.newForwardLocked(s, k)
	case !on && old != nil:
		s.forwards[k] = nil
		old.forget() // at once: there may be another one in a moment
		go old.follower.Close()
	}
}

func (l *Logs) newForwardLocked(s *service, k kind) *forward {
	f := &forward{out: l.makeOutlet(k, s.name), say: s.store.Append, done: make(chan struct{})}
	if base := l.position(s.name); base != "" {
		f.place = base[:len(base)-len("pos")] + kindNames[k]
	}
	cursor := f.load()
	f.follower = l.newFollower(s, s.join(), cursor, s.lines, Query{})
	f.follower.idle = f.idle
	if cursor == Now {
		f.save()
	}
	go f.loop()
	return f
}

// loop is the goroutine of a forward.
func (f *forward) loop() {
	defer func() {
		f.out.close()
		f.mu.Lock()
		f.ended = true
		f.closeLocked()
		f.mu.Unlock()
		f.idle(nowhere)
		close(f.done)
		f.follower.Close()
	}()
	for {
		lines, lost, err := f.next()
		if err != nil {
			return // the service was removed, or the logs closed
		}
		if problem := f.out.put(lines, lost); problem != "" {
			f.say(problem)
		}
		f.save()
	}
}

// next waits for lines, and no longer than the outlet has something to say.
func (f *forward) next() (lines []Line, lost int64, err error) {
	ctx := context.Background()
	if wait := f.out.owes(); wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	lines, lost, err = f.follower.Next(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return lines, lost, err
}

// forget deletes what says how far it has come, for good.
func (f *forward) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closeLocked()
	if f.place != "" {
		os.Remove(f.place) // not there is what is wanted
	}
	f.place = ""
}

func (f *forward) closeLocked() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}

// load is the cursor behind the last line that was passed on.
func (f *forward) load() int64 {
	if f.place == "" {
		return Now
	}
	b, err := os.ReadFile(f.place)
	if err != nil || len(b) != 8 {
		return Now
	}
	return int64(binary.LittleEndian.Uint64(b))
}

// save is best effort: without it lines are passed on twice, or not, when the server
// is another one.
func (f *forward) save() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.place == "" {
		return
	}
	if f.file == nil {
		file, err := os.OpenFile(f.place, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return
		}
		f.file = file
	}
	_, _ = f.file.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(f.follower.Cursor())), 0)
}

// caughtUp is closed when all that is stored by now was passed on or dropped.
func (f *forward) caughtUp(size int64) <-chan struct{} {
	w := forwardWaiter{size, make(chan struct{})}
	f.mu.Lock()
	if f.ended {
		close(w.done)
	} else {
		f.waiters = append(f.waiters, w)
	}
	f.mu.Unlock()
	f.follower.hub.poke()
	return w.done
}

// idle is told where the follower is when it has nothing to do.
func (f *forward) idle(at int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rest := f.waiters[:0]
	for _, w := range f.waiters {
		if w.to <= at {
			close(w.done)
		} else {
			rest = append(rest, w)
		}
	}
	f.waiters = rest
}

// shortfall is what an outlet has to say that it did not pass on.
type shortfall struct {
	lines int64
	bytes int64
}

func (s *shortfall) String() string {
	switch {
	case s.lines == 0 && s.bytes == 0:
		return ""
	case s.lines == 0:
		return fmt.Sprintf("%d bytes lost", s.bytes)
	case s.bytes == 0:
		return fmt.Sprintf("%d lines dropped", s.lines)
	}
	return fmt.Sprintf("%d lines dropped, %d bytes lost", s.lines, s.bytes)
}
