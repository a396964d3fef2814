package cli

import (
	"fmt"
	"time"
	"unicode/utf8"

	"zinit/applets/env"
	"zinit/sock"
)

// timers shows the services that a timer starts, the next one first.
func timers(s *session) int {
	if s.call.has("json") {
		return s.relay(sock.MethodTimers, nil)
	}
	var list []sock.TimerStatus
	if err := s.ask(sock.MethodTimers, nil, &list); err != nil {
		return s.fail(err)
	}
	if len(list) == 0 {
		s.print("No timers configured\n")
		return env.ExitDone
	}
	s.printTimers(list)
	return env.ExitDone
}

// printTimers prints a table; the last column may be long.
func (s *session) printTimers(list []sock.TimerStatus) {
	rows := [][4]string{{"NAME", "NEXT", "LAST", "RESULT"}}
	for i := range list {
		t := &list[i]
		result := escape(t.Result)
		if t.LastMs == 0 {
			result = "" // it is not that of the timer
		}
		if t.Skipped > 0 {
			result += ", " + skipped(t)
		}
		next := s.ahead(t.NextMs)
		if t.Off {
			next = "stopped by hand"
		}
		rows = append(rows, [4]string{escape(t.Name), next, s.ago(t.LastMs), result})
	}
	var wide [3]int
	for _, r := range rows {
		for i := range wide {
			wide[i] = max(wide[i], utf8.RuneCountInString(r[i]))
		}
	}
	for _, r := range rows {
		at := 0
		for i, w := range wide {
			s.print(r[i])
			if at += w + 2; i < 2 || r[3] != "" {
				s.pad(w + 2 - utf8.RuneCountInString(r[i]))
			}
		}
		s.print(s.hang(at, r[3]) + "\n")
	}
}

// timerLine is the line of a timer in the status of its service.
func (s *session) timerLine(t *sock.TimerStatus) string {
	switch {
	case t == nil:
		return ""
	case t.Off:
		return "stopped by hand, until zinit start " + escape(t.Name)
	}
	text := "next " + s.ahead(t.NextMs)
	if t.LastMs > 0 {
		text += ", last " + s.ago(t.LastMs)
	}
	if t.Skipped > 0 {
		text += ", " + skipped(t)
	}
	return text
}

// skipped is the starts that were left out.
func skipped(t *sock.TimerStatus) string { return fmt.Sprintf("%d skipped", t.Skipped) }

// ahead shows a moment to come: 03:00:00 (in 5h2m).
func (s *session) ahead(ms int64) string {
	if ms == 0 {
		return "never"
	}
	return s.clock(ms) + " (" + s.until(ms) + ")"
}

// ago shows a moment that has been.
func (s *session) ago(ms int64) string {
	if ms == 0 {
		return "never"
	}
	return fmt.Sprintf("%s (%s ago)", s.clock(ms), span(s.since(ms)))
}

// clock shows a moment in local time: of today to the second, otherwise the date and
// the minute.
func (s *session) clock(ms int64) string {
	now := s.now()
	t := time.UnixMilli(ms).In(now.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format("2006-01-02 15:04")
}
