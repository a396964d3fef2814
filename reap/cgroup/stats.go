package cgroup

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Unknown is a figure that the kernel does not give for a group.
const Unknown = -1

// Stats is what the processes of a group have used, those that ended included.
type Stats struct {
	CPU           time.Duration // all CPUs together; Unknown
	MemoryCurrent int64         // bytes, page cache included; Unknown
	MemoryPeak    int64         // the most there ever was; Unknown (before 5.19)
	Tasks         int64         // processes and threads; Unknown
	OOMKills      int64         // processes that the kernel has killed for want of memory; Unknown
}

// ReadStats measures a group. A group that is not there has only unknown figures.
func ReadStats(dir string) Stats {
	s := Stats{CPU: Unknown}
	if text, err := read(filepath.Join(dir, "cpu.stat")); err == nil {
		if us, ok := value(text, "usage_usec"); ok {
			s.CPU = time.Duration(us) * time.Microsecond
		}
	}
	s.MemoryCurrent = number(dir, "memory.current")
	s.MemoryPeak = number(dir, "memory.peak")
	s.Tasks = number(dir, "pids.current")
	if s.Tasks == Unknown {
		s.Tasks = threads(dir, maxDepth)
	}
	s.OOMKills = OOMKills(dir)
	return s
}

// OOMKills is how many processes of a group the kernel has killed for want of memory,
// ever; Unknown where nobody counts them.
func OOMKills(dir string) int64 {
	text, err := readShort(filepath.Join(dir, "memory.events"))
	if err != nil {
		return Unknown
	}
	n, ok := value(text, "oom_kill")
	if !ok {
		return Unknown
	}
	return int64(n)
}

func number(dir, file string) int64 {
	text, err := read(filepath.Join(dir, file))
	if err != nil {
		return Unknown
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return Unknown
	}
	return n
}

// threads counts them, for a layout without the pids controller.
func threads(dir string, depth int) int64 {
	text, err := read(filepath.Join(dir, "cgroup.threads"))
	if err != nil {
		return Unknown
	}
	n := int64(strings.Count(text, "\n"))
	if depth > 0 {
		for _, below := range groupsBelow(dir) {
			n += max(threads(below, depth-1), 0)
		}
	}
	return n
}
