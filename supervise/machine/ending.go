package machine

import "time"

// spawnPause is the least back-off after a spawn that failed: with a delay of 0 a
// missing program would otherwise keep a processor busy and start nothing.
const spawnPause = 100 * time.Millisecond

// over settles what a run that has ended leaves behind.
func (l *life) over(st Stopping) {
	why, outcome, again := st.Why, st.Outcome, st.Again
	var at time.Time
	var givenUp bool
	// What it takes to end is no part of a good run: a service that fails its health
	// check and then ignores the stop signal is given up all the same. Nor was a run
	// good, however long it took, that never became ready.
	if !why.unready() && !l.Started.IsZero() && st.Since.Sub(l.Started) >= l.Rules.Stability {
		l.resetBackOff()
	}
	switch {
	case l.Broken:
		l.State = Failed{Why: l.Fault, At: l.now}
	case why.Failure() && !why.configuration():
		at, givenUp = l.nextTry(why)
		if soonest := l.now.Add(spawnPause); why.Kind == SpawnError && !at.IsZero() && at.Before(soonest) {
			at = soonest
		}
		l.State = Failed{Why: why, At: l.now, RestartAt: at, GivenUp: givenUp}
	case why.Kind == Ended:
		at, givenUp = l.nextTry(why)
		l.State = Exited{Outcome: outcome, At: l.now, RestartAt: at, GivenUp: givenUp}
	case outcome.Unknown:
		again, l.State = true, Inactive{} // it never ran
	default:
		again, l.State = true, Exited{Outcome: outcome, At: l.now, Stopped: true}
	}
	if again {
		l.comeBack(givenUp) // the last word wins: it may be wanted by now
	}
}

// nextTry decides whether a run that ended by itself is followed by another one,
// and counts it. A zero time means that it is not.
func (l *life) nextTry(why Cause) (at time.Time, givenUp bool) {
	r := l.Rules
	if !l.Want || l.Broken || !r.restarts(why) {
		return time.Time{}, false
	}
	if r.MaxRestarts > 0 && l.Quick >= r.MaxRestarts {
		return time.Time{}, true
	}
	at = l.now.Add(l.Delay)
	l.Delay = max(r.Delay, min(2*l.Delay, r.DelayMax))
	l.Quick++
	return at, false
}

func (l *life) resetBackOff() {
	l.Delay = l.Rules.Delay
	l.Quick = 0
}
