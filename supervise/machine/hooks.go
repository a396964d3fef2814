package machine

import "time"

// A Hook is a list of commands that belongs to a moment in the life of a service.
type Hook uint8

// The hooks. Each runs to its end before the life goes on.
const (
	NoHook        Hook = iota
	ExecStartPre       // before the main process; a failure fails the start
	ExecStartPost      // when it is ready (a oneshot: has ended well); a failure fails the start
	ExecReload         // instead of the reload signal
	ExecStop           // before the stop signal, of what was Running
	ExecStopPost       // when nothing is left of a run, however it ended
)

var hookWords = [...]string{"", "exec_start_pre", "exec_start_post", "exec_reload", "exec_stop", "exec_stop_post"}

// String is the key of the configuration.
func (h Hook) String() string {
	if int(h) < len(hookWords) {
		return hookWords[h]
	}
	return "unknown hook"
}

// Hooks is a set of hooks.
type Hooks uint8

// With is the set with one more.
func (s Hooks) With(h Hook) Hooks { return s | 1<<h }

// Has reports that a hook is in the set.
func (s Hooks) Has(h Hook) bool { return h != NoHook && s&(1<<h) != 0 }

// Hook is the one that is under way.
func (s *Service) Hook() Hook {
	switch st := s.State.(type) {
	case Starting:
		switch st.Stage {
		case Preparing:
			return ExecStartPre
		case Finishing:
			return ExecStartPost
		}
	case Running:
		return st.Hook
	case Stopping:
		return st.Hook
	}
	return NoHook
}

// hooksDone goes on after a hook, if it is the one that is waited for.
func (l *life) hooksDone(e HooksDone) {
	if e.Hook == NoHook || e.Hook != l.Hook() {
		return
	}
	why := Cause{Kind: HookFailed, Name: e.Hook.String(), Text: e.Err, After: e.TimedOut}
	failed := e.Err != ""
	switch st := l.State.(type) {
	case Starting:
		switch {
		case failed:
			l.goDown(why)
		case st.Stage == Preparing && l.Perm != Go:
			st.Stage = Prepared
			l.State = st
		case st.Stage == Preparing:
			l.launch()
		default:
			l.runs()
		}
	case Running:
		st.Hook = NoHook
		l.State = st
		switch {
		case e.Hook == ExecReload: // failed or not, it runs on
		case failed:
			l.goDown(why)
		case !l.Rules.Remain:
			l.ended(st.Outcome, !st.Empty)
		}
	case Stopping:
		st.Hook = NoHook
		if e.Hook == ExecStop {
			l.terminate(st)
		} else {
			l.clear(st)
		}
	}
}

// reloadAsked has a service that runs read its configuration again.
func (l *life) reloadAsked() {
	st, running := l.State.(Running)
	switch {
	case !running || !l.Satisfied() || st.Run == 0 || st.Hook != NoHook:
	case l.Rules.Hooks.Has(ExecReload):
		st.Hook = ExecReload
		l.State = st
		l.do(RunHooks{Run: st.Run, Hook: ExecReload})
	case l.Rules.ReloadSignal != 0 && !st.Gone:
		l.do(Signal{Run: st.Run, Sig: l.Rules.ReloadSignal, Scope: Main})
	}
}

// CanReload reports that ReloadAsked would do something.
func (s *Service) CanReload() bool {
	_, actions := Step(*s, ReloadAsked{}, time.Time{})
	return len(actions) > 0
}
