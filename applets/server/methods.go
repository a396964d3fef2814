package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"zinit/applets/env"
	"zinit/applets/server/ears"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/logs"
	"zinit/supervise/proc"
)

// server is what the handlers share. Its fields are set before the first call.
type server struct {
	flags env.ServerFlags
	log   *slog.Logger
	logs  *logs.Logs
	heap  *collector
	sup   *supervise.Supervisor
	proc  proc.FS
	gauge gauge  // nil: nobody knows of cgroups
	brood *brood // nil: nobody knows what the keeper has started

	self, keeper int // pids

	dirs config.Dirs // where the configuration is
	at   *place
	// command is the service that the command of a container became; nil: there is none.
	command *config.Service

	tellInit func(syscall.Signal) error // nil: process 1 is no keeper of ours

	proxies *proxies
	sockets *sockets   // that services are given
	ears    *ears.Ears // that hear what services say
	manager notifier   // that the keeper was started by, if it wants to know

	// turn is taken by who changes the configuration: it has one place, from the
	// reading or writing of the files to their taking effect.
	turn chan struct{}
	over bool // nothing is written for another server any more; guarded by turn
	// unsaved is the ephemeral services for which there is no directory; guarded
	// by turn.
	unsaved map[string]*config.Service
	// monitored is what was taken in by monitor, and forgotten what is not to be
	// loaded although there is a file; guarded by turn.
	monitored map[string]*config.Service
	forgotten []string

	// list is the last encoded service.list_full, good for its snapshot.
	list atomic.Pointer[encodedList]
}

// newServer makes what is complete but for its supervisor.
func newServer(flags env.ServerFlags, at *place, store *logs.Logs, log *slog.Logger) *server {
	s := &server{
		flags: flags, log: log, logs: store, heap: newCollector(), dirs: configDirs(flags, at),
		turn: make(chan struct{}, 1), unsaved: map[string]*config.Service{}, at: at,
		self: os.Getpid(), keeper: os.Getppid(),
		monitored: map[string]*config.Service{}, forgotten: readForgotten(at),
	}
	s.dirs.Cache = openCompiled(at, log)
	s.tellInit = initOf(flags, os.Getppid())
	if flags.Command != nil {
		s.command = commandService(flags.Command)
	}
	return s
}

type encodedList struct {
	of   *supervise.Snapshot
	text sock.Encoded
}

var nameParam = sock.Param{Name: "name", Type: "string", Required: true, Summary: "the service"}

// table is every method of the server, one row each.
func (s *server) table() sock.Table {
	var all sock.Table
	document := sync.OnceValue(func() sock.Encoded { return all.OpenRPC(env.Version) })
	about := sock.Table{
		{Name: sock.MethodDiscover, Access: sock.Read, Summary: "Returns this description of all methods, as OpenRPC.", Result: map[string]any(nil),
			Handle: func(context.Context, *sock.Call) (any, error) { return document(), nil }},
	}
	all = slices.Concat(about, s.questions(), s.inspection(), s.output(), s.streams(), s.changes(), s.power(), s.additions(), s.removals(), s.reloads(), s.demands(), s.proxyMethods())
	all = append(all, s.legacyTable()...)
	return all
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

// refusal is the supervisor's answer on the wire; nil for nil.
func refusal(err error) error {
	var r *supervise.Refusal
	switch {
	case errors.Is(err, supervise.ErrLeft):
		return sock.ErrNextServer
	case errors.Is(err, supervise.ErrGone):
		return sock.ShuttingDown()
	case !errors.As(err, &r):
		return err
	}
	switch r.Code {
	case supervise.Cycle:
		return &sock.Error{Code: sock.CodeCycle, Message: r.Text, Data: sock.Detail{Word: sock.WordCycle}}
	case supervise.Required:
		return &sock.Error{Code: sock.CodeUnsafeRemoval, Message: r.Text, Data: sock.Detail{Word: sock.WordRequired}}
	case supervise.NotFound:
		return sock.UnknownService(r.Service)
	case supervise.NotRunning:
		e := sock.ServiceNotRunning(r.Service)
		e.Message = r.Text
		return e
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
