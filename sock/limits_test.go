package sock

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Fault 41: endless frames, deep JSON, huge ids, batches, binary garbage.
func TestFault41WhatBreaksALimitGetsAnErrorAndDisturbsNobody(t *testing.T) {
	_, path := start(t, sample(1), Options{})
	other := talk(t, path)
	batch := func(n int) string {
		return "[" + strings.Repeat(strings.TrimSpace(ping)+",", n-1) + strings.TrimSpace(ping) + "]"
	}
	for _, tt := range []struct {
		name, send, want string
		closed           bool
	}{
		{"endless string", `{"a":"` + strings.Repeat("x", 1<<20), "request is larger than 1048576 bytes", true},
		{"endless line", strings.Repeat("x", 1<<20), "request is larger than 1048576 bytes", true},
		{"too deep", strings.Repeat("[", maxDepth+1), "recursion limit exceeded at line 1 column 65", true},
		{"deep enough", strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), `"id":null,"error":{"code":-32600`, false},
		{"huge id", `{"jsonrpc":"2.0","method":"system.ping","id":` + strings.Repeat("9", 1<<19) + "}", "id is too long", false},
		{"batch too large", batch(1001), "a batch holds 1 to 1000 requests", false},
		{"largest batch", batch(1000), "[" + pong, false},
		{"binary", "\x00\x01\x02", parse, true},
		{"binary in a line", "ab\x00\n", parse, true},
		{"not UTF-8", `{"jsonrpc":"2.0","method":"` + "\xff" + `","id":1}`, "not valid UTF-8", true},
		{"not UTF-8 in a line", "a\xff\n", "not valid UTF-8", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := talk(t, path)
			go io.WriteString(c, tt.send) // the server may close before it has read all
			c.want(tt.want)
			if tt.closed {
				c.wantClosed()
			} else {
				c.alive()
			}
			other.alive()
		})
	}
	big := talk(t, path)
	go io.WriteString(big, `{"jsonrpc":"2.0","method":"system.ping","id":1,"x":"`+strings.Repeat("x", 1<<20-100)+`"}`)
	big.want(pong)
}

// Fault 40, first half: a client that sends a byte now and then.
func TestFault40AFrameThatIsNotCompletedInTimeIsDropped(t *testing.T) {
	_, path := start(t, sample(1), Options{FrameTimeout: 50 * time.Millisecond})
	other := talk(t, path)
	for _, begun := range []string{`{"jsonrpc":`, "li", "{]garbage without end"} {
		c := talk(t, path)
		c.send(ping) // the time of a frame begins with its first byte
		c.want(pong)
		c.send(begun)
		if begun[1] == ']' {
			c.want(parse)
		}
		c.want("request is not complete after 50ms")
		c.wantClosed()
		other.alive()
	}
	c := talk(t, path)
	for range 20 { // each frame has its own time
		c.send(ping[:10])
		c.send(ping[10:])
		c.want(pong)
	}
}

// Fault 40, second half: a client that never reads.
func TestFault40AClientThatDoesNotReadIsDropped(t *testing.T) {
	_, path := start(t, sample(100), Options{WriteTimeout: 50 * time.Millisecond})
	c, other := talk(t, path), talk(t, path)
	request := strings.Repeat(`{"jsonrpc":"2.0","method":"service.list_full","id":1}`, 100)
	for { // until the server has given up
		if _, err := io.WriteString(c, request); err != nil {
			break
		}
		other.alive()
	}
	other.alive()
}

// Fault 42: idle connections.
func TestFault42IdleConnectionsAreHeldAndCheap(t *testing.T) {
	const count = 1000
	raiseFileLimit(t, 2*count+100)
	_, path := start(t, sample(1), Options{})
	before := memory()
	idle := make([]net.Conn, count)
	for i := range idle {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle[i] = c
		if _, err := io.WriteString(c, ping); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, len(pong)+1)); err != nil {
			t.Fatal(err)
		}
	}
	each := (memory() - before) / count
	t.Logf("%d bytes for each idle connection, both ends", each)
	if each > 30_000 {
		t.Errorf("%d bytes for each idle connection", each)
	}
	talk(t, path).alive()
	for _, i := range []int{0, count / 2, count - 1} {
		c := &talker{t, idle[i].(*net.UnixConn), talk(t, path).in}
		c.in.Reset(c)
		c.alive()
	}
}

// memory is what the process holds for heap and stacks.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// raiseFileLimit makes room for n descriptors for the time of the test.
func raiseFileLimit(t testing.TB, n uint64) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if old.Cur >= n {
		return
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: max(n, old.Max)}); err != nil {
		t.Fatalf("cannot raise the limit of open files to %d: %v", n, err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	})
}

func TestConnectionsOverTheCapAreTurnedAway(t *testing.T) {
	_, path := start(t, sample(1), Options{MaxConns: 2})
	a, b := talk(t, path), talk(t, path)
	a.alive()
	b.alive()
	c := talk(t, path)
	c.want(`"message":"too many connections: 2 are open`)
	c.wantClosed()
	a.alive()
	b.Close()
	for { // the place is free when the server has noticed
		d := talk(t, path)
		io.WriteString(d, ping)
		if d.line() == pong {
			break
		}
	}
}

