package supervise

import (
	"fmt"
	"syscall"
	"time"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/launch"
	"zinit/supervise/logs"
	"zinit/supervise/machine"
)

// probeSuffix makes the key of a service's probes from its name; no name holds a
// slash.
const probeSuffix = "/health"

// A probe is the exec check of a service that is under way. Tcp and http checks
// bound themselves.
type probe struct {
	last     uint64      // highest run number of the probe's own key
	alive    bool        // its process has not been seen to end
	of       machine.Run // the run that it checks; 0: the result is no longer wanted
	deadline time.Time   // when it is ended; zero: none is under way
	timeout  time.Duration
}

// probeService checks the health of a run once.
func (c *core) probeService(r *record, run machine.Run) {
	h := r.cfg.Health
	if h == nil {
		return
	}
	if h.Kind == config.ProbeExec {
		c.spawnProbe(r, run, h)
		return
	}
	c.Prober.Check(h, func(err error) {
		c.Post(func(c *core) {
			if now := c.byName[r.name]; now == r {
				c.probed(r, run, err)
			}
		})
	})
}

func (c *core) probed(r *record, run machine.Run, err error) {
	text := ""
	if err != nil {
		text = err.Error()
		c.Log.Debug("health check failed", "service", r.name, "error", text)
	}
	c.step(r, machine.Probed{Run: run, Err: text})
	c.settle()
}

// spawnProbe runs an exec check as a process with the service's surroundings.
func (c *core) spawnProbe(r *record, run machine.Run, h *config.Health) {
	switch {
	case r.probe.alive && r.probe.of == run:
		return // an earlier server began it: its result is as good
	case r.probe.alive:
		// At most one process of a key: the one before was killed and is not
		// gone. That is a failed check of its own.
		c.probed(r, run, fmt.Errorf("the check before has not ended"))
		return
	}
	r.probe.last++
	r.probe.alive, r.probe.of = true, run
	r.probe.timeout, r.probe.deadline = h.Timeout, c.now.Add(h.Timeout)
	c.setWake(r)
	o := r.order(r.name+probeSuffix, r.probe.last, h.Command)
	if h.Once && !r.cfg.Logging.None {
		c.hearTest(r, &o)
	}
	c.Keeper.Spawn(o)
}

// testSuffix makes the name of the log of a service's test from its name.
const testSuffix = "/test"

// TestLog is the log of what the test of a service prints, a check that is repeated
// until it passes; false: it has none. It is not written down: each server begins it
// anew.
func TestLog(s *config.Service) (name string, ok bool) {
	return s.Name + testSuffix, s.Health != nil && s.Health.Once && s.Health.Kind == config.ProbeExec
}

// hearTest has the log of a test get what a run of it prints. The test goes on without.
func (c *core) hearTest(r *record, o *launch.Order) {
	pipes, err := c.Logs.Pipes(r.name+testSuffix, o.Run)
	if err != nil {
		c.Log.Warn("what a test prints is lost", "service", r.name, "error", err)
		return
	}
	o.Stdout, o.Stderr = pipes.Stdout, pipes.Stderr
	if r.cfg.Logging.MarkStarts {
		c.Logs.Append(r.name+testSuffix, startMark)
	}
}

// configureLogs tells the log store about a service.
func (c *core) configureLogs(s *config.Service) {
	c.Logs.Configure(s.Name, c.outputs(s))
	if name, ok := TestLog(s); ok {
		c.Logs.Configure(name, logs.Options{BufferLines: s.Logging.BufferLines, BufferBytes: testBytes, Stdout: s.Logging.Stdout})
	}
}

// testBytes is what is kept of what a test prints.
const testBytes = 64 << 10

// probeDue ends a probe that took too long, with everything it started.
func (c *core) probeDue(r *record) {
	if at := r.probe.deadline; at.IsZero() || at.After(c.now) {
		return
	}
	of := r.probe.of
	c.endProbe(r)
	if of != 0 {
		c.probed(r, of, fmt.Errorf("timed out after %s", r.probe.timeout))
	}
}

// cancelProbe ends the probe of a run whose main process is gone.
func (c *core) cancelProbe(r *record) {
	if r.probe.alive && r.probe.of != 0 && (r.probe.of != r.m.Run() || !r.m.Main()) {
		c.endProbe(r)
	}
}

func (c *core) endProbe(r *record) {
	c.Keeper.Signal(r.name+probeSuffix, r.probe.last, syscall.SIGKILL, reap.ScopeGroup)
	r.probe.of, r.probe.deadline = 0, time.Time{}
	c.setWake(r)
}

func (c *core) probeSpawnFailed(service string, e reap.SpawnFailed) {
	c.Logs.Discard(service+testSuffix, e.Run)
	if r := c.byName[service]; r != nil && e.Run == r.probe.last {
		command := config.Command{}
		if r.cfg.Health != nil {
			command = r.cfg.Health.Command
		}
		c.probeOver(r, fmt.Errorf("cannot run the check: %s", SpawnError(command, e)))
	}
}

func (c *core) probeExited(service string, e reap.Exited) {
	c.Keeper.Ack(e.Key, e.Run)
	c.endLog(service+testSuffix, e.Run)
	if e.Lingers {
		c.Keeper.Signal(e.Key, e.Run, syscall.SIGKILL, reap.ScopeGroup)
	}
	r := c.byName[service]
	if r == nil || e.Run != r.probe.last {
		return
	}
	var err error
	if !e.Status.Success() {
		err = fmt.Errorf("the check ended with %s", e.Status)
	}
	c.probeOver(r, err)
}

// probeOver takes in the end of a probe's process, and its verdict if somebody
// still waits for it.
func (c *core) probeOver(r *record, err error) {
	of := r.probe.of
	r.probe.alive, r.probe.of, r.probe.deadline = false, 0, time.Time{}
	c.setWake(r)
	c.cleanNow(r, false)
	if of != 0 {
		c.probed(r, of, err)
	}
}
