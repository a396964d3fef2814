package kin

import (
	"errors"

	"zinit/supervise/notify"
	"zinit/supervise/proc"
)

// A Speaker judges who may speak for a service: a process of it.
type Speaker struct {
	Family
	Main func(service string) int // the pid of its main process, 0 while that is not known
}

// Belongs reports that the sender of a notice is one of the service's: by its cgroup,
// or by its session or descent; or the main process descends from it, which has named
// that one by MAINPID. One that has ended since it spoke, as systemd-notify does, cannot
// be looked at any more, and is in no cgroup before it is reaped: it counts if it was of
// uid, the service's user, who is the only one but root that can write to the socket.
func (sp Speaker) Belongs(service string, uid int, n notify.Notice) bool {
	if n.FromFD {
		return true
	}
	if pids, ok := sp.Group(service); ok {
		for _, pid := range pids {
			if pid == n.Pid {
				return true
			}
		}
	}
	main := sp.Main(service)
	if main != 0 && n.Pid == main {
		return true
	}
	if sp.begot(n.Pid, main) {
		return true
	}
	p, err := sp.Proc.Read(n.Pid)
	switch {
	case errors.Is(err, proc.ErrGone), errors.Is(err, proc.ErrNoProc), err == nil && p.State == 'Z':
		return n.UID == 0 || int(n.UID) == uid
	case err != nil:
		return false
	case main == 0:
		// It is so young that the keeper's word has not come yet.
		return p.Ppid == sp.Keeper
	case p.Session == main:
		return true
	}
	return sp.descends(p, main)
}

// begot reports that the main process descends from another one, below the keeper.
func (sp Speaker) begot(pid, main int) bool {
	if main == 0 || pid <= 1 || pid == sp.Keeper {
		return false
	}
	p, err := sp.Proc.Read(main)
	return err == nil && sp.descends(p, pid)
}

// descends goes up from p to another process.
func (sp Speaker) descends(p proc.Process, from int) bool {
	for range 64 {
		if p.Ppid == from {
			return true
		}
		if p.Ppid <= 1 || p.Ppid == sp.Keeper {
			return false
		}
		up, err := sp.Proc.Read(p.Ppid)
		if err != nil {
			return false
		}
		p = up
	}
	return false
}
