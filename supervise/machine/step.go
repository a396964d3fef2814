package machine

import "time"

// Step applies one event. It changes nothing but the values that it returns, and
// performs nothing: the actions are orders for the caller, in order.
//
// What concerns another run than the living one is refused here, for all states.
func Step(s Service, ev Event, now time.Time) (Service, []Action) {
	if run, ok := runOf(ev); ok && (run == 0 || run != s.Run()) {
		return s, nil
	}
	l := life{Service: s, now: now}
	switch e := ev.(type) {
	case Wanted:
		l.wanted()
	case Dropped:
		l.dropped()
	case Restarted:
		l.restarted()
	case DepsMet:
		l.allowed(Go, "")
	case DepsHeld:
		l.allowed(Hold, e.On)
	case DepsLost:
		l.allowed(Lost, e.On)
	case Broken:
		l.broken(e.Why)
	case Mended:
		l.mended()
	case Configured:
		l.configured(e.Rules)
	case Adopted:
		l.adopted(e)
	case Spawned:
		l.spawned()
	case SpawnFailed:
		l.spawnFailed(e.Text)
	case Unspawned:
		l.unspawned()
	case Probed:
		l.probed(e.Err)
	case ProbeLost:
		l.probeLost()
	case ProcessGone:
		l.processGone(e)
	case GroupGone:
		l.groupGone()
	case Ticked:
		l.ticked()
	}
	return l.Service, l.actions
}

// life is one step under way.
type life struct {
	Service
	now     time.Time
	actions []Action
}

func (l *life) do(a Action) { l.actions = append(l.actions, a) }

// attempt brings a service without a process up, as far as it is allowed.
func (l *life) attempt() {
	switch {
	case l.Broken || !l.Want || l.Active():
	case l.Perm != Go:
		l.State = Blocked{}
	case l.Rules.Target:
		if _, up := l.State.(Running); !up {
			l.State = Running{Since: l.now}
		}
	default:
		l.spawn()
	}
}

func (l *life) spawn() {
	l.Last++
	l.Started = l.now
	st := Starting{Run: l.Last}
	if l.Rules.Health != nil {
		st.ReadyBy = l.now.Add(l.Rules.StartTimeout)
	}
	l.State = st
	l.do(Spawn{Run: l.Last})
}

func (l *life) wanted() {
	l.Want = true
	switch st := l.State.(type) {
	case Exited:
		l.comeBack(st.GivenUp)
	case Failed:
		l.comeBack(st.GivenUp)
	case Inactive, Blocked:
		l.attempt()
	case Stopping:
		st.Again = true
		l.State = st
	}
}

func (l *life) comeBack(givenUp bool) {
	if givenUp {
		l.resetBackOff()
	}
	l.attempt()
}

func (l *life) dropped() {
	l.Want = false
	switch st := l.State.(type) {
	case Starting:
		l.stop(Cause{Kind: Asked})
	case Running:
		if l.Rules.Target {
			l.State = Inactive{}
			return
		}
		l.stop(Cause{Kind: Asked})
	case Blocked:
		l.State = Inactive{}
	case Stopping:
		st.Again = false
		l.State = st
	case Exited:
		st.RestartAt = time.Time{}
		l.State = st
	case Failed:
		if st.GivenUp {
			l.resetBackOff() // Inactive does not say any more that it was given up
		}
		if !l.Broken {
			l.State = Inactive{}
		}
	}
}

func (l *life) restarted() {
	l.Want = true
	l.resetBackOff()
	switch st := l.State.(type) {
	case Starting:
		l.stop(Cause{Kind: Restarting})
	case Running:
		if !l.Rules.Target {
			l.stop(Cause{Kind: Restarting})
		}
	case Stopping:
		st.Again = true
		l.State = st
	default:
		l.attempt()
	}
}

// allowed takes in what the graph says.
func (l *life) allowed(p Perm, on string) {
	l.Perm, l.On = p, on
	switch l.State.(type) {
	case Inactive, Blocked:
		l.attempt()
	case Starting:
		if p == Lost {
			l.stop(Cause{Kind: Requirement, Name: on})
		}
	case Running:
		switch {
		case l.Rules.Target && p != Go:
			l.State = Blocked{}
		case p == Lost:
			l.stop(Cause{Kind: Requirement, Name: on})
		}
	}
}

