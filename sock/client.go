package sock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// maxReply bounds the longest reply that a client reads, in bytes.
const maxReply = 256 << 20

// A Client calls the methods of a server over one connection, which it opens
// again when it has broken. It may be used from several goroutines; their calls
// take turns, so that who waits for long (Wait) should have a client of its own.
//
// A call that the server refused returns an error that errors.As turns into
// *Error. A call that ends because of its context returns an error that wraps
// ctx.Err(), and whether it was carried out is not known. When the connection
// breaks under a call that only reads, it is sent again, however many servers come
// and go meanwhile, unless they lose it at once; one that changes something is only
// sent again when it cannot have reached the server.
type Client struct {
	path string
	turn chan struct{} // holds one token: who has taken it may use the rest

	link *link // nil: not connected
	id   int64
	gone bool // Close was called
}

// Dial connects to the server at path.
func Dial(ctx context.Context, path string) (*Client, error) {
	l, err := connect(ctx, path)
	if err != nil {
		return nil, err
	}
	c := &Client{path: path, turn: make(chan struct{}, 1), link: l}
	c.turn <- struct{}{}
	return c, nil
}

// Close closes the connection after the call that runs. Calls after it fail
// with net.ErrClosed.
func (c *Client) Close() error {
	<-c.turn
	c.gone = true
	c.drop()
	c.turn <- struct{}{}
	return nil
}

// Call calls any method. params is encoded as JSON, nil for none; result is a
// pointer to decode into, nil to ignore it. There is no timeout but that of ctx.
func (c *Client) Call(ctx context.Context, method string, params, result any) error {
	encoded, err := encodeParams(method, params)
	if err != nil {
		return err
	}
	select {
	case <-c.turn:
		defer func() { c.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("cannot call %s: %w", method, ctx.Err())
	}
	if c.gone {
		return fmt.Errorf("cannot call %s: %w", method, net.ErrClosed)
	}
	var broken *brokenError
	for began, quick := time.Now(), 0; ; quick++ {
		tried := time.Now()
		sent, tryErr := c.try(ctx, method, encoded, result)
		if err = tryErr; !errors.As(err, &broken) || ctx.Err() != nil || sent && !repeatable(method) {
			break
		}
		// Servers may come and go for as long as somebody waits. One that never
		// answers is not asked for ever.
		if time.Since(tried) > answered {
			quick = 0
		}
		if quick == maxQuick {
			break
		}
		if w, ok := params.(WaitParams); ok && w.TimeoutMs > 0 {
			w.TimeoutMs = max(1, w.TimeoutMs-time.Since(began).Milliseconds())
			if encoded, err = encodeParams(method, w); err != nil {
				return err
			}
		}
	}
	if err != nil && ctx.Err() != nil && errors.As(err, &broken) {
		err = fmt.Errorf("cannot call %s: %w", method, ctx.Err())
	}
	return err
}

const (
	// maxQuick is how often a request is sent again to servers that lose it at once.
	maxQuick = 4
	// answered is how long a server has had a request that it did not lose at once.
	answered = time.Second
)

func encodeParams(method string, params any) ([]byte, error) {
	if params == nil {
		return nil, nil
	}
	encoded, err := json.Marshal(params)
	if err != nil {
		return nil, fmt.Errorf("cannot encode params of %s: %w", method, err)
	}
	return encoded, nil
}

// A brokenError is the loss of the connection in the middle of a call.
type brokenError struct {
	path string
	err  error
}

// Error names the socket and what happened to it.
func (e *brokenError) Error() string {
	return fmt.Sprintf("cannot talk to the server at %s: %s", e.path, strings.ReplaceAll(e.err.Error(), "\n", "; "))
}

// Unwrap is what the system said.
func (e *brokenError) Unwrap() error { return e.err }

// drop gives up the connection.
func (c *Client) drop() {
	if c.link != nil {
		c.link.conn.Close()
		c.link = nil
	}
}

// try makes one attempt. It says whether the request may have reached the
// server; a connection on which anything went wrong is dropped.
func (c *Client) try(ctx context.Context, method string, params []byte, result any) (sent bool, err error) {
	if c.link == nil {
		if c.link, err = connect(ctx, c.path); err != nil {
			return false, err
		}
	}
	c.id++
	conn := c.link.conn
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { conn.SetDeadline(past()) })
	}
	n, writeErr := conn.Write(appendRequest(nil, c.id, method, params))
	// A server that turns a client away says why before it closes: read that
	// even when it did not take the request any more.
	reply, readErr := c.link.next()
	intact := stop() && writeErr == nil && readErr == nil
	if readErr != nil {
		c.drop()
		return n > 0, &brokenError{c.path, errors.Join(writeErr, readErr)}
	}
	inStep, err := decodeReply(c.id, method, reply, result)
	if !intact || !inStep {
		c.drop()
	}
	return true, err
}

// A link is a connection of a client.
type link struct {
	conn net.Conn
	in   framer
}

func connect(ctx context.Context, path string) (*link, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, &dialError{path, err}
	}
	return &link{conn, framer{max: maxReply}}, nil
}

// A dialError means that nobody listens at path.
type dialError struct {
	path string
	err  error
}

// Error names the socket.
func (e *dialError) Error() string { return fmt.Sprintf("cannot connect to %s: %v", e.path, e.err) }

// Unwrap is what the system said.
func (e *dialError) Unwrap() error { return e.err }

var errNotJSONRPC = errors.New("it does not speak JSON-RPC")

// next reads one complete message, valid until the next read.
func (l *link) next() ([]byte, error) {
	for {
		f := l.in.next()
		switch f.kind {
		case jsonFrame:
			return f.text, nil
		case lineFrame, badFrame, endFrame:
			return nil, errNotJSONRPC
		}
		n, err := l.conn.Read(l.in.space())
		l.in.filled(n)
		if n == 0 && errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// appendRequest appends a request; nil params are sent as null.
func appendRequest(b []byte, id int64, method string, params []byte) []byte {
	if params == nil {
		params = []byte("null")
	}
	b = appendString(append(b, `{"jsonrpc":"2.0","method":`...), method)
	b = append(append(b, `,"params":`...), params...)
	return append(appendInt(b, `,"id":`, id), '}', '\n')
}

// decodeReply takes a reply apart. It says whether the reply belongs to the
// request with that id; an error with another id concerns the connection as a
// whole.
func decodeReply(want int64, method string, reply []byte, result any) (inStep bool, err error) {
	var id, value, failure []byte
	members(reply, func(key, v []byte) bool {
		switch {
		case keyIs(key, "id"):
			id = v
		case keyIs(key, "result"):
			value = v
		case keyIs(key, "error"):
			failure = v
		}
		return true
	})
	inStep = string(id) == string(appendInt(nil, "", want))
	switch {
	case isObject(failure):
		e := new(Error)
		if err := json.Unmarshal(failure, e); err != nil {
			return false, fmt.Errorf("cannot decode the error of %s: %w", method, err)
		}
		return inStep, e
	case !inStep || value == nil:
		return false, fmt.Errorf("cannot use the reply to %s: it answers something else", method)
	case result == nil:
		return true, nil
	}
	if err := json.Unmarshal(value, result); err != nil {
		return true, fmt.Errorf("cannot decode the result of %s: %w", method, err)
	}
	return true, nil
}
