package supervise

import (
	"strings"
	"syscall"

	"zinit/reap"
	"zinit/supervise/machine"
)

// keeperEvent takes in one fact from the keeper. What concerns a service goes to
// its machine, which refuses old runs; what concerns a probe goes to health.go.
func (c *core) keeperEvent(ev reap.Event) {
	switch e := ev.(type) {
	case reap.Spawned:
		if r := c.byName[e.Key]; r != nil {
			c.spawned(r, e)
		}
	case reap.SpawnFailed:
		if service, ok := probeOf(e.Key); ok {
			c.probeSpawnFailed(service, e)
		} else if r := c.byName[e.Key]; r != nil {
			c.Logs.Discard(e.Key, e.Run)
			c.step(r, machine.SpawnFailed{Run: machine.Run(e.Run), Text: spawnError(r.cfg, e)})
		}
	case reap.Exited:
		if service, ok := probeOf(e.Key); ok {
			c.probeExited(service, e)
		} else {
			c.exited(e)
		}
	case reap.GroupGone:
		if r := c.byName[e.Key]; r != nil {
			c.step(r, machine.GroupGone{Run: machine.Run(e.Run)})
			c.cancelProbe(r)
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
		c.touch(r)
		c.unsaved(r)
	}
	c.step(r, machine.Spawned{Run: machine.Run(e.Run)})
}

// exited takes in the end of a main process. It is acknowledged only when the
// service is gone for good: until then the keeper goes on knowing how the last
// run ended, and tells the next server.
func (c *core) exited(e reap.Exited) {
	c.later(func() { c.Logs.Ended(e.Key, e.Run) })
	r := c.byName[e.Key]
	if r == nil {
		c.Keeper.Ack(e.Key, e.Run)
		return
	}
	c.step(r, machine.ProcessGone{Run: machine.Run(e.Run), Outcome: outcomeOf(e.Status), Lingers: e.Lingers})
	c.cancelProbe(r)
}

func outcomeOf(s reap.Status) machine.Outcome {
	if sig, ok := s.Signal(); ok {
		return machine.Outcome{Signal: sig}
	}
	code, _ := s.Code()
	return machine.Outcome{Code: code}
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
