package supervise

import (
	"time"

	"zinit/depgraph"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// A View is what can be seen of one service. It is never changed.
type View struct {
	Name    string
	Config  *config.Service
	Problem string // what is wrong with its configuration; empty: nothing
	State   machine.State
	Reason  string    // why it is in this state; empty when the state says it all; for Blocked see Blockers too
	Since   time.Time // when the state was entered
	Started time.Time // when the living run was spawned
	Phase   string    // how far a start or a stop is, and what else is under way, for people; mostly empty
	// Obstacle is what keeps it Blocked that is no matter of the graph; nil: nothing.
	Obstacle *Obstacle
	Timer    *Timer // nil: nothing starts it by itself
	Status   string // what the living run says about itself; empty: nothing
	Pid      int
	Start    uint64 // of Pid, in clock ticks since boot: tells it from a later process of that pid; 0: not known
	Run      uint64
	// Restarts counts those the policy made; Quick those since the last run that
	// was long enough.
	Restarts, Quick int
	// Connections are those that it has a process for, if it is one that is given them;
	// Called counts all that it was given.
	Connections []Connection
	Called      uint64
	NextDelay   time.Duration // before the restart after the next quick end
	LastPid     int           // of the last main process; 0: not known
	Want        bool
	ToldDown    bool // it is about to go down, and not to come back
	Oneshot     bool
	Stuck       bool // survived SIGKILL
	Broken      bool
	Leaving     bool // configured no more: it is forgotten as soon as it is down
	Waiting     bool // told to stop or restart, and waits for those that depend on it
	// RestartToApply: it goes on with what it was started with; its configuration
	// has changed in ways that apply at the next start.
	RestartToApply bool

	fact depgraph.Fact
}

// Target reports a service without a process.
func (v *View) Target() bool { return v.Config.Target }

// Satisfied reports that what requires it may start.
func (v *View) Satisfied() bool { return v.fact.Satisfied }

// RestartAt is when the pending restart is due; zero: none is.
func (v *View) RestartAt() time.Time {
	s := machine.Service{State: v.State}
	return s.RestartAt()
}

// A Snapshot is the whole supervisor at one moment. It is never changed; readers
// take as long as they like.
type Snapshot struct {
	Views    []*View // in load order
	Graph    *depgraph.Graph
	Problems []config.Problem
	Draining bool
	// Version grows with each change that a snapshot shows.
	Version uint64
	// Seq is the number of the last event that the snapshot shows.
	Seq uint64

	byNode []*View
}

// Find is the view of a service; nil: there is none of that name.
func (s *Snapshot) Find(name string) *View {
	i, ok := s.Graph.Index(name)
	if !ok {
		return nil
	}
	return s.byNode[i]
}

// A Blocker is one thing that a service waits for.
type Blocker struct {
	Kind depgraph.Kind
	Name string
	View *View // nil: there is none of that name
}

// Blockers lists what keeps a service from starting, in the order of its
// configuration.
func (s *Snapshot) Blockers(name string) []Blocker {
	i, ok := s.Graph.Index(name)
	if !ok {
		return nil
	}
	var out []Blocker
	for _, b := range s.Graph.Blockers(i, func(j int) depgraph.Fact { return s.byNode[j].fact }) {
		out = append(out, Blocker{b.Kind, b.Name, s.Find(b.Name)})
	}
	return out
}

// Uses lists the services that one names, with the kind of relation.
func (s *Snapshot) Uses(name string) []Blocker {
	i, ok := s.Graph.Index(name)
	if !ok {
		return nil
	}
	var out []Blocker
	for _, e := range s.Graph.Out(i) {
		out = append(out, Blocker{e.Kind, s.byNode[e.To].Name, s.byNode[e.To]})
	}
	return out
}

// StartOrder lists the views as a boot attempts them.
func (s *Snapshot) StartOrder() []*View {
	order := s.Graph.StartOrder()
	out := make([]*View, len(order))
	for n, i := range order {
		out[n] = s.byNode[i]
	}
	return out
}

// viewOf is the record's view, made anew when it has changed.
func (c *core) viewOf(r *record) *View {
	if r.view == nil {
		reason, obstacle := r.m.Reason(), c.obstacleOf(r)
		if _, blocked := r.m.State.(machine.Blocked); blocked {
			reason = "" // the obstacle of the moment it was blocked may be gone, others not
			switch {
			case !r.idleUntil().IsZero():
				reason = "waiting for " + idleWaits
			case obstacle != nil:
				reason = obstacle.String()
			case r.looking():
				reason = "waiting for " + gateWaits
			}
		}
		r.view = &View{
			Name: r.name, Config: r.cfg, Problem: r.problem,
			State: r.m.State, Reason: reason,
			Since: r.since, Started: r.m.Started, Phase: r.phase(), Obstacle: obstacle, Status: r.says(), Timer: c.timerOf(r),
			Pid: r.pid, Start: r.start, Run: uint64(r.m.Last),
			Connections: r.connections(), Called: r.conns.total,
			Restarts: r.m.Total, Quick: r.m.Quick, NextDelay: r.m.Delay,
			LastPid: r.lastPid, Want: r.m.Want, ToldDown: r.wish == wishDown, Oneshot: r.m.Rules.Oneshot,
			Stuck: r.m.Stuck(), Broken: r.m.Broken, Leaving: r.leaving, Waiting: r.wish != noWish,
			RestartToApply: r.outdated && r.stands(),
			fact: depgraph.Fact{
				Satisfied: r.bits.satisfied,
				Attempted: !r.bits.first,
				Active:    r.bits.claims,
			},
		}
	}
	return r.view
}

// phase is how far it is, and what that waits for.
func (r *record) phase() string {
	text := r.m.Phase()
	if r.watch.note != "" && r.m.Finding() {
		text += ": " + r.watch.note
	}
	return text
}

// says is what the living run says about itself.
func (r *record) says() string {
	if !r.m.Active() {
		return ""
	}
	return r.status
}

// snapshot makes the whole read model; it costs a pointer for each service that
// has not changed.
func (c *core) snapshot() *Snapshot {
	s := &Snapshot{
		Views:    make([]*View, 0, len(c.recs)),
		Graph:    c.graph,
		Problems: c.problems,
		Draining: c.draining,
		Version:  c.changes,
		Seq:      c.seq,
		byNode:   make([]*View, len(c.recs)),
	}
	for _, r := range c.order {
		v := c.viewOf(r)
		s.Views = append(s.Views, v)
		s.byNode[r.i] = v
	}
	return s
}
