package pid1

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"zinit/applets/env"
	"zinit/reap"
	"zinit/supervise/logs/pump"
)

// absence is how long there is no server before the keeper reads what services
// write. Until then a pipe has room for it, or whoever writes waits.
const absence = 5 * time.Second

// A standIn has the output of services moved into their stores while no server does
// that. It waits for nothing of theirs; its methods may be called from anywhere.
type standIn struct {
	dir, lock string
	copies    func(prefix string) (outputs, error)
	log       func(format string, args ...any)
	absence   time.Duration

	mu     sync.Mutex // held while it begins and ends
	since  time.Time  // when the last server that was ready ended; zero: one is ready, or none was
	timer  *time.Timer
	turn   int // counts what makes an earlier timer void
	active *pump.StandIn
	said   bool // what is done in this absence, once
}

func newStandIn(flags env.ServerFlags, k *reap.Keeper, log func(format string, args ...any)) *standIn {
	dir := env.RuntimeDir(flags.Socket)
	return &standIn{dir: filepath.Join(dir, "logs"), lock: filepath.Join(dir, "lock"), absence: absence, log: log,
		copies: func(prefix string) (outputs, error) { return k.Copies(prefix) }}
}

// serverComes is called before a server is forked. When it returns nothing is under
// way and nothing begins.
func (s *standIn) serverComes() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopLocked()
}

// serverBorn is called when there is one, which may never be of use.
func (s *standIn) serverBorn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since = time.Now()
	}
	s.beginLocked(s.absence)
}

// serverReady ends it: the server has the pipes.
func (s *standIn) serverReady() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopLocked()
	s.since, s.said = time.Time{}, false
}

// serverGone is called when a server has ended, or could not be forked.
func (s *standIn) serverGone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since = time.Now()
	}
	s.stopLocked() // it may have been at work beside that server
	s.beginLocked(max(0, s.absence-time.Since(s.since)))
}

func (s *standIn) stopLocked() {
	s.turn++
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if s.active != nil {
		s.active.Close()
		s.active = nil
	}
}

func (s *standIn) beginLocked(after time.Duration) {
	turn := s.turn
	s.timer = time.AfterFunc(after, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.turn != turn {
			return
		}
		err := s.workLocked()
		switch {
		case s.said || err == nil && s.active == nil || errors.Is(err, pump.ErrServed):
			return
		case err == nil:
			s.log("no server for %v: the keeper itself reads what services write", s.absence)
		default:
			s.log("what services write waits for a server: %v", err)
		}
		s.said = true
	})
}

func (s *standIn) workLocked() (err error) {
	kept, err := s.copies(outputPrefix)
	if err != nil {
		return err
	}
	list := kept.list()
	if len(list) == 0 {
		return nil
	}
	s.active, err = pump.NewStandIn(s.dir, s.lock, list)
	return err
}

// outputPrefix begins the names of kept outputs; see reap.OutputName.
const outputPrefix = "out/"

// outputs are descriptors by the names of outputs.
type outputs map[string]*os.File

// list undoes the names, and closes what has none of an output.
func (o outputs) list() (list []pump.Output) {
	for name, f := range o {
		parts := strings.Split(name, "/")
		if len(parts) == 4 {
			run, err := strconv.ParseUint(parts[2], 10, 64)
			fd := int((parts[3] + "0")[0] - '0')
			if err == nil && (fd == 1 || fd == 2) && name == reap.OutputName(parts[1], run, fd) {
				list = append(list, pump.Output{Service: parts[1], Run: run, FD: fd, File: f})
				continue
			}
		}
		f.Close()
	}
	return list
}
