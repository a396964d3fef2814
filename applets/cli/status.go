package cli

import (
	"fmt"
	"strings"
	"time"

	"zinit/sock"
)

// status shows services in detail; without a NAME all of them.
func status(s *session) int {
	names := s.call.words
	if len(names) == 0 {
		if err := s.ask(sock.MethodList, nil, &names); err != nil {
			return s.fail(err)
		}
		if len(names) == 0 && !s.call.has("json") {
			return s.none()
		}
	}
	if s.call.has("json") {
		return s.relayEach(sock.MethodStatusFull, names)
	}
	first := true
	return s.each(names, func(name string) error {
		var reply sock.ServiceStatusFull
		if err := s.ask(sock.MethodStatusFull, sock.NameParams{Name: name}, &reply); err != nil {
			return named(name, err)
		}
		if !first {
			s.print("\n")
		}
		first = false
		s.printStatus(&reply)
		return nil
	})
}

// printStatus prints the block of zinit 0.3.9 and, aligned with it, what ours
// adds, each line only when there is something to say.
func (s *session) printStatus(r *sock.ServiceStatusFull) {
	plain := sock.NewStatus(r.Name, r.State)
	glyph, word, colour := look(r.State.State)
	s.field("Service", escape(r.Name))
	s.field("State", s.paint(colour, glyph+" "+word))
	if r.State.PID > 0 {
		s.field("PID", fmt.Sprint(r.State.PID))
	}
	if plain.ExitCode != nil {
		s.field("Exit", fmt.Sprint(*plain.ExitCode))
	}
	reason := s.reason(r.Name, r.State, &r.Details)
	if plain.ExitCode != nil && reason == fmt.Sprintf("exit code %d", *plain.ExitCode) {
		reason = ""
	}
	label := "Note"
	if r.Problem != "" || r.State.State == sock.Failed || r.State.State == sock.Blocked {
		label = "Error"
	}
	s.field(label, s.hang(9, reason))
	if r.State.State == sock.Running {
		s.field("Uptime", s.uptime(r))
	}
	if r.Restarts > 0 && r.NextStartMs == 0 {
		s.field("Restart", fmt.Sprintf("%s so far", plural(r.Restarts, "time")))
	}
	s.field("Health", escape(r.Health))
	s.field("File", escape(r.Source))
	s.field("Depends", s.dependencies(r.Dependencies))
}

// field prints one aligned line; nothing when the value is empty.
func (s *session) field(label, value string) {
	if value != "" {
		s.printf("%-8s %s\n", label+":", value)
	}
}

func (s *session) uptime(r *sock.ServiceStatusFull) string {
	switch {
	case r.UptimeSecs != nil:
		return span(time.Duration(*r.UptimeSecs) * time.Second)
	case r.SinceMs > 0:
		return span(s.since(r.SinceMs))
	}
	return ""
}

func (s *session) dependencies(list []sock.Dependency) string {
	lines := make([]string, len(list))
	for i, d := range list {
		_, _, colour := look(d.State.State)
		lines[i] = d.DepType + " " + escape(d.Name) + " (" + s.paint(colour, d.State.State) + ")"
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", 9))
}
