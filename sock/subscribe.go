package sock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"time"
)

// Events is every change of the services that p names, as it happens, over a
// connection of its own. It ends when ctx does, without an error, and after the
// first error. It survives a restart of the server: it connects again, yields an
// EventGap, and then the present state of each service (EventNow), so that the
// caller knows how things are whatever it has missed. A caller that is too slow
// for the server gets the same gap. That nobody listens at the very first
// connection is an error.
func (c *Client) Events(ctx context.Context, p EventsParams) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		p := p // each walk over the sequence begins as the caller said
		err := keepUp(ctx, func(ctx context.Context, lost error) error {
			p.Now = p.Now || lost != nil
			sub, err := c.subscribe(ctx, MethodEvents, p)
			if err != nil {
				return err
			}
			defer sub.end()
			if lost != nil && !yield(Event{Type: EventGap, TimeMs: time.Now().UnixMilli(), Reason: lost.Error()}, nil) {
				return errEnough
			}
			for {
				var batch EventBatch
				if err := sub.next(NoteEvents, &batch); err != nil {
					return err
				}
				for _, e := range batch.Events {
					if !yield(e, nil) {
						return errEnough
					}
				}
			}
		})
		if err != nil {
			yield(Event{}, err)
		}
	}
}

// Follow is the last lines of the services that p names and then every line as
// it is written, over a connection of its own. It ends when ctx does, without an
// error, when the services are gone, and after the first error. It survives a
// restart of the server without losing a line or yielding one twice. Only what
// the server had to release before it was read is lost: the line after it has
// the count in Dropped. That nobody listens at the very first connection is an
// error.
func (c *Client) Follow(ctx context.Context, p LogsFollowParams) iter.Seq2[FollowedLine, error] {
	return func(yield func(FollowedLine, error) bool) {
		p := p
		p.Cursors = maps.Clone(p.Cursors)
		if p.Cursors == nil {
			p.Cursors = make(map[string]int64)
		}
		err := keepUp(ctx, func(ctx context.Context, _ error) error { return c.followOnce(ctx, &p, yield) })
		if err != nil {
			yield(FollowedLine{}, err)
		}
	}
}

// followOnce follows until the connection breaks; p.Cursors say how far it came.
func (c *Client) followOnce(ctx context.Context, p *LogsFollowParams, yield func(FollowedLine, error) bool) error {
	sub, err := c.subscribe(ctx, MethodLogsFollow, p)
	if err != nil {
		return err
	}
	defer sub.end()
	for name, cursor := range sub.reply.Cursors {
		p.Cursors[name] = cursor
	}
	dropped := int64(0) // not yet told
	for {
		var batch LogBatch
		if err := sub.next(NoteLogs, &batch); err != nil {
			return err
		}
		dropped += batch.Dropped
		for _, line := range batch.Lines {
			line.Dropped, dropped = dropped, 0
			p.Cursors[line.Service] = line.Cursor
			if !yield(line, nil) {
				return errEnough
			}
		}
	}
}

// errEnough ends a sequence whose caller has broken out of its loop.
var errEnough = errors.New("the caller has enough")

// How long keepUp waits before it connects again: it doubles from the first to
// the last.
const (
	firstWait = 50 * time.Millisecond
	lastWait  = 2 * time.Second
)

// keepUp calls once until it returns an error that does not pass, or nil at the
// end of ctx or of the stream. once is told why the subscription before it was
// lost, nil when there was none.
func keepUp(ctx context.Context, once func(ctx context.Context, lost error) error) error {
	var lost error
	wait := firstWait
	for {
		began := time.Now()
		err := once(ctx, lost)
		var refused *refusedError
		subscribed := !errors.As(err, &refused)
		switch {
		case ctx.Err() != nil || errors.Is(err, io.EOF) || err == errEnough:
			return nil
		case !passes(err, subscribed || lost != nil):
			return err
		case subscribed:
			lost = err
		}
		if time.Since(began) > lastWait {
			wait = firstWait
		}
		if !pause(ctx, wait) {
			return nil
		}
		wait = min(2*wait, lastWait)
	}
}

// passes says whether it may help to subscribe again. That nobody listens only
// does when somebody once did.
func passes(err error, known bool) bool {
	var e *Error
	var broken *brokenError
	switch {
	case errors.As(err, &e):
		return slices.Contains([]string{WordShuttingDown, WordSlow, WordTooManyConnections}, e.Word())
	case errors.As(err, &broken):
		return !errors.Is(err, errNotJSONRPC)
	}
	var dial *dialError
	return known && errors.As(err, &dial)
}

// pause waits; it returns false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A refusedError is one that came instead of a subscription.
type refusedError struct{ error }

func (e *refusedError) Unwrap() error { return e.error }

// A subscription is a connection on which the server streams.
type subscription struct {
	*link
	path  string
	stop  func() bool // of the watch over the context
	reply Subscribed
}

// subscribe connects and calls a method that streams. Its errors are
// *refusedErrors.
func (c *Client) subscribe(ctx context.Context, method string, params any) (*subscription, error) {
	sub, err := c.trySubscribe(ctx, method, params)
	if err != nil {
		return nil, &refusedError{err}
	}
	return sub, nil
}

func (c *Client) trySubscribe(ctx context.Context, method string, params any) (*subscription, error) {
	encoded, err := encodeParams(method, params)
	if err != nil {
		return nil, err
	}
	l, err := connect(ctx, c.path)
	if err != nil {
		return nil, err
	}
	sub := &subscription{link: l, path: c.path, stop: context.AfterFunc(ctx, func() { l.conn.Close() })}
	const id = 1
	_, writeErr := l.conn.Write(appendRequest(nil, id, method, encoded))
	reply, readErr := l.next()
	if readErr != nil {
		sub.end()
		return nil, &brokenError{c.path, errors.Join(writeErr, readErr)}
	}
	if _, err := decodeReply(id, method, reply, &sub.reply); err != nil {
		sub.end()
		return nil, err
	}
	return sub, nil
}

func (s *subscription) end() {
	s.stop()
	s.conn.Close()
}

// next waits for the next notification of that method and decodes it into
// params. At the end of the stream the error is the *Error that the server ended
// it with, or io.EOF when it had none; a *brokenError when it did not end it.
func (s *subscription) next(method string, params any) error {
	for {
		text, err := s.link.next()
		if err != nil {
			return &brokenError{s.path, err}
		}
		name, value := unquote(member(text, "method")), member(text, "params")
		switch {
		case name == NoteEnd && !isObject(value):
			return io.EOF
		case name == NoteEnd:
			e := new(Error)
			if err := json.Unmarshal(value, e); err != nil {
				return fmt.Errorf("cannot decode the end of the stream: %w", err)
			}
			return e
		case name == method:
			if err := json.Unmarshal(value, params); err != nil {
				return fmt.Errorf("cannot decode %s: %w", method, err)
			}
			return nil
		}
	}
}
