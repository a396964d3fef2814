package sock

import (
	"encoding/json"
	"strconv"
)

// ServiceConfig is what service.get returns and service.set takes. Absent
// optional parts are null in what the server sends; what is left out of what it
// is sent has its default.
type ServiceConfig struct {
	Dependencies Dependencies `json:"dependencies"`
	Health       *Health      `json:"health" doc:"null when there is no check"`
	Lifecycle    Lifecycle    `json:"lifecycle"`
	Limits       *Limits      `json:"limits,omitempty"`
	Logging      Logging      `json:"logging"`
	// Rlimits has the names of the [rlimits] table: numbers, "unlimited" or
	// "SOFT:HARD".
	Rlimits map[string]Scalar `json:"rlimits,omitempty" doc:"for each process, by name: a number, unlimited, or SOFT:HARD"`
	Service Service           `json:"service"`
	Socket  Sockets           `json:"socket,omitempty" doc:"what is listened on for it: one, or a list of several"`
	Timer   *Timer            `json:"timer,omitempty" doc:"when it is started by itself"`
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
	// Capabilities is nil for all; an empty list is none.
	Capabilities             *[]string         `json:"capabilities,omitempty" doc:"that it keeps; when it is left out: all"`
	Class                    string            `json:"class,omitempty" doc:"user or system"`
	Critical                 bool              `json:"critical" doc:"with --pid1-mode: a failure for good is explained on the console, and an emergency shell is started there"`
	Description              string            `json:"description,omitempty" doc:"for people"`
	Dir                      *string           `json:"dir" doc:"working directory"`
	Env                      map[string]string `json:"env,omitempty" doc:"added to the environment of the server"`
	EnvFile                  []string          `json:"env_file,omitempty" doc:"files of variables; one with - in front may be missing"`
	Exec                     string            `json:"exec" doc:"the command line"`
	ExecReload               []string          `json:"exec_reload,omitempty" doc:"commands; one with - in front may fail"`
	ExecStartPost            []string          `json:"exec_start_post,omitempty" doc:"commands; one with - in front may fail"`
	ExecStartPre             []string          `json:"exec_start_pre,omitempty" doc:"commands; one with - in front may fail"`
	ExecStop                 []string          `json:"exec_stop,omitempty" doc:"commands; one with - in front may fail"`
	ExecStopPost             []string          `json:"exec_stop_post,omitempty" doc:"commands; one with - in front may fail"`
	Group                    string            `json:"group,omitempty" doc:"a name or number"`
	InheritEnv               *bool             `json:"inherit_env,omitempty" doc:"it gets the variables of the server"`
	KillOthers               bool              `json:"kill_others" doc:"processes that are in the way are ended"`
	Main                     bool              `json:"main,omitempty" doc:"its end for good is that of the container"`
	Name                     string            `json:"name"`
	Nice                     *int64            `json:"nice,omitempty" doc:"-20 to 19"`
	NoNewPrivs               bool              `json:"no_new_privs,omitempty" doc:"nothing that it executes gets more rights"`
	NotifyAccess             string            `json:"notify_access,omitempty" doc:"all or main"`
	NotifyFD                 int64             `json:"notify_fd,omitempty" doc:"it writes a line there when it is ready"`
	OOMScoreAdj              *int64            `json:"oom_score_adj,omitempty" doc:"-1000 to 1000"`
	Oneshot                  bool              `json:"oneshot" doc:"it is to end, and then counts as up"`
	PidFile                  string            `json:"pid_file,omitempty" doc:"of a forking service"`
	Ports                    []uint16          `json:"ports,omitempty" doc:"that must be free"`
	ProcessFilters           []string          `json:"process_filters,omitempty" doc:"names of processes that must not run"`
	ReloadSignal             string            `json:"reload_signal,omitempty" doc:"by name or number"`
	RemainAfterExit          bool              `json:"remain_after_exit,omitempty" doc:"a oneshot that has ended well counts as running"`
	RequiresLimits           bool              `json:"requires_limits,omitempty" doc:"it does not start without its limits"`
	RestartPreventExitStatus []Scalar          `json:"restart_prevent_exit_status,omitempty" doc:"codes and signals"`
	Status                   string            `json:"status,omitempty" doc:"start, stop or ignore"`
	Stdin                    string            `json:"stdin,omitempty" doc:"null, tty or a path"`
	SuccessExitStatus        []Scalar          `json:"success_exit_status,omitempty" doc:"codes and signals"`
	SupplementaryGroups      []string          `json:"supplementary_groups,omitempty" doc:"names or numbers"`
	TTY                      string            `json:"tty,omitempty" doc:"the controlling terminal"`
	Type                     string            `json:"type,omitempty" doc:"simple, forking, oneshot, notify or idle"`
	Umask                    string            `json:"umask,omitempty" doc:"octal"`
	User                     string            `json:"user,omitempty" doc:"a name or number"`
	Watchdog                 string            `json:"watchdog,omitempty" doc:"a duration: how often it must say that it lives"`
}

