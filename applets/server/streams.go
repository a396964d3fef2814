package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"zinit/sock"
	"zinit/supervise"
)

// streams is the methods that go on telling.
func (s *server) streams() sock.Table {
	return sock.Table{
		{Name: sock.MethodEvents, Access: sock.Read, Summary: "Tells every change of the services as it happens, in batches named events.batch.", Result: sock.Subscribed{},
			Streams: true, Pushes: []sock.Push{{Name: sock.NoteEvents, Params: sock.EventBatch{}}},
			Params: []sock.Param{
				{Name: "names", Type: "array", Of: []string(nil), Summary: "only these services; without it all, and those that will be added"},
				{Name: "now", Type: "boolean", Summary: "begin with the present state of each"},
			}, Handle: s.events},
		{Name: sock.MethodLogsFollow, Access: sock.Read, Summary: "Tells the last lines of services, and then each as it is written, in batches named logs.batch.", Result: sock.Subscribed{},
			Streams: true, Pushes: []sock.Push{{Name: sock.NoteLogs, Params: sock.LogBatch{}}},
			Params: []sock.Param{
				{Name: "names", Type: "array", Of: []string(nil), Summary: "the services; without it all, and those that will be added"},
				{Name: "lines", Type: "integer", Summary: "how many lines of the past of each, none when absent; with since all"},
				{Name: "cursors", Type: "object", Of: map[string]int64(nil), Summary: "where to go on instead, by name"},
				sinceParam, streamParam, grepParam,
			}, Handle: s.follow},
	}
}

// mostEvents is how many events go into one batch, so that no line is longer than
// a client wants to hold.
const mostEvents = 256

func (s *server) events(ctx context.Context, c *sock.Call) (any, error) {
	var p sock.EventsParams
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	// In this order: what the snapshot does not show is told by the subscription.
	sub := s.sup.Subscribe()
	defer sub.Close()
	snap := s.sup.Snapshot()
	if err := known(snap, p.Names); err != nil {
		return nil, err
	}
	if err := c.Begin(sock.Subscribed{Subscribed: true}); err != nil {
		return nil, err
	}
	told := uint64(0) // up to this one, events are in what was told already
	if p.Now {
		told = snap.Seq
		if err := tell(c, presentOf(snap, p.Names)); err != nil {
			return nil, err
		}
	}
	for {
		news, err := sub.Next(ctx)
		if err != nil {
			return nil, endOfEvents(ctx, err)
		}
		// While the client does not read, this waits; the feed holds what comes, and
		// Next says so when that was too much.
		for some := range slices.Chunk(news, mostEvents) {
			if err := tell(c, wireEvents(some, told, p.Names)); err != nil {
				return nil, err
			}
		}
	}
}

// wireEvents are those of the events that are later than told and asked for.
func wireEvents(news []supervise.Event, told uint64, names []string) []sock.Event {
	batch := make([]sock.Event, 0, len(news))
	for _, e := range news {
		if e.Seq > told && among(names, e.Service) {
			batch = append(batch, wireEvent(e))
		}
	}
	return batch
}

// endOfEvents is why a subscription ends; nil when the client wanted that.
func endOfEvents(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, supervise.ErrSlow):
		return sock.Refuse(sock.WordSlow, "%v: subscribe again, and ask for the present state", err)
	}
	return refusal(err)
}

// known refuses names of which one is no service.
func known(snap *supervise.Snapshot, names []string) error {
	for _, name := range names {
		if snap.Find(name) == nil {
			err := sock.NoService()
			err.Message += ": " + name // of several, the client must learn which
			return err
		}
	}
	return nil
}

// among reports that a service is one of those asked for; no names are all.
func among(names []string, service string) bool {
	return len(names) == 0 || slices.Contains(names, service)
}

// tell sends events, if there are any.
func tell(c *sock.Call, events []sock.Event) error {
	for some := range slices.Chunk(events, mostEvents) {
		if err := c.Push(sock.NoteEvents, sock.EventBatch{Events: some}); err != nil {
			return err
		}
	}
	return nil
}

// presentOf is the state of each service as events.
func presentOf(snap *supervise.Snapshot, names []string) (events []sock.Event) {
	now := time.Now().UnixMilli()
	for _, v := range snap.Views {
		if !among(names, v.Name) {
			continue
		}
		e := sock.Event{Type: sock.EventNow, Service: v.Name, TimeMs: now, To: v.State.String(), PID: pidOf(v), Run: v.Run, Reason: reason(snap, v)}
		e.ExitCode = stateOf(snap, v).ExitCode
		events = append(events, e)
	}
	return events
}

func wireEvent(e supervise.Event) sock.Event {
	return sock.Event{
		Type: string(e.Type), Seq: e.Seq, TimeMs: e.Time.UnixMilli(), Service: e.Service,
		From: e.From, To: e.To, PID: e.Pid, Run: e.Run, Reason: e.Reason, ExitCode: e.ExitCode,
	}
}
