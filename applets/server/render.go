package server

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"zinit/depgraph"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// stateOf renders a state in the shapes of zinit 0.3.9.
func stateOf(snap *supervise.Snapshot, v *supervise.View) sock.ServiceState {
	out := sock.ServiceState{State: v.State.String(), PID: pidOf(v)}
	switch st := v.State.(type) {
	case machine.Blocked:
		out.WaitingOn = sock.Names{}
		for _, b := range snap.Blockers(v.Name) {
			if b.Kind != depgraph.Conflicts {
				out.WaitingOn = append(out.WaitingOn, b.Name)
			}
		}
	case machine.Exited:
		out.ExitCode = exitCode(st.Outcome)
	case machine.Failed:
		out.Reason = failure(st.Why)
	}
	return out
}

func pidOf(v *supervise.View) int {
	switch v.State.(type) {
	case machine.Starting, machine.Running, machine.Stopping:
		return v.Pid
	}
	return 0
}

func exitCode(o machine.Outcome) *int {
	if o.Unknown || o.Signal != 0 {
		return nil
	}
	code := o.Code
	return &code
}

// failure puts a cause into one of the types that clients of zinit 0.3.9 know;
// they refuse others.
func failure(why machine.Cause) *sock.FailureReason {
	switch why.Kind {
	case machine.Ended:
		if why.Outcome.Unknown {
			break // a code would be a lie
		}
		if why.Outcome.Signal != 0 {
			return &sock.FailureReason{Type: sock.ReasonSignal, Signal: int(why.Outcome.Signal)}
		}
		return &sock.FailureReason{Type: sock.ReasonExitCode, Code: why.Outcome.Code}
	case machine.StartTimeout:
		return &sock.FailureReason{Type: sock.ReasonStartTimeout}
	case machine.HealthFailed:
		return &sock.FailureReason{Type: sock.ReasonHealthCheckFailed, Attempts: why.Count}
	case machine.MissingDependency:
		return &sock.FailureReason{Type: sock.ReasonMissingDependency, Dependency: why.Name}
	case machine.Requirement:
		return &sock.FailureReason{Type: sock.ReasonDependencyFailed, Service: why.Name}
	}
	text := why.String()
	if why.Kind == machine.SpawnError {
		text = why.Text // the type says the rest
	}
	return &sock.FailureReason{Type: sock.ReasonSpawnError, Message: text}
}

// details is what we tell beyond zinit 0.3.9.
func details(snap *supervise.Snapshot, v *supervise.View) sock.Details {
	d := sock.Details{
		Problem: v.Problem, Reason: reason(snap, v),
		Phase: v.Phase, Restarts: int64(v.Restarts), Run: v.Run, SinceMs: v.Since.UnixMilli(),
	}
	d.OpenConnections = int64(len(v.Connections))
	if len(v.Config.Sockets) > 0 && !snap.Draining {
		_, failed := v.State.(machine.Failed)
		d.OnDemand = !mayHaveProcesses(v) && !(failed && v.Broken)
	}
	if v.Timer != nil {
		d.NextRunMs = millis(v.Timer.Next)
	}
	if at := v.RestartAt(); !at.IsZero() {
		d.NextStartMs = at.UnixMilli()
	}
	return d
}

// reason is why a service is as it is, for people: thing, reason, next step, as
// far as the state does not say it all.
func reason(snap *supervise.Snapshot, v *supervise.View) string {
	if v.Stuck {
		return "the kernel does not let its process go, although it got SIGKILL: see what it waits for with ps -o stat,wchan"
	}
	if _, blocked := v.State.(machine.Blocked); blocked {
		var parts []string
		for _, b := range snap.Blockers(v.Name) {
			if text := blocker(b); text != "" {
				parts = append(parts, text)
			}
		}
		if v.Reason != "" {
			parts = append(parts, v.Reason)
		}
		return strings.Join(parts, "; ")
	}
	if v.Problem != "" && v.Broken {
		return v.Problem
	}
	if _, running := v.State.(machine.Running); running && v.RestartToApply {
		return joined(v.Reason, "its configuration has changed: restart it to apply that")
	}
	return v.Reason + nextStep(v)
}

// joined puts two phrases together, each of which may be missing.
func joined(first, second string) string {
	if first == "" || second == "" {
		return first + second
	}
	return first + "; " + second
}

