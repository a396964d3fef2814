package cli

import (
	"fmt"
	"strings"

	"zinit/applets/env"
	"zinit/sock"
)

// why explains what keeps services from running.
func why(s *session) int {
	if s.call.has("json") {
		return s.relayEach(sock.MethodWhy, s.call.words)
	}
	first := true
	return s.each(s.call.words, func(name string) error {
		var reply sock.WhyBlocked
		if err := s.ask(sock.MethodWhy, sock.NameParams{Name: name}, &reply); err != nil {
			return named(name, err)
		}
		if !first {
			s.print("\n")
		}
		first = false
		s.printWhy(name, &reply)
		return nil
	})
}

func (s *session) printWhy(name string, r *sock.WhyBlocked) {
	if !r.Blocked {
		s.printf("%s is not blocked\n", name)
	} else {
		s.print(strings.TrimRight(escapeLines(r.ASCII), "\n") + "\n")
	}
	if len(r.WaitingOn) > 0 {
		s.printf("\nWaiting on: %s\n", escape(strings.Join(r.WaitingOn, ", ")))
	}
	if len(r.ConflictsWith) > 0 {
		s.printf("Conflicts with: %s\n", escape(strings.Join(r.ConflictsWith, ", ")))
	}
	if r.PortConflict != "" && !strings.Contains(r.Reason, r.PortConflict) {
		s.printf("Port conflict: %s\n", escape(r.PortConflict))
	}
	if p := r.ProcessConflict; p != nil {
		var list []string
		for _, other := range p.Processes {
			list = append(list, fmt.Sprintf("%s (pid %d)", other.Name, other.PID))
		}
		s.printf("Process conflict: %s matches %s\n", escape(p.Filter), escape(strings.Join(list, ", ")))
	}
	reason := strings.TrimPrefix(escape(r.Reason), name+": ")
	if !r.Blocked {
		reason = s.unblockedReason(name, reason)
	}
	if reason != "" {
		s.printf("Reason: %s\n", s.hang(8, reason))
	}
}

// unblockedReason says of a service that nothing blocks what state it is in, if that is
// not what it should be, and returns the reason with what comes next.
func (s *session) unblockedReason(name, reason string) string {
	var full sock.ServiceStatusFull
	if s.ask(sock.MethodStatusFull, sock.NameParams{Name: name}, &full) != nil {
		return reason // an older server, or it has gone meanwhile
	}
	if full.State.State != sock.Running {
		s.printf("State:  %s\n", full.State.State)
	}
	if reason == "" && full.State.State != sock.Running {
		reason, _ = s.because(name, full.State, &full.Details)
	}
	_, next := s.because(name, full.State, &full.Details)
	return withLogs(name, joined(reason, next))
}

// tree shows all services with what they depend on.
func tree(s *session) int {
	if s.call.has("json") {
		return s.relay(sock.MethodTree, nil)
	}
	var reply sock.Tree
	if err := s.ask(sock.MethodTree, nil, &reply); err != nil {
		return s.fail(err)
	}
	text := strings.TrimRight(escapeLines(reply.ASCII), "\n")
	if text == "" {
		text = "No services configured"
	}
	s.print(text + "\n")
	return env.ExitDone
}
