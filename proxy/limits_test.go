package proxy

import (
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// full is a listener that has no descriptor for a while.
type full struct {
	net.Listener
	mu   sync.Mutex
	left int
	seen int
}

func (f *full) Accept() (net.Conn, error) {
	f.mu.Lock()
	f.seen++
	short := f.left > 0
	f.left--
	f.mu.Unlock()
	if short {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

func TestFault8LackOfDescriptorsIsWaitedOut(t *testing.T) {
	s := newStage(t, nil)
	s.set.Delete("p")
	l, err := Listen(s.cfg.Listen[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &full{Listener: l.conn, left: 4}
	l.conn = f
	began := time.Now()
	if err := s.set.Put(s.cfg, []*Listener{l}); err != nil {
		t.Fatal(err)
	}
	s.echo(s.dial())
	if took := time.Since(began); took < (5+10+20+40)*time.Millisecond {
		t.Errorf("four times within %s", took)
	}
}
