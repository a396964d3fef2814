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
		l.spawnFailed(e)
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
	case MainFound:
		l.mainFound()
	case MainMissing:
		l.mainMissing(e.Text)
	case HooksDone:
		l.hooksDone(e)
	case Cleared:
		l.cleared()
	case ReloadAsked:
		l.reloadAsked()
	case Notified:
		l.notified(e)
	case Resumed:
		l.resumed()
	case Attended:
		l.attended()
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

func (l *life) do(a Action) {
	switch a.(type) {
	case RunHooks:
		l.Guests = true
	case Probe:
		l.Guests = l.Guests || l.Rules.Health != nil && l.Rules.Health.Guest
	}
	l.actions = append(l.actions, a)
}

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
		l.begin()
	}
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
	switch st := l.State.(type) {
	case Inactive, Blocked:
		l.attempt()
	case Starting:
		switch {
		case p == Lost:
			l.stop(Cause{Kind: Requirement, Name: on})
		case p == Go && st.Stage == Prepared:
			l.launch()
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
	had := l.Rules.checksOn()
	l.Rules = r
	l.Delay = max(r.Delay, min(l.Delay, r.DelayMax))
	switch st := l.State.(type) {
	case Starting:
		switch {
		case st.Stage == Checking && r.Health == nil:
			l.proceed(st)
		case !r.waits():
			st.ReadyBy = time.Time{}
			l.State = st
		case st.ReadyBy.IsZero() && st.Stage >= Spawning && st.Stage <= Checking:
			st.ReadyBy = l.now.Add(r.StartTimeout)
			l.State = st
		}
	case Running:
		switch {
		case !r.checksOn():
			st.Probe, st.Unhealthy = Probing{}, false
		case !had && !st.Gone:
			st.Probe = Probing{At: l.now}
		}
		switch {
		case l.period(st) == 0:
			st.WatchdogAt = time.Time{}
		case st.WatchdogAt.IsZero():
			st = l.watched(st)
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
		switch {
		case due(st.WatchdogAt, l.now):
			l.unfed(false)
		case due(st.Probe.At, l.now):
			st.Probe.At = time.Time{}
			l.State = st
			l.do(Probe{Run: st.Run})
		}
	case Stopping:
		l.kill()
	case Exited, Failed:
		if due(l.RestartAt(), l.now) {
			l.attempt()
			if _, waits := l.State.(Blocked); waits || l.Active() {
				l.Total++
			}
		}
	}
}
