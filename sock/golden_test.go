package sock

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func failed(r FailureReason) ServiceState { return ServiceState{State: Failed, Reason: &r} }

func ptr[T any](v T) *T { return &v }

// golden reads the lines of a file of the contract.
func golden(t *testing.T, name string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "wire", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// onTheWire encodes a result as the server does.
func onTheWire(t *testing.T, v any) string {
	t.Helper()
	out := newOutput()
	if err := out.appendValue(v); err != nil {
		t.Fatal(err)
	}
	return string(out.b)
}

// check compares values with the lines of a file, and that decoding a line and
// encoding it again gives the line.
func check[T any](t *testing.T, name string, values ...T) {
	t.Run(name, func(t *testing.T) {
		lines := golden(t, name)
		if len(lines) != len(values) {
			t.Fatalf("%d lines for %d values", len(lines), len(values))
		}
		for i, v := range values {
			if got := onTheWire(t, v); got != lines[i] {
				t.Errorf("line %d:\n got %s\nwant %s", i+1, got, lines[i])
			}
			var back T
			if err := json.Unmarshal([]byte(lines[i]), &back); err != nil {
				t.Errorf("line %d: %v", i+1, err)
			} else if got := onTheWire(t, back); got != lines[i] {
				t.Errorf("line %d decoded and encoded:\n got %s\nwant %s", i+1, got, lines[i])
			}
		}
	})
}

// fill gives every field a value that is not its zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint16, reflect.Uint64:
		v.SetUint(1)
	}
}

// TestWhatIsEncodedByHandLacksNoField: such a value says what encoding/json says of
// its fields.
func TestWhatIsEncodedByHandLacksNoField(t *testing.T) {
	for _, v := range []any{new(ServiceStatus), new(ServiceInfo), new(ServiceStatusFull), new(Dependency)} {
		whole := reflect.ValueOf(v).Elem()
		fill(whole)
		var has map[string]json.RawMessage
		if err := json.Unmarshal([]byte(onTheWire(t, whole.Interface())), &has); err != nil {
			t.Fatal(err)
		}
		for _, f := range reflect.VisibleFields(whole.Type()) {
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if _, ok := has[key]; !ok && key != "" && key != "-" {
				t.Errorf("%T lacks %s", v, key)
			}
		}
	}
}

func TestShapesAreThoseOfTheContract(t *testing.T) {
	spawn := "spawn error for service 'nodir': No such file or directory (os error 2)"
	check(t, "service_status",
		NewStatus("web", ServiceState{State: Running, PID: 17862}),
		NewStatus("afterfail", ServiceState{State: Blocked, WaitingOn: Names{"metrics"}}),
		NewStatus("conf", ServiceState{State: Blocked}),
		NewStatus("never", failed(FailureReason{Type: ReasonExitCode, Code: 3})),
		NewStatus("sig", failed(FailureReason{Type: ReasonSignal, Signal: 11})),
		NewStatus("shotok", ServiceState{State: Exited, ExitCode: ptr(0)}),
		NewStatus("missing", failed(FailureReason{Type: ReasonMissingDependency, Dependency: "nosuch"})),
		NewStatus("nodir", failed(FailureReason{Type: ReasonSpawnError, Message: spawn})),
		NewStatus("slow", failed(FailureReason{Type: ReasonStartTimeout})),
		NewStatus("stuck", failed(FailureReason{Type: ReasonStopTimeout})),
		NewStatus("sick", failed(FailureReason{Type: ReasonHealthCheckFailed, Attempts: 3})),
		NewStatus("app", failed(FailureReason{Type: ReasonDependencyFailed, Service: "db"})),
		NewStatus("stopped", ServiceState{State: Exited}),
	)
	web := NewStatus("web", failed(FailureReason{Type: ReasonExitCode, Code: 3}))
	web.Details = Details{0, 1795196510387, true, 0, "", `web.toml:3: unknown key "exce": did you mean exec?`,
		"web: exited with 3 -> restart in 1 s", 4, 5, 1795196509387}
	db := NewStatus("db", ServiceState{State: Running, PID: 12})
	db.UptimeSecs, db.Run, db.SinceMs = 60, 1, 1795196509387
	check(t, "service_status_ours", web, db)
	check(t, "service_state",
		ServiceState{State: Inactive},
		ServiceState{State: Blocked, WaitingOn: Names{"off"}},
		ServiceState{State: Blocked},
		ServiceState{State: Running},
		ServiceState{State: Starting, PID: 12},
		ServiceState{State: Stopping, PID: 12},
		ServiceState{State: Exited, ExitCode: ptr(0)},
		ServiceState{State: Exited},
		failed(FailureReason{Type: ReasonExitCode, Code: 3}),
	)
	check(t, "failure_reason",
		FailureReason{Type: ReasonExitCode, Code: 3},
		FailureReason{Type: ReasonSignal, Signal: 9},
		FailureReason{Type: ReasonStartTimeout},
		FailureReason{Type: ReasonStopTimeout},
		FailureReason{Type: ReasonHealthCheckFailed, Attempts: 3},
		FailureReason{Type: ReasonDependencyFailed, Service: "db"},
		FailureReason{Type: ReasonSpawnError, Message: "No such file or directory (os error 2)"},
		FailureReason{Type: ReasonMissingDependency, Dependency: "nosuch"},
	)
	check(t, "service_info",
		ServiceInfo{IsTarget: true, Name: "multi-user", State: ServiceState{State: Running}},
		ServiceInfo{Name: "web", State: ServiceState{State: Running, PID: 12}, Details: Details{Run: 3, Restarts: 2}},
	)
	running := func(pid int) ServiceState { return ServiceState{State: Running, PID: pid} }
	check(t, "service_status_full",
		ServiceStatusFull{Name: "web", State: running(23092), Dependencies: []Dependency{
			{"requires", "db", true, running(23090)}, {"after", "log", true, running(23091)}}},
		ServiceStatusFull{Name: "web", State: running(23092), UptimeSecs: ptr(int64(7)), Details: Details{Run: 1},
			Source: "/etc/web.toml", Health: "passed"},
		ServiceStatusFull{Name: "web", State: running(23092), UptimeSecs: ptr(int64(7)), Cgroup: "/sys/fs/cgroup/web.svc", Description: "the <shop>",
			CgroupMissing: "no tree", Claims: &Claims{true, []uint16{80}, []string{"apache"}}, Left: []Child{{1, "old", 7}}, Strays: []Child{{2, "lost", 8}},
			Group: "web", Health: "healthy", Limits: []Limit{{true, "memory_max", 512, ""}, {false, "cpu_quota", 0, "no controller"}}, Source: "/etc/web.toml",
			StatusText: "3 guests", Sockets: []GivenSocket{{"tcp:127.0.0.1:80", "http"}}, Connections: []Connection{{"10.0.0.1:7", 9, 1}}, ConnectionsTotal: 3, ConnectionsMax: 4, Timer: &TimerStatus{1, "web", 2, false, "running", 3}, Type: "notify", User: "web", WatchdogMs: 5000,
			Usage: &Usage{FromCgroup, 1, 2, FromProc, 3, 4, 5, FromCgroup}, Details: Details{2, 0, false, 2, "reloading", "", "r", 1, 2, 3}},
	)
	check(t, "why_blocked",
		WhyBlocked{Name: "blk", Blocked: true, WaitingOn: Names{"off"}, ASCII: "[?] blk (blocked)\n  -> waiting on off (inactive)"},
		WhyBlocked{Name: "conf", Blocked: true, ConflictsWith: Names{"db"}, ASCII: "[?] conf (blocked)\n  !> conflicts with db (running)"},
		WhyBlocked{Name: "web", ASCII: "[+] web (running)\n  Can start: all dependencies satisfied"},
		WhyBlocked{Name: "p1", Blocked: true, ASCII: "[?] p1 (blocked)", PortConflict: "port 9977 in use by service p2"},
		WhyBlocked{Name: "p2", Blocked: true, ASCII: "[?] p2 (blocked)", Reason: "p2: nginx (pid 7) is in the way: stop it",
			ProcessConflict: &ProcessConflict{"nginx", []ConflictProcess{{"nginx -g", "nginx", 7}}}},
	)
	check(t, "log_line",
		LogLine{"two", "web", "stderr", 1795196509387},
		LogLine{"<&> \"\\\t\x1b[0m é", "web", "stdout", 1},
	)
}

