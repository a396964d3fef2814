package machine

import "time"

// probed takes in the result of a health probe.
func (l *life) probed(text string) {
	h := l.Rules.Health
	if h == nil {
		return
	}
	switch st := l.State.(type) {
	case Starting:
		if st.Stage != Checking {
			return
		}
		if text == "" {
			l.proceed(st)
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
		if st.Gone || h.Once {
			return
		}
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

// probeLost has the next probe be due at once.
func (l *life) probeLost() {
	if l.Rules.Health == nil {
		return
	}
	switch st := l.State.(type) { // of a check that is over nobody waits for the result
	case Starting:
		if st.Stage == Checking && st.Probe.At.IsZero() {
			st.Probe.At = l.now
			l.State = st
		}
	case Running:
		if st.Probe.At.IsZero() && !st.Gone && l.Rules.checksOn() {
			st.Probe.At = l.now
			l.State = st
		}
	}
}
