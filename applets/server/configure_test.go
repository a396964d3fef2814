package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zinit/sock"
	"zinit/supervise/config"
)

func TestRepliesAboutTheConfiguration(t *testing.T) {
	golden(t, newStoredHouse(t, nil).dial(), "server_configuration")
}

// call asks for one method and returns its error, and its result in v.
func (l *line) call(method string, params, v any) *sock.Error {
	l.t.Helper()
	text, err := json.Marshal(params)
	if err != nil {
		l.t.Fatal(err)
	}
	var reply struct {
		Result json.RawMessage
		Error  *sock.Error
	}
	if err := json.Unmarshal([]byte(l.subscribe(method, string(text))), &reply); err != nil {
		l.t.Fatal(err)
	}
	if v != nil && reply.Error == nil {
		if err := json.Unmarshal(reply.Result, v); err != nil {
			l.t.Fatal(err)
		}
	}
	return reply.Error
}

// set asks for service.set of a service with this program.
func (l *line) set(name, exec string) *sock.Error {
	l.t.Helper()
	return l.call(sock.MethodSet, map[string]any{"config": described(name, exec)}, nil)
}

func described(name, exec string) map[string]any {
	return map[string]any{"service": map[string]any{"name": name, "exec": exec}}
}

// files is what is in the directories of the configuration.
func (h *house) files() string {
	h.t.Helper()
	var names []string
	for _, dir := range []string{h.s.dirs.User, h.s.dirs.Ephemeral} {
		found, _ := filepath.Glob(dir + "/*") // the pattern is good
		for _, f := range found {
			names = append(names, strings.TrimPrefix(f, filepath.Dir(dir)+"/"))
		}
	}
	return strings.Join(names, " ")
}

// TestWhatIsWrongIsFoundInOrder takes one mistake after the other out of a
// description: until the last one is mended nothing is written.
func TestWhatIsWrongIsFoundInOrder(t *testing.T) {
	h := newStoredHouse(t, map[string]string{"web": service("web", needs("requires", "app")), "app": service("app", resting)})
	l := h.dial()
	before := h.files()
	service := map[string]any{"name": "app", "exec": 5}
	lists := map[string]any{"requires": []string{"web"}, "wants": []string{"nosuch"}}
	config := map[string]any{"service": service, "dependencies": lists, "lifecycle": map[string]any{"stop_timeout_ms": 0}}
	for _, step := range []struct {
		code int
		mend func()
	}{
		{sock.CodeInvalidParams, func() { service["exec"] = "/nosuch/program" }},
		{sock.CodeValidation, func() { delete(config, "lifecycle") }},
		{sock.CodeExecNotFound, func() { service["exec"] = "sleep 1" }},
		{sock.CodeDependencyMissing, func() { delete(lists, "wants") }},
		{sock.CodeCycle, func() { delete(lists, "requires") }},
	} {
		if err := l.call(sock.MethodSet, map[string]any{"config": config}, nil); err == nil || err.Code != step.code {
			t.Errorf("set of %v: %v, want code %d", config, err, step.code)
		}
		if got := h.files(); got != before {
			t.Errorf("it was refused with %d, and the files are %s", step.code, got)
		}
		step.mend()
	}
	if err := os.Rename(h.s.dirs.User, h.s.dirs.User+".away"); err != nil {
		t.Fatal(err)
	}
	if err := l.call(sock.MethodSet, map[string]any{"config": config}, nil); err == nil || err.Code != sock.CodePersist {
		t.Errorf("set without a directory: %v", err)
	}
	if got := h.s.sup.Snapshot().Find("app").Config.Exec; got != "/bin/app" {
		t.Errorf("what could not be written is applied: %s", got)
	}
	if err := os.Rename(h.s.dirs.User+".away", h.s.dirs.User); err != nil {
		t.Fatal(err)
	}
	if err := l.call(sock.MethodSet, map[string]any{"config": config}, nil); err != nil {
		t.Error(err)
	}
}

