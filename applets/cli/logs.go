package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"zinit/applets/env"
	"zinit/sock"
	"zinit/supervise/config"
)

// defaultLines is what logs shows of each service without -n.
const defaultLines = 100

// A logQuery is what the flags of logs ask for.
type logQuery struct {
	lines  int64
	since  int64 // Unix milliseconds, 0: from the beginning
	until  int64 // the same, 0: to the end
	stream string
	grep   string
}

// logs shows what services printed last, and with -f what they print from then on.
func logs(s *session) int {
	q, err := s.logQuery()
	switch {
	case err != nil:
		return s.usage(err)
	case s.call.has("follow"):
		return s.followLogs(q)
	case len(s.call.words) == 0:
		return s.allLogs(q)
	case len(s.call.words) == 1 && q == logQuery{lines: q.lines}:
		return s.plainLogs(s.call.words[0], q.lines)
	}
	return s.queryLogs(q)
}

func (s *session) logQuery() (logQuery, error) {
	q := logQuery{lines: defaultLines, stream: s.call.value("stream", ""), grep: s.call.value("grep", "")}
	var err error
	if q.since, err = s.timeFlag("since"); err != nil {
		return q, err
	}
	if q.until, err = s.timeFlag("until"); err != nil {
		return q, err
	}
	if q.since > 0 {
		q.lines = math.MaxInt32
	}
	if s.call.has("lines") {
		n, err := strconv.ParseInt(s.call.value("lines", ""), 10, 32)
		if err != nil || n < 0 {
			return q, fmt.Errorf("-n %s is no number of lines", s.call.value("lines", ""))
		}
		q.lines = n
	}
	if _, err := regexp.Compile(q.grep); err != nil {
		return q, fmt.Errorf("--grep %s: %w", q.grep, err)
	}
	if q.until > 0 && s.call.has("follow") {
		return q, errors.New("--until and --follow do not go together: choose one")
	}
	streams := []string{"stdout", "stderr", "zinit", "syslog"}
	if s.call.has("stream") && !slices.Contains(streams, q.stream) {
		if near := config.Nearest(q.stream, streams); near != "" {
			return q, fmt.Errorf("unknown stream %q: did you mean %s?", q.stream, near)
		}
		return q, fmt.Errorf("unknown stream %q: it is stdout, stderr, zinit or syslog", q.stream)
	}
	return q, nil
}

// timeFlag is the time that a flag names, in Unix milliseconds; 0: it is not given.
func (s *session) timeFlag(name string) (ms int64, err error) {
	if !s.call.has(name) {
		return 0, nil
	}
	when, err := parseTime(name, s.call.value(name, ""), s.now())
	return max(1, when.UnixMilli()), err
}

// parseTime understands a length of time, which lies before now, a time of
// today, a date, both, or milliseconds as logs prints them.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && len(text) > 10 {
		return time.UnixMilli(ms), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, at.Hour(), at.Minute(), at.Second(), 0, now.Location()), nil
		}
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	return now, fmt.Errorf("--%s %s is no time: write 90s or 2h30m, 15:04, 2026-01-31, or \"2026-01-31 15:04:05\"", flag, text)
}

// plainLogs asks as zinit 0.3.9 does, and away from a terminal passes on what it
// gets untouched.
func (s *session) plainLogs(name string, count int64) int {
	var lines []string
	if err := s.ask(sock.MethodLogs, sock.LogsParams{Name: name, Lines: count}, &lines); err != nil {
		return s.fail(named(name, err))
	}
	if !s.terminal && !s.call.has("json") && len(lines) > 0 {
		for _, line := range lines {
			s.print(line)
			s.print("\n")
		}
		return env.ExitDone
	}
	list := make([]sock.LogLine, len(lines))
	for i, line := range lines {
		list[i] = parseLine(name, line)
	}
	s.showLogs(list)
	return env.ExitDone
}

// queryLogs puts the lines of several services into the order of their times.
func (s *session) queryLogs(q logQuery) int {
	all := []sock.LogLine{}
	code := s.each(s.call.words, func(name string) error {
		var lines []sock.LogLine
		params := sock.LogsTailParams{Name: name, Stream: q.stream, SinceMs: q.since, UntilMs: q.until, Grep: q.grep, Lines: q.lines}
		if err := s.ask(sock.MethodLogsTail, params, &lines); err != nil {
			return named(name, err)
		}
		all = append(all, lines...)
		return nil
	})
	sort.SliceStable(all, func(i, j int) bool { return all[i].TimestampMs < all[j].TimestampMs })
	if code == env.ExitDone || len(all) > 0 {
		s.showLogs(all)
	}
	return code
}

