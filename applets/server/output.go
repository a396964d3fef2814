package server

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/logs"
)

// output is the methods that show what services wrote.
func (s *server) output() sock.Table {
	lines := sock.Param{Name: "lines", Type: "integer", Lax: true, Summary: "how many at most, counted from the end, 100 when absent"}
	all := lines
	all.Summary = "how many at most, counted from the end, all when absent"
	return sock.Table{
		{Name: sock.MethodLogs, Access: sock.Read, Summary: "Returns the last lines that a service wrote, as text.", Result: []string(nil),
			Params: []sock.Param{{Name: "name", Type: "string", Summary: "the service; without it the result is empty"}, lines}, Handle: s.logLines},
		{Name: sock.MethodLogsTail, Access: sock.Read, Summary: "Returns the last lines that a service wrote, as objects.", Result: []sock.LogLine(nil),
			Params: []sock.Param{nameParam, lines, sinceParam, untilParam, streamParam, grepParam}, Handle: s.logsTail},
		{Name: sock.MethodLogsFilter, Access: sock.Read, Summary: "Returns the lines of a service that were asked for, as objects.", Result: []sock.LogLine(nil),
			Params: []sock.Param{
				{Name: "service", Type: "string", Summary: "the service; required, unless it is given as name"},
				{Name: "name", Type: "string", Summary: "the same as service"},
				all, sinceParam, untilParam, streamParam, grepParam,
			}, Handle: s.logsFilter},
		{Name: sock.MethodLogsQuery, Access: sock.Read, Summary: "Returns the last lines of several services together, in the order of their times.", Result: []sock.LogLine(nil),
			Params: []sock.Param{
				{Name: "names", Type: "array", Of: []string(nil), Summary: "the services; without it all"},
				lines, sinceParam, untilParam, streamParam, grepParam,
			}, Handle: s.logsQuery},
	}
}

var (
	sinceParam  = sock.Param{Name: "since", Type: "integer", Summary: "nothing older, Unix milliseconds"}
	untilParam  = sock.Param{Name: "until", Type: "integer", Summary: "nothing younger, Unix milliseconds"}
	streamParam = sock.Param{Name: "stream", Type: "string", Summary: "only this one: stdout, stderr, zinit or syslog"}
	grepParam   = sock.Param{Name: "grep", Type: "string", Summary: "only lines in which this regular expression (of Go) is found"}
)

// defaultLines is how many lines are returned when nobody says how many.
const defaultLines = 100

// mostLines is what stands for all of them.
const mostLines = 1 << 30

// mostBytes is how much text of several services is returned together.
const mostBytes = 16 << 20

// longestGrep is how long a regular expression may be. Whatever it is, it takes a
// time that grows with the text and not faster.
const longestGrep = 1000

// streams are the words for where a line comes from, in the order of logs.Stream.
var streams = []string{logs.Stdout.String(), logs.Stderr.String(), logs.Zinit.String(), logs.Syslog.String()}

func (s *server) logLines(_ context.Context, c *sock.Call) (any, error) {
	p := sock.LogsParams{Lines: defaultLines}
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	if p.Name == "" {
		return []string{}, nil
	}
	lines, err := s.readLog(sock.LogsTailParams{Name: p.Name, Lines: p.Lines}, defaultLines)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l.String()
	}
	return out, nil
}

func (s *server) logsTail(_ context.Context, c *sock.Call) (any, error) {
	p := sock.LogsTailParams{Lines: defaultLines}
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	return s.readLog(p, defaultLines)
}

func (s *server) logsFilter(_ context.Context, c *sock.Call) (any, error) {
	p := sock.LogsTailParams{Lines: mostLines}
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	if p.Service != "" {
		p.Name = p.Service
	}
	if p.Name == "" {
		return nil, &sock.Error{Code: sock.CodeInvalidParams, Message: "missing 'service' parameter"}
	}
	if p.Lines == 0 {
		p.Lines = mostLines // clients that have no number send this one
	}
	return s.readLog(p, mostLines)
}

// readLog returns the lines that p asks for, never nil. Less than none, which zinit
// 0.3.9 takes for no number at all, is absent.
func (s *server) readLog(p sock.LogsTailParams, absent int64) ([]sock.LogLine, error) {
	if p.Lines < 0 {
		p.Lines = absent
	}
	q, err := query(asked{p.Lines, p.SinceMs, p.UntilMs, p.Stream, p.Grep})
	switch {
	case err != nil:
		return nil, err
	case !s.hasLog(s.sup.Snapshot(), p.Name):
		return nil, sock.NoService()
	case p.Lines == 0:
		return []sock.LogLine{}, nil
	}
	lines, err := s.logs.Read(p.Name, q)
	if err != nil {
		return nil, fmt.Errorf("cannot read the log of %s: %w", p.Name, err)
	}
	out := make([]sock.LogLine, len(lines))
	for i, l := range lines {
		out[i] = wireLine(p.Name, l)
	}
	return out, nil
}

