package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"zinit/proxy/rules"
)

// A Config is what one proxy is to do.
type Config = rules.Proxy

// A Status is how a proxy is at a moment.
type Status struct {
	Name    string
	Active  int   // connections that wait or are served
	Total   int64 // since the proxy was set first
	Refused int64 // of Total, closed because there were too many
	Failed  int64 // of Total, closed because the backend could not be reached
	// BytesIn went to the backend, BytesOut came from it.
	BytesIn, BytesOut int64
	// Activations are starts of the service for a connection; those that failed count.
	Activations int64
	// LastActivity is when a connection came or bytes were carried; zero: never.
	LastActivity time.Time
}

// counters outlive a proxy that is replaced by one of the same name.
type counters struct {
	active, total, refused, failed, activations atomic.Int64
	tally
}

// A proxy is one Config at work.
type proxy struct {
	cfg       Config
	backend   *backend
	service   *service
	listeners []*Listener
	count     *counters
	common    *common
	slots     chan struct{} // a token for each served connection; nil: any number
	ended     chan struct{} // closed when it accepts no more
	accepting sync.WaitGroup
	closing   sync.Once

	mu      sync.Mutex
	probing *probe // guarded by mu; nil: none is under way
}

// common is what all proxies of a Set use.
type common struct {
	shared
	log  *slog.Logger
	room chan struct{} // capacity 1; a descriptor has become free
	live sync.WaitGroup

	listening, carrying atomic.Int64 // listeners, and connections from their accept on
}

// otherFiles is how many descriptors are left for all else: pipes, questions to the
// server, what the runtime has.
const otherFiles = 32

// full is an error when there may be no descriptors for another connection: it needs
// two. Were it accepted with one, those who have come could keep each other from their
// backends for ever.
func (c *common) full() error {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return nil // accept will tell
	}
	// Each listener may take one that it was allowed before others came.
	if need := 2*c.carrying.Load() + 3*c.listening.Load() + otherFiles; uint64(need) > limit.Cur {
		return fmt.Errorf("the limit of %d open files allows no more than %d: raise it", limit.Cur, c.carrying.Load())
	}
	return nil
}

func newProxy(cfg Config, listeners []*Listener, svc *service, count *counters, c *common, old *proxy) *proxy {
	p := &proxy{
		cfg: cfg, backend: newBackend(cfg.Backend), service: svc, listeners: listeners,
		count: count, common: c, ended: make(chan struct{}),
	}
	switch {
	case old != nil && cap(old.slots) == cfg.MaxConnections:
		p.slots = old.slots // its connections go on, and count
	case cfg.MaxConnections > 0:
		p.slots = make(chan struct{}, cfg.MaxConnections)
	}
	for _, l := range listeners {
		p.accepting.Go(func() { p.accept(l) })
	}
	return p
}

// close stops accepting. What was accepted is served to its end.
func (p *proxy) close() {
	p.closing.Do(func() {
		close(p.ended)
		for _, l := range p.listeners {
			l.Close()
		}
	})
	p.accepting.Wait()
}

// The pause after an accept that failed.
const (
	firstBackoff = 5 * time.Millisecond
	lastBackoff  = time.Second
)

// warnEvery is how often it is said at most that connections wait for descriptors.
const warnEvery = time.Minute

// accept takes connections until the listener is closed. When there is no descriptor
// for one it waits until a connection ends, or a while; the queue of the kernel holds
// who comes.
func (p *proxy) accept(l *Listener) {
	p.common.listening.Add(1)
	defer p.common.listening.Add(-1)
	backoff, warned := firstBackoff, time.Time{}
	for {
		err := p.common.full()
		if err == nil {
			var conn net.Conn
			if conn, err = l.conn.Accept(); err == nil {
				backoff = firstBackoff
				p.take(conn.(stream)) // a listener of ours has no other ones
				continue
			}
		}
		if errors.Is(err, net.ErrClosed) || p.isClosed() {
			return
		}
		if time.Since(warned) > warnEvery {
			warned = time.Now()
			p.common.log.Warn("cannot accept connections, which wait", "proxy", p.cfg.Name, "error", err)
		}
		timer := time.NewTimer(backoff)
		select {
		case <-timer.C:
		case <-p.common.room:
		case <-p.ended:
		}
		timer.Stop()
		backoff = min(2*backoff, lastBackoff)
	}
}

