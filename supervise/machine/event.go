package machine

import (
	"syscall"
	"time"
)

// An Event is a fact that the life of a service depends on.
type Event interface{ isEvent() }

type (
	// Wanted: it is to be up. A service that has ended starts again; one that
	// was given up gets all its tries back.
	Wanted struct{}
	// Dropped: it is to be down.
	Dropped struct{}
	// Restarted: it is to go down, if it is up, and come up with its back-off
	// reset.
	Restarted struct{}

	// DepsMet: everything that it must wait for is there.
	DepsMet struct{}
	// DepsHeld: it may not start, because of On; if it runs, it may go on.
	DepsHeld struct{ On string }
	// DepsLost: it may not run, because of On.
	DepsLost struct{ On string }

	// Broken: its configuration cannot be satisfied.
	Broken struct{ Why Cause }
	// Mended: it can again.
	Mended struct{}

	// Configured: other rules apply from now on.
	Configured struct{ Rules *Rules }

	// Adopted: a process of an earlier server was found alive; it started at
	// Started, zero when nobody knows.
	Adopted struct {
		Run     Run
		Started time.Time
	}

	// Spawned: the process of Run executes its program.
	Spawned struct{ Run Run }
	// SpawnFailed: there is no process of Run.
	SpawnFailed struct {
		Run     Run
		Text    string
		Lasting bool // it cannot be executed, now and the next time
	}
	// Unspawned: the order to spawn Run was lost with the server that gave it,
	// before anybody heard of it.
	Unspawned struct{ Run Run }
	// Probed: a health probe has ended; Err is empty when it passed.
	Probed struct {
		Run Run
		Err string
	}
	// ProbeLost: the probe that was under way will have no result.
	ProbeLost struct{ Run Run }
	// ProcessGone: the main process has ended. Lingers: others of its group
	// live on.
	ProcessGone struct {
		Run     Run
		Outcome Outcome
		Lingers bool
	}
	// GroupGone: the last process of the run's group has ended.
	GroupGone struct{ Run Run }

	// MainFound: the main process of a forking service is another one from now on.
	MainFound struct{ Run Run }
	// MainMissing: it could not be found out which, because of Text.
	MainMissing struct {
		Run  Run
		Text string
	}

	// HooksDone: a hook has run to its end, or was ended after TimedOut. Err is
	// empty when nothing failed that counts.
	HooksDone struct {
		Run      Run
		Hook     Hook
		Err      string
		TimedOut time.Duration
	}
	// Cleared: nothing is left any more in the surroundings of a run that is to be
	// over.
	Cleared struct{ Run Run }
	// ReloadAsked: it is to read its own configuration again.
	ReloadAsked struct{}

	// Notified: the service says something about itself.
	Notified struct {
		Run       Run
		Ready     bool // it is ready, or has read its configuration again
		Reloading bool
		Stopping  bool
		Alive     bool          // a sign of life, for the watchdog
		Trigger   bool          // the watchdog is to act at once
		Extend    time.Duration // what it is about takes at least as long, from now on
		Period    time.Duration // the watchdog's, from now on in this run
	}
	// Resumed: what the service says is heard again; for a while nobody listened.
	Resumed struct{ Run Run }

	// Attended: a process has come, of a service that attends to others. GroupGone says
	// that the last of them has ended.
	Attended struct{ Run Run }

	// Ticked: the time may have come for what Deadline announced.
	Ticked struct{}
)

func (Wanted) isEvent()      {}
func (Dropped) isEvent()     {}
func (Restarted) isEvent()   {}
func (DepsMet) isEvent()     {}
func (DepsHeld) isEvent()    {}
func (DepsLost) isEvent()    {}
func (Broken) isEvent()      {}
func (Mended) isEvent()      {}
func (Configured) isEvent()  {}
func (Adopted) isEvent()     {}
func (Spawned) isEvent()     {}
func (SpawnFailed) isEvent() {}
func (Unspawned) isEvent()   {}
func (ProbeLost) isEvent()   {}
func (Probed) isEvent()      {}
func (ProcessGone) isEvent() {}
func (GroupGone) isEvent()   {}
func (MainFound) isEvent()   {}
func (MainMissing) isEvent() {}
func (HooksDone) isEvent()   {}
func (Cleared) isEvent()     {}
func (ReloadAsked) isEvent() {}
func (Notified) isEvent()    {}
func (Resumed) isEvent()     {}
func (Attended) isEvent()    {}
func (Ticked) isEvent()      {}

// runOf is the run that an event concerns; ok is false when it concerns none.
func runOf(ev Event) (run Run, ok bool) {
	switch e := ev.(type) {
	case Spawned:
		return e.Run, true
	case SpawnFailed:
		return e.Run, true
	case Unspawned:
		return e.Run, true
	case Probed:
		return e.Run, true
	case ProbeLost:
		return e.Run, true
	case ProcessGone:
		return e.Run, true
	case GroupGone:
		return e.Run, true
	case MainFound:
		return e.Run, true
	case MainMissing:
		return e.Run, true
	case HooksDone:
		return e.Run, true
	case Cleared:
		return e.Run, true
	case Notified:
		return e.Run, true
	case Resumed:
		return e.Run, true
	case Attended:
		return e.Run, true
	}
	return 0, false
}

// An Action is an order to whoever drives the machine.
type Action interface{ isAction() }

type (
	// Spawn: start the main process as Run.
	Spawn struct{ Run Run }
	// Signal: send Sig to the process of Run, or to more of its processes.
	Signal struct {
		Run   Run
		Sig   syscall.Signal
		Scope Scope
	}
	// Probe: check the health of Run once and answer with Probed.
	Probe struct{ Run Run }
	// FindMain: find the process that the one of Run has left to do its work, and
	// answer with MainFound or MainMissing, soon.
	FindMain struct{ Run Run }
	// RunHooks: run a hook, each command bounded, and answer with HooksDone.
	RunHooks struct {
		Run  Run
		Hook Hook
	}
	// EndHooks: end the one that is under way; no answer is needed.
	EndHooks struct{ Run Run }
	// Clear: end what hooks and checks have left in the surroundings of Run, and
	// answer with Cleared when nothing is there any more, or nothing helps. It comes
	// twice when the first was not answered soon: then the kernel holds who may yet
	// leave something.
	Clear struct{ Run Run }
)

func (Spawn) isAction()    {}
func (Signal) isAction()   {}
func (Probe) isAction()    {}
func (FindMain) isAction() {}
func (RunHooks) isAction() {}
func (EndHooks) isAction() {}
func (Clear) isAction()    {}
