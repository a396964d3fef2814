package sock

import (
	"fmt"
	"strconv"
	"strings"
)

// The states of a service, as on the wire.
const (
	Inactive = "inactive"
	Blocked  = "blocked"
	Starting = "starting"
	Running  = "running"
	Stopping = "stopping"
	Exited   = "exited"
	Failed   = "failed"
)

// States lists every state.
func States() []string {
	return []string{Inactive, Blocked, Starting, Running, Stopping, Exited, Failed}
}

// What service.wait takes beside the states.
const (
	GoalUp   = "up"   // others may rely on it: it runs, or is a oneshot that ended well
	GoalDown = "down" // it has no process, and none is about to start
)

// Goals lists everything that service.wait waits for.
func Goals() []string { return append(States(), GoalUp, GoalDown) }

// Names is a list of names that is [] on the wire when it is nil.
type Names []string

// ServiceState is the state of a service with what belongs to it. On the wire
// only the fields of the state at hand are present.
type ServiceState struct {
	State     string         `json:"state"`
	PID       int            `json:"pid"`        // starting, running, stopping; 0 for a target
	WaitingOn Names          `json:"waiting_on"` // blocked
	ExitCode  *int           `json:"exit_code"`  // exited; nil when a signal ended it
	Reason    *FailureReason `json:"reason"`     // failed
}

// The types of a FailureReason.
const (
	ReasonExitCode          = "exit_code"           // Code
	ReasonSignal            = "signal"              // Signal
	ReasonStartTimeout      = "start_timeout"       //
	ReasonStopTimeout       = "stop_timeout"        //
	ReasonHealthCheckFailed = "health_check_failed" // Attempts
	ReasonDependencyFailed  = "dependency_failed"   // Service
	ReasonSpawnError        = "spawn_error"         // Message
	ReasonMissingDependency = "missing_dependency"  // Dependency
)

// FailureReason says why a service failed. On the wire only the field that
// belongs to Type is present.
type FailureReason struct {
	Type       string `json:"type"`
	Code       int    `json:"code"`
	Signal     int    `json:"signal"`
	Attempts   int    `json:"attempts"`
	Service    string `json:"service"`
	Message    string `json:"message"`
	Dependency string `json:"dependency"`
}

// Text is the reason in the words of zinit 0.3.9, "" for an exit code.
func (r FailureReason) Text() string {
	switch r.Type {
	case ReasonSignal:
		return "killed by signal " + strconv.Itoa(r.Signal)
	case ReasonStartTimeout:
		return "start timeout"
	case ReasonStopTimeout:
		return "stop timeout"
	case ReasonHealthCheckFailed:
		return fmt.Sprintf("health check failed after %d attempts", r.Attempts)
	case ReasonDependencyFailed:
		return fmt.Sprintf("dependency '%s' failed", r.Service)
	case ReasonSpawnError:
		return "spawn error: " + r.Message
	case ReasonMissingDependency:
		return fmt.Sprintf("missing dependency '%s'", r.Dependency)
	}
	return ""
}

// Details is what we tell about a service beyond zinit 0.3.9, part of
// ServiceStatus, ServiceInfo and ServiceStatusFull. Clients of 0.3.9 ignore it;
// what is zero is left out.
type Details struct {
	NextStartMs int64  `json:"next_start_ms,omitempty"` // when a pending restart is due, Unix milliseconds
	Problem     string `json:"problem,omitempty"`       // what is wrong with its configuration
	Reason      string `json:"reason,omitempty"`        // why it is as it is: thing, reason, next step
	Restarts    int64  `json:"restarts,omitempty"`      // restarts since it was last started by hand
	Run         uint64 `json:"run,omitempty"`           // number of its present or last run
	SinceMs     int64  `json:"since_ms,omitempty"`      // when it got into its state, Unix milliseconds
}

// ServiceStatus is the result of service.status.
type ServiceStatus struct {
	Name     string `json:"name"`
	PID      int    `json:"pid"` // 0 when there is no process
	State    string `json:"state"`
	ExitCode *int   `json:"exit_code"` // left out when nil
	Error    string `json:"error"`     // left out when empty

	// UptimeSecs counts the seconds for which the service has been running; left
	// out when 0.
	UptimeSecs int64 `json:"uptime_secs"`
	Details
}

