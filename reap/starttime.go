package reap

import (
	"bytes"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// auxClockTick is the key of the kernel's USER_HZ in the auxiliary vector.
const auxClockTick = 17

// A startClock tells when a process started, in the ticks of /proc/PID/stat. The
// kernel takes the time inside fork, so when the tick did not change from before
// the fork to after it, that tick is the answer and /proc need not be read (three
// system calls per spawn) nor be there at all.
type startClock struct {
	tick  int64        // nanoseconds
	trust atomic.Int32 // 0: not compared with /proc yet, 1: agrees, -1: does not
}

func newStartClock() *startClock {
	hz := int64(100)
	if aux, err := unix.Auxv(); err == nil {
		for _, pair := range aux {
			if pair[0] == auxClockTick && pair[1] > 0 {
				hz = int64(pair[1])
			}
		}
	}
	return &startClock{tick: 1e9 / hz}
}

// now is the current tick since boot; 0 when the kernel does not say.
func (c *startClock) now() uint64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return uint64(ts.Nano() / c.tick)
}

// moment turns a start time into a moment; zero when it is not known.
func (c *startClock) moment(start uint64) time.Time {
	now := c.now()
	if start == 0 || now < start {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(int64(now-start) * c.tick))
}

// of is the start time of a process that was forked after now answered before.
func (c *startClock) of(pid int, before uint64) uint64 {
	after := c.now()
	if before == after && after != 0 && c.trust.Load() > 0 {
		return after
	}
	start, err := StartTime(pid)
	if err != nil {
		if before == after && c.trust.Load() == 0 {
			return after // no /proc: the clock is all there is
		}
		return 0
	}
	if before == after && c.trust.Load() == 0 {
		c.trust.Store(-1)
		if start == after {
			c.trust.Store(1)
		}
	}
	return start
}

// StartTime is the start time of a process in clock ticks since boot, as
// /proc/PID/stat has it; with the pid it tells a process from a later one of the
// same number.
func StartTime(pid int) (uint64, error) {
	_, start, err := Origin(pid)
	return start, err
}

// Origin is the parent of a process and its start time (see StartTime), both of
// the same moment.
func Origin(pid int) (parent int, start uint64, err error) {
	// All of it on the stack: it is asked for each orphan.
	var buf [1024]byte
	path := append(strconv.AppendInt(append(buf[:0], "/proc/"...), int64(pid), 10), "/stat\x00"...)
	fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, atCwd, uintptr(unsafe.Pointer(&path[0])), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		return 0, 0, errno
	}
	n, _, errno := unix.Syscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	_, _, _ = unix.Syscall(unix.SYS_CLOSE, fd, 0, 0) // nothing was written
	if errno != 0 {
		return 0, 0, errno
	}
	return parseStat(buf[:n])
}

// atCwd is AT_FDCWD, which a constant of type uintptr cannot be.
const atCwd = ^uintptr(99)

// parseStat finds fields 4 and 22; the name in field 2 may hold anything, so the
// fields count from the last parenthesis.
func parseStat(stat []byte) (parent int, start uint64, err error) {
	rest := stat[bytes.LastIndexByte(stat, ')')+1:]
	for field := 3; ; field++ {
		rest = bytes.TrimLeft(rest, " ")
		end := bytes.IndexByte(rest, ' ')
		if end < 0 {
			return 0, 0, unix.EINVAL
		}
		switch field {
		case 4:
			if parent, err = strconv.Atoi(string(rest[:end])); err != nil {
				return 0, 0, err
			}
		case 22:
			start, err = strconv.ParseUint(string(rest[:end]), 10, 64)
			return parent, start, err
		}
		rest = rest[end:]
	}
}
