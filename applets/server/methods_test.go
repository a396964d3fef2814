package server

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"zinit/reap"
	"zinit/sock"
	"zinit/supervise"
)

var update = flag.Bool("update", false, "rewrite the replies in testdata/wire/server_*.json")

// golden has a connection ask what the odd lines of a file ask, and compares the
// replies with the even ones. What differs from run to run is made the same.
func golden(t *testing.T, l *line, name string) {
	t.Helper()
	path := filepath.Join("..", "..", "testdata", "wire", name+".json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := 0; i < len(lines); i += 2 {
		got := settled(l.ask(lines[i]))
		if !json.Valid([]byte(got)) {
			t.Errorf("no JSON: %s", got)
		}
		switch {
		case *update && i+1 == len(lines):
			lines = append(lines, got)
		case *update:
			lines[i+1] = got
		case i+1 == len(lines) || got != lines[i+1]:
			t.Errorf("%s:%d: %s\n got %s\nwant %s", name, i+1, lines[i], got, slices.Concat(lines, []string{"nothing"})[i+1])
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// changing is what differs from run to run, and what stands for it.
var changing = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`"pid":[1-9][0-9]*`), `"pid":4242`},
	{regexp.MustCompile(`"since_ms":[0-9]+`), `"since_ms":1795196509387`},
	{regexp.MustCompile(`"next_start_ms":[0-9]+`), `"next_start_ms":1795196510387`},
	{regexp.MustCompile(`"(next_run|next|last)_ms":[0-9]+`), `"${1}_ms":1795196510387`},
	{regexp.MustCompile(`at 20[0-9]{2}-[0-9-]+ [0-9:]+`), `at 2026-11-22 03:00:00`},
	{regexp.MustCompile(`"uptime_secs":[0-9]+`), `"uptime_secs":7`},
	{regexp.MustCompile(`"version":"[^"]*"`), `"version":"0.4.0"`},
	{regexp.MustCompile(`"[0-9]{13} \[`), `"1795196509387 [`},
	{regexp.MustCompile(`/tmp/[^/"]+/`), `/tmp/x/`},
	{regexp.MustCompile(`pid=1[0-9]{3}([,)])`), `pid=4242$1`},
	{regexp.MustCompile(`uptime=[0-9]+s`), `uptime=7s`},
	{regexp.MustCompile(`"timestamp_ms":[0-9]+`), `"timestamp_ms":1795196509387`},
}

func settled(reply string) string {
	if strings.Contains(reply, `"result":{"`) && !strings.Contains(reply, `"dependencies":`) {
		// service.status leaves out an uptime of less than a second.
		reply = regexp.MustCompile(`,"uptime_secs":[0-9]+`).ReplaceAllString(reply, "")
	}
	for _, c := range changing {
		reply = c.what.ReplaceAllString(reply, c.by)
	}
	return reply
}

func player(name, words string, more ...string) string {
	return "[service]\nname = \"" + name + "\"\nexec = '/play " + words + "'\n" + strings.Join(more, "\n")
}

func needs(kind string, names ...string) string {
	return fmt.Sprintf("[dependencies]\n%s = [\"%s\"]", kind, strings.Join(names, `", "`))
}

const (
	stays   = "[lifecycle]\nrestart = \"never\""
	resting = `status = "stop"`
)

func checked(port, more string) string {
	return "[health]\ntype = \"tcp\"\ntarget = \"localhost:" + port + "\"\ninterval_ms = 1\nretries = 3\n" + more
}

// world has a service for every state, and for every way to fail that can be had
// without waiting.
func world(t *testing.T) *house {
	h := newHouse(t,
		"[target]\nname = \"multi-user\"\n"+needs("requires", "web"),
		player("log", ""),
		player("db", ""),
		player("metrics", "", resting),
		player("web", "", "[dependencies]\nrequires = [\"db\"]\nafter = [\"log\"]\nwants = [\"metrics\"]"),
		player("off", "", resting),
		player("blk", "", needs("requires", "off")),
		player("after-blk", "", needs("requires", "blk", "never")),
		player("rival", "", needs("conflicts", "db")),
		player("never", "exit=3", stays),
		player("again", "exit=3", "[lifecycle]\nrestart_delay_ms = 3600000\nrestart_delay_max_ms = 3600000"),
		player("sig", "die", stays),
		player("shotok", "say=hello,there, exit=0", "oneshot = true"),
		player("missing", "", needs("requires", "nosuch")),
		"[service]\nname = \"nodir\"\nexec = \"/refused x\"\n"+stays,
		player("slow", "", checked("3", ""), stays, "start_timeout_ms = 20"),
		player("sick", "", checked("2", ""), stays),
		player("starting", "", checked("3", "")),
		player("healthy", "", checked("1", "")),
		player("stopping", "deaf", "[lifecycle]\nstop_timeout_ms = 3600000"),
		player("stopped", ""),
		"# typo\n[service]\nname = \"typo\"\nexce = \"/bin/true\"\n",
		player("knot", "", needs("requires", "knot2")),
		player("knot2", "", needs("requires", "knot")),
	)
	for _, name := range []string{"stopping", "stopped"} {
		if err := h.s.sup.Stop(name); err != nil {
			t.Fatal(err)
		}
	}
	h.wait("multi-user log db web healthy", "running")
	h.wait("rival blk after-blk", "blocked")
	h.wait("shotok stopped", "exited")
	h.wait("never again sig missing nodir slow sick typo knot knot2", "failed")
	h.wait("metrics off", "inactive")
	h.wait("starting", "starting")
	h.wait("stopping", "stopping")
	return h
}

