package reap

import (
	"syscall"

	"golang.org/x/sys/unix"

	"zinit/reap/cgroup"
)

// Signal sends a signal to a child that Start made. ESRCH: it is reaped (for the wider
// scopes: and nobody that is known of its group is left). The processes of a cgroup are
// found by the kernel's list; that there are none is not told.
func (t *Table) Signal(key string, run uint64, sig syscall.Signal, scope Scope) error {
	dir, err := t.signal(runID{key, run}, sig, scope)
	if dir == "" {
		return err
	}
	// Without the lock: it takes as long as there are processes. The group stays that of
	// the key, and nothing else of the key happens meanwhile.
	if sig == unix.SIGKILL {
		t.killed.note(dir)
		return cgroup.Kill(dir)
	}
	return cgroup.Signal(dir, sig)
}

// signal signals whom this process knows by number, and answers with the cgroup that
// is to be signalled too.
func (t *Table) signal(id runID, sig syscall.Signal, scope Scope) (dir string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.byRun[id]
	switch {
	case !ok, e.prep != nil && e.prep.ended != nil:
		return "", unix.ESRCH
	case scope == ScopeCgroup && e.Cgroup != "":
		if sig == unix.SIGKILL {
			_ = t.signalGroupsLocked(e, sig) // who has left the cgroup, or never came
		}
		return e.Cgroup, nil
	case scope == ScopeMain || !e.Group:
		return "", t.signalMainLocked(e, sig)
	}
	return "", t.signalGroupsLocked(e, sig)
}

func (t *Table) signalMainLocked(e *entry, sig syscall.Signal) error {
	switch {
	case e.MainGone:
		return unix.ESRCH
	case e.foreign && !childOfOurs(e.Pid):
		return SignalByPidfd(e.Pid, e.Start, sig)
	}
	return unix.Kill(e.Pid, sig)
}

// signalGroupsLocked signals the groups of a run; ESRCH if there are none.
func (t *Table) signalGroupsLocked(e *entry, sig syscall.Signal) error {
	groups := t.groupsLocked(e)
	if len(groups) == 0 {
		return t.signalMainLocked(e, sig)
	}
	var failed error
	reached := false
	for _, group := range groups {
		if err := unix.Kill(-group, sig); err != nil && failed == nil {
			failed = err
		} else if err == nil {
			reached = true
		}
	}
	if reached {
		return nil
	}
	return failed
}

// groupsLocked lists the process groups of a run. Each has a member that is not reaped
// as long as the lock is held, which keeps its number from a stranger.
func (t *Table) groupsLocked(e *entry) (list []int) {
	t.followLocked(e)
	for _, group := range [...]int{e.leader, e.other} {
		switch {
		case group == 0:
		case group == e.Pid && !e.MainGone, groupLives(group):
			list = append(list, group)
		default: // the last one left the group without ending
			t.groupEmptyLocked(e, group)
		}
	}
	return list
}

// followLocked notes the group that a watched process is in now. A foreign one can be
// reaped at any moment, so that nobody knows whose number it would be.
func (t *Table) followLocked(e *entry) {
	if !e.Watched || !e.Group || e.MainGone || e.foreign && !childOfOurs(e.Pid) {
		return
	}
	group, err := unix.Getpgid(e.Pid)
	if err != nil || group <= 1 || group == unix.Getpgrp() || group == e.leader || group == e.other {
		return
	}
	if t.groups[group] != nil || group != e.Pid && t.byPid[group] != nil {
		return // somebody else's
	}
	if e.other != 0 {
		delete(t.groups, e.other)
	}
	e.other = group
	t.groups[group] = e
}

// groupEmptyLocked notes that nobody is left in a group of a run.
func (t *Table) groupEmptyLocked(e *entry, group int) {
	delete(t.groups, group)
	if e.leader == group {
		e.leader = 0
	}
	if e.other == group {
		e.other = 0
	}
	t.settleLocked(e)
}

// settleLocked ends the record of a run whose main process has ended, if nobody else
// is left either.
func (t *Table) settleLocked(e *entry) {
	id := runID{e.Key, e.Run}
	if !e.MainGone || e.leader != 0 || e.other != 0 || t.byRun[id] != e || t.inhabitedLocked(e) {
		return
	}
	delete(t.byRun, id)
	if t.hooks.GroupGone != nil {
		t.hooks.GroupGone(e.Key, e.Run)
	}
}

// groupLives reports whether a child of ours, dead or alive but not reaped, is in
// the process group. While one is, the number cannot belong to another group.
func groupLives(pgid int) bool {
	var info siginfo
	return waitNow(unix.P_PGID, pgid, &info, unix.WEXITED|unix.WNOWAIT) == 0
}

// childOfOurs reports whether a process is a child of this one, dead or alive. While it
// is and nobody reaps, the number is its own.
func childOfOurs(pid int) bool {
	var info siginfo
	return waitNow(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT) == 0
}
