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
}

// Success reports an exit with code 0.
func (o Outcome) Success() bool { return o == Outcome{} }

// String is the form that people read.
func (o Outcome) String() string {
	switch {
	case o.Unknown:
		return "end not seen"
	case o.Signal != 0:
		return fmt.Sprintf("killed by signal %d", int(o.Signal))
	}
	return fmt.Sprintf("exit code %d", o.Code)
}

// A CauseKind tells causes apart.
type CauseKind uint8

// The causes of an end. The first six are failures of the run itself.
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
)

// A Cause is why a service went down, or did not come up. The first cause is
// kept: a service killed for its health failed for its health, not for signal 9.
type Cause struct {
	Kind    CauseKind
	Outcome Outcome       // Ended
	Count   int           // HealthFailed
	After   time.Duration // StartTimeout: how long it was
	Name    string        // MissingDependency, Requirement
	Text    string        // SpawnError, Unsatisfiable; HealthFailed: the last probe's error
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
	}
	return "unknown cause"
}