// TestServicesOfTheSystemAreNotChanged over the wire, be their files good or bad.
func TestServicesOfTheSystemAreNotChanged(t *testing.T) {
	h := emptyHouse(t)
	h.s.dirs.System = filepath.Join(filepath.Dir(h.s.dirs.User), "system")
	mkdir(t, h.s.dirs.System)
	mkdir(t, h.s.dirs.User)
	write(t, h.s.dirs.System, map[string]string{"udev.toml": service("udev", needs("requires", "helper")), "bad.toml": "[service]\nname = \"bad\"\n"})
	h.write("helper", service("helper"))
	h.write("own", service("own", `class = "system"`))
	h.write("web", service("web"))
	h.write("left-alone", service("left-alone", `status = "ignore"`))
	h.open(h.s.firstConfig())
	h.wait("udev helper own web", "running")
	l := h.dial()
	for _, name := range []string{"udev", "bad"} {
		for what, err := range map[string]*sock.Error{
			"set":    l.set(name, "sleep 1"),
			"delete": l.call(sock.MethodDelete, map[string]any{"name": name, "cascade": true}, nil),
		} {
			if err == nil || err.Word() != sock.WordSystem {
				t.Errorf("%s of %s: %v", what, name, err)
			}
		}
	}
	// What is only called a system service is the user's to change.
	if err := l.set("own", "sleep 1"); err != nil {
		t.Error(err)
	}
	if err := l.call(sock.MethodDeleteAll, nil, nil); err == nil || err.Code != sock.CodeUnsafeRemoval || !strings.Contains(err.Message, "helper: udev") {
		t.Errorf("delete_all of what the system requires: %v", err)
	}
	if got := h.names(); got != "udev helper left-alone own web bad" {
		t.Errorf("it was refused, and there are %s", got)
	}
	var gone sock.DeletedResult
	if err := l.call(sock.MethodDeleteAll, map[string]any{"cascade": true}, &gone); err != nil {
		t.Error(err)
	}
	if got := strings.Join(gone.Deleted, " "); got != "helper own web" || gone.Count != 3 {
		t.Errorf("deleted are %s (%d)", got, gone.Count)
	}
	if got := h.names(); got != "udev left-alone bad" {
		t.Errorf("there are %s", got)
	}
	h.wait("udev", "failed")
	if got := h.files(); got != "services/left-alone.toml" {
		t.Errorf("the files are %s", got)
	}
}

// TestWithoutARuntimeDirectory ephemeral services are kept in memory, and a reload
// does not take them for removed.
func TestWithoutARuntimeDirectory(t *testing.T) {
	h := newStoredHouse(t, nil)
	h.s.dirs.Ephemeral = ""
	l := h.dial()
	var r sock.SetResult
	if err := l.call(sock.MethodMonitor, map[string]any{"config": described("brief", "sleep 1")}, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "forgotten when the server ends") || r.Path != "" {
		t.Errorf("it says %+v", r)
	}
	h.wait("brief", "running")
	var plan sock.ReloadResult
	for range 2 {
		if err := l.call(sock.MethodReload, nil, &plan); err != nil || len(plan.Removed)+len(plan.Changed) != 0 {
			t.Errorf("a reload did %+v: %v", plan, err)
		}
	}
	if err := l.call(sock.MethodDelete, map[string]any{"name": "brief"}, nil); err != nil {
		t.Error(err)
	}
	if err := l.call(sock.MethodReload, nil, &plan); err != nil || len(plan.Added) != 0 || h.names() != "" {
		t.Errorf("what was deleted came back: %+v, %v; there are %q", plan, err, h.names())
	}
	// A file says more than memory.
	if err := l.call(sock.MethodMonitor, map[string]any{"config": described("brief", "sleep 1")}, nil); err != nil {
		t.Fatal(err)
	}
	h.write("brief", service("brief"))
	if err := l.call(sock.MethodReload, nil, &plan); err != nil || !slices.Equal(plan.Changed, []string{"brief"}) {
		t.Errorf("a reload did %+v: %v", plan, err)
	}
}

// TestAChangeWaitsForItsTurn, reading does not; who has hung up gives its turn up.
func TestAChangeWaitsForItsTurn(t *testing.T) {
	h := newStoredHouse(t, map[string]string{"web": service("web")})
	h.wait("web", "running")
	h.s.turn <- struct{}{} // somebody's disk is slow
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() {
		_, err := h.s.reread(ctx, sock.ReloadParams{})
		gaveUp <- err
	}()
	set := make(chan *sock.Error)
	l := h.dial()
	go func() { set <- l.set("web", "sleep 1") }()
	if reply := h.dial().ask(`{"jsonrpc":"2.0","method":"service.restart","params":{"name":"web"},"id":1}`); !strings.Contains(reply, `"ok":true`) {
		t.Errorf("a restart meanwhile: %s", reply)
	}
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("who hung up got %v", err)
	}
	select {
	case err := <-set:
		t.Errorf("the set did not wait: %v", err)
	default:
	}
	<-h.s.turn
	if err := <-set; err != nil {
		t.Error(err)
	}
}

