package server

import (
	"errors"
	"log/slog"
	"syscall"
	"time"

	"zinit/reap"
	"zinit/reap/cgroup"
	"zinit/supervise"
	"zinit/supervise/proc"
)

// leftovers are the processes that were written down and live: a keeper and its
// server were killed, and nobody is left who knows them.
func (m *memory) leftovers() (left []leftover) {
	for _, p := range supervise.Processes(m.Store) {
		if start, err := reap.StartTime(p.Pid); err == nil && start == p.Start && p.Start != 0 {
			left = append(left, leftover{p.Service, p.Pid, p.Start})
		}
	}
	return left
}

type leftover struct {
	service string
	pid     int
	start   uint64
}

// leftoverTime is how long leftovers may take to end after SIGTERM.
const leftoverTime = 5 * time.Second

// endLeftovers ends processes that belong to nobody any more, all at once, and
// returns when they are gone or will not go. Each leads a session and a group of
// its own.
func endLeftovers(left []leftover, log *slog.Logger) {
	if len(left) == 0 {
		return
	}
	gone := make(chan leftover, len(left))
	alive := map[leftover]bool{}
	for _, l := range left {
		log.Warn("a keeper was killed and left this process behind: ending it", "service", l.service, "pid", l.pid)
		alive[l] = true
		reap.AwaitExit(l.pid, l.start, func() { gone <- l })
		signalLeftover(l, syscall.SIGTERM, log)
	}
	for _, sig := range []syscall.Signal{syscall.SIGKILL, 0} {
		awaitLeftovers(alive, gone)
		for l := range alive {
			if sig == 0 {
				log.Error("it does not end: another one may be started beside it", "service", l.service, "pid", l.pid)
				continue
			}
			signalLeftover(l, sig, log)
		}
		if len(alive) == 0 {
			break
		}
	}
	endSessions(left, log)
}

// awaitLeftovers takes those that are gone from alive, until none is left or it is late.
func awaitLeftovers(alive map[leftover]bool, gone <-chan leftover) {
	late := time.NewTimer(leftoverTime)
	defer late.Stop()
	for len(alive) > 0 {
		select {
		case l := <-gone:
			delete(alive, l)
		case <-late.C:
			return
		}
	}
}

// endSessions kills what those leaders left in their sessions. A session whose
// number is now the pid of another process is another one.
func endSessions(left []leftover, log *slog.Logger) {
	all, err := proc.FS{}.All()
	if err != nil {
		log.Debug("cannot look for what leftovers left behind", "error", err)
		return
	}
	services := map[int]string{}
	for _, l := range left {
		services[l.pid] = l.service
	}
	for _, p := range all {
		delete(services, p.Pid)
	}
	for _, p := range all {
		if service, ok := services[p.Session]; ok {
			log.Warn("ending a process of its session", "service", service, "pid", p.Pid, "name", p.Name)
			_ = reap.SignalByPidfd(p.Pid, p.Start, syscall.SIGKILL) // it may be gone by now
		}
	}
}

func signalLeftover(l leftover, sig syscall.Signal, log *slog.Logger) {
	err := reap.SignalGroup(l.pid, l.start, sig)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		log.Warn("cannot signal it", "service", l.service, "pid", l.pid, "error", err)
	}
}

// endGroups kills who is left in the cgroups of a keeper that is dead, and returns when
// they are gone or will not go: nobody has written down who left its session, or whose
// record was damaged.
func endGroups(last keeperRecord, log *slog.Logger) {
	if start, err := reap.StartTime(last.Pid); err == nil && start == last.Start {
		return // it lives
	}
	tree, err := cgroup.Find()
	if err != nil {
		return
	}
	alive := map[leftover]bool{}
	for _, dir := range tree.Left(last.Pid) {
		service := cgroup.ServiceOf(dir)
		pids, err := cgroup.Procs(dir)
		log.Warn("a keeper was killed and left processes behind in this cgroup: killing them", "service", service, "cgroup", dir, "pids", pids)
		for _, pid := range pids {
			if start, err := reap.StartTime(pid); err == nil {
				alive[leftover{service, pid, start}] = true
			}
		}
		if err = errors.Join(err, cgroup.Kill(dir)); err != nil {
			log.Warn("cannot kill them", "service", service, "error", err)
		}
	}
	gone := make(chan leftover, len(alive))
	for l := range alive {
		reap.AwaitExit(l.pid, l.start, func() { gone <- l })
	}
	awaitLeftovers(alive, gone)
	for l := range alive {
		log.Error("it does not end: another one may be started beside it", "service", l.service, "pid", l.pid)
	}
}
