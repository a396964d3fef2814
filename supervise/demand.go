package supervise

import (
	"context"

	"zinit/depgraph"
	"zinit/supervise/machine"
)

// Activate has a service up because somebody needs it now, and returns when others may
// rely on it, or with a *Refusal that says why that will not be. Unlike Start it does
// not make the service one that was started by hand. One that is being stopped is down
// first, for those who have stopped it and wait for that.
func (s *Supervisor) Activate(ctx context.Context, name string) error {
	goes := false
	err := s.tryStart(name, func(c *core) error {
		if goes = c.goes(name); goes {
			return nil
		}
		return c.activate(name)
	})
	if goes {
		if _, err := s.Wait(ctx, []string{name}, GoalDown, true); err != nil {
			return err
		}
		err = s.tryStart(name, func(c *core) error { return c.activate(name) })
	}
	if err != nil {
		return err
	}
	list, err := s.Wait(ctx, []string{name}, GoalUp, true)
	switch {
	case err != nil:
		return err
	case len(list) == 0 || list[0].View == nil:
		return notFound(name)
	case list[0].Reached:
		return nil
	case ctx.Err() != nil:
		return refuse(Unusable, name, "%s: it did not come up in time: zinit why %s tells more", name, name)
	}
	v := list[0].View
	why := v.State.String()
	if v.Reason != "" {
		why += ": " + v.Reason
	}
	return refuse(Unusable, name, "%s: it does not come up (%s): zinit why %s and zinit logs %s tell more", name, why, name, name)
}

// Release says that what has activated a service does not need it any more. It is
// stopped, unless somebody has started it by hand or others require it.
func (s *Supervisor) Release(name string) (stopped bool, err error) {
	err = s.try(func(c *core) (err error) {
		stopped, err = c.release(name)
		return err
	})
	return stopped, err
}

// goes reports a service that is on its way down to stay there.
func (c *core) goes(name string) bool {
	r := c.byName[name]
	return r != nil && !c.draining && r.m.Active() && (r.wish == wishDown || r.wish == noWish && !r.m.Want)
}

func (c *core) activate(name string) error {
	r, err := c.find(name)
	if err != nil {
		return err
	}
	if c.up(r) && (r.m.Active() || r.m.Satisfied() || !r.m.RestartAt().IsZero()) {
		return nil // it is, or comes by itself: its back-off is not cut short
	}
	if r.hand && !r.m.Want {
		r.hand = false
		c.unsaved(r)
	}
	return c.bring(r, false, false)
}

func (c *core) release(name string) (stopped bool, err error) {
	r, err := c.find(name)
	switch {
	case err != nil:
		return false, err
	case c.draining || !c.up(r):
		return true, nil // somebody else has seen to that
	case r.hand:
		return false, nil
	}
	if _, starts := r.m.State.(machine.Starting); starts {
		return false, nil // whoever asked for it may have gone, and comes again
	}
	for _, e := range c.graph.In(int(r.i)) {
		if d := c.recs[e.To]; (e.Kind == depgraph.Requires || e.Kind == depgraph.Awaits) && d.m.Want {
			return false, nil
		}
	}
	c.wishes(r, wishDown)
	c.settle()
	return true, nil
}
