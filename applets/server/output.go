package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"zinit/sock"
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
			Params: []sock.Param{nameParam, lines, sinceParam, streamParam}, Handle: s.logsTail},
		{Name: sock.MethodLogsFilter, Access: sock.Read, Summary: "Returns the lines of a service that were asked for, as objects.", Result: []sock.LogLine(nil),
			Params: []sock.Param{
				{Name: "service", Type: "string", Summary: "the service; required, unless it is given as name"},
				{Name: "name", Type: "string", Summary: "the same as service"},
				all, sinceParam, streamParam,
			}, Handle: s.logsFilter},
	}
}

var (
	sinceParam  = sock.Param{Name: "since", Type: "integer", Summary: "nothing older, Unix milliseconds"}
	streamParam = sock.Param{Name: "stream", Type: "string", Summary: "only this one: stdout, stderr, zinit or syslog"}
)

// defaultLines is how many lines are returned when nobody says how many.
const defaultLines = 100

// mostLines is what stands for all of them.
const mostLines = 1 << 30

// streams are the words for where a line comes from, in the order of logs.Stream.
// There are no lines from syslog yet; clients of zinit 0.3.9 may ask for them all
// the same.
var streams = []string{logs.Stdout.String(), logs.Stderr.String(), logs.Zinit.String(), "syslog"}

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
	q, err := query(p.Lines, p.SinceMs, p.Stream)
	switch {
	case err != nil:
		return nil, err
	case s.sup.Snapshot().Find(p.Name) == nil:
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

// query is what a client asks for, in the terms of the logs.
func query(lines, since int64, stream string) (q logs.Query, err error) {
	q.Lines = int(min(lines, mostLines))
	if since > 0 {
		q.Since = time.UnixMilli(since)
	}
	if stream == "" {
		return q, nil
	}
	i := slices.Index(streams, stream)
	if i < 0 {
		return q, invalidParam("unknown stream '%s': it is one of %s", stream, strings.Join(streams, ", "))
	}
	one := logs.Stream(i) // of the last there are no lines
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
