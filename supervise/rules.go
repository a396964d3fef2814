package supervise

import (
	"syscall"

	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// A ruleBook keeps each set of rules once: most services have those of many others.
type ruleBook map[machine.Rules]*machine.Rules

// maxRuleBook bounds it: what is in nobody's use any more is forgotten with the rest.
const maxRuleBook = 128

// of is rulesOf, shared.
func (b *ruleBook) of(s *config.Service) *machine.Rules {
	r := rulesOf(s)
	if known, ok := (*b)[*r]; ok {
		return known
	}
	if *b == nil || len(*b) >= maxRuleBook {
		*b = make(ruleBook)
	}
	(*b)[*r] = r
	return r
}

// rules is what the machine needs to know of the record's configuration now. What
// kind of service it is, and whether its group is its own, changes at its next
// start, like all that a process is started with.
func (c *core) rules(r *record) *machine.Rules {
	if r.ran == nil || r.ran == r.cfg || !r.stands() {
		return c.book.of(r.cfg)
	}
	mixed := *r.cfg
	mixed.Type, mixed.RemainAfterExit = r.ran.Type, r.ran.RemainAfterExit
	mixed.NotifyFD, mixed.Watchdog, mixed.Sockets = r.ran.NotifyFD, r.ran.Watchdog, r.ran.Sockets
	if r.cfg.Lifecycle.OwnsGroup() != r.ran.Lifecycle.OwnsGroup() {
		mixed.Lifecycle.KillMode = r.ran.Lifecycle.KillMode
	}
	return c.book.of(&mixed)
}

// rulesOf is what the machine needs to know of a configuration.
func rulesOf(s *config.Service) *machine.Rules {
	l := s.Lifecycle
	r := &machine.Rules{
		Target: s.Target, Oneshot: s.Oneshot(),
		Delay: l.RestartDelay, DelayMax: l.RestartDelayMax,
		MaxRestarts: l.MaxRestarts, Stability: l.StabilityPeriod,
		StartTimeout: l.StartTimeout, StopTimeout: l.StopTimeout, StopSignal: l.StopSignal,
		StopScope: machine.Group, KillScope: machine.Cgroup,
		Remain: s.RemainAfterExit, Attends: s.Accepts(), Watchdog: s.Watchdog, ReloadSignal: s.ReloadSignal,
		Hooks: hookSet(s), Readiness: readiness(s), Policy: policies[l.Restart],
		ExecOnce: s.IsLegacy(),
		Succeeds: statuses(s.SuccessStatus), Prevents: statuses(s.PreventStatus),
	}
	if s.Oneshot() {
		// A oneshot that ended well has done its work; one that failed is tried
		// again only when its file says so in words.
		if r.Policy == machine.Always {
			r.Policy = machine.OnFailure
		}
		if !l.RestartExplicit {
			r.Policy = machine.Never
		}
	}
	if s.Status == config.StatusIgnore {
		r.Policy = machine.Never
	}
	switch l.KillMode {
	case config.KillMixed:
		r.StopScope = machine.Main
	case config.KillCgroup:
		r.StopScope = machine.Cgroup
	case config.KillProcess:
		r.StopScope, r.KillScope = machine.Main, machine.Main
	}
	if h := s.Health; h != nil {
		r.Health = &machine.Health{Interval: h.Interval, StartPeriod: h.StartPeriod, Retries: h.Retries, ReportOnly: h.ReportOnly, Guest: h.Kind == config.ProbeExec, Once: h.Once}
	}
	return r
}

var policies = [...]machine.Policy{
	config.RestartNever:      machine.Never,
	config.RestartOnSuccess:  machine.OnSuccess,
	config.RestartOnFailure:  machine.OnFailure,
	config.RestartOnAbnormal: machine.OnAbnormal,
	config.RestartAlways:     machine.Always,
}

// readiness is what makes the process of a service count as ready.
func readiness(s *config.Service) machine.Readiness {
	switch {
	case speaks(s):
		return machine.ByNotice
	case s.Type == config.TypeForking:
		return machine.ByFork
	}
	return machine.AtSpawn
}

// hookSet is the hooks that a service has.
func hookSet(s *config.Service) (set machine.Hooks) {
	for h := machine.ExecStartPre; h <= machine.ExecStopPost; h++ {
		if len(hooksOf(s, h)) > 0 {
			set = set.With(h)
		}
	}
	return set
}

func statuses(s config.Statuses) (set machine.Statuses) {
	if s.Empty() {
		return set
	}
	for code := range 256 {
		if s.HasCode(code) {
			set = set.With(code)
		}
	}
	for sig := syscall.Signal(1); sig < 65; sig++ {
		if s.HasSignal(sig) {
			set = set.WithSignal(sig)
		}
	}
	return set
}
