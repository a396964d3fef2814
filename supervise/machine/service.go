package machine

import (
	"fmt"
	"syscall"
	"time"
)

// A Policy says after which ends a service is started again.
type Policy uint8

const (
	// Never: no end is followed by a restart.
	Never Policy = iota
	// OnFailure: an exit code other than 0, a signal, a failed start.
	OnFailure
	// Always: every end that nobody asked for.
	Always
)

// A Scope says whom a signal is for.
type Scope uint8

const (
	// Main is the main process alone.
	Main Scope = iota
	// Group is its process group.
	Group
)

// Rules is what the configuration says about the life of a service. It is shared
// and never changed; a reload brings another one.
type Rules struct {
	Target  bool // no process: runs when what it requires is satisfied
	Oneshot bool // satisfied by ending well

	Policy      Policy
	Delay       time.Duration // before the first restart; 0: at once
	DelayMax    time.Duration
	MaxRestarts int           // quick ends in a row until it is given up; 0: never
	Stability   time.Duration // a run of this length is not a quick one

	StartTimeout time.Duration // counts with Health
	StopTimeout  time.Duration
	StopSignal   syscall.Signal
	StopScope    Scope
	KillScope    Scope

	Health *Health // nil: ready as soon as it is spawned
}

// Health is what the configuration says about health checks. The first pass makes
// a service Running; Retries failures in a row make it unhealthy.
type Health struct {
	Interval    time.Duration
	StartPeriod time.Duration // before the first probe
	Retries     int
	ReportOnly  bool // show it, stop nothing
}

// firstGap is how soon a starting service is probed again after a failed probe;
// the gap doubles up to the interval. Only one failure per interval counts, so
// that a quick look does not use up the retries.
const firstGap = 50 * time.Millisecond

// spawnPause is the least back-off after a spawn that failed: with a delay of 0 a
// missing program would otherwise keep a processor busy and start nothing.
const spawnPause = 100 * time.Millisecond

// StuckAfter is how long after the first SIGKILL a run that is still there is
// called stuck. It is also the pause before the next SIGKILL to it, which doubles
// up to killAgainMax.
const StuckAfter = 5 * time.Second

const killAgainMax = time.Minute

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
}

// New is a service that has never run.
func New(rules *Rules) Service {
	return Service{Rules: rules, State: Inactive{}, Delay: rules.Delay}
}

// Run is the run that is alive; 0 when there is none.
func (s Service) Run() Run {
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

// Active reports a main process, or the rest of one, that is alive or about to
// be.
func (s Service) Active() bool { return s.Run() != 0 }

// Satisfied reports that others that require it may run: it is Running, or it is
// a oneshot that ended with success.
func (s Service) Satisfied() bool {
	switch st := s.State.(type) {
	case Running:
		return !s.Rules.Oneshot
	case Exited:
		return s.Rules.Oneshot && st.Outcome.Success()
	}
	return false
}

// RestartAt is when a pending restart is due; zero when there is none.
func (s Service) RestartAt() time.Time {
	switch st := s.State.(type) {
	case Exited:
		return st.RestartAt
	case Failed:
		return st.RestartAt
	}
	return time.Time{}
}

// Stuck reports a run that SIGKILL did not end: the kernel holds it.
func (s Service) Stuck() bool {
	st, ok := s.State.(Stopping)
	return ok && st.Kills > 1
}

// Deadline is when the service next needs a Ticked; zero when it needs none.
func (s Service) Deadline() time.Time {
	switch st := s.State.(type) {
	case Starting:
		return earlier(st.ReadyBy, st.Probe.At)
	case Running:
		return st.Probe.At
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
func (s Service) Reason() string {
	switch st := s.State.(type) {
	case Blocked:
		if s.On != "" {
			return "waiting on: " + s.On
		}
	case Starting:
		return st.Probe.LastErr
	case Running:
		if st.Unhealthy {
			return "unhealthy: " + st.Probe.LastErr
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

func ended(text string, givenUp bool, r *Rules) string {
	switch {
	case givenUp && r.MaxRestarts == 1:
		text += "; given up after 1 restart"
	case givenUp:
		text += fmt.Sprintf("; given up after %d restarts", r.MaxRestarts)
	}
	return text
}
