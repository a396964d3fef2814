package supervise

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// change thinks of a change of the configuration, and returns what it is and how it
// is made.
func (w *world) change(n int) (string, func(c *core, dry bool) (Changes, error)) {
	set, name := w.config(n), "s"+strconv.Itoa(w.rng.IntN(n))
	again, cascade := w.rng.IntN(2) == 0, w.rng.IntN(2) == 0
	if w.rng.IntN(10) == 0 {
		set.Problems = []config.Problem{{Service: name, File: name, Severity: config.Error, Message: "bad"}}
	}
	switch w.rng.IntN(6) {
	case 0:
		return "delete " + name, func(c *core, dry bool) (Changes, error) { return c.remove(name, cascade, dry) }
	case 1:
		if len(set.Services) > 0 {
			s := set.Services[w.rng.IntN(len(set.Services))]
			return "put " + s.Name, func(c *core, dry bool) (Changes, error) { return c.put(s, dry) }
		}
	case 2:
		return "reload " + name, func(c *core, dry bool) (Changes, error) {
			return c.reload(Change{Set: set, Only: name, Restart: true, DryRun: dry})
		}
	}
	return "reload", func(c *core, dry bool) (Changes, error) {
		return c.reload(Change{Set: set, Restart: again, DryRun: dry})
	}
}

func (w *world) bulk() string {
	if w.rng.IntN(2) == 0 {
		w.c.stopAll()
		return "stop all"
	}
	_, _ = w.c.startAll() // a refusal is an answer too
	return "start all"
}

// rehearse makes a change after a dry run, which says what the change itself says.
// Every fourth time it is seen, too, that the dry run changes nothing, and that a
// copy of the core comes to the same.
func (w *world) rehearse(what string, do func(c *core, dry bool) (Changes, error)) Changes {
	closely := w.digests%4 == 0
	before, mirror := "", w.c
	w.dry = true
	if closely {
		before = image(w.c)
		mirror = w.c.rehearse()
		_, _ = do(mirror, false) // its error is that of the dry run, which is compared
	}
	plan, err := do(w.c, true)
	w.dry = false
	if closely {
		if after := image(w.c); after != before {
			w.failf("the dry run of %s changed something:%s", what, differ(after, before))
		}
	}
	did, derr := do(w.c, false)
	if !reflect.DeepEqual(plan, did) || fmt.Sprint(err) != fmt.Sprint(derr) {
		w.failf("%s: the dry run says %+v %v, the real one %+v %v", what, plan, err, did, derr)
	}
	if closely {
		if is, wants := image(w.c), image(mirror); is != wants {
			w.failf("%s: the core is not as its copy was:%s", what, differ(is, wants))
		}
	}
	return did
}

// image is all that a core has decided.
func image(c *core) string {
	var b strings.Builder
	fmt.Fprintln(&b, c.going, c.floor, c.draining, c.problems)
	for _, r := range c.order {
		m, rules := r.m, *r.m.Rules
		health := machine.Health{}
		if rules.Health != nil {
			health = *rules.Health
		}
		m.Rules, rules.Health = nil, nil
		gate := gating{}
		if r.gate != nil {
			gate = *r.gate
			gate.looks, gate.heard, gate.stop = 0, nil, nil
		}
		fmt.Fprintf(&b, "%s %+v %x %v %q %+v %+v %+v %+v wish=%d breaking=%v leaving=%v outdated=%v %+v %+v wake=%v %+v %+v\n",
			r.name, gate, r.cfg.Digest[:2], r.cfg.Requires, r.problem, m, rules, health, r.probe, r.wish, r.breaking != nil, r.leaving, r.outdated, r.counts, r.bits, r.wake, r.hook, r.watch)
	}
	for _, o := range c.orders {
		fmt.Fprintf(&b, "%s %+v\n", o.rec.name, o.action)
	}
	return b.String()
}

// differ shows the lines in which two texts differ.
func differ(is, wants string) string {
	a, b := strings.Split(is, "\n"), strings.Split(wants, "\n")
	text := ""
	for n := range max(len(a), len(b)) {
		var x, y string
		if n < len(a) {
			x = a[n]
		}
		if n < len(b) {
			y = b[n]
		}
		if x != y {
			text += fmt.Sprintf("\n\tis    %s\n\twants %s", x, y)
		}
	}
	return text
}

// until lets the world run until something is so; false: it does not come to that.
func (w *world) until(so func() bool) bool {
	for range 3000 {
		if w.fail != "" {
			return false
		}
		if so() {
			return true
		}
		if !w.advance() {
			break
		}
	}
	w.failf("an ideal world does not come to rest")
	return false
}

