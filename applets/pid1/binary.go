package pid1

import (
	"errors"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"zinit/reap"
)

// A binary is what servers are started from: the file that is at the path of this
// program now, which an upgrade may have put there, or, where that cannot be
// executed, the file that this process runs.
type binary struct {
	path string
	kept []string // paths of the file that this process runs
}

// keptAbove is beyond the numbers that a child's own descriptors get, and low
// enough not to make the table that each fork copies larger.
const keptAbove = 32

// thisBinary is to be called at the start, before anything can replace the file. The
// descriptor that it opens is kept for the life of this process.
func thisBinary() *binary {
	b := &binary{path: "/proc/self/exe", kept: []string{"/proc/self/exe"}}
	file, path, err := reap.Self()
	if err != nil {
		return b // what is left is /proc, should it appear
	}
	defer file.Close()
	b.path = path
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, keptAbove)
	if err != nil {
		return b
	}
	number := strconv.Itoa(fd)
	b.kept = append(b.kept, "/proc/self/fd/"+number, "/dev/fd/"+number)
	return b
}

// start calls fork with one path after the other, until the error is not for the
// file's sake.
func (b *binary) start(fork func(path string) (int, error), log func(format string, args ...any)) (pid int, err error) {
	pid, first := fork(b.path)
	err = first
	for _, path := range b.kept {
		if !unusable(err) {
			return pid, err
		}
		if pid, err = fork(path); err == nil {
			log("%v: started from the file that the keeper itself runs", first)
		}
	}
	if unusable(err) {
		return 0, first // the others are of no interest to anybody
	}
	return pid, err
}

// unusable reports whether a file is missing or is nothing that can be executed,
// be it because it is being replaced just now.
func unusable(err error) bool {
	for _, errno := range []syscall.Errno{unix.ENOENT, unix.ENOTDIR, unix.EACCES, unix.ENOEXEC, unix.ETXTBSY, unix.ELIBBAD, unix.ESTALE, unix.EIO} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
