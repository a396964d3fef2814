package sock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
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
// breaks under a call that only reads, it is sent once more; one that changes
// something is only sent again when it cannot have reached the server.
type Client struct {
	path string
	turn chan struct{} // holds one token: who has taken it may use the rest

	conn net.Conn // nil: not connected
	in   framer
	id   int64
	gone bool // Close was called
}

// Dial connects to the server at path.
func Dial(ctx context.Context, path string) (*Client, error) {
	c := &Client{path: path, turn: make(chan struct{}, 1)}
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
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
	encoded := json.RawMessage("null")
	if params != nil {
		var err error
		if encoded, err = json.Marshal(params); err != nil {
			return fmt.Errorf("cannot encode params of %s: %w", method, err)
		}
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
	sent, err := c.try(ctx, method, encoded, result)
	var broken *brokenError
	if errors.As(err, &broken) && ctx.Err() == nil && (!sent || repeatable(method)) {
		_, err = c.try(ctx, method, encoded, result)
	}
	if err != nil && ctx.Err() != nil && errors.As(err, &broken) {
		err = fmt.Errorf("cannot call %s: %w", method, ctx.Err())
	}
	return err
}

// A brokenError is the loss of the connection in the middle of a call.
type brokenError struct {
	path string
	err  error
}

// Error names the socket and what happened to it.
func (e *brokenError) Error() string {
	return fmt.Sprintf("cannot talk to the server at %s: %v", e.path, e.err)
}

// Unwrap is what the system said.
func (e *brokenError) Unwrap() error { return e.err }

func (c *Client) connect(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.path)
	if err != nil {
		return fmt.Errorf("cannot connect to %s: %w", c.path, err)
	}
	c.conn, c.in = conn, framer{max: maxReply}
	return nil
}

// drop gives up the connection.
func (c *Client) drop() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// try makes one attempt. It says whether the request may have reached the
// server; a connection on which anything went wrong is dropped.
func (c *Client) try(ctx context.Context, method string, params []byte, result any) (sent bool, err error) {
	if c.conn == nil {
		if err := c.connect(ctx); err != nil {
			return false, err
		}
	}
	c.id++
	request := appendString([]byte(`{"jsonrpc":"2.0","method":`), method)
	request = append(append(request, `,"params":`...), params...)
	request = append(appendInt(request, `,"id":`, c.id), '}', '\n')

	conn := c.conn
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { conn.SetDeadline(past()) })
	}
	n, writeErr := conn.Write(request)
	// A server that turns a client away says why before it closes: read that
	// even when it did not take the request any more.
	reply, readErr := c.reply()
	intact := stop() && writeErr == nil && readErr == nil
	if readErr != nil {
		c.drop()
		return n > 0, &brokenError{c.path, errors.Join(writeErr, readErr)}
	}
	inStep, err := c.decode(method, reply, result)
	if !intact || !inStep {
		c.drop()
	}
	return true, err
}

