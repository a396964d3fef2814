package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"zinit/proxy/address"
)

// A stage is a proxy with a service that echoes, on sockets of its own.
type stage struct {
	t     *testing.T
	set   *Set
	cfg   Config
	front string
	back  string

	mu        sync.Mutex
	backend   net.Listener       // nil: the service is down
	conns     map[net.Conn]bool  // that it has
	starts    int                // Activate while it was down
	asked     int                // Activate at all
	releases  int                // Release
	refuse    error              // what Activate answers
	kept      bool               // what Release answers
	starting  chan struct{}      // Activate waits for it; nil: it does not
	releasing chan chan struct{} // Release hands out what it waits for; nil: it does not
}

func newStage(t *testing.T, change func(*Config)) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{t: t, front: filepath.Join(dir, "front"), back: filepath.Join(dir, "back"), conns: map[net.Conn]bool{}}
	s.set = NewSet(s, slog.New(slog.DiscardHandler))
	s.cfg = Config{
		Name: "p", Service: "echo", ConnectTimeout: patience,
		Listen:  []address.Address{{Network: address.Unix, Path: s.front}},
		Backend: address.Address{Network: address.Unix, Path: s.back},
	}
	if change != nil {
		change(&s.cfg)
	}
	s.put()
	t.Cleanup(func() {
		s.set.Delete("p")
		s.down()
	})
	return s
}

func (s *stage) put() {
	s.t.Helper()
	l, err := Listen(s.cfg.Listen[0], nil)
	if err == nil {
		err = s.set.Put(s.cfg, []*Listener{l})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// again begins anew with an idle timeout, when all else is as the test wants it.
func (s *stage) again(idle time.Duration) {
	s.t.Helper()
	s.set.Delete("p")
	s.set = NewSet(s, slog.New(slog.DiscardHandler))
	s.cfg.IdleTimeout = idle
	s.put()
}

// Activate implements Services.
func (s *stage) Activate(ctx context.Context, service string) error {
	s.mu.Lock()
	s.asked++
	if s.backend == nil {
		s.starts++
	}
	gate, refuse := s.starting, s.refuse
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if refuse != nil {
		return refuse
	}
	s.up()
	return nil
}

// Release implements Services.
func (s *stage) Release(context.Context, string) (bool, error) {
	s.mu.Lock()
	s.releases++
	kept, handed := s.kept, s.releasing
	s.mu.Unlock()
	if handed != nil {
		gate := make(chan struct{})
		handed <- gate
		<-gate
	}
	if !kept {
		s.down()
	}
	return !kept, nil
}

// up has the service listen, and echo.
func (s *stage) up() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backend != nil {
		return
	}
	l, err := net.Listen("unix", s.back)
	if err != nil {
		s.t.Error(err)
		return
	}
	s.backend = l
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[c] = true
			s.mu.Unlock()
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
}

// down ends the service, with all its connections.
func (s *stage) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backend != nil {
		s.backend.Close()
		s.backend = nil
	}
	for c := range s.conns {
		c.Close()
	}
	clear(s.conns)
}

func (s *stage) count(n *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *n
}

// await waits for a fact.
func (s *stage) await(what string, fact func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !fact(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("it never came that %s", what)
		}
	}
}

func (s *stage) dial() stream {
	s.t.Helper()
	c, err := net.Dial("unix", s.front)
	if err != nil {
		s.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(2 * patience))
	s.t.Cleanup(func() { c.Close() })
	return c.(stream)
}

// echoes sends a word and wants it back.
func echoes(c stream) error {
	if _, err := c.Write([]byte("word")); err != nil {
		return err
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != "word" {
		return fmt.Errorf("echoed %q", got)
	}
	return nil
}

func (s *stage) echo(c stream) {
	s.t.Helper()
	if err := echoes(c); err != nil {
		s.t.Error(err)
	}
}

// closed wants a clean end.
func (s *stage) closed(c stream) {
	s.t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		s.t.Errorf("not closed cleanly: %d bytes, %v", n, err)
	}
}

