package supervise

import (
	"fmt"

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
		if !r.bits.hopeful {
			return c.hopelessCause(r, "it", map[*record]bool{})
		}
	}
	return ""
}

const maxSeen = 256

// hopelessCause is the failure that keeps down for good what waits for others, however
// far away; empty: there is none. What somebody has stopped has not failed. who is what
// the service is called, seen are those that have been looked at: among so many that
// somebody has stopped, a failure is not looked for any further.
func (c *core) hopelessCause(r *record, who string, seen map[*record]bool) string {
	if seen[r] || len(seen) >= maxSeen {
		return ""
	}
	seen[r] = true
	for _, e := range c.graph.Out(int(r.i)) {
		d := c.recs[e.To]
		if e.Kind != depgraph.Requires && e.Kind != depgraph.Awaits || d.bits.hopeful {
			continue
		}
		why := d.m.Reason()
		switch d.m.State.(type) {
		case machine.Failed:
		case machine.Blocked:
			o := c.obstacleOf(d)
			if o == nil {
				if text := c.hopelessCause(d, d.name, seen); text != "" {
					return text
				}
				continue
			}
			why = o.String()
		default:
			if d.m.Last > 0 {
				continue
			}
		}
		text := fmt.Sprintf("%s, which %s requires, is %s", d.name, who, d.m.State)
		if why != "" {
			text += " (" + why + ")"
		}
		return text
	}
	return ""
}
