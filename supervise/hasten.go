package supervise

import "time"

// hasten takes from the times that services have to stop what does not fit into
// StopWithin, from all in the same proportion: what stops last must not pay for what
// stops first.
func (c *core) hasten() {
	if c.StopWithin == 0 {
		return
	}
	var total time.Duration
	for _, wave := range c.graph.StopWaves(func(i int) bool { return c.recs[i].isUp() }) {
		slowest := time.Duration(0)
		for _, i := range wave {
			slowest = max(slowest, min(c.recs[i].m.Rules.StopTimeout, longestStop))
		}
		total = min(total+slowest, longestPlan)
	}
	if total <= c.StopWithin {
		return
	}
	part := float64(c.StopWithin) / float64(total)
	for _, r := range c.recs {
		rules := *r.m.Rules // others share them
		rules.StopTimeout = time.Duration(float64(rules.StopTimeout) * part).Round(time.Millisecond)
		r.m.Rules = &rules
	}
	c.Log.Debug("services get less time to stop, so that all of it fits", "all", c.StopWithin)
}
