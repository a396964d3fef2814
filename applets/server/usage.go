package server

import (
	"errors"

	"zinit/reap/cgroup"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/proc"
)

// A gauge knows the cgroups of services. *launch.Launcher is one. Its methods may be
// called from any goroutine, and read a few files of the kernel's.
type gauge interface {
	// NoCgroups is why there are none; nil: there are.
	NoCgroups() error
	// Refused lists the limits that were not put in force when a service was started.
	Refused(service string) []cgroup.Refusal
	// Stats is what a service has used; false: it has no cgroup.
	Stats(service string) (cgroup.Stats, bool)
	// Cgroup is the directory.
	Cgroup(service string) string
}

// A measured is the cgroup of a service; without one dir is empty.
type measured struct {
	dir   string
	stats cgroup.Stats
}

func (s *server) group(v *supervise.View) (g measured) {
	if s.gauge == nil {
		return g
	}
	if stats, ok := s.gauge.Stats(v.Name); ok {
		g = measured{s.gauge.Cgroup(v.Name), stats}
	}
	return g
}

// usage is what the processes of a service use together: what its cgroup counts, and
// sums over its processes for the rest; nil when nothing is known.
func (s *server) usage(v *supervise.View, g measured) *sock.Usage {
	u := &sock.Usage{}
	if g.dir != "" {
		st := g.stats
		u.CPUFrom, u.CPUUsec = sock.FromCgroup, st.CPU.Microseconds()
		u.MemoryPeakBytes, u.OOMKills = max(st.MemoryPeak, 0), max(st.OOMKills, 0)
		if st.MemoryCurrent != cgroup.Unknown {
			u.MemoryFrom, u.MemoryBytes = sock.FromCgroup, st.MemoryCurrent
		}
		if st.Tasks != cgroup.Unknown {
			u.TasksFrom, u.Tasks = sock.FromCgroup, st.Tasks
		}
		if u.MemoryFrom != "" && u.TasksFrom != "" {
			return u
		}
	}
	alive, err := s.members(v, g)
	switch {
	case g.dir == "" && (err != nil || len(alive) == 0):
		return nil
	case err != nil:
		return u
	}
	var sum sock.Usage
	for _, p := range alive {
		sum.CPUUsec += p.CPU.Microseconds()
		sum.MemoryBytes += p.RSS
		sum.Tasks += int64(p.Threads)
	}
	if u.CPUFrom == "" {
		u.CPUFrom, u.CPUUsec = sock.FromProc, sum.CPUUsec
	}
	if u.MemoryFrom == "" {
		u.MemoryFrom, u.MemoryBytes = sock.FromProc, sum.MemoryBytes
	}
	if u.TasksFrom == "" {
		u.TasksFrom, u.Tasks = sock.FromProc, sum.Tasks
	}
	return u
}

// members are the processes of a service that are alive: those in its cgroup, or
// where there is none the main process and what descends from it.
func (s *server) members(v *supervise.View, g measured) (alive []proc.Process, err error) {
	if g.dir == "" {
		tree, err := s.processes()
		if err != nil {
			return nil, err
		}
		return family(tree, v), nil
	}
	pids, err := cgroup.Procs(g.dir)
	if err != nil {
		return nil, err
	}
	for _, pid := range pids {
		p, err := s.proc.Read(pid)
		if errors.Is(err, proc.ErrGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		alive = append(alive, p)
	}
	return alive, nil
}

// limits are those that are in force for a service, and those that it is to have
// and that are not.
func (s *server) limits(v *supervise.View, g measured) (list []sock.Limit) {
	var now cgroup.Limits
	var cannot []cgroup.Refusal
	if g.dir != "" {
		now, cannot = cgroup.InForce(g.dir)
	}
	if s.gauge != nil {
		// What went wrong comes before what would have.
		cannot = append(s.gauge.Refused(v.Name), cannot...)
	}
	want := v.Config.Limits
	for _, l := range [...]struct {
		name   string
		value  int64
		wanted bool
	}{
		{"memory_max", now.MemoryMax, want.MemoryMax > 0 || want.MemoryMaxPercent > 0},
		{"memory_high", now.MemoryHigh, want.MemoryHigh > 0 || want.MemoryHighPercent > 0},
		{"cpu_quota", now.CPUQuota, want.CPUQuota > 0},
		{"cpu_weight", now.CPUWeight, want.CPUWeight > 0 && want.CPUWeight != 100},
		{"tasks_max", now.TasksMax, want.TasksMax > 0},
	} {
		switch {
		case l.value > 0:
			list = append(list, sock.Limit{InForce: true, Name: l.name, Value: l.value})
		case l.wanted:
			list = append(list, sock.Limit{Name: l.name, Why: s.whyNot(l.name, g, cannot)})
		}
	}
	return list
}

// whyNot is why a limit is not in force.
func (s *server) whyNot(limit string, g measured, cannot []cgroup.Refusal) string {
	for _, r := range cannot {
		if r.Limit == limit {
			return r.Why
		}
	}
	switch {
	case g.dir != "":
		return "it applies when the service is started next"
	case s.gauge != nil && s.gauge.NoCgroups() != nil:
		return s.gauge.NoCgroups().Error()
	}
	return "the service has no cgroup"
}
