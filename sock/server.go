package sock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Options bound what clients may do. The zero value of each field stands for
// the limit in brackets.
type Options struct {
	MaxFrame     int           // longest request in bytes (1 MiB)
	MaxFrames    int           // bytes of the long requests of all connections together, begun or being answered (64 MiB)
	MaxBatch     int           // most requests of a batch (1,000)
	MaxConns     int           // most connections (4,096)
	FrameTimeout time.Duration // for a request, from its first byte to its last (30 s)
	WriteTimeout time.Duration // for replies to be read once the socket is full (10 s)

	// StreamTimeout is the same for a stream (10 min). It is long, so that a
	// subscriber that was busy hears what it has missed, instead of a cut line.
	StreamTimeout time.Duration

	// Grant says what a peer may do, given the path of the socket. It runs for
	// every connection, on the accepting goroutine (nil: Grant).
	Grant func(path string, peer Peer) Access

	// Lines answers a line that is no JSON, whatever bytes it has; the connection is
	// closed after that. (nil: such lines are refused.)
	Lines func(ctx context.Context, l *Line)

	Log *slog.Logger // for what concerns no client (nil: nowhere)
}

func (o *Options) fill() {
	orDefault(&o.MaxFrame, 1<<20)
	orDefault(&o.MaxFrames, 64<<20)
	orDefault(&o.MaxBatch, 1000)
	orDefault(&o.MaxConns, 4096)
	orDefault(&o.FrameTimeout, 30*time.Second)
	orDefault(&o.WriteTimeout, 10*time.Second)
	orDefault(&o.StreamTimeout, 10*time.Minute)
	if o.Grant == nil {
		o.Grant = Grant
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func orDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// A Server answers the methods of one table on any number of listeners. All
// methods may be called from any goroutine.
type Server struct {
	opts    Options
	methods map[string]*Method
	outputs sync.Pool       // of *output
	frames  budget          // of what the connections hold of requests
	base    context.Context // of the handlers
	cancel  context.CancelFunc
	streams context.Context // of the handlers that stream: it ends when Shutdown begins
	endAll  context.CancelFunc
	ending  chan struct{} // closed when Shutdown begins
	ended   atomic.Bool   // the same, cheaper to ask
	parting time.Time     // until when what streams still write may be read; set before ended
	running sync.WaitGroup

	mu        sync.Mutex
	conns     map[*conn]struct{}
	listeners map[net.Listener]struct{}
}

// NewServer makes a server. It panics when the table names a method twice,
// which is a mistake in the program.
func NewServer(table Table, opts Options) *Server {
	opts.fill()
	s := &Server{
		opts:      opts,
		methods:   make(map[string]*Method, len(table)),
		ending:    make(chan struct{}),
		conns:     make(map[*conn]struct{}),
		listeners: make(map[net.Listener]struct{}),
	}
	s.frames.max = int64(opts.MaxFrames)
	s.outputs.New = func() any { return newOutput() }
	s.base, s.cancel = context.WithCancel(context.Background())
	s.streams, s.endAll = context.WithCancel(s.base)
	for i := range table {
		m := &table[i]
		if s.methods[m.Name] != nil {
			panic("sock: method " + m.Name + " is in the table twice")
		}
		s.methods[m.Name] = m
	}
	return s
}

func (s *Server) find(quoted []byte) *Method {
	if m := s.methods[string(quoted)]; m != nil {
		return m
	}
	return s.methods[unquote(append(append([]byte{'"'}, quoted...), '"'))]
}

func (s *Server) stopping() bool { return s.ended.Load() }

// Serve accepts connections until Shutdown, and then returns nil; any other
// error means that the listener is of no more use. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.stopping() {
		s.mu.Unlock()
		return nil
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, l)
		s.mu.Unlock()
	}()

	var wait time.Duration
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			wait = 0
			s.welcome(l, nc)
		case s.stopping():
			return nil
		case !passing(err):
			return fmt.Errorf("cannot accept connections: %w", err)
		default:
			// Out of descriptors or memory: the connection stays in the queue. To
			// ask again at once would only burn what the others need.
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			s.opts.Log.Warn("cannot accept a connection: trying again", "error", err, "in", wait)
			if !s.pause(wait) {
				return nil
			}
		}
	}
}

// pause waits; it returns false when the server stops meanwhile.
func (s *Server) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ending:
		return false
	}
}

// awaitDeafness waits until Shutdown, which is about to be called, has seen to it that
// nobody is accepted any more.
func (s *Server) awaitDeafness() {
	if s.pause(time.Second) {
		return // it is not called
	}
	s.mu.Lock() // which Shutdown holds meanwhile
	defer s.mu.Unlock()
}

// passing says whether an error of accept may pass by itself.
func passing(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.ECONNABORTED, unix.EINTR, unix.EPERM, unix.EPROTO:
		return true
	}
	return false
}

// welcome starts to serve a connection, or turns it away with one line.
func (s *Server) welcome(l net.Listener, nc net.Conn) {
	c, err := s.newConn(l, nc)
	if err == nil {
		err = s.admit(c)
	}
	if err == nil {
		go c.serve()
		return
	}
	var e *Error
	if errors.As(err, &e) {
		out := newOutput()
		out.appendError([]byte(parseErrorID), e)
		// The buffer of a new connection has room for a line, so this does not
		// wait; should it not, the client is told by the close alone.
		if nc.SetWriteDeadline(time.Now().Add(10*time.Millisecond)) == nil {
			_, err = nc.Write(append(out.b, '\n'))
		}
	}
	s.opts.Log.Debug("connection turned away", "error", err)
	nc.Close()
}

func (s *Server) newConn(l net.Listener, nc net.Conn) (*conn, error) {
	uc, ok := nc.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("cannot serve a %s connection", nc.LocalAddr().Network())
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return nil, err
	}
	peer, err := peerOf(raw)
	if err != nil {
		return nil, err
	}
	c := &conn{srv: s, nc: uc, raw: raw, peer: peer, in: framer{max: s.opts.MaxFrame, all: &s.frames, lines: s.opts.Lines != nil}}
	c.access = s.opts.Grant(l.Addr().String(), peer)
	if c.access == Nothing {
		return nil, accessDenied(peer)
	}
	return c, nil
}

func (s *Server) admit(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping() {
		return ShuttingDown()
	}
	if len(s.conns) >= s.opts.MaxConns {
		return Refuse(WordTooManyConnections, "too many connections: %d are open: close some and try again", len(s.conns))
	}
	s.conns[c] = struct{}{}
	s.running.Add(1)
	return nil
}

// forget ends a connection.
func (s *Server) forget(c *conn) {
	c.nc.Close()
	c.in.drop()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.running.Done()
}

// Shutdown stops accepting, lets the calls that run be answered, ends the streams
// and closes the connections; what a client has sent but the server not read is dropped. When
// ctx ends first, the context of the handlers ends too, the connections are
// closed as they are, and the error is that of ctx. No socket file is removed.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.ended.Load() {
		s.parting = time.Now().Add(partingTime)
		s.ended.Store(true)
		close(s.ending)
	}
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		if err := c.nc.SetReadDeadline(past()); err != nil {
			c.nc.Close()
		}
		c.hurry()
	}
	s.mu.Unlock()
	s.endAll()

	answered := make(chan struct{})
	go func() {
		s.running.Wait()
		close(answered)
	}()
	defer s.cancel()
	select {
	case <-answered:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.nc.Close()
	}
	return ctx.Err()
}
