package machine

import (
	"syscall"
	"time"
)

// A Policy says after which ends a service is started again.
type Policy uint8

const (
	// Never: no end is followed by a restart.
	Never Policy = iota
	// OnSuccess: an end with success.
	OnSuccess
	// OnFailure: an exit code other than 0, a signal, a failed start.
	OnFailure
	// OnAbnormal: a signal that is not a polite one, a timeout, a watchdog that was
	// not fed, a failed health check; not an exit code, whatever it is.
	OnAbnormal
	// Always: every end that nobody asked for.
	Always
)

// A Readiness says what makes the process of a start count as ready. With Health a
// probe has to pass after that.
type Readiness uint8

const (
	// AtSpawn: it executes its program.
	AtSpawn Readiness = iota
	// ByNotice: it has said so.
	ByNotice
	// ByFork: it has ended well, and another one was found that is the main process
	// from then on.
	ByFork
)

// A Scope says whom a signal is for. The numbers are those of reap.
type Scope uint8

const (
	// Main is the main process alone.
	Main Scope = iota
	// Group is its process group.
	Group
	// Cgroup is every process of the service.
	Cgroup
)

// Rules is what the configuration says about the life of a service. It is shared
// and never changed; a reload brings another one.
type Rules struct {
	Target  bool // no process: runs when what it requires is satisfied
	Oneshot bool // satisfied by ending well
	Remain  bool // of a oneshot: after that it is Running, without a process
	// Attends: it is Running without a process of its own, and others come and go while
	// it is.
	Attends bool

	Readiness Readiness
	Hooks     Hooks         // those that there are
	Watchdog  time.Duration // it must give a sign of life this often while it runs; 0: it need not

	Policy      Policy
	Succeeds    Statuses      // ends that count as success, beside code 0
	Prevents    Statuses      // ends that are never followed by a restart
	ExecOnce    bool          // a program that cannot be executed is not tried again, as in zinit 0.2
	Delay       time.Duration // before the first restart; 0: at once
	DelayMax    time.Duration
	MaxRestarts int           // quick ends in a row until it is given up; 0: never
	Stability   time.Duration // a run of this length is not a quick one

	StartTimeout time.Duration // from the spawn until it is ready
	StopTimeout  time.Duration
	StopSignal   syscall.Signal
	ReloadSignal syscall.Signal // when there is no ExecReload; 0: it cannot be reloaded
	StopScope    Scope
	KillScope    Scope

	Health *Health // nil: it is not checked
}

// Health is what the configuration says about health checks. The first pass makes
// a service Running; Retries failures in a row make it unhealthy.
type Health struct {
	Interval    time.Duration
	StartPeriod time.Duration // before the first probe
	Retries     int
	ReportOnly  bool // show it, stop nothing
	Guest       bool // a check is a process in the surroundings of the service
	Once        bool // a run that has passed is not checked any more
}

// waits reports that a process which runs is not ready for that.
func (r *Rules) waits() bool { return r.Readiness != AtSpawn || r.Health != nil }

// checksOn reports that a process which is Running goes on being checked.
func (r *Rules) checksOn() bool { return r.Health != nil && !r.Health.Once && !r.Target }

// restarts reports that the policy has another run follow one that ended for this
// cause.
func (r *Rules) restarts(why Cause) bool {
	if why.Kind == Ended && r.Prevents.Has(why.Outcome) || why.Lasting && r.ExecOnce {
		return false
	}
	switch r.Policy {
	case OnSuccess:
		return !why.Failure()
	case OnFailure:
		return why.Failure()
	case OnAbnormal:
		return why.Abnormal()
	case Always:
		return true
	}
	return false
}

// Statuses is a set of exit codes and signals.
type Statuses struct {
	codes   [4]uint64
	signals uint64
}

// With is the set with a code from 0 to 255; others are not in any set.
func (s Statuses) With(code int) Statuses {
	if code >= 0 && code < 256 {
		s.codes[code/64] |= 1 << (code % 64)
	}
	return s
}

// WithSignal is the set with a signal from 1 to 64.
func (s Statuses) WithSignal(sig syscall.Signal) Statuses {
	if sig >= 1 && sig <= 64 {
		s.signals |= 1 << (sig - 1)
	}
	return s
}

// Has reports that a process which ended so is in the set. What nobody saw is in
// none.
func (s Statuses) Has(o Outcome) bool {
	switch {
	case o.Unknown:
		return false
	case o.Signal != 0:
		return o.Signal <= 64 && s.signals&(1<<(o.Signal-1)) != 0
	}
	return o.Code >= 0 && o.Code < 256 && s.codes[o.Code/64]&(1<<(o.Code%64)) != 0
}
