package supervise

import (
	"errors"
	"io/fs"
	"syscall"

	"zinit/depgraph"
	"zinit/reap"
	"zinit/supervise/machine"
)

// This file is what a service with main = true is for: what it was begun for is over
// when it is.

// The codes of shells for a command that does not exist, and for one that cannot be
// executed.
const (
	codeNotFound   = 127
	codeUnexecuted = 126
)

// follow shuts down when a main service has ended for good, with its code.
func (c *core) follow() {
	if c.MainEnded == nil || c.draining {
		return
	}
	for _, r := range c.mains {
		code, why, over := c.lastWord(r)
		if !over {
			continue
		}
		c.Log.Info("main service ended: shutting down", "service", r.name, "code", code, "why", why)
		c.MainEnded(code)
		c.shutdown()
		return
	}
}

// speaks reports a main service that has ended by itself: its code says it all, and goes
// to who waits for it.
func (c *core) speaks(r *record) bool {
	st, failed := r.m.State.(machine.Failed)
	return failed && st.Why.Kind == machine.Ended && c.MainEnded != nil && r.cfg.Main
}

// lastWord is how a main service has ended for good, or why it will never begin. What
// somebody has stopped may be started again.
func (c *core) lastWord(r *record) (code uint8, why string, over bool) {
	if !c.up(r) || r.cfg.Timer != nil {
		return 0, "", false
	}
	switch st := r.m.State.(type) {
	case machine.Exited:
		return codeAfter(st.Outcome), r.m.Reason(), st.RestartAt.IsZero() && !st.Stopped
	case machine.Failed:
		return r.codeOf(st.Why), r.m.Reason(), st.RestartAt.IsZero()
	case machine.Blocked:
		if lost := c.lost(r, map[*record]bool{}); lost != nil {
			return 1, lost.name + ", which it requires, is " + lost.m.State.String() + " (" + lost.m.Reason() + ")", true
		}
	}
	return 0, "", false
}

// lost is a service that a record requires, directly or not, and that has failed for
// good; nil: there is none.
func (c *core) lost(r *record, seen map[*record]bool) *record {
	if r.bits.hopeful || seen[r] {
		return nil
	}
	seen[r] = true
	for _, e := range c.graph.Out(int(r.i)) {
		if e.Kind != depgraph.Requires && e.Kind != depgraph.Awaits {
			continue
		}
		d := c.recs[e.To]
		if st, failed := d.m.State.(machine.Failed); failed && st.RestartAt.IsZero() && c.up(d) {
			return d
		}
		if far := c.lost(d, seen); far != nil {
			return far
		}
	}
	return nil
}

// codeOf is the exit code that says what a record failed of.
func (r *record) codeOf(why machine.Cause) uint8 {
	switch why.Kind {
	case machine.Ended, machine.Unready:
		return codeAfter(why.Outcome)
	case machine.SpawnError:
		return r.unstarted
	}
	return 1
}

// codeAfter is an outcome as shells put it into a number.
func codeAfter(o machine.Outcome) uint8 {
	switch {
	case o.Signal != 0:
		return 128 + uint8(o.Signal)
	case o.Unknown:
		return 1
	}
	return uint8(o.Code)
}

// unstartedCode is that of a program which could not be started.
func unstartedCode(e reap.SpawnFailed) uint8 {
	if errors.Is(e.Errno, fs.ErrNotExist) || e.Errno == syscall.ENOTDIR {
		return codeNotFound
	}
	return codeUnexecuted
}
