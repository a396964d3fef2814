package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"zinit/applets/env"
	"zinit/sock"
)

// none says that there are no services, and why, when the configuration as a whole
// could not be read.
func (s *session) none() int {
	s.print("No services configured\n")
	var reply sock.Ping
	if err := s.ask(sock.MethodPing, nil, &reply); err != nil || len(reply.Problems) == 0 {
		return env.ExitDone // an older server tells nothing
	}
	return s.fail(errors.New(strings.Join(reply.Problems, "\n")))
}

// list shows all services in the order in which the server has them.
func list(s *session) int {
	switch {
	case s.call.has("json"):
		return s.relay(sock.MethodListFull, nil)
	case s.call.has("legacy"):
		return s.listLegacy()
	}
	var services []sock.ServiceInfo
	if err := s.ask(sock.MethodListFull, nil, &services); err != nil {
		return s.fail(err)
	}
	if len(services) == 0 {
		return s.none()
	}
	s.printList(services)
	return 0
}

// printList prints one line for each service. A line begins as in zinit 0.3.9,
// GLYPH NAME State (pid: N), and goes on with a column for the rest.
func (s *session) printList(services []sock.ServiceInfo) {
	var names, states, uptimes int
	rows := make([]row, len(services))
	for i := range services {
		r := s.row(&services[i])
		rows[i] = r
		if n := utf8.RuneCountInString(r.name); !s.tooLong(n) {
			names = max(names, n)
		}
		states = max(states, len(r.word)+len(r.pid))
		if r.restarts != "" {
			uptimes = max(uptimes, len(r.uptime))
		}
	}
	for i := range rows {
		r := &rows[i]
		s.print(s.paint(r.colour, r.glyph) + " " + r.name)
		if n := utf8.RuneCountInString(r.name); n <= names {
			s.pad(names - n)
		} else {
			s.print("\n")
			s.pad(2 + names)
		}
		s.print(" " + s.paint(r.colour, r.word) + r.pid)
		text := s.brief(2+names+1+states+3, r.rest(uptimes), r.next)
		if text != "" && text[0] != '\n' {
			s.pad(states - len(r.word) - len(r.pid) + 3)
		}
		s.print(text + "\n")
	}
}

// tooLong tells whether a name of n characters has a line of its own: it would push
// what is behind the names of all others out of the terminal.
func (s *session) tooLong(n int) bool { return s.width > 0 && n > s.width*2/5 }

func (s *session) pad(n int) {
	for range n {
		s.out.WriteByte(' ')
	}
}

// A row is the parts of a line of list.
type row struct {
	glyph, colour, name, word, pid string
	uptime, restarts, reason, next string
}

// rest is what stands behind the state, but for what comes next.
func (r *row) rest(uptimes int) string {
	rest := r.uptime
	if r.restarts != "" {
		rest = fmt.Sprintf("%-*s  %s", uptimes, r.uptime, r.restarts)
	}
	switch {
	case r.reason+r.next == "":
	case r.uptime == "":
		rest = r.reason // with the restarts
	default:
		rest += "  " + r.reason
	}
	return rest
}

func (s *session) row(info *sock.ServiceInfo) row {
	r := row{name: escape(info.Name)}
	r.glyph, r.word, r.colour = look(info.State.State)
	if info.State.PID > 0 {
		r.pid = fmt.Sprintf(" (pid: %d)", info.State.PID)
	}
	if info.State.State == sock.Running && info.SinceMs > 0 {
		r.uptime = "up " + span(s.since(info.SinceMs))
	}
	if info.Restarts > 0 {
		r.restarts = plural(info.Restarts, "restart")
	}
	r.reason, r.next = s.because(info.Name, info.State, &info.Details)
	r.reason = joined(escape(info.Phase), r.reason)
	if info.OpenConnections > 0 {
		r.reason = joined(plural(info.OpenConnections, "connection"), r.reason)
	}
	if info.OnDemand && info.NextStartMs == 0 {
		r.next = "starts on demand"
	}
	if info.NextRunMs > 0 && info.NextStartMs == 0 && info.State.PID == 0 {
		r.next = "next run " + s.ahead(info.NextRunMs)
	}
	return r
}

// reason says in one line why a service is as it is, and what comes next: "exit
// code 3; restarts in 4s (2 restarts so far)". It is empty when there is nothing
// to say.
func (s *session) reason(name string, state sock.ServiceState, d *sock.Details) string {
	return joined(s.because(name, state, d))
}

// because is reason in its two parts.
func (s *session) because(name string, state sock.ServiceState, d *sock.Details) (text, next string) {
	text = d.Problem
	if text == "" {
		text = d.Reason
	}
	if text == "" {
		text = plainReason(state)
	}
	if text == "" && d.NextStartMs == 0 {
		return "", "" // as for most
	}
	// The line names the service already.
	text = strings.TrimPrefix(escape(text), name+": ")
	if d.NextStartMs > 0 {
		next = "restarts " + s.until(d.NextStartMs)
		if d.Restarts > 0 {
			next += " (" + plural(d.Restarts, "restart") + " so far)"
		}
	}
	return text, next
}

// plainReason is the reason of a server that tells only the state.
func plainReason(state sock.ServiceState) string {
	status := sock.NewStatus("", state)
	switch {
	case status.Error != "":
		return status.Error
	case status.ExitCode != nil && *status.ExitCode != 0:
		return fmt.Sprintf("exit code %d", *status.ExitCode)
	}
	return ""
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// since is how long ago a moment was, and never negative: the server's clock is
// ours, but it may have been set meanwhile.
func (s *session) since(ms int64) time.Duration {
	return max(0, s.now().Sub(time.UnixMilli(ms)))
}

// until says how far ahead a moment is: now, in 0.6s, in 4s.
func (s *session) until(ms int64) string {
	left := time.UnixMilli(ms).Sub(s.now())
	switch {
	case left <= 0:
		return "now"
	case left < time.Second:
		tenths := max(1, left/(100*time.Millisecond))
		return fmt.Sprintf("in 0.%ds", tenths)
	}
	return "in " + span(left)
}

// span shows a length of time with its two largest units: 28s, 1m30s, 2h5m, 3d4h.
func span(d time.Duration) string {
	sec := int64(d / time.Second)
	switch {
	case sec < 60:
		return fmt.Sprintf("%ds", sec)
	case sec < 3600:
		return units(sec/60, "m", sec%60, "s")
	case sec < 86400:
		return units(sec/3600, "h", sec%3600/60, "m")
	}
	return units(sec/86400, "d", sec%86400/3600, "h")
}

func units(big int64, unit string, little int64, lesser string) string {
	if little == 0 {
		return fmt.Sprintf("%d%s", big, unit)
	}
	return fmt.Sprintf("%d%s%d%s", big, unit, little, lesser)
}
