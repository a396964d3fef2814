package sock

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func dial(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// recorder answers methods with fixed results and notes their params, so that a
// test sees both directions.
func recorder(results map[string]any, seen map[string]string) Table {
	var table Table
	for name, result := range results {
		table = append(table, Method{Name: name, Access: Read, Handle: func(_ context.Context, call *Call) (any, error) {
			seen[name] = string(call.Raw)
			return result, nil
		}})
	}
	return table
}

func TestClientSendsAndReadsEveryMethod(t *testing.T) {
	state := ServiceState{State: Blocked, WaitingOn: Names{"db"}}
	seen := make(map[string]string)
	s, path := start(t, recorder(map[string]any{
		MethodPing: Ping{PID: 7, Version: "0.4.0"}, MethodShutdown: Done, MethodList: Names{"a"}, MethodListFull: []ServiceInfo{{Name: "a", State: state}},
		MethodStatus: NewStatus("a", state), MethodStatusFull: ServiceStatusFull{Name: "a", State: state},
		MethodStart: Done, MethodStop: Done, MethodRestart: Done, MethodKill: Done, MethodWhy: WhyBlocked{Name: "a"},
		MethodTree: Tree{"a"}, MethodIsRunning: true, MethodLogs: []string{"1 [stdout] x"},
		MethodWait: WaitResult{Services: []WaitedService{{Name: "a", State: Failed}}},
	}, seen), Options{})
	c, ctx := dial(t, path), t.Context()
	fine := func(what string, ok bool, err error) {
		t.Helper()
		if err != nil || !ok {
			t.Errorf("%s: %v, %v", what, ok, err)
		}
	}
	p, err := c.Ping(ctx)
	fine("Ping", p.PID == 7 && p.Version == "0.4.0" && p.Problems == nil, err)
	names, err := c.List(ctx)
	fine("List", len(names) == 1 && names[0] == "a", err)
	full, err := c.ListFull(ctx)
	fine("ListFull", len(full) == 1 && full[0].State.WaitingOn[0] == "db", err)
	status, err := c.Status(ctx, "a")
	fine("Status", status.Error == "waiting on: db", err)
	sf, err := c.StatusFull(ctx, "a")
	fine("StatusFull", sf.State.State == Blocked && sf.UptimeSecs == nil, err)
	why, err := c.Why(ctx, "a")
	fine("Why", why.Name == "a", err)
	tree, err := c.Tree(ctx)
	fine("Tree", tree.ASCII == "a", err)
	running, err := c.IsRunning(ctx, "a")
	fine("IsRunning", running, err)
	lines, err := c.Logs(ctx, "a", 5)
	fine("Logs", len(lines) == 1, err)
	waited, err := c.Wait(ctx, []string{"a"}, Running, WaitOptions{Timeout: 1500 * time.Microsecond, Settle: true})
	fine("Wait", !waited.Reached && waited.Services[0].State == Failed, err)
	fine("Start", true, c.Start(ctx, "a", StartOptions{NoDeps: true}))
	fine("Stop", true, c.Stop(ctx, "a"))
	fine("Restart", true, c.Restart(ctx, "a"))
	fine("Kill", true, c.Kill(ctx, "a", "HUP"))
	fine("Shutdown", true, c.Shutdown(ctx))
	fine("end of the server", true, s.Shutdown(ctx)) // it writes no more to seen
	for method, want := range map[string]string{
		MethodPing: "", MethodStatus: `{"name":"a"}`, MethodStart: `{"name":"a","no_deps":true}`, MethodStop: `{"name":"a"}`,
		MethodKill: `{"name":"a","signal":"HUP"}`, MethodLogs: `{"name":"a","lines":5}`,
		MethodWait: `{"names":["a"],"settle":true,"state":"running","timeout_ms":2}`,
	} {
		if seen[method] != want {
			t.Errorf("%s was sent %s, want %s", method, seen[method], want)
		}
	}
}

func TestClientSendsAndReadsTheRestOfTheMethods(t *testing.T) {
	seen := make(map[string]string)
	set := SetResult{Name: "a", Path: "/etc/a.toml", Warnings: Names{"w"}}
	line := LogLine{"x", "a", "stdout", 1}
	used := Usage{CPUFrom: FromCgroup, CPUUsec: 12, Tasks: 3, TasksFrom: FromProc}
	timer := TimerStatus{LastMs: 1, Name: "a", NextMs: 2, Result: "exit code 0", Skipped: 1}
	s, path := start(t, recorder(map[string]any{
		MethodDiscover: Encoded(`{"openrpc":"1.2.6"}`), MethodStats: Stats{1.5, 4096, 7, &used}, MethodTimers: []TimerStatus{timer}, MethodSignalReload: Done, MethodChildren: Children{[]Child{{1, "sh", 8}}},
		MethodGet: Encoded(`{"dependencies":{"after":["b"]},"health":null,"service":{"name":"a","exec":"x"}}`),
		MethodSet: set, MethodAdd: set, MethodMonitor: set, MethodRegister: set, MethodDelete: Done,
		MethodStartAll: StartedResult{1, Names{"a"}}, MethodStopAll: StoppedResult{1, Names{"a"}}, MethodDeleteAll: DeletedResult{1, Names{"a"}},
		MethodReload: ReloadResult{Added: Names{"a"}, DryRun: true}, MethodLogsTail: []LogLine{line}, MethodLogsFilter: []LogLine{line},
		MethodDebugState: Output{"state"}, MethodDebugProcs: Output{"tree"},
	}, seen), Options{})
	c, ctx := dial(t, path), t.Context()
	same := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	document, err := c.Discover(ctx)
	same("Discover", string(document), `{"openrpc":"1.2.6"}`, err)
	stats, err := c.Stats(ctx, "a")
	same("Stats", stats, Stats{1.5, 4096, 7, &used}, err)
	timers, err := c.Timers(ctx)
	same("Timers", timers, []TimerStatus{timer}, err)
	same("SignalReload", nil, nil, c.SignalReload(ctx, "a"))
	children, err := c.Children(ctx, "a")
	same("Children", children, []Child{{1, "sh", 8}}, err)
	got, err := c.Get(ctx, "a")
	same("Get", got.Service, Service{Name: "a", Exec: "x"}, err)
	config := ServiceConfig{Service: Service{Name: "a", Exec: "x"}, Dependencies: Dependencies{Requires: Names{"b"}}}
	r, err := c.Set(ctx, config, SetOptions{})
	same("Set", r, set, err)
	r, err = c.Add(ctx, config, SetOptions{Ephemeral: true})
	same("Add", r, set, err)
	r, err = c.Monitor(ctx, config)
	same("Monitor", r, set, err)
	r, err = c.Register(ctx, config)
	same("Register", r, set, err)
	same("Delete", nil, nil, c.Delete(ctx, "a", DeleteOptions{Cascade: true}))
	started, err := c.StartAll(ctx)
	same("StartAll", started, StartedResult{1, Names{"a"}}, err)
	stopped, err := c.StopAll(ctx)
	same("StopAll", stopped, StoppedResult{1, Names{"a"}}, err)
	deleted, err := c.DeleteAll(ctx)
	same("DeleteAll", deleted, DeletedResult{1, Names{"a"}}, err)
	reload, err := c.Reload(ctx, ReloadParams{Name: "a", DryRun: true})
	same("Reload", reload.Added, Names{"a"}, err)
	lines, err := c.LogsTail(ctx, LogsTailParams{Name: "a", Lines: 3})
	same("LogsTail", lines, []LogLine{line}, err)
	lines, err = c.LogsFilter(ctx, LogsTailParams{Service: "a", Stream: "stderr", SinceMs: 9})
	same("LogsFilter", lines, []LogLine{line}, err)
	text, err := c.DebugState(ctx)
	same("DebugState", text, "state", err)
	text, err = c.DebugProcesses(ctx, "a")
	same("DebugProcesses", text, "tree", err)
	if err := s.Shutdown(ctx); err != nil { // it writes no more to seen
		t.Error(err)
	}
	const sent = `{"config":{"dependencies":{"after":[],"conflicts":[],"requires":["b"],"wants":[]},"health":null,"lifecycle":{},` +
		`"logging":{"file":null,"forward":null},"service":{"critical":false,"dir":null,"exec":"x","kill_others":false,"name":"a","oneshot":false}},`
	for method, want := range map[string]string{
		MethodSet: sent + `"exact":true,"persist":true}`, MethodAdd: sent + `"persist":false}`, MethodMonitor: sent + `"persist":false}`, MethodRegister: sent + `"persist":true}`,
		MethodDelete: `{"name":"a","cascade":true}`, MethodReload: `{"name":"a","dry_run":true}`,
		MethodLogsTail: `{"name":"a","lines":3}`, MethodLogsFilter: `{"service":"a","stream":"stderr","since":9}`,
		MethodStartAll: "", MethodDebugState: "", MethodDebugProcs: `{"name":"a"}`,
	} {
		if seen[method] != want {
			t.Errorf("%s was sent %s, want %s", method, seen[method], want)
		}
	}
}

func TestClientReturnsTypedErrors(t *testing.T) {
	_, path := start(t, sample(1), Options{})
	c := dial(t, path)
	_, err := c.Status(t.Context(), "nosuch")
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeServiceNotFound || e.Word() != WordServiceNotFound {
		t.Errorf("got %#v", err)
	}
	if _, err := c.Ping(t.Context()); err != nil {
		t.Errorf("after an error: %v", err)
	}
	_, err = Dial(t.Context(), filepath.Join(t.TempDir(), "none"))
	if err == nil || !strings.HasPrefix(err.Error(), "cannot connect to ") {
		t.Errorf("got %v", err)
	}
}

func TestClientLearnsWhyItIsTurnedAway(t *testing.T) {
	_, path := start(t, sample(1), Options{Grant: func(string, Peer) Access { return Nothing }})
	for range 20 { // whether the request still gets out is a matter of luck
		c, err := Dial(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Ping(t.Context())
		var e *Error
		if !errors.As(err, &e) || e.Word() != WordAccessDenied {
			t.Fatalf("got %v", err)
		}
		c.Close()
	}
}

func TestClientHonoursItsContextAndRecovers(t *testing.T) {
	entered, ended := make(chan struct{}, 2), make(chan struct{}, 2)
	_, path := start(t, blockTable(entered, nil, ended), Options{})
	c := dial(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if err := c.Call(ctx, "test.block", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-ended // the server noticed
	short, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if err := c.Call(short, "test.block", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Ping(t.Context()); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestClientIsSafeForConcurrentUse(t *testing.T) {
	_, path := start(t, sample(50), Options{})
	c := dial(t, path)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if s, err := c.Status(t.Context(), "service-042"); err != nil || s.PID != 1042 {
					t.Errorf("%v, %v", s, err)
				}
			}
		})
	}
	wg.Wait()
	c.Close()
	if _, err := c.Ping(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// flaky accepts connections and answers each request as the test says.
func flaky(t *testing.T, answers ...func(c *talker)) string {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for _, answer := range answers {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			answer(&talker{UnixConn: c})
			c.Close()
		}
	}()
	return path
}

func TestClientRepeatsOnlyReads(t *testing.T) {
	request := make([]byte, 4096)
	lose := func(c *talker) { c.Read(request) }
	answer := func(c *talker) {
		if n, _ := c.Read(request); n > 0 {
			id := string(member(request[:n], "id"))
			c.Write([]byte(`{"jsonrpc":"2.0","id":` + id + `,"result":{"pid":1,"version":"x"}}` + "\n"))
		}
	}
	t.Run("a read is sent again", func(t *testing.T) {
		c := dial(t, flaky(t, lose, lose, answer))
		if _, err := c.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("but not for ever", func(t *testing.T) {
		c := dial(t, flaky(t, lose, lose, lose, lose, lose, answer))
		if _, err := c.Ping(t.Context()); err == nil {
			t.Error("no error")
		}
		if _, err := c.Ping(t.Context()); err != nil {
			t.Errorf("the next call: %v", err)
		}
	})
	t.Run("a wait goes on with what is left of its time", func(t *testing.T) {
		var left []int64
		waits := func(then func(*talker)) func(*talker) {
			return func(c *talker) {
				n, _ := c.Read(request)
				var r struct{ Params WaitParams }
				if err := json.Unmarshal(request[:n], &r); err != nil {
					t.Error(err)
				}
				left = append(left, r.Params.TimeoutMs)
				<-time.After(5 * time.Millisecond)
				then(c)
			}
		}
		c := dial(t, flaky(t, waits(func(*talker) {}), waits(func(c *talker) {
			c.Write([]byte(`{"jsonrpc":"2.0","id":2,"result":{"reached":true,"services":[]}}` + "\n"))
		})))
		if _, err := c.Wait(t.Context(), []string{"a"}, Running, WaitOptions{Timeout: time.Minute}); err != nil {
			t.Error(err)
		}
		if len(left) != 2 || left[0] != 60_000 || left[1] >= left[0] || left[1] < 1 {
			t.Errorf("asked to wait for %d ms", left)
		}
	})
	t.Run("a change is not", func(t *testing.T) {
		c := dial(t, flaky(t, lose, answer))
		if err := c.Stop(t.Context(), "a"); err == nil {
			t.Error("no error")
		}
		if err := c.Stop(t.Context(), "a"); err != nil {
			t.Errorf("the next call: %v", err)
		}
	})
	t.Run("unless it was never sent", func(t *testing.T) {
		closed := make(chan struct{})
		c := dial(t, flaky(t, func(c *talker) { answer(c); c.Close(); close(closed) }, answer))
		if _, err := c.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-closed
		if err := c.Stop(t.Context(), "a"); err != nil {
			t.Error(err)
		}
	})
	t.Run("what is no server", func(t *testing.T) {
		garbage := func(c *talker) { c.Read(request); c.Write([]byte("HTTP/1.1 400 Bad Request\n")) }
		c := dial(t, flaky(t, garbage, garbage, garbage, garbage, garbage))
		if _, err := c.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "does not speak JSON-RPC") {
			t.Errorf("got %v", err)
		}
	})
}

// A list that is nil is as good as one that is empty.
func TestAWaitWithoutNamesSendsAnEmptyList(t *testing.T) {
	seen := make(map[string]string)
	s, path := start(t, recorder(map[string]any{MethodWait: WaitResult{Reached: true}}, seen), Options{})
	if _, err := dial(t, path).Wait(t.Context(), nil, Running, WaitOptions{}); err != nil {
		t.Error(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := seen[MethodWait]; !strings.Contains(got, `"names":[]`) {
		t.Errorf("sent %s", got)
	}
}