// A Scalar is a number, or a text: "143", "SIGTERM", "512M", "80%". What is all
// digits is a number on the wire.
type Scalar string

// MarshalJSON is part of encoding/json.
func (s Scalar) MarshalJSON() ([]byte, error) {
	if n, err := strconv.ParseInt(string(s), 10, 64); err == nil && strconv.FormatInt(n, 10) == string(s) {
		return []byte(s), nil
	}
	return json.Marshal(string(s))
}

// UnmarshalJSON is part of encoding/json.
func (s *Scalar) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, (*string)(s))
	}
	var n json.Number
	err := json.Unmarshal(text, &n)
	*s = Scalar(n)
	return err
}

// Limits is the part of a ServiceConfig about what all processes of a service use
// together. What is empty has no limit.
type Limits struct {
	CPUQuota   string `json:"cpu_quota,omitempty" doc:"of one CPU, as 80%"`
	CPUWeight  int64  `json:"cpu_weight,omitempty" doc:"1 to 10000"`
	MemoryHigh Scalar `json:"memory_high,omitempty" doc:"bytes, or as 80% of the machine's"`
	MemoryMax  Scalar `json:"memory_max,omitempty" doc:"bytes, or as 80% of the machine's"`
	TasksMax   int64  `json:"tasks_max,omitempty" doc:"processes and threads"`
}

// Timer is the part of a ServiceConfig about when it is started by itself. Times
// are durations such as "1h30m".
type Timer struct {
	Every      string `json:"every,omitempty" doc:"a duration"`
	Jitter     string `json:"jitter,omitempty" doc:"a duration: each start is late by a random part of it"`
	OnBoot     string `json:"on_boot,omitempty" doc:"a duration: once, so long after the start of zinit"`
	OnCalendar string `json:"on_calendar,omitempty" doc:"five fields as cron has them, or @daily"`
	Persistent bool   `json:"persistent,omitempty" doc:"a missed start is made up for"`
}

// Socket is the part of a ServiceConfig about sockets that it is given.
type Socket struct {
	Accept  bool   `json:"accept,omitempty" doc:"a process is started for each connection"`
	Backlog int64  `json:"backlog,omitempty" doc:"connections that wait to be accepted"`
	Group   string `json:"group,omitempty" doc:"of socket files: a name or number"`
	Listen  Names  `json:"listen" doc:"addresses, such as tcp:HOST:PORT and unix:/PATH"`
	// MaxConnections is for all sockets of the service together; 0: 64.
	MaxConnections int64  `json:"max_connections,omitempty" doc:"with accept: processes at a time"`
	Mode           string `json:"mode,omitempty" doc:"of socket files, octal"`
	Name           Names  `json:"name,omitempty" doc:"one for all of them, or one for each"`
	User           string `json:"user,omitempty" doc:"of socket files: a name or number"`
}

