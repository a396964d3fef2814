package sock_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"zinit/sock"
)

// demo serves a table like that of zinit-server, with two made-up services, and
// returns a client of it. The socket of a real server is /run/zinit.sock.
func demo() (c *sock.Client, end func()) {
	dir, err := os.MkdirTemp("", "zinit")
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "zinit.sock")
	l, err := sock.Listen(path)
	if err != nil {
		log.Fatal(err)
	}
	server := sock.NewServer(demoTable(), sock.Options{})
	go server.Serve(l)
	if c, err = sock.Dial(context.Background(), path); err != nil {
		log.Fatal(err)
	}
	return c, func() {
		c.Close()
		server.Shutdown(context.Background())
		os.RemoveAll(dir)
	}
}

func demoTable() sock.Table {
	code := 3
	states := map[string]sock.ServiceState{
		"db":  {State: sock.Running, PID: 812},
		"web": {State: sock.Failed, Reason: &sock.FailureReason{Type: sock.ReasonExitCode, Code: code}},
	}
	name := []sock.Param{{Name: "name", Type: "string", Required: true}}
	answer := func(result any) func(context.Context, *sock.Call) (any, error) {
		return func(context.Context, *sock.Call) (any, error) { return result, nil }
	}
	return sock.Table{
		{Name: sock.MethodListFull, Access: sock.Read, Handle: answer([]sock.ServiceInfo{
			{Name: "db", State: states["db"]}, {Name: "web", State: states["web"]}})},
		{Name: sock.MethodStatus, Access: sock.Read, Params: name, Handle: func(_ context.Context, call *sock.Call) (any, error) {
			name, err := call.Name()
			if err != nil {
				return nil, err
			}
			state, known := states[name]
			if !known {
				return nil, sock.NoService()
			}
			return sock.NewStatus(name, state), nil
		}},
		{Name: sock.MethodStart, Access: sock.Change, Params: name, Handle: answer(sock.Done)},
		{Name: sock.MethodWait, Access: sock.Read, Waits: true, Handle: answer(sock.WaitResult{Reached: true})},
		{Name: sock.MethodSet, Access: sock.Change, Handle: answer(sock.SetResult{Name: "cache", Path: "/etc/zinit/services/cache.toml"})},
		{Name: sock.MethodReload, Access: sock.Change, Handle: answer(sock.ReloadResult{DryRun: true, Added: sock.Names{"cache"}, Restarted: sock.Names{"web"}})},
		{Name: sock.MethodEvents, Access: sock.Read, Streams: true, Handle: func(_ context.Context, call *sock.Call) (any, error) {
			if err := call.Begin(sock.Subscribed{Subscribed: true}); err != nil {
				return nil, err
			}
			return nil, call.Push(sock.NoteEvents, sock.EventBatch{Events: []sock.Event{
				{Type: sock.EventNow, Service: "web", To: sock.Starting},
				{Type: sock.EventState, Service: "web", From: sock.Starting, To: sock.Running, Seq: 1},
			}})
		}},
		{Name: sock.MethodLogsFollow, Access: sock.Read, Streams: true, Handle: func(_ context.Context, call *sock.Call) (any, error) {
			if err := call.Begin(sock.Subscribed{Subscribed: true}); err != nil {
				return nil, err
			}
			return nil, call.Push(sock.NoteLogs, sock.LogBatch{Lines: []sock.FollowedLine{
				{LogLine: sock.LogLine{Service: "web", Stream: "stdout", Content: "listening on :8080"}, Cursor: 19},
			}})
		}},
	}
}

func ExampleDial() {
	c, end := demo() // sock.Dial(ctx, "/run/zinit.sock")
	defer end()

	services, err := c.ListFull(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range services {
		fmt.Println(s.Name, s.State.State)
	}
	// Output:
	// db running
	// web failed
}

// A refusal is an *Error, with a code and often a word that do not change.
func ExampleError() {
	c, end := demo()
	defer end()

	_, err := c.Status(context.Background(), "nosuch")
	var refused *sock.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Code, refused.Word(), "-", refused.Message)
	}
	// Output: -32000 service_not_found - service not found
}

// Start returns when the server has taken the order, Wait when the service is up.
func ExampleClient_Wait() {
	c, end := demo()
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	if err := c.Start(ctx, "web", sock.StartOptions{}); err != nil {
		log.Fatal(err)
	}
	result, err := c.Wait(ctx, []string{"web"}, sock.GoalUp, sock.WaitOptions{Settle: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("up:", result.Reached)
	// Output: up: true
}

func ExampleClient_Set() {
	c, end := demo()
	defer end()

	delay := int64(500)
	result, err := c.Set(context.Background(), sock.ServiceConfig{
		Service:      sock.Service{Name: "cache", Exec: "/usr/bin/memcached -m 64"},
		Dependencies: sock.Dependencies{Requires: sock.Names{"db"}},
		Lifecycle:    sock.Lifecycle{Restart: "always", RestartDelayMs: &delay},
	}, sock.SetOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Path)
	// Output: /etc/zinit/services/cache.toml
}

func ExampleClient_Reload() {
	c, end := demo()
	defer end()

	plan, err := c.Reload(context.Background(), sock.ReloadParams{DryRun: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("would add", plan.Added, "and restart", plan.Restarted)
	// Output: would add [cache] and restart [web]
}

// The loop goes on over restarts of the server, until its context ends. After
// an EventGap comes the present state of each service.
func ExampleClient_Events() {
	c, end := demo()
	defer end()

	for e, err := range c.Events(context.Background(), sock.EventsParams{Now: true}) {
		if err != nil {
			log.Fatal(err)
		}
		switch e.Type {
		case sock.EventNow:
			fmt.Println(e.Service, "is", e.To)
		case sock.EventState:
			fmt.Println(e.Service, e.From, "->", e.To)
		}
		if e.To == sock.Running {
			break
		}
	}
	// Output:
	// web is starting
	// web starting -> running
}

// No line is lost or doubled when the server restarts meanwhile.
func ExampleClient_Follow() {
	c, end := demo()
	defer end()

	for line, err := range c.Follow(context.Background(), sock.LogsFollowParams{Names: []string{"web"}, Lines: 10}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s [%s] %s\n", line.Service, line.Stream, line.Content)
	}
	// Output: web [stdout] listening on :8080
}

// Call reaches methods that have no function.
func ExampleClient_Call() {
	c, end := demo()
	defer end()

	var status struct{ State, Name string }
	if err := c.Call(context.Background(), sock.MethodStatus, sock.NameParams{Name: "db"}, &status); err != nil {
		log.Fatal(err)
	}
	fmt.Println(status.Name, "is", status.State)
	// Output: db is running
}
