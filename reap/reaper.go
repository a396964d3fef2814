package reap

import (
	"os"
	"os/signal"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// reapBatch bounds how long forks and signals wait for a round of reaping.
	reapBatch = 64
	// recheckGroups bounds how many lingering groups a round looks at on suspicion.
	recheckGroups = 8
)

// Run reaps until quit is closed; it then returns after the next process that
// ends. It waits in the kernel, so an idle table costs nothing.
func (t *Table) Run(quit <-chan struct{}) {
	for {
		select {
		case <-quit:
			return
		default:
		}
		var info siginfo
		switch errno := waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT); errno {
		case 0:
			t.reap(info.pid())
			if t.hooks.Settled != nil {
				t.hooks.Settled()
			}
		default: // ECHILD; nothing else is possible, and it must not become a spin
			t.idle.wait(quit)
		}
	}
}

// reap takes the dead children, the first of which was seen to be pid.
func (t *Table) reap(pid int) {
	t.forks.Lock()
	defer t.forks.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	var info siginfo
	orphaned := false
	for range reapBatch {
		if c, ok := t.byPid[pid]; ok {
			t.reapChildLocked(c)
		} else {
			orphaned = t.reapOrphanLocked(pid) || orphaned
		}
		if waitNow(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT) != 0 || info.pid() == 0 {
			break
		}
		pid = info.pid()
	}
	if orphaned {
		t.recheckLocked()
	}
}

// reapChildLocked takes the status of a main process.
func (t *Table) reapChildLocked(e *entry) {
	t.followLocked(e) // this can only be asked while it is not reaped
	var info siginfo
	if errno := waitNow(unix.P_PID, e.Pid, &info, unix.WEXITED); errno != 0 || info.pid() == 0 {
		return // it was another one of that number that was seen; this one lives
	}
	status := info.status()
	delete(t.byPid, e.Pid)
	switch {
	case e.prep == nil:
		t.endedLocked(e, status, false)
	case e.prep.failed != nil:
		e.prep.ended = &status
		t.unbornLocked(e)
	default:
		e.prep.ended = &status // it is told when it is known what it got to
	}
}

// endedLocked tells of the end of a main process that is not in byPid any more.
func (t *Table) endedLocked(e *entry, status Status, unknown bool) {
	exit := Exited{Key: e.Key, Run: e.Run, Pid: e.Pid, Status: status, Unknown: unknown}
	e.MainGone, e.foreign = true, false
	for _, group := range [...]*int{&e.leader, &e.other} {
		switch {
		case *group == 0:
		case e.Group && groupLives(*group):
			t.groups[*group] = e
			exit.Lingers = true
		default:
			delete(t.groups, *group)
			*group = 0
		}
	}
	if e.Group && t.inhabitedLocked(e) {
		exit.Lingers = true
	}
	if !exit.Lingers {
		delete(t.byRun, runID{e.Key, e.Run})
	}
	if t.hooks.Ended != nil {
		t.hooks.Ended(exit)
	}
}

// reapOrphanLocked takes a process that Start did not make. It reports whether
// there was one: a fork whose exec failed is taken by the fork itself.
func (t *Table) reapOrphanLocked(pid int) bool {
	// Both can only be asked while it is not reaped.
	o := Orphan{Pid: pid}
	pgid := 0
	if len(t.groups) > 0 {
		pgid, _ = unix.Getpgid(pid) // 0 matches no group
	}
	o.Start, _ = StartTime(pid) // 0 says unknown
	var info siginfo
	if errno := waitNow(unix.P_PID, pid, &info, unix.WEXITED); errno != 0 || info.pid() == 0 {
		return false
	}
	o.Status = info.status()
	t.orphans.add(o)
	if e, ok := t.groups[pgid]; ok && !groupLives(pgid) {
		t.groupEmptyLocked(e, pgid)
	}
	return true
}

// recheckLocked looks at a few runs that linger, other ones each time: a process that
// moved to another group empties one without ending in it, and not every kernel tells
// of a cgroup that is empty.
func (t *Table) recheckLocked() {
	n := 0
	for pgid, e := range t.groups {
		if n++; n > recheckGroups {
			break
		}
		if !groupLives(pgid) {
			t.groupEmptyLocked(e, pgid)
		}
	}
	n = 0
	for e, wd := range t.vacancies.numb {
		if n++; n > recheckGroups {
			break
		}
		if wd < 0 {
			t.settleLocked(e)
		}
	}
}

// reaperIdle is how the reaper waits while there is no child at all.
type reaperIdle struct {
	waiting atomic.Bool
	spawned chan struct{} // capacity 1
}

func (r *reaperIdle) wake() {
	if r.waiting.Load() {
		notify(r.spawned)
	}
}

// wait returns when there may be a child again: after a fork of ours, or after
// SIGCHLD, since a process from outside a PID namespace can leave its children to
// process 1.
func (r *reaperIdle) wait(quit <-chan struct{}) {
	chld := make(chan os.Signal, 1)
	signal.Notify(chld, unix.SIGCHLD)
	defer signal.Stop(chld)
	r.waiting.Store(true)
	defer r.waiting.Store(false)
	// Ask again now that nothing can slip by.
	var info siginfo
	if waitNow(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT) == 0 {
		return
	}
	select {
	case <-r.spawned:
	case <-chld:
	case <-quit:
	}
}
