package supervise

import (
	"zinit/depgraph"
	"zinit/supervise/machine"
)

// alarm says of critical services that they have failed for good, once for each
// failure: nothing brings them up without somebody's help.
func (c *core) alarm() {
	if c.Critical == nil {
		return
	}
	for _, r := range c.critical {
		why := c.lostCause(r)
		if why != "" && !r.alarmed {
			c.Log.Error("critical failure", "service", r.name, "why", why)
			c.Critical(r.name, why, c.runs)
		}
		r.alarmed = why != ""
	}
}

// runs reports that a service runs.
func (c *core) runs(service string) bool {
	r := c.byName[service]
	return r != nil && r.m.Satisfied()
}

// lostCause is why a service that is to be up will not be; empty: it is, or may be
// yet.
func (c *core) lostCause(r *record) string {
	if !r.m.Want || r.wish == wishDown || c.draining || r.leaving {
		return ""
	}
	switch st := r.m.State.(type) {
	case machine.Failed:
		if st.RestartAt.IsZero() {
			return r.m.Reason()
		}
	case machine.Blocked:
		if r.bits.hopeful || !r.m.Rules.Target {
			return ""
		}
		return c.hopelessCause(r)
	}
	return ""
}

// hopelessCause is what keeps a target down for good.
func (c *core) hopelessCause(r *record) string {
	for _, e := range c.graph.Out(int(r.i)) {
		d := c.recs[e.To]
		if (e.Kind == depgraph.Requires || e.Kind == depgraph.Awaits) && !d.bits.hopeful {
			text := d.name + ", which it requires, is " + d.m.State.String()
			if why := d.m.Reason(); why != "" {
				text += " (" + why + ")"
			}
			return text
		}
	}
	return ""
}
