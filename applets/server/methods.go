package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"zinit/applets/env"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/logs"
)

// server is what the handlers share. Its fields are set before the first call.
type server struct {
	flags env.ServerFlags
	log   *slog.Logger
	logs  *logs.Logs
	sup   *supervise.Supervisor

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
	name := []sock.Param{nameParam}
	return sock.Table{
		{Name: sock.MethodPing, Access: sock.Read, Summary: "Tells the version and the pid of the server.", Result: "Ping", Handle: s.ping},
		{Name: sock.MethodShutdown, Access: sock.Change, Summary: "Stops all services in order, then ends the server.", Result: "OK", Handle: s.shutdown},
		{Name: sock.MethodList, Access: sock.Read, Summary: "Lists the names of all services, in load order.", Result: "Names", Handle: s.names},
		{Name: sock.MethodListFull, Access: sock.Read, Summary: "Lists all services with their states.", Result: "[]ServiceInfo", Handle: s.listFull},
		{Name: sock.MethodStatus, Access: sock.Read, Summary: "Tells the state of a service.", Params: name, Result: "ServiceStatus", Handle: s.status},
		{Name: sock.MethodStatusFull, Access: sock.Read, Summary: "Tells the state of a service and of what it depends on.", Params: name, Result: "ServiceStatusFull", Handle: s.statusFull},
		{Name: sock.MethodWhy, Access: sock.Read, Summary: "Explains why a service does not start.", Params: name, Result: "WhyBlocked", Handle: s.why},
		{Name: sock.MethodTree, Access: sock.Read, Summary: "Draws all services with what they depend on.", Result: "Tree", Handle: s.tree},
		{Name: sock.MethodIsRunning, Access: sock.Read, Summary: "Tells whether a service runs.", Params: name, Result: "boolean", Handle: s.isRunning},
		{Name: sock.MethodStart, Access: sock.Change, Summary: "Starts a service, and what it requires and wants.", Result: "OK",
			Params: []sock.Param{nameParam, {Name: "no_deps", Type: "boolean", Summary: "start it alone"}}, Handle: s.start},
		{Name: sock.MethodStop, Access: sock.Change, Summary: "Stops a service; those that require it stop first.", Params: name, Result: "OK", Handle: s.stop},
		{Name: sock.MethodRestart, Access: sock.Change, Summary: "Stops and starts a service with its back-off reset; those that require it come back with it.", Params: name, Result: "OK", Handle: s.restart},
		{Name: sock.MethodKill, Access: sock.Change, Summary: "Sends a signal to the processes of a service.", Result: "OK",
			Params: []sock.Param{nameParam, {Name: "signal", Type: "string", Lax: true, Summary: "a name or number, SIGTERM when absent"}}, Handle: s.kill},
		{Name: sock.MethodWait, Access: sock.Read, Summary: "Answers when all services have reached a state or the time has passed.", Result: "WaitResult", Waits: true,
			Params: []sock.Param{
				{Name: "names", Type: "array", Required: true, Summary: "the services"},
				{Name: "state", Type: "string", Required: true, Summary: "one of the seven states, or up, or down"},
				{Name: "timeout_ms", Type: "integer", Summary: "0: as long as the client stays"},
				{Name: "settle", Type: "boolean", Summary: "answer also when one of them can not get there without help"},
			}, Handle: s.wait},
		{Name: sock.MethodLogs, Access: sock.Read, Summary: "Returns the last lines that a service wrote.", Result: "[]string",
			Params: []sock.Param{{Name: "name", Type: "string", Summary: "the service; without it the result is empty"}, {Name: "lines", Type: "integer", Lax: true, Summary: "how many at most, 100 when absent"}}, Handle: s.logLines},
	}
}

func (s *server) ping(context.Context, *sock.Call) (any, error) {
	return sock.Ping{Version: env.Version, PID: os.Getpid()}, nil
}

func (s *server) shutdown(context.Context, *sock.Call) (any, error) {
	s.sup.Shutdown()
	return sock.Done, nil
}

func (s *server) names(context.Context, *sock.Call) (any, error) {
	views := s.sup.Snapshot().Views
	names := make(sock.Names, len(views))
	for i, v := range views {
		names[i] = v.Name
	}
	return names, nil
}

func (s *server) listFull(context.Context, *sock.Call) (any, error) {
	snap := s.sup.Snapshot()
	if last := s.list.Load(); last != nil && last.of == snap {
		return last.text, nil
	}
	list := make([]sock.ServiceInfo, len(snap.Views))
	for i, v := range snap.Views {
		list[i] = sock.ServiceInfo{Name: v.Name, IsTarget: v.Target(), State: stateOf(snap, v), Details: details(snap, v)}
	}
	text := sock.EncodeList(list)
	s.list.Store(&encodedList{snap, text})
	return text, nil
}

