package zinit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"sync"
	"time"

	"zinit/sock"
	"zinit/sock/legacy"
	"zinit/sock/zinit"
)

// toy has one service, which starts and stops at once.
type toy struct {
	mu            sync.Mutex
	state, target string // guarded by mu
}

func (b *toy) List() (map[string]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return map[string]string{"redis": b.state}, nil
}

func (b *toy) Status(name string) (legacy.Status, error) {
	if name != "redis" {
		return legacy.Status{}, legacy.Unknown(name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	pid := map[string]int{legacy.StateRunning: 812}[b.state]
	return legacy.Status{Name: name, PID: pid, State: b.state, Target: b.target, After: map[string]string{}}, nil
}

func (b *toy) Start(context.Context, string) error {
	b.become(legacy.StateRunning, legacy.TargetUp)
	return nil
}

func (b *toy) Stop(context.Context, string) error {
	b.become(legacy.Signaled(812, "SIGTERM"), legacy.TargetDown)
	return nil
}

func (b *toy) become(state, target string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.target = state, target
}

func (b *toy) Monitor(ctx context.Context, name string) error    { return b.Start(ctx, name) }
func (b *toy) Forget(context.Context, string) error              { return nil }
func (b *toy) Kill(context.Context, string, string) error        { return nil }
func (b *toy) Shutdown() error                                   { return nil }
func (b *toy) Reboot() error                                     { return nil }
func (b *toy) Logs(_ context.Context, _ io.Writer, _ bool) error { return nil }

// demo serves a toy, and returns a client of it. That of a real server is
// zinit.Default().
func demo() (cl *zinit.Client, end func()) {
	dir, err := os.MkdirTemp("", "zinit")
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "zinit.sock")
	l, err := sock.Listen(path)
	if err != nil {
		log.Fatal(err)
	}
	b := &toy{state: legacy.StateBlocked, target: legacy.TargetDown}
	server := sock.NewServer(nil, sock.Options{Lines: func(ctx context.Context, l *sock.Line) { legacy.Serve(ctx, l.Text, l, b) }})
	go server.Serve(l)
	return zinit.New(path).WithDir(dir), func() {
		server.Shutdown(context.Background())
		os.RemoveAll(dir)
	}
}

func Example() {
	cl, end := demo()
	defer end()
	err := cl.AddService("redis", zinit.InitService{
		Exec:  "redis-server --port 7777",
		Env:   map[string]string{"LANG": "C"},
		After: []string{},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := cl.Monitor("redis"); err != nil && !errors.Is(err, zinit.ErrAlreadyMonitored) {
		log.Fatal(err)
	}
	if err := cl.StartWait(20*time.Second, "redis"); err != nil {
		log.Fatal(err)
	}
	status, err := cl.Status("redis")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.Name, status.State.String(), status.Pid, status.State.Exited())
	if err := cl.Destroy(20*time.Second, "redis"); err != nil {
		log.Fatal(err)
	}
	// Output: redis running 812 false
}

func ExampleClient_Exists() {
	cl, end := demo()
	defer end()
	exists, err := cl.Exists("nosuch")
	fmt.Println(exists, err)
	// Output: false <nil>
}

func ExampleClient_Matches() {
	cl, end := demo()
	defer end()
	if err := cl.AddService("redis", zinit.InitService{Exec: "/usr/bin/redis-server"}); err != nil {
		log.Fatal(err)
	}
	matched, err := cl.Matches(zinit.WithExec("redis-server"), zinit.WithName("redis"))
	fmt.Println(matched, err)
	// Output: [redis] <nil>
}

func ExampleClient_WithContext() {
	cl, end := demo()
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	services, err := cl.WithContext(ctx).List()
	state := services["redis"]
	fmt.Println(state.String(), err)
	// Output: blocked <nil>
}
