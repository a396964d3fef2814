package zinit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"zinit/sock"
	"zinit/supervise/config/words"
)

// defaultSocket is where zinit 0.2 listens; /var/run is a link to /run.
const defaultSocket = "/var/run/zinit.sock"

// The errors that callers tell apart, with errors.Is.
var (
	// ErrUnknownService is an error that is returned when a service is unknown to zinit.
	ErrUnknownService = errors.New("unknown service")

	// ErrAlreadyMonitored is what Monitor returns for a service that is there already.
	ErrAlreadyMonitored = errors.New("already monitored")

	// ErrNotSupported is what a server cannot do that is too old.
	ErrNotSupported = errors.New("operation not supported")
)

// A Client talks to zinit over its socket. It holds no connection, and may be used by
// several goroutines.
type Client struct {
	socket string
	files  files
	ctx    context.Context // never nil
}

// New is a client of the server at a socket.
func New(socket string) *Client {
	return &Client{socket: socket, files: servicesDir, ctx: context.Background()}
}

// Default is a client of the server at /var/run/zinit.sock.
func Default() *Client { return New(defaultSocket) }

// WithContext is a client whose calls fail when ctx ends.
func (c *Client) WithContext(ctx context.Context) *Client {
	other := *c
	other.ctx = ctx
	return &other
}

// WithDir is a client that finds and writes service files in another directory than
// /etc/zinit: the configuration directory of its server.
func (c *Client) WithDir(dir string) *Client {
	other := *c
	other.files = files(dir)
	return &other
}

// reply is the answer to a command.
type reply struct {
	State string          `json:"state"`
	Body  json.RawMessage `json:"body"`
}

// cmd has the server carry out a command and decodes its body into result, if that is
// not nil.
func (c *Client) cmd(result any, command string, args ...string) error {
	var d net.Dialer
	con, err := d.DialContext(c.ctx, "unix", c.socket)
	if err != nil {
		return fmt.Errorf("cannot connect to zinit: %w", err)
	}
	defer con.Close()
	// A deadline that has passed ends what waits.
	defer context.AfterFunc(c.ctx, func() { _ = con.SetDeadline(time.Unix(1, 0)) })()
	for _, arg := range args {
		if strings.ContainsAny(arg, "\n\r\x00") {
			return fmt.Errorf("cannot %s %q: a name has no line breaks", command, arg)
		}
		command += " " + words.Quote(arg)
	}
	if _, err := fmt.Fprintln(con, command); err != nil {
		return c.failed(command, err)
	}
	var r reply
	if err := json.NewDecoder(con).Decode(&r); err != nil {
		return c.failed(command, err)
	}
	if r.State == "error" {
		return r.err()
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(r.Body, result); err != nil {
		return fmt.Errorf("cannot read the answer to %s: %w", command, err)
	}
	return nil
}

// failed is why there is no answer.
func (c *Client) failed(command string, err error) error {
	if c.ctx.Err() != nil {
		err = c.ctx.Err()
	}
	return fmt.Errorf("cannot have zinit carry out %s: %w", command, err)
}

// err is the error that a reply is.
func (r *reply) err() error {
	var text string
	if err := json.Unmarshal(r.Body, &text); err != nil {
		return fmt.Errorf("cannot read an error of zinit: %w", err)
	}
	if strings.HasPrefix(text, "service name ") && strings.HasSuffix(text, " unknown") {
		return ErrUnknownService
	}
	return errors.New(text)
}

// List returns all the services monitored and their status.
func (c *Client) List() (out map[string]ServiceState, err error) {
	err = c.cmd(&out, "list")
	return out, err
}

// Status returns the status of a service.
func (c *Client) Status(service string) (result ServiceStatus, err error) {
	err = c.cmd(&result, "status", service)
	return result, err
}

// Exists checks whether a service is monitored or not.
func (c *Client) Exists(service string) (bool, error) {
	_, err := c.Status(service)
	if errors.Is(err, ErrUnknownService) {
		return false, nil
	}
	return err == nil, err
}

// Start starts a service. It has no effect if the service is already running.
func (c *Client) Start(service string) error { return c.cmd(nil, "start", service) }

// Stop stops a service, and does not wait for its end.
func (c *Client) Stop(service string) error { return c.cmd(nil, "stop", service) }

// Monitor starts monitoring a service: its file is read as it is now.
func (c *Client) Monitor(service string) error {
	err := c.cmd(nil, "monitor", service)
	if err != nil && strings.Contains(err.Error(), "already monitored") {
		return ErrAlreadyMonitored
	}
	return err
}

// Forget forgets a service. You can only forget a stopped service.
func (c *Client) Forget(service string) error { return c.cmd(nil, "forget", service) }

// Kill sends a signal to a running service. sig must be a valid signal (SIGINT,
// SIGKILL, ...).
func (c *Client) Kill(service string, sig Signal) error {
	return c.cmd(nil, "kill", service, string(sig))
}

// Reboot stops all services and starts the machine anew. A server that has no such
// command is asked for a shutdown, which meant that.
func (c *Client) Reboot() error {
	err := c.cmd(nil, "reboot")
	if err != nil && strings.HasPrefix(err.Error(), "unknown command") {
		return c.cmd(nil, "shutdown")
	}
	return err
}

// Shutdown stops all services and powers the machine off. It is ErrNotSupported for a
// server that cannot tell its version: before 0.2.9 the command was a reboot.
func (c *Client) Shutdown() error {
	if _, err := c.Version(); err != nil {
		return err
	}
	return c.cmd(nil, "shutdown")
}

// Version is the version of the server. It is ErrNotSupported for servers of zinit 0.2,
// which cannot tell it.
func (c *Client) Version() (Version, error) {
	client, err := sock.Dial(c.ctx, c.socket)
	if err != nil {
		return Version{}, fmt.Errorf("cannot connect to zinit: %w", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(c.ctx, versionPatience)
	defer cancel()
	pong, err := client.Ping(ctx)
	if err != nil {
		return Version{}, fmt.Errorf("%w: the server does not tell its version: %w", ErrNotSupported, err)
	}
	return ParseVersion(pong.Version)
}

// versionPatience is how long the version is waited for.
const versionPatience = 10 * time.Second
