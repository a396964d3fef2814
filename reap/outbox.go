package reap

import (
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// retryAfter is the pause after the kernel had no memory for a packet.
const retryAfter = 10 * time.Millisecond

// An outbox sends the keeper's events to one server without ever waiting for it.
// Whoever adds an event only appends; whoever flushes sends what the socket takes
// and leaves the rest to the outbox's own goroutine, which may wait. Events that
// come together share a packet.
//
// Invariant: it holds at most three records per child that the keeper ever
// accepted (Spawned, Exited, GroupGone), so it needs no bound of its own.
type outbox struct {
	file *os.File // the socket, non-blocking
	raw  syscall.RawConn
	wake chan struct{} // capacity 1: there is something to send that may block

	mu      sync.Mutex
	packets []packet // guarded by mu; the last one takes further records
	sending bool     // guarded by mu; somebody is in sendmsg, order is theirs
	frozen  bool     // guarded by mu; what is added is not sent
	closed  bool     // guarded by mu; nobody will read what is sent
	unused  bool     // guarded by mu; close was called, the socket goes with the last sender
}

func newOutbox(file *os.File, raw syscall.RawConn) *outbox {
	return &outbox{file: file, raw: raw, wake: make(chan struct{}, 1)}
}

// add appends a message; it costs no system call.
func (o *outbox) add(m message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.packets = appendMessage(o.packets, m, nil)
}

// appendMessage adds a message with its descriptors to the last packet, or begins
// another one.
func appendMessage(packets []packet, m message, files []int) []packet {
	if n := len(packets); n > 0 {
		last := &packets[n-1]
		mark := len(last.buf)
		last.buf = appendRecord(last.buf, m)
		if last.room(0, len(files)) {
			last.files = append(last.files, files...)
			return packets
		}
		last.buf = last.buf[:mark]
	}
	return append(packets, packet{buf: appendRecord(nil, m), files: files})
}

// flush sends what the socket takes at once. It never waits: if another goroutine
// is sending, that one takes along what was added.
func (o *outbox) flush() {
	if o.drain() != nil {
		notify(o.wake)
	}
}

// run sends what flush could not, until the outbox is closed. It may wait for a
// server that does not read.
func (o *outbox) run() {
	for range o.wake {
		var err error
		// The attempt is made inside: room that comes after it is not missed.
		if lost := o.raw.Write(func(uintptr) bool {
			err = o.drain()
			return err != unix.EAGAIN
		}); lost != nil {
			return // the socket is closed
		}
		if o.isClosed() {
			return
		}
		if err != nil { // out of kernel memory: nothing tells when there is some again
			time.AfterFunc(retryAfter, func() { notify(o.wake) })
		}
	}
}

func (o *outbox) isClosed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.closed
}

// drain sends what the socket takes. EAGAIN means that it takes no more now.
func (o *outbox) drain() error {
	for {
		o.mu.Lock()
		if o.sending || o.frozen || o.closed || len(o.packets) == 0 {
			o.mu.Unlock()
			return nil
		}
		p := o.packets[0]
		o.packets = o.packets[1:]
		o.sending = true
		o.mu.Unlock()

		err := o.send(&p)

		o.mu.Lock()
		o.sending = false
		switch {
		case err == unix.EAGAIN || err == unix.ENOBUFS || err == unix.ENOMEM:
			o.packets = append([]packet{p}, o.packets...)
		case err != nil:
			o.closed, o.packets = true, nil
		}
		if len(o.packets) == 0 {
			o.packets = nil // a burst's memory is not kept
		}
		if o.unused {
			o.leave()
		}
		o.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func (o *outbox) send(p *packet) (err error) {
	if lost := o.raw.Control(func(fd uintptr) { err = send(int(fd), p, unix.MSG_DONTWAIT) }); lost != nil {
		return lost
	}
	return err
}

// freeze stops sending; what is under way, which does not take long, is sent.
func (o *outbox) freeze() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.frozen = true
	for o.sending {
		o.mu.Unlock()
		runtime.Gosched()
		o.mu.Lock()
	}
}

func (o *outbox) thaw() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.frozen = false
	notify(o.wake)
}

// left is what is not sent yet.
func (o *outbox) left() []packet {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.packets)
}

// close drops what is left, ends run and closes the socket as soon as nobody is
// sending. The caller has shut the socket down, so that nobody sends for long.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.unused, o.packets = true, true, nil
	if !o.sending {
		o.leave()
	}
	notify(o.wake)
}

// leave closes the socket when nobody uses it any more. That takes until run has left
// it, which may wait for mu, or be the caller: so it is not for the caller to wait.
func (o *outbox) leave() {
	go func() { _ = o.file.Close() }()
}

// notify wakes the reader of a channel of capacity 1.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