// Sockets are those of a service. On the wire one is an object, and several are a list.
type Sockets []Socket

// MarshalJSON implements json.Marshaler.
func (s Sockets) MarshalJSON() ([]byte, error) {
	if len(s) == 1 {
		return json.Marshal(s[0])
	}
	return json.Marshal([]Socket(s))
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Sockets) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '{' {
		*s = Sockets{{}}
		return json.Unmarshal(text, &(*s)[0])
	}
	return json.Unmarshal(text, (*[]Socket)(s))
}

// Dependencies is the part of a ServiceConfig that orders services.
type Dependencies struct {
	After     Names `json:"after" doc:"start later, if they start"`
	Awaits    Names `json:"awaits,omitempty" doc:"start later, and not without them"`
	Conflicts Names `json:"conflicts" doc:"never run at the same time"`
	Requires  Names `json:"requires" doc:"cannot run without"`
	Wants     Names `json:"wants" doc:"start them too, if possible"`
}

// Lifecycle is the part of a ServiceConfig about starts, stops and restarts.
// Pointers are nil for the default.
type Lifecycle struct {
	HookTimeoutMs     *int64 `json:"hook_timeout_ms,omitempty" doc:"of each exec_ command; then it is killed"`
	KillMode          string `json:"kill_mode,omitempty" doc:"group, mixed, process or cgroup"`
	MaxRestarts       *int64 `json:"max_restarts,omitempty" doc:"quick ends in a row until it is given up; 0: never"`
	Restart           string `json:"restart,omitempty" doc:"always, on-failure, on-success, on-abnormal or never; in answers only what zinit 0.3.9 has"`
	RestartDelayMaxMs *int64 `json:"restart_delay_max_ms,omitempty" doc:"the back-off doubles up to this"`
	RestartDelayMs    *int64 `json:"restart_delay_ms,omitempty" doc:"the back-off begins with this"`
	// RestartExplicit says that an "on-failure" is meant for a oneshot too, which
	// is not retried otherwise.
	RestartExplicit   bool   `json:"restart_explicit,omitempty" doc:"on-failure is meant for a oneshot, too"`
	RestartPolicy     string `json:"restart_policy,omitempty" doc:"the policy, where zinit 0.3.9 has no word for it; it wins over restart"`
	StabilityPeriodMs *int64 `json:"stability_period_ms,omitempty" doc:"after this the back-off begins anew"`
	StartTimeoutMs    *int64 `json:"start_timeout_ms,omitempty" doc:"then the start has failed"`
	StopSignal        string `json:"stop_signal,omitempty" doc:"by name or number"`
	StopTimeoutMs     *int64 `json:"stop_timeout_ms,omitempty" doc:"then it is killed"`
}

// Health is the health check of a ServiceConfig.
type Health struct {
	ExpectStatus  *int64 `json:"expect_status,omitempty" doc:"of http"`
	IntervalMs    *int64 `json:"interval_ms,omitempty"`
	Once          bool   `json:"once,omitempty" doc:"nothing is checked after the first pass"`
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
	Compress    bool    `json:"compress,omitempty" doc:"the old files"`
	File        *string `json:"file" doc:"written to as well"`
	FileAge     string  `json:"file_age,omitempty" doc:"a duration, with which the file is rotated"`
	FileKeep    *int64  `json:"file_keep,omitempty" doc:"how many old files stay"`
	FileMax     Scalar  `json:"file_max,omitempty" doc:"bytes, with which the file is rotated"`
	Forward     *string `json:"forward" doc:"accepted as in zinit 0.3.9"`
	Log         Names   `json:"log,omitempty" doc:"store, stdout, ring, syslog or none"`
	MarkStarts  bool    `json:"mark_starts,omitempty" doc:"a line stands before the output of each run"`
	Rate        int64   `json:"rate,omitempty" doc:"lines a second; 0: no limit"`
}