// rest lets the world run until nothing is under way.
func (w *world) rest() bool {
	return w.until(func() bool {
		return !slices.ContainsFunc(w.c.order, func(r *record) bool {
			_, starting := r.m.State.(machine.Starting)
			_, stopping := r.m.State.(machine.Stopping)
			return starting || stopping || w.works(r) || r.looking() || r.wish != noWish || r.breaking != nil || r.leaving || !r.idleUntil().IsZero() || !r.m.RestartAt().IsZero()
		})
	})
}

// works reports a oneshot that has not done its work yet.
func (w *world) works(r *record) bool { return r.m.Active() && r.m.Rules.Oneshot && !r.m.Satisfied() }

// TestForesight: in a world where what is stopped stops and what is started comes
// up, however long that takes, all comes as it was said.
func TestForesight(t *testing.T) {
	otherwise := uint64(20000)
	if testing.Short() {
		otherwise = 2000
	}
	var changes atomic.Uint64
	// Each costs ten times as much as one of TestSimulation.
	histories(t, (simNumber(t, "ZINIT_SIM_RUNS", otherwise)+9)/10, func(seed uint64) *world {
		w := newWorld(seed)
		w.ideal = true
		w.sim.Odds = reaptest.Odds{Deaf: w.rng.IntN(30), Lingers: w.rng.IntN(20), MaxDying: time.Duration(1+w.rng.IntN(300)) * time.Millisecond}
		w.sim.Of = map[string]reaptest.Odds{}
		n := 2 + w.rng.IntN(9)
		w.c.load(w.config(n), reap.Inventory{Runs: map[string]uint64{}})
		w.endTurn("boot")
		for range 5 {
			if w.rest() && w.foresees(n) {
				changes.Add(1)
			}
		}
		return w
	})
	t.Logf("%d changes", changes.Load())
}

// foresees compares what a change is said to do with what it does.
func (w *world) foresees(n int) bool {
	for range w.rng.IntN(3) {
		name := "s" + strconv.Itoa(w.rng.IntN(n))
		switch w.rng.IntN(4) {
		case 0:
			_ = w.c.stop(name)
		case 1:
			_ = w.c.start(name, false)
		case 2:
			_ = w.c.restart(name)
		case 3:
			w.bulk()
		}
		w.endTurn("command for " + name)
	}
	calm := w.rng.IntN(3) > 0
	if calm && !w.rest() || !w.until(func() bool { return !slices.ContainsFunc(w.c.order, w.works) }) {
		return false
	}
	clear(w.spawned)
	clear(w.stopped)
	clear(w.targets)
	w.noteTargets()
	what, do := w.change(n)
	with := w.c.rehearse()
	if _, err := do(with, false); err != nil {
		return false
	}
	with.play()
	ch := w.rehearse(what, do)
	w.endTurn(what)
	if !w.rest() {
		return false
	}
	if is, wants := outcome(w.c, calm), outcome(with, calm); is != wants {
		w.failf("%s: it does not come as foreseen:%s", what, differ(is, wants))
	}
	if !calm {
		return true
	}
	w.noteTargets()
	w.same(what+": spawned", w.spawned, ch.Started, ch.Restarted)
	w.same(what+": stopped", w.stopped, ch.Stopped, ch.Restarted)
	return true
}

// noteTargets notes which services are targets, or oneshots that have nothing left
// to be ended: their ups and downs cannot be seen from outside.
func (w *world) noteTargets() {
	for _, r := range w.c.order {
		w.targets[r.name] = w.targets[r.name] || r.m.Rules.Target || r.m.Active() && r.m.Empty()
	}
}

func (w *world) same(what string, did map[string]bool, said ...[]string) {
	maps.DeleteFunc(did, func(name string, _ bool) bool { return w.targets[name] })
	all := map[string]bool{}
	for _, names := range said {
		for _, name := range names {
			if !w.targets[name] {
				all[name] = true
			}
		}
	}
	if !reflect.DeepEqual(did, all) {
		w.failf("%s %v, foreseen was %v", what, did, all)
	}
}

// outcome is what has become of all services. When the world was not calm, what was
// under way may have been faster than what followed from the change, or not; where
// that leads to in the end is the same.
func outcome(c *core, calm bool) string {
	var b strings.Builder
	for _, r := range c.order {
		fate := fateOf(r)
		if !calm {
			fate.run, fate.up = 0, false
		}
		fmt.Fprintf(&b, "%s want=%v %+v\n", r.name, r.m.Want, fate)
		if calm {
			fmt.Fprintf(&b, "%s %v\n", r.m.State, r.outdated)
		}
	}
	return b.String()
}
