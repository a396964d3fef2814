package sock

import "encoding/json"

// SetParams is what service.set and service.add take. Config is the shape of
// ServiceConfig; Persist false keeps it out of the configuration directory: it is
// gone after a reboot. Nil means that it is written.
type SetParams struct {
	Config  json.RawMessage `json:"config"`
	Persist *bool           `json:"persist,omitempty"`
}

// SetResult is the result of service.set, add, monitor and register. Path is the
// file that was written, left out when there is none; Warnings never is null.
type SetResult struct {
	Name     string `json:"name"`
	Path     string `json:"path,omitempty"`
	Warnings Names  `json:"warnings"`
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
	Changed Names `json:"changed"`
	// ConfigErrors pairs each service that lacks something it requires with that.
	ConfigErrors [][2]string `json:"config_errors"`
	DryRun       bool        `json:"dry_run"`
	// Failed are services that cannot be up any more, with the reason: a lost
	// requirement, a file that is wrong.
	Failed    []NamedText `json:"failed"`
	Problems  []string    `json:"problems"` // of all files, as zinit check prints them
	Removed   Names       `json:"removed"`
	Restarted Names       `json:"restarted"` // go down and come up again
	Started   Names       `json:"started"`   // come up because of it
	Stopped   Names       `json:"stopped"`   // go down because of it
	// RestartToApply run on with what they were started with.
	RestartToApply Names `json:"restart_to_apply"`
}

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
		Started Names `json:"started"`
	}
	StoppedResult struct {
		Count   int   `json:"count"`
		Stopped Names `json:"stopped"`
	}
	DeletedResult struct {
		Count   int   `json:"count"`
		Deleted Names `json:"deleted"`
	}
)

// Stats is the result of service.stats: of the main process; zeros when there is
// none, or when /proc is missing. CPUPercent is the share of one processor since
// the process started, times 100.
type Stats struct {
	CPUPercent  float64 `json:"cpu_percent"`
	MemoryBytes int64   `json:"memory_bytes"`
	PID         int     `json:"pid"`
}

// Children is the result of service.children: all descendants of the main
// process, the highest pid first.
type Children struct {
	Children []Child `json:"children"`
}

// Child is one process of Children.
type Child struct {
	MemoryBytes int64  `json:"memory_bytes"`
	Name        string `json:"name"`
	PID         int    `json:"pid"`
}

// Output is the result of debug.state and debug.process_tree.
type Output struct {
	Output string `json:"output"`
}
