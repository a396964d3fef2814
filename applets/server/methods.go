package server

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"zinit/applets/env"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/logs"
	"zinit/supervise/proc"
)

// server is what the handlers share. Its fields are set before the first call.
type server struct {
	flags env.ServerFlags
	log   *slog.Logger
	logs  *logs.Logs
	sup   *supervise.Supervisor
	proc  proc.FS

	reloading sync.Mutex // held from the reading of the files to their taking effect

	// list is the last encoded service.list_full, good for its snapshot.
	list atomic.Pointer[encodedList]
}

type encodedList struct {
	of   *supervise.Snapshot
	text sock.Encoded
}

var nameParam = sock.Param{Name: "name", Type: "string", Required: true, Summary: "the service"}

// table is every method of the server, one row each.
func (s *server) table() sock.Table {
	return slices.Concat(s.questions(), s.inspection(), s.changes(), s.output())
}

// invalidParam refuses a parameter whose type is right and whose value is not.
func invalidParam(format string, args ...any) error {
	return &sock.Error{Code: sock.CodeInvalidParams, Message: fmt.Sprintf(format, args...), Data: sock.Detail{Word: "invalid_param"}}
}

func done(err error) (any, error) {
	if err != nil {
		return nil, refusal(err)
	}
	return sock.Done, nil
}

// refusal is the supervisor's answer on the wire.
func refusal(err error) error {
	var r *supervise.Refusal
	switch {
	case errors.Is(err, supervise.ErrGone):
		return sock.ShuttingDown()
	case !errors.As(err, &r):
		return err
	}
	switch r.Code {
	case supervise.NotFound:
		return sock.UnknownService(r.Service)
	case supervise.NotRunning:
		return sock.ServiceNotRunning(r.Service)
	case supervise.IsTarget:
		return sock.Refuse(sock.WordTarget, "%s", r.Text)
	case supervise.InConflict:
		return sock.Refuse(sock.WordConflict, "%s", r.Text)
	case supervise.ShuttingDown:
		// The words of zinit 0.3.9 first, then the reason.
		e := sock.ShuttingDown()
		e.Message += ": " + r.Text
		return e
	}
	return sock.Refuse(sock.WordUnusable, "%s", r.Text)
}