// TestNothingIsChangedInAShutdown: neither services nor files.
func TestNothingIsChangedInAShutdown(t *testing.T) {
	h := newStoredHouse(t, map[string]string{"deaf": player("deaf", "deaf", "[lifecycle]\nstop_timeout_ms = 3600000"), "web": service("web")})
	h.wait("deaf web", "running")
	before := h.files()
	h.s.sup.Shutdown()
	l := h.dial()
	for method, params := range map[string]any{
		sock.MethodSet:       map[string]any{"config": described("web", "sleep 1")},
		sock.MethodAdd:       map[string]any{"config": described("fresh", "sleep 1")},
		sock.MethodMonitor:   map[string]any{"config": described("fresh", "sleep 1")},
		sock.MethodDelete:    map[string]any{"name": "web"},
		sock.MethodDeleteAll: nil,
		sock.MethodReload:    nil,
		sock.MethodStartAll:  nil,
	} {
		if err := l.call(method, params, nil); err == nil || err.Word() != sock.WordShuttingDown || !strings.HasPrefix(err.Message, "supervisor not available") {
			t.Errorf("%s: %v", method, err)
		}
	}
	if got := h.files(); got != before {
		t.Errorf("the files were %s and are %s", before, got)
	}
}

// TestADeletedServiceIsForgottenWhenItIsDown, however long that takes.
func TestADeletedServiceIsForgottenWhenItIsDown(t *testing.T) {
	h := newStoredHouse(t, map[string]string{"deaf": player("deaf", "deaf", "[lifecycle]\nstop_timeout_ms = 3600000")})
	h.wait("deaf", "running")
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	if err := h.s.exclusively(t.Context(), func() error { return h.s.forget("deaf", false) }); err != nil {
		t.Fatal(err)
	}
	h.s.awaitGone(ctx, "deaf") // returns, although it is not gone
	if got := h.files(); got != "" {
		t.Errorf("the files are %s", got)
	}
	if h.names() != "deaf" {
		t.Errorf("there are %s", h.names())
	}
	if err := h.dial().call(sock.MethodDelete, map[string]any{"name": "deaf"}, nil); err == nil || err.Word() != sock.WordServiceNotFound {
		t.Errorf("deleted once more: %v", err)
	}
	h.k.obey()
	h.k.killAll()
	h.s.awaitGone(t.Context(), "deaf")
	if h.names() != "" {
		t.Errorf("there are %s", h.names())
	}
}

// TestDeleteAllStopsWhereAFileCannotBeRemoved: what has lost its file by then is
// gone, and nothing else.
func TestDeleteAllStopsWhereAFileCannotBeRemoved(t *testing.T) {
	h := newStoredHouse(t, map[string]string{"a": service("a"), "c": service("c")})
	h.write("b", service("b", "[dependencies]", `requires = ["a"]`))
	mkdir(t, filepath.Join(h.s.dirs.User, "bad.toml"))
	if _, err := h.s.reread(t.Context(), sock.ReloadParams{}); err != nil {
		t.Fatal(err)
	}
	if h.names() != "a c b bad" {
		t.Fatalf("there are %s", h.names())
	}
	err := h.dial().call(sock.MethodDeleteAll, nil, nil)
	if err == nil || err.Word() != sock.WordPersist || !strings.Contains(err.Message, "'bad'") {
		t.Errorf("delete_all: %v", err)
	}
	h.s.awaitGone(t.Context(), "a", "b", "c")
	if got := h.names() + ": " + h.files(); got != "bad: services/bad.toml" {
		t.Errorf("there are %s", got)
	}
}

// TestDescriptions: where a call has its description, and whether it persists.
func TestDescriptions(t *testing.T) {
	for raw, want := range map[string]string{
		`{"config":{"service":{}},"persist":false}`: `{"service":{}} false`,
		`{"config":{"service":{}}}`:                 `{"service":{}} nil`,
		`{"config":null,"service":{}}`:              `null nil`,
		`{"service":{},"persist":true}`:             `{"service":{}} true`,
		`{"service":{}}`:                            `{"service":{}} nil`,
		`{"service":{},"persist":null}`:             `{"service":{}} nil`,
		`{"service":{},"exact":true}`:               `{"service":{}} nil exact`,
		`{"config":{"service":{}},"exact":true}`:    `{"service":{}} nil exact`,
		``:                                          `null nil`,
		`[1]`:                                       `[1] nil`,
	} {
		c := &sock.Call{Method: &(&server{}).additions()[0]}
		if raw != "" {
			c.Raw = json.RawMessage(raw)
		}
		text, p, err := description(c)
		got := string(text) + " nil"
		if p.Persist != nil {
			got = fmt.Sprint(string(text), " ", *p.Persist)
		}
		if p.Exact {
			got += " exact"
		}
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", raw, got, err, want)
		}
	}
}

