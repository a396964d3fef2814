package machine

import (
	"fmt"
	"syscall"
	"time"
)

// A Perm is what the graph allows.
type Perm uint8

const (
	// Hold: it may not start; if it runs, it may go on.
	Hold Perm = iota
	// Go: it may start.
	Go
	// Lost: it may not run.
	Lost
)

// A Service is the life of one service so far.
type Service struct {
	Rules *Rules
	State State

	// Want: it is to be up.
	Want bool
	// Perm is what the graph said last, and On names what is in the way (the
	// word of a service for Requirement causes; opaque here).
	Perm Perm
	On   string
	// Broken: the configuration cannot be satisfied, because of Fault; it does
	// not start before Mended.
	Broken bool
	Fault  Cause

	Last    Run           // highest run number given out
	Started time.Time     // when the last run was spawned
	Delay   time.Duration // before the next restart
	Quick   int           // restarts since the last run that was no quick one
	Total   int           // restarts that the policy made, altogether
	// Guests: others than the main process were started in the surroundings of the
	// last run, and may have left something there that nobody else looks for.
	Guests bool
}

// New is a service that has never run.
func New(rules *Rules) Service {
	return Service{Rules: rules, State: Inactive{}, Delay: rules.Delay}
}

// Run is the run that is alive; 0 when there is none.
func (s *Service) Run() Run {
	switch st := s.State.(type) {
	case Starting:
		return st.Run
	case Running:
		return st.Run
	case Stopping:
		return st.Run
	}
	return 0
}

// Active reports a run that is not over: there is a main process, or the rest of
// one, or there is about to be one, or something is left to do for it.
func (s *Service) Active() bool { return s.Run() != 0 }

// Main reports that the main process of the living run is there, or about to be.
func (s *Service) Main() bool {
	switch st := s.State.(type) {
	case Starting:
		return st.Stage >= Spawning && st.Stage != Finding
	case Running:
		return st.Run != 0 && !st.Gone
	case Stopping:
		return !st.Gone
	}
	return false
}

// Empty reports a living run of which, as far as is known, no process is left or
// there yet.
func (s *Service) Empty() bool {
	switch st := s.State.(type) {
	case Starting:
		return st.Stage < Spawning || st.Stage == Finding && st.Empty
	case Running:
		return st.Empty
	case Stopping:
		return st.Empty
	}
	return false
}

// Finding reports that the main process is being found, after FindMain.
func (s *Service) Finding() bool {
	switch st := s.State.(type) {
	case Starting:
		return st.Stage == Finding
	case Stopping:
		return st.Finding
	}
	return false
}

// Clearing reports that what is left of the living run is being ended, after Clear.
func (s *Service) Clearing() bool {
	st, ok := s.State.(Stopping)
	return ok && st.Clearing
}

// Writes reports that processes of the living run may go on writing to what it was
// given: there is a main process or may yet be one, or what a oneshot that remains
// has left behind.
func (s *Service) Writes() bool {
	st, running := s.State.(Running)
	return s.Main() || s.Finding() || running && st.Gone && !st.Empty
}

// Satisfied reports that others that require it may run: it is Running (a oneshot:
// after its work), or it is a oneshot that ended with success.
func (s *Service) Satisfied() bool {
	switch st := s.State.(type) {
	case Running:
		return !s.Rules.Oneshot || st.Gone && st.Hook == NoHook
	case Exited:
		return s.Rules.Oneshot && st.Outcome.Success()
	}
	return false
}

// RestartAt is when a pending restart is due; zero when there is none.
func (s *Service) RestartAt() time.Time {
	switch st := s.State.(type) {
	case Exited:
		return st.RestartAt
	case Failed:
		return st.RestartAt
	}
	return time.Time{}
}

// Stuck reports a run that SIGKILL did not end: the kernel holds it.
func (s *Service) Stuck() bool {
	st, ok := s.State.(Stopping)
	return ok && st.Kills > 1
}

// Deadline is when the service next needs a Ticked; zero when it needs none.
func (s *Service) Deadline() time.Time {
	switch st := s.State.(type) {
	case Starting:
		return earlier(st.ReadyBy, st.Probe.At)
	case Running:
		return earlier(st.Probe.At, st.WatchdogAt)
	case Stopping:
		return st.KillAt
	}
	return s.RestartAt()
}

// earlier is the earlier of two moments, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// due reports that the moment at is set and has come.
func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// Reason is why the service is in its state, for people; empty when the state
// says it all.
func (s *Service) Reason() string {
	switch st := s.State.(type) {
	case Blocked:
		if s.On != "" {
			return "waiting on: " + s.On
		}
	case Starting:
		if st.Stage == Prepared && s.On != "" {
			return "waiting on: " + s.On
		}
		return st.Probe.LastErr
	case Running:
		switch {
		case st.Unhealthy:
			return "unhealthy: " + st.Probe.LastErr
		case st.Leaving:
			return "stopping itself"
		}
	case Stopping:
		return st.Why.String()
	case Exited:
		if st.Stopped {
			return stopped(st.Outcome)
		}
		return ended(st.Outcome.String(), st.GivenUp, s.Rules)
	case Failed:
		return ended(st.Why.String(), st.GivenUp, s.Rules)
	}
	return ""
}

// stopped leaves out how the process ended when that is what a stop leads to.
func stopped(o Outcome) string {
	if o.Success() || o.Unknown || o.Signal != 0 && o.Signal != syscall.SIGKILL {
		return "stopped"
	}
	return "stopped (" + o.String() + ")"
}

// Phase says how far a start or a stop is, and what else is under way, for people;
// empty when there is nothing to say.
func (s *Service) Phase() string {
	if h := s.Hook(); h != NoHook {
		return h.String() + " runs"
	}
	switch st := s.State.(type) {
	case Starting:
		if st.Stage == Prepared {
			return "waits to be allowed to go on"
		}
		return stageWords[st.Stage]
	case Running:
		switch {
		case st.Reloading:
			return "reloading"
		case s.Rules.Attends:
		case st.Gone:
			return "its work is done"
		}
	case Stopping:
		switch {
		case st.Clearing:
			return "what its commands have left behind is ended"
		case st.Finding:
			return stageWords[Finding]
		case st.Gone && s.Rules.Attends:
			return "its connections end"
		case st.Gone:
			return "its main process has ended, others live on"
		case st.Kills > 0:
			return "killed"
		}
	}
	return ""
}

var stageWords = [...]string{
	Spawning: "being spawned", Coming: "not ready yet", Finding: "its main process is looked for", Checking: "not healthy yet",
}

func ended(text string, givenUp bool, r *Rules) string {
	switch {
	case givenUp && r.MaxRestarts == 1:
		text += "; given up after 1 restart"
	case givenUp:
		text += fmt.Sprintf("; given up after %d restarts", r.MaxRestarts)
	}
	return text
}
