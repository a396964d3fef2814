package server

import (
	"strings"
	"testing"
	"time"

	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// Clients of zinit 0.3.9 refuse a reason whose type they do not know.
func TestEveryCauseHasATypeOfTheOriginal(t *testing.T) {
	for _, c := range []struct {
		name string
		why  machine.Cause
		want string
	}{
		{"a code", machine.Cause{Outcome: machine.Outcome{Code: 3}}, `{"code":3,"type":"exit_code"}`},
		{"a signal", machine.Cause{Outcome: machine.Outcome{Signal: 11}}, `{"signal":11,"type":"signal"}`},
		{"an end that nobody saw", machine.Cause{Outcome: machine.Outcome{Unknown: true}}, `{"message":"end not seen","type":"spawn_error"}`},
		{"start timeout", machine.Cause{Kind: machine.StartTimeout, After: time.Second}, `{"type":"start_timeout"}`},
		{"health", machine.Cause{Kind: machine.HealthFailed, Count: 3, Text: "refused"}, `{"attempts":3,"type":"health_check_failed"}`},
		{"spawn", machine.Cause{Kind: machine.SpawnError, Text: "no such file"}, `{"message":"no such file","type":"spawn_error"}`},
		{"dependency", machine.Cause{Kind: machine.MissingDependency, Name: "db"}, `{"dependency":"db","type":"missing_dependency"}`},
		{"requirement", machine.Cause{Kind: machine.Requirement, Name: "db"}, `{"service":"db","type":"dependency_failed"}`},
		{"configuration", machine.Cause{Kind: machine.Unsatisfiable, Text: "a cycle"}, `{"message":"a cycle","type":"spawn_error"}`},
		{"a stop", machine.Cause{Kind: machine.Asked}, `{"message":"stop asked for","type":"spawn_error"}`},
	} {
		got, err := failure(c.why).MarshalJSON()
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestWhatHealthSays(t *testing.T) {
	h := &config.Health{Retries: 3}
	sick := machine.Probing{Failures: 2, LastErr: "refused"}
	for _, c := range []struct {
		name  string
		cfg   *config.Health
		state machine.State
		want  string
	}{
		{"no check", nil, machine.Running{}, ""},
		{"not running", h, machine.Failed{}, ""},
		{"starting", h, machine.Starting{}, "not yet checked"},
		{"starting and refused", h, machine.Starting{Probe: sick}, "not yet: refused"},
		{"well", h, machine.Running{}, "healthy"},
		{"ailing", h, machine.Running{Probe: sick}, "2 of 3 checks failed: refused"},
		{"unwell", h, machine.Running{Probe: sick, Unhealthy: true}, "unhealthy: refused"},
	} {
		if got := health(&supervise.View{Config: &config.Service{Health: c.cfg}, State: c.state}); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestReasonsNameTheNextStep(t *testing.T) {
	bare := &config.Service{}
	stuck := &supervise.View{Config: bare, State: machine.Stopping{}, Stuck: true, Reason: "stop asked for"}
	if got := reason(nil, stuck); !strings.Contains(got, "SIGKILL") || !strings.Contains(got, "ps -o stat,wchan") {
		t.Errorf("of one that is stuck: %q", got)
	}
	broken := &supervise.View{Config: bare, State: machine.Failed{}, Broken: true, Problem: "x.toml:1: wrong", Reason: "other"}
	if got := reason(nil, broken); got != "x.toml:1: wrong" {
		t.Errorf("of one with a problem: %q", got)
	}
	for want, why := range map[string]machine.Cause{
		"missing dependency 'db': add it, or remove it from requires, and reload":     {Kind: machine.MissingDependency, Name: "db"},
		"dependency cycle: a -> b -> a: remove one of these dependencies, and reload": {Kind: machine.Unsatisfiable, Text: "dependency cycle: a -> b -> a"},
	} {
		v := &supervise.View{Config: bare, State: machine.Failed{Why: why}, Broken: true, Reason: why.String()}
		if got := reason(nil, v); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	old := &supervise.View{Config: bare, State: machine.Running{}, Problem: "x.toml:1: wrong", Reason: "unhealthy: refused"}
	if got := reason(nil, old); got != "unhealthy: refused" {
		t.Errorf("of one that runs with its old configuration: %q", got)
	}
}

func TestBlockersNameTheNextStep(t *testing.T) {
	h := newHouse(t,
		player("off", "", resting),
		player("halted", ""),
		player("unwell", "", checked("3", "")),
		player("dead", "exit=3", stays),
		player("trying", "exit=3", "[lifecycle]\nrestart_delay_ms = 3600000\nrestart_delay_max_ms = 3600000"),
		player("broken", "", needs("requires", "nosuch")),
		player("rival", "", "status = \"stop\"\n"+needs("conflicts", "last")),
		player("last", "", "[dependencies]\nrequires = [\"off\", \"halted\", \"unwell\", \"dead\", \"trying\", \"broken\"]"),
		player("later", "", needs("after", "unwell")),
		player("distant", "", needs("requires", "last")),
	)
	h.wait("dead trying broken", "failed")
	if err := h.s.sup.Stop("halted"); err != nil {
		t.Fatal(err)
	}
	h.wait("halted", "exited")
	h.wait("unwell", "starting")
	if err := h.s.sup.Start("rival", false); err != nil {
		t.Fatal(err)
	}
	h.wait("rival", "running")
	h.wait("last distant", "blocked")
	snap := h.s.sup.Snapshot()
	if got := reason(snap, snap.Find("distant")); got != "waiting on last, which is blocked: see zinit why last" {
		t.Errorf("one that waits for one that waits: %q", got)
	}
	got := strings.Split(reason(snap, snap.Find("last")), "; ")
	want := []string{
		"waiting on off, which was not started: start it",
		"waiting on halted, which was stopped: start it",
		"waiting on unwell, which is starting",
		"waiting on dead, which is failed (exit code 3): see zinit logs dead",
		"waiting on trying, which is failed (exit code 3)",
		"waiting on broken, which is failed (missing dependency 'nosuch'): mend its configuration",
		"conflicts with rival, which is running: stop rival first",
	}
	for n := range max(len(got), len(want)) {
		if n >= len(got) || n >= len(want) || got[n] != want[n] {
			t.Errorf("it says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			break
		}
	}
}

// TestDrawings compares with the drawings of zinit 0.3.9. It lists what a service
// wants before what it requires; here what it requires comes first, as in the
// files.
func TestDrawings(t *testing.T) {
	h := newHouse(t,
		player("metrics", "", resting),
		player("never", "exit=3", stays),
		player("db", ""),
		player("log", ""),
		player("afterfail", "", needs("requires", "metrics"), `after = ["never"]`),
		player("conf", "", "[dependencies]\nconflicts = [\"db\"]\nafter = [\"db\"]"),
		player("web", "", "[dependencies]\nrequires = [\"db\"]\nwants = [\"metrics\"]\nafter = [\"log\"]"),
		"[target]\nname = \"multi-user\"\n[dependencies]\nrequires = [\"never\", \"web\"]",
	)
	h.wait("db log web", "running")
	h.wait("never", "failed")
	h.wait("afterfail conf multi-user", "blocked")
	snap := h.s.sup.Snapshot()
	if got, want := drawTree(snap), strings.TrimPrefix(`
├─ [+] db (running)
├─ [?] conf (blocked)
│    └─ after db (running)
├─ [+] log (running)
├─ [-] metrics (inactive)
├─ [X] never (failed)
├─ [?] afterfail (blocked)
│    ├─ requires metrics (inactive)
│    └─ after never (failed)
├─ [+] web (running)
│    ├─ requires db (running)
│    ├─ after log (running)
│    └─ wants metrics (inactive)
└─ [?] multi-user (blocked)
     ├─ requires never (failed)
     └─ requires web (running)`, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for name, want := range map[string]string{
		"afterfail": "[?] afterfail (blocked)\n  -> waiting on metrics (inactive)",
		"conf":      "[?] conf (blocked)\n  !> conflicts with db (running)",
		"web":       "[+] web (running)\n  Can start: all dependencies satisfied",
		"never":     "[X] never (failed)\n  exit code 3",
		"metrics":   "[-] metrics (inactive)",
	} {
		if got := explain(snap, snap.Find(name)).ASCII; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestSymbols(t *testing.T) {
	var drawn, states []string
	for _, s := range []machine.State{machine.Inactive{}, machine.Blocked{}, machine.Starting{}, machine.Running{}, machine.Stopping{}, machine.Exited{}, machine.Failed{}} {
		drawn = append(drawn, symbol(s))
		states = append(states, s.String())
	}
	if got := strings.Join(drawn, " "); got != "[-] [?] [>] [+] [!] [.] [X]" {
		t.Errorf("got %s", got)
	}
	if got, want := strings.Join(states, " "), strings.Join(sock.States(), " "); got != want {
		t.Errorf("the machine has the states %s, the wire %s", got, want)
	}
}

func TestNothingIsDrawnOfNothing(t *testing.T) {
	h := newHouse(t)
	if got := drawTree(h.s.sup.Snapshot()); got != "" {
		t.Errorf("got %q", got)
	}
	if reply := h.dial().ask(`{"jsonrpc":"2.0","method":"service.list","id":1}`); reply != `{"jsonrpc":"2.0","id":1,"result":[]}` {
		t.Errorf("got %s", reply)
	}
	if reply := h.dial().ask(`{"jsonrpc":"2.0","method":"service.list_full","id":1}`); reply != `{"jsonrpc":"2.0","id":1,"result":[]}` {
		t.Errorf("got %s", reply)
	}
}
