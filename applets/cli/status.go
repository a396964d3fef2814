package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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
	if s.call.has("legacy") {
		return s.statusLegacy(names)
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
	name, state := escape(r.Name), s.paint(colour, glyph+" "+word)
	if r.Description != "" {
		name += " - " + escape(r.Description)
	}
	if r.Phase != "" {
		state += " (" + escape(r.Phase) + ")"
	}
	s.field("Service", s.hang(9, name))
	s.field("State", state)
	if r.State.PID > 0 {
		s.field("PID", fmt.Sprint(r.State.PID))
	}
	s.field("Type", kind(r))
	s.field("Says", s.cut(9, escape(r.StatusText)))
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
	switch r.State.State {
	case sock.Running:
		s.field("Uptime", s.uptime(r))
	case sock.Inactive: // it is as it was from the beginning
	default:
		if r.SinceMs > 0 {
			s.field("Since", s.ago(r.SinceMs))
		}
	}
	if r.Restarts > 0 && r.NextStartMs == 0 {
		s.field("Restart", fmt.Sprintf("%s so far", plural(r.Restarts, "time")))
	}
	s.printSockets(r)
	s.field("Timer", s.hang(9, s.timerLine(r.Timer)))
	s.field("User", escape(account(r)))
	s.printUsage(r)
	s.field("Cgroup", s.hang(9, escape(cgroupOf(r))))
	s.field("Left", s.hang(9, escape(leftBehind(r))))
	if c := r.Claims; c != nil {
		s.field("Ports", inTheWay(numbers(c.Ports), c.KillOthers))
		s.field("Filters", s.hang(9, escape(inTheWay(c.ProcessFilters, c.KillOthers))))
	}
	s.field("Health", s.hang(9, escape(r.Health)))
	s.field("Log", s.hang(9, strings.TrimPrefix(escape(r.LogProblem), "log file ")))
	s.field("File", escape(r.Source))
	s.field("Depends", s.dependencies(r.Dependencies))
}

// printSockets shows what a service listens on, and who is connected.
func (s *session) printSockets(r *sock.ServiceStatusFull) {
	for i, t := range r.Sockets {
		label := ""
		if i == 0 {
			label = "Sockets:"
		}
		line := fmt.Sprintf("%-8s %s", label, escape(t.Address))
		if t.Name != "" && t.Name != r.Name {
			line += " (" + escape(t.Name) + ")"
		}
		s.print(line + "\n")
	}
	if r.OnDemand {
		s.printf("%-8s who comes there starts it\n", "")
	}
	if r.ConnectionsTotal > 0 {
		s.field("Clients", fmt.Sprintf("%d now, %d so far", len(r.Connections), r.ConnectionsTotal))
		if n := int64(len(r.Connections)); n > 0 && n == r.ConnectionsMax {
			s.printf("%-8s as many as max_connections allows: whoever else comes waits\n", "")
		}
	}
	for _, c := range r.Connections {
		s.printf("%-8s %s (pid %d), since %s\n", "", escape(c.Peer), c.PID, span(s.since(c.SinceMs)))
	}
}

// kind is the type of a service, unless that is simple, and what it is held to.
func kind(r *sock.ServiceStatusFull) string {
	if r.WatchdogMs == 0 {
		return escape(r.Type)
	}
	return fmt.Sprintf("%s, a sign of life every %s", escape(r.Type), time.Duration(r.WatchdogMs)*time.Millisecond)
}

// account is whom a service runs as, unless that is the server: user, user:group.
func account(r *sock.ServiceStatusFull) string {
	switch {
	case r.Group == "":
		return r.User
	case r.User == "":
		return "group " + r.Group
	}
	return r.User + ":" + r.Group
}

// cgroupOf is the cgroup of a service that has a process, or why it has none.
func cgroupOf(r *sock.ServiceStatusFull) string {
	if r.Cgroup == "" && r.CgroupMissing != "" && r.State.PID > 0 {
		return "none: " + r.CgroupMissing
	}
	return r.Cgroup
}

// leftBehind is who lives on of earlier runs of a service, or may.
func leftBehind(r *sock.ServiceStatusFull) string {
	if len(r.Left) > 0 {
		return processes(r.Left) + " of an earlier run"
	}
	if len(r.Strays) > 0 {
		return "perhaps " + processes(r.Strays) + ": without a cgroup nobody knows of which service"
	}
	return ""
}

// processes names some of a list of processes.
func processes(list []sock.Child) string {
	const most = 4
	var names phrases
	for i, p := range list {
		if i == most {
			names.add(fmt.Sprintf("and %d more", len(list)-most))
			break
		}
		names.add(fmt.Sprintf("%s (pid %d)", p.Name, p.PID))
	}
	return names.String()
}

// inTheWay is what must not be there when a service starts.
func inTheWay(what []string, kill bool) string {
	text := strings.Join(what, ", ")
	if text != "" && kill {
		text += ", kill_others"
	}
	return text
}

func numbers(list []uint16) (words []string) {
	for _, n := range list {
		words = append(words, strconv.Itoa(int(n)))
	}
	return words
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

// dependencies lists them, those of one kind on a line.
func (s *session) dependencies(list []sock.Dependency) string {
	const indent = 9
	var b strings.Builder
	at := indent
	for i, d := range list {
		name := escape(d.Name)
		wide := len(", ") + utf8.RuneCountInString(name) + len(" (),") + len(d.State.State)
		switch {
		case i == 0 || d.DepType != list[i-1].DepType:
			if i > 0 {
				b.WriteString("\n" + strings.Repeat(" ", indent))
			}
			b.WriteString(d.DepType + " ")
			at = indent + len(d.DepType)
		case s.width > 0 && at+wide > s.width:
			b.WriteString(",\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteString(", ")
		}
		_, _, colour := look(d.State.State)
		b.WriteString(name + " (" + s.paint(colour, d.State.State) + ")")
		at += wide - 1
	}
	return b.String()
}
