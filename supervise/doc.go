// Package supervise keeps the services of a configuration as they are wanted.
//
// It owns the deciding: one goroutine, the loop, owns every record, the graph and
// the timers; everybody else sends it messages. It refuses to know the wire, the
// dialects of files, and how a process is forked: the keeper does that (package
// reap), the life of one service is package machine, names and orders are package
// depgraph.
//
//	keeper events ─┐                                        ┌─▶ keeper: spawn, signal
//	requests ──────┼─▶ apply ─▶ settle until quiet ─▶ act ──┼─▶ probes
//	probe results ─┤   (step)   (bits, permissions)         └─▶ logs
//	timer ─────────┘                     │
//	                                     ├─▶ Snapshot, on demand, for readers
//	                                     └─▶ Event, through a ring, for subscribers
//
// Settle, then act: an event changes one service; what follows from it spreads
// through the graph until nothing changes any more; only then is anything done.
// The spreading is by bits and counters (see bits.go): each service publishes a
// few facts about itself, each edge counts the facts of its other end, so that a
// change costs no more than the edges it concerns.
//
// Hooks and checks of health are processes of the same keeper, with keys of their
// own (NAME/hook, NAME/health): each command of a hook is bounded, one runs after the
// other, and the machine hears how the whole of it went (see hooks.go). What a service
// says about itself comes in through Notify (notice.go); the main process of one that
// forks is found by a Finder and watched by the keeper (watch.go, find.go). A timer
// (timers.go) starts its service as somebody would by hand; an idle service waits
// until nothing else is starting (idle.go).
//
// All time limits are on the monotonic clock, which stands still while the machine
// sleeps; only calendars follow the wall clock, and are found anew when that is set. A
// loop that was away hears first what has happened, and then looks at time limits (see
// wake.go).
//
// A Change of the configuration is one step: all of it, one service of it (Only),
// what Put brings or what Delete takes away. Dependencies, lifecycle, health and
// logging apply at once; what a process is started with applies at its next start,
// and until then the service is marked (RestartToApply), unless the change is to
// restart it. What is removed is stopped after those that require it, which fail
// when it is gone. A change that would bring a new cycle is refused as a whole.
//
// What a change will do is not computed by other code than that which does it: a
// copy of the core, with a keeper for which everything goes well, makes the change
// and lives on until it is quiet; another copy does so without the change; what
// differs between the two futures is what the change does (see foresee.go). A dry
// run ends there. What cannot be foreseen is left out: what fails, how long
// something takes, and so which of two rivals that may both start comes first.
//
// The core (core.go and the files it drives) starts no goroutine and reads no
// clock: the simulation in sim_test.go drives a hundred thousand services through
// it without a sleep, and checks the invariants after every event.
package supervise
