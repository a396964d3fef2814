package supervise

import (
	"context"
	"log/slog"
	"time"

	"zinit/depgraph"
	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/launch"
	"zinit/supervise/logs"
	"zinit/supervise/machine"
)

// A Keeper carries out what the core decides about processes. No method blocks.
// *launch.Launcher is one.
type Keeper interface {
	// Spawn starts a process; the answer is reap.Spawned or reap.SpawnFailed. What is
	// wrong with the order itself is told in the same way.
	Spawn(launch.Order)
	launch.Requests
}

// Logs takes in what services write. No method blocks. *logs.Logs is one.
type Logs interface {
	Configure(service string, o logs.Options)
	Pipes(service string, run uint64) (logs.Pipes, error)
	Start(service string, run uint64)
	Discard(service string, run uint64)
	Ended(service string, run uint64)
	Append(service, text string)
	Remove(service string)
}

// A Prober carries out tcp and http checks: it calls done exactly once, from any
// goroutine, within the check's timeout or soon after. Exec checks are processes,
// and go to the keeper.
type Prober interface {
	Check(h *config.Health, done func(error))
}

// Parts is what a core is built from.
type Parts struct {
	Keeper Keeper
	Logs   Logs
	Prober Prober
	// Examine finds out which services cannot be started, and may take its time; it is
	// called by whoever asks for a change. Unfit is why one cannot, as far as Examine has
	// found out, empty if it can; it must not block. nil: what fails shows when it is
	// started.
	Examine func([]*config.Service)
	Unfit   func(*config.Service) string
	// Cleaner ends what hooks and checks have left behind; nil: they leave nothing.
	Cleaner Cleaner
	Finder  Finder // nil: forking services do not come up
	Gate    Gate   // nil: nobody is ever in the way of a service
	Ears    Ears   // nil: nobody listens to what services say
	// Forget is called when a service is configured no more and down; it must not
	// block. nil: nobody keeps anything of services.
	Forget func(service string)
	// OOM reports that the kernel killed a process of a run for want of memory. It is
	// asked when a main process has ended badly, and must not block. nil: nobody knows.
	OOM func(service string, run uint64) bool
	// Critical is called once when a critical service has failed for good; it must not
	// block. runs tells it of any service whether it runs. nil: nobody needs to know.
	Critical func(service, reason string, runs func(service string) bool)
	// Heard is told everything that the keeper says, before anything comes of it. It must
	// not block. nil: nobody else wants to know.
	Heard func(reap.Event)
	// MainEnded is called when a service with main has ended for good, before the shutdown
	// that follows; code is what it ended with, 128 and more for signals. It must not
	// block. nil: such a service is like any other.
	MainEnded func(code uint8)
	// Stdout: what services write goes to stdout too unless their files say where it goes.
	Stdout bool
	// StopWithin bounds the stop of all services in a shutdown: where their times to stop
	// add up to more, each gets less. 0: no bound.
	StopWithin time.Duration
	Random     Random           // nil: timers have no jitter
	Stamps     Stamper          // nil: persistent timers know of no start before the boot
	Wall       func() time.Time // what the wall clock shows; nil: time.Now
	Log        *slog.Logger
	// Memory is for the server that takes over, Clock for the moments in it; nil:
	// there will be none that knows more than the keeper does.
	Memory Memory
	Clock  machine.Clock
	// Draining is called, on a goroutine of its own, when a shutdown begins; nil:
	// nobody wants to know.
	Draining func()
	// Post has the loop run a function later; the core calls it from probes.
	Post func(func(*core))
}

// core is the state of the supervisor. All of it is owned by the loop.
type core struct {
	Parts
	now time.Time // of the event under way

	graph  *depgraph.Graph
	starts []int32   // the graph's order of starts
	recs   []*record // by graph index
	order  []*record // in load order
	byName map[string]*record
	early  map[string][]Notice // by service, what waits for its main process; see hearEarly
	book   ruleBook
	going  int // records that are leaving
	// swept is when records were forgotten last, sweepAt when it is time for the next,
	// zero: not because of the time.
	swept, sweepAt time.Time
	// floor is the highest run number of any service that is gone: the keeper
	// remembers it, should another one of that name come.
	floor uint64

	// The settling: records whose bits, or whose permission, must be looked at.
	stale   []*record
	pending inOrder

	ports map[uint16][]int32 // by graph index, those that declare a port; never changed
	blind string             // why it could not be seen who is in the way, when that was last said

	coming   int       // records that are on their way up, but for idle ones
	idle     []*record // those that wait until there are none
	hasty    bool      // they do not wait: nothing takes time
	critical []*record
	mains    []*record
	begun    time.Time // when the first configuration was loaded
	patience time.Time // no deadline is acted upon before; see woke

	wakes  wakeHeap
	orders []order // collected actions
	// failures are those that the next turn takes in.
	failures []failure

	waiters  map[*waiter]struct{}
	watched  []*record        // those somebody waits for that have changed
	problems []config.Problem // of the configuration now in force
	draining bool
	alone    bool            // the keeper is gone
	leaves   bool            // another server is to take over
	answers  []chan struct{} // of requests, closed at the end of the turn
	chores   []func()        // see later
	changes  uint64          // counts changes that a snapshot shows

	changed   []*record // not written down yet; see remember
	told      []telling // the stop signals that may wait in the keeper's client; see send
	forgetful bool      // the last writing down failed
	// strangers are what was written down of those that are configured no more; used
	// by load.
	strangers map[string]*memory
	// recalledConns are the connections that an earlier server wrote down, by service,
	// while a server begins.
	recalledConns map[string][]*conn

	feed *feed   // nil: nobody can listen
	seq  uint64  // of the last event
	news []Event // of this turn
}

