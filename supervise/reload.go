package supervise

import (
	"slices"
	"strings"
	"time"

	"zinit/depgraph"
	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// A Change is a configuration to take in.
type Change struct {
	Set *config.Set
	// Only is the one service that is added, changed or removed; everything else
	// stays as it is, whatever the set says. Empty: all of the set counts.
	Only string
	// Restart has the services whose change applies at the next start, or that
	// are not up as they should be, start with it now.
	Restart bool
	// DryRun says what would happen, and does nothing.
	DryRun bool

	// start brings Only up, unless its status says otherwise.
	start bool
	// among, if not nil, takes the place of Only when several are meant.
	among map[string]bool
}

// Changes is what a change of the configuration does, by name, each list in load
// order. The first three are about the configuration. The others are about what
// follows from it, at once or as soon as what is in the way is gone, provided that
// what is stopped stops and what is started comes up. A service can be in several.
type Changes struct {
	Added, Changed, Removed []string

	Restarted []string // go down and come up again
	Started   []string // come up, or do the work of a oneshot
	Stopped   []string // go down, and stay down
	// RestartToApply are up, and go on with what they were started with.
	RestartToApply []string
	// Failed cannot be up, for another reason than before.
	Failed []NamedReason
	// Missing pairs every service that requires what there is not with its name.
	Missing [][2]string
}

// A NamedReason is a service and why it failed.
type NamedReason struct {
	Name, Reason string
}

// Reload takes in another configuration, as one step. A *Refusal says why nothing
// was changed: Cycle when there would be a new one, NotFound when Only is neither
// there nor in the set.
func (s *Supervisor) Reload(ch Change) (Changes, error) {
	s.examine(ch.Set.Services)
	return s.change(func(c *core) (Changes, error) { return c.reload(ch) })
}

// examine is done before the loop is asked: it reads files.
func (s *Supervisor) examine(list []*config.Service) {
	if f := s.core.Examine; f != nil {
		f(list)
	}
}

// Put adds one service, or replaces it in place: what requires it is kept, and it
// is restarted when the change needs that. It is brought up unless its status says
// otherwise. It is refused as Reload is.
func (s *Supervisor) Put(svc *config.Service, dryRun bool) (Changes, error) {
	s.examine([]*config.Service{svc})
	return s.change(func(c *core) (Changes, error) { return c.put(svc, dryRun) })
}

// Delete forgets a service once it is down. While others require it, that is
// refused with the code Required; with cascade they go down first, and fail for
// the lack of it.
func (s *Supervisor) Delete(name string, cascade, dryRun bool) (Changes, error) {
	return s.change(func(c *core) (Changes, error) { return c.remove(name, cascade, dryRun) })
}

// DeleteAll forgets services as one step, once all of them are down; names that
// there are not do not count. What else requires one of them goes down first, and
// fails for the lack of it.
func (s *Supervisor) DeleteAll(names []string) (Changes, error) {
	among := make(map[string]bool, len(names))
	for _, name := range names {
		among[name] = true
	}
	return s.change(func(c *core) (Changes, error) { return c.reload(Change{Set: &config.Set{}, among: among}) })
}

func (s *Supervisor) change(f func(c *core) (Changes, error)) (ch Changes, err error) {
	err = s.try(func(c *core) (err error) {
		ch, err = f(c)
		return err
	})
	return ch, err
}

// concerns reports that a service may be changed.
func (ch Change) concerns(name string) bool {
	return ch.among[name] || ch.among == nil && (ch.Only == "" || ch.Only == name)
}

// mentions reports that the set describes a service, well or not.
func (ch Change) mentions(name string) bool {
	return slices.ContainsFunc(ch.Set.Services, func(s *config.Service) bool { return s.Name == name }) ||
		slices.ContainsFunc(ch.Set.Problems, func(p config.Problem) bool { return p.Service == name && p.Severity == config.Error })
}

// problems is what is wrong with the configuration when the change is made.
func (ch Change) problems(now []config.Problem) []config.Problem {
	if ch.Only == "" && ch.among == nil {
		return ch.Set.Problems
	}
	others := slices.DeleteFunc(slices.Clone(now), func(p config.Problem) bool { return ch.concerns(p.Service) })
	for _, p := range ch.Set.Problems {
		if ch.concerns(p.Service) {
			others = append(others, p)
		}
	}
	return others
}

// load takes in the first configuration and what an earlier server left behind,
// and brings up what is to be up.
func (c *core) load(set *config.Set, inv reap.Inventory) {
	memories := c.decodeMemory()
	c.configure(Change{Set: set})
	c.changes++ // problems are seen, even where there are no services
	c.recall(memories(), unreadDirs(set))
	c.addStrangers(inv)
	c.forgetStrangers()
	c.rebuild()
	c.adopt(inv)
	c.quiet()
	c.partRivals()
	if inv.Stage == reap.StageDrain {
		c.shutdown()
		return
	}
	c.boot(func(r *record) bool { return !r.recalled })
	c.settle()
	for _, r := range c.order {
		if !r.recalled {
			c.unsaved(r)
		}
	}
}

// boot wants what boot brings up, of those that are chosen.
func (c *core) boot(chosen func(*record) bool) {
	for _, i := range c.starts {
		r := c.recs[i]
		if chosen(r) && r.cfg.Status == config.StatusStart && r.cfg.Timer == nil && !r.leaving && !r.m.Want {
			if r.breaking != nil && !r.m.Active() && r.counts.held == 0 {
				c.grant(r) // it fails without having waited for anything
			}
			c.step(r, machine.Wanted{})
		}
	}
}

// reload takes in another configuration as one step, or only says what would come
// of it. A change that is refused is refused as a whole.
func (c *core) reload(ch Change) (Changes, error) {
	if c.draining {
		return Changes{}, refuse(ShuttingDown, ch.Only, "zinit is shutting down: the configuration is read at the next start")
	}
	if _, err := c.find(ch.Only); ch.Only != "" && err != nil && !ch.mentions(ch.Only) {
		return Changes{}, err
	}
	plan, err := c.foresee(ch)
	if err == nil && !ch.DryRun {
		c.apply(ch)
	}
	return plan, err
}

// apply makes a change.
func (c *core) apply(ch Change) intake {
	in := c.configure(ch)
	for r := range in.fresh {
		c.unsaved(r)
	}
	c.rebuild()
	c.boot(func(r *record) bool { return in.fresh[r] })
	for _, r := range in.changed {
		if ch.Restart && c.up(r) && (r.outdated || !r.stands()) {
			c.renew(r)
		}
	}
	c.settle()
	if r := c.byName[ch.Only]; ch.start && r.cfg.Status == config.StatusStart && r.cfg.Timer == nil {
		c.want(r, false)
	}
	return in
}

func (c *core) put(svc *config.Service, dryRun bool) (Changes, error) {
	set := &config.Set{Services: []*config.Service{svc}}
	return c.reload(Change{Set: set, Only: svc.Name, Restart: true, DryRun: dryRun, start: true})
}

func (c *core) remove(name string, cascade, dryRun bool) (Changes, error) {
	r, err := c.find(name)
	if err != nil {
		return Changes{}, err
	}
	var users []string
	for _, e := range c.graph.In(int(r.i)) {
		if d := c.recs[e.To]; e.Kind == depgraph.Requires && d != r && !d.leaving {
			users = append(users, d.name)
		}
	}
	if len(users) > 0 && !cascade {
		return Changes{}, refuse(Required, name, "%s: %s: delete that first, or cascade: what requires it is stopped and fails then",
			name, requiredBy(users))
	}
	return c.reload(Change{Set: &config.Set{}, Only: name, DryRun: dryRun})
}

func requiredBy(users []string) string {
	switch n := len(users); {
	case n == 1:
		return users[0] + " requires it"
	case n > 4:
		return strings.Join(users[:3], ", ") + " and others require it"
	default:
		return strings.Join(users[:n-1], ", ") + " and " + users[n-1] + " require it"
	}
}

// sweepEach is what has to pass for each service between two sweeps: with ten thousand
// of them a new graph takes a while, and they end one after the other.
const sweepEach = 20 * time.Microsecond

// sweep forgets the services that are no longer configured and down. Those that
// require them become Failed then, and no sooner: until then they were Blocked, after
// a stop in order.
func (c *core) sweep() {
	if c.going == 0 {
		return
	}
	down, left := 0, 0
	for _, r := range c.order {
		switch {
		case r.isGone():
			down++
		case r.leaving:
			left++
		}
	}
	c.sweepAt = time.Time{}
	if down == 0 {
		return
	}
	if next := c.swept.Add(time.Duration(len(c.order)) * sweepEach); left > 0 && next.After(c.now) && !c.hasty {
		c.sweepAt = next
		return
	}
	c.swept, c.going = c.now, left
	c.order = slices.DeleteFunc(c.order, func(r *record) bool {
		if !r.isGone() {
			return false
		}
		delete(c.byName, r.name)
		delete(c.early, r.name)
		c.tell(EventRemoved, r)
		c.touch(r)
		c.floor = max(c.floor, uint64(r.m.Last), r.probe.last, r.hook.last, r.conns.last)
		c.Keeper.Ack(r.name, uint64(r.m.Last))
		if hasVoice(r.cfg) && c.Ears != nil {
			c.later(func() { c.Ears.Close(r.name) })
		}
		if r.hook.last > 0 {
			c.Keeper.Ack(r.name+hookSuffix, r.hook.last)
		}
		c.later(func() {
			c.Logs.Remove(r.name)
			c.Logs.Remove(r.name + testSuffix)
		})
		if c.Forget != nil {
			c.Forget(r.name)
		}
		r.m.State = machine.Inactive{}
		c.endLook(r)
		r.probe.deadline, r.hook.deadline, r.timer, r.gate = time.Time{}, time.Time{}, nil, nil
		c.setWake(r)
		c.unsaved(r)
		return true
	})
	c.changes++
	c.rebuild()
	c.settle()
}

// isGone reports a service that is to be forgotten, and of which nothing is left.
func (r *record) isGone() bool {
	return r.leaving && !r.m.Active() && r.wish == noWish && !r.probe.alive && !r.hook.alive
}
