// Package machine is the life of one service as a pure function:
//
//	Step(service, event, now) (service, actions)
//
// It owns every rule about one service: when it starts, what counts as ready,
// how an end is judged, how long to wait before the next try, when a stop becomes
// a kill. It refuses to know processes, pids, files, clocks, other services and
// configuration dialects: time comes in with each event, orders go out as
// actions, and what the graph allows comes in as DepsMet, DepsHeld and DepsLost.
//
//	           Wanted, DepsMet                ready
//	Inactive ──────────────────▶ Starting ─────────▶ Running
//	   │  ▲                         │  ▲                │
//	   ▼  │ Dropped                 │  │ RestartAt      │ Dropped, DepsLost,
//	Blocked                         ▼  │                ▼ unhealthy
//	   (wanted, but not allowed)  Exited, Failed ◀── Stopping
//
// A start goes through stages, and leaves out those that the service has no use
// for; a stop is the way back:
//
//	exec_start_pre ─▶ spawn ─▶ its own word, or its fork ─▶ health ─▶ exec_start_post
//	(cleared) ◀─ exec_stop_post ◀─ nothing left ◀─ SIGKILL ◀─ stop signal ◀─ exec_stop
//
// Running, and so satisfying others, is what has been through all of the first
// line. A run that ends in the middle goes to the second line, but exec_stop is
// only for what was Running and is told to end; exec_stop_post follows every run.
// A hook has no deadline here: who runs it bounds each of its commands. What hooks
// and checks have left behind is ended before the run is over.
//
// A oneshot is Running while it works and Exited when it has ended well; one that
// remains stays Running instead, without a process, and its run is over when it is
// stopped.
//
// A service that attends to others is Running without a process of its own: those that
// come are told by Attended, and a stop is told to them.
//
// Each spawn gets the next run number. Whatever concerns another run than the one
// that is alive (an exit, a probe's result, a spawn reply) is refused in one
// place, at the head of Step.
//
// The deadline is a function of the state (Service.Deadline): whoever drives the
// machine sends Ticked when it has come, and nothing is ever cancelled.
//
// All values are plain data; nothing here is safe for concurrent use, and nothing
// needs to be: one event loop owns every Service.
package machine
