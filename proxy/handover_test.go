package proxy

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

// handOver hands the socket of the proxy to another one of that name, as each server does
// that takes over.
func (s *stage) handOver() {
	s.t.Helper()
	s.set.mu.Lock()
	old := s.set.proxies["p"].listeners[0]
	s.set.mu.Unlock()
	f, err := old.File()
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := Adopt(f, old.Address, old.ID)
	f.Close()
	if err == nil {
		err = s.set.Put(s.cfg, []*Listener{l})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestTheLimitHoldsOverAReplacement: the connections that go on count.
func TestTheLimitHoldsOverAReplacement(t *testing.T) {
	s := newStage(t, func(c *Config) { c.MaxConnections = 1 })
	first := s.dial()
	s.echo(first)
	s.handOver()
	second := s.dial()
	second.SetDeadline(time.Now().Add(500 * time.Millisecond))
	if err := echoes(second); err == nil {
		t.Error("two are served at a time where one is allowed")
	}
	// Its turn comes.
	first.Close()
	second.SetDeadline(time.Now().Add(patience))
	got := make([]byte, 4)
	if _, err := io.ReadFull(second, got); err != nil || string(got) != "word" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestWhatMayBeUpIsReleasedLater: a failure is no proof that it is down.
func TestWhatMayBeUpIsReleasedLater(t *testing.T) {
	now := time.Now()
	for name, failed := range map[string]func(l *life){
		"the answer to a start that took too long": func(l *life) {
			l.arrive(now)
			l.started(now, false) // it comes up nevertheless, a moment later
			l.giveUp(now)
		},
		"a backend that does not accept": func(l *life) {
			l.arrive(now)
			l.started(now, true)
			l.failed(now)
			l.giveUp(now)
		},
	} {
		l := life{idle: time.Second}
		l.arrive(now)
		l.started(now, true)
		l.admit()
		l.leave(now)
		l.tick(now.Add(time.Minute))
		l.stopped(now, true)
		failed(&l)
		if l.deadline().IsZero() {
			t.Errorf("%s: it is %v and never released", name, l.phase)
		}
	}
}

// TestAReleaseThatIsLostAgainAndAgainIsAskedForLessOften.
func TestAReleaseThatIsLostAgainAndAgainIsAskedForLessOften(t *testing.T) {
	now := time.Now()
	l := life{idle: time.Second, unsure: true, restSince: now}
	for range 10 {
		now = l.deadline()
		if l.tick(now) != stop {
			t.Fatal("it is not to be stopped any more")
		}
		l.lost(now)
	}
	if pause := l.deadline().Sub(now); pause != time.Second+lastPause {
		t.Errorf("asked for again after %v", pause)
	}
	l.tick(l.deadline())
	if l.stopped(now, true); !l.deadline().IsZero() || l.losses != 0 {
		t.Error("it is stopped, and not taken for that")
	}
}

// TestAReleaseThatWasLostIsRepeated without anybody who connects.
func TestAReleaseThatWasLostIsRepeated(t *testing.T) {
	s := newStage(t, nil)
	lost := &losing{stage: s}
	s.set.Delete("p")
	s.set = NewSet(lost, s.set.common.log)
	s.cfg.IdleTimeout = 20 * time.Millisecond
	s.put()
	c := s.dial()
	s.echo(c)
	c.Close()
	s.await("it is asked for once more", func() bool { return s.count(&s.releases) > 0 })
}

// losing is a server that is killed as it is asked to release the first time.
type losing struct {
	*stage
	asked bool
}

func (l *losing) Release(ctx context.Context, service string) (bool, error) {
	if !l.asked {
		l.asked = true
		return false, errors.New("EOF")
	}
	return l.stage.Release(ctx, service)
}
