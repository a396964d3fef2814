package config

import (
	"syscall"
	"time"
)

// A Service is one service or target as every dialect describes it. A Service in
// hand is valid and is never changed: what is not allowed was refused when it was
// loaded. Units are in the types; nothing downstream knows a dialect.
type Service struct {
	Name        string
	Target      bool     // a [target]: a name for its dependencies, without a process
	Source      string   // the file it came from; empty when it has none
	Digest      [32]byte // of the text of Source and the defaults it takes, to see whether they changed
	Description string   // for people

	Type            Type
	Exec            string    // as written
	Command         Command   // Exec, split; for targets the zero Command
	Dir             string    // working directory; empty = the server's own
	Env             []string  // KEY=VALUE, sorted by key, to be added to the environment
	EnvFiles        []EnvFile // read at each start, in this order; Env wins over them
	InheritEnv      bool      // of the server; false: only PATH, HOME, USER, LOGNAME and SHELL
	Stdin           string    // empty: /dev/null; [StdinTTY]: TTY; otherwise an absolute path
	TTY             string    // absolute path of the controlling terminal; empty: none. Stdin is StdinTTY then
	NotifyFD        int       // of simple: the descriptor that gets a line when it is ready; 0: none
	NotifyAccess    NotifyAccess
	Watchdog        time.Duration // of notify: how often it must say that it lives; 0: never
	PidFile         string        // of forking: absolute path; empty: the child that survives is the main process
	RemainAfterExit bool          // of oneshot: it counts as running when it has ended well
	Main            bool          // its end for good is the end of the container
	Identity        Identity
	Setup           Setup
	Hooks           Hooks
	ReloadSignal    syscall.Signal // to the main process, when Hooks.Reload is empty
	SuccessStatus   Statuses       // ends that are as good as code 0
	PreventStatus   Statuses       // ends after which it is never restarted
	Limits          Limits
	RequiresLimits  bool // it does not start when a limit cannot be put in force

	Status         StartStatus
	Class          Class
	Critical       bool
	Ports          []uint16
	KillOthers     bool
	ProcessFilters []string

	Requires, After, Wants, Conflicts []string
	Awaits                            []string // must be satisfied to start; an unknown name blocks, and nothing goes down with it

	Lifecycle Lifecycle
	Health    *Health // nil: no health check
	Logging   Logging
	Timer     *Timer   // nil: nothing starts it by itself
	Sockets   []Socket // what it is given to listen on, table by table; none: it opens its own
}

// Oneshot reports that the service does its work and ends.
func (s *Service) Oneshot() bool { return s.Type == TypeOneshot }

// Type is the `type` key: how a service begins to be up, and what its process is.
type Type uint8

const (
	TypeSimple  Type = iota // up when its process runs
	TypeForking             // up when the process has ended well and left a daemon behind
	TypeOneshot             // does its work and ends
	TypeNotify              // up when it says so
	TypeIdle                // as simple; started when nothing else is starting
)

// String is the word of the key.
func (t Type) String() string { return typeWords[t] }

// NotifyAccess is the `notify_access` key: whose notifications count.
type NotifyAccess uint8

const (
	NotifyAll  NotifyAccess = iota // those of all processes of the service
	NotifyMain                     // those of the main process
)

// A Command is a command line, ready to be executed.
type Command struct {
	// Argv is the words to execute directly. With Shell it is
	// ["/bin/sh", "-c", LINE].
	Argv []string
	// Shell says that the line needs a shell, and ShellWhy names what needs it
	// ("the pipe |", "the variable $HOME").
	Shell    bool
	ShellWhy string
}

// StartStatus is the `status` key: what boot and reload do with the service.
type StartStatus uint8

const (
	StatusStart  StartStatus = iota // start it and keep it up
	StatusStop                      // leave it down until somebody starts it
	StatusIgnore                    // as stop; never restarted, not touched by bulk commands
)

// Class is the `class` key.
type Class uint8

const (
	ClassUser   Class = iota // touched by bulk commands
	ClassSystem              // protected from them
)

// RestartPolicy is the `restart` key.
type RestartPolicy uint8

const (
	RestartOnFailure RestartPolicy = iota // exit code other than 0, or a signal
	RestartAlways                         // any end that nobody asked for
	RestartNever
	RestartOnSuccess  // exit code 0, or another end that counts as good
	RestartOnAbnormal // a signal, a timeout, the watchdog
)

// KillMode is the `kill_mode` key: whom the stop signal and SIGKILL reach.
type KillMode uint8

const (
	KillGroup   KillMode = iota // stop signal and SIGKILL to the process group
	KillMixed                   // stop signal to the main process, SIGKILL to all
	KillProcess                 // main process only
	KillCgroup                  // signal to all processes of the service
)

// Lifecycle is the [lifecycle] table.
type Lifecycle struct {
	Restart RestartPolicy
	// RestartExplicit: this is a oneshot and its file names the policy. It is
	// retried only then. False for all others.
	RestartExplicit bool
	RestartDelay    time.Duration // 0: at once
	RestartDelayMax time.Duration
	MaxRestarts     int // 0: unlimited
	StabilityPeriod time.Duration
	StartTimeout    time.Duration
	StopTimeout     time.Duration
	StopSignal      syscall.Signal
	KillMode        KillMode
	HookTimeout     time.Duration // of each command of Hooks
}

// ProbeKind is the `type` of a health check.
type ProbeKind uint8

const (
	ProbeTCP ProbeKind = iota
	ProbeHTTP
	ProbeExec
)

// Health is the [health] table.
type Health struct {
	Kind         ProbeKind
	Target       string  // host:port, URL, or command line
	Command      Command // of ProbeExec
	ExpectStatus int     // of ProbeHTTP
	Interval     time.Duration
	Timeout      time.Duration
	Retries      int
	StartPeriod  time.Duration
	// ReportOnly: on_unhealthy = "report": show it, restart nothing.
	ReportOnly bool
	// Once: nothing is checked any more after the first pass of a run.
	Once bool
}

// Logging is the [logging] table.
type Logging struct {
	BufferLines int   // what `logs` returns at most
	BufferBytes int64 // cap of the store

	Chosen               bool // the file says by `log` which of the following there are
	Stdout, Ring, Syslog bool // sinks beside the store
	None                 bool // what it writes is dropped; none of the others is set then
	MarkStarts           bool // a line stands before the output of each run

	File     string
	FileMax  int64         // bytes, with which it is rotated; 0: whatever its size
	FileAge  time.Duration // with which it is rotated; 0: whatever its age
	FileKeep int           // how many old ones stay, 1 or more
	Compress bool          // the old ones
	Rate     int           // lines a second; 0: unlimited

	Forward string // accepted for files of the original; has no effect
}
