package server

import (
	"cmp"
	"container/heap"
	"context"
	"sync"
	"time"

	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/logs"
)

// A telling is one answer to logs.subscribe.
type telling struct {
	s         *server
	send      func(sock.LogBatch) error
	p         sock.LogsFollowParams
	q         logs.Query
	names     []string // in the order in which their past is told when the times are the same
	followers map[string]*logs.Follower
	added     *supervise.Subscription // of the services; nil: they were named
	seq       uint64                  // what was told of them up to this is in names
	tests     bool                    // what the tests of zinit 0.2 print, too
}

// follow answers logs.subscribe: a goroutine for each service fetches its lines,
// and this one sends them. A client that does not read holds up nobody but itself.
func (s *server) follow(ctx context.Context, c *sock.Call) (any, error) {
	t := telling{s: s, followers: map[string]*logs.Follower{}}
	t.send = func(batch sock.LogBatch) error { return c.Push(sock.NoteLogs, batch) }
	if err := c.Params(&t.p); err != nil {
		return nil, err
	}
	defer t.close()
	reply, err := t.open()
	if err != nil {
		return nil, err
	}
	if err := c.Begin(reply); err != nil {
		return nil, err
	}
	if len(t.names) > 1 {
		if err := t.past(ctx); err != nil {
			return nil, err
		}
	}
	return nil, t.present(ctx)
}

// open makes a follower for each service that is asked for, and the reply that says
// where they begin.
func (t *telling) open() (reply sock.Subscribed, err error) {
	reply = sock.Subscribed{Subscribed: true, Cursors: map[string]int64{}}
	if t.q, err = query(asked{lines: max(t.p.Lines, 0), since: t.p.SinceMs, stream: t.p.Stream, grep: t.p.Grep}); err != nil {
		return reply, err
	}
	if len(t.p.Names) == 0 {
		t.added = t.s.sup.Subscribe() // first: what the snapshot does not show is told
	}
	snap := t.s.sup.Snapshot()
	t.seq = snap.Seq
	names, err := t.s.logNames(snap, t.p.Names)
	if err != nil {
		return reply, err
	}
	for _, name := range names {
		names = append(names, t.testsOf(snap, name)...)
	}
	begin := logs.Last
	if t.p.Lines <= 0 && t.p.SinceMs <= 0 {
		begin = logs.Now
	}
	for _, name := range names {
		if t.followers[name] != nil {
			continue
		}
		from, ok := t.p.Cursors[name]
		if !ok {
			from = begin
		}
		f := t.s.logs.Follow(name, from, t.q)
		t.names = append(t.names, name)
		t.followers[name] = f
		reply.Cursors[name] = f.Cursor()
	}
	return reply, nil
}

// testsOf is the log of the test of a service, if that is to be told and there is one.
func (t *telling) testsOf(snap *supervise.Snapshot, service string) []string {
	v := snap.Find(service)
	if !t.tests || v == nil {
		return nil
	}
	if name, ok := supervise.TestLog(v.Config); ok && inLegacyLog(v) {
		return []string{name}
	}
	return nil
}

func (t *telling) close() {
	for _, f := range t.followers {
		f.Close()
	}
	if t.added != nil {
		t.added.Close()
	}
}

// A head is what a service has of the past that was not told yet.
type head struct {
	name    string
	place   int // among the services, where the times are the same
	lines   []sock.FollowedLine
	dropped int64
}

// next looks for more when there is none, and reports whether there is some that is
// not younger than now.
func (h *head) next(f *logs.Follower, now int64) bool {
	if len(h.lines) == 0 {
		lines, dropped, err := f.Ready()
		if err != nil {
			return false // whoever fetches the present meets it again
		}
		h.dropped += dropped
		h.lines = followed(h.name, lines)
	}
	return len(h.lines) > 0 && h.lines[0].TimestampMs <= now
}

// heads is a heap: the oldest line is in the first.
type heads []*head

func (h heads) Len() int      { return len(h) }
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *heads) Push(x any)   { *h = append(*h, x.(*head)) }

