package remote

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zinit/proxy"
	"zinit/proxy/address"
	"zinit/proxy/rules"
)

// up is a service that always runs.
type up struct{}

func (up) Activate(context.Context, string) error        { return nil }
func (up) Release(context.Context, string) (bool, error) { return false, nil }

// served is a client whose orders another end carries out; over gets what Serve
// returned.
func served(t *testing.T) (c *Client, end *os.File, over chan error) {
	t.Helper()
	a, b, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	c, err = New(a)
	if err != nil {
		t.Fatal(err)
	}
	set := proxy.NewSet(up{}, slog.New(slog.DiscardHandler))
	over = make(chan error, 1)
	go func() {
		over <- Serve(b, set)
		b.Close()
	}()
	return c, a, over
}

func ends(t *testing.T, over chan error) {
	t.Helper()
	select {
	case err := <-over:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it goes on")
	}
}

func TestOrdersAreCarriedOut(t *testing.T) {
	c, end, over := served(t)
	dir := t.TempDir()
	backend, err := net.Listen("unix", filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	go func() {
		for {
			conn, err := backend.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(conn, conn)
				conn.Close()
			}()
		}
	}()
	p := rules.Proxy{Service: "s", ConnectTimeout: time.Minute, Backend: address.Address{Network: "unix", Path: filepath.Join(dir, "b")}}
	var names []string
	for i := range page + 3 { // more than one answer holds
		p.Name = fmt.Sprintf("p%03d", i)
		names = append(names, p.Name)
		p.Listen = []address.Address{{Network: "unix", Path: filepath.Join(dir, p.Name)}}
		l, err := proxy.Listen(p.Listen[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Put(p, []*proxy.Listener{l}); err != nil {
			t.Fatal(err)
		}
		l.Close() // the other end has copies
	}
	conn, err := net.Dial("unix", filepath.Join(dir, "p007"))
	if err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte("x"))
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	list, err := c.Status()
	if err != nil || len(list) != len(names) || list[7].Active != 1 || list[7].BytesOut != 1 {
		t.Fatalf("%d, %v", len(list), err)
	}
	if n, err := c.Serving("s"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, name := range []string{"p000", "nobody"} {
		if err := c.Delete(name); err != nil {
			t.Error(err)
		}
	}
	if list, err = c.Status(); err != nil || list[0].Name != "p001" {
		t.Errorf("%v, %v", list, err)
	}
	if err := c.Put(p, nil); err == nil || !strings.Contains(err.Error(), "0 sockets came for 1") {
		t.Errorf("%v", err)
	}
	// Another client takes over while an answer for the first is on its way.
	if _, err := c.conn.Write([]byte(`{"id":1,"status":true}`)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	next, err := New(end)
	if err == nil {
		_, err = next.Status()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Drain(); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	ends(t, over)
}

func TestItEndsWhenNobodyHoldsTheOtherEnd(t *testing.T) {
	c, end, over := served(t)
	c.Close()
	end.Close()
	ends(t, over)
}

func TestNonsenseIsAnswered(t *testing.T) {
	c, end, over := served(t)
	defer end.Close()
	c.conn.Write([]byte("nonsense"))
	buf := make([]byte, 1000)
	n, err := c.conn.Read(buf)
	if err != nil || !strings.Contains(string(buf[:n]), "cannot read an order") {
		t.Errorf("%q, %v", buf[:n], err)
	}
	c.Close()
	end.Close()
	ends(t, over)
}

// A server that asks on while the last connection of a drain ends is not told, and that
// is no failure of the process that ends.
func TestADrainMayEndInTheMidstOfAnAnswer(t *testing.T) {
	for range 200 {
		c, end, over := served(t)
		go io.Copy(io.Discard, c.conn)
		for _, order := range []string{`{"id":1,"drain":true}`, `{"id":2,"serving":"s"}`, `{"id":3,"serving":"s"}`, `{"id":4,"serving":"s"}`} {
			c.conn.Write([]byte(order)) // it may have ended
		}
		ends(t, over)
		c.Close()
		end.Close()
	}
}