// NewStatus renders a state as zinit 0.3.9 does: the reason of a failure and
// what a blocked service waits on become the error text.
func NewStatus(name string, s ServiceState) ServiceStatus {
	status := ServiceStatus{Name: name, PID: s.PID, State: s.State}
	switch s.State {
	case Exited:
		status.ExitCode = s.ExitCode
	case Blocked:
		if len(s.WaitingOn) > 0 {
			status.Error = "waiting on: " + strings.Join(s.WaitingOn, ", ")
		}
	case Failed:
		if s.Reason == nil {
			break
		}
		status.Error = s.Reason.Text()
		if s.Reason.Type == ReasonExitCode {
			code := s.Reason.Code
			status.ExitCode = &code
		}
	}
	return status
}

// ServiceInfo is an element of the result of service.list_full.
type ServiceInfo struct {
	IsTarget bool         `json:"is_target"`
	Name     string       `json:"name"`
	State    ServiceState `json:"state"`
	Details
}

// ServiceStatusFull is the result of service.status_full.
type ServiceStatusFull struct {
	Dependencies []Dependency `json:"dependencies"`
	Health       string       `json:"health,omitempty"` // what the checks say; ours
	IsTarget     bool         `json:"is_target"`
	Name         string       `json:"name"`
	Source       string       `json:"source,omitempty"` // the file it is described in; ours
	State        ServiceState `json:"state"`
	UptimeSecs   *int64       `json:"uptime_secs"` // null when it is not running
	Details
}

// Dependency is one line of ServiceStatusFull.
type Dependency struct {
	DepType   string       `json:"dep_type"` // requires, after or wants
	Name      string       `json:"name"`
	Satisfied bool         `json:"satisfied"`
	State     ServiceState `json:"state"`
}

// WhyBlocked is the result of service.why.
type WhyBlocked struct {
	ASCII           string           `json:"ascii"` // for people, several lines
	Blocked         bool             `json:"blocked"`
	ConflictsWith   Names            `json:"conflicts_with"`
	Name            string           `json:"name"`
	PortConflict    string           `json:"port_conflict,omitempty"`
	ProcessConflict *ProcessConflict `json:"process_conflict,omitempty"`
	Reason          string           `json:"reason,omitempty"` // thing, reason, next step; ours
	WaitingOn       Names            `json:"waiting_on"`
}

// ProcessConflict names the processes that keep a service from starting.
type ProcessConflict struct {
	Filter    string            `json:"filter"`
	Processes []ConflictProcess `json:"processes"`
}

// ConflictProcess is one process of a ProcessConflict.
type ConflictProcess struct {
	Cmdline string `json:"cmdline,omitempty"`
	Name    string `json:"name"`
	PID     int    `json:"pid"`
}

// LogLine is one line that a service wrote.
type LogLine struct {
	Content     string `json:"content"`
	Service     string `json:"service"`
	Stream      string `json:"stream"` // stdout, stderr, syslog; zinit for ours
	TimestampMs int64  `json:"timestamp_ms"`
}

// String is the line as logs.get shows it: MS [stream] text.
func (l LogLine) String() string {
	return fmt.Sprintf("%d [%s] %s", l.TimestampMs, l.Stream, l.Content)
}

// Ping is the result of system.ping. PID is the server's.
type Ping struct {
	PID     int    `json:"pid"`
	Version string `json:"version"`
}

// Tree is the result of service.tree.
type Tree struct {
	ASCII string `json:"ascii"`
}

// OK is the result of every method that just does something.
type OK struct {
	OK bool `json:"ok"`
}

// Done is the OK that says so, without an allocation per call.
const Done = encodedText(`{"ok":true}`)

// encodedText is a constant result.
type encodedText string

// WaitResult is the result of service.wait.
type WaitResult struct {
	Reached  bool            `json:"reached"` // all of them are in the state
	Services []WaitedService `json:"services"`
}

// WaitedService is one service of a WaitResult.
type WaitedService struct {
	Error   string `json:"error,omitempty"` // why it is not where it should be
	Name    string `json:"name"`
	Reached bool   `json:"reached"`
	State   string `json:"state"`
}
