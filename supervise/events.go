package supervise

import (
	"strings"
	"syscall"

	"zinit/reap"
	"zinit/supervise/machine"
)

// keeperEvent takes in one fact from the keeper. What concerns a service goes to
// its machine, which refuses old runs; what concerns a probe goes to health.go, a hook to hooks.go,
// a connection to attend.go.
func (c *core) keeperEvent(ev reap.Event) {
	if c.Heard != nil {
		c.Heard(ev)
	}
	if service, ok := hookOf(keyOf(ev)); ok {
		c.hookEvent(service, ev)
		c.conclude()
		return
	}
	if service, _, ok := connOf(keyOf(ev)); ok {
		c.connEvent(service, ev)
		c.conclude()
		return
	}
	switch e := ev.(type) {
	case reap.Spawned:
		if service, ok := probeOf(e.Key); ok {
			c.Logs.Start(service+testSuffix, e.Run)
		} else if r := c.byName[e.Key]; r != nil {
			c.spawned(r, e)
		}
	case reap.SpawnFailed:
		if service, ok := probeOf(e.Key); ok {
			c.probeSpawnFailed(service, e)
		} else if r := c.byName[e.Key]; r != nil {
			c.Logs.Discard(e.Key, e.Run)
			r.unstarted = unstartedCode(e)
			c.step(r, machine.SpawnFailed{Run: machine.Run(e.Run), Text: SpawnError(r.cfg.Command, e), Lasting: isLasting(e)})
		}
	case reap.Exited:
		if service, ok := probeOf(e.Key); ok {
			c.probeExited(service, e)
		} else {
			c.exited(e)
		}
	case reap.GroupGone:
		if r := c.byName[e.Key]; r != nil {
			if held := r.watch.held; held != nil && held.Run == e.Run {
				held.Lingers = false // when it counts nobody is left
			}
			c.step(r, machine.GroupGone{Run: machine.Run(e.Run)})
			c.cancelProbe(r)
		}
	case reap.Watched:
		if r := c.byName[e.Key]; r != nil {
			c.mainIs(r, e)
		}
	case reap.WatchFailed:
		if r := c.byName[e.Key]; r != nil {
			c.mainStays(r, e)
		}
	case reap.Signaled:
		c.signaled(e.Signal)
	}
	c.conclude()
}

func (c *core) spawned(r *record, e reap.Spawned) {
	c.Logs.Start(e.Key, e.Run)
	if r.m.Run() == machine.Run(e.Run) {
		r.pid, r.start = e.Pid, e.Start
		r.lastPid = e.Pid
		c.touch(r)
		c.unsaved(r)
	}
	c.step(r, machine.Spawned{Run: machine.Run(e.Run)})
	c.hearEarly(r)
}

// keyOf is the key of the process that an event is about.
func keyOf(ev reap.Event) string {
	switch e := ev.(type) {
	case reap.Spawned:
		return e.Key
	case reap.SpawnFailed:
		return e.Key
	case reap.Exited:
		return e.Key
	case reap.GroupGone:
		return e.Key
	}
	return ""
}

// signaled is what a signal to the keeper means to the server.
func (c *core) signaled(sig syscall.Signal) {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT:
		c.shutdown()
	case syscall.SIGUSR1:
		c.leaves = !c.draining
	}
}

// probeOf splits the key of a probe into the service that it is for.
func probeOf(key string) (service string, ok bool) {
	return strings.CutSuffix(key, probeSuffix)
}
