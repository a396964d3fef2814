package machine

import (
	"syscall"
	"time"
)

// StuckAfter is how long after the first SIGKILL a run that is still there is
// called stuck. It is also the pause before the next SIGKILL to it, which doubles
// up to killAgainMax.
const StuckAfter = 5 * time.Second

const killAgainMax = time.Minute

// stop tells the living run to end. The hook that is under way is given up.
func (l *life) stop(why Cause) {
	if l.Hook() != NoHook {
		l.do(EndHooks{Run: l.Run()})
	}
	l.goDown(why)
}

// goDown begins the way down: exec_stop, for what was Running; the stop signal;
// SIGKILL; exec_stop_post.
func (l *life) goDown(why Cause) {
	next := Stopping{Run: l.Run(), Why: why, Since: l.now}
	orderly := false
	switch st := l.State.(type) {
	case Starting:
		switch st.Stage {
		case Preparing, Prepared:
			next.Gone, next.Empty, next.Outcome = true, true, Outcome{Unknown: true}
		case Finding:
			// Until it is known whether there is a main process nothing can be told
			// to end, unless nobody looks any more.
			next.Gone, next.Empty, next.Finding = true, st.Empty, why.Kind != NoMain
		}
	case Running:
		next.Gone, next.Empty, next.Outcome = st.Gone, st.Empty, st.Outcome
		orderly = why.Kind != WatchdogTimeout && why.Kind != HookFailed
	}
	if orderly && l.Rules.Hooks.Has(ExecStop) {
		l.stopHook(next, ExecStop)
		return
	}
	l.terminate(next)
}

// terminate sends the stop signal to what is there.
func (l *life) terminate(st Stopping) {
	switch {
	case st.Finding: // mainFound and mainMissing go on; who looks for it bounds that
		l.State = st
	case st.Empty:
		l.empty(st)
	default:
		st.KillAt = l.now.Add(l.Rules.StopTimeout)
		l.State = st
		l.do(l.StopOrder())
	}
}

// StopOrder is the stop signal of a service that is Stopping.
func (s *Service) StopOrder() Signal {
	if st, ok := s.State.(Stopping); ok && st.Why.Kind == WatchdogTimeout {
		// It hangs: a core shows where.
		return Signal{Run: s.Run(), Sig: syscall.SIGABRT, Scope: Main}
	}
	return Signal{Run: s.Run(), Sig: s.Rules.StopSignal, Scope: s.Rules.StopScope}
}

// kill sends SIGKILL when it is due.
func (l *life) kill() {
	st, ok := l.State.(Stopping)
	if !ok || !due(st.KillAt, l.now) {
		return
	}
	if st.Clearing { // it is not waited for any more who may still come
		st.Kills, st.KillAt = st.Kills+1, time.Time{}
		l.State = st
		l.do(Clear{Run: st.Run})
		return
	}
	l.do(Signal{Run: st.Run, Sig: syscall.SIGKILL, Scope: l.Rules.KillScope})
	st.KillAt = l.now.Add(min(StuckAfter<<min(st.Kills, 8), killAgainMax))
	st.Kills++
	l.State = st
}

// processGone takes in the end of the main process. For a forking service that is
// the beginning of its work, for a oneshot the end of it.
func (l *life) processGone(e ProcessGone) {
	o := e.Outcome
	o.Counts = l.Rules.Succeeds.Has(o)
	if !l.Main() {
		return
	}
	r := l.Rules
	st, starting := l.State.(Starting)
	stop, stopping := l.State.(Stopping)
	switch {
	case stopping:
		stop.Outcome = o
		if stop.Why.Kind == WatchdogTimeout {
			stop.KillAt = l.now // only the main process was told; the others are debris
		}
		l.rest(stop, e.Lingers)
	case starting && st.Stage == Coming && r.Readiness == ByFork && o.Success():
		l.find(st, e.Lingers)
	case r.Oneshot && o.Success() && (r.Remain || r.Hooks.Has(ExecStartPost)):
		l.remains(o, e.Lingers)
	default:
		l.ended(o, e.Lingers)
	}
}

// remains lets a oneshot that has done its work stay Running, at least until what
// follows the start has run. What it left behind stays with it.
func (l *life) remains(o Outcome, lingers bool) {
	if l.Hook() != NoHook {
		l.do(EndHooks{Run: l.Run()})
	}
	st := Running{Run: l.Run(), Since: l.now, Gone: true, Empty: !lingers, Outcome: o}
	if l.Rules.Hooks.Has(ExecStartPost) {
		st.Hook = ExecStartPost
		l.do(RunHooks{Run: st.Run, Hook: ExecStartPost})
	}
	l.State = st
}

// ended is the way down of a run whose main process ended by itself.
func (l *life) ended(o Outcome, lingers bool) {
	why := Cause{Kind: Ended, Outcome: o}
	if st, ok := l.State.(Starting); ok && l.Rules.Readiness == ByNotice && st.Stage < Checking && o.Success() {
		why.Kind = Unready
	}
	if l.Hook() != NoHook {
		l.do(EndHooks{Run: l.Run()})
	}
	// What it left behind is debris, and may hold the port that the next run needs.
	l.rest(Stopping{Run: l.Run(), Why: why, Since: l.now, Outcome: o, KillAt: l.now}, lingers)
}

// rest goes on when the main process is gone: others of the run live on, or none.
// After exec_stop has its turn.
func (l *life) rest(st Stopping, lingers bool) {
	if !lingers {
		l.empty(st)
		return
	}
	st.Gone = true
	if l.State = st; st.Hook == NoHook {
		l.kill()
	}
}

func (l *life) groupGone() {
	switch st := l.State.(type) {
	case Starting:
		st.Empty = st.Stage == Finding
		l.State = st
	case Running:
		st.Empty = st.Gone
		l.State = st
	case Stopping:
		if st.Gone && !st.Empty {
			l.empty(st)
		}
	}
}

// empty goes on when nothing is left of the run.
func (l *life) empty(st Stopping) {
	st.Gone, st.Empty = true, true
	switch {
	case st.Hook == ExecStop || st.Finding: // hooksDone, mainFound and mainMissing go on
		l.State = st
	case l.Rules.Hooks.Has(ExecStopPost):
		l.stopHook(st, ExecStopPost)
	default:
		l.clear(st)
	}
}

// clear ends what is left of a run without being known to anybody, before the run is
// over: what hooks and checks have left outside of their process groups. What the main
// process has left is known.
func (l *life) clear(st Stopping) {
	if !l.Guests || l.Rules.KillScope != Cgroup {
		l.over(st)
		return
	}
	st.Clearing, st.Kills, st.KillAt = true, 1, l.now.Add(StuckAfter)
	l.State = st
	l.do(Clear{Run: st.Run})
}

func (l *life) cleared() {
	if st, ok := l.State.(Stopping); ok && st.Clearing {
		l.over(st)
	}
}

// stopHook has a hook run on the way down. While it does there is no deadline: who
// runs hooks bounds them.
func (l *life) stopHook(st Stopping, h Hook) {
	st.Hook, st.KillAt = h, time.Time{}
	l.State = st
	l.do(RunHooks{Run: st.Run, Hook: h})
}