// nextStep is what helps a service that has failed, as far as its reason alone does
// not tell that.
func nextStep(v *supervise.View) string {
	failed, is := v.State.(machine.Failed)
	switch why := failed.Why; {
	case !is:
	case v.Broken && why.Kind == machine.MissingDependency:
		return ": add it, or remove it from requires, and reload"
	case v.Broken && why.Kind == machine.Unsatisfiable:
		return ": remove one of these dependencies, and reload"
	case why.Kind == machine.HookFailed, why.Kind == machine.WatchdogTimeout, why.Kind == machine.NoMain:
		return ": see zinit logs " + v.Name
	case why.Kind == machine.StartTimeout:
		return ": " + slowStart(v.Config)
	case why.Kind == machine.Unready:
		return ": what does not say so is of type simple"
	case why.Kind == machine.Ended && why.Outcome.OOM:
		return ": have it use less, or give it more with memory_max"
	}
	return ""
}

// slowStart is what helps a service that does not become ready in time: most often it
// does not do what its type says.
func slowStart(s *config.Service) string {
	switch {
	case s.Health != nil:
		return "see zinit logs " + s.Name + ", or raise start_timeout_ms"
	case s.Type == config.TypeForking:
		return "its command has not ended; one that stays in the foreground is of type simple"
	case s.Type == config.TypeNotify:
		return "it has not said READY=1; what never says so is of type simple"
	case s.NotifyFD > 0:
		return "it has not written a line to descriptor " + strconv.Itoa(s.NotifyFD) + "; what never does has no notify_fd"
	}
	return "raise start_timeout_ms"
}

// blocker says what one thing in the way is, and what helps.
func blocker(b supervise.Blocker) string {
	if b.View == nil {
		return fmt.Sprintf("waiting on %s, which does not exist: add it, or remove it from %s", b.Name, b.Kind)
	}
	name, state := b.View.Name, b.View.State.String()
	switch b.Kind {
	case depgraph.Conflicts:
		return fmt.Sprintf("conflicts with %s, which is %s: stop %s first", name, state, name)
	case depgraph.After:
		return fmt.Sprintf("waiting for %s to start first", name)
	}
	next := ""
	switch {
	case b.View.Broken:
		next = ": mend its configuration"
	case b.View.Timer != nil && !b.View.Timer.Next.IsZero() && pidOf(b.View) == 0:
		return fmt.Sprintf("waiting on %s, which its timer starts at %s", name, b.View.Timer.Next.Local().Format(time.DateTime))
	case !b.View.Want && b.View.Run == 0:
		return fmt.Sprintf("waiting on %s, which was not started: start it", name)
	case !b.View.Want && b.View.State.String() != sock.Stopping:
		return fmt.Sprintf("waiting on %s, which was stopped: start it", name)
	case state == sock.Failed && b.View.RestartAt().IsZero():
		next = ": see zinit logs " + name
	case state == sock.Blocked:
		next = ": see zinit why " + name
	}
	if r := b.View.Reason; r != "" && (state == sock.Failed || state == sock.Exited) {
		state += " (" + r + ")"
	}
	return fmt.Sprintf("waiting on %s, which is %s%s", name, state, next)
}

// dependencies lists what a service depends on as status_full shows it: after
// counts as satisfied once the other was attempted, wants always.
func dependencies(snap *supervise.Snapshot, v *supervise.View) []sock.Dependency {
	out := []sock.Dependency{}
	for _, u := range snap.Uses(v.Name) {
		d := sock.Dependency{DepType: u.Kind.String(), Name: u.View.Name, State: stateOf(snap, u.View)}
		switch u.Kind {
		case depgraph.Requires, depgraph.Awaits:
			d.Satisfied = u.View.Satisfied()
		case depgraph.After:
			state := d.State.State
			d.Satisfied = state != sock.Inactive && state != sock.Blocked
		default:
			d.Satisfied = true
		}
		out = append(out, d)
	}
	return out
}

// uptime is for how long a process has been running, in seconds.
func uptime(v *supervise.View) int64 {
	if pidOf(v) == 0 || v.Started.IsZero() {
		return 0
	}
	return int64(time.Since(v.Started) / time.Second)
}

// health says in a phrase what the probes say; empty without a health check.
func health(v *supervise.View) string {
	if v.Config.Health == nil {
		return ""
	}
	switch st := v.State.(type) {
	case machine.Starting:
		if st.Probe.LastErr != "" {
			return "not yet: " + st.Probe.LastErr
		}
		return "not yet checked"
	case machine.Running:
		switch {
		case st.Unhealthy:
			return "unhealthy: " + st.Probe.LastErr
		case st.Probe.LastErr != "":
			return fmt.Sprintf("%d of %d checks failed: %s", st.Probe.Failures, v.Config.Health.Retries, st.Probe.LastErr)
		}
		return "healthy"
	}
	return ""
}
