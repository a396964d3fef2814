package reap

import (
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Go raises the limit on descriptors of a process at its start, and gives what it
// executes the one before; package syscall remembers that, but only until an exec
// fails. A limits remembers it from then on.
type limits struct {
	files atomic.Pointer[unix.Rlimit] // nil as long as package syscall knows
}

// execute is execve. It returns only if that fails, and then the limit of this process
// is what it was.
func (l *limits) execute(path string, argv, env []string) error {
	var raised, now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &raised); err != nil {
		return err
	}
	if original := l.files.Load(); original != nil {
		setFiles(0, original)
	}
	err := syscall.Exec(path, argv, env)
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &now) == nil && now != raised {
		l.files.Store(&now)
		setFiles(0, &raised)
	}
	return &os.PathError{Op: "execute", Path: path, Err: err}
}

// give gives a child the limit that package syscall would have given it. What the
// child asks for before that, it is told too high.
func (l *limits) give(pid int) {
	if original := l.files.Load(); original != nil {
		setFiles(pid, original)
	}
}

// setFiles does not go through package syscall, which would forget what it remembers.
// That it fails nobody can help: the process has the limit that it had.
func setFiles(pid int, to *unix.Rlimit) {
	_, _, _ = unix.RawSyscall6(unix.SYS_PRLIMIT64, uintptr(pid), unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(to)), 0, 0, 0)
}
