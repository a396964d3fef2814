package reap

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A packet is one datagram of a channel with the descriptors that it carries.
type packet struct {
	buf   []byte
	files []int // owned by the packet; closed once they are sent
}

func (p *packet) close() {
	for _, fd := range p.files {
		unix.Close(fd)
	}
	p.files = nil
}

// room reports whether a record of that size and so many descriptors still fits.
func (p *packet) room(size, files int) bool {
	return len(p.buf)+size <= maxPacket && len(p.files)+files <= maxFiles
}

// socketPair makes the two ends of a channel, close-on-exec and blocking.
func socketPair() (a, b int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, os.NewSyscallError("socketpair", err)
	}
	return pair[0], pair[1], nil
}

// send sends one packet; with flags MSG_DONTWAIT it answers EAGAIN instead of
// waiting.
func send(fd int, p *packet, flags int) error {
	var rights []byte
	if len(p.files) > 0 {
		rights = unix.UnixRights(p.files...)
	}
	for {
		_, err := unix.SendmsgN(fd, p.buf, rights, nil, flags|unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err
		}
	}
}

// errClosed says that the other end of a channel is closed and everything that it
// had sent has been read.
var errClosed = errors.New("channel closed")

// A receiver reads packets; its buffers are used again for each.
type receiver struct {
	fd int
	// raw, when there is one, waits through the runtime's poller and not in the
	// system call: what is received is then worked on by the same thread, and none
	// has to be woken for it.
	raw   syscall.RawConn
	flags int // MSG_DONTWAIT without raw: EAGAIN is an error like others
	// gate, when there is one, is held from when a packet has left the socket, or will
	// never come; the caller opens it when it has carried the packet out.
	gate *sync.Mutex
	buf  []byte // made when it is needed
	oob  [2048]byte
	// mapped says that buf is pages of its own; those that a packet has filled go back
	// to the kernel before the next is waited for.
	mapped bool
	filled int
}

// lasting gives a receiver that is kept for ever a buffer that costs next to nothing
// while nothing comes.
func (r *receiver) lasting() *receiver {
	if pages, err := unix.Mmap(-1, 0, recvBuffer, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err == nil {
		r.buf, r.mapped = pages, true
	}
	return r
}

// rest empties the buffer, or makes it.
func (r *receiver) rest() {
	switch {
	case r.buf == nil:
		r.buf = make([]byte, recvBuffer)
	case r.mapped && r.filled > keptPages:
		// A hint; a kernel that refuses keeps the pages.
		_ = unix.Madvise(r.buf, unix.MADV_DONTNEED)
	}
	r.filled = 0
}

// keptPages is how much of a buffer is not worth a system call.
const keptPages = 8 << 10

// recvmsg waits for a packet.
func (r *receiver) recvmsg() (n, oobn, flags int, err error) {
	if r.raw == nil {
		n, oobn, flags, _, err = unix.Recvmsg(r.fd, r.buf, r.oob[:], unix.MSG_CMSG_CLOEXEC|r.flags)
		return n, oobn, flags, err
	}
	lost := r.raw.Read(func(fd uintptr) bool {
		r.closeGate()
		n, oobn, flags, _, err = unix.Recvmsg(int(fd), r.buf, r.oob[:], unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			r.openGate()
			return false
		}
		return true
	})
	if lost != nil {
		r.closeGate()
		err = lost
	}
	return n, oobn, flags, err
}

func (r *receiver) closeGate() {
	if r.gate != nil {
		r.gate.Lock()
	}
}

func (r *receiver) openGate() {
	if r.gate != nil {
		r.gate.Unlock()
	}
}

// pollable hands a descriptor to the runtime's poller; the file must be kept for
// as long as it is used. An error means that it stays as it was.
func pollable(fd int, name string) (*os.File, syscall.RawConn, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	raw, err := f.SyscallConn()
	return f, raw, err
}

// next waits for a packet. The bytes are valid until the next call; the
// descriptors belong to the caller. lost says that the kernel could not install
// all of them (the descriptor table is full).
func (r *receiver) next() (data []byte, files []int, lost bool, err error) {
	r.rest()
	for {
		n, oobn, flags, err := r.recvmsg()
		switch {
		case err == unix.EINTR || err == unix.ECONNRESET:
			// A reset is how the kernel tells that the other end died before it read
			// all of ours. What it had sent is still there to be read.
			r.openGate()
			continue
		case err != nil:
			return nil, nil, false, err
		case n == 0 && oobn == 0:
			return nil, nil, false, errClosed
		}
		r.filled = n
		files = parseRights(r.oob[:oobn])
		return r.buf[:n], files, flags&unix.MSG_CTRUNC != 0, nil
	}
}

func parseRights(oob []byte) []int {
	if len(oob) == 0 {
		return nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var files []int
	for i := range messages {
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			files = append(files, fds...)
		}
	}
	return files
}