func (h heads) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].lines[0].TimestampMs, h[j].lines[0].TimestampMs), cmp.Compare(h[i].place, h[j].place)) < 0
}

func (h *heads) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}

// past tells the lines that there are, of all services in the order of their times.
func (t *telling) past(ctx context.Context) error {
	now := time.Now().UnixMilli()
	var old heads
	var late []*head // of these, the rest came meanwhile
	for i, name := range t.names {
		h := &head{name: name, place: i}
		if h.next(t.followers[name], now) {
			old = append(old, h)
		} else {
			late = append(late, h)
		}
	}
	heap.Init(&old)
	var batch sock.LogBatch
	for len(old) > 0 && ctx.Err() == nil {
		first := old[0]
		if err := t.add(&batch, first, 1); err != nil {
			return err
		}
		if first.next(t.followers[first.name], now) {
			heap.Fix(&old, 0)
		} else {
			heap.Pop(&old)
			late = append(late, first)
		}
	}
	for _, h := range late {
		if err := t.add(&batch, h, len(h.lines)); err != nil {
			return err
		}
	}
	return t.push(&batch)
}

// mostFollowed is how many lines of several services go into one batch.
const mostFollowed = 512

// add takes the first n lines of a service into a batch, which is sent when it is
// full, or when something was lost before them.
func (t *telling) add(batch *sock.LogBatch, h *head, n int) error {
	if h.dropped > 0 || len(batch.Lines) >= mostFollowed {
		if err := t.push(batch); err != nil {
			return err
		}
	}
	batch.Dropped += h.dropped
	batch.Lines = append(batch.Lines, h.lines[:n]...)
	h.lines, h.dropped = h.lines[n:], 0
	return nil
}

func (t *telling) push(batch *sock.LogBatch) error {
	if len(batch.Lines) == 0 && batch.Dropped == 0 {
		return nil
	}
	err := t.send(*batch)
	*batch = sock.LogBatch{}
	return err
}

// present tells each line as it is written.
func (t *telling) present(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var fetchers sync.WaitGroup
	defer fetchers.Wait()
	defer cancel()
	batches := make(chan sock.LogBatch)
	for _, name := range t.names {
		fetchers.Go(func() { fetch(ctx, name, t.followers[name], batches) })
	}
	failed := make(chan error, 1)
	if t.added != nil {
		fetchers.Go(func() { failed <- t.others(ctx, &fetchers, batches) })
	}
	gone := make(chan struct{}) // all of them
	go func() {
		fetchers.Wait()
		close(gone)
	}()
	for {
		select {
		case batch := <-batches:
			if err := t.send(batch); err != nil {
				return err
			}
		case err := <-failed:
			return err
		case <-gone:
			return nil
		}
	}
}

// others follows the services that are added.
func (t *telling) others(ctx context.Context, fetchers *sync.WaitGroup, to chan<- sock.LogBatch) error {
	for {
		news, err := t.added.Next(ctx)
		if err != nil {
			return endOfEvents(ctx, err)
		}
		for _, e := range news {
			if e.Type != supervise.EventAdded || e.Seq <= t.seq {
				continue
			}
			for _, name := range append(t.testsOf(t.s.sup.Snapshot(), e.Service), e.Service) {
				f := t.s.logs.Follow(name, 0, t.q)
				fetchers.Go(func() {
					defer f.Close()
					fetch(ctx, name, f, to)
				})
			}
		}
	}
}

// fetch passes on what a follower reads, until its service is gone or ctx ends.
func fetch(ctx context.Context, name string, f *logs.Follower, to chan<- sock.LogBatch) {
	for {
		lines, dropped, err := f.Next(ctx)
		if err != nil {
			return
		}
		select {
		case to <- sock.LogBatch{Dropped: dropped, Lines: followed(name, lines)}:
		case <-ctx.Done():
			return
		}
	}
}

func followed(name string, lines []logs.Line) []sock.FollowedLine {
	out := make([]sock.FollowedLine, len(lines))
	for i, l := range lines {
		out[i] = sock.FollowedLine{LogLine: wireLine(name, l), Cursor: l.Next}
	}
	return out
}
