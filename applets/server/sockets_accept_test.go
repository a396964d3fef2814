package server

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"zinit/proxy/address"
	"zinit/reap"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
)

// A host is a service that is given connections, which it holds.
type host struct {
	mu   sync.Mutex
	room int           // guarded by mu
	down int           // guarded by mu; how often it is not up any more when somebody is there
	fail error         // guarded by mu; who is accepted has no process
	came chan []string // the variables of each
	then func()        // what happens after each; nil: nothing
}

func (h *host) Activate(context.Context, string) error { return nil }

func (h *host) Attend(_ string, accept func() (supervise.Caller, error)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.room <= 0 {
		return supervise.ErrFull
	}
	if h.down > 0 {
		h.down--
		return &supervise.Refusal{Code: supervise.NotRunning, Text: "it goes down"}
	}
	c, err := accept()
	if err != nil {
		return err
	}
	defer c.File.Close()
	if h.fail != nil {
		return h.fail
	}
	h.room--
	if _, err := io.WriteString(c.File, "hello"); err != nil {
		return err
	}
	h.came <- append(c.Env, c.Peer)
	if h.then != nil {
		h.then()
	}
	return nil
}

// next is who came next.
func (h *host) next(t *testing.T) []string {
	t.Helper()
	select {
	case who := <-h.came:
		return who
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was given to it")
		return nil
	}
}

func accepts(name string, list ...address.Address) *config.Service {
	return &config.Service{Name: name, Sockets: []config.Socket{{Listen: list, Accept: true}}}
}

