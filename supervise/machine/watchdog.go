package machine

import "time"

// extendMax is how far a service can have its own time limits extended, counted
// from the beginning of what is limited: every start and every stop ends.
const extendMax = time.Hour

// period is how often a service must give a sign of life; 0: it need not.
func (s *Service) period(st Running) time.Duration {
	if st.Period > 0 {
		return st.Period
	}
	return s.Rules.Watchdog
}

// watched begins a period of the watchdog.
func (l *life) watched(st Running) Running {
	if w := l.period(st); w > 0 && st.Run != 0 && !st.Gone {
		st.WatchdogAt = l.now.Add(w)
	}
	return st
}

// unfed stops a service that gave no sign of life in time, or said itself that
// something is wrong with it.
func (l *life) unfed(asked bool) {
	why := Cause{Kind: WatchdogTimeout}
	if st, running := l.State.(Running); running && !asked {
		why.After = l.period(st)
	}
	l.stop(why)
}

// resumed begins the period anew: nobody was there to hear the signs of life.
func (l *life) resumed() {
	if st, ok := l.State.(Running); ok && !st.WatchdogAt.IsZero() {
		l.State = l.watched(st)
	}
}

// notified takes in what a service says about itself.
func (l *life) notified(e Notified) {
	switch st := l.State.(type) {
	case Starting:
		st.ReadyBy = l.extended(st.ReadyBy, e.Extend, l.Started)
		// The word may be here before that of the keeper that the process runs.
		st.Told = st.Told || e.Ready && l.Rules.Readiness == ByNotice && st.Stage < Checking
		l.State = st
		if st.Stage == Coming && st.Told {
			l.proceed(st)
		}
		if e.Trigger {
			l.unfed(true)
			return
		}
		if st, running := l.State.(Running); running && e.Period > 0 {
			st.Period = e.Period
			l.State = l.watched(st)
		}
	case Running:
		st.Reloading = (st.Reloading || e.Reloading) && !e.Ready
		st.Leaving = st.Leaving || e.Stopping
		if e.Period > 0 {
			st.Period = e.Period
		}
		if e.Alive || e.Period > 0 {
			st = l.watched(st)
		}
		st.WatchdogAt = l.extended(st.WatchdogAt, e.Extend, l.now)
		l.State = st
		if e.Trigger && !st.Gone {
			l.unfed(true)
		}
	case Stopping:
		if st.Kills == 0 && !st.Gone {
			st.KillAt = l.extended(st.KillAt, e.Extend, st.Since)
			l.State = st
		}
	}
}

// extended is a moment that was moved to at least by from now on, within limits.
func (l *life) extended(at time.Time, by time.Duration, since time.Time) time.Time {
	if at.IsZero() || by <= 0 {
		return at
	}
	to := earlier(l.now.Add(by), since.Add(extendMax))
	if to.Before(at) {
		return at
	}
	return to
}
