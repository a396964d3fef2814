package reap

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Monotonic is the time of the kernel's monotonic clock, in nanoseconds: the same
// for every process until the next boot, and it does not jump. 0 when the kernel
// does not say.
func Monotonic() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return ts.Nano()
}

// MemoryFile makes a file that has no place in any file system. Whoever keeps it
// (see Client.Keep) hands it to the next server.
func MemoryFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make a memory file: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