func (s *stage) status() Status { return s.set.Status()[0] }

func TestFault50ThoseWhoComeWhileItStartsAreAllServedByOneStart(t *testing.T) {
	s := newStage(t, nil)
	gate := make(chan struct{})
	s.mu.Lock()
	s.starting = gate
	s.mu.Unlock()
	const many = 1000
	served := make(chan error, many)
	for range many {
		go func() {
			c, err := net.Dial("unix", s.front)
			if err == nil {
				c.SetDeadline(time.Now().Add(2 * patience))
				err = echoes(c.(stream))
				c.Close()
			}
			served <- err
		}()
	}
	s.await("all wait", func() bool { return s.status().Active == many })
	close(gate)
	for range many {
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
	if n := s.count(&s.starts); n != 1 {
		t.Errorf("%d starts", n)
	}
	s.await("all have left", func() bool { return s.status().Active == 0 })
	if st := s.status(); st.Total != many || st.Activations != 1 || st.BytesIn != 4*many || st.BytesOut != 4*many || st.Failed != 0 || st.LastActivity.IsZero() {
		t.Errorf("%+v", st)
	}
}

func TestABackendThatIsLateIsWaitedFor(t *testing.T) {
	s := newStage(t, nil)
	s.set.Delete("p")
	s.set = NewSet(lazy{s}, slog.New(slog.DiscardHandler))
	s.put()
	c := s.dial()
	s.await("it is asked for", func() bool { return s.count(&s.asked) > 0 })
	s.up()
	s.echo(c)
}

// lazy is a stage whose service says that it runs before it listens.
type lazy struct{ *stage }

func (l lazy) Activate(context.Context, string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	return nil
}

func TestFault52WhatDoesNotComeUpIsClosedPromptlyAndNotStartedAgainAtOnce(t *testing.T) {
	s := newStage(t, nil)
	s.mu.Lock()
	s.refuse = errors.New("it has failed")
	s.mu.Unlock()
	for range 20 {
		c := s.dial()
		c.Write([]byte("are you there"))
		s.closed(c)
	}
	if n := s.count(&s.starts); n < 1 || n > 5 {
		t.Errorf("%d starts for 20 connections", n)
	}
	s.await("all are counted", func() bool { return s.status().Failed == 20 })
	// When the pause is over it is tried again, and works.
	s.mu.Lock()
	s.refuse = nil
	s.mu.Unlock()
	s.await("it works", func() bool { return echoes(s.dial()) == nil })
}

func TestABackendThatNeverAcceptsIsGivenUpAfterTheConnectTimeout(t *testing.T) {
	s := newStage(t, func(c *Config) { c.ConnectTimeout = 50 * time.Millisecond })
	s.set.Delete("p")
	s.set = NewSet(lazy{s}, slog.New(slog.DiscardHandler))
	s.put()
	began := time.Now()
	s.closed(s.dial())
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("given up after %s", took)
	}
	s.closed(s.dial())
}

func TestAServiceThatRestsIsReleased(t *testing.T) {
	s := newStage(t, func(c *Config) { c.IdleTimeout = 30 * time.Millisecond })
	c := s.dial()
	s.echo(c)
	<-time.After(100 * time.Millisecond)  // much longer than it may rest
	if n := s.count(&s.releases); n > 1 { // one may have come before the connection
		t.Fatalf("released %d times under a connection", n)
	}
	s.echo(c)
	c.Close()
	s.await("it is down", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.backend == nil })
	s.echo(s.dial())
	if n := s.count(&s.starts); n != 2 {
		t.Errorf("%d starts", n)
	}
}

func TestFault51WhoComesDuringTheIdleStopIsServedByTheNextStart(t *testing.T) {
	s := newStage(t, nil)
	s.mu.Lock()
	s.releasing = make(chan chan struct{})
	s.mu.Unlock()
	s.again(10 * time.Millisecond)
	for range 5 {
		gate := <-s.releasing // it is being stopped
		c := s.dial()
		answered := make(chan error, 1)
		go func() { answered <- echoes(c) }()
		s.await("it waits", func() bool { return s.set.Serving("echo") == 1 })
		close(gate)
		if err := <-answered; err != nil {
			t.Error(err)
		}
		c.Close()
	}
	s.mu.Lock()
	s.releasing = nil
	s.mu.Unlock()
}

