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
//	                                     └─▶ Snapshot, on demand, for readers
//
// Settle, then act: an event changes one service; what follows from it spreads
// through the graph until nothing changes any more; only then is anything done.
// The spreading is by bits and counters (see bits.go): each service publishes a
// few facts about itself, each edge counts the facts of its other end, so that a
// change costs no more than the edges it concerns.
//
// The core (core.go and the files it drives) starts no goroutine and reads no
// clock: the simulation in sim_test.go drives a hundred thousand services through
// it without a sleep, and checks the invariants after every event.
package supervise
