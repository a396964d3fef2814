package server

import (
	"slices"
	"sync"

	"zinit/reap"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/proc"
)

// A brood is the processes that the keeper has started, or watches, for somebody, and
// that have not ended. It is safe for concurrent use.
type brood struct {
	mu    sync.Mutex
	pids  map[string]int // guarded by mu; by the keeper's key
	alive map[int]bool   // guarded by mu; the pids of pids
}

// newBrood knows those that live when a server starts.
func newBrood(children []reap.Child) *brood {
	b := &brood{pids: make(map[string]int, len(children)), alive: make(map[int]bool, len(children))}
	for _, c := range children {
		if !c.MainGone {
			b.bornLocked(c.Key, c.Pid)
		}
	}
	return b
}

// heard takes in what the keeper says.
func (b *brood) heard(ev reap.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case reap.Spawned:
		b.bornLocked(e.Key, e.Pid)
	case reap.Watched:
		b.bornLocked(e.Key, e.Pid)
	case reap.Exited:
		if b.pids[e.Key] == e.Pid {
			delete(b.pids, e.Key)
			delete(b.alive, e.Pid)
		}
	}
}

// bornLocked takes in the process of a key, which has one at a time.
func (b *brood) bornLocked(key string, pid int) {
	delete(b.alive, b.pids[key])
	b.pids[key] = pid
	b.alive[pid] = true
}

// known reports whether a process is one of them.
func (b *brood) known(pid int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.alive[pid]
}

// left lists what is alive of earlier runs of a service: in its cgroup everybody when
// it is down, and otherwise who is older than its main process, as far as it is that
// which the keeper has started. Without a cgroup nobody is known to be.
func (s *server) left(v *supervise.View, g measured) (list []sock.Child) {
	if v.Target() || g.dir == "" {
		return nil
	}
	members, err := s.members(v, g)
	if err != nil {
		return nil // the rest is worth having without them
	}
	up := mayHaveProcesses(v)
	var main proc.Process
	if up {
		at := slices.IndexFunc(members, func(p proc.Process) bool { return p.Is(v.Pid, v.Start) })
		if at < 0 || v.Start == 0 || v.Config.Type == config.TypeForking || members[at].Session != v.Pid {
			return nil
		}
		main = members[at]
	}
	for _, p := range members {
		if p.State != 'Z' && (!up || p.Start < main.Start) {
			list = append(list, sock.Child{MemoryBytes: p.RSS, Name: p.Name, PID: p.Pid})
		}
	}
	return list
}

// strays lists, where there are no cgroups, who has lost its parent and its session:
// nobody knows any more of which service it is.
func (s *server) strays(v *supervise.View) (list []sock.Child) {
	if v.Target() || v.Run == 0 || s.brood == nil {
		return nil
	}
	tree, err := s.processes()
	if err != nil {
		return nil
	}
	sessions := map[int]bool{}
	for _, other := range s.sup.Snapshot().Views {
		sessions[other.Pid] = other.Pid != 0
	}
	for _, p := range tree.Children(s.keeper) {
		if p.State != 'Z' && p.Pid != s.self && !sessions[p.Session] && !s.brood.known(p.Pid) {
			list = append(list, sock.Child{MemoryBytes: p.RSS, Name: p.Name, PID: p.Pid})
		}
	}
	return list
}

// noCgroup is why a service has no cgroup; empty: it has one, or it is down and
// services have them, or nobody knows of cgroups.
func (s *server) noCgroup(g measured, up bool) string {
	switch {
	case s.gauge == nil || g.dir != "":
		return ""
	case s.gauge.NoCgroups() != nil:
		return s.gauge.NoCgroups().Error()
	case up:
		return "it could not be made"
	}
	return ""
}
