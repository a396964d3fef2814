package sock

// ServiceConfig is what service.get returns and service.set takes. Absent
// optional parts are null in what the server sends; what is left out of what it
// is sent has its default.
type ServiceConfig struct {
	Dependencies Dependencies `json:"dependencies"`
	Health       *Health      `json:"health" doc:"null when there is no check"`
	Lifecycle    Lifecycle    `json:"lifecycle"`
	Logging      Logging      `json:"logging"`
	Service      Service      `json:"service"`
}

// Configured is the result of service.get: the configuration of a service, or of
// a target, of which only Name is known.
type Configured struct {
	ServiceConfig
	IsTarget bool   `json:"is_target,omitempty" doc:"it is a target, and has only a name"`
	Name     string `json:"name,omitempty" doc:"of a target"`
}

// Target is what service.get returns for a target.
type Target struct {
	IsTarget bool   `json:"is_target"`
	Name     string `json:"name"`
}

// Service is the part of a ServiceConfig that says what is run.
type Service struct {
	Class          string            `json:"class,omitempty" doc:"user or system"`
	Critical       bool              `json:"critical" doc:"noted for process 1"`
	Dir            *string           `json:"dir" doc:"working directory"`
	Env            map[string]string `json:"env,omitempty" doc:"added to the environment of the server"`
	Exec           string            `json:"exec" doc:"the command line"`
	KillOthers     bool              `json:"kill_others" doc:"processes that are in the way are ended"`
	Name           string            `json:"name"`
	Oneshot        bool              `json:"oneshot" doc:"it is to end, and then counts as up"`
	Ports          []uint16          `json:"ports,omitempty" doc:"that must be free"`
	ProcessFilters []string          `json:"process_filters,omitempty" doc:"names of processes that must not run"`
	Status         string            `json:"status,omitempty" doc:"start, stop or ignore"`
}

// Dependencies is the part of a ServiceConfig that orders services.
type Dependencies struct {
	After     Names `json:"after" doc:"start later, if they start"`
	Conflicts Names `json:"conflicts" doc:"never run at the same time"`
	Requires  Names `json:"requires" doc:"cannot run without"`
	Wants     Names `json:"wants" doc:"start them too, if possible"`
}

// Lifecycle is the part of a ServiceConfig about starts, stops and restarts.
// Pointers are nil for the default.
type Lifecycle struct {
	KillMode          string `json:"kill_mode,omitempty" doc:"group, mixed, process or cgroup"`
	MaxRestarts       *int64 `json:"max_restarts,omitempty" doc:"quick ends in a row until it is given up; 0: never"`
	Restart           string `json:"restart,omitempty" doc:"always, on-failure or never"`
	RestartDelayMaxMs *int64 `json:"restart_delay_max_ms,omitempty" doc:"the back-off doubles up to this"`
	RestartDelayMs    *int64 `json:"restart_delay_ms,omitempty" doc:"the back-off begins with this"`
	// RestartExplicit says that an "on-failure" is meant for a oneshot too, which
	// is not retried otherwise.
	RestartExplicit   bool   `json:"restart_explicit,omitempty" doc:"on-failure is meant for a oneshot, too"`
	StabilityPeriodMs *int64 `json:"stability_period_ms,omitempty" doc:"after this the back-off begins anew"`
	StartTimeoutMs    *int64 `json:"start_timeout_ms,omitempty" doc:"then the start has failed"`
	StopSignal        string `json:"stop_signal,omitempty" doc:"by name or number"`
	StopTimeoutMs     *int64 `json:"stop_timeout_ms,omitempty" doc:"then it is killed"`
}

// Health is the health check of a ServiceConfig.
type Health struct {
	ExpectStatus  *int64 `json:"expect_status,omitempty" doc:"of http"`
	IntervalMs    *int64 `json:"interval_ms,omitempty"`
	OnUnhealthy   string `json:"on_unhealthy,omitempty" doc:"restart or report"`
	Retries       *int64 `json:"retries,omitempty" doc:"failures in a row that make it unhealthy"`
	StartPeriodMs *int64 `json:"start_period_ms,omitempty" doc:"no check before"`
	Target        string `json:"target" doc:"host:port, URL or command line"`
	TimeoutMs     *int64 `json:"timeout_ms,omitempty"`
	Type          string `json:"type" doc:"tcp, http or exec"`
}

// Logging is the part of a ServiceConfig about what the service writes.
type Logging struct {
	BufferBytes *int64  `json:"buffer_bytes,omitempty" doc:"kept at most"`
	BufferLines *int64  `json:"buffer_lines,omitempty" doc:"kept at most"`
	File        *string `json:"file" doc:"written to as well"`
	Forward     *string `json:"forward" doc:"accepted as in zinit 0.3.9"`
}
