package supervise

import (
	"context"
	"errors"
	"slices"
	"time"

	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// simGates is what a world knows of the looks that were asked for.
type simGates struct {
	looks map[string]*simLook // the last one of each service
	// preparing are those whose run had begun, without a process, when the last turn
	// ended.
	preparing map[string]bool
}

type simLook struct {
	after    machine.Run // the last run by then
	patient  time.Time   // until when the answer is waited for
	answered bool
	found    bool // somebody in the way
}

var simObstacle = &Obstacle{Fact: "port 100 is in use by x (pid 7)", Next: "stop it"}

// claims gives a service ports now and then, which others have too, unless the world
// is ideal: there it would be for the first that comes to say who is up.
func (w *world) claims(s *config.Service, i int) {
	switch w.rng.IntN(6) {
	case 0, 1:
		s.Ports = []uint16{uint16(100 + w.rng.IntN(3))}
		if w.ideal {
			s.Ports[0] = uint16(1000 + i)
		}
		s.KillOthers = w.rng.IntN(2) == 0
	case 2:
		s.ProcessFilters = []string{"x"}
	}
}

// Look answers some time later, too late, or never.
func (w *world) Look(ctx context.Context, s *config.Service, ending func(*Obstacle), done func(*Obstacle, error)) {
	if w.dry {
		w.failf("a dry run looks who is in the way of %s", s.Name)
	}
	l := &simLook{after: w.c.byName[s.Name].m.Last, patient: w.c.now.Add(lookWithin)}
	if s.KillOthers {
		l.patient = l.patient.Add(evictWithin)
	}
	w.gates.looks[s.Name] = l
	var o *Obstacle
	var err error
	after := w.within(30 * time.Millisecond)
	if !w.ideal && !w.calm {
		switch w.rng.IntN(20) {
		case 0:
			return
		case 1:
			after = w.within(20 * time.Second)
		case 2:
			err = errors.New("needs /proc")
		case 3, 4, 5, 6, 7:
			o = simObstacle
		}
	}
	w.checks = append(w.checks, check{w.c.now.Add(after), func(error) {
		if ctx.Err() != nil {
			return
		}
		l.answered, l.found = true, o != nil
		done(o, err)
	}})
}

// mayPass: each run of a service with ports begins after a look of its own that found
// nobody, and no other service has one of them.
func (w *world) mayPass(r *record) {
	first := len(r.cfg.Hooks.StartPre) == 0 || r.m.Hook() == machine.ExecStartPre && r.hook.at == 0
	if r.gate == nil || !first || w.gates.preparing[r.name] {
		return
	}
	l := w.gates.looks[r.name]
	switch {
	case l == nil || l.after+1 != r.m.Last:
		w.failf("%s begins run %d without a look: %+v", r.name, r.m.Last, l)
	case l.answered && l.found && l.patient.After(w.c.now):
		w.failf("%s begins run %d though somebody is in its way", r.name, r.m.Last)
	case !l.answered && l.patient.After(w.c.now):
		w.failf("%s begins run %d before its look is answered", r.name, r.m.Last)
	}
	for _, d := range w.c.recs {
		if d != r && d.gate != nil && d.m.Active() && slices.ContainsFunc(r.cfg.Ports, func(p uint16) bool { return slices.Contains(d.cfg.Ports, p) }) {
			w.failf("%s begins while %s, which has its port, is %s", r.name, d.name, d.m.State)
		}
	}
}

// checkGate: what is held up at the gate is looked at, and nothing else gets through.
func (w *world) checkGate(r *record) {
	st, starting := r.m.State.(machine.Starting)
	w.gates.preparing[r.name] = starting && st.Stage < machine.Spawning
	g := r.gate
	if g == nil {
		return
	}
	rival, _ := w.c.portRival(r)
	n := r.counts
	clear := n.gone == 0 && n.unmet == 0 && n.first == 0 && n.clash == 0
	switch {
	case !g.until.IsZero() && !r.blocked():
		w.failf("%s is %s, and it is still looked who is in its way", r.name, r.m.State)
	case g.free:
		w.failf("%s keeps a permission to start", r.name)
	case r.m.Perm == machine.Go && !r.passed():
		w.failf("%s may start without a look", r.name)
	case r.blocked() && w.c.up(r) && clear && r.idleUntil().IsZero() && rival == nil && r.gateAt().IsZero():
		w.failf("%s waits for a look that nobody makes", r.name)
	case g.foreign != nil && (!r.blocked() || g.again.IsZero() && g.until.IsZero()):
		w.failf("%s is %s and has somebody in its way: %+v", r.name, r.m.State, g)
	}
}
