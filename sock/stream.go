package sock

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A stream is the answer of a method that goes on after its reply: a reply, then
// notifications, then NoteEnd, and the connection is closed. It has the
// connection for itself; what the client sends meanwhile is not read.
type stream struct {
	c     *conn
	id    []byte // of the request
	begun bool
}

// partingTime is how long a client may take to read all the rest of its stream
// when the server stops. Who does not read must not hold that up.
const partingTime = 250 * time.Millisecond

var errNoStream = errors.New("cannot stream: the method is not marked as one that does")

// Begin sends the reply to a call of a method that streams. The handler calls it
// once, before the first Push, and has read Params by then. An error means that nobody listens any more.
func (c *Call) Begin(result any) error {
	s := c.stream
	if s == nil {
		return errNoStream
	}
	if s.begun {
		return errors.New("cannot begin a stream twice")
	}
	err := s.send(func(o *output) error {
		o.appendHead(s.id)
		o.b = append(o.b, `,"result":`...)
		if err := o.appendValue(result); err != nil {
			return fmt.Errorf("cannot encode result: %w", err)
		}
		s.begun = true
		return nil
	})
	if s.begun {
		// Nothing more is read, and a stream may live for long.
		s.id, c.Raw = nil, nil
		s.c.in.drop()
	}
	return err
}

// Push sends a notification, between Begin and the end of the handler, from one
// goroutine at a time. It returns when the connection has taken it, and waits
// while the client does not read, for at most Options.StreamTimeout; params may
// be reused then. An error ends the stream: the handler should return.
func (c *Call) Push(method string, params any) error {
	s := c.stream
	if s == nil {
		return errNoStream
	}
	if !s.begun {
		return errors.New("cannot push before the stream has begun")
	}
	return s.send(func(o *output) error { return o.appendNote(method, params) })
}

// send has write append one message, without its last brace, and sends it. The
// output is only taken for that long: a stream that is quiet holds none.
func (s *stream) send(write func(o *output) error) error {
	c := s.c
	c.hold()
	mark := len(c.out.b)
	if err := write(c.out); err != nil {
		c.out.b = c.out.b[:mark]
		return err
	}
	c.out.b = append(c.out.b, '}', '\n')
	if c.flushOver(0) {
		c.release()
	}
	return c.failed
}

// appendNote appends a notification, without its last brace.
func (o *output) appendNote(method string, params any) error {
	o.b = appendString(append(o.b, `{"jsonrpc":"2.0","method":`...), method)
	if params == nil {
		return nil
	}
	o.b = append(o.b, `,"params":`...)
	if err := o.appendValue(params); err != nil {
		return fmt.Errorf("cannot encode %s: %w", method, err)
	}
	return nil
}

// stream carries out a request of a method that streams. It gives up the
// connection, unless the method refused before it began.
func (c *conn) stream(method *Method, r *request) {
	result, err := any(nil), error(accessDenied(c.peer))
	s := stream{c: c, id: r.id}
	if c.access >= method.Access {
		result, err = c.runStream(method, r, &s)
	}
	if s.begun {
		c.endStream(&s, err)
		return
	}
	c.streaming.Store(false)
	c.hold()
	if err != nil {
		c.out.appendError(r.id, asError(err))
	} else {
		c.out.appendResult(r.id, result)
	}
	c.out.b = append(c.out.b, '\n')
}

func (c *conn) runStream(method *Method, r *request, s *stream) (any, error) {
	if c.flushOver(0) {
		c.release()
	}
	ctx, cancel := context.WithCancel(c.srv.streams)
	defer cancel()
	defer c.watchHangUp(cancel)()
	c.streaming.Store(true)
	c.call = Call{Peer: c.peer, Method: method, Raw: r.params, stream: s}
	return method.Handle(ctx, &c.call)
}

// endStream says why a stream ends; a handler that returns no error has come to
// its end. When it is the server that ends, that is the reason.
func (c *conn) endStream(s *stream, err error) {
	if c.srv.stopping() {
		err = ShuttingDown()
	}
	var params any
	if err != nil {
		params = asError(err)
	}
	if c.failed == nil {
		c.fail(s.send(func(o *output) error { return o.appendNote(NoteEnd, params) }))
	}
	c.fail(errStreamEnded)
}

var errStreamEnded = errors.New("the stream has ended")

// refuseStream is the error for a request for a stream in a batch: what it would
// send belongs to no array.
func refuseStream(method *Method) *Error {
	return &Error{
		Code:    CodeInvalidRequest,
		Message: method.Name + " answers with a stream: call it by itself and not in a batch",
	}
}