// logsQuery answers logs.query. One service after the other is read, and what does
// not belong to the last lines of all is forgotten at once.
func (s *server) logsQuery(ctx context.Context, c *sock.Call) (any, error) {
	p := sock.LogsQueryParams{Lines: defaultLines}
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	if p.Lines <= 0 {
		p.Lines = defaultLines
	}
	q, err := query(asked{p.Lines, p.SinceMs, p.UntilMs, p.Stream, p.Grep})
	if err != nil {
		return nil, err
	}
	names, err := s.logNames(s.sup.Snapshot(), p.Names)
	if err != nil {
		return nil, err
	}
	all := []sock.LogLine{}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		lines, err := s.logs.Read(name, q)
		if err != nil {
			return nil, fmt.Errorf("cannot read the log of %s: %w", name, err)
		}
		for _, l := range lines {
			all = append(all, wireLine(name, l))
		}
		all = lastOf(all, q.Lines)
	}
	return all, nil
}

// lastOf is the last n lines by time, and no more of them than one answer may have.
func lastOf(all []sock.LogLine, n int) []sock.LogLine {
	sort.SliceStable(all, func(i, j int) bool { return all[i].TimestampMs < all[j].TimestampMs })
	from, bytes := len(all), 0
	for from > max(0, len(all)-n) && bytes < mostBytes {
		from--
		bytes += len(all[from].Content)
	}
	return slices.Delete(all, 0, from)
}

// logNames are the services that a client means: none are all, and the log of what
// belongs to none.
func (s *server) logNames(snap *supervise.Snapshot, names []string) ([]string, error) {
	for _, name := range names {
		if !s.hasLog(snap, name) {
			return nil, known(snap, []string{name})
		}
	}
	if len(names) > 0 {
		return names, nil
	}
	names = make([]string, 0, len(snap.Views)+1)
	for _, v := range snap.Views {
		names = append(names, v.Name)
	}
	if s.logs.Has(logs.Nobody) {
		names = append(names, logs.Nobody)
	}
	return names, nil
}

// hasLog reports that a name is a service's, or stands for what is of none.
func (s *server) hasLog(snap *supervise.Snapshot, name string) bool {
	return name == logs.Nobody && s.logs.Has(name) || snap.Find(name) != nil || s.isTest(snap, name)
}

// isTest reports the name of the log of a service's test.
func (s *server) isTest(snap *supervise.Snapshot, name string) bool {
	service, _, _ := strings.Cut(name, "/")
	v := snap.Find(service)
	if v == nil {
		return false
	}
	test, ok := supervise.TestLog(v.Config)
	return ok && name == test
}

// asked is what a client asks for.
type asked struct {
	lines, since, until int64
	stream, grep        string
}

// query is the same in the terms of the logs.
func query(a asked) (q logs.Query, err error) {
	q.Lines = int(min(a.lines, mostLines))
	if a.since > 0 {
		q.Since = time.UnixMilli(a.since)
	}
	if a.until > 0 {
		q.Until = time.UnixMilli(a.until)
	}
	if len(a.grep) > longestGrep {
		return q, invalidParam("the regular expression has %d bytes: use at most %d", len(a.grep), longestGrep)
	}
	if a.grep != "" {
		if q.Match, err = regexp.Compile(a.grep); err != nil {
			return q, invalidParam("%v", err)
		}
	}
	if a.stream == "" {
		return q, nil
	}
	i := slices.Index(streams, a.stream)
	if i < 0 {
		return q, invalidParam("unknown stream '%s': it is one of %s", a.stream, strings.Join(streams, ", "))
	}
	one := logs.Stream(i)
	q.Stream = &one
	return q, nil
}

// wireLine is a line on the wire. One that is not whole says so.
func wireLine(service string, l logs.Line) sock.LogLine {
	text := string(l.Text)
	if l.Cut {
		text += " [cut]"
	}
	return sock.LogLine{TimestampMs: l.Time.UnixMilli(), Service: service, Stream: l.Stream.String(), Content: text}
}
