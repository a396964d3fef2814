package reap

import (
	"maps"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// maxKept is the number of descriptors beyond which the holder refuses further
// ones; the limit of the process (RLIMIT_NOFILE) is reached first nearly always.
const maxKept = 1 << 16

// readAhead bounds how many packets the holder takes in before it looks whether
// main wants something.
const readAhead = 16

// A holder is the state of the thread that keeps descriptors. It serves one server
// after the other, each over its own channel 2: it hands out what it holds, then
// takes in and releases by name. It makes raw system calls only, since the rest of
// the runtime knows the other table.
type holder struct {
	estate
	control int
	closed  bool // main closed its end; only tests do
	short   bool // the kernel had no memory for a packet
	recv    *receiver
	errands <-chan *errand
	drained chan<- struct{}
	log     func(format string, args ...any) // may be called from anywhere
}

func (h *holder) run(mains []int, started chan<- bool) {
	runtime.LockOSThread()
	private := unix.Unshare(unix.CLONE_FILES) == nil
	if private {
		for _, fd := range mains {
			unix.Close(fd)
		}
	}
	started <- private
	for !h.closed {
		if !survive(h.log, "holder", h.turn) {
			h.log("the holder of kept descriptors goes on with %d", len(h.held))
			h.hangUp()
		}
	}
}

// turn waits for something to do, and does it.
func (h *holder) turn() {
	polls := [2]unix.PollFd{
		{Fd: int32(h.control), Events: unix.POLLIN},
		{Fd: int32(h.channel), Events: unix.POLLIN}, // none is -1, which the kernel skips
	}
	timeout := -1
	switch {
	case h.short: // nothing tells when there is memory again
		polls[1].Fd, timeout, h.short = -1, int(retryAfter.Milliseconds()), false
	case !h.told:
		polls[1].Events = unix.POLLOUT
	}
	if _, err := unix.Poll(polls[:], timeout); err != nil {
		return // EINTR
	}
	if polls[0].Revents != 0 {
		h.obey()
	}
	switch {
	case polls[1].Revents == 0 || int(polls[1].Fd) != h.channel:
	case !h.told:
		h.handOut()
	default:
		h.takeIn()
	}
}

// obey takes a packet from main.
func (h *holder) obey() {
	h.recv.fd = h.control
	data, files, _, err := h.recv.next()
	switch {
	case err == unix.EAGAIN:
		return
	case err != nil:
		h.closed = true
		return
	case data[0] == errandPacket:
		o := <-h.errands
		if !o.taken.CompareAndSwap(false, true) {
			break // nobody waits for it any more
		}
		defer close(o.done)
		o.do(h, files)
		return
	case len(files) == 0:
		notify(h.drained) // the table is full: this server gets nothing
	default:
		h.hangUp() // there is none
		h.channel, files = files[0], nil
		h.unsent, h.told = slices.Collect(maps.Keys(h.held)), false
	}
	(&packet{files: files}).close()
}

// hangUp ends the service of a server.
func (h *holder) hangUp() {
	if h.channel >= 0 {
		unix.Close(h.channel)
		notify(h.drained)
	}
	h.channel, h.unsent, h.told = -1, nil, true
}

// handOut sends what the socket takes of what the server has not got yet.
func (h *holder) handOut() {
	for !h.told {
		p, n := h.page()
		// The descriptors stay ours: a packet that was sent holds copies.
		switch err := send(h.channel, &p, unix.MSG_DONTWAIT); err {
		case nil:
			h.unsent = h.unsent[n:]
			h.told = n == 0
		case unix.EAGAIN:
			return
		case unix.ETOOMANYREFS, unix.ENOBUFS, unix.ENOMEM:
			h.short = true
			return
		default:
			h.unsent, h.told = nil, true // it is gone; what it had sent is still to be read
		}
	}
}

// page is the next packet and how many names it is about. The last one is about
// none and says that this was everything.
func (h *holder) page() (p packet, n int) {
	for _, name := range h.unsent {
		buf := appendRecord(p.buf, &keepMessage{nameMessage{name}})
		if n > 0 && (len(buf) > maxPacket || len(p.files) == maxFiles) {
			break
		}
		p.buf, p.files = buf, append(p.files, h.held[name])
		n++
	}
	if n == 0 {
		p.buf = appendRecord(nil, new(completeMessage))
	}
	return p, n
}

// takeIn follows what the server gives and releases, until it is gone.
func (h *holder) takeIn() {
	h.recv.fd = h.channel
	for range readAhead {
		data, files, lost, err := h.recv.next()
		if err == unix.EAGAIN {
			return
		}
		if err != nil {
			h.hangUp()
			return
		}
		rest := files
		ok := decodePacket(data, func(m message) {
			switch m := m.(type) {
			case *keepMessage:
				if len(rest) > 0 {
					h.keep(m.Name, rest[0])
					rest = rest[1:]
				}
			case *releaseMessage:
				h.release(m.Name)
			}
		})
		for _, fd := range rest {
			unix.Close(fd)
		}
		if lost || !ok {
			h.log("cannot keep every descriptor of the server: %d are held, the table is full", len(h.held))
		}
	}
}

func (h *holder) keep(name string, fd int) {
	h.release(name)
	if len(h.held) >= maxKept {
		unix.Close(fd)
		h.log("cannot keep descriptor %s: %d are held already", name, maxKept)
		return
	}
	h.held[name] = fd
}

func (h *holder) release(name string) {
	if fd, ok := h.held[name]; ok {
		unix.Close(fd)
		delete(h.held, name)
	}
}
