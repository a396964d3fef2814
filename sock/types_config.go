package sock

// ServiceConfig is what service.get returns and service.set takes. Absent
// optional parts are null in what the server sends; what is left out of what it
// is sent has its default.
type ServiceConfig struct {
	Dependencies Dependencies `json:"dependencies"`
	Health       *Health      `json:"health"`
	Lifecycle    Lifecycle    `json:"lifecycle"`
	Logging      Logging      `json:"logging"`
	Service      Service      `json:"service"`
}

// Configured is the result of service.get: the configuration of a service, or of
// a target, of which only Name is known.
type Configured struct {
	ServiceConfig
	IsTarget bool   `json:"is_target,omitempty"`
	Name     string `json:"name,omitempty"` // of a target
}

// Service is the part of a ServiceConfig that says what is run.
type Service struct {
	Class          string            `json:"class,omitempty"`
	Critical       bool              `json:"critical"`
	Dir            *string           `json:"dir"`
	Env            map[string]string `json:"env,omitempty"`
	Exec           string            `json:"exec"`
	KillOthers     bool              `json:"kill_others"`
	Name           string            `json:"name"`
	Oneshot        bool              `json:"oneshot"`
	Ports          []uint16          `json:"ports,omitempty"`
	ProcessFilters []string          `json:"process_filters,omitempty"`
	Status         string            `json:"status,omitempty"`
}

// Dependencies is the part of a ServiceConfig that orders services.
type Dependencies struct {
	After     Names `json:"after"`
	Conflicts Names `json:"conflicts"`
	Requires  Names `json:"requires"`
	Wants     Names `json:"wants"`
}

// Lifecycle is the part of a ServiceConfig about starts, stops and restarts.
// Pointers are nil for the default.
type Lifecycle struct {
	KillMode          string `json:"kill_mode,omitempty"`
	MaxRestarts       *int64 `json:"max_restarts,omitempty"`
	Restart           string `json:"restart,omitempty"`
	RestartDelayMaxMs *int64 `json:"restart_delay_max_ms,omitempty"`
	RestartDelayMs    *int64 `json:"restart_delay_ms,omitempty"`
	// RestartExplicit says that an "on-failure" is meant for a oneshot too, which
	// is not retried otherwise.
	RestartExplicit   bool   `json:"restart_explicit,omitempty"`
	StabilityPeriodMs *int64 `json:"stability_period_ms,omitempty"`
	StartTimeoutMs    *int64 `json:"start_timeout_ms,omitempty"`
	StopSignal        string `json:"stop_signal,omitempty"`
	StopTimeoutMs     *int64 `json:"stop_timeout_ms,omitempty"`
}

// Health is the health check of a ServiceConfig.
type Health struct {
	ExpectStatus  *int64 `json:"expect_status,omitempty"`
	IntervalMs    *int64 `json:"interval_ms,omitempty"`
	OnUnhealthy   string `json:"on_unhealthy,omitempty"`
	Retries       *int64 `json:"retries,omitempty"`
	StartPeriodMs *int64 `json:"start_period_ms,omitempty"`
	Target        string `json:"target"`
	TimeoutMs     *int64 `json:"timeout_ms,omitempty"`
	Type          string `json:"type"`
}

// Logging is the part of a ServiceConfig about what the service writes.
type Logging struct {
	BufferBytes *int64  `json:"buffer_bytes,omitempty"`
	BufferLines *int64  `json:"buffer_lines,omitempty"`
	File        *string `json:"file"`
	Forward     *string `json:"forward"`
}