// allLogs asks for the last lines of all services together.
func (s *session) allLogs(q logQuery) int {
	lines := []sock.LogLine{}
	params := sock.LogsQueryParams{Stream: q.stream, SinceMs: q.since, UntilMs: q.until, Grep: q.grep, Lines: q.lines}
	if q.lines > 0 { // none is no question
		if err := s.ask(sock.MethodLogsQuery, params, &lines); err != nil {
			return s.fail(err)
		}
	}
	s.showLogs(lines)
	return env.ExitDone
}

func (s *session) showLogs(lines []sock.LogLine) {
	if s.call.has("json") {
		s.printJSON(lines)
		return
	}
	if len(lines) == 0 {
		s.printf("No logs available for %s\n", escape(cmp.Or(strings.Join(s.call.words, ", "), "any service")))
	}
	p := s.linePrinter()
	if p.names {
		for i := range lines {
			p.meet(lines[i].Service)
		}
	}
	for i := range lines {
		p.print(&lines[i])
	}
}

// followLogs shows lines as they come. It goes on over restarts of the server,
// until somebody ends it or the server says that there is nothing to follow.
func (s *session) followLogs(q logQuery) int {
	params := sock.LogsFollowParams{Names: s.call.words, Lines: q.lines, SinceMs: q.since, Stream: q.stream, Grep: q.grep}
	p := s.linePrinter()
	open := func(ctx context.Context) iter.Seq2[sock.FollowedLine, error] {
		return s.client.Follow(ctx, params)
	}
	return show(s, sock.MethodLogsFollow, open, func(line *sock.FollowedLine) {
		if s.call.has("json") {
			s.printJSON(line)
			return
		}
		if line.Dropped > 0 {
			s.warn(fmt.Sprintf("%s: %s lost before the next line: it prints faster than this is read",
				line.Service, plural(line.Dropped, "byte")))
		}
		p.print(&line.LogLine)
	})
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

// A linePrinter shows lines of logs, each after the name of its service unless one
// was asked for.
type linePrinter struct {
	s       *session
	names   bool
	width   int               // of the longest name so far
	colours map[string]string // by name
}

// nameColours tell services apart; red and yellow have a meaning.
const nameColours = "36 32 35 34"

func (s *session) linePrinter() *linePrinter {
	p := &linePrinter{s: s, names: len(s.call.words) != 1, colours: map[string]string{}}
	if p.names {
		for _, name := range s.call.words {
			p.meet(name)
		}
	}
	return p
}

// meet gives a service its colour, and its name the room that it takes.
func (p *linePrinter) meet(name string) {
	if p.colours[name] == "" {
		palette := strings.Fields(nameColours)
		p.colours[name] = palette[len(p.colours)%len(palette)]
		p.width = max(p.width, utf8.RuneCountInString(escape(name)))
	}
}

func (p *linePrinter) print(l *sock.LogLine) {
	if p.names {
		p.meet(l.Service)
		name := escape(l.Service)
		p.s.print(p.s.paint(p.colours[l.Service], name))
		p.s.pad(p.width - utf8.RuneCountInString(name))
		p.s.print(" | ")
	}
	switch {
	case p.s.terminal:
		p.s.printLine(l)
	case l.Stream == "":
		p.s.print(l.Content + "\n")
	default:
		p.s.print(l.String() + "\n")
	}
}

// printLine shows a line to a person.
func (s *session) printLine(l *sock.LogLine) {
	if l.Stream == "" {
		s.print(escape(l.Content) + "\n")
		return
	}
	colour := "90"
	if l.Stream == "stderr" {
		colour = "33"
	}
	s.print(s.moment(l.TimestampMs) + " " + s.paint(colour, "["+escape(l.Stream)+"]") + " " + escape(l.Content) + "\n")
}

// timeLayout is how people see a time.
const timeLayout = "2006-01-02 15:04:05.000"

// moment shows Unix milliseconds: a time for people, the number for programs.
func (s *session) moment(ms int64) string {
	if !s.terminal {
		return strconv.FormatInt(ms, 10)
	}
	return s.paint("90", time.UnixMilli(ms).In(s.now().Location()).Format(timeLayout))
}