func (l *life) broken(why Cause) {
	l.Broken, l.Fault = true, why
	switch l.State.(type) {
	case Starting:
		l.stop(why)
	case Running:
		if !l.Rules.Target {
			l.stop(why)
			return
		}
		l.State = Failed{Why: why, At: l.now}
	case Stopping:
	default:
		l.State = Failed{Why: why, At: l.now}
	}
}

func (l *life) mended() {
	if !l.Broken {
		return
	}
	l.Broken = false
	if _, ok := l.State.(Failed); ok {
		l.State = Inactive{}
		l.attempt()
	}
}

// configured lets a living run go on under other rules; what its process was
// started with stays as it is.
func (l *life) configured(r *Rules) {
	had := l.Rules.Health != nil
	l.Rules = r
	l.Delay = max(r.Delay, min(l.Delay, r.DelayMax))
	switch st := l.State.(type) {
	case Starting:
		switch {
		case r.Health == nil && st.Up:
			l.State = Running{Run: st.Run, Since: l.now}
		case r.Health == nil:
			st.ReadyBy = time.Time{}
			l.State = st
		case !had:
			st.ReadyBy = l.now.Add(r.StartTimeout)
			l.State = st
		}
	case Running:
		switch {
		case r.Health == nil:
			st.Probe, st.Unhealthy = Probing{}, false
		case !had && !r.Target:
			st.Probe = Probing{At: l.now}
		}
		l.State = st
	case Exited:
		if r.Policy == Never {
			st.RestartAt = time.Time{}
			l.State = st
		}
	case Failed:
		if r.Policy == Never {
			st.RestartAt = time.Time{}
			l.State = st
		}
	}
}

// adopted takes over a process that an earlier server started. It was up, so it
// is Running; with a health check the next probe is due at once.
func (l *life) adopted(e Adopted) {
	if l.Active() || l.Rules.Target || e.Run == 0 {
		return
	}
	if e.Started.IsZero() {
		e.Started = l.now
	}
	l.Want = true
	l.Last = max(l.Last, e.Run)
	l.Started = e.Started
	st := Running{Run: e.Run, Since: e.Started}
	if l.Rules.Health != nil {
		st.Probe.At = l.now
	}
	l.State = st
}

func (l *life) spawned() {
	st, ok := l.State.(Starting)
	if !ok {
		return
	}
	h := l.Rules.Health
	if h == nil {
		l.State = Running{Run: st.Run, Since: l.now}
		return
	}
	st.Up = true
	st.Probe = Probing{At: l.now.Add(h.StartPeriod), Gap: firstGap}
	l.State = st
}

// unspawned waits for the graph to allow a start again: much may have happened
// since it did.
func (l *life) unspawned() {
	if st, ok := l.State.(Starting); ok && !st.Up {
		l.State, l.Perm = Blocked{}, Hold
	}
}

// probeLost has the next probe be due at once.
func (l *life) probeLost() {
	if l.Rules.Health == nil {
		return
	}
	switch st := l.State.(type) {
	case Starting:
		if st.Up && st.Probe.At.IsZero() {
			st.Probe.At = l.now
			l.State = st
		}
	case Running:
		if st.Probe.At.IsZero() {
			st.Probe.At = l.now
			l.State = st
		}
	}
}

func (l *life) spawnFailed(text string) {
	why := Cause{Kind: SpawnError, Text: text}
	if st, ok := l.State.(Stopping); ok && !st.Why.Failure() {
		why = st.Why
	}
	l.over(why, Outcome{Unknown: true})
}

func (l *life) processGone(e ProcessGone) {
	st, stopping := l.State.(Stopping)
	switch {
	case stopping && st.Gone:
		return
	case !stopping:
		st = Stopping{Run: l.Run(), Why: Cause{Kind: Ended, Outcome: e.Outcome}, Since: l.now}
	}
	if !e.Lingers {
		l.over(st.Why, e.Outcome)
		return
	}
	st.Gone, st.Outcome = true, e.Outcome
	if !stopping {
		// The main process ended by itself: what it left behind is debris, and
		// may hold the port that the next run needs.
		st.KillAt = l.now
	}
	l.State = st
	l.kill()
}

func (l *life) groupGone() {
	if st, ok := l.State.(Stopping); ok && st.Gone {
		l.over(st.Why, st.Outcome)
	}
}
