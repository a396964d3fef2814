package server

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"zinit/sock"
	"zinit/sock/legacy"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// lines answers a line of the protocol of zinit 0.2.
func (s *server) lines(ctx context.Context, l *sock.Line) {
	if l.Access < sock.Change {
		legacy.Denied(l.Text, l)
		return
	}
	legacy.Serve(ctx, l.Text, l, legacyServer{s})
}

// legacyServer carries out the commands of zinit 0.2.
type legacyServer struct{ *server }

// legacyView finds a service; one of which only a broken file is known does not count.
func legacyView(snap *supervise.Snapshot, name string) *supervise.View {
	v := snap.Find(name)
	if v == nil || isBare(v) {
		return nil
	}
	return v
}

// isBare reports a service of which nothing is known but that its file is wrong.
func isBare(v *supervise.View) bool { return v.Problem != "" && v.Config.Exec == "" && !v.Target() }

// List is the state of each service.
func (s legacyServer) List() (map[string]string, error) {
	states := map[string]string{}
	for _, v := range s.sup.Snapshot().Views {
		if !isBare(v) {
			states[v.Name] = legacyState(v)
		}
	}
	return states, nil
}

// Status is what is known of one.
func (s legacyServer) Status(name string) (legacy.Status, error) {
	snap := s.sup.Snapshot()
	v := legacyView(snap, name)
	if v == nil {
		return legacy.Status{}, legacy.Unknown(name)
	}
	st := legacy.Status{After: map[string]string{}, Name: name, PID: pidOf(v), State: legacyState(v), Target: legacy.TargetDown}
	if v.Want && !v.ToldDown {
		st.Target = legacy.TargetUp
	}
	for _, names := range [][]string{v.Config.Awaits, v.Config.Requires, v.Config.After} {
		for _, other := range names {
			st.After[other] = legacy.StateUnknown
			if o := legacyView(snap, other); o != nil {
				st.After[other] = legacyState(o)
			}
		}
	}
	return st, nil
}

// legacyState is the state of a service in the words of zinit 0.2. A service that is
// stopping is what it was until its process is gone, and what does not run because it
// was never to is as good as blocked: to clients both are down.
func legacyState(v *supervise.View) string {
	switch st := v.State.(type) {
	case machine.Starting:
		return legacy.StateSpawned
	case machine.Running:
		if st.Gone {
			return legacy.StateSuccess
		}
		return legacy.StateRunning
	case machine.Stopping:
		return legacy.StateRunning
	case machine.Exited:
		return legacyEnd(v, st.Outcome)
	case machine.Failed:
		switch why := st.Why; why.Kind {
		case machine.Ended:
			return legacyEnd(v, why.Outcome)
		case machine.MissingDependency, machine.Requirement:
			return legacy.StateBlocked
		case machine.Unsatisfiable:
			if v.Problem == "" {
				return legacy.StateBlocked // a cycle
			}
		}
		return legacy.StateFailure
	}
	return legacy.StateBlocked
}

func legacyEnd(v *supervise.View, o machine.Outcome) string {
	switch {
	case o.Unknown:
		return legacy.StateSuccess // nobody saw it, and nothing speaks against it
	case o.Signal != 0:
		return legacy.Signaled(v.LastPid, config.SignalName(o.Signal))
	case o.Code != 0:
		return legacy.Exited(v.LastPid, o.Code)
	}
	return legacy.StateSuccess
}

// legacyError is an error in the words of zinit 0.2, as far as it has them.
func legacyError(name string, err error) error {
	var r *supervise.Refusal
	switch {
	case errors.Is(err, supervise.ErrGone):
		return legacy.ErrShuttingDown
	case !errors.As(err, &r):
		return err
	}
	switch r.Code {
	case supervise.NotFound:
		return legacy.Unknown(name)
	case supervise.NotRunning, supervise.IsTarget:
		return legacy.IsDown(name)
	case supervise.ShuttingDown:
		return legacy.ErrShuttingDown
	}
	return err
}

// Start wants a service up.
func (s legacyServer) Start(_ context.Context, name string) error {
	if legacyView(s.sup.Snapshot(), name) == nil {
		return legacy.Unknown(name)
	}
	return legacyError(name, s.sup.Start(name, false))
}

// Stop wants a service down.
func (s legacyServer) Stop(_ context.Context, name string) error {
	return legacyError(name, s.sup.Stop(name))
}

// Kill signals a service. Only full names are signals.
func (s legacyServer) Kill(_ context.Context, name, signal string) error {
	sig, err := config.ParseSignal(signal)
	if err != nil || !strings.HasPrefix(strings.ToUpper(signal), "SIG") {
		return legacy.ErrSignal
	}
	return legacyError(name, s.sup.Kill(name, sig))
}

// Shutdown begins to take everything down, and does not wait for it.
func (s legacyServer) Shutdown() error {
	return s.sup.Shutdown()
}

// Reboot is a shutdown after which the machine starts again, where that is ours.
func (s legacyServer) Reboot() error {
	if s.tellInit != nil {
		return s.tellInit(syscall.SIGINT)
	}
	return s.Shutdown()
}
