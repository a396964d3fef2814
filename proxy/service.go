package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Services starts and stops what is proxied to. Its methods are called from many
// goroutines, but not for one service at a time.
type Services interface {
	// Activate has a service up, and returns when it runs by its own rule, or with the
	// reason why it does not. To activate what runs is cheap.
	Activate(ctx context.Context, service string) error
	// Release says that no connection needs the service. stopped: it is being stopped.
	// Otherwise somebody else wants it up, and it is asked again later.
	Release(ctx context.Context, service string) (stopped bool, err error)
}

// releaseTime is how long the answer to Release is waited for.
const releaseTime = 30 * time.Second

// A service is a life that is lived.
type service struct {
	name    string
	control Services
	log     *slog.Logger

	mu     sync.Mutex
	life   life          // guarded by mu
	change chan struct{} // guarded by mu; closed and replaced when the phase changes
	reason error         // guarded by mu; why the last start failed
	timer  *time.Timer   // guarded by mu; for life.deadline; nil before the first
}

func newService(name string, control Services, log *slog.Logger) *service {
	s := &service{name: name, control: control, log: log, change: make(chan struct{})}
	s.life.unsure, s.life.restSince = true, time.Now()
	return s
}

// errTurned is why a connection is not served that comes too soon after a failure.
var errTurned = errors.New("it failed to start a moment ago, and is tried again soon")

// enterWarm is enter where there is nothing to wait for; false: there is.
func (s *service) enterWarm() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.phase != warm {
		return false
	}
	s.life.arrive(time.Now()) // it waits, and orders nothing
	return true
}

// enter waits until the service runs, on behalf of a connection, which is waiting from
// then on and must be admitted or given up. On an error it is not. began: this
// connection had it started. patience bounds the start, ctx the wait.
func (s *service) enter(ctx context.Context, patience time.Duration) (began bool, err error) {
	s.mu.Lock()
	o, turned := s.life.arrive(time.Now())
	if turned {
		err := fmt.Errorf("%s: %w: %w", s.name, errTurned, s.reason)
		s.mu.Unlock()
		return false, err
	}
	s.doLocked(o, patience)
	began = o == start
	for {
		switch s.life.phase {
		case warm:
			s.mu.Unlock()
			return began, nil
		case cold: // the start failed
			err := s.reason
			s.life.giveUp(time.Now())
			s.mu.Unlock()
			return began, err
		}
		change := s.change
		s.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
			s.giveUp()
			return began, fmt.Errorf("%s: it did not come up in time: zinit why %s tells more", s.name, s.name)
		}
		s.mu.Lock()
	}
}

func (s *service) admit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life.admit()
	s.armLocked()
}

func (s *service) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life.giveUp(time.Now())
	s.armLocked()
}

func (s *service) leave(since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life.leave(since)
	s.armLocked()
}

// failed says that its backend cannot be reached.
func (s *service) failed(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.life.phase
	s.life.failed(time.Now())
	if s.life.phase != was {
		s.reason = why
		s.changedLocked()
	}
}

// setIdle sets for how long it is kept without connections.
func (s *service) setIdle(idle time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life.idle = idle
	s.armLocked()
}

// serving counts the connections that wait for it or use it.
func (s *service) serving() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life.waiting + s.life.using
}

// unneeded reports that it can be forgotten: nobody uses it, and no answer is awaited.
func (s *service) unneeded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life.waiting+s.life.using == 0 && (s.life.phase == cold || s.life.phase == warm)
}

func (s *service) changedLocked() {
	close(s.change)
	s.change = make(chan struct{})
	s.armLocked()
}

// armLocked sets the timer to when something is due.
func (s *service) armLocked() {
	at := s.life.deadline()
	switch {
	case at.IsZero() && s.timer != nil:
		s.timer.Stop()
	case at.IsZero():
	case s.timer == nil:
		s.timer = time.AfterFunc(time.Until(at), s.tick)
	default:
		s.timer.Reset(time.Until(at))
	}
}

func (s *service) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.life.tick(time.Now())
	s.doLocked(o, 0)
	if o == nothing {
		s.armLocked()
	}
}

// doLocked carries out an order, whose answer comes by itself.
func (s *service) doLocked(o order, patience time.Duration) {
	switch o {
	case start:
		go s.start(patience)
	case stop:
		go s.stop()
	}
}

func (s *service) start(patience time.Duration) {
	began := time.Now()
	err := s.activate(context.Background(), patience)
	if err != nil {
		s.log.Warn("not started for a connection", "service", s.name, "why", err)
	} else {
		s.log.Info("started for a connection", "service", s.name, "after", time.Since(began).Round(time.Millisecond))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reason = err
	s.life.started(time.Now(), err == nil)
	s.changedLocked()
}

// activate asks for the service, for as long as patience lasts.
func (s *service) activate(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := s.control.Activate(ctx, s.name)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%s: it did not come up within %s: zinit why %s tells more", s.name, patience, s.name)
	}
	return err
}

func (s *service) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
	defer cancel()
	stopped, err := s.control.Release(ctx, s.name)
	switch {
	case err != nil:
		s.log.Warn("it rests and cannot be stopped", "service", s.name, "why", err)
	case stopped:
		s.log.Info("stopped: no connection needs it", "service", s.name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.doLocked(s.life.lost(time.Now()), releaseTime)
	} else {
		s.doLocked(s.life.stopped(time.Now(), stopped), releaseTime)
	}
	s.changedLocked()
}
