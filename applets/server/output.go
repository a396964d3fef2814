package server

import (
	"context"
	"fmt"

	"zinit/sock"
)

// output is the methods that show what services wrote.
func (s *server) output() sock.Table {
	return sock.Table{
		{Name: sock.MethodLogs, Access: sock.Read, Summary: "Returns the last lines that a service wrote.", Result: []string(nil),
			Params: []sock.Param{{Name: "name", Type: "string", Summary: "the service; without it the result is empty"}, {Name: "lines", Type: "integer", Lax: true, Summary: "how many at most, 100 when absent"}}, Handle: s.logLines},
	}
}

// defaultLines is how many lines logs.get returns when it is not told.
const defaultLines = 100

func (s *server) logLines(_ context.Context, c *sock.Call) (any, error) {
	p := sock.LogsParams{Lines: defaultLines}
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	if p.Lines < 0 {
		p.Lines = defaultLines // zinit 0.3.9 takes no such number for one
	}
	if p.Name == "" {
		return []string{}, nil
	}
	if s.sup.Snapshot().Find(p.Name) == nil {
		return nil, sock.NoService()
	}
	lines, err := s.logs.Tail(p.Name, int(min(p.Lines, 1<<30)))
	if err != nil {
		return nil, fmt.Errorf("cannot read the log of %s: %w", p.Name, err)
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		text := string(l.Text)
		if l.Cut {
			text += " [cut]"
		}
		out[i] = sock.LogLine{TimestampMs: l.Time.UnixMilli(), Stream: l.Stream.String(), Content: text}.String()
	}
	return out, nil
}
