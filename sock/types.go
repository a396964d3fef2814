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
	State     string         `json:"state" enum:"state"`
	PID       int            `json:"pid,omitempty" doc:"in starting, running and stopping; 0 for a target"`
	WaitingOn Names          `json:"waiting_on,omitempty" doc:"in blocked"`
	ExitCode  *int           `json:"exit_code,omitempty" also:"null" doc:"in exited; null when a signal ended it"`
	Reason    *FailureReason `json:"reason,omitempty" also:"null" doc:"in failed"`
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
	Type       string `json:"type" enum:"reason"`
	Code       int    `json:"code,omitempty" doc:"of exit_code"`
	Signal     int    `json:"signal,omitempty" doc:"of signal"`
	Attempts   int    `json:"attempts,omitempty" doc:"of health_check_failed"`
	Service    string `json:"service,omitempty" doc:"of dependency_failed"`
	Message    string `json:"message,omitempty" doc:"of spawn_error"`
	Dependency string `json:"dependency,omitempty" doc:"of missing_dependency"`
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
	NextRunMs   int64 `json:"next_run_ms,omitempty" doc:"when its timer starts it next, Unix milliseconds"`
	NextStartMs int64 `json:"next_start_ms,omitempty" doc:"when a pending restart is due, Unix milliseconds"`
	// OnDemand says that it is down, and that who comes to its sockets starts it.
	OnDemand bool `json:"on_demand,omitempty" doc:"it is down, and who comes to its sockets starts it"`
	// OpenConnections counts the processes that it has for connections.
	OpenConnections int64  `json:"open_connections,omitempty" doc:"of a service with accept: how many have a process now"`
	Phase           string `json:"phase,omitempty" doc:"how far a start or a stop is, and what else is under way"`
	Problem         string `json:"problem,omitempty" doc:"what is wrong with its configuration"`
	Reason          string `json:"reason,omitempty" doc:"why it is as it is: thing, reason, next step"`
	Restarts        int64  `json:"restarts,omitempty" doc:"restarts since it was last started by hand"`
	Run             uint64 `json:"run,omitempty" doc:"number of its present or last run"`
	SinceMs         int64  `json:"since_ms,omitempty" doc:"when it got into its state, Unix milliseconds"`
}

// ServiceStatus is the result of service.status.
type ServiceStatus struct {
	Name     string `json:"name"`
	PID      int    `json:"pid" doc:"0 when there is no process"`
	State    string `json:"state" enum:"state"`
	ExitCode *int   `json:"exit_code,omitempty" doc:"of the last run, when it ended with one"`
	Error    string `json:"error,omitempty" doc:"why it failed, or what it waits on, in the words of zinit 0.3.9"`

	// UptimeSecs counts the seconds for which the service has been running; left
	// out when 0.
	UptimeSecs int64 `json:"uptime_secs,omitempty" doc:"for how long it has been running"`
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
	IsTarget bool         `json:"is_target" doc:"it is a group of services, without a process"`
	Name     string       `json:"name"`
	State    ServiceState `json:"state"`
	Details
}

// ServiceStatusFull is the result of service.status_full. What it uses, its cgroup
// and its limits are told while it has a process or may have one.
type ServiceStatusFull struct {
	Cgroup           string        `json:"cgroup,omitempty" doc:"directory of its cgroup"`
	CgroupMissing    string        `json:"cgroup_missing,omitempty" doc:"why it has none: who leaves the session of a service is lost sight of then"`
	Claims           *Claims       `json:"claims,omitempty" doc:"what must not be in its way when it starts"`
	Connections      []Connection  `json:"connections,omitempty" doc:"of a service with accept: those that have a process"`
	ConnectionsTotal int64         `json:"connections_total,omitempty" doc:"how many connections it was given so far"`
	ConnectionsMax   int64         `json:"connections_max,omitempty" doc:"of a service with accept: how many have a process at a time; whoever else comes waits"`
	Dependencies     []Dependency  `json:"dependencies"`
	Description      string        `json:"description,omitempty" doc:"for people"`
	Group            string        `json:"group,omitempty" doc:"it runs as, as configured"`
	Health           string        `json:"health,omitempty" doc:"what the checks say"`
	IsTarget         bool          `json:"is_target" doc:"it is a group of services, without a process"`
	Left             []Child       `json:"left,omitempty" doc:"processes of earlier runs that are alive, as far as its cgroup tells"`
	Limits           []Limit       `json:"limits,omitempty" doc:"in force, or configured"`
	LogProblem       string        `json:"log_problem,omitempty" doc:"why its lines do not get into its log file"`
	Name             string        `json:"name"`
	Sockets          []GivenSocket `json:"sockets,omitempty" doc:"what is open for it"`
	Source           string        `json:"source,omitempty" doc:"the file it is described in"`
	State            ServiceState  `json:"state"`
	StatusText       string        `json:"status_text,omitempty" doc:"what it says about itself (STATUS=)"`
	Strays           []Child       `json:"strays,omitempty" doc:"without cgroups: processes that have left the session of a service, of this one or another"`
	Timer            *TimerStatus  `json:"timer,omitempty" doc:"of a service that a timer starts"`
	Type             string        `json:"type,omitempty" doc:"forking, oneshot, notify or idle; left out for simple"`
	UptimeSecs       *int64        `json:"uptime_secs" doc:"null when it is not running"`
	Usage            *Usage        `json:"usage,omitempty" doc:"what its processes use"`
	User             string        `json:"user,omitempty" doc:"it runs as, as configured"`
	WatchdogMs       int64         `json:"watchdog_ms,omitempty" doc:"how often it must say that it lives"`
	Details
}

