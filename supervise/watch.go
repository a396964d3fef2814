package supervise

import (
	"time"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// A Finder finds the process that a forking service has left to do its work. Find
// calls done exactly once, from any goroutine, and soon: first is the pid of the
// process that has ended. Before, it calls note with what it waits for, for people, as
// often as that changes.
type Finder interface {
	Find(s *config.Service, run uint64, first int, note func(string), done func(Found, error))
}

// A Found is the process that a forking service has left.
type Found struct {
	Pid int
	// Guessed: nothing names it, it is only the one that was left. It may have been on
	// its way out: a daemon that forks twice leaves the second one.
	Guessed bool
	// Odd is what was passed over, for people; empty: nothing.
	Odd string
}

// A watching is what was asked of the keeper about the main process of a run and
// is not answered yet.
type watching struct {
	asked int
	// until is how long the process is waited for that is being looked for; zero:
	// none is.
	until time.Time
	note  string // what that waits for; empty: nothing is known to be late
	// doubt is until when the main process may be another one, because it was guessed,
	// if it ends well and leaves others.
	doubt time.Time
	// held is the end of the process that was the main one when it was asked: it
	// counts only if it still is. hearing: what the run has said before is not heard yet.
	held    *reap.Exited
	hearing bool
}

// findMain has the main process of a forking service found, and watched.
func (c *core) findMain(r *record, run machine.Run) {
	if c.Finder == nil || c.alone {
		c.notFound(r, "nobody can look for it")
		return
	}
	r.watch.until = c.now.Add(findWithin)
	c.setWake(r)
	looking := func() bool { return c.byName[r.name] == r && r.m.Run() == run && !r.watch.until.IsZero() }
	note := func(text string) {
		c.Post(func(c *core) {
			if looking() {
				r.watch.note = text
				c.touch(r)
			}
		})
	}
	c.Finder.Find(r.cfg, uint64(run), r.first, note, func(found Found, err error) {
		c.Post(func(c *core) {
			if !looking() {
				return
			}
			r.watch.note = ""
			c.touch(r)
			if found.Odd != "" {
				c.Log.Warn(found.Odd, "service", r.name)
				c.later(func() { c.Logs.Append(r.name, found.Odd) })
			}
			switch {
			case err != nil:
				c.notFound(r, err.Error())
				return
			case r.watch.held != nil && !r.coming():
				c.notFound(r, "it is on its way down")
				return
			case r.watch.held == nil && found.Guessed:
				r.watch.doubt = c.now.Add(doubtFor)
				c.unsaved(r)
			}
			r.watch.until = time.Time{}
			c.setWake(r)
			c.watch(r, found.Pid)
		})
	})
}

const (
	// findWithin is how long finding a process may take. It reads a file or two.
	findWithin = 5 * time.Second
	// doubtFor is how long a main process that was guessed may be the wrong one. One
	// that only forks is gone in a moment.
	doubtFor = 10 * time.Second
)

// notFound: there is no other main process than the one that has ended.
func (c *core) notFound(r *record, text string) {
	r.watch.until, r.watch.note = time.Time{}, ""
	c.setWake(r)
	if r.watch.held == nil {
		c.step(r, machine.MainMissing{Run: r.m.Run(), Text: text})
	}
	c.releaseExit(r)
	c.settle()
}

// findDue gives up a process that is not found.
func (c *core) findDue(r *record) {
	if at := r.watch.until; !at.IsZero() && !at.After(c.now) {
		c.notFound(r, "it was not found within "+findWithin.String())
	}
}

// coming reports a run that nobody has told to go down.
func (r *record) coming() bool {
	switch r.m.State.(type) {
	case machine.Starting, machine.Running:
		return true
	}
	return false
}

// watch has another process be the main one of the living run.
func (c *core) watch(r *record, pid int) {
	r.watch.asked++
	c.Keeper.Watch(r.name, uint64(r.m.Run()), pid)
}

// mainIs takes in that the run has another main process.
func (c *core) mainIs(r *record, e reap.Watched) {
	if !c.answered(r, e.Run) {
		return
	}
	r.watch.held = nil
	r.pid, r.start = e.Pid, e.Start
	r.lastPid = e.Pid
	c.touch(r)
	c.unsaved(r)
	c.step(r, machine.MainFound{Run: machine.Run(e.Run)})
	c.hearEarly(r)
}

// mainStays takes in that it has not.
func (c *core) mainStays(r *record, e reap.WatchFailed) {
	if !c.answered(r, e.Run) {
		return
	}
	c.Log.Warn("its main process stays the one it was", "service", r.name, "pid", e.Pid, "why", e.Why)
	c.step(r, machine.MainMissing{Run: machine.Run(e.Run), Text: e.Why})
	c.releaseExit(r)
}

// holdExit keeps back the end of a main process until it is clear that it was the main
// one by then: all that was said before is heard, and none is left that was meant when
// it was guessed.
func (c *core) holdExit(r *record, e reap.Exited) {
	r.watch.held = &e
	switch {
	case !r.watch.until.IsZero() || r.watch.hearing:
		return
	case e.Status.Success() && !e.Unknown && c.now.Before(r.watch.doubt) && r.coming() && (e.Lingers || r.cfg.PidFile == ""):
		// Where nobody is known to be left a pid file that never comes is not waited for.
		c.findMain(r, r.m.Run())
		return
	case !r.coming() || r.m.Rules.Readiness != machine.ByNotice || c.Ears == nil:
		return
	}
	r.watch.hearing = true
	run := r.m.Run()
	c.Ears.Drain(r.name, func() {
		c.Post(func(c *core) {
			if c.byName[r.name] == r && r.m.Run() == run && r.watch.hearing {
				r.watch.hearing = false
				c.releaseExit(r)
				c.settle()
			}
		})
	})
}

// releaseExit has an end count that was kept back, when there is no reason to any more.
func (c *core) releaseExit(r *record) {
	if held := r.watch.held; held != nil && r.watch.asked == 0 && !r.watch.hearing && r.watch.until.IsZero() {
		r.watch.held = nil
		c.mainExited(r, *held)
	}
}

// answered counts an answer about the living run.
func (c *core) answered(r *record, run uint64) bool {
	if machine.Run(run) != r.m.Run() || r.watch.asked == 0 {
		return false
	}
	r.watch.asked--
	return true
}

// exited takes in the end of a main process. It is acknowledged only when the
// service is gone for good: until then the keeper goes on knowing how the last
// run ended, and tells the next server.
func (c *core) exited(e reap.Exited) {
	r := c.byName[e.Key]
	switch {
	case r == nil:
		c.endLog(e.Key, e.Run)
		c.Keeper.Ack(e.Key, e.Run)
	case r.m.Run() == machine.Run(e.Run) && r.m.Main():
		c.holdExit(r, e)
		c.releaseExit(r)
	default:
		c.mainExited(r, e)
	}
}

// endLog says, when what was decided is on its way, that a run writes no more.
func (c *core) endLog(service string, run uint64) {
	c.later(func() { c.Logs.Ended(service, run) })
}

func (c *core) mainExited(r *record, e reap.Exited) {
	run := machine.Run(e.Run)
	o := outcomeOf(e)
	// Who ends by the signal that it was sent ends for no other reason.
	obeyed := r.toldRun == run && o.Signal != 0 && o.Signal == r.cfg.Lifecycle.StopSignal
	if c.OOM != nil && !o.Success() && !o.Unknown && !obeyed {
		o.OOM = c.OOM(e.Key, e.Run)
	}
	if r.m.Run() != run {
		c.endLog(e.Key, e.Run) // of another run; step does it for the living one
	}
	c.step(r, machine.ProcessGone{Run: run, Outcome: o, Lingers: e.Lingers})
	if r.m.Run() == run && !r.m.Main() {
		r.first = e.Pid
		if r.m.Empty() || !e.Lingers {
			r.pid = 0
		}
		c.touch(r)
	}
	c.cancelProbe(r)
}

// outcomeOf is how a main process ended.
func outcomeOf(e reap.Exited) machine.Outcome {
	if e.Unknown {
		return machine.Outcome{Unknown: true}
	}
	if sig, ok := e.Status.Signal(); ok {
		return machine.Outcome{Signal: sig}
	}
	code, _ := e.Status.Code()
	return machine.Outcome{Code: code}
}
