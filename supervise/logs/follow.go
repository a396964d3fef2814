package logs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"

	"zinit/supervise/logs/pump"
)

// Where Follow begins, when not at a cursor.
const (
	Last int64 = -1 // with the last lines that the query asks for
	Now  int64 = -2 // with the first line that is not complete yet
)

// mostFollowed is how many lines Next returns at most.
const mostFollowed = 1024

// ErrClosed is what followers get when Logs was closed, or they were.
var ErrClosed = errors.New("the logs are closed")

// A Follower tells the lines of a service as they are complete, in the order of
// their ends. Nothing waits for it: what was released before it came to read it is
// dropped and counted. It holds no more than the begun lines, of MaxLine bytes at
// most, and nothing while it waits. Its methods are for one goroutine at a time,
// but for Close, which ends a Next that waits.
type Follower struct {
	logs    *Logs
	service *service
	hub     *hub // nil: there was no such service, or Logs was closed
	query   Query
	end     error // without a hub

	idle   func(at int64) // called before it waits; may be nil
	quit   chan struct{}
	closer sync.Once

	ready   bool // join and pos fit to at
	fresh   bool // at was not reached by a follower
	at      place
	cursor  int64
	pos     int64 // up to here it was read
	most    int64 // bytes read at once
	hint    int64
	join    joiner
	failed  int64 // where reading failed
	dropped int64 // to be told
}

// Follow begins to follow a service: with Last, Now, or at a cursor, a Line.Next or
// Follower.Cursor, also of another server on the same directory. Query.Lines only
// counts with Last, and is never more than the BufferLines of the service. A cursor
// that this log has not come to is of one that is lost: all of this one is new. A
// service that is not known is at its end at once. The caller closes the Follower.
func (l *Logs) Follow(service string, from int64, q Query) *Follower {
	l.mu.Lock()
	s := l.services[service]
	if s == nil {
		defer l.mu.Unlock()
		f := &Follower{logs: l, end: io.EOF, quit: make(chan struct{})}
		if l.closed {
			f.end = ErrClosed
		}
		return f
	}
	h, most := s.join(), s.lines
	l.mu.Unlock()
	return l.newFollower(s, h, from, most, q)
}

// newFollower begins to follow a service whose hub was joined.
func (l *Logs) newFollower(s *service, h *hub, from int64, most int, q Query) *Follower {
	f := &Follower{logs: l, service: s, hub: h, query: q, quit: make(chan struct{}), most: chunk, failed: -1}
	switch from {
	case Last:
		f.at, f.fresh = placeBefore(s.store, most, &q), true
	case Now:
		f.at, f.fresh = placeBefore(s.store, 0, &q), true
	default:
		f.at = placeOf(from)
	}
	f.cursor = f.at.cursor()
	f.hub.refresh(nil)
	v, _, _ := f.hub.look()
	f.ready = f.take(v)
	return f
}

// Cursor is the place behind the lines that Next has returned and those that were
// not asked for, or where the first is looked for: Follow goes on from there.
func (f *Follower) Cursor() int64 { return f.cursor }

// Close ends the Follower. A Next that waits returns ErrClosed.
func (f *Follower) Close() {
	f.closer.Do(func() {
		close(f.quit)
		if f.hub != nil {
			f.logs.leave(f.service, f.hub)
		}
	})
}

// Next returns the next lines, at least one; it waits until there is one. dropped
// is how many bytes of the log, of whatever stream, were lost before the first of
// them; when a cursor is released by now, what lies before it, of lines that had
// begun there, is lost uncounted. Line.Text is the caller's. The error is that of
// ctx, io.EOF when the service was removed and all is told, or ErrClosed; only with
// io.EOF dropped may tell of more. After an error of ctx the Follower goes on where
// it was.
func (f *Follower) Next(ctx context.Context) (lines []Line, dropped int64, err error) {
	return f.next(ctx, true)
}

// Ready is Next for who does not want to wait: without a line, there is none now.
func (f *Follower) Ready() (lines []Line, dropped int64, err error) {
	return f.next(context.Background(), false)
}

