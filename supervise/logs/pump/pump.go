package pump

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// linger is how long a pipe is read after its process has ended while somebody
	// else holds it open.
	linger = 5 * time.Second
	// retryWatch is when a pipe is tried again that the kernel would not watch.
	retryWatch = time.Second
)

// A Pump moves bytes from pipes into stores, on one goroutine of its own. All
// methods are safe for concurrent use.
type Pump struct {
	linger time.Duration
	dir    string // of the stores, watched; empty: none is
	gone   func() // called when dir was deleted
	// stirred is called before, and when something beside dir was deleted; nil: nobody
	// wants to know. Set by Watch.
	stirred func()
	ep      int    // epoll
	event   int    // eventfd: wakes the goroutine
	lock    int    // of a stand-in, or -1: it is held while stores are touched
	dirID   fileID // of dir, as watched; owned by the goroutine, but for its beginning
	done    chan struct{}

	mu     sync.Mutex // guards all below; never held while another lock is taken
	closed bool
	notify int // inotify, or -1; changed by the goroutine only, but for its beginning
	// unwatched: the directory is no longer to be watched.
	unwatched bool
	sources   map[int64]*Source
	lastID    int64
	closing   []deadline // of finished sources, in order: the bound is the same for all
	unlucky   []*Source  // the kernel would not watch them for now
	retryAt   time.Time  // when they are tried again
}

type deadline struct {
	at     time.Time
	source *Source
}

// New starts a pump. When the directory dir (empty: none) is watched, and deleted or
// moved away, it is made again, if possible, and gone is called on the pump's
// goroutine: see Watch. The error says that the kernel has no descriptor to give.
func New(dir string, gone func()) (*Pump, error) { return newPump(dir, gone, linger) }

func newPump(dir string, gone func(), linger time.Duration) (*Pump, error) {
	p, err := makePump(dir, gone, linger)
	if err == nil {
		go p.loop()
	}
	return p, err
}

func makePump(dir string, gone func(), linger time.Duration) (*Pump, error) {
	p := &Pump{linger: linger, dir: dir, gone: gone, notify: -1, lock: -1, done: make(chan struct{}), sources: map[int64]*Source{}, lastID: notifyID}
	var err error
	if p.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("cannot create an epoll descriptor: %w", err)
	}
	if p.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(p.ep)
		return nil, fmt.Errorf("cannot create an event descriptor: %w", err)
	}
	if err = p.add(p.event, eventID); err != nil {
		unix.Close(p.ep)
		unix.Close(p.event)
		return nil, fmt.Errorf("cannot watch an event descriptor: %w", err)
	}
	return p, nil
}

// The events of a descriptor are known by a number that nothing else ever gets: an
// event that was fetched may be looked at when its descriptor has been closed, and
// is then not taken for one of the next descriptor of that number.
const (
	eventID  = 1
	notifyID = 2
)

func (p *Pump) add(fd int, id int64) error {
	return unix.EpollCtl(p.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(id), Pad: int32(id >> 32)})
}

// idOf undoes that.
func idOf(e unix.EpollEvent) int64 { return int64(e.Pad)<<32 | int64(uint32(e.Fd)) }

// loop is the pump's goroutine.
func (p *Pump) loop() {
	defer close(p.done)
	events := make([]unix.EpollEvent, 64)
	for {
		// No lasting error is possible while the descriptor is ours; EINTR waits again.
		n, err := unix.EpollWait(p.ep, events, p.timeout())
		if err != nil {
			n = 0
		}
		if p.enter() != nil {
			return
		}
		for _, e := range events[:n] {
			if !p.handle(e) {
				return
			}
		}
		p.expire()
		p.endWatch()
		p.leave()
	}
}

// handle answers one event; false ends the loop.
func (p *Pump) handle(e unix.EpollEvent) bool {
	switch id := idOf(e); id {
	case eventID:
		var b [8]byte
		unix.Read(p.event, b[:]) // only its having happened matters
	case notifyID:
		p.directoryChanged()
	default:
		p.mu.Lock()
		s := p.sources[id]
		p.mu.Unlock()
		if s != nil {
			if p.lock < 0 || s.doubt() {
				s.turn(e.Events)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.closed
}

// timeout is how long nothing needs to be done, in milliseconds; -1 is for ever.
func (p *Pump) timeout() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := time.Duration(-1)
	if len(p.closing) > 0 {
		wait = max(0, time.Until(p.closing[0].at))
	}
	if retry := max(0, time.Until(p.retryAt)); len(p.unlucky) > 0 && (wait < 0 || wait > retry) {
		wait = retry
	}
	if wait < 0 {
		return -1
	}
	return int((wait + time.Millisecond - 1) / time.Millisecond)
}

// expire closes what had its time and tries again what had no luck.
func (p *Pump) expire() {
	for s := p.expired(); s != nil; s = p.expired() {
		s.expire()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.unlucky) == 0 || time.Now().Before(p.retryAt) {
		return
	}
	again := p.unlucky
	p.unlucky = nil
	for _, s := range again {
		p.watchLocked(s)
	}
}

func (p *Pump) expired() *Source {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.closing) == 0 || time.Now().Before(p.closing[0].at) {
		return nil
	}
	s := p.closing[0].source
	p.closing = p.closing[1:]
	if len(p.closing) == 0 {
		p.closing = nil // let go of the array
	}
	return s
}

func (p *Pump) closeLater(s *Source) {
	p.mu.Lock()
	p.closing = append(p.closing, deadline{time.Now().Add(p.linger), s})
	first := len(p.closing) == 1
	p.mu.Unlock()
	if first {
		p.wake()
	}
}

func (p *Pump) watch(s *Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchLocked(s)
}

func (p *Pump) watchLocked(s *Source) {
	if p.closed {
		return
	}
	p.lastID++
	if err := p.add(s.fd, p.lastID); err != nil {
		p.unlucky = append(p.unlucky, s)
		p.retryAt = time.Now().Add(retryWatch)
		p.wake()
		return
	}
	s.id = p.lastID
	p.sources[s.id] = s
}

// unwatch forgets a source. It comes before the close of its descriptor: the
// keeper's copy of the pipe would keep the registration alive.
func (p *Pump) unwatch(s *Source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if i := slices.Index(p.unlucky, s); i >= 0 {
		p.unlucky = slices.Delete(p.unlucky, i, i+1)
	}
	if s.id != 0 {
		delete(p.sources, s.id)
		s.id = 0
		// It was added under this number, so it cannot fail.
		_ = unix.EpollCtl(p.ep, unix.EPOLL_CTL_DEL, s.fd, nil)
	}
}

func (p *Pump) wake() {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], 1)
	unix.Write(p.event, b[:]) // full means that it will wake up anyway
}

// Close ends the pump and waits for its goroutine. Pipes that are still watched
// are closed without a call of done: whoever comes next goes on reading them.
func (p *Pump) Close() {
	p.mu.Lock()
	was := p.closed
	p.closed = true
	p.mu.Unlock()
	if was {
		return
	}
	p.wake()
	<-p.done
	for _, s := range p.sources {
		s.store.mu.Lock()
		s.closed = true
		s.file.Close()
		s.store.mu.Unlock()
	}
	unix.Close(p.ep)
	unix.Close(p.event)
	if p.lock >= 0 {
		unix.Close(p.lock)
	}
	if p.notify >= 0 {
		unix.Close(p.notify)
	}
}
