package reaptest

import (
	"fmt"

	"zinit/reap"
)

// A fork is a process that a main process has made and that may outlive it. Nobody
// is told of its end unless it is watched.
type fork struct {
	run   uint64
	pid   int
	ended *reap.Status
}

// Fork has the main process of a key make another one, which Watch can name; 0:
// there is no main process.
func (s *Sim) Fork(key string) (pid int) {
	p := s.procs[key]
	if p == nil || p.gone {
		return 0
	}
	s.pids++
	f := &fork{run: p.run, pid: 1000 + s.pids}
	s.forks[key] = f
	if odds := s.odds(key); s.chance(odds.Ends) {
		status := reap.ExitCode(0)
		if !s.chance(odds.EndsWell) {
			status = reap.ExitCode(1 + s.rng.IntN(3))
		}
		s.later(s.within(odds.MaxLife), todo{end: &status, key: key, run: p.run, pid: f.pid})
	}
	return f.pid
}

// Daemon is the process that a run of a key has made and that nobody watches: what
// a pid file would hold. It may have ended.
func (s *Sim) Daemon(key string) (run uint64, pid int, ok bool) {
	f := s.forks[key]
	if f == nil {
		return 0, 0, false
	}
	return f.run, f.pid, true
}

// forkEnds is the end of a process that is no main process.
func (s *Sim) forkEnds(t todo) {
	if f := s.forks[t.key]; f != nil && f.run == t.run && f.pid == t.pid {
		f.ended = t.end
	}
}

// Watch makes a process that the run's main process has made the main process of
// that run. The answer is the next thing that happens.
func (s *Sim) Watch(key string, run uint64, pid int) {
	p, f := s.procs[key], s.forks[key]
	switch {
	case p != nil && p.run == run && !p.gone && p.pid == pid:
		s.next(reap.Watched{Key: key, Run: run, Pid: pid, Start: uint64(pid)}, key)
		return
	case f == nil || f.run != run || f.pid != pid || s.runs[key] != run:
		s.next(reap.WatchFailed{Key: key, Run: run, Pid: pid, Why: fmt.Sprintf("pid %d is no process of %s", pid, key)}, key)
		return
	}
	delete(s.forks, key)
	delete(s.exits, key)
	odds := s.odds(key)
	q := &proc{run: run, pid: pid, watched: true, deaf: s.chance(odds.Deaf), undead: s.chance(odds.Undead)}
	if p != nil {
		q.group, q.lingers = p.group, p.lingers
	}
	s.procs[key] = q
	s.next(reap.Watched{Key: key, Run: run, Pid: pid, Start: uint64(pid)}, key)
	if f.ended != nil {
		s.later(0, todo{end: f.ended, key: key, run: run, pid: pid})
	}
}

// next has an event told before everything else.
func (s *Sim) next(e reap.Event, key string) {
	s.todo = append([]todo{{at: s.Now, ev: e, key: key}}, s.todo...)
	if len(s.todo) > 1 && s.todo[1].at.Before(s.Now) {
		s.todo[0].at = s.todo[1].at // what is overdue stays in order
	}
}
