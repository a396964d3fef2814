// Package remote lets one process order another one about its proxies, over a channel
// that keeps messages apart and carries descriptors: a socketpair of SOCK_SEQPACKET.
//
//	server (Client) ── order, listening sockets ──▶ xinet (Serve) ── proxy.Set
//	                ◀── answer ──
//
// Each order has an answer, in order. A client that takes over from another one first
// throws away the answers that were meant for that. It refuses to know what a proxy
// does, and who the processes are.
package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"zinit/proxy"
	"zinit/proxy/rules"
)

// An order is one message to the process that has the proxies.
type order struct {
	ID uint64 `json:"id"`

	// Put sets a proxy. The descriptors of its listeners come with the message, in the
	// order of Put.Listen; Files tells their files.
	Put   *rules.Proxy   `json:"put,omitempty"`
	Files []proxy.FileID `json:"files,omitempty"`

	Delete string `json:"delete,omitempty"`

	// Status asks for those after the proxy After, as many as fit.
	Status bool   `json:"status,omitempty"`
	After  string `json:"after,omitempty"`

	// Serving asks how many connections wait for a service or use it.
	Serving string `json:"serving,omitempty"`

	// Drain has it accept no more, and end with its last connection.
	Drain bool `json:"drain,omitempty"`
}

// An answer is one message back.
type answer struct {
	ID      uint64         `json:"id"`
	Error   string         `json:"error,omitempty"`
	Status  []proxy.Status `json:"status,omitempty"`
	More    bool           `json:"more,omitempty"`
	Serving int            `json:"serving,omitempty"`
}

const (
	// maxMessage bounds a message; the kernel takes a packet of that size at once.
	maxMessage = 128 << 10
	// maxListeners is how many descriptors fit into one message.
	maxListeners = 250
	// page is how many states are in one answer.
	page = 100
	// patience is how long an answer is waited for.
	patience = 5 * time.Second
	// deafPatience is how long it is of a process that did not answer, for deafTime.
	deafPatience = 50 * time.Millisecond
	deafTime     = 30 * time.Second
	// drainPatience is shorter: a shutdown waits for it, and who does not answer is ended.
	drainPatience = time.Second
)

// Pair makes a channel: one end for New, and one for Serve in another process.
func Pair() (client, server *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a channel: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "channel"), os.NewFile(uintptr(fds[1]), "channel"), nil
}

// attach makes a connection of an end; the file stays the caller's.
func attach(f *os.File) (*net.UnixConn, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("cannot use a channel: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("cannot use a channel: it is no unix socket")
	}
	return u, nil
}

// A Client gives orders. It may be used from several goroutines; they take turns.
type Client struct {
	mu   sync.Mutex
	conn *net.UnixConn
	id   uint64 // guarded by mu
	// deaf is when an answer was last waited for in vain, zero when there was one since:
	// nobody waits as long again and again for a process that was stopped. Guarded by mu.
	deaf time.Time
}

// New gives orders over an end of a channel, which stays the caller's. Numbers begin
// where those of a client before will not have come to.
func New(f *os.File) (*Client, error) {
	conn, err := attach(f)
	if err != nil {
		return nil, err
	}
	return &Client{conn: conn, id: uint64(time.Now().UnixNano())}, nil
}

// Close gives up this copy of the end.
func (c *Client) Close() error { return c.conn.Close() }

// ask sends an order and waits for its answer.
func (c *Client) ask(o order, files []*os.File) (answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id++
	o.ID = c.id
	text, err := json.Marshal(o)
	if err != nil {
		return answer{}, err
	}
	if len(text) > maxMessage || len(files) > maxListeners {
		return answer{}, errors.New("it has too many listen addresses: split it")
	}
	var rights []byte
	if len(files) > 0 {
		var fds []int
		for _, f := range files {
			fds = append(fds, int(f.Fd()))
		}
		rights = unix.UnixRights(fds...)
	}
	limit := patience
	if o.Drain {
		limit = drainPatience
	}
	if time.Since(c.deaf) < deafTime {
		limit = deafPatience
	}
	if err := c.conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return answer{}, err
	}
	if _, _, err := c.conn.WriteMsgUnix(text, rights, nil); err != nil {
		return answer{}, fmt.Errorf("the proxy process does not take orders: %w", err)
	}
	buf := make([]byte, maxMessage)
	for {
		n, err := c.conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.deaf = time.Now()
		}
		if err != nil || n == 0 {
			return answer{}, fmt.Errorf("the proxy process does not answer: %w", errors.Join(err))
		}
		var a answer
		if err := json.Unmarshal(buf[:n], &a); err != nil {
			return answer{}, fmt.Errorf("the proxy process speaks another language: %w", err)
		}
		c.deaf = time.Time{}
		if a.ID != o.ID {
			continue // it was meant for a client before
		}
		if a.Error != "" {
			return a, errors.New(a.Error)
		}
		return a, nil
	}
}

// Put sets a proxy, with a listening socket for each of its addresses, of which the
// other process gets copies.
func (c *Client) Put(p rules.Proxy, listeners []*proxy.Listener) error {
	o := order{Put: &p}
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for _, l := range listeners {
		f, err := l.File()
		if err != nil {
			return err
		}
		files = append(files, f)
		o.Files = append(o.Files, l.ID)
	}
	_, err := c.ask(o, files)
	return err
}

// Delete has a proxy accept no more; one that is not there is no error.
func (c *Client) Delete(name string) error {
	_, err := c.ask(order{Delete: name}, nil)
	return err
}

// Status is how all proxies are, by name.
func (c *Client) Status() (list []proxy.Status, err error) {
	after := ""
	for {
		a, err := c.ask(order{Status: true, After: after}, nil)
		if err != nil {
			return nil, err
		}
		list = append(list, a.Status...)
		if !a.More || len(a.Status) == 0 {
			return list, nil
		}
		after = a.Status[len(a.Status)-1].Name
	}
}

// Serving counts the connections that wait for a service or use it.
func (c *Client) Serving(service string) (int, error) {
	a, err := c.ask(order{Serving: service}, nil)
	return a.Serving, err
}

// Drain has the process accept no more, and end with its last connection.
func (c *Client) Drain() error {
	_, err := c.ask(order{Drain: true}, nil)
	return err
}
