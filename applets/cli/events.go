package cli

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"

	"zinit/sock"
)

// events shows what happens to services, over restarts of the server, until
// somebody ends it.
func events(s *session) int {
	// The present states are asked for in any case: they tell what is different
	// after a gap, and how wide the names are.
	params := sock.EventsParams{Names: s.call.words, Now: true}
	w := &watch{s: s, known: map[string]string{}, fresh: s.call.has("now")}
	open := func(ctx context.Context) iter.Seq2[sock.Event, error] { return s.client.Events(ctx, params) }
	return show(s, sock.MethodEvents, open, w.event)
}

// A watch remembers what events has shown.
type watch struct {
	s     *session
	known map[string]string // the last state of each service
	width int               // of the names so far
	fresh bool              // states of services that are not known yet are worth a line
}

func (w *watch) event(e *sock.Event) {
	before, seen := w.known[e.Service]
	switch e.Type {
	case sock.EventState, sock.EventNow:
		w.known[e.Service] = e.To
	case sock.EventRemoved:
		delete(w.known, e.Service)
	case sock.EventGap:
		// A service that nobody has heard of was added meanwhile.
		w.fresh = true
		e.TimeMs = w.s.now().UnixMilli()
	}
	w.width = max(w.width, utf8.RuneCountInString(escape(e.Service)))
	switch {
	case e.Type == sock.EventNow && (seen && before == e.To || !seen && !w.fresh):
	case w.s.call.has("json"):
		w.s.printJSON(e)
	default:
		w.s.printEvent(e, w.width)
	}
}

// printEvent prints one line: the time, and then as list does.
func (s *session) printEvent(e *sock.Event, width int) {
	glyph, word, colour := eventLook(e)
	s.print(s.moment(e.TimeMs) + " " + s.paint(colour, glyph) + " ")
	if e.Type == sock.EventGap {
		s.print("events may be missing here: " + escape(e.Reason) + "\n")
		return
	}
	name := escape(e.Service)
	s.print(name)
	s.pad(width - utf8.RuneCountInString(name))
	s.print(" " + s.paint(colour, word))
	// In other states the pid is that of a process which has ended.
	pid := ""
	if alive := e.To == sock.Starting || e.To == sock.Running || e.To == sock.Stopping; alive && e.PID > 0 {
		pid = fmt.Sprintf(" (pid: %d)", e.PID)
	}
	s.print(pid)
	reason := strings.TrimPrefix(escape(e.Reason), e.Service+": ")
	if reason == "" && e.ExitCode != nil && *e.ExitCode != 0 {
		reason = fmt.Sprintf("exit code %d", *e.ExitCode)
	}
	if reason != "" {
		const before = len(timeLayout) + 3 // the time, and the glyph between blanks
		s.print("   " + s.hang(before+width+1+len(word)+len(pid)+3, reason))
	}
	s.print("\n")
}

func eventLook(e *sock.Event) (glyph, word, colour string) {
	switch e.Type {
	case sock.EventAdded:
		return "+", "added", "32"
	case sock.EventRemoved:
		return "-", "removed", "31"
	case sock.EventChanged:
		return "~", "changed", "33"
	case sock.EventGap:
		return "!", "", "33"
	}
	return look(e.To)
}
