package machine

import (
	"time"
)

// A Run counts the lives of one service's main process, from 1.
type Run uint64

// A State is one of the seven: Inactive, Blocked, Starting, Running, Stopping,
// Exited, Failed. Each holds only what that state has.
type State interface {
	// String is the state's word, lower case.
	String() string
	isState()
}

type (
	// Inactive has no process and does not want one, or was never asked.
	Inactive struct{}

	// Blocked wants to start and may not; Service.On says why.
	Blocked struct{}

	// Starting is on its way up.
	Starting struct {
		Run     Run
		Stage   Stage
		ReadyBy time.Time // zero: no limit
		Probe   Probing
		Told    bool // it has said that it is ready
		Empty   bool // of Finding: nothing is left of the run, as far as is known
	}

	// Running is up and ready. A target that runs has run 0 and no process.
	Running struct {
		Run   Run
		Since time.Time
		Probe Probing
		// Unhealthy: the probes say no, and the service only reports it.
		Unhealthy bool
		// WatchdogAt is when the next sign of life must have come; zero: none is
		// asked for. Period is what the service itself asked for; 0: as the rules say.
		WatchdogAt time.Time
		Period     time.Duration
		// Reloading and Leaving are what it says about itself: that it reads its
		// configuration, that it is about to end.
		Reloading, Leaving bool
		// Hook is one that is under way: ExecReload, or ExecStartPost of a oneshot.
		Hook Hook
		// Gone: it is a oneshot that has ended well with Outcome. Empty: it has left
		// no other process behind.
		Gone, Empty bool
		Outcome     Outcome
	}

	// Stopping has been told to end. Why survives until the process is gone.
	Stopping struct {
		Run   Run
		Why   Cause
		Since time.Time
		// Hook is one that is under way: ExecStop, before the stop signal, or
		// ExecStopPost, when nothing is left.
		Hook Hook
		// KillAt is when SIGKILL is sent. It moves on after each: a process
		// stuck in the kernel gets another, and the loop does not spin.
		KillAt time.Time
		Kills  int
		// Gone: the main process has ended with Outcome. Empty: so have the others
		// of its group; the run is over as soon as no hook is left.
		Gone, Empty bool
		Outcome     Outcome
		// Clearing: all that is left to do is to end what hooks and checks left behind.
		Clearing bool
		// Finding: whether there is another main process is not known yet.
		Finding bool
		// Again: somebody asked for it to be up while it was stopping; it starts
		// again whatever the policy says.
		Again bool
	}

	// Exited ended well, or because it was told to.
	Exited struct {
		Outcome   Outcome
		At        time.Time
		RestartAt time.Time // zero: no restart
		// Stopped: it was told to end.
		Stopped bool
		// GivenUp: max_restarts quick ends in a row.
		GivenUp bool
	}

	// Failed ended badly, or never came up.
	Failed struct {
		Why       Cause
		At        time.Time
		RestartAt time.Time // zero: no restart
		// GivenUp: max_restarts quick ends in a row.
		GivenUp bool
	}
)

// Probing is the health check of one run.
type Probing struct {
	At       time.Time     // when the next probe is due; zero: one is under way, or there are none
	Failures int           // in a row
	CountAt  time.Time     // a failure before this moment does not count
	Gap      time.Duration // to the next probe while starting
	LastErr  string        // of the last failed probe; empty after a pass
}

// Up reports that the process of a start runs.
func (st Starting) Up() bool { return st.Stage > Spawning && st.Stage != Finding }

func (Inactive) isState() {}
func (Blocked) isState()  {}
func (Starting) isState() {}
func (Running) isState()  {}
func (Stopping) isState() {}
func (Exited) isState()   {}
func (Failed) isState()   {}

func (Inactive) String() string { return "inactive" }
func (Blocked) String() string  { return "blocked" }
func (Starting) String() string { return "starting" }
func (Running) String() string  { return "running" }
func (Stopping) String() string { return "stopping" }
func (Exited) String() string   { return "exited" }
func (Failed) String() string   { return "failed" }
