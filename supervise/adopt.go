package supervise

import (
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// strangerTimeout is the stop timeout of what has no configuration any more.
const strangerTimeout = 10 * time.Second

// houseKey begins the keys of processes that belong to zinit itself, and to no
// service; no name begins with it.
const houseKey = "@"

// addStrangers makes records for the processes whose service was removed, or made
// a target, while no server was there: they are stopped like those that a reload
// removes, and no other process of that name starts before they are gone.
func (c *core) addStrangers(inv reap.Inventory) {
	for _, ch := range inv.Children {
		name, isGuest := guestOf(ch.Key)
		r := c.byName[name]
		if strings.HasPrefix(name, houseKey) || r != nil && (isGuest || !r.cfg.Target) {
			continue
		}
		if r == nil {
			c.addStranger(name)
			continue
		}
		bare := bareService(name)
		bare.Requires, bare.After, bare.Wants, bare.Conflicts, bare.Awaits = r.cfg.Requires, r.cfg.After, r.cfg.Wants, r.cfg.Conflicts, r.cfg.Awaits
		r.problem = madeTarget(r.cfg)
		r.cfg, r.m = &bare, machine.New(c.book.of(&bare))
	}
	for _, name := range slices.Sorted(maps.Keys(c.strangers)) {
		// Hooks of a run that was not over may have left what nobody lists.
		if m := c.strangers[name]; c.byName[name] == nil && m.err == nil && m.Machine.Run != 0 && m.Machine.Guests {
			c.addStranger(name)
		}
	}
}

// addStranger makes a record for what is left of a service that is configured no more.
func (c *core) addStranger(name string) {
	bare, known := bareService(name), c.strangers[name]
	if known != nil {
		if ran, err := decodeRan(known.ran); err == nil {
			bare = *ran
		}
	}
	r := c.add(&bare, "")
	if known != nil {
		c.recallOne(r, known)
	}
	r.leaving, r.wish = true, wishDown
	c.going++
}

// bareService is one of which it is not known how it wants to be stopped.
func bareService(name string) config.Service {
	return config.Service{Name: name, Lifecycle: config.Lifecycle{StopSignal: syscall.SIGTERM, StopTimeout: strangerTimeout}}
}

// adopt takes over what an earlier server left behind. What is alive goes on, and
// what has ended meanwhile has ended. For a service of which nothing was written
// down, only this end counts: a oneshot that ended well has done its work. The rest
// of those starts as boot has it.
func (c *core) adopt(inv reap.Inventory) {
	exits := map[string]reap.Exited{}
	for _, e := range inv.Exits {
		exits[e.Key] = e
	}
	for _, run := range inv.Runs {
		c.floor = max(c.floor, run)
	}
	for _, r := range c.order {
		r.m.Last = max(r.m.Last, machine.Run(inv.Runs[r.name]))
		r.probe.last = inv.Runs[r.name+probeSuffix]
	}
	alive := map[string]reap.Child{}
	for _, ch := range inv.Children {
		alive[ch.Key] = ch
	}
	c.adoptConns(inv)
	for _, r := range c.order {
		ch, lives := alive[r.name]
		if r.m.Active() && len(r.conns.list) == 0 && (!lives || machine.Run(ch.Run) != r.m.Run()) {
			c.missed(r, inv.Runs[r.name], exits[r.name])
		}
		if lives {
			c.adoptMain(r, ch, exits[r.name])
		}
	}
	for _, ch := range inv.Children {
		if service, isProbe := probeOf(ch.Key); isProbe {
			c.adoptProbe(ch, service)
		}
	}
	for _, r := range c.order {
		hooks := r.name + hookSuffix
		c.takeUpHook(r, inv.Runs[hooks], alive[hooks], exits[hooks])
		if r.recalled && r.m.Active() {
			c.takeUp(r)
		}
	}
	for _, e := range inv.Exits {
		r := c.byName[e.Key]
		switch {
		case r == nil:
			c.Keeper.Ack(e.Key, e.Run)
		case r.recalled:
		case r.m.Rules.Oneshot && e.Status.Success() && !r.m.Active():
			r.m.Want = true
			r.m.State = machine.Exited{Outcome: outcomeOf(e), At: c.now}
			r.ran = r.cfg
			c.touch(r)
			c.unsaved(r)
			c.markStale(r)
		}
	}
}

// missed takes in how a run ended that was alive when it was last written about;
// asked is the highest run that the keeper was asked for.
func (c *core) missed(r *record, asked uint64, exit reap.Exited) {
	run := r.m.Run()
	starting, isStarting := r.m.State.(machine.Starting)
	switch {
	case !r.m.Main() && r.m.Empty():
		// It had no process then.
	case !r.m.Main():
		c.step(r, machine.GroupGone{Run: run})
	case uint64(run) > asked && isStarting:
		// It was decided upon, and the keeper has not heard of it.
		c.step(r, machine.Unspawned{Run: run})
	case uint64(run) > asked:
		c.step(r, machine.SpawnFailed{Run: run, Text: "it was not started any more"})
	case exit.Run == uint64(run):
		c.spawnedUnseen(r, starting, isStarting)
		exit.Lingers = false // nobody of it is left
		c.holdExit(r, exit)
		c.releaseExit(r)
	case isStarting && starting.Stage == machine.Spawning:
		c.step(r, machine.SpawnFailed{Run: run, Text: "how its start failed is not known: the server ended meanwhile"})
	default:
		c.step(r, machine.ProcessGone{Run: run, Outcome: machine.Outcome{Unknown: true}})
	}
}

// spawnedUnseen is for a process that came up while nobody was there to be told.
func (c *core) spawnedUnseen(r *record, st machine.Starting, starting bool) {
	if starting && st.Stage == machine.Spawning {
		c.step(r, machine.Spawned{Run: st.Run})
	}
}

// adoptMain takes over a main process, or what is left of its group: that run is
// not over before the last of the group is gone.
func (c *core) adoptMain(r *record, ch reap.Child, exit reap.Exited) {
	run := machine.Run(ch.Run)
	if r.m.Run() == run {
		st, starting := r.m.State.(machine.Starting)
		c.spawnedUnseen(r, st, starting)
	} else {
		c.adoptUnknown(r, ch)
	}
	if !ch.MainGone {
		r.pid, r.start, r.lastPid = ch.Pid, ch.Start, ch.Pid
		if ch.Watched {
			c.step(r, machine.MainFound{Run: run})
		}
		c.repeatStop(r)
		return
	}
	if !r.m.Main() {
		return
	}
	if exit.Run != ch.Run {
		exit = reap.Exited{Key: ch.Key, Run: ch.Run, Pid: ch.Pid, Unknown: true}
	}
	exit.Lingers = true
	c.holdExit(r, exit)
	c.releaseExit(r)
}

// adoptUnknown takes over a process of which nothing was written down: it runs.
func (c *core) adoptUnknown(r *record, ch reap.Child) {
	c.step(r, machine.Adopted{Run: machine.Run(ch.Run), Started: ch.Started})
	if !ch.Started.IsZero() && !ch.MainGone {
		r.since = ch.Started
	}
	if r.ran != nil && r.recalled {
		return
	}
	// What else it was started with nobody knows any more.
	r.ran = r.cfg
	if ch.Group != r.cfg.Lifecycle.OwnsGroup() {
		ran := *r.cfg
		ran.Lifecycle.KillMode = config.KillGroup
		if !ch.Group {
			ran.Lifecycle.KillMode = config.KillProcess
		}
		r.ran, r.outdated = &ran, true
		c.step(r, machine.Configured{Rules: c.rules(r)})
	}
}

// repeatStop sends the signal again of which nobody knows whether it was sent.
func (c *core) repeatStop(r *record) {
	st, stopping := r.m.State.(machine.Stopping)
	switch {
	case !stopping || st.Gone || st.Hook != machine.NoHook:
	case st.Kills > 0: // which was said then
		c.Keeper.Signal(r.name, uint64(st.Run), syscall.SIGKILL, reap.Scope(r.m.Rules.KillScope))
	case r.toldRun != st.Run:
		c.orders = append(c.orders, order{r, r.m.StopOrder()})
	}
}

// takeUp goes on with what was under way for a run and is lost with the server
// that had begun it.
func (c *core) takeUp(r *record) {
	run := r.m.Run()
	if r.probe.of == 0 {
		c.step(r, machine.ProbeLost{Run: run})
	}
	c.step(r, machine.Resumed{Run: run})
	if r.m.Finding() {
		c.orders = append(c.orders, order{r, machine.FindMain{Run: run}})
	}
	if r.m.Clearing() {
		c.orders = append(c.orders, order{r, machine.Clear{Run: run}})
	}
}

// guestOf splits the key of a probe or a hook into the service that it is for.
func guestOf(key string) (service string, ok bool) {
	service, _, ok = strings.Cut(key, "/")
	return service, ok
}

// adoptProbe takes over an exec check of a service that runs on; its result is
// taken in like that of one of our own. Others are ended.
func (c *core) adoptProbe(ch reap.Child, service string) {
	r := c.byName[service]
	if r == nil || ch.MainGone {
		c.Keeper.Signal(ch.Key, ch.Run, syscall.SIGKILL, reap.ScopeGroup)
		return
	}
	r.probe.alive = true
	h := r.cfg.Health
	_, running := r.m.State.(machine.Running)
	if st, starting := r.m.State.(machine.Starting); starting && st.Stage == machine.Checking {
		running = true
	}
	if !running || h == nil || h.Kind != config.ProbeExec {
		c.endProbe(r)
		return
	}
	r.probe.of = r.m.Run()
	r.probe.timeout, r.probe.deadline = h.Timeout, c.now.Add(h.Timeout)
	c.setWake(r)
}
