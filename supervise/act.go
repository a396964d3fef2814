package supervise

import (
	"fmt"
	"syscall"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/logs"
	"zinit/supervise/machine"
)

// conclude ends one event: settle, then act.
func (c *core) conclude() {
	c.settle()
	c.act()
}

// spawnsPerFlush is how many spawns the keeper gets at once: while it forks those
// the next ones are prepared.
const spawnsPerFlush = 32

// act carries out what the settling has collected. What goes wrong at once comes
// back as an event and is settled too, or, when too much does, in the next turn: a
// service that requires what it keeps down could otherwise go on for ever.
func (c *core) act() {
	failures := 0
	for n := 0; n < len(c.orders); n++ {
		o := c.orders[n]
		switch a := o.action.(type) {
		case machine.Spawn:
			c.begins(o.rec)
			if err := c.spawn(o.rec, uint64(a.Run)); err != nil {
				failed := failure{o.rec, machine.SpawnFailed{Run: a.Run, Text: err.Error()}}
				if failures++; failures > 2*len(c.order) {
					c.failures = append(c.failures, failed)
					break
				}
				c.fails(failed)
			}
			if n%spawnsPerFlush == spawnsPerFlush-1 {
				c.send()
			}
		case machine.Signal:
			if o.rec.m.Rules.Attends {
				c.signalConns(o.rec, a.Sig, a.Scope)
			} else {
				c.Keeper.Signal(o.rec.name, uint64(a.Run), a.Sig, reap.Scope(a.Scope))
			}
			if _, stopping := o.rec.m.State.(machine.Stopping); stopping && c.Memory != nil {
				c.told = append(c.told, telling{o.rec, a.Run})
			}
			c.noteKill(o.rec, a)
		case machine.Probe:
			c.probeService(o.rec, a.Run)
		case machine.FindMain:
			c.findMain(o.rec, a.Run)
		case machine.RunHooks:
			if a.Hook == machine.ExecStartPre {
				c.begins(o.rec)
			}
			c.runHooks(o.rec, a)
		case machine.EndHooks:
			c.endHooks(o.rec)
		case machine.Clear:
			c.clean(o.rec, a.Run)
		}
		c.orders[n] = order{}
	}
	c.orders = c.orders[:0]
}

// A failure is a spawn that failed before it was asked for.
type failure struct {
	rec   *record
	event machine.SpawnFailed
}

func (c *core) fails(f failure) {
	c.step(f.rec, f.event)
	c.settle()
}

// lateFailures takes in what the turn before left over.
func (c *core) lateFailures() {
	late := c.failures
	c.failures = nil
	for _, f := range late {
		c.fails(f)
	}
}

// noteKill says so where a stop had to become a kill.
func (c *core) noteKill(r *record, a machine.Signal) {
	st, stopping := r.m.State.(machine.Stopping)
	if a.Sig != syscall.SIGKILL || !stopping || st.Gone {
		return
	}
	text := fmt.Sprintf("did not end within %s of the stop signal: killed", r.m.Rules.StopTimeout)
	if r.m.Stuck() {
		text = "survived SIGKILL: the kernel holds it; nothing more can be done from here"
	}
	c.Log.Warn(text, "service", r.name, "pid", r.pid)
	c.later(func() { c.Logs.Append(r.name, text) })
}

// isLasting reports a program that is not there or is none, and not a want of something,
// or of the right moment.
func isLasting(e reap.SpawnFailed) bool {
	switch e.Errno {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR, syscall.EACCES, syscall.EPERM, syscall.ELOOP,
		syscall.ENAMETOOLONG, syscall.ENOEXEC, syscall.EINVAL:
		return e.Refused == ""
	}
	return false
}

// SpawnError puts a refused fork or exec into words: what, why, and where to
// look.
func SpawnError(cmd config.Command, ev reap.SpawnFailed) string {
	switch {
	case ev.Refused != "":
		return ev.Refused
	case ev.Text != "":
		return ev.Text
	}
	word := ""
	if len(cmd.Argv) > 0 {
		word = cmd.Argv[0]
	}
	switch ev.Errno {
	case syscall.EAGAIN:
		return "cannot fork: " + ev.Errno.Error() + " (the limit on processes is reached): raise it, or end others"
	case syscall.ENOMEM:
		return "cannot fork: " + ev.Errno.Error() + ": free some"
	case syscall.EMFILE, syscall.ENFILE:
		return "cannot start " + word + ": " + ev.Errno.Error() + ": raise the limit on open files of zinit"
	case syscall.E2BIG:
		return "cannot execute " + word + ": " + ev.Errno.Error() + " (arguments and environment are over the kernel's limit): shorten them"
	case syscall.ENOEXEC:
		return "cannot execute " + word + ": " + ev.Errno.Error() + " (not a program for this machine, or a script without #! line): correct exec"
	case syscall.EACCES:
		return "cannot execute " + word + ": " + ev.Errno.Error() + ": let its user execute it and enter its dir"
	case syscall.ETXTBSY:
		return "cannot execute " + word + ": " + ev.Errno.Error() + " (somebody writes to it): start it again when that is done"
	case syscall.ENOENT:
		// The file was found a moment ago.
		return "cannot execute " + word + ": its interpreter does not exist: install it, or correct the first line of the script"
	}
	return "cannot execute " + word + ": " + ev.Errno.Error()
}

// outputs is what the log store is told about a service.
func (c *core) outputs(cfg *config.Service) logs.Options {
	l := &cfg.Logging
	return logs.Options{
		BufferLines: l.BufferLines, BufferBytes: l.BufferBytes, Rate: l.Rate,
		Stdout: l.Stdout || c.Stdout && !l.Chosen, Ring: l.Ring, Syslog: l.Syslog, None: l.None,
		File: l.File, FileMax: l.FileMax, FileAge: l.FileAge, FileKeep: l.FileKeep, Compress: l.Compress,
	}
}
