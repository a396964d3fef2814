package machine

import (
	"fmt"
	"syscall"
	"time"
)

// An Outcome is how a main process ended.
type Outcome struct {
	Code   int            // when Signal is 0
	Signal syscall.Signal // 0: it exited by itself
	// Unknown: there was no process, or nobody saw its end.
	Unknown bool
	// OOM: the kernel killed a process of the service for want of memory.
	OOM bool
	// Counts: the rules count it as success.
	Counts bool
}

// Success reports an exit with code 0, or one that counts as such.
func (o Outcome) Success() bool { return o == Outcome{} || o.Counts }

// polite reports a signal with which a process is asked to end, and which it
// therefore may end with without anything being wrong with it.
func (o Outcome) polite() bool {
	switch o.Signal {
	case syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE:
		return true
	}
	return false
}

// String is the form that people read.
func (o Outcome) String() string {
	switch {
	case o.Unknown:
		return "end not seen"
	case o.OOM:
		return "killed: out of memory"
	case o.Signal != 0:
		return fmt.Sprintf("killed by signal %d", int(o.Signal))
	}
	return fmt.Sprintf("exit code %d", o.Code)
}

// A CauseKind tells causes apart.
type CauseKind uint8

// The causes of an end. Their numbers are written down: new ones go to the end.
const (
	Ended             CauseKind = iota // the process ended by itself; Outcome says how
	StartTimeout                       // not ready within start_timeout
	HealthFailed                       // Count probes failed in a row
	SpawnError                         // there was no process: Text
	MissingDependency                  // Name does not exist
	Unsatisfiable                      // the configuration cannot be: Text
	Asked                              // somebody wants it down
	Restarting                         // somebody wants it down and up again
	Requirement                        // Name, which it requires, went down
	HookFailed                         // Name, one of its hooks, failed: Text
	WatchdogTimeout                    // no sign of life within After; 0: it said itself that it is not well
	Unready                            // the process ended well before it said that it is ready
	NoMain                             // the process of a forking service left none to go on: Text
)

// A Cause is why a service went down, or did not come up. The first cause is
// kept: a service killed for its health failed for its health, not for signal 9.
type Cause struct {
	Kind    CauseKind
	Outcome Outcome       // Ended, Unready
	Count   int           // HealthFailed
	After   time.Duration // StartTimeout, WatchdogTimeout: how long it was; HookFailed: likewise, when that was it
	Name    string        // MissingDependency, Requirement, HookFailed
	Text    string        // SpawnError, Unsatisfiable, HookFailed, NoMain; HealthFailed: the last probe's error
	Lasting bool          // SpawnError: it would be the same the next time
}

// Failure reports a cause that lies in the service itself, and not in somebody's
// wish or in what it requires.
func (c Cause) Failure() bool {
	switch c.Kind {
	case Asked, Restarting, Requirement:
		return false
	case Ended:
		return !c.Outcome.Success()
	}
	return true
}

// Abnormal reports a failure that is no exit code of the service's own choice.
func (c Cause) Abnormal() bool {
	switch c.Kind {
	case StartTimeout, WatchdogTimeout, HealthFailed:
		return true
	case HookFailed:
		return c.After > 0
	case Ended:
		o := c.Outcome
		return !o.Success() && (o.OOM || o.Signal != 0 && !o.polite())
	}
	return false
}

// unready reports a cause because of which a start did not come to its end.
func (c Cause) unready() bool {
	switch c.Kind {
	case StartTimeout, Unready, NoMain, HookFailed:
		return true
	}
	return false
}

// configuration reports a cause that Mended takes away.
func (c Cause) configuration() bool {
	return c.Kind == MissingDependency || c.Kind == Unsatisfiable
}

// String is the form that people read.
func (c Cause) String() string {
	switch c.Kind {
	case Ended:
		return c.Outcome.String()
	case StartTimeout:
		return fmt.Sprintf("start timeout: not ready after %s", c.After)
	case HealthFailed:
		s := fmt.Sprintf("health check failed after %d attempts", c.Count)
		if c.Text != "" {
			s += ": " + c.Text
		}
		return s
	case SpawnError:
		return "spawn error: " + c.Text
	case MissingDependency:
		return fmt.Sprintf("missing dependency '%s'", c.Name)
	case Unsatisfiable:
		return c.Text
	case Asked:
		return "stop asked for"
	case Restarting:
		return "restart asked for"
	case Requirement:
		return fmt.Sprintf("%s, which it requires, went down", c.Name)
	case HookFailed:
		return c.Name + " failed: " + c.Text
	case WatchdogTimeout:
		if c.After == 0 {
			return "watchdog: it said that it is not well"
		}
		return fmt.Sprintf("watchdog: no sign of life for %s", c.After)
	case Unready:
		return c.Outcome.String() + " before it said that it is ready"
	case NoMain:
		return "no main process: " + c.Text
	}
	return "unknown cause"
}
