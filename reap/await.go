package reap

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// AwaitExit calls ended, from a goroutine of its own, when a process that is not a
// child of this one has ended; start is its start time (see StartTime). How it
// ended nobody can tell: only a parent learns that. It is for when the keeper is
// dead.
func AwaitExit(pid int, start uint64, ended func()) {
	fd, err := unix.PidfdOpen(pid, unix.O_NONBLOCK)
	if err == unix.EINVAL { // before 5.10 without the flag
		fd, err = unix.PidfdOpen(pid, 0)
	}
	if err == nil && checkStart(pid, start) != nil {
		unix.Close(fd)
		err = unix.ESRCH
	}
	switch {
	case err == unix.ESRCH:
		go ended()
	case err != nil:
		go watchPid(pid, start, ended)
	default:
		go awaitPidfd(fd, pid, start, ended)
	}
}

// awaitPidfd waits until the descriptor is readable: the process has ended.
func awaitPidfd(fd, pid int, start uint64, ended func()) {
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	raw, err := f.SyscallConn()
	if err == nil {
		err = raw.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			return err != nil && err != unix.EINTR || n > 0
		})
	}
	if err != nil {
		watchPid(pid, start, ended)
		return
	}
	ended()
}

// watchPid looks at a process again and again. A kernel without pidfds has no way
// to tell of the end of somebody else's child.
func watchPid(pid int, start uint64, ended func()) {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for checkStart(pid, start) == nil {
		<-again.C
	}
	ended()
}