func TestResultsAreThoseOfTheContract(t *testing.T) {
	lines := golden(t, "results")
	for i, v := range []any{
		Ping{PID: 42, Version: "0.4.0"},
		Tree{"a\n└─ b"},
		Done,
		WaitResult{false, []WaitedService{
			{Error: "db: exited with 1: see its log", Hopeless: true, Name: "db", State: Failed}, {Name: "web", Reached: true, State: Running}}},
		Names{"a", "b"},
		true,
	} {
		if got := onTheWire(t, v); got != lines[i] {
			t.Errorf("line %d:\n got %s\nwant %s", i+1, got, lines[i])
		}
	}
}

func TestErrorsAreThoseOfTheContract(t *testing.T) {
	lines := golden(t, "errors")
	call := Call{Method: &Method{Params: []Param{{Name: "name", Type: "string", Required: true}}}}
	_, missing := call.Name()
	for i, err := range []error{
		&Error{Code: CodeParse, Message: positioned("expected value", []byte("list"), 0)},
		unknownMethod(),
		missing,
		UnknownService("x"),
		ServiceNotRunning("x"),
		BadSignal("", "FOO", "unknown signal"),
		ShuttingDown(),
		errors.New("cannot do it"),
		NoService(),
		ValidationFailed([]string{"exec is empty"}),
		DependencyNotFound("x"),
		ExecNotFound("x"),
		PersistFailed("/etc/x.toml", errors.New("read-only file system")),
	} {
		out := newOutput()
		out.appendError([]byte("1"), asError(err))
		if got := string(out.b); got != lines[i] {
			t.Errorf("line %d:\n got %s\nwant %s", i+1, got, lines[i])
		}
	}
}

func TestStringsAreThoseOfEncodingJSON(t *testing.T) {
	for _, s := range []string{"", "plain", "<>&", "\x00\x01\x1f\x7f\b\f\n\r\t\"\\/", "é✓😀", "a\xffb\xc3", "\xed\xa0\x80"} {
		out := newOutput()
		if err := out.enc.Encode(s); err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSuffix(string(out.b), "\n")
		want = strings.ReplaceAll(want, `\ufffd`, "\uFFFD")
		if got := string(appendString(nil, s)); got != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
}

func TestShapesEncodeTheSameByEncodingJSON(t *testing.T) {
	info := ServiceInfo{Name: "web", State: ServiceState{State: Blocked}}
	for _, v := range []any{info, info.State, NewStatus("web", info.State), ServiceStatusFull{State: info.State}, Names(nil)} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got := onTheWire(t, v); got != string(b) {
			t.Errorf("got %s, want %s", got, b)
		}
	}
	if got := onTheWire(t, []ServiceInfo{info, info}); got != string(EncodeList([]ServiceInfo{info, info})) {
		t.Errorf("got %s", got)
	}
}
