package pid1

import (
	"errors"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"zinit/reap"
)

// A binary is what servers are started from: the file that is at the path of this
// program now, which an upgrade may have put there, or, where that cannot be executed
// or has failed, the one that proved itself last, or the one that this process runs.
//
// Nothing is called while start is under way.
type binary struct {
	path string
	kept []string // paths of the file that this process runs

	proven *image // servers of it were ready; nil before the first
	tried  *image // started from path last, if that was not the proven one
	trying bool   // the last server was of tried
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
	b.kept = append(b.kept, pathsOf(fd)...)
	return b
}

func pathsOf(fd int) []string {
	number := strconv.Itoa(fd)
	return []string{"/proc/self/fd/" + number, "/dev/fd/" + number}
}

// start calls fork with one path after the other, until the error is not for the
// file's sake. With back, the file at the path is passed over if it is the one that
// was tried last. fresh tells that the server is of another program than the proven
// one.
func (b *binary) start(back bool, fork func(path string) (int, error), log func(format string, args ...any)) (pid int, fresh bool, err error) {
	b.trying = false
	now := openImage(b.path)
	if back && b.proven != nil && now.same(b.tried) {
		now.close()
		for _, path := range b.provenPaths() {
			if pid, err = fork(path); !unusable(err) {
				return pid, false, err
			}
		}
		log("cannot start the program that proved itself last: %v", err)
		now = openImage(b.path)
	}
	pid, first := fork(b.path)
	if first == nil {
		return pid, b.startedFrom(now), nil
	}
	now.close()
	err = first
	for _, path := range append(b.provenPaths(), b.kept...) {
		if !unusable(err) {
			return pid, false, err
		}
		if pid, err = fork(path); err == nil {
			log("%v: started from the file that the keeper itself runs", first)
		}
	}
	if unusable(err) {
		return 0, false, first // the others are of no interest to anybody
	}
	return pid, false, err
}

// startedFrom notes what was at the path when it was executed.
func (b *binary) startedFrom(now *image) (fresh bool) {
	b.tried.close()
	b.tried = nil
	after := openImage(b.path)
	defer after.close()
	if now.same(b.proven) && now.same(after) {
		now.close()
		return false
	}
	if now.same(after) {
		b.tried, b.trying = now, true
	} else {
		now.close() // it was replaced meanwhile; which of the two was it?
	}
	return b.proven != nil
}

// prove notes that a server of the program that was started last works.
func (b *binary) prove() {
	if b.trying {
		b.proven.close()
		b.proven, b.tried, b.trying = b.tried, nil, false
	}
}

// adopt takes what a running server was started from as proven.
func (b *binary) adopt(pid int) {
	if is := openImage("/proc/" + strconv.Itoa(pid) + "/exe"); is != nil {
		b.proven.close()
		b.proven = is
	}
}

// provenPaths lead to the proven program: by its descriptor, or, where there is no
// /proc, by the name under which an upgrade keeps the file that it replaces.
func (b *binary) provenPaths() []string {
	if b.proven == nil {
		return nil
	}
	paths := pathsOf(b.proven.fd)
	name := b.path + ".old"
	old := openImage(name)
	defer old.close()
	if old.same(b.proven) {
		paths = append(paths, name)
	}
	return paths
}

// An image is an executable file that is kept, whatever becomes of its name. nil is
// none.
type image struct {
	fd             int
	dev, ino       uint64
	size           int64
	mtime, mtimeNs int64
}

// openImage needs no permission but to look the name up.
func openImage(path string) *image {
	low, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(low)
	fd, err := unix.FcntlInt(uintptr(low), unix.F_DUPFD_CLOEXEC, keptAbove)
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil
	}
	return &image{fd, uint64(st.Dev), st.Ino, st.Size, int64(st.Mtim.Sec), int64(st.Mtim.Nsec)}
}

func (i *image) same(as *image) bool {
	if i == nil || as == nil {
		return false
	}
	a, b := *i, *as
	a.fd, b.fd = 0, 0
	return a == b
}

func (i *image) close() {
	if i != nil {
		unix.Close(i.fd)
	}
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
