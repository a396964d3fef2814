package kin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"zinit/supervise"
	"zinit/supervise/config"
)

// A relative is one process of a run, and who has made it.
type relative struct{ pid, parent int }

// A Finder finds the process that a forking service has left to do its work: the one
// that its pid file names, or, of those that are left, the one that was made by none
// of the others.
type Finder struct {
	// left lists the processes of a run whose first one has ended.
	left func(service string, first int) ([]relative, error)
	// wait is how long a pid file may come after that process is gone: some daemons
	// write it only then. It counts only where nothing else tells.
	wait time.Duration
}

// pidFileWait is shorter than the supervisor waits for an answer.
const pidFileWait = 4 * time.Second

// NewFinder looks among a family; known reports a process that the keeper has started
// for somebody.
func NewFinder(of Family, known func(pid int) bool) Finder {
	return Finder{left: kinship{of, known}.left, wait: pidFileWait}
}

// Find implements supervise.Finder: done is called once.
func (f Finder) Find(s *config.Service, _ uint64, first int, note func(string), done func(supervise.Found, error)) {
	go func() { done(f.find(s, first, note)) }()
}

func (f Finder) find(s *config.Service, first int, note func(string)) (supervise.Found, error) {
	if s.PidFile == "" {
		return f.look(s, first)
	}
	// Watched before it is read: what is written in between is noticed.
	changes, err := watchFile(s.PidFile, time.Now().Add(f.wait))
	if err != nil {
		return f.look(s, first)
	}
	defer changes.Close()
	events := make([]byte, 4096)
	for {
		found, why := f.look(s, first)
		if why == nil {
			return found, nil
		}
		note(why.Error())
		if _, err := changes.Read(events); err != nil {
			return supervise.Found{}, why // usually it was waited for long enough
		}
	}
}

// look looks once.
func (f Finder) look(s *config.Service, first int) (supervise.Found, error) {
	pid, fileErr := 0, errors.New("it has no pid_file")
	if s.PidFile != "" {
		pid, fileErr = readPid(s.PidFile)
	}
	left, err := f.left(s.Name, first)
	if err != nil {
		if fileErr == nil {
			return supervise.Found{Pid: pid}, nil // the keeper knows whether it is one of them
		}
		return supervise.Found{}, fmt.Errorf("%w, and its processes cannot be listed: %w", fileErr, err)
	}
	return choose(s.PidFile, pid, fileErr, left)
}

// choose takes the process that the file names if it is left, and otherwise the
// only one that stands for all that are.
func choose(file string, pid int, fileErr error, left []relative) (supervise.Found, error) {
	pids := map[int]bool{}
	for _, r := range left {
		pids[r.pid] = true
	}
	if fileErr == nil && pids[pid] {
		return supervise.Found{Pid: pid}, nil
	}
	odd := ""
	if fileErr == nil {
		odd = fmt.Sprintf("its pid file %s names process %d, which is none of its processes", file, pid)
		fileErr = errors.New(odd)
	}
	var roots []string
	for _, r := range left {
		if !pids[r.parent] {
			pid = r.pid
			roots = append(roots, strconv.Itoa(r.pid))
		}
	}
	switch len(roots) {
	case 0:
		return supervise.Found{}, fmt.Errorf("%w, and no process is left: one that stays in the foreground is of type simple", fileErr)
	case 1:
		if odd != "" {
			odd += fmt.Sprintf(": passed over, %d is taken for the main one", pid)
		}
		return supervise.Found{Pid: pid, Guessed: true, Odd: odd}, nil
	}
	return supervise.Found{}, fmt.Errorf("%w, and it may be any of %s", fileErr, strings.Join(roots, ", "))
}

// longestPidFile is more than any pid takes.
const longestPidFile = 64

// readPid reads a pid file: a number, and nothing else but blanks around it.
func readPid(name string) (int, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0) // it may be a fifo
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("its pid file %s does not exist", name)
		}
		return 0, fmt.Errorf("cannot open its pid file: %w", err)
	}
	defer f.Close()
	text := make([]byte, longestPidFile)
	n, err := f.Read(text)
	if err != nil && n == 0 {
		return 0, fmt.Errorf("cannot read its pid file %s: %w", name, err)
	}
	pid, err := strconv.ParseInt(strings.TrimSpace(string(text[:n])), 10, 32)
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("its pid file %s holds no pid", name)
	}
	return int(pid), nil
}

// watchFile tells of changes in the directory of a file: a read of what it returns
// ends when there was one, or with an error at the deadline.
func watchFile(path string, until time.Time) (*os.File, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	const changes = syscall.IN_CLOSE_WRITE | syscall.IN_MOVED_TO | syscall.IN_CREATE
	if _, err := syscall.InotifyAddWatch(fd, filepath.Dir(path), changes); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "inotify")
	if err := f.SetReadDeadline(until); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// A kinship finds out which processes are left of a run.
type kinship struct {
	Family
	known func(pid int) bool
}

// left are those in the cgroup of the service. Without a cgroup it is the session of
// the process that has forked, and when nobody is left there, those that have left
// their session and that nobody knows.
func (k kinship) left(service string, first int) (list []relative, err error) {
	// Whoever forks and ends at once is in the one list, and its child in the other.
	const patience = 10
	for range patience {
		list, members, err := k.look(service, first)
		if err != nil || len(list) > 0 || len(members) == 0 {
			return list, err
		}
	}
	return nil, nil
}

// look looks once; members are those of its cgroup.
func (k kinship) look(service string, first int) (list []relative, members []int, err error) {
	all, err := k.Proc.All()
	if err != nil {
		return nil, nil, err
	}
	var strays []relative
	members, grouped := k.Group(service)
	for _, p := range all {
		if p.State == 'Z' || p.Pid == first {
			continue
		}
		r := relative{p.Pid, p.Ppid}
		switch {
		case grouped && slices.Contains(members, p.Pid), !grouped && p.Session == first:
			list = append(list, r)
		case !grouped && p.Ppid == k.Keeper && !k.known(p.Pid):
			strays = append(strays, r)
		}
	}
	if len(list) == 0 {
		list = strays
	}
	return list, members, nil
}
