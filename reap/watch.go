package reap

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"zinit/reap/cgroup"
)

// watch carries out a request to watch.
func (k *Keeper) watch(m *watchMessage) {
	why := fmt.Sprintf("run %d of %s is not its last", m.Run, m.Key)
	if birth, ok := k.birth(runID{m.Key, m.Run}); ok {
		why = k.table.watch(birth, m.Pid)
	}
	if why != "" {
		k.tell(&WatchFailed{m.Key, m.Run, m.Pid, why})
	}
}

// birth is the last run of a key as it was born.
func (k *Keeper) birth(id runID) (Child, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.records[id.Key]
	if r == nil || own(id.Key) || r.run != id.Run || r.birth.Run != id.Run {
		return Child{}, false
	}
	return r.birth, true
}

// watched is called by the table under its lock.
func (k *Keeper) watched(c Child) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.record(c.Key)
	r.main, r.exit = c.Pid, nil
	k.tellLocked(&Watched{c.Key, c.Run, c.Pid, c.Start})
}

// watch makes a process the main process of a run, which was born as birth says, or
// answers why it does not.
func (t *Table) watch(birth Child, pid int) (refused string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byRun[runID{birth.Key, birth.Run}]
	if e != nil && e.Pid == pid && !e.MainGone {
		t.tellWatched(e)
		return ""
	}
	if pid <= 1 || pid == os.Getpid() {
		return fmt.Sprintf("pid %d is no process of a service", pid)
	}
	if other := t.byPid[pid]; other != nil {
		return fmt.Sprintf("pid %d is %s", pid, whose(other))
	}
	found, why := t.lookForLocked(&birth, pid)
	if why != "" {
		return why
	}
	if e == nil {
		birth.leader, birth.other = 0, 0
		e = &entry{Child: birth}
		t.byRun[runID{birth.Key, birth.Run}] = e
	}
	t.appointLocked(e, pid, found)
	if found.ended != nil {
		t.endedLocked(e, *found.ended, false)
	}
	return ""
}

func whose(e *entry) string {
	if own(e.Key) {
		return "of zinit itself"
	}
	return "the main process of " + e.Key
}

// A finding is a process that was looked for.
type finding struct {
	start   uint64
	foreign bool    // its parent lives
	ended   *Status // it was reaped a while ago
}

// lookForLocked finds out whether a pid can be the main process of a run.
func (t *Table) lookForLocked(birth *Child, pid int) (f finding, why string) {
	f.foreign = !childOfOurs(pid)
	if f.foreign {
		if why := t.strangerLocked(birth, pid); why != "" {
			o, ok := t.orphans.last(pid)
			if !ok || o.Start < birth.Start && o.Start != 0 {
				return f, why
			}
			return finding{start: o.Start, ended: &o.Status}, ""
		}
	}
	f.start, _ = StartTime(pid) // 0 says unknown
	if f.start != 0 && f.start < birth.Start {
		return f, fmt.Sprintf("pid %d is older than the service", pid)
	}
	if birth.Cgroup == "" {
		return f, ""
	}
	members, err := cgroup.Procs(birth.Cgroup)
	if err == nil && !slices.Contains(members, pid) && !isDead(pid) {
		return f, fmt.Sprintf("pid %d is not in the cgroup of the service", pid)
	}
	return f, ""
}

// isDead reports whether a child has ended and is not reaped; the kernel lists no such
// process as a member of a cgroup.
func isDead(pid int) bool {
	var info siginfo
	return waitNow(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT) == 0 && info.pid() == pid
}

// maxDescent bounds how far a process is from the service that it says it is of.
const maxDescent = 64

// strangerLocked says why a process that is not a child of this one is not of a run
// either: none of its forebears is this process, or a nearer one is another service.
func (t *Table) strangerLocked(birth *Child, pid int) (why string) {
	for at, steps := pid, 0; steps < maxDescent; steps++ {
		parent, _, err := Origin(at)
		if err != nil {
			if at == pid {
				return fmt.Sprintf("there is no process with pid %d", pid)
			}
			break // it has just ended
		}
		if parent == os.Getpid() {
			return ""
		}
		if e := t.byPid[parent]; e != nil && (e.Key != birth.Key || e.Run != birth.Run) {
			return fmt.Sprintf("pid %d was started by %s", pid, whose(e))
		}
		at = parent
	}
	return fmt.Sprintf("pid %d is no descendant of the keeper", pid)
}

// appointLocked makes a process the main process of a run.
func (t *Table) appointLocked(e *entry, pid int, f finding) {
	if !e.MainGone && t.byPid[e.Pid] == e {
		delete(t.byPid, e.Pid) // its end is an orphan's
	}
	if e.leader != 0 {
		t.groups[e.leader] = e // it may outlive its first process from here on
	}
	t.deafenLocked(e)
	e.Pid, e.Start, e.MainGone, e.Watched, e.foreign = pid, f.start, false, true, f.foreign
	if f.ended == nil {
		t.byPid[pid] = e
		t.followLocked(e)
	}
	if f.foreign {
		t.awaitForeign(e, pid)
	}
	t.tellWatched(e)
}

func (t *Table) tellWatched(e *entry) {
	if t.hooks.Watched != nil {
		t.hooks.Watched(e.Child)
	}
}

// awaitForeign has the end of a child of somebody else be noticed.
func (t *Table) awaitForeign(e *entry, pid int) {
	AwaitExit(pid, e.Start, func() {
		t.mu.Lock()
		if t.byPid[pid] == e && !childOfOurs(pid) {
			t.vanishedLocked(e)
		}
		t.mu.Unlock()
		if t.hooks.Settled != nil {
			t.hooks.Settled()
		}
	})
}

// vanishedLocked is the end of a main process that somebody else has reaped.
func (t *Table) vanishedLocked(e *entry) {
	delete(t.byPid, e.Pid)
	t.endedLocked(e, Status{}, true)
}

// last is the last remembered orphan of a pid.
func (o *orphans) last(pid int) (Orphan, bool) {
	list := o.list()
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Pid == pid {
			return list[i], true
		}
	}
	return Orphan{}, false
}
