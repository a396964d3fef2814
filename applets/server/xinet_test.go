package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zinit/proxy"
	"zinit/proxy/remote"
	"zinit/reap"
	"zinit/supervise/config"
)

// A yard is the proxies of a server, with a keeper that runs their processes as
// goroutines here.
type yard struct {
	t   *testing.T
	dir string

	mu    sync.Mutex
	kept  map[string]*os.File   // guarded by mu; what the keeper has
	alive map[string]reap.Child // guarded by mu
	ends  map[string]*os.File   // guarded by mu; of the processes
	told  []string              // guarded by mu
	hears func(reap.Event)      // guarded by mu
	fails bool                  // guarded by mu; nothing can be started
	other map[int]bool          // guarded by mu; pids of another program
}

func newYard(t *testing.T) *yard {
	y := &yard{
		t: t, dir: t.TempDir(), kept: map[string]*os.File{}, alive: map[string]reap.Child{}, ends: map[string]*os.File{}, other: map[int]bool{},
	}
	t.Cleanup(func() {
		y.mu.Lock()
		defer y.mu.Unlock()
		y.hears = nil
		for _, f := range y.kept {
			f.Close()
		}
	})
	return y
}

// open is a server that takes over what the keeper has.
func (y *yard) open() *proxies {
	y.mu.Lock()
	defer y.mu.Unlock()
	x := newProxies(y, nil, slog.New(slog.DiscardHandler))
	x.spawn, x.keep, x.command = y, y, func() reap.Spec { return reap.Spec{} }
	x.same = func(pid int) bool { return !y.other[pid] }
	inv := reap.Inventory{Runs: map[string]uint64{}, Kept: map[string]*os.File{}}
	for _, ch := range y.alive {
		inv.Children = append(inv.Children, ch)
		inv.Runs[ch.Key] = max(inv.Runs[ch.Key], ch.Run)
	}
	for name, f := range y.kept {
		inv.Kept[name] = y.copy(f)
	}
	x.adoptHelpers(inv)
	x.adoptSockets(inv.Kept)
	y.hears = x.heard
	return x
}

func (y *yard) copy(f *os.File) *os.File {
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		y.t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

// Keep implements releaser.
func (y *yard) Keep(name string, f *os.File) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.kept[name] = y.copy(f)
	return nil
}

// Release implements releaser.
func (y *yard) Release(name string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if f := y.kept[name]; f != nil {
		f.Close()
		delete(y.kept, name)
	}
}

// Spawn runs the process as a goroutine.
func (y *yard) Spawn(s reap.Spec) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.told = append(y.told, fmt.Sprintf("spawn %s/%d", s.Key, s.Run))
	if y.fails {
		y.tell(reap.SpawnFailed{Key: s.Key, Run: s.Run})
		return
	}
	end := y.copy(s.Files[0])
	y.ends[s.Key] = end
	y.alive[s.Key] = reap.Child{Key: s.Key, Run: s.Run, Pid: len(y.told)}
	go func() {
		err := remote.Serve(end, proxy.NewSet(always{}, slog.New(slog.DiscardHandler)))
		y.mu.Lock()
		defer y.mu.Unlock()
		end.Close()
		delete(y.ends, s.Key)
		delete(y.alive, s.Key)
		if err != nil {
			y.t.Error(err)
		}
		y.tell(reap.Exited{Key: s.Key, Run: s.Run})
	}()
}

func (y *yard) tell(ev reap.Event) {
	if y.hears != nil {
		y.hears(ev)
	}
}

// Signal is only written down.
func (y *yard) Signal(key string, run uint64, sig syscall.Signal, _ reap.Scope) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.told = append(y.told, fmt.Sprintf("%s %s/%d", config.SignalName(sig), key, run))
}

func (y *yard) did() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	text := strings.Join(y.told, ", ")
	y.told = nil
	return text
}

