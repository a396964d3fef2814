package supervise

import (
	"syscall"
	"time"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// strangerTimeout is the stop timeout of what has no configuration any more.
const strangerTimeout = 10 * time.Second

// addStrangers makes records for the processes whose service was removed, or made
// a target, while no server was there: they are stopped like those that a reload
// removes, and no other process of that name starts before they are gone.
func (c *core) addStrangers(inv reap.Inventory) {
	for _, ch := range inv.Children {
		name, isProbe := probeOf(ch.Key)
		// How it wants to be stopped is not known any more.
		bare := config.Service{Name: name, Lifecycle: config.Lifecycle{StopSignal: syscall.SIGTERM, StopTimeout: strangerTimeout}}
		switch r := c.byName[name]; {
		case r == nil:
			r = c.add(&bare, "")
			r.leaving, r.wish = true, wishDown
			c.going++
		case r.cfg.Target && !isProbe:
			bare.Requires, bare.After, bare.Wants, bare.Conflicts = r.cfg.Requires, r.cfg.After, r.cfg.Wants, r.cfg.Conflicts
			r.problem = madeTarget(r.cfg)
			r.cfg, r.m = &bare, machine.New(rulesOf(&bare))
		}
	}
}

// adopt takes over what an earlier server left behind. What is alive goes on. Of
// the ends that nobody has seen only this one counts: a oneshot that ended well has
// done its work. Everything else starts as boot has it.
func (c *core) adopt(inv reap.Inventory) {
	exits := map[string]reap.Exited{}
	for _, e := range inv.Exits {
		exits[e.Key] = e
	}
	for _, run := range inv.Runs {
		c.floor = max(c.floor, run)
	}
	for _, r := range c.order {
		r.m.Last = max(r.m.Last, machine.Run(inv.Runs[r.name]))
		r.probe.last = inv.Runs[r.name+probeSuffix]
	}
	for _, ch := range inv.Children {
		if _, isProbe := probeOf(ch.Key); !isProbe {
			c.adoptMain(ch, exits[ch.Key])
		}
	}
	for _, ch := range inv.Children {
		if service, isProbe := probeOf(ch.Key); isProbe {
			c.adoptProbe(ch, service)
		}
	}
	for _, e := range inv.Exits {
		r := c.byName[e.Key]
		switch {
		case r == nil:
			c.Keeper.Ack(e.Key, e.Run)
		case r.m.Rules.Oneshot && e.Status.Success() && !r.m.Active():
			r.m.Want = true
			r.m.State = machine.Exited{Outcome: outcomeOf(e.Status), At: c.now}
			r.ran = r.cfg
			c.touch(r)
			c.markStale(r)
		}
	}
}

// adoptMain takes over a main process, or what is left of its group: that run is
// not over before the last of the group is gone.
func (c *core) adoptMain(ch reap.Child, exit reap.Exited) {
	r := c.byName[ch.Key]
	run := machine.Run(ch.Run)
	c.step(r, machine.Adopted{Run: run, Started: ch.Started})
	// What else it was started with nobody knows any more.
	r.ran = r.cfg
	if ch.Group != ownsGroup(r.cfg) {
		ran := *r.cfg
		ran.Lifecycle.KillMode = config.KillGroup
		if !ch.Group {
			ran.Lifecycle.KillMode = config.KillProcess
		}
		r.ran, r.outdated = &ran, true
		c.step(r, machine.Configured{Rules: r.rules()})
	}
	if !ch.MainGone {
		r.pid, r.start = ch.Pid, ch.Start
		if !ch.Started.IsZero() {
			r.since = ch.Started
		}
		return
	}
	outcome := machine.Outcome{Unknown: true}
	if exit.Run == ch.Run {
		outcome = outcomeOf(exit.Status)
	}
	c.step(r, machine.ProcessGone{Run: run, Outcome: outcome, Lingers: true})
}

// adoptProbe takes over an exec check of a service that runs on; its result is
// taken in like that of one of our own. Others are ended.
func (c *core) adoptProbe(ch reap.Child, service string) {
	r := c.byName[service]
	if r == nil || ch.MainGone {
		c.Keeper.Signal(ch.Key, ch.Run, syscall.SIGKILL, reap.ScopeGroup)
		return
	}
	r.probe.alive = true
	h := r.cfg.Health
	if _, running := r.m.State.(machine.Running); !running || h == nil || h.Kind != config.ProbeExec {
		c.endProbe(r)
		return
	}
	r.probe.of = r.m.Run()
	r.probe.timeout, r.probe.deadline = h.Timeout, c.now.Add(h.Timeout)
	c.setWake(r)
}
