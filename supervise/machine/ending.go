package machine

import (
	"syscall"
	"time"
)

// stop tells the living run to end.
func (l *life) stop(why Cause) {
	l.State = Stopping{Run: l.Run(), Why: why, Since: l.now, KillAt: l.now.Add(l.Rules.StopTimeout)}
	l.do(Signal{Run: l.Run(), Sig: l.Rules.StopSignal, Scope: l.Rules.StopScope})
}

// kill sends SIGKILL when it is due.
func (l *life) kill() {
	st, ok := l.State.(Stopping)
	if !ok || !due(st.KillAt, l.now) {
		return
	}
	l.do(Signal{Run: st.Run, Sig: syscall.SIGKILL, Scope: l.Rules.KillScope})
	st.KillAt = l.now.Add(min(StuckAfter<<min(st.Kills, 8), killAgainMax))
	st.Kills++
	l.State = st
}

// over settles what a run that has ended leaves behind: why is what brought it
// down, outcome how the main process ended.
func (l *life) over(why Cause, outcome Outcome) {
	end, again := l.now, false
	var at time.Time
	var givenUp bool
	if st, ok := l.State.(Stopping); ok {
		// What it takes to end is no part of a good run: a service that fails its
		// health check and then ignores the stop signal is given up all the same.
		end, again = st.Since, st.Again
	}
	// Nor was a run good, however long it took, that never became ready.
	if why.Kind != StartTimeout && !l.Started.IsZero() && end.Sub(l.Started) >= l.Rules.Stability {
		l.resetBackOff()
	}
	switch {
	case l.Broken:
		l.State = Failed{Why: l.Fault, At: l.now}
	case why.Failure() && !why.configuration():
		at, givenUp = l.nextTry(true)
		if soonest := l.now.Add(spawnPause); why.Kind == SpawnError && !at.IsZero() && at.Before(soonest) {
			at = soonest
		}
		l.State = Failed{Why: why, At: l.now, RestartAt: at, GivenUp: givenUp}
	case why.Kind == Ended:
		at, givenUp = l.nextTry(false)
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
func (l *life) nextTry(failed bool) (at time.Time, givenUp bool) {
	r := l.Rules
	if !l.Want || l.Broken || r.Policy == Never || (r.Policy == OnFailure && !failed) {
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

// probed takes in the result of a health probe.
func (l *life) probed(text string) {
	h := l.Rules.Health
	if h == nil {
		return
	}
	switch st := l.State.(type) {
	case Starting:
		if text == "" {
			l.State = Running{Run: st.Run, Since: l.now, Probe: Probing{At: l.now.Add(h.Interval)}}
			return
		}
		p := st.Probe.failed(text, l.now, h.Interval)
		p.At = l.now.Add(min(p.Gap, h.Interval))
		p.Gap = min(2*p.Gap, h.Interval)
		st.Probe = p
		l.State = st
		if p.Failures >= h.Retries && !h.ReportOnly {
			l.stop(Cause{Kind: HealthFailed, Count: p.Failures, Text: text})
		}
	case Running:
		if text == "" {
			st.Probe = Probing{At: l.now.Add(h.Interval)}
			st.Unhealthy = false
			l.State = st
			return
		}
		st.Probe = st.Probe.failed(text, l.now, 0)
		st.Probe.At = l.now.Add(h.Interval)
		st.Unhealthy = st.Probe.Failures >= h.Retries
		l.State = st
		if st.Unhealthy && !h.ReportOnly {
			l.stop(Cause{Kind: HealthFailed, Count: st.Probe.Failures, Text: text})
		}
	}
}

// failed counts a failure, at most one in every spacing.
func (p Probing) failed(text string, now time.Time, spacing time.Duration) Probing {
	if !now.Before(p.CountAt) {
		p.Failures++
		p.CountAt = now.Add(spacing)
	}
	p.LastErr = text
	return p
}

// ticked does what has become due.
func (l *life) ticked() {
	switch st := l.State.(type) {
	case Starting:
		switch {
		case due(st.ReadyBy, l.now):
			l.stop(Cause{Kind: StartTimeout, After: l.Rules.StartTimeout})
		case due(st.Probe.At, l.now):
			st.Probe.At = time.Time{}
			l.State = st
			l.do(Probe{Run: st.Run})
		}
	case Running:
		if due(st.Probe.At, l.now) {
			st.Probe.At = time.Time{}
			l.State = st
			l.do(Probe{Run: st.Run})
		}
	case Stopping:
		l.kill()
	case Exited, Failed:
		if due(l.RestartAt(), l.now) {
			l.attempt()
			if l.Active() {
				l.Total++
			}
		}
	}
}