// reply reads one complete reply, valid until the next read.
func (c *Client) reply() ([]byte, error) {
	for {
		f := c.in.next()
		switch f.kind {
		case jsonFrame:
			return f.text, nil
		case lineFrame, badFrame, endFrame:
			return nil, errors.New("it does not speak JSON-RPC")
		}
		n, err := c.conn.Read(c.in.space())
		c.in.filled(n)
		if n == 0 && errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// decode takes a reply apart. It says whether the reply belongs to the request
// sent last; an error with another id concerns the connection as a whole.
func (c *Client) decode(method string, reply []byte, result any) (inStep bool, err error) {
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
	inStep = string(id) == string(appendInt(nil, "", c.id))
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

// Ping asks the server for its version and pid.
func (c *Client) Ping(ctx context.Context) (Ping, error) {
	return get[Ping](ctx, c, MethodPing, nil)
}

// Shutdown tells the server to stop everything and end. It returns at once;
// that the server is gone shows when the socket no longer answers.
func (c *Client) Shutdown(ctx context.Context) error {
	return c.Call(ctx, MethodShutdown, nil, nil)
}

// List is the names of all services, targets included, in load order.
func (c *Client) List(ctx context.Context) ([]string, error) {
	return get[[]string](ctx, c, MethodList, nil)
}

// ListFull is every service with its state, in load order, in one round trip.
func (c *Client) ListFull(ctx context.Context) ([]ServiceInfo, error) {
	return get[[]ServiceInfo](ctx, c, MethodListFull, nil)
}

// Status is the state of one service.
func (c *Client) Status(ctx context.Context, name string) (ServiceStatus, error) {
	return get[ServiceStatus](ctx, c, MethodStatus, NameParams{name})
}

// StatusFull is the state of one service and of what it depends on.
func (c *Client) StatusFull(ctx context.Context, name string) (ServiceStatusFull, error) {
	return get[ServiceStatusFull](ctx, c, MethodStatusFull, NameParams{name})
}

// StartOptions are the options of Start.
type StartOptions struct {
	// NoDeps leaves what the service requires and wants alone.
	NoDeps bool
}

// Start starts a service and what it requires and wants. It returns when the
// order was taken, not when the service runs: Wait tells that.
func (c *Client) Start(ctx context.Context, name string, o StartOptions) error {
	return c.Call(ctx, MethodStart, StartParams{name, o.NoDeps}, nil)
}

// Stop stops a service and what requires it. It returns when the order was
// taken, not when the process has ended.
func (c *Client) Stop(ctx context.Context, name string) error {
	return c.Call(ctx, MethodStop, NameParams{name}, nil)
}

// Restart stops a service and what requires it, and starts them again. It
// returns when the order was taken.
func (c *Client) Restart(ctx context.Context, name string) error {
	return c.Call(ctx, MethodRestart, NameParams{name}, nil)
}

// Kill sends a signal, by name or number, to the processes of a service; ""
// means SIGTERM.
func (c *Client) Kill(ctx context.Context, name, signal string) error {
	return c.Call(ctx, MethodKill, KillParams{name, signal}, nil)
}

// Why explains why a service does not run, or that nothing keeps it from it.
func (c *Client) Why(ctx context.Context, name string) (WhyBlocked, error) {
	return get[WhyBlocked](ctx, c, MethodWhy, NameParams{name})
}

// Tree is the graph of services as a drawing.
func (c *Client) Tree(ctx context.Context) (Tree, error) {
	return get[Tree](ctx, c, MethodTree, nil)
}

// IsRunning says whether a service runs; one that does not exist does not.
func (c *Client) IsRunning(ctx context.Context, name string) (bool, error) {
	return get[bool](ctx, c, MethodIsRunning, NameParams{name})
}

// Logs is the last lines of a service, each as LogLine.String renders it.
func (c *Client) Logs(ctx context.Context, name string, lines int) ([]string, error) {
	return get[[]string](ctx, c, MethodLogs, LogsParams{name, int64(lines)})
}

// WaitOptions are the options of Wait.
type WaitOptions struct {
	// Timeout is when the server gives up, to the millisecond; 0: as long as ctx
	// lasts.
	Timeout time.Duration

	// Settle also returns when one of the services cannot get there without
	// somebody's help.
	Settle bool
}

// Wait returns when every service has reached the state (one of the seven, or
// "up" or "down": see WaitParams) or the timeout has passed; WaitResult.Reached
// tells which. Without names there is nothing to wait for.
func (c *Client) Wait(ctx context.Context, names []string, state string, o WaitOptions) (WaitResult, error) {
	ms := (o.Timeout + time.Millisecond - 1) / time.Millisecond
	return get[WaitResult](ctx, c, MethodWait,
		WaitParams{Names: append([]string{}, names...), State: state, Settle: o.Settle, TimeoutMs: int64(ms)})
}

func get[T any](ctx context.Context, c *Client, method string, params any) (T, error) {
	var result T
	err := c.Call(ctx, method, params, &result)
	return result, err
}
