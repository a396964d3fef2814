package supervise

import (
	"syscall"

	"zinit/reap"
	"zinit/supervise/machine"
)

// find looks a service up for a request that changes something.
func (c *core) find(name string) (*record, error) {
	r := c.byName[name]
	if r == nil || r.leaving {
		return nil, notFound(name)
	}
	return r, nil
}

// start wants a service up, and with it what it requires and wants, in order;
// with alone, only itself. What was stopped by hand comes up again, and so does
// what boot leaves down.
func (c *core) start(name string, alone bool) error {
	r, err := c.find(name)
	if err == nil {
		err = c.bring(r, alone, true)
	}
	return err
}

// bring has a service come up; hand: somebody has asked for it by name.
func (c *core) bring(r *record, alone, hand bool) error {
	name := r.name
	if c.draining {
		return refuse(ShuttingDown, name, "%s: zinit is shutting down: start it after the next boot", name)
	}
	if err := c.startable(r); err != nil {
		return err
	}
	group := []int32{r.i}
	if !alone {
		group = c.graph.Closure(int(r.i))
	}
	for _, i := range group {
		if d := c.recs[i]; d != r {
			if rival := c.rival(d); rival != nil && c.requires(r, d) {
				return refuse(InConflict, name, "%s: it requires %s, which conflicts with %s, which is %s: stop %s first",
					name, d.name, rival.name, rival.m.State, rival.name)
			}
		}
	}
	if hand {
		c.byHand(r, false)
	}
	// The one that was named comes first: a oneshot that is to run once more must
	// stop counting as done before others come up on its account.
	c.want(r, true)
	for _, i := range group {
		if d := c.recs[i]; d != r {
			c.want(d, false)
		}
	}
	return nil
}

// startable refuses what no waiting would help.
func (c *core) startable(r *record) error {
	if r.problem != "" && r.m.Broken {
		return refuse(Unusable, r.name, "%s: %s", r.name, r.problem)
	}
	if why := r.m.Fault; r.m.Broken {
		return refuse(Unusable, r.name, "%s: %s: mend its configuration and reload", r.name, why)
	}
	if rival := c.rival(r); rival != nil && (!r.m.Active() || r.wish == wishDown) {
		return refuse(InConflict, r.name, "%s: it conflicts with %s, which is %s: stop %s first",
			r.name, rival.name, rival.m.State, rival.name)
	}
	return nil
}

// rival is a service in conflict with r that is up and stays up; nil: none. One
// that was told to go down is only waited for.
func (c *core) rival(r *record) *record {
	if r.counts.clash == 0 {
		return nil
	}
	for _, j := range c.graph.Conflicts(int(r.i)) {
		if d := c.recs[j]; d.bits.claims && d.m.Want && d.wish != wishDown {
			return d
		}
	}
	return nil
}

// requires reports that r requires d, directly or not.
func (c *core) requires(r, d *record) bool {
	for _, i := range c.graph.Dependents(int(d.i)) {
		if i == r.i {
			return true
		}
	}
	return false
}

// want is the wish that one service be up. A stop that has not begun is taken
// back. A oneshot that has done its work is run again only when it is asked for by
// name.
func (c *core) want(r *record, byName bool) {
	if r.m.Broken || r.breaking != nil {
		return
	}
	if r.wish == wishDown && c.rival(r) == nil {
		c.wishes(r, noWish)
	}
	if byName || !(r.m.Want && r.m.Satisfied()) {
		c.step(r, machine.Wanted{})
	}
	if byName {
		c.lookNow(r)
	}
	// Before the next one is wanted: it may be in conflict with this one.
	c.settle()
}

// stop wants a service down. Those that require it go first, and come back with
// it; what it requires is left alone.
func (c *core) stop(name string) error {
	r, err := c.find(name)
	if err != nil {
		return err
	}
	c.byHand(r, true)
	c.wishes(r, wishDown)
	c.settle()
	return nil
}

// restart takes a service down and brings it up again with its back-off reset;
// those that require it go down first and come back with it.
func (c *core) restart(name string) error {
	r, err := c.find(name)
	if err != nil {
		return err
	}
	if c.draining {
		return refuse(ShuttingDown, name, "%s: zinit is shutting down: start it after the next boot", name)
	}
	if err := c.startable(r); err != nil {
		return err
	}
	c.byHand(r, false)
	up := r.isUp()
	c.renew(r)
	c.settle()
	if up {
		return nil
	}
	for _, i := range c.graph.Closure(int(r.i)) {
		if d := c.recs[i]; d != r {
			c.want(d, false)
		}
	}
	return nil
}

// renew has a record go down, if it is up, and come up with its back-off reset.
func (c *core) renew(r *record) {
	if r.isUp() {
		c.wishes(r, wishRestart)
		return
	}
	r.wish = noWish
	c.unsaved(r)
	c.step(r, machine.Restarted{})
	c.lookNow(r)
}

// wishes notes what is to be done as soon as nothing that depends on the record is
// left.
func (c *core) wishes(r *record, w wish) {
	r.wish = w
	c.touch(r)
	c.unsaved(r)
	c.markStale(r)
}

// kill sends one signal to a service's process group; what follows is up to the
// service and its restart policy.
func (c *core) kill(name string, sig syscall.Signal) error {
	r, err := c.find(name)
	if err != nil {
		return err
	}
	if r.m.Rules.Target {
		return refuse(IsTarget, name, "%s: it is a target and has no process: signal one of its services", name)
	}
	if _, running := r.m.State.(machine.Running); running && r.m.Rules.Attends && len(r.conns.list) == 0 {
		return refuse(NotRunning, name, "%s: nobody is connected, and it has no process: there is nothing to signal", name)
	}
	if !r.m.Active() || r.m.Empty() {
		return refuse(NotRunning, name, "service not running: %s", name)
	}
	if r.m.Rules.Attends {
		c.signalConns(r, sig, machine.Group)
		return nil
	}
	c.Keeper.Signal(name, uint64(r.m.Run()), sig, reap.ScopeGroup)
	return nil
}

// shutdown takes everything down, dependents before what they are ordered after,
// and starts nothing any more.
func (c *core) shutdown() {
	if c.draining {
		return
	}
	c.draining = true
	c.Log.Info("shutting down")
	c.Keeper.Draining()
	if c.Draining != nil {
		go c.Draining()
	}
	c.hasten()
	for _, r := range c.recs {
		c.wishes(r, wishDown)
	}
	c.changes++
	c.settle()
}

// down reports that a shutdown has ended: nothing is alive, but for what the
// kernel will not let go.
func (c *core) down() bool {
	if !c.draining {
		return false
	}
	for _, r := range c.recs {
		if r.m.Active() && !r.m.Stuck() {
			return false
		}
	}
	return true
}
