package config

import (
	"os"
	"syscall"
)

// holdStill keeps a file from being changed until it is closed: whoever opens it
// for writing meanwhile waits for that. False: somebody has done so already. Where
// that cannot be known (not every file system can tell, and files of others cannot
// be held) it is true all the same.
//
// The kernel tells the holder of somebody who waits by SIGIO, which Go programs
// ignore.
func holdStill(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return true
	}
	const setLease = 1024 // F_SETLEASE
	var errno syscall.Errno
	err = conn.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, setLease, syscall.F_RDLCK)
	})
	return err != nil || errno != syscall.EAGAIN
}
