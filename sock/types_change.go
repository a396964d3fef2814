package sock

import "encoding/json"

// SetParams is what service.set and service.add take. Config is the shape of
// ServiceConfig; Persist false keeps it out of the configuration directory: it is
// gone after a reboot. Nil means that it is written. Exact says that what Config leaves
// out has its default, even if it has no key but those of zinit 0.3.9: otherwise such a
// one leaves alone what the service has beyond these.
type SetParams struct {
	Config  json.RawMessage `json:"config"`
	Exact   bool            `json:"exact,omitempty"`
	Persist *bool           `json:"persist,omitempty"`
}

// SetResult is the result of service.set, add, monitor and register. Path is the
// file that was written, left out when there is none; Warnings never is null.
type SetResult struct {
	Name     string `json:"name"`
	Path     string `json:"path,omitempty" doc:"the file that was written"`
	Warnings Names  `json:"warnings" doc:"what was understood otherwise than it may have been meant"`
}

// DeleteParams is what service.delete takes. With Cascade those that require the
// service are stopped first and fail for the lack of it; without, it is refused.
type DeleteParams struct {
	Name    string `json:"name"`
	Cascade bool   `json:"cascade,omitempty"`
}

// ReloadParams is what service.reload takes. Name: only this service, which is
// restarted when it must be; "": all. With DryRun nothing happens, and the result
// is what would.
type ReloadParams struct {
	Name   string `json:"name,omitempty"`
	DryRun bool   `json:"dry_run,omitempty"`
}

// ReloadResult is what a reload does to the services, by name. Added to Changed
// and ConfigErrors are as in the SDK of zinit 0.3.9, the rest is ours; keys are
// always present.
type ReloadResult struct {
	Added   Names `json:"added"`
	Changed Names `json:"changed" doc:"their configuration is another one"`
	// ConfigErrors pairs each service that lacks something it requires with that.
	ConfigErrors [][2]string `json:"config_errors" doc:"each service that requires what does not exist, with that"`
	DryRun       bool        `json:"dry_run" doc:"nothing was done"`
	// Failed are services that cannot be up any more, with the reason: a lost
	// requirement, a file that is wrong.
	Failed    []NamedText `json:"failed" doc:"cannot be up any more, with the reason"`
	Problems  []string    `json:"problems" doc:"of all files, as zinit check prints them"`
	Proxies   []NamedText `json:"proxies" doc:"each proxy that is added, changed or removed, with that word"`
	Removed   Names       `json:"removed"`
	Restarted Names       `json:"restarted" doc:"go down and come up again"`
	// Sockets are opened at once; those of a service that is up are closed at its next
	// start.
	Sockets []NamedText `json:"sockets" doc:"what is opened and closed for a service"`
	Started Names       `json:"started" doc:"come up because of it"`
	Stopped Names       `json:"stopped" doc:"go down because of it"`
	// RestartToApply run on with what they were started with.
	RestartToApply Names `json:"restart_to_apply" doc:"run on with what they were started with"`
}

// What a reload does to a proxy.
const (
	ProxyAdded   = "added"
	ProxyChanged = "changed"
	ProxyRemoved = "removed"
)

// NamedText is a service and something to say about it.
type NamedText struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Started is the result of service.start_all, Stopped of stop_all, Deleted of
// delete_all: the services of class user that it concerned, in load order.
type (
	StartedResult struct {
		Count   int   `json:"count"`
		Started Names `json:"started" doc:"in load order"`
	}
	StoppedResult struct {
		Count   int   `json:"count"`
		Stopped Names `json:"stopped" doc:"in load order"`
	}
	DeletedResult struct {
		Count   int   `json:"count"`
		Deleted Names `json:"deleted" doc:"in load order"`
	}
)

// Stats is the result of service.stats. Usage is of all processes of the service;
// the others, as in zinit 0.3.9, are of the main process: zeros when there is
// none. CPUPercent is the share of one processor since the process started, times
// 100. Without /proc the call is refused, as service.children and
// debug.process_tree are: WordNoProc.
type Stats struct {
	CPUPercent  float64 `json:"cpu_percent" doc:"of one processor, by the main process since it started"`
	MemoryBytes int64   `json:"memory_bytes" doc:"that the main process has resident"`
	PID         int     `json:"pid" doc:"0 when there is no process"`
	Usage       *Usage  `json:"usage,omitempty" doc:"of all processes of the service"`
}

// Children is the result of service.children: all descendants of the main
// process, the highest pid first.
type Children struct {
	Children []Child `json:"children"`
}

// Child is one process of Children.
type Child struct {
	MemoryBytes int64  `json:"memory_bytes" doc:"resident"`
	Name        string `json:"name" doc:"of the program, as the kernel knows it"`
	PID         int    `json:"pid"`
}

// Output is the result of debug.state and debug.process_tree.
type Output struct {
	Output string `json:"output" doc:"for people, several lines"`
}
