package server

import (
	"context"
	"time"

	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

func (s *server) statusFull(_ context.Context, c *sock.Call) (any, error) {
	snap, v, err := s.view(c)
	if err != nil {
		return nil, err
	}
	cfg := v.Config
	full := sock.ServiceStatusFull{
		Name: v.Name, IsTarget: v.Target(), State: stateOf(snap, v), Details: details(snap, v),
		Dependencies: dependencies(snap, v), Source: cfg.Source, Health: health(v),
		Description: cfg.Description, User: cfg.Identity.User, Group: cfg.Identity.Group,
		StatusText: v.Status, Timer: timerStatus(v.Timer), WatchdogMs: watchdog(v).Milliseconds(),
	}
	if cfg.Type != config.TypeSimple {
		full.Type = cfg.Type.String()
	}
	if up := uptime(v); pidOf(v) != 0 {
		full.UptimeSecs = &up
	}
	if v.Target() {
		return full, nil
	}
	full.LogProblem = s.logs.Trouble(v.Name)
	full.Sockets, full.ConnectionsTotal = s.socketsOf(v.Name), int64(v.Called)
	full.OnDemand = full.OnDemand && len(full.Sockets) > 0
	if cfg.Accepts() {
		full.ConnectionsMax = int64(cfg.MaxConnections())
	}
	for _, one := range v.Connections {
		full.Connections = append(full.Connections, sock.Connection{Peer: one.Peer, PID: one.Pid, SinceMs: one.Since.UnixMilli()})
	}
	if len(cfg.Ports)+len(cfg.ProcessFilters) > 0 {
		full.Claims = &sock.Claims{KillOthers: cfg.KillOthers, Ports: cfg.Ports, ProcessFilters: cfg.ProcessFilters}
	}
	g := s.group(v)
	full.Left = s.left(v, g)
	up := mayHaveProcesses(v)
	if up || len(full.Left) > 0 {
		full.Cgroup = g.dir
	}
	if up {
		full.Limits, full.Usage = s.limits(v, g), s.usage(v, g)
	}
	if full.CgroupMissing = s.noCgroup(g, up); full.CgroupMissing != "" {
		full.Strays = s.strays(v)
	}
	return full, nil
}

// socketsOf is what is open for a service.
func (s *server) socketsOf(service string) []sock.GivenSocket {
	if s.sockets == nil {
		return nil
	}
	return s.sockets.list(service)
}

// watchdog is how often a service has to say that it lives; 0: never.
func watchdog(v *supervise.View) time.Duration {
	if st, running := v.State.(machine.Running); running && st.Period > 0 {
		return st.Period
	}
	return v.Config.Watchdog
}

// mayHaveProcesses reports a service of which something may be alive: also a hook,
// or what is left when its main process has ended.
func mayHaveProcesses(v *supervise.View) bool {
	switch v.State.(type) {
	case machine.Starting, machine.Running, machine.Stopping:
		return !v.Target()
	}
	return false
}

func (s *server) timers(context.Context, *sock.Call) (any, error) {
	list := []sock.TimerStatus{}
	for _, t := range s.sup.Timers() {
		list = append(list, *timerStatus(t))
	}
	return list, nil
}

// timerStatus is a timer on the wire; nil for nil.
func timerStatus(t *supervise.Timer) *sock.TimerStatus {
	if t == nil {
		return nil
	}
	return &sock.TimerStatus{
		Name: t.Name, LastMs: millis(t.Last), NextMs: millis(t.Next),
		Off: t.Off, Result: t.Result, Skipped: int64(t.Skipped),
	}
}

// millis is a moment on the wire; 0 for none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
