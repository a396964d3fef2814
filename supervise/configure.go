package supervise

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// An intake is what a configuration changed about the records, each list in load
// order.
type intake struct {
	added, changed, removed []*record
	// fresh are those that boot has not seen yet: the added ones, and those whose
	// removal was taken back.
	fresh map[*record]bool
}

// configure makes the records say what a configuration says. It starts and stops
// nothing by itself; rebuild and settle do.
func (c *core) configure(ch Change) intake {
	in := intake{fresh: map[*record]bool{}}
	c.problems = ch.problems(c.problems)
	wanted := map[string]bool{}
	for _, s := range ch.Set.Services {
		if !ch.concerns(s.Name) {
			continue
		}
		wanted[s.Name] = true
		r := c.byName[s.Name]
		switch {
		case r == nil:
			in.adds(c.add(s, ""))
		case r.leaving || r.problem != "" || !unchanged(r.cfg, s) || ch.Restart && r.outdated:
			// The last: what an earlier reload left to the next start.
			in.fresh[r] = r.leaving
			c.change(r, s)
			in.changed = append(in.changed, r)
		}
	}
	failed := failedFiles(ch.Set)
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		if wanted[name] || !ch.concerns(name) {
			continue
		}
		wanted[name] = true
		if r := c.byName[name]; r != nil {
			// It goes on with the configuration that it has.
			r.problem = failed[name]
			c.touch(r)
			continue
		}
		in.adds(c.add(&config.Service{Name: name}, failed[name]))
	}
	unread := unreadDirs(ch.Set)
	for _, r := range c.order {
		switch {
		case wanted[r.name] || r.leaving || !ch.concerns(r.name):
		case unread[filepath.Dir(r.cfg.Source)]: // nobody knows whether its file is still there
		default:
			r.leaving, r.wish = true, wishDown
			c.going++
			c.touch(r)
			c.unsaved(r)
			in.removed = append(in.removed, r)
		}
	}
	return in
}

func (in *intake) adds(r *record) {
	in.added = append(in.added, r)
	in.fresh[r] = true
}

// unchanged reports that a service is described as before. One without a digest
// came in no file: nobody can tell.
func unchanged(was, is *config.Service) bool {
	return was == is || was.Digest == is.Digest && was.Source == is.Source && is.Digest != [32]byte{}
}

// failedFiles maps the name of each service that could not be loaded to what is
// wrong with it.
func failedFiles(set *config.Set) map[string]string {
	first, more := map[string]string{}, map[string]int{}
	for _, p := range set.Problems {
		if p.Severity != config.Error || p.Service == "" {
			continue
		}
		if _, seen := first[p.Service]; seen {
			more[p.Service]++
			continue
		}
		first[p.Service] = "configuration error: " + p.String()
	}
	for name, n := range more {
		first[name] += fmt.Sprintf(" (and %d more; see zinit check)", n)
	}
	return first
}

// unreadDirs is the directories that could not be read.
func unreadDirs(set *config.Set) map[string]bool {
	dirs := map[string]bool{}
	for _, p := range set.Problems {
		if p.Severity == config.Error && p.Service == "" {
			dirs[filepath.Clean(p.File)] = true
		}
	}
	return dirs
}

func (c *core) add(s *config.Service, problem string) *record {
	r := &record{name: s.Name, cfg: s, problem: problem, heapPos: -1, since: c.now}
	r.m = machine.New(c.book.of(s))
	r.m.Last, r.probe.last, r.hook.last, r.conns.last = machine.Run(c.floor), c.floor, c.floor, c.floor
	c.byName[s.Name] = r
	c.order = append(c.order, r)
	c.arm(r)
	c.guard(r)
	if !s.Target && problem == "" {
		c.configureLogs(s)
	}
	c.tell(EventAdded, r)
	return r
}

// change gives a record another configuration. The process goes on; what it was
// started with changes at its next start.
func (c *core) change(r *record, s *config.Service) {
	c.tell(EventChanged, r)
	if r.leaving {
		r.leaving, r.wish = false, noWish
		c.going--
	}
	if r.cfg.Target != s.Target {
		if r.m.Active() {
			r.problem = madeTarget(s)
			mixed := *r.cfg
			mixed.Requires, mixed.After, mixed.Wants, mixed.Conflicts, mixed.Awaits = s.Requires, s.After, s.Wants, s.Conflicts, s.Awaits
			r.cfg = &mixed
			c.touch(r)
			return
		}
		next := machine.New(c.book.of(s))
		next.Want, next.Last = r.m.Want, r.m.Last
		r.m, r.ran = next, nil
		if next.Want {
			c.step(r, machine.Wanted{}) // Blocked, until the graph has said something
		}
	}
	r.cfg, r.problem, r.env = s, "", nil
	c.arm(r)
	c.guard(r)
	r.outdated = r.ran != nil && config.NeedsRestart(r.ran, s)
	c.step(r, machine.Configured{Rules: c.rules(r)})
	if !s.Target {
		c.configureLogs(s)
	}
	c.touch(r)
	c.unsaved(r)
}

func madeTarget(s *config.Service) string {
	return s.Source + " makes a target of it while its process runs: stop it and reload"
}

// begins notes what the process of a new run is started with.
func (c *core) begins(r *record) {
	was := r.outdated
	r.ran, r.outdated = r.cfg, false
	if was {
		c.step(r, machine.Configured{Rules: c.rules(r)})
		c.settle()
	}
}

// isUp reports a process, or a target that runs.
func (r *record) isUp() bool {
	_, running := r.m.State.(machine.Running)
	return running || r.m.Active()
}

// stands reports that it is up, or has done its work.
func (r *record) stands() bool { return r.isUp() || r.m.Satisfied() }
