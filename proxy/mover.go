package proxy

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// bufferSize is what one read takes while little is sent.
	bufferSize = 32 << 10
	// fullReads is how many full reads in a row show that much is sent: from then on
	// bytes are spliced.
	fullReads = 2
	// wideSize is what one read takes where much is sent from TCP to TCP: copying it is
	// faster there than splicing, and no dearer for the machine as a whole.
	wideSize = 256 << 10
	// pipeSize is what one splice moves at most.
	pipeSize = 512 << 10
	// thinSplices is how many splices in a row of less than thinSplice bytes show that
	// little is sent again.
	thinSplices = 16
	thinSplice  = 8 << 10
)

// A stream is a connection whose descriptor can be used and whose halves can be closed:
// *net.TCPConn and *net.UnixConn.
type stream interface {
	net.Conn
	syscall.Conn
	CloseRead() error
	CloseWrite() error
}

// buffers are those of movers that have bytes in their hands. An idle connection has
// none.
type buffers struct{ small, wide sync.Pool }

func (b *buffers) get(wide bool) *[]byte {
	pool, size := &b.small, bufferSize
	if wide {
		pool, size = &b.wide, wideSize
	}
	if p, ok := pool.Get().(*[]byte); ok {
		return p
	}
	buf := make([]byte, size)
	return &buf
}

func (b *buffers) put(p *[]byte) {
	if len(*p) == wideSize {
		b.wide.Put(p)
	} else {
		b.small.Put(p)
	}
}

// A mover carries the bytes of one direction. Little is read and written, so that a
// small message is two system calls; much is spliced, and never seen.
type mover struct {
	src, dst syscall.RawConn
	shared   *shared
	moved    *atomic.Int64 // bytes, of the proxy
	last     *atomic.Int64 // when some were moved, of the clock of shared

	copies bool    // much is copied and not spliced
	wide   bool    // much is being copied
	buf    *[]byte // nil but while it holds bytes
	have   []byte  // of buf, not written yet
	pipe   *pipe   // nil but while it is spliced through
	n      int     // of the last read, or in the pipe since it was empty
	errno  error   // of the last system call

	// Made once: a method value is an allocation.
	tryRead, tryWrite, tryFill, tryDrain, tryTopUp func(fd uintptr) bool
}

// shared is what all connections of a process use.
type shared struct {
	buffers buffers
	pipes   pipes
	began   time.Time
}

// clock is the time since the process began to carry, in nanoseconds.
func (s *shared) clock() int64 { return int64(time.Since(s.began)) }

func newMover(dst, src stream, s *shared, moved, last *atomic.Int64) (*mover, error) {
	m := &mover{shared: s, moved: moved, last: last}
	var err error
	if m.src, err = src.SyscallConn(); err == nil {
		m.dst, err = dst.SyscallConn()
	}
	if err != nil {
		return nil, err
	}
	_, from := src.(*net.TCPConn)
	_, to := dst.(*net.TCPConn)
	m.copies = from && to
	m.tryRead, m.tryWrite, m.tryFill, m.tryDrain, m.tryTopUp = m.read, m.write, m.fill, m.drain, m.more
	return m, nil
}

// A wrong is why a direction ended before its end.
type wrong struct {
	reading bool // it is the source that failed
	err     error
}

// run moves bytes until the source has no more (nil), or either side fails.
func (m *mover) run() *wrong {
	for {
		if end, failed := m.little(); end || failed != nil {
			return failed
		}
		if end, failed := m.much(); end || failed != nil {
			return failed
		}
	}
}

// little moves bytes through a buffer until there is much that can be spliced.
func (m *mover) little() (end bool, failed *wrong) {
	defer m.freeBuffer()
	full, thin := 0, 0
	for m.copies || full < fullReads {
		if err := m.src.Read(m.tryRead); err != nil || m.errno != nil {
			return false, &wrong{true, errors.Join(err, m.errno)}
		}
		if m.n == 0 {
			return true, nil
		}
		if full++; m.n < bufferSize {
			full = 0
		}
		if thin++; m.n >= thinSplice {
			thin = 0
		}
		m.have = (*m.buf)[:m.n]
		if err := m.dst.Write(m.tryWrite); err != nil || m.errno != nil {
			return false, &wrong{false, errors.Join(err, m.errno)}
		}
		m.count(m.n)
		if wide := m.copies && thin < thinSplices && (m.wide || full >= fullReads); wide != m.wide {
			m.freeBuffer()
			m.wide = wide
		}
	}
	return false, nil
}

func (m *mover) freeBuffer() {
	if m.buf != nil {
		m.shared.buffers.put(m.buf)
		m.buf = nil
	}
}

func (m *mover) count(n int) {
	m.moved.Add(int64(n))
	m.last.Store(m.shared.clock())
}