// calls connects to a socket, and is told all that is said until it is let go.
func (y *yard) calls(file string) string {
	y.t.Helper()
	c, err := net.Dial("unix", y.at(file))
	if err != nil {
		y.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	said, err := io.ReadAll(c)
	if err != nil {
		y.t.Error(err)
	}
	return string(said)
}

// TestConnectionsAreGivenOneByOne while there is room, with who they are; the others wait.
func TestConnectionsAreGivenOneByOne(t *testing.T) {
	y := newYard(t)
	x := y.sockets()
	defer x.stop()
	s := accepts("echo", address.Address{Network: address.TCP, Host: "127.0.0.1", Port: 0}, address.Address{Network: address.Unix, Path: y.at("a")})
	s.Sockets[0].Names = []string{"net", "local"}
	x.sync([]*config.Service{s}, nobodyLives)
	v, err := x.give(s)
	if err != nil || len(v.Files)+len(v.Env) > 0 {
		t.Fatalf("the service itself is given %+v, %v", v, err)
	}
	tcp, err := net.FileListener(x.of["echo"].held[0].File)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	h := &host{room: 2, came: make(chan []string, 10)}
	x.watch(h)
	one, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	peer := one.LocalAddr().(*net.TCPAddr)
	want := []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=net", "REMOTE_ADDR=127.0.0.1", "REMOTE_PORT=" + strings.TrimPrefix(peer.String(), "127.0.0.1:"), peer.String()}
	if got := h.next(t); !slices.Equal(got, want) {
		t.Errorf("it was given %q, want %q", got, want)
	}
	if said, err := io.ReadAll(one); string(said) != "hello" || err != nil { // nobody else holds it
		t.Errorf("%q, %v", said, err)
	}
	var more [3]net.Conn
	for i := range more {
		if more[i], err = net.Dial("unix", y.at("a")); err != nil {
			t.Fatal(err)
		}
		defer more[i].Close()
	}
	if got := h.next(t); len(got) != 3 || got[1] != "LISTEN_FDNAMES=local" || !strings.HasPrefix(got[2], "pid ") {
		t.Errorf("it was given %q", got)
	}
	more[1].SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if said, err := io.ReadAll(more[1]); len(said) > 0 || err == nil {
		t.Errorf("it has no room, and somebody was told %q, %v", said, err)
	}
	h.mu.Lock()
	h.room = 5
	h.mu.Unlock()
	x.heard(reap.Exited{Key: "echo" + connKey + "0", Status: reap.ExitCode(0)})
	h.next(t)
	h.next(t)
	if got := x.list("echo"); len(got) != 2 || got[1] != (sock.GivenSocket{Address: "unix:" + y.at("a"), Name: "local"}) {
		t.Errorf("it listens on %+v", got)
	}
}

// TestTooManyConnectionsInAShortTimeWait, and none is lost.
func TestTooManyConnectionsInAShortTimeWait(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	x := y.sockets()
	defer x.stop()
	x.sync([]*config.Service{accepts("echo", address.Address{Network: address.Unix, Path: y.at("a")})}, nobodyLives)
	h := &host{room: 1000, came: make(chan []string, 1000)}
	x.watch(h)
	const n = takesAtOnce + 10
	began := time.Now()
	for range n {
		c, err := net.Dial("unix", y.at("a"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for range n {
		h.next(t)
	}
	if took := time.Since(began); took < startsWithin {
		t.Errorf("%d were taken in %v", n, took)
	}
}

// TestWhoCannotBeGivenAProcess is let go, and those who come next wait for a while.
func TestWhoCannotBeGivenAProcess(t *testing.T) {
	for name, spawned := range map[string]bool{"nothing is spawned": false, "the spawn fails": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			x := y.sockets()
			defer x.stop()
			x.sync([]*config.Service{accepts("echo", address.Address{Network: address.Unix, Path: y.at("a")})}, nobodyLives)
			h := &host{room: 9, came: make(chan []string, 9)}
			if !spawned {
				h.fail = errors.New("there is no room for its pipes")
			}
			x.watch(h)
			began := time.Now()
			if said := y.calls("a"); (said == "hello") != spawned {
				t.Errorf("it was told %q", said)
			}
			h.mu.Lock()
			h.fail = nil
			h.mu.Unlock()
			if spawned {
				h.next(t)
				x.heard(reap.SpawnFailed{Key: "echo" + connKey + "0"})
				x.mu.Lock()
				if o := x.of["echo"]; o.failures != 1 || o.pause == nil {
					t.Errorf("there is no pause after %d failures", o.failures)
				}
				x.mu.Unlock()
			}
			y.calls("a")
			if took := time.Since(began); took < pauseLeast {
				t.Errorf("the next one was there after %v", took)
			}
			h.next(t)
		})
	}
}

// TestThoseWhoWaitAreNotAllTakenForNothing: a pause begins while there are more.
func TestThoseWhoWaitAreNotAllTakenForNothing(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	x := y.sockets()
	defer x.stop()
	x.sync([]*config.Service{accepts("echo", address.Address{Network: address.Unix, Path: y.at("a")})}, nobodyLives)
	for range 2 {
		c, err := net.Dial("unix", y.at("a"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	h := &host{room: 9, came: make(chan []string, 9)}
	h.then = func() { x.heard(reap.SpawnFailed{Key: "echo" + connKey + "0"}) }
	began := time.Now()
	x.watch(h)
	h.next(t)
	h.next(t)
	if took := time.Since(began); took < pauseLeast {
		t.Errorf("the second was taken after %v", took)
	}
}

// TestWhoComesWhileAServiceGoesDown waits until it is up again, and is not let go.
func TestWhoComesWhileAServiceGoesDown(t *testing.T) {
	y := newYard(t)
	x := y.sockets()
	defer x.stop()
	x.sync([]*config.Service{accepts("echo", address.Address{Network: address.Unix, Path: y.at("a")})}, nobodyLives)
	h := &host{room: 9, down: 3, came: make(chan []string, 9)}
	x.watch(h)
	if said := y.calls("a"); said != "hello" {
		t.Errorf("it was told %q", said)
	}
}

// TestSocketsThatAreOpenedLate, because somebody else had the place, are accepted from.
func TestSocketsThatAreOpenedLate(t *testing.T) {
	y := newYard(t)
	x := y.sockets()
	defer x.stop()
	other, err := net.Listen("unix", y.at("a"))
	if err != nil {
		t.Fatal(err)
	}
	s := accepts("echo", address.Address{Network: address.Unix, Path: y.at("a")})
	x.sync([]*config.Service{s}, nobodyLives)
	h := &host{room: 9, came: make(chan []string, 9)}
	x.watch(h)
	if _, err := x.give(s); err == nil || len(x.list("echo")) > 0 {
		t.Errorf("it listens on %v, %v", x.list("echo"), err)
	}
	other.Close()
	if _, err := x.give(s); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", y.at("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h.next(t)
}

// TestWhatAReloadChangesAboutSockets is known before.
func TestWhatAReloadChangesAboutSockets(t *testing.T) {
	y := newYard(t)
	x := y.sockets()
	defer x.stop()
	x.sync([]*config.Service{y.outfitted("web", "a", "b"), y.outfitted("db", "c")}, nobodyLives)
	web := y.outfitted("web", "b", "d")
	at := func(file string) string { return "unix:" + y.at(file) }
	for _, c := range []struct {
		only string
		gone []string
		want []sock.NamedText
	}{
		{"", []string{"db"}, []sock.NamedText{{Name: "web", Text: "opens " + at("d") + ", closes " + at("a")}, {Name: "db", Text: "closes " + at("c")}}},
		{"web", nil, []sock.NamedText{{Name: "web", Text: "opens " + at("d") + ", closes " + at("a")}}},
		{"other", nil, nil},
	} {
		if got := x.plan([]*config.Service{web, {Name: "plain"}}, c.only, c.gone); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.only, got, c.want)
		}
	}
}
