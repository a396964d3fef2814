package config

// Limits is the [limits] table: what the control group of a service may use.
// What is 0 has no limit.
type Limits struct {
	MemoryMax, MemoryHigh int64 // bytes
	// MemoryMaxPercent and MemoryHighPercent are parts of the machine's memory, 1 to
	// 100, to be resolved at the start. Where one is given, the bytes are 0.
	MemoryMaxPercent, MemoryHighPercent int
	CPUQuota                            int64 // thousandths of one CPU
	CPUWeight                           int64 // 1 to 10000
	TasksMax                            int64
}

// Unlimited is the Soft or Hard of an [Rlimit] that does not limit.
const Unlimited = ^uint64(0)

// An Rlimit is a row of the [rlimits] table.
type Rlimit struct {
	Resource   int    // RLIMIT_*, by its number on Linux
	Soft, Hard uint64 // Soft <= Hard
}
