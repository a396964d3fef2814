// Package pid1 is the keeper as a program: what a process 1, or the parent of a
// standalone server, does with its own life. Forking, reaping and keeping are
// package reap's.
//
//	boot ──ready──▶ serve ◀──ready── respawn      a server that ends is replaced
//	   └──────────────┴─────▶ drain ─────┘        a shutdown began; the server carries
//	                            │                 it out, or, when that is dead or
//	                            ▼                 hung, the keeper itself (waves.go)
//	                          sweep ──▶ halt      what is left is killed; exit or power
//
// stage.go and waves.go are pure: they decide, from an event and a time, and touch
// nothing. keeper.go feeds them and does what they say.
//
// SIGUSR1 replaces the server: the running one is asked to end and leave everything
// as it is, killed if it does not within five seconds, and followed at once by one
// of the file that is at the path of this program now.
//
// SIGUSR2 replaces the program of the keeper itself by that file (replace.go says
// when, execute.go how). The file is started as a child first, with all that it would
// be left, and has to answer what it has understood (rehearse.go). What the next
// program is told of this package is notes: values by name (notes.go).
//
// It promises, in this order: to keep running; to reap; to end within a bound that
// is fixed when a shutdown begins; to respawn the server. As process 1 it never
// exits but at the end of a container; no signal and no panic ends it; nothing that
// it needs is a file; and it never waits for whoever reads its messages.
//
// It refuses to know configuration, services' semantics and the wire: it hands the
// server's flags on and follows a plan of stop waves that the server computed.
package pid1
