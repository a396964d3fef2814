package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zinit/sock"
)

// startedAt is the fake server's idea of now; the clock of the tests shows it.
const startedAt = 1795196348996

func before(d time.Duration) int64 { return startedAt - d.Milliseconds() }

func code(n int) *int { return &n }

// world is what the fake server runs: one service for each look.
func world() []sock.ServiceInfo {
	return []sock.ServiceInfo{
		{Name: "multi-user", IsTarget: true, State: sock.ServiceState{State: sock.Blocked, WaitingOn: sock.Names{"metrics", "never"}}},
		{Name: "log", State: sock.ServiceState{State: sock.Running, PID: 17861}, Details: sock.Details{SinceMs: before(28 * time.Second), Run: 1}},
		{Name: "web", State: sock.ServiceState{State: sock.Running, PID: 862}, Details: sock.Details{SinceMs: before(26 * time.Hour), Restarts: 2, Run: 3}},
		{Name: "db", State: sock.ServiceState{State: sock.Running, PID: 900}, Details: sock.Details{SinceMs: before(9 * time.Minute), Restarts: 1, Run: 2, Reason: "db: its configuration has changed: restart it to apply that"}},
		{Name: "shot", State: sock.ServiceState{State: sock.Exited, ExitCode: code(0)}},
		{Name: "missing", State: sock.ServiceState{State: sock.Failed, Reason: &sock.FailureReason{Type: sock.ReasonMissingDependency, Dependency: "nosuch"}}},
		{Name: "metrics", State: sock.ServiceState{State: sock.Inactive}},
		{Name: "x1", State: sock.ServiceState{State: sock.Stopping, PID: 20332}},
		{Name: "x9", State: sock.ServiceState{State: sock.Starting, PID: 20429}},
		{Name: "api", State: sock.ServiceState{State: sock.Failed, Reason: &sock.FailureReason{Type: sock.ReasonExitCode, Code: 3}},
			Details: sock.Details{NextStartMs: startedAt + 4000, Restarts: 3, Run: 4}},
		{Name: "p1", State: sock.ServiceState{State: sock.Blocked},
			Details: sock.Details{Reason: "p1: port 8080 is in use by nginx (pid 812): stop it, or set kill_others = true"}},
		{Name: "typo", State: sock.ServiceState{State: sock.Failed, Reason: &sock.FailureReason{Type: sock.ReasonSpawnError, Message: "invalid configuration"}},
			Details: sock.Details{Problem: "/etc/zinit/services/typo.toml:3: service.exce: unknown key: did you mean exec?"}},
		{Name: "hostile", State: sock.ServiceState{State: sock.Failed, Reason: &sock.FailureReason{Type: sock.ReasonSpawnError, Message: "cannot run \x1b[2J\x00"}}},
	}
}

// A fake is a server with canned answers.
type fake struct {
	path     string
	services []sock.ServiceInfo
	server   *sock.Server
	requests atomic.Int64
	gone     chan struct{} // closed when a shutdown has been carried out

	restarts bool // in the middle of the first stream
	turns    atomic.Int64

	mu   sync.Mutex
	sent []string // guarded by mu
}

func newFake(t *testing.T, services []sock.ServiceInfo) *fake {
	t.Helper()
	// Not t.TempDir: its names are longer than the path of a socket may be.
	dir, err := os.MkdirTemp("", "cli")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &fake{path: filepath.Join(dir, "z.sock"), services: services, gone: make(chan struct{})}
	f.server = sock.NewServer(f.table(), sock.Options{Lines: f.line})
	listener, err := sock.Listen(f.path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := f.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fake) find(name string) *sock.ServiceInfo {
	for i := range f.services {
		if f.services[i].Name == name {
			return &f.services[i]
		}
	}
	return nil
}

// note writes down a request.
func (f *fake) note(method string, params json.RawMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, method+" "+string(params))
}

// took returns the requests since it was last asked.
func (f *fake) took() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent := f.sent
	f.sent = nil
	return sent
}

// A fakeRow is a method. With params, it concerns one service.
type fakeRow struct {
	name   string
	params []sock.Param
	answer func(c *sock.Call, info *sock.ServiceInfo) (any, error)
}