// read reads once; while there is nothing to read it holds no buffer.
func (m *mover) read(fd uintptr) (done bool) {
	if m.buf == nil {
		m.buf = m.shared.buffers.get(m.wide)
	}
	for {
		n, err := unix.Read(int(fd), *m.buf)
		switch err {
		case nil:
			m.n, m.errno = n, nil
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			m.freeBuffer()
			return false
		default:
			m.n, m.errno = 0, err
			return true
		}
	}
}

// write writes what there is, and waits when the other end does not take it.
func (m *mover) write(fd uintptr) (done bool) {
	m.errno = nil
	for len(m.have) > 0 {
		n, err := unix.Write(int(fd), m.have)
		switch err {
		case nil:
			m.have = m.have[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			m.errno = err
			return true
		}
	}
	return true
}

// much splices until there is little. Where nothing can be spliced there never is much.
func (m *mover) much() (end bool, failed *wrong) {
	defer m.freePipe()
	for thin := 0; thin < thinSplices; {
		if err := m.src.Read(m.tryFill); err != nil || m.errno != nil {
			if m.errno == unix.EINVAL || m.errno == unix.ENOSYS || m.errno == errNoPipe {
				return false, nil // this time it goes through a buffer
			}
			return false, &wrong{true, errors.Join(err, m.errno)}
		}
		if m.n == 0 {
			return true, nil
		}
		if thin++; m.n >= thinSplice {
			thin = 0
		}
		if err := m.dst.Write(m.tryDrain); err != nil || m.errno != nil {
			return false, &wrong{false, errors.Join(err, m.errno)}
		}
		m.count(m.n)
	}
	return false, nil
}

const spliceFlags = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE

// fill splices from the source into the pipe. While there is nothing it holds no pipe.
func (m *mover) fill(fd uintptr) (done bool) {
	if m.pipe == nil {
		if m.pipe = m.shared.pipes.get(); m.pipe == nil {
			m.n, m.errno = 0, errNoPipe
			return true
		}
	}
	for {
		n, err := unix.Splice(int(fd), nil, m.pipe.w, nil, m.pipe.size, spliceFlags)
		switch err {
		case nil:
			m.n, m.errno = int(n), nil
			m.pipe.holds = int(n)
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			m.freePipe()
			return false
		default:
			m.n, m.errno = 0, err
			return true
		}
	}
}

// drain splices from the pipe into the destination.
func (m *mover) drain(fd uintptr) (done bool) {
	m.errno = nil
	for m.pipe.holds > 0 {
		n, err := unix.Splice(m.pipe.r, nil, int(fd), nil, m.pipe.holds, spliceFlags)
		switch {
		case err == nil && n > 0:
			m.pipe.holds -= int(n)
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			m.topUp()
			return false
		case err == nil:
			m.errno = unix.EIO // it holds bytes, and gives none
			return true
		default:
			m.errno = err
			return true
		}
	}
	return true
}

// topUp has the source wait no longer than it must: while the destination takes nothing
// there is room in the pipe. What goes wrong here is seen when it is read the next time.
func (m *mover) topUp() {
	_ = m.src.Read(m.tryTopUp)
}

func (m *mover) more(fd uintptr) (done bool) {
	n, err := unix.Splice(int(fd), nil, m.pipe.w, nil, m.pipe.size, spliceFlags)
	if err == nil {
		m.n += int(n)
		m.pipe.holds += int(n)
	}
	return true
}

func (m *mover) freePipe() {
	if m.pipe != nil {
		m.shared.pipes.put(m.pipe)
		m.pipe = nil
	}
}

// A pipe is what spliced bytes go through.
type pipe struct {
	r, w  int
	size  int // what it takes
	holds int // bytes
}

// errNoPipe says that there is no descriptor left for a pipe.
var errNoPipe = errors.New("no pipe")

// sparePipes is how many empty pipes are held ready.
const sparePipes = 8

// pipes are the empty ones. They are few: only a connection on which much is sent has
// one, and only while it moves.
type pipes struct {
	mu   sync.Mutex
	free []*pipe // guarded by mu
}

// get is an empty pipe; nil: none can be made.
func (p *pipes) get() *pipe {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		one := p.free[n-1]
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return one
	}
	p.mu.Unlock()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil
	}
	one := &pipe{r: fds[0], w: fds[1], size: pipeSize}
	if _, err := unix.FcntlInt(uintptr(one.w), unix.F_SETPIPE_SZ, pipeSize); err != nil {
		one.size = 64 << 10 // that of every pipe
	}
	return one
}

// put takes a pipe back. One that holds bytes is of no use to another connection.
func (p *pipes) put(one *pipe) {
	if one.holds == 0 {
		p.mu.Lock()
		if len(p.free) < sparePipes {
			p.free = append(p.free, one)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
	_ = unix.Close(one.r) // nobody else has them
	_ = unix.Close(one.w)
}
