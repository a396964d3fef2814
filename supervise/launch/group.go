package launch

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"zinit/reap/cgroup"
	"zinit/supervise/config"
)

// Groups are the cgroups of services. It is safe for concurrent use; what concerns one
// service comes one after the other.
type groups struct {
	tree *cgroup.Tree // nil: there are none
	why  error        // there are none

	mu sync.Mutex
	of map[string]*inForce // guarded by mu; by service
	// plain is what one of them has that has no limits.
	plain *inForce // guarded by mu
	// adopted is what one of them has that an earlier server has started.
	adopted *inForce // guarded by mu
}

// inForce is how the cgroup of a service was set up. It is never changed.
type inForce struct {
	limits  cgroup.Limits
	refused []cgroup.Refusal
	kills   int64 // processes that the kernel had killed there for want of memory
	adopted bool  // by an earlier server: its limits are not known here
}

// enter makes the cgroup of a service, with its limits, and opens it for a process that
// is to be born in it; nil where there are no cgroups.
func (g *groups) enter(svc *config.Service, guest bool) (*os.File, error) {
	want := limitsOf(svc)
	if g.tree == nil {
		refused := allRefused(want, g.why)
		g.note(svc.Name, want, refused, cgroup.Unknown)
		return nil, require(svc, refused)
	}
	dir, fresh, err := g.tree.Group(svc.Name)
	if err != nil {
		// It runs as it would where there are none.
		refused := allRefused(want, err)
		g.note(svc.Name, want, refused, cgroup.Unknown)
		return nil, require(svc, refused)
	}
	g.mu.Lock()
	was := g.of[svc.Name]
	g.mu.Unlock()
	refused := []cgroup.Refusal(nil)
	switch {
	case fresh && want == cgroup.Limits{}:
	case !fresh && was != nil && !was.adopted && was.limits == want:
		refused = was.refused
	default:
		refused = cgroup.SetLimits(dir.Name(), want)
	}
	kills := int64(cgroup.Unknown)
	switch {
	case fresh:
		kills = 0
	case !guest:
		kills = cgroup.OOMKills(dir.Name())
	case was != nil:
		kills = was.kills
	}
	g.note(svc.Name, want, refused, kills)
	if err := require(svc, refused); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// entered reports that this server has set up the cgroup of a service.
func (g *groups) entered(service string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	in := g.of[service]
	return in != nil && !in.adopted
}

// adopt notes how often the kernel has killed in the cgroup of a service that an earlier
// server has started, so that what it kills from now on is known for that.
func (g *groups) adopt(service string) {
	kills := cgroup.OOMKills(g.tree.Path(service))
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of[service] != nil {
		return // it was started again
	}
	if g.adopted == nil || g.adopted.kills != kills {
		g.adopted = &inForce{kills: kills, adopted: true}
	}
	g.of[service] = g.adopted
}

func (g *groups) note(service string, limits cgroup.Limits, refused []cgroup.Refusal, kills int64) {
	in := &inForce{limits: limits, refused: refused, kills: kills}
	g.mu.Lock()
	defer g.mu.Unlock()
	if limits == (cgroup.Limits{}) && len(refused) == 0 {
		// Most are like that: those with as many kills share one.
		if g.plain == nil || g.plain.kills != kills {
			g.plain = in
		}
		in = g.plain
	}
	g.of[service] = in
}

// require refuses a service that does not want to run without its limits.
func require(svc *config.Service, refused []cgroup.Refusal) error {
	if !svc.RequiresLimits || len(refused) == 0 {
		return nil
	}
	return fmt.Errorf("a limit cannot be put in force: %s: make the controller available, or set requires_limits = false", inWords(refused))
}

func inWords(refused []cgroup.Refusal) string {
	var words []string
	for _, r := range refused {
		words = append(words, r.String())
	}
	return strings.Join(words, "; ")
}

// allRefused is the limits that are wanted where there are no cgroups.
func allRefused(l cgroup.Limits, why error) (refused []cgroup.Refusal) {
	text := "there are no cgroups"
	if why != nil {
		text = why.Error()
	}
	for _, limit := range [...]struct {
		name string
		n    int64
	}{{"memory_max", l.MemoryMax}, {"memory_high", l.MemoryHigh}, {"cpu_quota", l.CPUQuota}, {"cpu_weight", l.CPUWeight}, {"tasks_max", l.TasksMax}} {
		if limit.n != 0 {
			refused = append(refused, cgroup.Refusal{Limit: limit.name, Why: text})
		}
	}
	return refused
}

// limitsOf is the limits of a service in the units of the kernel.
func limitsOf(svc *config.Service) cgroup.Limits {
	l := svc.Limits
	return cgroup.Limits{
		MemoryMax:  partOf(l.MemoryMax, l.MemoryMaxPercent),
		MemoryHigh: partOf(l.MemoryHigh, l.MemoryHighPercent),
		CPUQuota:   l.CPUQuota, CPUWeight: l.CPUWeight, TasksMax: l.TasksMax,
	}
}

// partOf is a number of bytes, or a part of the machine's memory.
func partOf(bytes int64, percent int) int64 {
	if percent == 0 {
		return bytes
	}
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(uint64(info.Totalram) * uint64(info.Unit) / 100 * uint64(percent))
}

// NoCgroups is why services have no cgroups; nil: they have.
func (l *Launcher) NoCgroups() error {
	if l.groups.tree == nil {
		return l.groups.why
	}
	return nil
}

// Refused lists the limits of a service that were not put in force when it was started
// last. It may be called from any goroutine.
func (l *Launcher) Refused(service string) []cgroup.Refusal {
	l.groups.mu.Lock()
	defer l.groups.mu.Unlock()
	if in := l.groups.of[service]; in != nil {
		return slices.Clone(in.refused)
	}
	return nil
}

// Stats is what a service has used since its cgroup was made; ok is false if it has
// none. It may be called from any goroutine.
func (l *Launcher) Stats(service string) (s cgroup.Stats, ok bool) {
	if l.groups.tree == nil {
		return s, false
	}
	s = cgroup.ReadStats(l.groups.tree.Path(service))
	return s, s.CPU != cgroup.Unknown
}

// Cgroup is the directory of a service's cgroup, which may not be there; empty where
// there are none. It may be called from any goroutine.
func (l *Launcher) Cgroup(service string) string {
	if l.groups.tree == nil {
		return ""
	}
	return l.groups.tree.Path(service)
}

// OOM reports that the kernel has killed a process of a service for want of memory
// since it was started last, or since this server has taken it over (see Tidy). It reads a file of the kernel's, which takes microseconds,
// and may be called from any goroutine.
func (l *Launcher) OOM(service string, _ uint64) bool {
	if l.groups.tree == nil {
		return false
	}
	l.groups.mu.Lock()
	in := l.groups.of[service]
	l.groups.mu.Unlock()
	if in == nil || in.kills == cgroup.Unknown {
		return false
	}
	return cgroup.OOMKills(l.groups.tree.Path(service)) > in.kills
}

// Forget removes what there is of a service that is configured no more, unless it has a
// process. It is done in the order of what else concerns the service.
func (l *Launcher) Forget(service string) {
	if l.groups.tree == nil {
		return
	}
	l.queue.put(service, func() {
		err := l.groups.tree.Remove(service)
		if err != nil && !errors.Is(err, syscall.EBUSY) {
			l.log.Debug("a cgroup is left behind", "service", service, "error", err)
		}
		if err == nil {
			l.groups.mu.Lock()
			defer l.groups.mu.Unlock()
			delete(l.groups.of, service)
		}
	})
}

// Tidy takes over the cgroups of an earlier server's services: those that have no
// process are removed with the next Flush; used are those that are known to have one. To ask the kernel for each
// of a thousand takes longer than the rest of a takeover: call it after that.
func (l *Launcher) Tidy(used map[string]bool) {
	if l.groups.tree == nil {
		return
	}
	for _, service := range l.groups.tree.Services() {
		if used[service] {
			l.groups.adopt(service)
			continue
		}
		l.queue.put(service, func() {
			if l.groups.entered(service) {
				return // somebody may be about to be born in it
			}
			if err := l.groups.tree.Remove(service); err != nil && !errors.Is(err, syscall.EBUSY) {
				l.log.Debug("a cgroup is left behind", "service", service, "error", err)
			}
		})
	}
}
