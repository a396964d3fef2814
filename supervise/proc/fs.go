package proc

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrNoProc is the error of every function where /proc is missing, or is that of
// another pid namespace. Its text names the next step.
var ErrNoProc = errors.New("needs /proc, which is not there: mount -t proc proc /proc")

// ErrGone is the error of those that ask for one process: there is no such
// process, or no longer.
var ErrGone = errors.New("no such process")

// An FS is a mounted proc file system. The zero value is /proc.
type FS struct {
	Root string // where it is mounted; "" is /proc
}

func (fs FS) path(name string) string {
	if fs.Root == "" {
		return "/proc/" + name
	}
	return fs.Root + "/" + name
}

// check refuses what is no proc file system, or not ours: where self is another
// pid than our own, all pids are those of another namespace.
func (fs FS) check() error {
	self, err := os.Readlink(fs.path("self"))
	if err != nil || self != strconv.Itoa(os.Getpid()) {
		return ErrNoProc
	}
	return nil
}

// Read returns the process that has this pid now: ErrGone when there is none.
func (fs FS) Read(pid int) (Process, error) {
	return fs.Lookup(pid, 0)
}

// Lookup returns the process of this pid and start time (see Process.Start):
// ErrGone when it has ended, whoever has its pid now. A start of 0 is one that is
// not known: the pid alone has to do.
func (fs FS) Lookup(pid int, start uint64) (Process, error) {
	if err := fs.check(); err != nil {
		return Process{}, err
	}
	p, err := fs.read(pid)
	if err == nil && !p.Is(pid, start) {
		err = ErrGone
	}
	if err != nil {
		return Process{}, fmt.Errorf("cannot read process %d: %w", pid, err)
	}
	return p, nil
}

// All returns every process that this one may see, by pid. They are read one
// after the other, so they may be of slightly different moments. An error means
// that the list would not be whole.
func (fs FS) All() ([]Process, error) {
	if err := fs.check(); err != nil {
		return nil, err
	}
	pids, err := fs.pids()
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	all := make([]Process, 0, len(pids))
	for _, pid := range pids {
		p, err := fs.read(pid)
		switch {
		case err == nil:
			all = append(all, p)
		case errors.Is(err, ErrGone), errors.Is(err, os.ErrPermission):
			// It ended meanwhile, or is hidden from us (mount option hidepid).
		default:
			return nil, fmt.Errorf("cannot read process %d: %w", pid, err)
		}
	}
	return all, nil
}

// Descendants returns the children of a process, their children and so on, in the
// order of Tree.Descendants; none when there is no such process.
func (fs FS) Descendants(pid int) ([]Process, error) {
	all, err := fs.All()
	if err != nil {
		return nil, err
	}
	return NewTree(all).Descendants(pid), nil
}

// pids lists the processes: threads have directories too, which are not listed.
func (fs FS) pids() ([]int, error) {
	dir, err := os.Open(fs.path(""))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// statSize is more than the longest line: a name of 64 bytes and 52 numbers.
const statSize = 2048

// read uses plain system calls: with os.ReadFile it takes twice as long.
func (fs FS) read(pid int) (Process, error) {
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Open(fs.path(strconv.Itoa(pid)+"/stat"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return Process{}, gone(err)
	}
	defer unix.Close(fd)
	var line [statSize]byte
	n, err := ignoringEINTR(func() (int, error) { return unix.Read(fd, line[:]) })
	if err != nil {
		return Process{}, gone(err)
	}
	return parseStat(line[:n])
}

// gone translates how the kernel says that a process has ended: before its file
// is opened, and between that and the reading.
func gone(err error) error {
	if err == unix.ENOENT || err == unix.ESRCH {
		return ErrGone
	}
	return err
}

func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}
