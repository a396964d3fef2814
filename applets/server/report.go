package server

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"zinit/applets/env"
)

// logTo is where the server's own log goes. With an error it is standard error.
func logTo(e *env.Env, flags env.ServerFlags) (io.Writer, error) {
	if flags.LogFile == "" {
		return e.Stderr, nil
	}
	// O_NONBLOCK: opening a named pipe would wait for a reader otherwise.
	f, err := os.OpenFile(flags.LogFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0o640)
	if err != nil {
		return e.Stderr, fmt.Errorf("cannot open the log: %w", err)
	}
	return f, nil
}

// report writes the states of all services to the log; it is called on a goroutine of
// its own.
func (s *server) report() {
	snap := s.sup.Snapshot()
	s.log.Info("states of all services", "services", len(snap.Views))
	for _, v := range snap.Views {
		state := stateOf(snap, v)
		s.log.Info("state", "service", v.Name, "state", state.State, "pid", state.PID)
	}
}
