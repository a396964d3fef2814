package cgroup

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// InForce is the limits of a group as the kernel has them now, whoever set them, and
// a reason for each that cannot be in force because its controller is not there.
func InForce(dir string) (l Limits, cannot []Refusal) {
	for _, s := range (Limits{}).settings() {
		text, err := read(filepath.Join(dir, s.file))
		if err != nil {
			if missing(err) {
				cannot = append(cannot, Refusal{s.name, fmt.Sprintf("the %s controller is not available in %s", s.controller, filepath.Dir(dir))})
			}
			continue
		}
		l.take(s.name, strings.TrimSpace(text))
	}
	return l, cannot
}

// take notes a limit as a file of the kernel has it. What is none stays 0.
func (l *Limits) take(name, text string) {
	first, second, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return // "max", for all but the weight
	}
	switch name {
	case "memory_high":
		l.MemoryHigh = n
	case "memory_max":
		l.MemoryMax = n
	case "tasks_max":
		l.TasksMax = n
	case "cpu_weight":
		if n != 100 {
			l.CPUWeight = n
		}
	case "cpu_quota":
		if every, err := strconv.ParseInt(second, 10, 64); err == nil && every > 0 {
			l.CPUQuota = n * 1000 / every
		}
	}
}
