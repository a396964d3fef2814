package sock

// Where a figure of a Usage comes from.
const (
	// FromCgroup is exact: it is of all processes of the service, wherever they are.
	FromCgroup = "cgroup"
	// FromProc is a sum of what /proc tells of the processes that are alive now.
	// Memory that they share counts for each.
	FromProc = "proc"
)

// Usage is what all processes of a service use together. A figure that nobody
// knows is left out, as is what is zero; its *From is empty then.
type Usage struct {
	CPUFrom         string `json:"cpu_from,omitempty" enum:"source" doc:"where cpu_usec comes from"`
	CPUUsec         int64  `json:"cpu_usec,omitempty" doc:"processor time in microseconds; of a cgroup: since it was made, earlier runs included"`
	MemoryBytes     int64  `json:"memory_bytes,omitempty" doc:"of a cgroup: page cache included; of /proc: the sum of what each has resident"`
	MemoryFrom      string `json:"memory_from,omitempty" enum:"source" doc:"where memory_bytes comes from"`
	MemoryPeakBytes int64  `json:"memory_peak_bytes,omitempty" doc:"the most there ever was; only of a cgroup"`
	OOMKills        int64  `json:"oom_kills,omitempty" doc:"processes that the kernel killed for want of memory; only of a cgroup"`
	Tasks           int64  `json:"tasks,omitempty" doc:"processes and threads"`
	TasksFrom       string `json:"tasks_from,omitempty" enum:"source" doc:"where tasks comes from"`
}

// Limit is one limit of a service that runs: one that the kernel has put in force,
// or one that is configured and not in force, with the reason.
type Limit struct {
	InForce bool   `json:"in_force"`
	Name    string `json:"name" doc:"of the key in the configuration: memory_max, memory_high, cpu_quota, cpu_weight or tasks_max"`
	Value   int64  `json:"value,omitempty" doc:"that is in force: bytes, thousandths of one CPU, or a number"`
	Why     string `json:"why,omitempty" doc:"it is not in force"`
}

// TimerStatus is a service that a timer starts, an element of the result of
// service.timers. Result is the reason of the service's state, or the state.
type TimerStatus struct {
	LastMs  int64  `json:"last_ms,omitempty" doc:"when the timer last started it, Unix milliseconds"`
	Name    string `json:"name"`
	NextMs  int64  `json:"next_ms,omitempty" doc:"when the timer starts it next, Unix milliseconds"`
	Off     bool   `json:"off,omitempty" doc:"it was stopped by hand: the timer starts it again only after somebody has started it"`
	Result  string `json:"result" doc:"how it is, or how it ended"`
	Skipped int64  `json:"skipped,omitempty" doc:"starts that were left out because the last run had not ended"`
}
