package sock

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of the tests; nothing takes that long.
const patience = time.Minute

// blockTable has a method that waits until it is let go or its context ends.
func blockTable(entered chan<- struct{}, release <-chan struct{}, ended chan<- struct{}) Table {
	return append(sample(3), Method{Name: "test.block", Access: Read, Waits: true, Handle: func(ctx context.Context, _ *Call) (any, error) {
		entered <- struct{}{}
		select {
		case <-release:
			return Done, nil
		case <-ctx.Done():
			ended <- struct{}{}
			return nil, ctx.Err()
		}
	}})
}

// start serves a table on a socket of its own.
func start(t testing.TB, table Table, opts Options) (*Server, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(table, opts)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, path
}

// A talker is a client that sends what it is told, byte by byte if need be.
type talker struct {
	t testing.TB
	*net.UnixConn
	in *bufio.Reader
}

func talk(t testing.TB, path string) *talker {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &talker{t, c.(*net.UnixConn), bufio.NewReader(c)}
}

func (c *talker) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// line is the next line of the reply.
func (c *talker) line() string {
	c.t.Helper()
	s, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("no reply: %v (%q)", err, s)
	}
	return strings.TrimSuffix(s, "\n")
}

func (c *talker) want(part string) {
	c.t.Helper()
	if got := c.line(); !strings.Contains(got, part) {
		c.t.Fatalf("got %s, want %s", got, part)
	}
}

// wantClosed waits for the server to close the connection.
func (c *talker) wantClosed() {
	c.t.Helper()
	rest, err := io.ReadAll(c.in)
	if len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("connection is not closed: %q, %v", rest, err)
	}
}

const (
	ping  = `{"jsonrpc":"2.0","method":"system.ping","params":null,"id":1}` + "\n"
	pong  = `{"jsonrpc":"2.0","id":1,"result":{"pid":1,"version":"0.4.0"}}`
	parse = `{"jsonrpc":"2.0","id":0,"error":{"code":-32700,`
)

// alive checks that the connection is in step.
func (c *talker) alive() {
	c.t.Helper()
	c.send(ping)
	if got := c.line(); got != pong {
		c.t.Fatalf("got %s, want %s", got, pong)
	}
}
