package launch

import (
	"os"
	"slices"
	"strings"

	"zinit/reap"
	"zinit/supervise/config"
)

// An Order is one process to be started for a service: its main process, a command of
// a hook, or a check of its health.
type Order struct {
	Key     string
	Run     uint64
	Service *config.Service
	Command config.Command
	// Env is added to the service's environment, and wins over it.
	Env []string
	// Files become the descriptors from 3 on; the caller goes on owning them. Inetd has
	// the first of them be standard input and output, too.
	Files []*os.File
	Inetd bool
	// Guest says that the process only enters the service's surroundings: its process
	// group is its own, the cgroup is the service's.
	Guest bool
	// Stdout, Stderr and Keep are as in reap.Spec; the launcher takes over the first
	// two.
	Stdout, Stderr *os.File
	Keep           [2]*os.File
}

// Spec is what can be said of an order without looking anything up. Its file is the
// first word of the command, as it was written.
func (o *Order) Spec() reap.Spec {
	s := reap.Spec{
		Key: o.Key, Run: o.Run, Argv: o.Command.Argv, Env: o.Env, Dir: o.Service.Dir,
		Group: o.Guest || o.Service.Lifecycle.OwnsGroup(), Guest: o.Guest,
		Stdout: o.Stdout, Stderr: o.Stderr, Keep: o.Keep, Files: o.Files,
		Prep: o.prep(),
	}
	if len(s.Argv) > 0 {
		s.Path = s.Argv[0]
	}
	return s
}

// prep is what the process has to do to itself; nil for nothing.
func (o *Order) prep() *reap.Prep {
	s := &o.Service.Setup
	p := &reap.Prep{Umask: s.Umask, Nice: s.Nice, OOMScoreAdj: s.OOMScoreAdj, NoNewPrivs: s.NoNewPrivs, PidVars: pidVars(o.Env)}
	if s.Capabilities != nil {
		mask := uint64(0)
		for _, n := range *s.Capabilities {
			mask |= 1 << n
		}
		p.Capabilities = &mask
	}
	for _, l := range s.Rlimits {
		p.Rlimits = append(p.Rlimits, reap.Rlimit(l))
	}
	if p.Umask == nil && p.Nice == nil && p.OOMScoreAdj == nil && p.Capabilities == nil && !p.NoNewPrivs &&
		len(p.Rlimits) == 0 && len(p.PidVars) == 0 {
		return nil
	}
	return p
}

// pidVars are the variables that belong to what is in an environment and hold the
// number of the process, which thereby knows that it is meant.
func pidVars(env []string) (names []string) {
	for _, pair := range [...][2]string{{"LISTEN_FDS=", "LISTEN_PID"}, {"WATCHDOG_USEC=", "WATCHDOG_PID"}} {
		if slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, pair[0]) }) {
			names = append(names, pair[1])
		}
	}
	return names
}