// holds counts what the keeper has by the first part of its name.
func (y *yard) holds(prefix string) (n int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for name := range y.kept {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

// always are services that run.
type always struct{}

func (always) Activate(context.Context, string) error        { return nil }
func (always) Release(context.Context, string) (bool, error) { return false, nil }

// path is one of the yard.
func (y *yard) path(name string) string { return filepath.Join(y.dir, name) }

// proxy describes one that listens on the named files.
func (y *yard) proxy(name string, listen ...string) *config.Proxy {
	var all []string
	for _, l := range listen {
		all = append(all, `"unix:`+y.path(l)+`"`)
	}
	p, err := config.ProxyFromJSON([]byte(`{"name":"` + name + `","listen":[` + strings.Join(all, ",") + `],"backend":"unix:` + y.path("back") + `","service":"s"}`))
	if err != nil {
		y.t.Fatal(err)
	}
	return p
}

// echo has a backend that echoes.
func (y *yard) echo() {
	l, err := net.Listen("unix", y.path("back"))
	if err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
}

func (y *yard) dial(name string) net.Conn {
	y.t.Helper()
	c, err := net.Dial("unix", y.path(name))
	if err != nil {
		y.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	y.t.Cleanup(func() { c.Close() })
	return c
}

func (y *yard) talks(c net.Conn) {
	y.t.Helper()
	if _, err := c.Write([]byte("x")); err != nil {
		y.t.Error(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		y.t.Error(err)
	}
}

func (y *yard) await(what string, fact func() bool) {
	y.t.Helper()
	for deadline := time.Now().Add(patience); !fact(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			y.t.Fatalf("it never came that %s", what)
		}
	}
}

func saved() error { return nil }

// served is a server with the proxy p at "a", who serves.
func served(t *testing.T) (*yard, *proxies) {
	t.Helper()
	y := newYard(t)
	y.echo()
	x := y.open()
	x.sync([]*config.Proxy{y.proxy("p", "a")})
	c := y.dial("a")
	y.talks(c)
	c.Close()
	return y, x
}

// dies ends the first process, as a kill does.
func (y *yard) dies() {
	y.mu.Lock()
	defer y.mu.Unlock()
	syscall.Shutdown(int(y.ends["@xinet0"].Fd()), syscall.SHUT_RDWR)
}

func TestAProxyIsSetReplacedAndRemoved(t *testing.T) {
	y := newYard(t)
	y.echo()
	x := y.open()
	if err := x.set(y.proxy("p", "a", "b"), saved); err != nil {
		t.Fatal(err)
	}
	c := y.dial("a")
	y.talks(c)
	other := y.dial("b")
	y.talks(other)
	if n := y.holds("xsocket/"); n != 2 || y.holds("xinet/") != 1 {
		t.Errorf("the keeper holds %d sockets", n)
	}
	// Another address in the place of one: the other stays open all the time.
	if err := x.set(y.proxy("p", "a", "c"), saved); err != nil {
		t.Fatal(err)
	}
	y.talks(c)
	third := y.dial("c")
	y.talks(third)
	if _, err := os.Lstat(y.path("b")); err == nil {
		t.Error("the socket that is not needed is left behind")
	}
	if is, err := x.status(); err != nil || is["p"].Total != 3 {
		t.Errorf("%+v, %v", is, err)
	}
	if err := x.set(y.proxy("q", "a"), saved); err == nil || !strings.Contains(err.Error(), "the proxy p does") {
		t.Errorf("%v", err)
	}
	// What cannot be saved changes nothing.
	if err := x.set(y.proxy("p", "d"), func() error { return errors.New("no space") }); err == nil {
		t.Error("it is set")
	}
	if _, err := os.Lstat(y.path("d")); err == nil {
		t.Error("a socket is left of what was refused")
	}
	last := y.dial("a")
	y.talks(last)
	unlinked := false
	if err := x.remove("p", func(*config.Proxy) error { unlinked = true; return nil }); err != nil || !unlinked {
		t.Errorf("%v, %v", unlinked, err)
	}
	if err := x.remove("p", nil); !errors.Is(err, errNoProxy) {
		t.Errorf("%v", err)
	}
	y.talks(c) // it goes on
	if y.holds("xsocket/") != 0 || y.holds("xinet/") != 0 || y.holds("xinet-retired/") != 1 {
		t.Errorf("the keeper holds too much")
	}
	if !x.needed("s") {
		t.Error("a connection that goes on is not seen")
	}
	for _, c := range []net.Conn{c, other, third, last} {
		c.Close()
	}
	y.await("the process has ended", func() bool { return y.holds("xinet-retired/") == 0 })
	if got := y.did(); got != "spawn @xinet0/1" {
		t.Errorf("did %s", got)
	}
}

func TestAnotherServerTakesTheProxiesOver(t *testing.T) {
	y := newYard(t)
	y.echo()
	list := []*config.Proxy{y.proxy("p", "a"), y.proxy("gone", "g")}
	x := y.open()
	x.sync(list)
	c := y.dial("a")
	y.talks(c)
	y.did()
	next := y.open()
	next.sync(list[:1])
	if all, err := next.now.client.Status(); err != nil || len(all) != 1 {
		t.Errorf("the process goes on with %d proxies (%v)", len(all), err)
	}
	y.talks(c)
	y.talks(y.dial("a"))
	if got := y.did(); got != "" {
		t.Errorf("did %s", got)
	}
	if is, err := next.status(); err != nil || is["p"].Active != 2 {
		t.Errorf("%+v, %v", is, err)
	}
	if _, err := os.Lstat(y.path("g")); err == nil {
		t.Error("the socket of a proxy that is gone is left behind")
	}
}

// TestTheLastProxyIsGoneWhenAnotherServerComes: nobody accepts for it any more.
func TestTheLastProxyIsGoneWhenAnotherServerComes(t *testing.T) {
	y, _ := served(t)
	y.open().sync(nil)
	y.await("the process has ended", func() bool { return y.holds("xinet") == 0 })
}

func TestAProcessOfAnotherProgramIsReplaced(t *testing.T) {
	y := newYard(t)
	y.echo()
	list := []*config.Proxy{y.proxy("p", "a"), y.proxy("q", "b")}
	x := y.open()
	x.sync(list)
	c := y.dial("a")
	y.talks(c)
	y.mu.Lock()
	y.other[1] = true
	y.mu.Unlock()
	next := y.open()
	next.sync(list)
	y.talks(c)
	for _, name := range []string{"a", "b"} {
		other := y.dial(name)
		y.talks(other)
		other.Close()
	}
	if got := y.did(); got != "spawn @xinet0/1, spawn @xinet1/1" {
		t.Errorf("did %s", got)
	}
	if !next.needed("s") {
		t.Error("the connection of the old process is not seen")
	}
	// A third server knows which of them takes connections.
	third := y.open()
	third.sync(list)
	last := y.dial("a")
	y.talks(last)
	last.Close()
	if got := y.did(); got != "" {
		t.Errorf("did %s", got)
	}
	c.Close()
	y.await("the old process has ended", func() bool { return !third.needed("s") && y.holds("xinet-retired/") == 0 })
}

func TestAProcessThatDiesIsReplaced(t *testing.T) {
	y, x := served(t)
	y.mu.Lock()
	y.fails = true
	y.mu.Unlock()
	y.dies()
	y.await("it is seen", func() bool { _, err := x.status(); return err != nil })
	c := y.dial("a") // it waits in the queue of the kernel
	y.mu.Lock()
	y.fails = false
	y.mu.Unlock()
	y.talks(c)
}

func TestProxiesEndWithTheServices(t *testing.T) {
	y := newYard(t)
	x := y.open()
	x.sync([]*config.Proxy{y.proxy("p", "a")})
	x.stop()
	if _, err := os.Lstat(y.path("a")); err == nil || y.holds("xsocket/") != 0 {
		t.Error("a socket is left behind")
	}
	if err := x.set(y.proxy("p", "a"), saved); !errors.Is(err, errOver) {
		t.Errorf("%v", err)
	}
	y.await("the process has ended", func() bool { return y.holds("xinet") == 0 })
}

func TestAProxyThatCannotListenIsShownWithTheReason(t *testing.T) {
	y := newYard(t)
	if err := os.WriteFile(y.path("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	x := y.open()
	x.sync([]*config.Proxy{y.proxy("bad", "file"), y.proxy("good", "a")})
	list := x.list()
	if len(list) != 2 || list[0].err == nil || !strings.Contains(list[0].err.Error(), "there is something that is no socket") || list[1].err != nil {
		t.Fatalf("%+v", list)
	}
	// It is tried again with the next reload.
	if err := os.Remove(y.path("file")); err != nil {
		t.Fatal(err)
	}
	x.sync([]*config.Proxy{y.proxy("bad", "file"), y.proxy("good", "a")})
	if list := x.list(); list[0].err != nil {
		t.Errorf("%v", list[0].err)
	}
}

func TestTheMethodsAboutProxies(t *testing.T) {
	h := newStoredHouse(t, nil)
	dir := h.s.dirs.User
	l := h.dial()
	ask := func(method, params, want string) {
		t.Helper()
		if reply := l.ask(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`); !strings.Contains(reply, want) {
			t.Errorf("%s %s:\n%s\nwant %s", method, params, reply, want)
		}
	}
	at := filepath.Join(dir, "a")
	ask("xinet.set", `{"config":{"name":"p","listen":["`+at+`"],"backend":"127.0.0.1:1","service":"s","idle_timeout":5,"single_connection":true}}`, `"result":{"ok":true}`)
	ask("xinet.list", `null`, `"result":["p"]`)
	ask("xinet.get", `{"name":"p"}`, `{"name":"p","listen":["unix:`+at+`"],"backend":"tcp:127.0.0.1:1","service":"s","connect_timeout":30,"idle_timeout":5,"idle_from":"close","single_connection":true,"max_connections":1,"on_busy":"refuse"}`)
	ask("xinet.status", `{"name":"p"}`, `{"active_connections":0,"backend":"tcp:127.0.0.1:1","bytes_from_backend":0,"bytes_to_backend":0,"listen":"unix:`+at+`","name":"p","running":true,"service":"s","total_connections":0,"connections":0,`)
	ask("xinet.status_all", `{}`, `"result":[{"active_connections":0`)
	if text, err := os.ReadFile(filepath.Join(dir, "p.xinet.toml")); err != nil || !strings.Contains(string(text), `idle_timeout = "5s"`) {
		t.Errorf("%s, %v", text, err)
	}
	ask("xinet.register", `{"name":"q","listen":"`+at+`","backend":"/b","service":"s"}`, `"code":-32603,"message":"q: cannot listen on unix:`+at+`: the proxy p does`)
	ask("xinet.set", `{"listen":"/a","backend":"/b","service":"s"}`, "\"code\":-32602,\"message\":\"Invalid xinet config: missing field `name`\"")
	ask("xinet.set", `{"name":"","listen":"/a","backend":"/b","service":"s"}`, `"code":-32603,"message":"name is required"`)
	ask("xinet.set", `{"name":"q","listen":[],"backend":"/b","service":"s"}`, `"message":"at least one listen address is required"`)
	ask("xinet.set", `null`, `Invalid xinet config`)
	ask("xinet.status", `{"name":"x"}`, `"code":-32000,"message":"proxy not found"`)
	ask("xinet.get", `{"name":"x"}`, `"code":-32000,"message":"proxy not found"`)
	ask("xinet.delete", `{"name":"x"}`, `"message":"Proxy 'x' not found"`)
	// What the configuration directory says applies with a reload.
	h.write("r", "[xinet]\nname = \"r\"\nlisten = \"unix:"+filepath.Join(dir, "r")+"\"\nbackend = \"/b\"\nservice = \"s\"\n")
	ask("service.reload", `{}`, `"result":{`)
	ask("xinet.list", `{}`, `["p","r"]`)
	ask("xinet.unregister", `{"name":"p"}`, `"result":{"ok":true}`)
	ask("xinet.list", `{}`, `["r"]`)
	if _, err := os.Lstat(filepath.Join(dir, "p.xinet.toml")); err == nil {
		t.Error("its file is left behind")
	}
	// A file that cannot be written refuses the change, and the old one goes on.
	mkdir(t, filepath.Join(dir, "full.xinet.toml"))
	ask("xinet.set", `{"name":"full","listen":"`+filepath.Join(dir, "f")+`","backend":"/b","service":"s"}`, `"code":-32014,"message":"Failed to write `)
	ask("xinet.list", `{}`, `["r"]`)
}