// TestANameThatTwoFilesHave is not set, and both are deleted: the next reload
// would take neither, or bring one back.
func TestANameThatTwoFilesHave(t *testing.T) {
	h := newStoredHouse(t, map[string]string{"web": service("web")})
	h.wait("web", "running")
	h.write("x1", service("web", resting))
	h.write("all1", service("all"))
	h.write("all2", service("all"))
	l := h.dial()
	err := l.set("web", "sleep 1")
	if err == nil || err.Code != sock.CodePersist || !strings.Contains(err.Message, "web.toml") || !strings.Contains(err.Message, "x1.toml") {
		t.Fatalf("set: %v", err)
	}
	if got := h.s.sup.Snapshot().Find("web").Config.Exec; got != "/bin/web" {
		t.Errorf("what could not be written is applied: %s", got)
	}
	if err := l.call(sock.MethodDelete, map[string]any{"name": "web"}, nil); err != nil {
		t.Error(err)
	}
	if got := h.files(); got != "services/all1.toml services/all2.toml" {
		t.Errorf("the files are %s", got)
	}
	if err := l.call(sock.MethodReload, nil, nil); err != nil {
		t.Error(err)
	}
	if err := l.call(sock.MethodDeleteAll, nil, nil); err != nil || h.files() != "" {
		t.Errorf("delete_all: %v; the files are %s", err, h.files())
	}
}

// TestAPolicyThatWasMeantStays when a client hands back what it read without the
// key that it does not know.
func TestAPolicyThatWasMeantStays(t *testing.T) {
	for name, c := range map[string]struct {
		lifecycle map[string]any
		want      bool
	}{
		"handed back":    {map[string]any{"restart": "on-failure"}, true},
		"taken back":     {map[string]any{"restart": "on-failure", "restart_explicit": false}, false},
		"null":           {map[string]any{"restart": "on-failure", "restart_explicit": nil}, true},
		"not said":       {map[string]any{}, false},
		"another policy": {map[string]any{"restart": "never"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newStoredHouse(t, map[string]string{"job": service("job", "oneshot = true", `status = "stop"`, "[lifecycle]", `restart = "on-failure"`)})
			job := described("job", "sleep 2")
			job["service"].(map[string]any)["oneshot"] = true
			job["service"].(map[string]any)["status"] = "stop"
			job["lifecycle"] = c.lifecycle
			if err := h.dial().call(sock.MethodSet, map[string]any{"config": job}, nil); err != nil {
				t.Fatal(err)
			}
			l := h.s.sup.Snapshot().Find("job").Config.Lifecycle
			if got := l.RestartExplicit && l.Restart == config.RestartOnFailure; got != c.want {
				t.Errorf("it is %+v", l)
			}
			if text, err := os.ReadFile(filepath.Join(h.s.dirs.User, "job.toml")); err != nil || strings.Contains(string(text), "on-failure") != c.want {
				t.Errorf("the file is %s, %v", text, err)
			}
		})
	}
}

// TestAnOlderClientTakesNothingAwayThatItDoesNotKnow, in what runs and in the file, and
// hears of it; one that says that it means all of it does.
func TestAnOlderClientTakesNothingAwayThatItDoesNotKnow(t *testing.T) {
	for name, c := range map[string]struct {
		exact bool
		user  string
	}{"what it sends": {false, "nobody"}, "exactly": {true, ""}} {
		t.Run(name, func(t *testing.T) {
			h := newStoredHouse(t, map[string]string{"job": service("job", `status = "stop"`, `user = "nobody" # not root`, "[limits]", "tasks_max = 7")})
			job := described("job", "sleep 2")
			job["service"].(map[string]any)["status"] = "stop"
			var result sock.SetResult
			if err := h.dial().call(sock.MethodSet, map[string]any{"config": job, "exact": c.exact}, &result); err != nil {
				t.Fatal(err)
			}
			got := h.s.sup.Snapshot().Find("job").Config
			if got.Exec != "sleep 2" || got.Identity.User != c.user || (got.Limits.TasksMax == 7) == c.exact {
				t.Errorf("it is %+v", got)
			}
			said := strings.Join(result.Warnings, "\n")
			if strings.Contains(said, "kept as it was, because nothing here says that it is known: service.user, limits.tasks_max: exact") == c.exact {
				t.Errorf("it hears %q", said)
			}
			text, err := os.ReadFile(filepath.Join(h.s.dirs.User, "job.toml"))
			if err != nil || strings.Contains(string(text), "# not root") == c.exact || !strings.Contains(string(text), "sleep 2") {
				t.Errorf("the file is %s, %v", text, err)
			}
		})
	}
}

// TestADirectoryThatIsNoneIsAWarning: it may be made yet.
func TestADirectoryThatIsNoneIsAWarning(t *testing.T) {
	l := newStoredHouse(t, nil).dial()
	for dir, want := range map[string]string{"/nonexist": "/nonexist does not exist", "/dev/null": "is not a directory", "/": ""} {
		config := described("web", "sleep 1")
		config["service"].(map[string]any)["dir"] = dir
		var r sock.SetResult
		if err := l.call(sock.MethodSet, map[string]any{"config": config}, &r); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.Warnings, "; "); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("in %s: warnings %q", dir, got)
		}
	}
}