// shortListener fails a number of times before it accepts.
type shortListener struct {
	net.Listener
	failures atomic.Int32
	asked    atomic.Int32
}

func (l *shortListener) Accept() (net.Conn, error) {
	l.asked.Add(1)
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// Fault 8: no descriptor left for a new client.
func TestFault8WithoutDescriptorsTheServerBacksOffAndServes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	short := &shortListener{Listener: l}
	s := NewServer(sample(1), Options{})
	served := make(chan error, 1)
	early := talk(t, path)
	short.failures.Store(0)
	go func() { served <- s.Serve(short) }()
	early.alive()

	// The accept that waits now succeeds; the ones after it fail five times.
	short.failures.Store(5)
	talk(t, path).alive()
	late := talk(t, path)
	began := time.Now()
	early.alive()
	late.alive()
	if took := time.Since(began); short.asked.Load() > 20 || took > 10*time.Second {
		t.Errorf("asked %d times in %v", short.asked.Load(), took)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestFault8ARealLackOfDescriptorsIsSurvived(t *testing.T) {
	_, path := start(t, sample(1), Options{})
	early := talk(t, path)
	early.alive()
	late, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(late)
	var taken []*os.File
	defer func() {
		for _, f := range taken {
			f.Close()
		}
	}()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
	for {
		f, err := os.Open("/")
		if err != nil {
			break
		}
		taken = append(taken, f)
	}
	if err := syscall.Connect(late, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Write(late, []byte(ping)); err != nil {
		t.Fatal(err)
	}
	early.alive() // while nobody can be accepted
	for _, f := range taken {
		f.Close()
	}
	taken = nil
	reply := make([]byte, len(pong)+1)
	if n, err := syscall.Read(late, reply); err != nil || !bytes.HasPrefix(reply[:n], []byte(pong)) {
		t.Fatalf("got %q, %v", reply[:n], err)
	}
}

func TestAPanicOfAHandlerCostsOnlyItsConnection(t *testing.T) {
	table := append(sample(1), Method{Name: "test.panic", Access: Read, Handle: func(context.Context, *Call) (any, error) {
		panic("mistake")
	}})
	_, path := start(t, table, Options{})
	other := talk(t, path)
	c := talk(t, path)
	c.send(`{"jsonrpc":"2.0","method":"test.panic","id":1}`)
	c.wantClosed()
	other.alive()
}

func TestShutdownAnswersWhatRunsAndClosesTheRest(t *testing.T) {
	entered, release, ended := make(chan struct{}, 1), make(chan struct{}), make(chan struct{}, 1)
	s, path := start(t, blockTable(entered, release, ended), Options{})
	idle, busy := talk(t, path), talk(t, path)
	idle.alive()
	busy.send(`{"jsonrpc":"2.0","method":"test.block","id":2}`)
	<-entered
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	idle.wantClosed()
	close(release)
	busy.want(`"ok":true`)
	busy.wantClosed()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("unix", path); err == nil {
		t.Error("it still accepts")
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the socket file was removed: %v", err)
	}
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	entered, ended := make(chan struct{}, 1), make(chan struct{}, 1)
	s, path := start(t, blockTable(entered, nil, ended), Options{})
	busy := talk(t, path)
	busy.send(`{"jsonrpc":"2.0","method":"test.block","id":2}`)
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	<-ended
}

func TestMethodsAskForTheirAccess(t *testing.T) {
	_, path := start(t, sample(1), Options{Grant: func(string, Peer) Access { return Read }})
	c := talk(t, path)
	c.alive()
	c.send(`{"jsonrpc":"2.0","method":"service.start","params":{"name":"a"},"id":1}`)
	c.want(fmt.Sprintf(`"message":"access denied: uid %d `, os.Getuid()))
	c.alive()
}

// TestWhatMayBeRepeatedIsLeftToTheNextServer: alone it is not answered, and the connection
// ends when nobody is accepted here any more; a change, and a batch, are refused.
func TestWhatMayBeRepeatedIsLeftToTheNextServer(t *testing.T) {
	asked := make(chan struct{}, 1)
	leaves := func(context.Context, *Call) (any, error) {
		asked <- struct{}{}
		return nil, ErrNextServer
	}
	s, path := start(t, Table{
		{Name: MethodPing, Access: Read, Handle: leaves},
		{Name: MethodStop, Access: Change, Handle: leaves},
	}, Options{})
	c := talk(t, path)
	for _, line := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"service.stop"}`,
		`[{"jsonrpc":"2.0","id":1,"method":"system.ping"}]`,
	} {
		c.send(line + "\n")
		<-asked
		c.want("another server takes over: ask again")
	}
	c.send(`{"jsonrpc":"2.0","id":1,"method":"system.ping"}` + "\n")
	<-asked
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	c.wantClosed()
}