// GivenSocket is a socket, or named pipe, that is open for a service.
type GivenSocket struct {
	Address string `json:"address" doc:"such as tcp:HOST:PORT"`
	Name    string `json:"name,omitempty" doc:"in LISTEN_FDNAMES"`
}

// Connection is a connection that a service has a process for.
type Connection struct {
	Peer    string `json:"peer,omitempty" doc:"who it is"`
	PID     int    `json:"pid" doc:"0 when it is not known yet"`
	SinceMs int64  `json:"since_ms" doc:"when it came, Unix milliseconds"`
}

// Claims is what must not be in the way of a service when it starts.
type Claims struct {
	KillOthers     bool     `json:"kill_others,omitempty" doc:"who is in its way is ended"`
	Ports          []uint16 `json:"ports,omitempty" doc:"that must be free"`
	ProcessFilters []string `json:"process_filters,omitempty" doc:"in the names of processes that must not run"`
}

// Dependency is one line of ServiceStatusFull.
type Dependency struct {
	DepType   string       `json:"dep_type" doc:"requires, after or wants"`
	Name      string       `json:"name"`
	Satisfied bool         `json:"satisfied" doc:"it does not hold up the start"`
	State     ServiceState `json:"state"`
}

// WhyBlocked is the result of service.why.
type WhyBlocked struct {
	ASCII           string           `json:"ascii" doc:"for people, several lines"`
	Blocked         bool             `json:"blocked"`
	ConflictsWith   Names            `json:"conflicts_with" doc:"services that run and must not at the same time"`
	Name            string           `json:"name"`
	PortConflict    string           `json:"port_conflict,omitempty" doc:"who uses a port that it needs"`
	ProcessConflict *ProcessConflict `json:"process_conflict,omitempty" doc:"processes that its filters found"`
	Reason          string           `json:"reason,omitempty" doc:"why it does not run: thing, reason, next step"`
	WaitingOn       Names            `json:"waiting_on" doc:"services that it cannot start without or before"`
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
	Content     string `json:"content" doc:"without the newline; what is not UTF-8 is replaced"`
	Service     string `json:"service"`
	Stream      string `json:"stream" doc:"stdout, stderr or syslog, or zinit for what the server adds"`
	TimestampMs int64  `json:"timestamp_ms" doc:"Unix milliseconds"`
}

// String is the line as logs.get shows it: MS [stream] text.
func (l LogLine) String() string {
	return fmt.Sprintf("%d [%s] %s", l.TimestampMs, l.Stream, l.Content)
}

// Ping is the result of system.ping. PID is the server's.
type Ping struct {
	PID      int    `json:"pid" doc:"of the server"`
	Problems Names  `json:"problems,omitempty" doc:"what is wrong with the configuration and concerns no single service; ours"`
	Version  string `json:"version" doc:"of the server"`
}

// Tree is the result of service.tree.
type Tree struct {
	ASCII string `json:"ascii" doc:"for people, several lines"`
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
	Reached  bool            `json:"reached" doc:"all of them are in the state"`
	Services []WaitedService `json:"services"`
}

// WaitedService is one service of a WaitResult.
type WaitedService struct {
	Error    string `json:"error,omitempty" doc:"why it is not where it should be"`
	Hopeless bool   `json:"hopeless,omitempty" doc:"it will not get there without somebody's help"`
	Name     string `json:"name"`
	Reached  bool   `json:"reached" doc:"it is in the state"`
	State    string `json:"state" enum:"state"`
}
