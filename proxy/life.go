package proxy

import "time"

// A phase is how far a service is, as seen from its clients.
type phase uint8

const (
	cold     phase = iota // nobody has asked for it, or it was released
	starting              // it was asked for, and does not run yet
	warm                  // it runs, as far as is known
	stopping              // it is being released
)

func (p phase) String() string {
	return [...]string{"cold", "starting", "warm", "stopping"}[p]
}

// An order is what a step of a life asks for; the answer to start is started, the one
// to stop is stopped.
type order uint8

const (
	nothing order = iota
	start
	stop
)

// The pause after a start that failed, in which no other one is tried.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 10 * time.Second
)

// life decides when a service is needed. It is pure: time comes in with each step, and
// what is to be done goes out. Each connection is waiting from its arrival until it is
// admitted or gives up, and then, if admitted, used until it has left.
//
// Invariant: at most one order is without its answer, and the phase says which.
// Invariant: a stop is ordered only while nobody waits and nobody is served.
type life struct {
	idle time.Duration // how long it is kept without connections; 0: for ever

	phase   phase
	waiting int
	using   int
	// restSince is since when nobody has needed it; good while nobody does.
	restSince time.Time
	failures  int       // starts that failed in a row
	pause     time.Time // no start is tried before
	losses    int       // stops in a row without an answer
	// unsure: it is cold, and may be up nevertheless, for others or from before. When it
	// has rested it is released like one that is warm.
	unsure bool
}

// arrive takes in a connection. turned: it came in the pause after a failure, and is
// not waiting.
func (l *life) arrive(now time.Time) (o order, turned bool) {
	if l.phase == cold && now.Before(l.pause) {
		return nothing, true
	}
	l.waiting++
	if l.phase == cold {
		l.phase = starting
		return start, false
	}
	return nothing, false
}

// admit says that a connection that waited is served from now on.
func (l *life) admit() {
	l.waiting--
	l.using++
}

// giveUp says that a connection that waited is gone.
func (l *life) giveUp(now time.Time) {
	l.waiting--
	l.rest(now)
}

// leave says that a served connection has ended; since is when it was needed last.
func (l *life) leave(since time.Time) {
	l.using--
	l.rest(since)
}

// rest notes since when nobody has needed the service, which is not before what was
// noted last.
func (l *life) rest(since time.Time) {
	if since.After(l.restSince) {
		l.restSince = since
	}
}

// started answers start.
func (l *life) started(now time.Time, ok bool) {
	if !ok {
		l.failed(now)
		return
	}
	l.phase, l.failures, l.unsure = warm, 0, false
	l.rest(now)
}

// failed says that the service, which was thought to run, cannot be reached and did not
// come up when it was asked for again; or that a start has failed.
func (l *life) failed(now time.Time) {
	if l.phase != starting && l.phase != warm {
		return
	}
	l.phase, l.unsure = cold, true // it may be up, or come up later
	l.rest(now)
	pause := min(firstPause<<min(l.failures, 10), lastPause)
	l.failures++
	l.pause = now.Add(pause)
}

// tick orders the stop that is due, if one is.
func (l *life) tick(now time.Time) order {
	if at := l.deadline(); at.IsZero() || now.Before(at) {
		return nothing
	}
	l.phase = stopping
	return stop
}

// deadline is when tick has something to do; zero: not before something else happens.
func (l *life) deadline() time.Time {
	if l.idle <= 0 || l.waiting+l.using > 0 || l.phase != warm && !(l.phase == cold && l.unsure) {
		return time.Time{}
	}
	at := l.restSince.Add(l.idle)
	if l.phase == cold && at.Before(l.pause) {
		return l.pause
	}
	return at
}

// stopped answers stop: gone is false when the service is kept up. Who came meanwhile
// has it started again.
func (l *life) stopped(now time.Time, gone bool) order {
	doubted := l.unsure
	l.restSince, l.unsure, l.losses = now, false, 0
	if !gone {
		l.phase = warm
		return nothing
	}
	l.phase = cold
	if !doubted { // that it is down now is no news of the start that failed
		l.failures, l.pause = 0, time.Time{}
	}
	if l.waiting > 0 {
		l.phase = starting
		return start
	}
	return nothing
}

// lost answers stop, too: what became of it is not known, and it is ordered again, later
// and later. A start that was not needed does no harm.
func (l *life) lost(now time.Time) order {
	n := l.losses
	o := l.stopped(now, true)
	l.unsure, l.losses = true, n+1
	l.restSince = now.Add(min(firstPause<<min(n, 10), lastPause))
	return o
}
