package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"zinit/supervise/config"
)

// A Relative is one process of a run, and who has made it.
type Relative struct{ Pid, Parent int }

// PidFiles is a Finder that goes by the pid file of a service, and by what is left
// of a run where there is none, or an old one: of the processes that are left it is
// the one that was made by none of the others.
type PidFiles struct {
	// Left lists the processes of a run, whose first one has ended; it may read files.
	// nil: nobody knows, and only the pid file counts.
	Left func(service string, run uint64, first int) ([]Relative, error)
}

// Find implements Finder.
func (p PidFiles) Find(s *config.Service, run uint64, first int, done func(pid int, err error)) {
	go func() { done(p.find(s, run, first)) }()
}

func (p PidFiles) find(s *config.Service, run uint64, first int) (int, error) {
	pid, fileErr := 0, errors.New("it has no pid_file")
	if s.PidFile != "" {
		pid, fileErr = readPid(s.PidFile)
	}
	if p.Left == nil {
		return pid, fileErr
	}
	left, err := p.Left(s.Name, run, first)
	if err != nil {
		if fileErr == nil {
			return pid, nil // the keeper knows whether it is one of them
		}
		return 0, fmt.Errorf("%w, and its processes cannot be listed: %w", fileErr, err)
	}
	return choose(pid, fileErr, left)
}

// choose takes the process that the file names if it is left, and otherwise the
// only one that stands for all that are.
func choose(pid int, fileErr error, left []Relative) (int, error) {
	pids := map[int]bool{}
	for _, r := range left {
		pids[r.Pid] = true
	}
	if fileErr == nil && pids[pid] {
		return pid, nil
	}
	var roots []string
	for _, r := range left {
		if !pids[r.Parent] {
			pid = r.Pid
			roots = append(roots, strconv.Itoa(r.Pid))
		}
	}
	if fileErr == nil {
		fileErr = errors.New("its pid file names none of its processes")
	}
	switch len(roots) {
	case 0:
		return 0, fmt.Errorf("%w, and no process is left", fileErr)
	case 1:
		return pid, nil
	}
	return 0, fmt.Errorf("%w, and it may be any of %s", fileErr, strings.Join(roots, ", "))
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
