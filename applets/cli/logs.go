package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"zinit/applets/env"
	"zinit/sock"
)

// defaultLines is what logs shows without -n.
const defaultLines = 100

// logs shows what a service printed last.
func logs(s *session) int {
	name := s.call.words[0]
	count, err := strconv.ParseInt(s.call.value("lines", strconv.Itoa(defaultLines)), 10, 64)
	if err != nil || count < 0 {
		return s.usage(fmt.Errorf("-n %s is no number of lines", s.call.value("lines", "")))
	}
	var lines []string
	if err := s.ask(sock.MethodLogs, sock.LogsParams{Name: name, Lines: count}, &lines); err != nil {
		return s.fail(named(name, err))
	}
	switch {
	case s.call.has("json"):
		list := make([]sock.LogLine, len(lines))
		for i, line := range lines {
			list[i] = parseLine(name, line)
		}
		s.printJSON(list)
	case len(lines) == 0:
		s.printf("No logs available for %s\n", name)
	case s.terminal:
		for _, line := range lines {
			s.printLine(parseLine(name, line))
		}
	default:
		for _, line := range lines {
			s.print(line)
			s.print("\n")
		}
	}
	return env.ExitDone
}

// parseLine takes "MS [stream] text" apart. What looks different is all text.
func parseLine(service, line string) sock.LogLine {
	plain := sock.LogLine{Content: line, Service: service}
	ms, rest, ok := strings.Cut(line, " [")
	if !ok {
		return plain
	}
	stream, text, ok := strings.Cut(rest, "] ")
	if !ok {
		// A line without text may have lost its last blank.
		stream, ok = strings.CutSuffix(rest, "]")
	}
	stamp, err := strconv.ParseInt(ms, 10, 64)
	if !ok || err != nil {
		return plain
	}
	return sock.LogLine{Content: text, Service: service, Stream: stream, TimestampMs: stamp}
}

// printLine shows a line to a person.
func (s *session) printLine(l sock.LogLine) {
	if l.Stream == "" {
		s.print(escape(l.Content) + "\n")
		return
	}
	at := time.UnixMilli(l.TimestampMs).In(s.now().Location()).Format("2006-01-02 15:04:05.000")
	colour := "90"
	if l.Stream == "stderr" {
		colour = "33"
	}
	s.print(s.paint("90", at) + " " + s.paint(colour, "["+escape(l.Stream)+"]") + " " + escape(l.Content) + "\n")
}