// table is the methods that the command line uses.
func (f *fake) table() sock.Table {
	name := []sock.Param{{Name: "name", Type: "string", Required: true}}
	rows := []fakeRow{
		{sock.MethodPing, nil, func(*sock.Call, *sock.ServiceInfo) (any, error) { return sock.Ping{PID: 77, Version: "0.4.0"}, nil }},
		{sock.MethodShutdown, nil, f.shutdown},
		{sock.MethodList, nil, func(*sock.Call, *sock.ServiceInfo) (any, error) {
			names := sock.Names{}
			for _, s := range f.services {
				names = append(names, s.Name)
			}
			return names, nil
		}},
		{sock.MethodListFull, nil, func(*sock.Call, *sock.ServiceInfo) (any, error) { return sock.EncodeList(f.services), nil }},
		{sock.MethodStatus, name, fakeStatus},
		{sock.MethodLegacyList, nil, func(*sock.Call, *sock.ServiceInfo) (any, error) {
			return map[string]string{"redis": "Running", "delay": "Success", "bad": "Error(Exited(Pid(30575), 3))", "no": "Blocked"}, nil
		}},
		{sock.MethodLegacyStatus, name, func(_ *sock.Call, info *sock.ServiceInfo) (any, error) {
			after := map[string]string{}
			if info.Name == "web" {
				after["delay"] = "Success"
				after["bad"] = "Error(Exited(Pid(30575), 3))"
			}
			return map[string]any{"name": info.Name, "pid": info.State.PID, "state": "Running", "target": "Up", "after": after}, nil
		}},
		{sock.MethodLegacyMonitor, name, func(_ *sock.Call, info *sock.ServiceInfo) (any, error) {
			return nil, &sock.Error{Code: -32001, Message: `service "` + info.Name + `" already monitored`}
		}},
		{sock.MethodLegacyForget, name, func(*sock.Call, *sock.ServiceInfo) (any, error) { return nil, nil }},
		{sock.MethodStatusFull, name, fakeStatusFull},
		{sock.MethodWhy, name, fakeWhy},
		{sock.MethodTree, nil, fakeTree},
		{sock.MethodLogs, name, fakeLogs},
		{sock.MethodStart, name, f.mutate},
		{sock.MethodStop, name, f.mutate},
		{sock.MethodRestart, name, f.mutate},
		{sock.MethodKill, name, fakeKill},
		{sock.MethodSignalReload, name, fakeSignalReload},
		{sock.MethodTimers, nil, func(*sock.Call, *sock.ServiceInfo) (any, error) { return kindTimers(f.services), nil }},
		{sock.MethodWait, nil, f.wait},
	}
	rows = slices.Concat(rows, f.lookRows(), f.changeRows(), proxyRows(len(f.services) > 0))
	var table sock.Table
	for _, row := range rows {
		table = append(table, sock.Method{
			Name: row.name, Access: sock.Read, Params: row.params,
			Handle: func(_ context.Context, c *sock.Call) (any, error) {
				f.requests.Add(1)
				f.note(row.name, c.Raw)
				if row.params == nil {
					return row.answer(c, nil)
				}
				name, err := c.Name()
				if err != nil {
					return nil, err
				}
				info := f.find(name)
				switch {
				case info != nil:
					return row.answer(c, info)
				case strings.HasPrefix(row.name, "service.st") && !strings.HasPrefix(row.name, sock.MethodStatus),
					row.name == sock.MethodRestart, row.name == sock.MethodKill, row.name == sock.MethodSignalReload:
					return nil, sock.UnknownService(name)
				}
				return nil, sock.NoService()
			},
		})
	}
	return append(table, f.streamMethods()...)
}

func (f *fake) shutdown(*sock.Call, *sock.ServiceInfo) (any, error) {
	go func() {
		defer close(f.gone)
		// The deadline is the test's own; what is left then is closed hard.
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = f.server.Shutdown(ctx)
	}()
	return sock.Done, nil
}

func (f *fake) mutate(c *sock.Call, info *sock.ServiceInfo) (any, error) {
	if info.Name == "conf" {
		return nil, sock.Refuse(sock.WordConflict, "conf: conflicts with db, which is running: stop db first")
	}
	return sock.Done, nil
}

func fakeKill(c *sock.Call, info *sock.ServiceInfo) (any, error) {
	var p sock.KillParams
	if err := json.Unmarshal(c.Raw, &p); err != nil {
		return nil, err
	}
	switch {
	case info.State.PID == 0:
		return nil, sock.ServiceNotRunning(info.Name)
	case p.Signal == "FOO":
		return nil, sock.BadSignal(info.Name, p.Signal, "unknown signal")
	}
	return sock.Done, nil
}

func fakeSignalReload(_ *sock.Call, info *sock.ServiceInfo) (any, error) {
	if info.State.State != sock.Running {
		e := sock.ServiceNotRunning(info.Name)
		e.Message = info.Name + ": it is " + info.State.State + ", and only what is running can be reloaded: start it"
		return nil, e
	}
	return sock.Done, nil
}

