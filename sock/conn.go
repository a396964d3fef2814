package sock

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// flushSize is how much output is held back at most.
const flushSize = 64 << 10

// past is a deadline that has passed: it ends a read at once.
func past() time.Time { return time.Unix(1, 0) }

// A conn is one connection and belongs to its goroutine, but for what Shutdown
// and watchHangUp do to its deadlines.
type conn struct {
	srv    *Server
	nc     *net.UnixConn
	raw    syscall.RawConn
	peer   Peer
	access Access
	in     framer
	call   Call    // of the request being answered
	out    *output // nil while nothing is being answered: idle connections hold none

	streaming atomic.Bool // a handler that streams runs

	failed  error  // the connection is broken; set once
	armed   bool   // a read deadline runs for the frame that has begun
	pending []byte // what flush still has to write
	late    bool   // a write deadline is set
}

// serve answers the connection until it ends.
func (c *conn) serve() {
	defer c.srv.forget(c)
	defer func() {
		if v := recover(); v != nil {
			// A handler's mistake costs this connection, not the server.
			c.srv.opts.Log.Error("a request made the server panic", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	for c.failed == nil {
		f := c.in.next()
		if f.kind == noFrame {
			if c.flushOver(0) {
				c.release()
				f = c.read()
			}
			if f.kind == noFrame {
				continue
			}
		}
		c.disarm()
		if f.kind == lineFrame && c.srv.opts.Lines != nil {
			c.answerLine(f.text)
			return
		}
		c.hold()
		c.answerFrame(f)
		if f.kind == endFrame {
			c.flushOver(0)
			return
		}
		c.flushOver(flushSize)
	}
}

// read waits for more bytes. It returns the frame that the end of the stream
// completes, if there is one.
func (c *conn) read() frame {
	if c.in.partial() {
		c.arm()
	}
	room := c.in.space()
	if room == nil {
		return c.in.all.exceeded()
	}
	n, err := c.nc.Read(room)
	c.in.filled(n)
	switch {
	case err == nil:
		return frame{}
	case errors.Is(err, os.ErrDeadlineExceeded) && c.armed && !c.srv.stopping():
		return endOf(&Error{
			Code:    CodeParse,
			Message: "request is not complete after " + c.srv.opts.FrameTimeout.String(),
			Data:    Detail{WordFrameTimeout},
		})
	case errors.Is(err, io.EOF):
		f := c.in.end()
		if f.kind != noFrame {
			return f // the next read ends it
		}
	}
	c.failed = err
	return frame{}
}

// arm gives the frame that has begun its time.
func (c *conn) arm() {
	if !c.armed {
		c.armed = true
		c.setReadDeadline(time.Now().Add(c.srv.opts.FrameTimeout))
	}
}

func (c *conn) disarm() {
	if c.armed {
		c.armed = false
		c.setReadDeadline(time.Time{})
	}
}

// setReadDeadline sets a deadline, unless the server stops: then Shutdown has
// ended all reading, and whoever came later must not undo that.
func (c *conn) setReadDeadline(t time.Time) {
	c.fail(c.nc.SetReadDeadline(t))
	if c.srv.stopping() {
		c.fail(c.nc.SetReadDeadline(past()))
	}
}

func (c *conn) fail(err error) {
	if err != nil && c.failed == nil {
		c.failed = err
	}
}

// hold takes an output for the replies to come, release gives it back.
func (c *conn) hold() {
	if c.out == nil {
		c.out = c.srv.outputs.Get().(*output)
	}
}

func (c *conn) release() {
	if c.out != nil {
		if cap(c.out.b) <= 4*flushSize {
			c.srv.outputs.Put(c.out)
		}
		c.out = nil
	}
}

// flushOver sends the output if there is more than size of it. It returns false
// when the connection is broken.
func (c *conn) flushOver(size int) bool {
	if c.failed != nil {
		return false
	}
	if c.out == nil || len(c.out.b) <= size {
		return true
	}
	c.pending = c.out.b
	c.late = false
	err := c.raw.Write(c.writeSome)
	c.fail(err)
	if c.late {
		c.setWriteDeadline(time.Time{})
	}
	c.pending = nil
	c.out.b = c.out.b[:0]
	return c.failed == nil
}

// writeSome writes until everything is written, or it returns false to wait for
// the client to read. Only then there is a deadline: setting one for each reply
// would cost more than making the reply.
func (c *conn) writeSome(fd uintptr) bool {
	for len(c.pending) > 0 {
		n, err := unix.Write(int(fd), c.pending)
		switch {
		case err == nil:
			c.pending = c.pending[n:]
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if !c.late {
				c.late = true
				c.setWriteDeadline(time.Now().Add(c.writeTime()))
			}
			return false
		default:
			c.fail(os.NewSyscallError("write", err))
			return true
		}
	}
	return true
}

// writeTime is how long the client may take to read once the socket is full.
func (c *conn) writeTime() time.Duration {
	if c.streaming.Load() {
		return c.srv.opts.StreamTimeout
	}
	return c.srv.opts.WriteTimeout
}

// setWriteDeadline sets a deadline, unless the server stops: then a stream keeps
// the one that it has in common with all others.
func (c *conn) setWriteDeadline(t time.Time) {
	c.fail(c.nc.SetWriteDeadline(t))
	if c.srv.stopping() {
		c.hurry()
	}
}

// hurry gives all that a stream still has to write little time; the server stops.
func (c *conn) hurry() {
	if !c.streaming.Load() {
		return
	}
	if err := c.nc.SetWriteDeadline(c.srv.parting); err != nil {
		c.nc.Close()
	}
}

// watchHangUp calls gone when the client closes the connection while a handler
// waits. The function it returns ends the watch. A client that only said that it
// will send no more (half-closed) still wants its answer.
func (c *conn) watchHangUp(gone context.CancelFunc) (end func()) {
	var watch sync.WaitGroup
	watch.Go(func() {
		closed := false
		err := c.raw.Read(func(fd uintptr) bool {
			closed = hungUp(int(fd))
			return closed
		})
		if err == nil && closed {
			gone()
		}
	})
	return func() {
		c.fail(c.nc.SetReadDeadline(past()))
		watch.Wait()
		c.setReadDeadline(time.Time{})
	}
}

// hungUp says whether the other end has closed both directions.
func hungUp(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
}
