package supervise

import (
	"os"
	"strconv"
	"time"

	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// A Notice is something that a service says about itself. What it does not say is
// zero.
type Notice struct {
	// Pid is the process that says it, of the service for sure; 0: over a descriptor
	// that only this run has.
	Pid int
	// Run is the run that it belongs to; 0: to the one that is alive.
	Run uint64

	Ready     bool
	Reloading bool
	Stopping  bool
	Status    *string // nil: not said
	MainPID   int
	Alive     bool          // a sign of life
	Hurt      bool          // it is not well, and wants to be treated as if it had hung
	Watchdog  time.Duration // how often it will give a sign of life from now on
	Extend    time.Duration // how long what it is about takes, from now on
}

// Ears prepare the ways on which a run can say something about itself. What it
// says comes back by Supervisor.Notify. No method blocks. nil: nobody listens.
type Ears interface {
	// Open is called before the main process of a run is spawned, of services that
	// say when they are ready or that they are alive, or that are given sockets.
	Open(s *config.Service, run uint64) (Voice, error)
	// Drain passes on all that a service has said by now, and calls done exactly once
	// after that, from any goroutine and not before it has returned.
	Drain(service string, done func())
	// Close is called when the service is configured no more and down.
	Close(service string)
}

// A Voice is what one run is given to speak with, to its supervisor and to others.
type Voice struct {
	Env   []string   // variables on top of the service's
	Files []*os.File // descriptors from 3 on; the caller of Open closes them when the order is given
}

// openEars prepares a run that is about to be spawned.
func (c *core) openEars(r *record, run uint64) (v Voice, err error) {
	if !hasVoice(r.cfg) {
		return Voice{}, nil
	}
	if c.Ears != nil {
		if v, err = c.Ears.Open(r.cfg, run); err != nil {
			return v, err
		}
	}
	if w := r.cfg.Watchdog; w > 0 {
		v.Env = append(v.Env, "WATCHDOG_USEC="+strconv.FormatInt(w.Microseconds(), 10))
	}
	return v, nil
}

// hasVoice reports a service whose main process is given more than its output.
func hasVoice(s *config.Service) bool { return speaks(s) || len(s.Sockets) > 0 }

// speaks reports a service that says when it is ready.
func speaks(s *config.Service) bool { return s.Type == config.TypeNotify || s.NotifyFD > 0 }

// Notify takes in what a service says about itself. Whoever calls it has made sure
// that it is of the service; with notify_access = "main" only what the main
// process says counts.
func (s *Supervisor) Notify(service string, n Notice) {
	s.post(func(c *core) { c.notified(service, n) })
}

func (c *core) notified(service string, n Notice) {
	r := c.byName[service]
	if r == nil || !r.m.Active() || n.Run != 0 && machine.Run(n.Run) != r.m.Run() {
		return
	}
	only := r.cfg.NotifyAccess == config.NotifyMain && n.Pid != 0
	// Its pid may not be known yet: the word can be here before that of the keeper.
	if only && r.pid == 0 {
		n.Run = uint64(r.m.Run())
		c.keepEarly(service, n)
		return
	}
	if only && n.Pid != r.pid {
		c.Log.Debug("a notice of another process than the main one does not count", "service", service, "pid", n.Pid)
		return
	}
	// Without a main process the run is on its way down, and nobody becomes it any more.
	if n.MainPID > 1 && n.MainPID != r.pid && r.m.Main() {
		c.watch(r, n.MainPID)
	}
	if n.Status != nil && *n.Status != r.status {
		r.status = *n.Status
		c.touch(r)
		c.unsaved(r)
	}
	c.step(r, machine.Notified{
		Run: r.m.Run(), Ready: n.Ready, Reloading: n.Reloading, Stopping: n.Stopping,
		Alive: n.Alive, Trigger: n.Hurt, Period: n.Watchdog, Extend: n.Extend,
	})
	c.settle()
}

// maxEarly bounds what is said before it is known who the main process is.
const maxEarly = 64

// keepEarly has a notice wait until the main process is known. What has waited for that
// of an earlier run, in vain, takes no room from it.
func (c *core) keepEarly(service string, n Notice) {
	waiting := c.early[service]
	if len(waiting) > 0 && waiting[0].Run != n.Run {
		waiting = nil
	}
	if len(waiting) == maxEarly {
		return
	}
	if c.early == nil {
		c.early = map[string][]Notice{}
	}
	c.early[service] = append(waiting, n)
}

// hearEarly takes in what was said before the main process was known.
func (c *core) hearEarly(r *record) {
	said := c.early[r.name]
	delete(c.early, r.name)
	for _, n := range said {
		c.notified(r.name, n)
	}
}

// SignalReload has a service read its own configuration again: by its exec_reload,
// or by its reload signal to the main process. It is refused unless the service
// runs.
func (s *Supervisor) SignalReload(name string) error {
	return s.order(func(c *core) error { return c.signalReload(name) })
}

func (c *core) signalReload(name string) error {
	r, err := c.find(name)
	if err != nil {
		return err
	}
	_, running := r.m.State.(machine.Running)
	switch {
	case r.m.Rules.Target:
		return refuse(IsTarget, name, "%s: it is a target and has no process: reload one of its services", name)
	case !running && r.m.Active():
		return refuse(NotRunning, name, "%s: it is %s, and only what is running can be reloaded: wait for it", name, r.m.State)
	case !running:
		return refuse(NotRunning, name, "%s: it is %s, and only what is running can be reloaded: start it", name, r.m.State)
	case !r.m.CanReload() && r.m.Hook() == machine.ExecReload:
		return refuse(NotRunning, name, "%s: exec_reload runs already: wait until it has ended", name)
	case !r.m.CanReload():
		return refuse(NotRunning, name, "%s: it has no process that could be reloaded: give it exec_reload", name)
	}
	c.step(r, machine.ReloadAsked{})
	c.settle()
	return nil
}
