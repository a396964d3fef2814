package proxy

import (
	"net"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A tally is what a proxy counts of the bytes that it carries.
type tally struct {
	in, out atomic.Int64 // to the backend, and from it
	last    atomic.Int64 // when the last were moved, of the clock of shared
}

// relay carries bytes both ways until both ways have ended, and closes both
// connections. The end of one way is passed on as the end of that way alone.
func relay(client, backend stream, s *shared, t *tally) {
	defer client.Close()
	defer backend.Close()
	up, err := newMover(backend, client, s, &t.in, &t.last)
	if err != nil {
		return
	}
	down, err := newMover(client, backend, s, &t.out, &t.last)
	if err != nil {
		return
	}
	ended := make(chan struct{})
	go func() {
		carry(down, client, backend)
		close(ended)
	}()
	carry(up, backend, client)
	<-ended
}

// carry carries one way to its end.
func carry(m *mover, dst, src stream) {
	failed := m.run()
	switch {
	case failed == nil:
		_ = dst.CloseWrite() // if that fails the other end is gone, which the other way sees
	case failed.reading:
		// Whatever this side had to say, it has not said all of it. The other one must
		// not take that for the end.
		abort(dst)
		abort(src)
	default:
		// It takes no more. What it still has to say comes by the other way.
		_ = src.CloseRead()
	}
}

// abort ends a connection so that its other end sees that it was cut off, where the
// network can tell.
func abort(c stream) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// hangUp ends a connection that was never served, cleanly: what its client has sent is
// taken off, as closing over it would be a reset.
func hangUp(c stream) {
	_ = c.CloseWrite()
	raw, err := c.SyscallConn()
	if err == nil {
		_ = raw.Read(func(fd uintptr) bool {
			var waste [4096]byte
			for range 256 {
				if n, err := unix.Read(int(fd), waste[:]); n <= 0 && err != unix.EINTR {
					break
				}
			}
			return true
		})
	}
	c.Close()
}