func fakeStatus(_ *sock.Call, info *sock.ServiceInfo) (any, error) {
	status := sock.NewStatus(info.Name, info.State)
	status.Details = info.Details
	return status, nil
}

func fakeStatusFull(_ *sock.Call, info *sock.ServiceInfo) (any, error) {
	full := sock.ServiceStatusFull{
		Name: info.Name, IsTarget: info.IsTarget, State: info.State, Details: info.Details, Dependencies: []sock.Dependency{},
	}
	if info.Name != "web" {
		enrich(&full)
		return full, nil
	}
	up := int64(93600)
	full.UptimeSecs = &up
	full.Dependencies = []sock.Dependency{
		{DepType: "requires", Name: "db", Satisfied: true, State: sock.ServiceState{State: sock.Running, PID: 900}},
		{DepType: "after", Name: "metrics", State: sock.ServiceState{State: sock.Inactive}},
	}
	full.Health, full.Source = "healthy", "/etc/zinit/services/web.toml"
	return full, nil
}

func fakeWhy(_ *sock.Call, info *sock.ServiceInfo) (any, error) {
	why := sock.WhyBlocked{Name: info.Name, Blocked: info.State.State == sock.Blocked}
	switch info.Name {
	case "multi-user":
		why.WaitingOn = info.State.WaitingOn
		why.ASCII = "[?] multi-user (blocked)\n  -> waiting on metrics (inactive)\n  -> waiting on never (failed)"
	case "conf":
		why.Blocked, why.ConflictsWith = true, sock.Names{"db"}
		why.ASCII = "[?] conf (blocked)\n  !> conflicts with db (running)"
	case "p1":
		why.ASCII, why.PortConflict = "[?] p1 (blocked)", "port 9977 in use by service p2"
		why.ProcessConflict = &sock.ProcessConflict{Filter: "nginx", Processes: []sock.ConflictProcess{{Name: "nginx", PID: 812}, {Name: "nginx: worker", PID: 813}}}
	case "missing":
		why.Reason = "missing: requires nosuch, which does not exist: add it, or drop it from requires"
	}
	return why, nil
}

func fakeTree(*sock.Call, *sock.ServiceInfo) (any, error) {
	return sock.Tree{ASCII: "├─ [-] metrics (inactive)\n└─ [+] web (running)\n     ├─ wants metrics (inactive)\n     └─ requires db (running)"}, nil
}

func fakeLogs(c *sock.Call, info *sock.ServiceInfo) (any, error) {
	p := sock.LogsParams{Lines: 100}
	if err := json.Unmarshal(c.Raw, &p); err != nil {
		return nil, err
	}
	if info.Name != "web" {
		return []string{}, nil
	}
	lines := []string{
		"1795196348996 [stdout] hello",
		"1795196348997 [stderr] oops: \x1b[31mred\x1b[0m \x00 tab\there \u009b2J \u202eevil grüße",
		"1795196348998 [stdout] ",
		"not a line of that form",
	}
	return lines[max(0, len(lines)-int(p.Lines)):], nil
}

// wait answers at once: it is there, or it never will be.
func (f *fake) wait(c *sock.Call, _ *sock.ServiceInfo) (any, error) {
	var p sock.WaitParams
	if err := json.Unmarshal(c.Raw, &p); err != nil {
		return nil, err
	}
	result := sock.WaitResult{Reached: true}
	for _, name := range p.Names {
		info := f.find(name)
		if info == nil {
			return nil, sock.UnknownService(name)
		}
		w := sock.WaitedService{Name: name, State: info.State.State, Reached: info.State.State == p.State}
		w.Hopeless = info.State.State == sock.Blocked && name != "soon"
		switch p.State {
		case sock.GoalUp:
			w.Reached = info.State.State == sock.Running || info.State.State == sock.Exited
		case sock.GoalDown:
			w.Reached = info.State.PID == 0
		}
		if name == "api" {
			w.Error = "api: exit code 3: look at zinit logs api"
		}
		result.Reached = result.Reached && w.Reached
		result.Services = append(result.Services, w)
	}
	return result, nil
}

// line answers the log command of zinit 0.2.
func (f *fake) line(_ context.Context, l *sock.Line) {
	f.note(string(l.Text), nil)
	io.WriteString(l, "[-] web: ------------ [start] ------------\n[+] web: up\n[-] web/test: no\n[+] webs: other \x1b[2J\n")
}