// view finds the service of a call that only reads.
func (s *server) view(c *sock.Call) (*supervise.Snapshot, *supervise.View, error) {
	name, err := c.Name()
	if err != nil {
		return nil, nil, err
	}
	snap := s.sup.Snapshot()
	v := snap.Find(name)
	if v == nil {
		return nil, nil, sock.NoService()
	}
	return snap, v, nil
}

func (s *server) status(_ context.Context, c *sock.Call) (any, error) {
	snap, v, err := s.view(c)
	if err != nil {
		return nil, err
	}
	st := sock.NewStatus(v.Name, stateOf(snap, v))
	st.Details = details(snap, v)
	st.UptimeSecs = uptime(v)
	return st, nil
}

func (s *server) statusFull(_ context.Context, c *sock.Call) (any, error) {
	snap, v, err := s.view(c)
	if err != nil {
		return nil, err
	}
	full := sock.ServiceStatusFull{
		Name: v.Name, IsTarget: v.Target(), State: stateOf(snap, v), Details: details(snap, v),
		Dependencies: dependencies(snap, v), Source: v.Config.Source, Health: health(v),
	}
	if up := uptime(v); pidOf(v) != 0 {
		full.UptimeSecs = &up
	}
	return full, nil
}

func (s *server) why(_ context.Context, c *sock.Call) (any, error) {
	snap, v, err := s.view(c)
	if err != nil {
		return nil, err
	}
	return explain(snap, v), nil
}

func (s *server) tree(context.Context, *sock.Call) (any, error) {
	return sock.Tree{ASCII: drawTree(s.sup.Snapshot())}, nil
}

func (s *server) isRunning(_ context.Context, c *sock.Call) (any, error) {
	name, err := c.Name()
	if err != nil {
		return nil, err
	}
	v := s.sup.Snapshot().Find(name)
	return v != nil && v.State.String() == sock.Running, nil
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

func (s *server) wait(ctx context.Context, c *sock.Call) (any, error) {
	var p sock.WaitParams
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	goal, ok := supervise.ParseGoal(p.State)
	if !ok {
		return nil, &sock.Error{
			Code:    sock.CodeInvalidParams,
			Message: fmt.Sprintf("unknown state '%s': it is one of %s", p.State, strings.Join(sock.Goals(), ", ")),
			Data:    sock.Detail{Word: "invalid_param"},
		}
	}
	if p.TimeoutMs != 0 {
		// Less than nothing is what is left of a deadline that has passed.
		ms := min(max(p.TimeoutMs, 0), math.MaxInt64/int64(time.Millisecond))
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
		defer cancel()
	}
	waited, err := s.sup.Wait(ctx, p.Names, goal, p.Settle)
	if err != nil {
		return nil, refusal(err)
	}
	result := sock.WaitResult{Reached: true, Services: []sock.WaitedService{}}
	for _, w := range waited {
		if w.View == nil {
			unknown := sock.NoService()
			unknown.Message += ": " + w.Name // of several, the client must learn which
			return nil, unknown
		}
		one := sock.WaitedService{Name: w.Name, State: w.View.State.String(), Reached: w.Reached}
		if !w.Reached {
			result.Reached = false
			one.Error = reason(s.sup.Snapshot(), w.View)
		}
		result.Services = append(result.Services, one)
	}
	return result, nil
}

// defaultLines is how many lines logs.get returns when it is not told.
const defaultLines = 100

func (s *server) logLines(_ context.Context, c *sock.Call) (any, error) {
	p := sock.LogsParams{Lines: defaultLines}
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	if p.Lines < 0 {
		p.Lines = defaultLines // zinit 0.3.9 takes no such number for one
	}
	if p.Name == "" {
		return []string{}, nil
	}
	if s.sup.Snapshot().Find(p.Name) == nil {
		return nil, sock.NoService()
	}
	lines, err := s.logs.Tail(p.Name, int(min(p.Lines, 1<<30)))
	if err != nil {
		return nil, fmt.Errorf("cannot read the log of %s: %w", p.Name, err)
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		text := string(l.Text)
		if l.Cut {
			text += " [cut]"
		}
		out[i] = sock.LogLine{TimestampMs: l.Time.UnixMilli(), Stream: l.Stream.String(), Content: text}.String()
	}
	return out, nil
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