func (p *proxy) isClosed() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// take has a connection served, refused, or held back until there is room for it.
func (p *proxy) take(client stream) {
	p.count.total.Add(1)
	p.common.carrying.Add(1)
	p.count.last.Store(p.common.clock())
	if p.slots != nil {
		select {
		case p.slots <- struct{}{}:
		default:
			if p.cfg.Refuse {
				p.count.refused.Add(1)
				hangUp(client)
				p.common.carrying.Add(-1)
				return
			}
			// Until it is its turn no other one is accepted.
			select {
			case p.slots <- struct{}{}:
			case <-p.ended:
				// It is the last one of this proxy: it waits by itself.
				p.count.active.Add(1)
				p.common.live.Go(func() {
					p.slots <- struct{}{}
					p.serve(client)
				})
				return
			}
		}
	}
	p.count.active.Add(1)
	p.common.live.Go(func() { p.serve(client) })
}

// serve carries one connection from its accept to its end.
func (p *proxy) serve(client stream) {
	defer p.gone()
	up, err := p.connect()
	if err != nil {
		p.count.failed.Add(1)
		p.common.log.Debug("a connection is closed", "proxy", p.cfg.Name, "why", err)
		hangUp(client)
		return
	}
	p.service.admit()
	relay(client, up, &p.common.shared, &p.count.tally)
	since := time.Now()
	if p.cfg.FromByte {
		since = p.common.began.Add(time.Duration(p.count.last.Load()))
	}
	p.service.leave(since)
}

// gone gives back what a connection had.
func (p *proxy) gone() {
	p.count.active.Add(-1)
	p.common.carrying.Add(-1)
	if p.slots != nil {
		<-p.slots
	}
	select {
	case p.common.room <- struct{}{}:
	default:
	}
}

// connect has the service up and connects to the backend. On success the connection is
// still one that waits for the service, and has to be admitted.
func (p *proxy) connect() (stream, error) {
	entered := p.service.enterWarm()
	if entered {
		if up, ok := p.backend.quick(); ok {
			return up, nil
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.ConnectTimeout)
	defer cancel()
	if !entered {
		began, err := p.service.enter(ctx, p.cfg.ConnectTimeout)
		if began {
			p.count.activations.Add(1)
		}
		if err != nil {
			return nil, err
		}
	}
	up, err := p.backend.dial(ctx)
	if err != nil {
		up, err = p.await(ctx)
	}
	if err != nil {
		p.service.giveUp()
	}
	return up, err
}

// await waits until the backend accepts.
func (p *proxy) await(ctx context.Context) (stream, error) {
	for {
		try := p.probe()
		select {
		case <-try.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s does not accept connections", p.cfg.Backend)
		}
		if try.err != nil {
			return nil, try.err
		}
		if up := try.take(); up != nil {
			return up, nil
		}
		// A queue that is full of the others is no reason to look further.
		for {
			up, err := p.backend.dial(ctx)
			if err == nil {
				return up, nil
			}
			if !isBusy(err) || !wait(ctx, soon) {
				break
			}
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s does not accept connections", p.cfg.Backend)
		}
	}
}

// probe is the probe that is under way, or a new one.
func (p *proxy) probe() *probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.probing != nil {
		return p.probing
	}
	try := &probe{done: make(chan struct{})}
	p.probing = try
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), p.cfg.ConnectTimeout)
		defer cancel()
		try.run(ctx, p.backend, func(ctx context.Context) error { return p.service.activate(ctx, p.cfg.ConnectTimeout) })
		if try.err != nil {
			p.common.log.Warn("the backend cannot be reached", "proxy", p.cfg.Name, "why", try.err)
			p.service.failed(try.err)
		}
		p.mu.Lock()
		p.probing = nil
		p.mu.Unlock()
	}()
	return try
}

func (p *proxy) status() Status {
	n := p.count
	s := Status{
		Name: p.cfg.Name, Active: int(n.active.Load()), Total: n.total.Load(), Refused: n.refused.Load(),
		Failed: n.failed.Load(), BytesIn: n.in.Load(), BytesOut: n.out.Load(), Activations: n.activations.Load(),
	}
	if at := n.last.Load(); at > 0 {
		s.LastActivity = p.common.began.Add(time.Duration(at))
	}
	return s
}