func TestWhatIsKeptUpIsAskedAboutAgain(t *testing.T) {
	s := newStage(t, nil)
	s.mu.Lock()
	s.kept = true
	s.mu.Unlock()
	s.up()
	s.again(5 * time.Millisecond)
	s.await("it was asked three times", func() bool { return s.count(&s.releases) >= 3 })
	s.echo(s.dial())
	if n := s.count(&s.starts); n != 0 {
		t.Errorf("%d starts of what runs", n)
	}
}

func TestABackendThatCrashesClosesItsClientsAndIsStartedAgain(t *testing.T) {
	s := newStage(t, nil)
	c := s.dial()
	s.echo(c)
	s.down()
	s.closed(c)
	c.Close()
	s.echo(s.dial())
	if n := s.count(&s.starts); n != 2 {
		t.Errorf("%d starts", n)
	}
}

func TestThoseAboveTheLimitWaitTheirTurn(t *testing.T) {
	s := newStage(t, func(c *Config) { c.MaxConnections = 2 })
	one, two, three, four := s.dial(), s.dial(), s.dial(), s.dial()
	s.echo(one)
	s.echo(two)
	if st := s.status(); st.Active != 2 || st.Refused != 0 {
		t.Errorf("%+v", st)
	}
	answered := make(chan error, 2)
	for _, c := range []stream{three, four} {
		go func() { answered <- echoes(c) }()
	}
	one.Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
	two.Close()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestThoseAboveTheLimitAreRefused(t *testing.T) {
	s := newStage(t, func(c *Config) { c.MaxConnections, c.Refuse = 1, true })
	one := s.dial()
	s.echo(one)
	two := s.dial()
	two.Write([]byte("hello"))
	s.closed(two)
	one.Close()
	s.await("there is room", func() bool { return s.status().Active == 0 })
	s.echo(s.dial())
	if st := s.status(); st.Refused != 1 || st.Total != 3 {
		t.Errorf("%+v", st)
	}
}

func TestAProxyIsReplacedWhileItsConnectionsGoOn(t *testing.T) {
	s := newStage(t, nil)
	c := s.dial()
	s.echo(c)
	// The same socket goes to the next proxy of that name, as a server hands it over.
	s.set.mu.Lock()
	old := s.set.proxies["p"].listeners[0]
	s.set.mu.Unlock()
	f, err := old.File()
	if err != nil {
		t.Fatal(err)
	}
	l, err := Adopt(f, old.Address, old.ID)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	s.cfg.IdleTimeout = time.Hour
	if err := s.set.Put(s.cfg, []*Listener{l}); err != nil {
		t.Fatal(err)
	}
	s.echo(c)
	s.echo(s.dial())
	if st := s.status(); st.Total != 2 || st.Active != 2 {
		t.Errorf("%+v", st)
	}
	if s.set.Serving("echo") != 2 {
		t.Errorf("%d are served", s.set.Serving("echo"))
	}
	if !s.set.Delete("p") || s.set.Delete("p") {
		t.Error("it was not deleted once")
	}
	s.echo(c)
	if _, err := net.Dial("unix", s.front); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connected to what is deleted: %v", err)
	}
}

func TestADrainEndsWithTheLastConnection(t *testing.T) {
	s := newStage(t, nil)
	c := s.dial()
	s.echo(c)
	over := s.set.Drain()
	if _, err := net.Dial("unix", s.front); err == nil {
		t.Error("it accepts")
	}
	s.echo(c)
	select {
	case <-over:
		t.Fatal("it is over while a connection goes on")
	default:
	}
	c.Close()
	select {
	case <-over:
	case <-time.After(patience):
		t.Fatal("it is not over")
	}
	if err := s.set.Put(s.cfg, nil); err == nil {
		t.Error("it takes another proxy")
	}
}
