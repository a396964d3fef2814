package cgroup

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Limits is what the processes of a group may use together. What is 0 has no limit.
type Limits struct {
	MemoryMax, MemoryHigh int64 // bytes
	CPUQuota              int64 // thousandths of one CPU
	CPUWeight             int64 // 1 to 10000, 100 is everybody's
	TasksMax              int64
}

// A Refusal is a limit that is not in force.
type Refusal struct {
	Limit string // the name of the field in a configuration: memory_max, …
	Why   string
}

func (r Refusal) String() string { return r.Limit + ": " + r.Why }

// period is the time, in microseconds, in which a quota of CPU time is counted.
const period = 100_000

// SetLimits puts limits in force for a group, and takes back those that were before.
// It says which it could not.
func SetLimits(dir string, l Limits) (refused []Refusal) {
	for _, s := range l.settings() {
		err := write(filepath.Join(dir, s.file), s.text)
		if err == nil || s.unset {
			continue // nobody limits what there is no controller for
		}
		why := err.Error()
		if missing(err) {
			why = fmt.Sprintf("the %s controller is not available in %s", s.controller, filepath.Dir(dir))
		} else if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
			why = "no permission to write " + filepath.Join(dir, s.file)
		}
		refused = append(refused, Refusal{s.name, why})
	}
	return refused
}

type setting struct {
	name, controller, file, text string
	unset                        bool
}

func (l Limits) settings() []setting {
	quota := "max"
	if l.CPUQuota > 0 {
		// The kernel takes no less than a millisecond.
		quota = strconv.FormatInt(max(l.CPUQuota*period/1000, 1000), 10)
	}
	weight := l.CPUWeight
	if weight == 0 {
		weight = 100
	}
	return []setting{
		{"memory_high", "memory", "memory.high", orMax(l.MemoryHigh), l.MemoryHigh == 0},
		{"memory_max", "memory", "memory.max", orMax(l.MemoryMax), l.MemoryMax == 0},
		{"cpu_quota", "cpu", "cpu.max", quota + " " + strconv.Itoa(period), l.CPUQuota == 0},
		{"cpu_weight", "cpu", "cpu.weight", strconv.FormatInt(weight, 10), l.CPUWeight == 0},
		{"tasks_max", "pids", "pids.max", orMax(l.TasksMax), l.TasksMax == 0},
	}
}

func orMax(n int64) string {
	if n == 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}
