package machine

import "time"

// A Stage is how far a start is.
type Stage int8

// The stages, in order. Those that a service has no use for are left out.
const (
	Preparing Stage = iota - 2 // exec_start_pre runs, and there is no process yet
	Prepared                   // it has run, and the graph does not allow the spawn any more
	Spawning                   // the spawn is under way
	Coming                     // the process runs, and is not ready by what its Readiness says
	Finding                    // it has ended, and its successor is being found
	Checking                   // no health check has passed
	Finishing                  // it is ready, and exec_start_post runs
)

// firstGap is how soon a starting service is probed again after a failed probe;
// the gap doubles up to the interval. Only one failure per interval counts, so
// that a quick look does not use up the retries.
const firstGap = 50 * time.Millisecond

// begin begins the next run.
func (l *life) begin() {
	l.Last++
	l.Guests = false
	if !l.Rules.Hooks.Has(ExecStartPre) {
		l.launch()
		return
	}
	l.Started = l.now
	l.State = Starting{Run: l.Last, Stage: Preparing}
	l.do(RunHooks{Run: l.Last, Hook: ExecStartPre})
}

// launch has the main process spawned.
func (l *life) launch() {
	l.Started = l.now
	st := Starting{Run: l.Last}
	if l.Rules.waits() {
		st.ReadyBy = l.now.Add(l.Rules.StartTimeout)
	}
	l.State = st
	l.do(Spawn{Run: l.Last})
}

func (l *life) spawned() {
	if st, ok := l.State.(Starting); ok && st.Stage == Spawning {
		l.proceed(st)
	}
}

// proceed takes a start to the next stage that there is something to do in.
func (l *life) proceed(st Starting) {
	r := l.Rules
	switch {
	case st.Stage < Coming && r.Readiness != AtSpawn && !st.Told:
		st.Stage = Coming
	case st.Stage < Checking && r.Health != nil:
		st.Stage = Checking
		st.Probe = Probing{At: l.now.Add(r.Health.StartPeriod), Gap: firstGap}
	case r.Hooks.Has(ExecStartPost) && !r.Oneshot:
		st = Starting{Run: st.Run, Stage: Finishing}
		l.do(RunHooks{Run: st.Run, Hook: ExecStartPost})
	default:
		l.runs()
		return
	}
	l.State = st
}

// attended: what is ended by a stop is there.
func (l *life) attended() {
	if st, ok := l.State.(Running); ok && st.Gone {
		st.Empty, l.Guests = false, true
		l.State = st
	}
}

// runs makes it Running.
func (l *life) runs() {
	st := Running{Run: l.Run(), Since: l.now}
	if l.Rules.Attends {
		st.Gone, st.Empty = true, true
		l.State = st
		return
	}
	if l.Rules.checksOn() {
		st.Probe.At = l.now.Add(l.Rules.Health.Interval)
	}
	l.State = l.watched(st)
}

// unspawned waits for the graph to allow a start again: much may have happened
// since it did. What has run before the spawn is made good first.
func (l *life) unspawned() {
	st, ok := l.State.(Starting)
	if !ok || st.Stage != Spawning {
		return
	}
	l.Perm = Hold
	if l.Guests {
		l.empty(Stopping{Run: st.Run, Why: Cause{Kind: Restarting}, Since: l.now, Outcome: Outcome{Unknown: true}, Again: true})
		return
	}
	l.State = Blocked{}
}

func (l *life) spawnFailed(e SpawnFailed) {
	why := Cause{Kind: SpawnError, Text: e.Text, Lasting: e.Lasting}
	st, stopping := l.State.(Stopping)
	switch {
	case !stopping:
		st = Stopping{Run: l.Run(), Since: l.now}
	case !st.Why.Failure():
		why = st.Why
	}
	st.Why, st.Outcome = why, Outcome{Unknown: true}
	l.empty(st)
}

// find has the successor found of a process that has forked and ended well.
func (l *life) find(st Starting, lingers bool) {
	st.Stage, st.Empty = Finding, !lingers
	l.State = st
	l.do(FindMain{Run: st.Run})
}

// mainFound goes on with another main process.
func (l *life) mainFound() {
	switch st := l.State.(type) {
	case Starting:
		if st.Stage == Finding {
			st.Empty = false
			l.proceed(st)
		}
	case Stopping:
		if st.Finding {
			st.Finding, st.Gone, st.Empty = false, false, false
			l.terminate(st)
		}
	}
}

// mainMissing: there is none. What else is left of the run is ended.
func (l *life) mainMissing(text string) {
	switch st := l.State.(type) {
	case Starting:
		if st.Stage == Finding {
			l.goDown(Cause{Kind: NoMain, Text: text})
		}
	case Stopping:
		if st.Finding {
			st.Finding = false
			l.terminate(st)
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
	if l.Rules.Attends {
		st.Gone = true
		l.Guests, l.State = true, st
		return
	}
	if l.Rules.checksOn() {
		st.Probe.At = l.now
	}
	l.State = l.watched(st)
}
