package server

import (
	"context"
	"math"
	"os"
	"strings"
	"time"

	"zinit/applets/env"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
)

// questions is the methods that look at the services.
func (s *server) questions() sock.Table {
	name := []sock.Param{nameParam}
	return sock.Table{
		{Name: sock.MethodPing, Access: sock.Read, Summary: "Tells the version and the pid of the server.", Result: sock.Ping{}, Handle: s.ping},
		{Name: sock.MethodList, Access: sock.Read, Summary: "Lists the names of all services, in load order.", Result: sock.Names(nil), Handle: s.names},
		{Name: sock.MethodListFull, Access: sock.Read, Summary: "Lists all services with their states.", Result: []sock.ServiceInfo(nil), Handle: s.listFull},
		{Name: sock.MethodStatus, Access: sock.Read, Summary: "Tells the state of a service.", Params: name, Result: sock.ServiceStatus{}, Handle: s.status},
		{Name: sock.MethodStatusFull, Access: sock.Read, Summary: "Tells the state of a service and of what it depends on.", Params: name, Result: sock.ServiceStatusFull{}, Handle: s.statusFull},
		{Name: sock.MethodTimers, Access: sock.Read, Summary: "Lists the services that a timer starts, the next one first.", Result: []sock.TimerStatus(nil), Handle: s.timers},
		{Name: sock.MethodWhy, Access: sock.Read, Summary: "Explains why a service does not start.", Params: name, Result: sock.WhyBlocked{}, Handle: s.why},
		{Name: sock.MethodTree, Access: sock.Read, Summary: "Draws all services with what they depend on.", Result: sock.Tree{}, Handle: s.tree},
		{Name: sock.MethodIsRunning, Access: sock.Read, Summary: "Tells whether a service runs.", Params: name, Result: false, Handle: s.isRunning},
		{Name: sock.MethodWait, Access: sock.Read, Summary: "Answers when all services have reached a state or the time has passed.", Result: sock.WaitResult{}, Waits: true,
			Params: []sock.Param{
				{Name: "names", Type: "array", Of: []string(nil), Required: true, Summary: "the services"},
				{Name: "state", Type: "string", Required: true, Summary: "one of the seven states, or up, or down"},
				{Name: "timeout_ms", Type: "integer", Summary: "0: as long as the client stays"},
				{Name: "settle", Type: "boolean", Summary: "answer also when one of them can not get there without help"},
			}, Handle: s.wait},
	}
}

func (s *server) ping(context.Context, *sock.Call) (any, error) {
	pong := sock.Ping{Version: env.Version, PID: os.Getpid()}
	for _, p := range s.sup.Snapshot().Problems {
		if p.Service == "" && p.Severity == config.Error {
			pong.Problems = append(pong.Problems, p.String())
		}
	}
	return pong, nil
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

func (s *server) wait(ctx context.Context, c *sock.Call) (any, error) {
	var p sock.WaitParams
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	goal, ok := supervise.ParseGoal(p.State)
	if !ok {
		return nil, invalidParam("unknown state '%s': it is one of %s", p.State, strings.Join(sock.Goals(), ", "))
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
		switch {
		case w.View == nil && w.Reached: // it was removed meanwhile
			result.Services = append(result.Services, sock.WaitedService{Name: w.Name, State: sock.Inactive, Reached: true})
			continue
		case w.View == nil:
			unknown := sock.NoService()
			unknown.Message += ": " + w.Name // of several, the client must learn which
			return nil, unknown
		}
		one := sock.WaitedService{Name: w.Name, State: w.View.State.String(), Reached: w.Reached, Hopeless: w.Hopeless}
		if !w.Reached {
			result.Reached = false
			one.Error = reason(s.sup.Snapshot(), w.View)
		}
		result.Services = append(result.Services, one)
	}
	return result, nil
}
