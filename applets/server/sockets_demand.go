package server

import (
	"context"
	"strings"
	"time"

	"zinit/proxy"
	"zinit/reap"
	"zinit/supervise"
)

// watch has services be started from now on because somebody has come.
func (x *sockets) watch(up rouser) {
	sentry, err := proxy.NewSentry()
	if err != nil {
		x.log.Error("nobody who comes to a socket starts its service", "error", err)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.demand = demand{sentry, up}
	for service := range x.of {
		x.armLocked(service)
	}
}

// demand starts services because somebody has come to their sockets.
type demand struct {
	sentry *proxy.Sentry // nil: nobody is noticed
	up     rouser
}

// A rouser has services be up. *supervise.Supervisor is one.
type rouser interface {
	// Activate returns when a service is up, or will not be.
	Activate(ctx context.Context, service string) error
	// Attend gives a service the connection that accept returns, if it can take one.
	Attend(service string, accept func() (supervise.Caller, error)) error
}

// calls is what has come of those who came to the sockets of one service. All of it is
// guarded by the mutex of the sockets.
type calls struct {
	busy, again bool
	bad         bool        // it has ended badly while it was busy
	began       time.Time   // the last start
	failures    int         // in a row, each soon after a start
	since       time.Time   // of the starts that are counted
	starts      int         // or connections that were taken
	pause       *time.Timer // nil: none
	ended       bool
}

const (
	// A start that fails, or ends badly, is followed by a pause, so that those who wait
	// at a socket do not start it without end.
	pauseLeast, pauseMost = 500 * time.Millisecond, 10 * time.Second
	// A service that ends well and leaves them waiting has this many starts in a row.
	startsAtOnce, startsWithin = 20, 2 * time.Second
	// One that is given connections has this many of them in the same time.
	takesAtOnce = 200
)

func (c *calls) end() {
	c.ended = true
	if c.pause != nil {
		c.pause.Stop()
	}
}

// armLocked has a service started when the next one comes to it.
func (x *sockets) armLocked(service string) {
	o := x.of[service]
	if o == nil || x.over || x.demand.sentry == nil || o.pause != nil {
		return
	}
	if o.busy {
		o.again = true
		return
	}
	for _, h := range o.held {
		if err := x.demand.sentry.Heed(h.Held, func() { go x.came(service, o) }); err != nil {
			x.log.Warn("nobody who comes starts it", "service", service, "address", h.Address, "error", err)
		}
	}
}

// came starts a service, unless that is under way.
func (x *sockets) came(service string, o *outfit) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over || o.ended || o.busy || o.pause != nil {
		return
	}
	o.busy = true
	o.began = time.Now()
	x.mu.Unlock()
	err := x.demand.up.Activate(context.Background(), service)
	var more after
	if err == nil {
		more, err = x.take(service, o)
	}
	x.mu.Lock()
	o.busy = false
	again, bad := o.again, o.bad
	o.again, o.bad = false, false
	if err != nil {
		x.log.Warn("who has come to its socket waits: "+err.Error(), "service", service)
	}
	switch {
	case err != nil || bad:
		x.failedLocked(service, o)
	case more == afterPause:
		x.pauseLocked(service, o, startsWithin)
	case more == atOnce, again:
		x.armLocked(service)
	}
}

func (x *sockets) failedLocked(service string, o *outfit) {
	o.failures++
	x.pauseLocked(service, o, min(pauseLeast<<min(o.failures-1, 8), pauseMost))
}

func (x *sockets) pauseLocked(service string, o *outfit, d time.Duration) {
	if o.ended || o.pause != nil {
		return
	}
	o.pause = time.AfterFunc(d, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		o.pause = nil
		if x.of[service] == o {
			x.armLocked(service)
		}
	})
}

// heard is told by the loop what has become of processes: a service that has ended is
// started again by the next one who comes.
func (x *sockets) heard(ev reap.Event) {
	key, well := "", false
	switch e := ev.(type) {
	case reap.SpawnFailed:
		key = e.Key
	case reap.Exited:
		key, well = e.Key, e.Status.Success()
	}
	service, isConn := strings.CutSuffix(strings.TrimRight(key, "0123456789"), connKey)
	x.mu.Lock()
	defer x.mu.Unlock()
	if isConn {
		x.hungUpLocked(service, ev)
		return
	}
	o := x.of[key]
	switch {
	case o == nil:
	case !well && o.busy:
		o.bad = true
	case !well && time.Since(o.began) < startsWithin:
		x.failedLocked(key, o)
	case o.starts >= startsAtOnce && time.Since(o.since) < startsWithin:
		x.pauseLocked(key, o, startsWithin)
	default:
		o.failures = 0
		x.armLocked(key)
	}
}