func TestReplies(t *testing.T) {
	golden(t, world(t).dial(), "server_reads")
}

func TestRepliesToChanges(t *testing.T) {
	golden(t, world(t).dial(), "server_changes")
}

// TestRepliesWhileItShutsDown: who reads is answered, nothing is started, and what
// holds the shutdown up can be killed.
func TestRepliesWhileItShutsDown(t *testing.T) {
	h := newHouse(t, player("deaf", "deaf", "[lifecycle]\nstop_timeout_ms = 3600000"), player("off", "", resting))
	h.wait("deaf", "running")
	l := h.dial()
	golden(t, l, "server_draining")
	<-h.s.sup.Done()
	golden(t, l, "server_gone")
}

// TestShapesAreThoseOfTheOriginal compares results, less what we add to them, with
// what zinit 0.3.9 sends.
func TestShapesAreThoseOfTheOriginal(t *testing.T) {
	l := world(t).dial()
	for _, c := range []struct{ method, name, want string }{
		{"service.status", "web", `{"name":"web","pid":4242,"state":"running"}`},
		{"service.status", "blk", `{"error":"waiting on: off","name":"blk","pid":0,"state":"blocked"}`},
		{"service.status", "after-blk", `{"error":"waiting on: blk, never","name":"after-blk","pid":0,"state":"blocked"}`},
		{"service.status", "rival", `{"name":"rival","pid":0,"state":"blocked"}`},
		{"service.status", "never", `{"exit_code":3,"name":"never","pid":0,"state":"failed"}`},
		{"service.status", "sig", `{"error":"killed by signal 11","name":"sig","pid":0,"state":"failed"}`},
		{"service.status", "shotok", `{"exit_code":0,"name":"shotok","pid":0,"state":"exited"}`},
		{"service.status", "stopped", `{"name":"stopped","pid":0,"state":"exited"}`},
		{"service.status", "missing", `{"error":"missing dependency 'nosuch'","name":"missing","pid":0,"state":"failed"}`},
		{"service.status", "nodir", `{"error":"spawn error: cannot execute /refused: no such file or directory","name":"nodir","pid":0,"state":"failed"}`},
		{"service.status", "slow", `{"error":"start timeout","name":"slow","pid":0,"state":"failed"}`},
		{"service.status", "sick", `{"error":"health check failed after 3 attempts","name":"sick","pid":0,"state":"failed"}`},
		{"service.status", "multi-user", `{"name":"multi-user","pid":0,"state":"running"}`},
		{"service.status", "metrics", `{"name":"metrics","pid":0,"state":"inactive"}`},
		{"service.status", "starting", `{"name":"starting","pid":4242,"state":"starting"}`},
		{"service.status", "stopping", `{"name":"stopping","pid":4242,"state":"stopping"}`},
		{"service.status_full", "web", `{"dependencies":[{"dep_type":"requires","name":"db","satisfied":true,"state":{"pid":4242,"state":"running"}},` +
			`{"dep_type":"after","name":"log","satisfied":true,"state":{"pid":4242,"state":"running"}},` +
			`{"dep_type":"wants","name":"metrics","satisfied":true,"state":{"state":"inactive"}}],` +
			`"is_target":false,"name":"web","state":{"pid":4242,"state":"running"},"uptime_secs":null}`},
		{"service.status_full", "missing", `{"dependencies":[],"is_target":false,"name":"missing",` +
			`"state":{"reason":{"dependency":"nosuch","type":"missing_dependency"},"state":"failed"},"uptime_secs":null}`},
		{"service.why", "blk", `{"ascii":"[?] blk (blocked)\n  -> waiting on off (inactive)","blocked":true,"conflicts_with":[],"name":"blk","waiting_on":["off"]}`},
		{"service.why", "rival", `{"ascii":"[?] rival (blocked)\n  !> conflicts with db (running)","blocked":true,"conflicts_with":["db"],"name":"rival","waiting_on":[]}`},
		{"service.why", "web", `{"ascii":"[+] web (running)\n  Can start: all dependencies satisfied","blocked":false,"conflicts_with":[],"name":"web","waiting_on":[]}`},
	} {
		reply := settled(l.ask(fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":{"name":%q},"id":1}`, c.method, c.name)))
		var r struct{ Result map[string]any }
		if err := json.Unmarshal([]byte(reply), &r); err != nil {
			t.Fatalf("%s: %v", reply, err)
		}
		for _, ours := range []string{"next_start_ms", "problem", "reason", "restarts", "run", "since_ms", "health", "source", "phase", "type", "usage"} {
			delete(r.Result, ours)
		}
		if r.Result["uptime_secs"] != nil {
			r.Result["uptime_secs"] = nil // zinit 0.3.9 never knows
		}
		got, err := json.Marshal(r.Result)
		if err != nil {
			t.Fatal(err)
		}
		if want := escapeHTML(c.want); string(got) != want {
			t.Errorf("%s of %s:\n got %s\nwant %s", c.method, c.name, got, want)
		}
	}
}

func escapeHTML(text string) string { return strings.ReplaceAll(text, ">", `\u003e`) }

func TestTheDetailsOfAService(t *testing.T) {
	before := time.Now().UnixMilli()
	h := world(t)
	full := func(name string) (r sock.ServiceStatusFull) {
		reply := h.dial().ask(fmt.Sprintf(`{"jsonrpc":"2.0","method":"service.status_full","params":{"name":%q},"id":1}`, name))
		if err := json.Unmarshal([]byte(reply), &struct{ Result any }{&r}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	now := time.Now().UnixMilli()
	web := full("web")
	if web.UptimeSecs == nil || *web.UptimeSecs < 0 || *web.UptimeSecs > int64(patience/time.Second) {
		t.Errorf("the uptime is %v", web.UptimeSecs)
	}
	if web.SinceMs < before || web.SinceMs > now {
		t.Errorf("it runs since %d, and the test from %d to %d", web.SinceMs, before, now)
	}
	if target := full("multi-user"); target.UptimeSecs != nil || !target.IsTarget || target.Run != 0 {
		t.Errorf("a target has a process: %+v", target)
	}
	if at := full("again").NextStartMs; at < now+3500_000 || at > now+3700_000 {
		t.Errorf("the next start in an hour is at %d, and it is %d", at, now)
	}
	for name, want := range map[string]string{"healthy": "healthy", "starting": "not yet checked", "web": ""} {
		if got := full(name).Health; got != want {
			t.Errorf("the health of %s is %q, want %q", name, got, want)
		}
	}
}

// TestTheListIsEncodedOnce for each state of affairs, and never an old one sent.
func TestTheListIsEncodedOnce(t *testing.T) {
	h := newHouse(t, player("web", "", stays))
	l := h.dial()
	const request = `{"jsonrpc":"2.0","method":"service.list_full","id":1}`
	h.wait("web", "running")
	first := l.ask(request)
	one := h.s.list.Load()
	if l.ask(request) != first || h.s.list.Load() != one {
		t.Error("it was encoded again although nothing has changed")
	}
	h.k.end(h.k.find("web"), reap.ExitCode(1))
	h.wait("web", "failed")
	if reply := l.ask(request); !strings.Contains(reply, `"state":"failed"`) {
		t.Errorf("it is the old one: %s", reply)
	}
}

func TestEveryMethodHasItsRow(t *testing.T) {
	s := &server{}
	var names []string
	for _, m := range s.table() {
		names = append(names, m.Name)
		if m.Handle == nil || m.Summary == "" || m.Result == nil || m.Access == sock.Nothing {
			t.Errorf("%s is not described in full", m.Name)
		}
	}
	want := []string{
		"system.ping", "system.shutdown", "system.poweroff", "system.reboot", "system.halt", "system.kexec", "service.list", "service.list_full", "service.status", "service.status_full",
		"service.why", "service.tree", "service.is_running", "service.start", "service.stop", "service.restart",
		"service.kill", "service.wait", "service.signal_reload", "service.timers", "logs.get", "logs.tail", "logs.filter", "logs.query",
		"service.get", "service.stats", "service.children", "debug.state", "debug.process_tree",
		"service.set", "service.add", "service.register", "service.monitor", "service.delete", "service.remove", "service.delete_all",
		"rpc.discover", "service.reload", "service.start_all", "service.stop_all", "events.subscribe", "logs.subscribe",
		"xinet.activate", "xinet.release",
		"xinet.set", "xinet.register", "xinet.delete", "xinet.unregister", "xinet.list", "xinet.get", "xinet.status", "xinet.status_all",
		"service_list", "service_status", "service_start", "service_stop", "service_monitor", "service_forget", "service_kill",
		"service_create", "service_delete", "service_get", "service_stats", "system_shutdown", "system_reboot",
		"system_start_http_server", "system_stop_http_server", "stream_currentLogs", "stream_subscribeLogs",
	}
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("methods %v, want %v", names, want)
	}
	if got, want := supervise.Goals(), sock.Goals(); !slices.Equal(got, want) {
		t.Errorf("the supervisor waits for %v, the wire for %v", got, want)
	}
}
