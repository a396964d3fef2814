package sock

// The names of the methods that the client has functions for. They are frozen.
const (
	MethodPing       = "system.ping"
	MethodShutdown   = "system.shutdown"
	MethodPoweroff   = "system.poweroff"
	MethodReboot     = "system.reboot"
	MethodHalt       = "system.halt"
	MethodKexec      = "system.kexec"
	MethodList       = "service.list"
	MethodListFull   = "service.list_full"
	MethodStatus     = "service.status"
	MethodStatusFull = "service.status_full"
	MethodStart      = "service.start"
	MethodStop       = "service.stop"
	MethodRestart    = "service.restart"
	MethodKill       = "service.kill"
	MethodWhy        = "service.why"
	MethodTree       = "service.tree"
	MethodIsRunning  = "service.is_running"
	MethodWait       = "service.wait"
	MethodLogs       = "logs.get"

	MethodDiscover   = "rpc.discover"
	MethodGet        = "service.get"
	MethodStats      = "service.stats"
	MethodChildren   = "service.children"
	MethodSet        = "service.set"
	MethodAdd        = "service.add"
	MethodMonitor    = "service.monitor"
	MethodRegister   = "service.register"
	MethodDelete     = "service.delete"
	MethodRemove     = "service.remove"
	MethodStartAll   = "service.start_all"
	MethodStopAll    = "service.stop_all"
	MethodDeleteAll  = "service.delete_all"
	MethodReload     = "service.reload"
	MethodLogsTail   = "logs.tail"
	MethodLogsFilter = "logs.filter"
	MethodLogsQuery  = "logs.query"
	MethodLogsFollow = "logs.subscribe"
	MethodEvents     = "events.subscribe"
	MethodDebugState = "debug.state"
	MethodDebugProcs = "debug.process_tree"

	MethodTimers       = "service.timers"
	MethodSignalReload = "service.signal_reload"
)

// The names of what a server sends by itself on a connection that subscribed.
const (
	NoteEvents = "events.batch" // params: EventBatch
	NoteLogs   = "logs.batch"   // params: LogBatch
	NoteEnd    = "stream.end"   // params: Error; the last one before the server closes
)

// repeatable says whether a call may be sent a second time when the connection
// broke under the first: nobody can tell whether that one was carried out.
func repeatable(method string) bool {
	switch method {
	case MethodPing, MethodList, MethodListFull, MethodStatus, MethodStatusFull,
		MethodWhy, MethodTree, MethodIsRunning, MethodWait, MethodLogs,
		MethodDiscover, MethodGet, MethodStats, MethodChildren, MethodTimers,
		MethodLogsTail, MethodLogsFilter, MethodLogsQuery, MethodDebugState, MethodDebugProcs,
		MethodXinetList, MethodXinetGet, MethodXinetStatus, MethodXinetStatusAll,
		MethodXinetActivate, MethodXinetRelease: // the last two change nothing when they are repeated
		return true
	}
	return false
}

// NameParams is the parameter of every method that concerns one service.
type NameParams struct {
	Name string `json:"name"`
}

// StartParams is what service.start takes.
type StartParams struct {
	Name string `json:"name"`

	// NoDeps leaves what the service requires and wants alone.
	NoDeps bool `json:"no_deps,omitempty"`
}

// KillParams is what service.kill takes. Signal is a name or number; "" means
// SIGTERM.
type KillParams struct {
	Name   string `json:"name"`
	Signal string `json:"signal,omitempty"`
}

// LogsParams is what logs.get takes. Lines counts from the end.
type LogsParams struct {
	Name  string `json:"name,omitempty"`
	Lines int64  `json:"lines"`
}

// WaitParams is what service.wait takes: it answers when every service has
// reached the state (one of the seven, or "up": others may rely on it, or "down":
// it has no process and none is about to start), or when TimeoutMs has passed (0:
// no limit but that the client hangs up). With Settle it also answers when one of
// them cannot get there without somebody's help.
type WaitParams struct {
	Names     []string `json:"names"`
	Settle    bool     `json:"settle,omitempty"`
	State     string   `json:"state"`
	TimeoutMs int64    `json:"timeout_ms"`
}

// The names of the methods of the last releases of zinit 0.2 that the client of this
// package calls.
const (
	MethodLegacyList    = "service_list"
	MethodLegacyStatus  = "service_status"
	MethodLegacyMonitor = "service_monitor"
	MethodLegacyForget  = "service_forget"
	MethodLegacyLines   = "stream_currentLogs"
	MethodLegacyFollow  = "stream_subscribeLogs"
)

// Null is a result that says nothing but that it is done, as zinit 0.2 has it.
type Null struct{}

// MarshalJSON is part of encoding/json.
func (Null) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// LegacySubscription is a notification of stream_subscribeLogs: one line.
type LegacySubscription struct {
	Result       string `json:"result" doc:"a line of the log of zinit 0.2"`
	Subscription string `json:"subscription" doc:"what the subscription was answered with"`
}
