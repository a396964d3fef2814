package proc

import (
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is what /proc/PID/stat says of a process at one moment.
type Process struct {
	Pid, Ppid int
	// Name is the name of the program, or what the process calls itself: any
	// bytes but 0, at most 15 (more for threads of the kernel).
	Name  string
	State byte // as in ps: R, S, D, Z, T, t, X, I
	// Start is when it was started, in clock ticks since boot; with the pid it
	// tells a process from any other. reap.StartTime is the same number.
	Start uint64
	RSS   int64         // memory that it has in RAM, shared pages included, in bytes
	CPU   time.Duration // that its threads have used, in user mode and in the kernel
	// Session and Group are pids of their leaders; 0 for threads of the kernel, and
	// for a leader that the pid namespace does not show, as a container often has it.
	Session, Group int
	Threads        int
	// Kernel says that it is a thread of the kernel, which has no program.
	Kernel bool
}

// Is reports whether it is the process of this pid and start time; a start of 0
// is one that is not known, and is that of any process.
func (p Process) Is(pid int, start uint64) bool {
	return p.Pid == pid && (start == 0 || p.Start == start)
}

// StateWord is the state for people.
func (p Process) StateWord() string {
	switch p.State {
	case 'R':
		return "running"
	case 'S':
		return "sleeping"
	case 'D':
		return "disk sleep"
	case 'Z':
		return "zombie"
	case 'T', 't':
		return "stopped"
	case 'X', 'x':
		return "dead"
	}
	return "unknown"
}

// CPUPercent is how much of one processor p has used on average since it was
// started, times 100; more than 100 when several threads work at once. It counts
// in ticks of usually 10 ms, so of what is younger than that it says 0.
func CPUPercent(p Process) float64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return 0
	}
	return percent(p, time.Duration(now.Nano()))
}

func percent(p Process, sinceBoot time.Duration) float64 {
	age := sinceBoot - ticks(p.Start)
	if age <= 0 || p.CPU <= 0 {
		return 0
	}
	return 100 * float64(p.CPU) / float64(age)
}

// userHZ is how many clock ticks a second has in what the kernel tells programs,
// whatever it uses itself: it is part of the binary interface, and the same on all
// architectures that Go knows.
const userHZ = 100

// ticks turns clock ticks into a duration, the longest there is when they are too
// many.
func ticks(n uint64) time.Duration {
	const tick = time.Second / userHZ
	if n > math.MaxInt64/uint64(tick) {
		return math.MaxInt64
	}
	return time.Duration(n) * tick
}

// sum is a + b, the longest duration when that is too long.
func sum(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// pages turns pages of memory into bytes, none for nonsense.
func pages(n uint64) int64 {
	size := uint64(os.Getpagesize())
	if n > math.MaxInt64/size {
		return 0
	}
	return int64(n * size)
}
