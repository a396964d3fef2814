package server

import (
	"context"
	"strconv"
	"strings"

	"zinit/sock"
	"zinit/supervise/config"
)

// changes is the methods that start, stop and signal.
func (s *server) changes() sock.Table {
	name := []sock.Param{nameParam}
	return sock.Table{
		{Name: sock.MethodShutdown, Access: sock.Change, Summary: "Stops all services in order, then ends the server.", Result: sock.OK{}, Handle: s.shutdown},
		{Name: sock.MethodStart, Access: sock.Change, Summary: "Starts a service, and what it requires and wants.", Result: sock.OK{},
			Params: []sock.Param{nameParam, {Name: "no_deps", Type: "boolean", Summary: "start it alone"}}, Handle: s.start},
		{Name: sock.MethodStop, Access: sock.Change, Summary: "Stops a service; those that require it stop first.", Params: name, Result: sock.OK{}, Handle: s.stop},
		{Name: sock.MethodRestart, Access: sock.Change, Summary: "Stops and starts a service with its back-off reset; those that require it come back with it.", Params: name, Result: sock.OK{}, Handle: s.restart},
		{Name: sock.MethodSignalReload, Access: sock.Change, Summary: "Has a service read its own configuration again, by its exec_reload or its reload signal.", Params: name, Result: sock.OK{}, Handle: s.signalReload},
		{Name: sock.MethodKill, Access: sock.Change, Summary: "Sends a signal to the processes of a service.", Result: sock.OK{},
			Params: []sock.Param{nameParam, {Name: "signal", Type: "string", Lax: true, Summary: "a name or number, SIGTERM when absent"}}, Handle: s.kill},
		{Name: sock.MethodStartAll, Access: sock.Change, Summary: "Starts all services of class user, but for those with status ignore.", Result: sock.StartedResult{}, Handle: s.startAll},
		{Name: sock.MethodStopAll, Access: sock.Change, Summary: "Stops all services of class user, but for those with status ignore and what others need that stay.", Result: sock.StoppedResult{}, Handle: s.stopAll},
	}
}

func (s *server) shutdown(context.Context, *sock.Call) (any, error) {
	return done(s.sup.Shutdown())
}

func (s *server) start(_ context.Context, c *sock.Call) (any, error) {
	var p sock.StartParams
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	return done(s.sup.Start(p.Name, p.NoDeps))
}

func (s *server) stop(_ context.Context, c *sock.Call) (any, error) {
	name, err := c.Name()
	if err != nil {
		return nil, err
	}
	return done(s.sup.Stop(name))
}

func (s *server) restart(_ context.Context, c *sock.Call) (any, error) {
	name, err := c.Name()
	if err != nil {
		return nil, err
	}
	return done(s.sup.Restart(name))
}

func (s *server) signalReload(_ context.Context, c *sock.Call) (any, error) {
	name, err := c.Name()
	if err != nil {
		return nil, err
	}
	return done(s.sup.SignalReload(name))
}

func (s *server) kill(_ context.Context, c *sock.Call) (any, error) {
	p := sock.KillParams{}
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	if p.Signal == "" {
		p.Signal = "SIGTERM"
	}
	sig, err := config.ParseSignal(p.Signal)
	if err != nil {
		why := "unknown signal"
		if _, number := strconv.Atoi(strings.TrimSpace(p.Signal)); number == nil {
			why = "invalid signal number"
		}
		return nil, sock.BadSignal("", p.Signal, why)
	}
	return done(s.sup.Kill(p.Name, sig))
}

func (s *server) startAll(context.Context, *sock.Call) (any, error) {
	names, err := s.sup.StartAll()
	if err != nil {
		return nil, refusal(err)
	}
	return sock.StartedResult{Count: len(names), Started: names}, nil
}

func (s *server) stopAll(context.Context, *sock.Call) (any, error) {
	names, err := s.sup.StopAll()
	if err != nil {
		return nil, refusal(err)
	}
	return sock.StoppedResult{Count: len(names), Stopped: names}, nil
}
