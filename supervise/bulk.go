package supervise

import (
	"zinit/depgraph"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// inBulk reports that commands for all services mean this one too.
func (r *record) inBulk() bool {
	return !r.leaving && r.cfg.Class == config.ClassUser && r.cfg.Status != config.StatusIgnore
}

// startAll wants up everything that it means, in order.
func (c *core) startAll() ([]string, error) {
	if c.draining {
		return nil, refuse(ShuttingDown, "", "zinit is shutting down: start them after the next boot")
	}
	came := map[*record]bool{}
	for _, i := range c.starts {
		r := c.recs[i]
		if r.inBulk() {
			c.byHand(r, false)
		}
		if !r.inBulk() || timed(r.cfg) && !r.m.Want || r.m.Broken || r.breaking != nil {
			continue
		}
		if !r.m.Want || r.wish == wishDown || r.ended() {
			came[r] = true
			c.want(r, false)
		}
	}
	return c.among(came), nil
}

// ended reports a service that ended without having done its work.
func (r *record) ended() bool {
	switch r.m.State.(type) {
	case machine.Exited, machine.Failed:
		return !r.m.Satisfied()
	}
	return false
}

// stopAll wants down everything that it means, but for what others need that it
// does not mean.
func (c *core) stopAll() []string {
	needed := c.neededBy(func(r *record) bool { return !r.inBulk() && c.up(r) })
	went := map[*record]bool{}
	for _, r := range c.order {
		if r.inBulk() && !needed[r] {
			c.byHand(r, true)
		}
		if r.inBulk() && !needed[r] && r.m.Want && r.wish != wishDown {
			went[r] = true
			c.wishes(r, wishDown)
		}
	}
	c.settle()
	return c.among(went)
}

// neededBy collects what the chosen services require, directly or not.
func (c *core) neededBy(chosen func(*record) bool) map[*record]bool {
	var todo []*record
	for _, r := range c.order {
		if chosen(r) {
			todo = append(todo, r)
		}
	}
	needed := map[*record]bool{}
	for len(todo) > 0 {
		r := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, e := range c.graph.Out(int(r.i)) {
			if d := c.recs[e.To]; e.Kind == depgraph.Requires && !needed[d] {
				needed[d] = true
				todo = append(todo, d)
			}
		}
	}
	return needed
}

// among lists some records by name, in load order.
func (c *core) among(some map[*record]bool) (names []string) {
	for _, r := range c.order {
		if some[r] {
			names = append(names, r.name)
		}
	}
	return names
}
