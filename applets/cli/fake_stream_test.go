package cli

import (
	"context"
	"encoding/json"
	"slices"

	"zinit/sock"
)

// streamMethods is the subscriptions. A fake that restarts breaks off the first
// one of each kind, as a server does that goes down.
func (f *fake) streamMethods() []sock.Method {
	return []sock.Method{
		{Name: sock.MethodEvents, Access: sock.Read, Streams: true, Handle: f.streamEvents},
		{Name: sock.MethodLogsFollow, Access: sock.Read, Streams: true, Handle: f.streamLogs},
	}
}

func (f *fake) streamEvents(_ context.Context, c *sock.Call) (any, error) {
	var p sock.EventsParams
	if err := json.Unmarshal(c.Raw, &p); err != nil {
		return nil, err
	}
	f.note(sock.MethodEvents, c.Raw)
	turn := f.turns.Add(1)
	for _, name := range p.Names {
		if f.find(name) == nil {
			return nil, sock.UnknownService(name)
		}
	}
	if err := c.Begin(sock.Subscribed{Subscribed: true}); err != nil {
		return nil, err
	}
	var now []sock.Event
	for _, s := range f.services {
		e := sock.Event{Type: sock.EventNow, Service: s.Name, To: s.State.State, PID: s.State.PID, TimeMs: startedAt}
		if turn > 1 && s.Name == "web" {
			e.To, e.PID = sock.Failed, 0
			e.Reason = "web: killed by signal 9: look at zinit logs web"
		}
		now = append(now, e)
	}
	if turn > 1 {
		now = append(now, sock.Event{Type: sock.EventNow, Service: "new", To: sock.Running, PID: 5000, TimeMs: startedAt})
	}
	batches := [][]sock.Event{now, {
		{Type: sock.EventState, Seq: 7, TimeMs: startedAt + 1, Service: "web", From: sock.Running, To: sock.Stopping, PID: 862, Run: 3},
		{Type: sock.EventState, Seq: 8, TimeMs: startedAt + 2, Service: "api", From: sock.Starting, To: sock.Failed, ExitCode: code(3), Run: 5},
	}, {
		{Type: sock.EventState, Seq: 9, TimeMs: startedAt + 30, Service: "web", From: sock.Stopping, To: sock.Exited, PID: 862, ExitCode: code(0), Run: 3},
		{Type: sock.EventState, Seq: 10, TimeMs: startedAt + 31, Service: "web", From: sock.Exited, To: sock.Running, PID: 863, Run: 4},
		{Type: sock.EventAdded, Seq: 11, TimeMs: startedAt + 40, Service: "a-long-name"},
		{Type: sock.EventChanged, Seq: 12, TimeMs: startedAt + 41, Service: "log"},
		{Type: sock.EventRemoved, Seq: 13, TimeMs: startedAt + 42, Service: "h\x1b[2J"},
	}}
	if turn > 1 {
		batches = batches[:1]
	}
	for _, batch := range batches {
		batch = slices.DeleteFunc(batch, func(e sock.Event) bool { return len(p.Names) > 0 && !slices.Contains(p.Names, e.Service) })
		if err := c.Push(sock.NoteEvents, sock.EventBatch{Events: batch}); err != nil {
			return nil, err
		}
	}
	if f.restarts && turn == 1 {
		return nil, sock.ShuttingDown()
	}
	return nil, nil
}

func (f *fake) streamLogs(_ context.Context, c *sock.Call) (any, error) {
	var p sock.LogsFollowParams
	if err := json.Unmarshal(c.Raw, &p); err != nil {
		return nil, err
	}
	f.note(sock.MethodLogsFollow, c.Raw)
	turn := f.turns.Add(1)
	if len(p.Names) == 0 {
		p.Names = []string{"web", "db"}
	}
	cursors := map[string]int64{}
	for _, name := range p.Names {
		if f.find(name) == nil {
			return nil, sock.UnknownService(name)
		}
		cursors[name] = p.Cursors[name]
	}
	if err := c.Begin(sock.Subscribed{Subscribed: true, Cursors: cursors}); err != nil {
		return nil, err
	}
	batch := sock.LogBatch{}
	for _, name := range p.Names {
		for i, l := range written()[name] {
			cursor := int64(i+1) * 100
			if cursor <= cursors[name] || turn == 1 && f.restarts && i > 1 || l.TimestampMs < p.SinceMs || p.Stream != "" && p.Stream != l.Stream {
				continue
			}
			batch.Lines = append(batch.Lines, sock.FollowedLine{LogLine: l, Cursor: cursor})
		}
	}
	if turn > 1 {
		batch.Dropped = 4096
	}
	if err := c.Push(sock.NoteLogs, batch); err != nil {
		return nil, err
	}
	if f.restarts && turn == 1 {
		return nil, sock.ShuttingDown()
	}
	return nil, nil
}
