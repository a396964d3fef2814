package reap

import (
	"math"
	"time"
)

// One method per message lists its fields in the order of the wire. A new field
// goes to the end.

func (m *spawnMessage) fields(c *coder) {
	c.str(&m.Key)
	c.num(&m.Run)
	c.flag(&m.Group)
	c.flag(&m.Stdout)
	c.flag(&m.Stderr)
	c.flag(&m.Fd)
	if !m.Fd {
		m.Args.fields(c)
	}
}

func (m *spawnArgs) fields(c *coder) {
	c.str(&m.Path)
	c.str(&m.Dir)
	c.strs(&m.Argv)
	c.strs(&m.Env)
}

// size is a bound on what the fields take.
func (m *spawnArgs) size() int {
	n := len(m.Path) + len(m.Dir) + 64
	for _, s := range m.Argv {
		n += len(s) + 4
	}
	for _, s := range m.Env {
		n += len(s) + 4
	}
	return n
}

func (m *declinedMessage) fields(c *coder) {
	c.str(&m.Key)
	c.num(&m.Run)
	field(c, &m.Errno)
}

func (m *watchMessage) fields(c *coder) {
	c.str(&m.Key)
	c.num(&m.Run)
	field(c, &m.Pid)
}

func (m *signalMessage) fields(c *coder) {
	c.str(&m.Key)
	c.num(&m.Run)
	field(c, &m.Signal)
	field(c, &m.Scope)
}

func (m *runID) fields(c *coder) {
	c.str(&m.Key)
	c.num(&m.Run)
}

func (m *planMessage) fields(c *coder) {
	c.flag(&m.Reset)
	c.flag(&m.Complete)
	worst := uint64(max(m.Worst, 0))
	c.num(&worst)
	m.Worst = time.Duration(min(worst, math.MaxInt64))
	n := uint64(len(m.Steps))
	c.num(&n)
	if c.reading {
		if n > uint64(len(c.buf)) {
			c.bad = true
		}
		if c.bad {
			return
		}
		m.Steps = make([]PlanStep, n)
	}
	for i := range m.Steps {
		m.Steps[i].fields(c)
	}
}

func (m *PlanStep) fields(c *coder) {
	c.str(&m.Key)
	field(c, &m.Wave)
	field(c, &m.Signal)
	field(c, &m.Scope)
	field(c, &m.Timeout)
}

func (m *tookMessage) fields(c *coder) { field(c, &m.Signal) }
func (m *nameMessage) fields(c *coder) { c.str(&m.Name) }
func (*emptyMessage) fields(*coder)    {}

func (m *drainingMessage) fields(c *coder) { field(c, &m.Code) }

func (m *helloMessage) fields(c *coder) {
	field(c, &m.Stage)
	c.num(&m.Can)
}

func (m *Child) fields(c *coder) {
	c.str(&m.Key)
	c.num(&m.Run)
	field(c, &m.Pid)
	c.num(&m.Start)
	c.flag(&m.Group)
	c.flag(&m.MainGone)
	c.flag(&m.Watched)
	c.str(&m.Cgroup)
	field(c, &m.leader)
	field(c, &m.other)
}

func (m *Spawned) fields(c *coder) {
	c.str(&m.Key)
	c.num(&m.Run)
	field(c, &m.Pid)
	c.num(&m.Start)
}

func (m *SpawnFailed) fields(c *coder) {
	c.str(&m.Key)
	c.num(&m.Run)
	field(c, &m.Errno)
	c.str(&m.Refused)
	c.str(&m.Text)
}

func (m *Exited) fields(c *coder) {
	c.str(&m.Key)
	c.num(&m.Run)
	field(c, &m.Pid)
	c.status(&m.Status)
	c.flag(&m.Lingers)
	c.flag(&m.Unknown)
}

func (m *Watched) fields(c *coder) {
	c.str(&m.Key)
	c.num(&m.Run)
	field(c, &m.Pid)
	c.num(&m.Start)
}

func (m *WatchFailed) fields(c *coder) {
	c.str(&m.Key)
	c.num(&m.Run)
	field(c, &m.Pid)
	c.str(&m.Why)
}

func (m *GroupGone) fields(c *coder) {
	c.str(&m.Key)
	c.num(&m.Run)
}

func (m *Signaled) fields(c *coder) { field(c, &m.Signal) }

func (m *Reexecuted) fields(c *coder) {
	c.str(&m.Refused)
	c.num(&m.can)
}

func (m *heirMessage) fields(c *coder) {
	field(c, &m.Pid)
	c.flag(&m.Rehearsal)
}

func (m *sessionMessage) fields(c *coder) {
	c.num(&m.Number)
	field(c, &m.Pid)
	c.flag(&m.Ready)
	c.flag(&m.Draining)
	c.flag(&m.Drained)
	c.flag(&m.Over)
	c.flag(&m.Asked)
	field(c, &m.Requests)
	field(c, &m.Files)
	c.flag(&m.Told)
}

func (m *unsentMessage) fields(c *coder) { c.str(&m.Packet) }

func (m *heldMessage) fields(c *coder) {
	c.str(&m.Name)
	field(c, &m.Fd)
	c.flag(&m.Unsent)
}

func (m *Orphan) fields(c *coder) {
	field(c, &m.Pid)
	c.num(&m.Start)
	c.status(&m.Status)
}

func (m *orphansMessage) fields(c *coder) { c.num(&m.Count) }

func (m *noticeMessage) fields(c *coder) {
	field(c, &m.Kind)
	field(c, &m.Pid)
	c.status(&m.Status)
	c.flag(&m.WasReady)
	c.flag(&m.Draining)
}

func (m *killedMessage) fields(c *coder) {
	c.str(&m.Dir)
	c.num(&m.Inode)
}

func (m *noteMessage) fields(c *coder) {
	c.str(&m.Name)
	c.str(&m.Value)
}