func (f *Follower) next(ctx context.Context, wait bool) (lines []Line, dropped int64, err error) {
	if f.hub == nil {
		return nil, 0, f.end
	}
	for ctx.Err() == nil {
		v, news, end := f.hub.look()
		if end == ErrClosed || f.isClosed() {
			return nil, 0, ErrClosed
		}
		dropped = f.dropped // what is found out while reading lies behind the lines
		f.logs.turns <- struct{}{}
		lines, again := f.read(v)
		<-f.logs.turns
		if len(lines) > 0 || end != nil && !again {
			if len(lines) == 0 {
				dropped, err = f.dropped, end
			}
			f.dropped -= dropped
			return lines, dropped, err
		}
		if again {
			continue
		}
		if !wait {
			return nil, 0, nil
		}
		if f.idle != nil {
			f.idle(f.pos)
		}
		select {
		case <-news:
		case <-f.quit:
		case <-ctx.Done():
		}
	}
	return nil, 0, ctx.Err()
}

func (f *Follower) isClosed() bool {
	select {
	case <-f.quit:
		return true
	default:
		return false
	}
}

// read takes in one stretch of the store. Without a line, there may be one when it
// is called again.
func (f *Follower) read(v *pump.View) (lines []Line, again bool) {
	if !f.ready {
		f.ready = f.take(v)
		return nil, true
	}
	if freed := f.hub.store.Freed(); freed > f.pos {
		return f.skip(freed), true
	}
	if f.pos >= v.Size {
		return f.finish(v, nil, nil), false
	}
	b := make([]byte, min(v.Size-f.pos, f.most))
	n, err := v.ReadAt(b, f.pos)
	if n == 0 {
		return f.unreadable(v, err), true
	}
	b = firstLines(b[:n], mostFollowed)
	segs, hint := v.Segments(f.pos, f.pos+int64(len(b)), f.hint)
	if f.hub.store.Freed() > f.pos {
		return nil, true // before it was read, perhaps
	}
	f.hint = hint
	return f.finish(v, segs, b), true
}

// unreadable looks at the store anew, since its files may have been replaced. What
// cannot be read then, either, is as good as released.
func (f *Follower) unreadable(v *pump.View, err error) []Line {
	if f.failed != f.pos || errors.Is(err, fs.ErrClosed) {
		f.failed = f.pos
		f.hub.refresh(nil)
		return nil
	}
	return f.skip(min(v.Size, f.pos+f.most))
}

// finish derives the lines of the bytes b at f.pos, and of all that are complete
// since their stream is over.
func (f *Follower) finish(v *pump.View, segs []pump.Segment, b []byte) []Line {
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	pieces := buf.pieces[:0]
	emit := func(p piece) {
		p.keepText(b, f.pos)
		pieces = append(pieces, p)
	}
	for _, seg := range segs {
		f.join.feed(seg, b[seg.Off-f.pos:seg.End-f.pos], emit)
	}
	if f.pos+int64(len(b)) == v.Size {
		for s := range Stream(pump.Streams) {
			if !v.Open[s] {
				f.join.breakOff(s, emit)
			}
		}
	}
	f.pos += int64(len(b))
	lines := f.tell(pieces)
	clear(pieces) // or the texts would stay
	buf.pieces = pieces
	return lines
}

// tell makes lines of the pieces that were asked for.
func (f *Follower) tell(pieces []piece) (lines []Line) {
	if len(pieces) == 0 {
		return nil
	}
	sortByEnd(pieces)
	f.at.pass(pieces, f.join.begins())
	f.cursor = pieces[len(pieces)-1].cursor
	if f.query.all() {
		lines = make([]Line, len(pieces))
		for i := range pieces {
			lines[i] = pieces[i].line()
		}
		return lines
	}
	for i := range pieces {
		if l := pieces[i].line(); f.query.wants(&l) {
			lines = append(lines, l)
		}
	}
	return lines
}

// skip goes on at the offset to, since what is before it is gone. The beginnings of
// lines whose ends are gone are told for what they are.
func (f *Follower) skip(to int64) []Line {
	f.hub.refresh(nil) // whose the bytes were is known to a new view only
	v, _, _ := f.hub.look()
	var pieces []piece
	for s := range Stream(pump.Streams) {
		if p := &f.join.pend[s]; len(p.text) > 0 {
			f.join.emit(s, nil, cut, func(p piece) {
				p.keepText(nil, 0)
				pieces = append(pieces, p)
			})
			f.join.pend[s].torn = true
		}
	}
	lines := f.tell(pieces)
	f.dropped += to - f.pos
	f.pos, f.hint = to, 0
	f.at = place{off: to}
	f.join.tear(v, to)
	return lines
}

// firstLines is b up to and with its n-th newline.
func firstLines(b []byte, n int) []byte {
	end := 0
	for ; n > 0; n-- {
		i := bytes.IndexByte(b[end:], '\n')
		if i < 0 {
			return b
		}
		end += i + 1
	}
	return b[:end]
}