// An order is one action of the machine, to be carried out after the settling.
type order struct {
	rec    *record
	action machine.Action
}

// A record is all the core knows about one service.
type record struct {
	name    string
	cfg     *config.Service // a bare one when only a problem is known
	problem string          // what is wrong with its configuration; empty: nothing
	m       machine.Service
	i       int32 // index in the graph
	rank    int32 // in the order of starts
	pid     int
	lastPid int       // of the last main process; 0: not known
	start   uint64    // of pid, as the keeper told it
	since   time.Time // when the state was entered

	// What it was told and may not do before those that depend on it are down.
	wish     wish
	breaking *machine.Cause
	absent   string // a service that it awaits and that there is not; empty: there is none

	bits   bits
	counts counts

	// There may be thousands of records: what is small stands together.
	queued    uint8 // in stale, in pending, in watched
	unstarted uint8 // the exit code for the last start that failed
	knotted   bool  // on a dependency cycle: no order holds for it
	leaving   bool  // no longer configured: goes as soon as it is down
	hand      bool  // it was started by hand, and is not stopped for want of connections
	alarmed   bool  // see alarm
	outdated  bool  // the next run will be started with something else than ran
	recalled  bool  // an earlier server wrote down how it is

	probe probe
	hook  hooking
	conns attending
	clean cleaning
	timer *timing // nil: nothing starts it by itself
	gate  *gating // nil: nobody can be in its way outside of zinit
	// idleBy is until when it waits, as an idle service, for others to come up.
	idleBy time.Time
	watch  watching
	first  int // the main process before the one that is looked for
	// status is what the living run says about itself.
	status  string
	listens listening
	env     []string
	ran     *config.Service // what the last run was started with

	toldRun    machine.Run     // has got its stop signal
	ranWritten *config.Service // what Memory has of ran
	strange    *strange        // what a later version wrote down; nil: nothing

	wake    time.Time
	heapPos int // in wakes; -1: not there
	view    *View
	waits   []*waiter
}

// A wish is what somebody asked for and is not yet carried out.
type wish uint8

const (
	noWish wish = iota
	wishDown
	wishRestart
)

func newCore(p Parts) *core {
	return &core{
		Parts:   p,
		byName:  map[string]*record{},
		waiters: map[*waiter]struct{}{},
		graph:   emptyGraph(),
	}
}

func emptyGraph() *depgraph.Graph {
	g, _ := depgraph.Build(nil)
	return g
}

// step gives one record an event and collects what follows. It is the only place
// where a state changes.
func (c *core) step(r *record, ev machine.Event) {
	was, before, run := r.m, r.m.State, r.m.Run()
	next, actions := machine.Step(r.m, ev, c.now)
	r.m = next
	// What the graph allows is found out anew by whoever takes over.
	if was.Perm, was.On = next.Perm, next.On; was != next && !onlyAlive(was, next) {
		c.unsaved(r)
	}
	for _, a := range actions {
		c.orders = append(c.orders, order{r, a})
	}
	if run != 0 && was.Writes() && (next.Run() != run || !next.Writes()) {
		c.endLog(r.name, uint64(run))
	}
	if is := next.Run(); is != run {
		r.watch = watching{}
		if is != 0 {
			run = is
			r.pid, r.first, r.status = 0, 0, "" // its process is not known yet
		}
	}
	if before.String() != next.State.String() {
		r.since = c.now
		c.announce(r, before)
		c.tellState(r, before, run)
	}
	if !next.Active() {
		r.pid = 0
	}
	c.passes(r, was)
	c.touch(r)
	c.setWake(r)
	c.markStale(r)
}

// onlyAlive reports that nothing has changed but when the next sign of life is due.
// That is not written down: it is often, and whoever takes over gives it a whole
// period.
func onlyAlive(was, next machine.Service) bool {
	before, running := was.State.(machine.Running)
	now, runs := next.State.(machine.Running)
	if !running || !runs || before.WatchdogAt.Equal(now.WatchdogAt) {
		return false
	}
	before.WatchdogAt = now.WatchdogAt
	was.State = before
	return was == next
}

// announce is the one place where transitions are logged.
func (c *core) announce(r *record, before machine.State) {
	why := r.m.Reason()
	level := slog.LevelInfo
	switch r.m.State.(type) {
	case machine.Starting:
		level = slog.LevelDebug
	case machine.Blocked, machine.Inactive:
		// That something goes down is news; that it waits or rests is not.
		if _, stopping := before.(machine.Stopping); !stopping {
			level = slog.LevelDebug
		}
	case machine.Failed:
		if c.speaks(r) {
			break
		}
		level = slog.LevelWarn
		if r.m.Last > 0 {
			c.later(func() { c.Logs.Append(r.name, why) })
		}
	}
	if !c.Log.Enabled(context.Background(), level) {
		return
	}
	args := []any{"service", r.name, "run", uint64(r.m.Last), "from", before.String(), "to", r.m.State.String()}
	if r.pid != 0 {
		args = append(args, "pid", r.pid)
	}
	if why != "" {
		args = append(args, "why", why)
	}
	c.Log.Log(context.Background(), level, "state", args...)
}

// touch notes that the record's view is out of date, and that those who wait for
// it must look.
func (c *core) touch(r *record) {
	r.view = nil
	c.changes++
	if len(r.waits) > 0 && r.queued&inWatched == 0 {
		r.queued |= inWatched
		c.watched = append(c.watched, r)
	}
}
