package server

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/machine"
	"zinit/supervise/proc"
)

// drawn replaces the pids of services, which the toy keeper gave, by their names,
// and uptimes by one.
func (h *house) drawn(text string) string {
	for _, v := range h.s.sup.Snapshot().Views {
		if v.Pid != 0 {
			text = strings.ReplaceAll(text, fmt.Sprintf("pid=%d", v.Pid), "pid="+strings.ToUpper(v.Name))
		}
	}
	return regexp.MustCompile(`uptime=[0-9ms]+`).ReplaceAllString(text, "uptime=1m30s")
}

// TestTheStateOfTheGraph compares with zinit 0.3.9. It lists what a service wants
// before what it requires, and does not name the rivals of a conflict.
func TestTheStateOfTheGraph(t *testing.T) {
	h := inspected(t)
	snap := h.s.sup.Snapshot()
	tree, err := h.s.processes()
	if err != nil {
		t.Fatal(err)
	}
	want := `=== Service Graph State ===

[X] again - Failed (exited with code 3)
    restart_count: 1, next_delay: 7200000ms

[+] db - Running (pid=DB, uptime=1m30s)
    → required by: web

[X] missing - Failed (missing dependency 'nosuch')

[X] never - Failed (exited with code 3)
    → required by: web

[X] nodir - Failed (spawn error: cannot execute /refused: no such file or directory)

[-] off - Inactive
    → required by: blk, web

[?] blk - Blocked (waiting on: off)
    ← depends on:
      ✗ requires off (inactive)

[+] reused - Running (pid=REUSED, uptime=1m30s)

[?] rival - Blocked (conflicts with: db)

[.] shotok - Exited (code=Some(0))

[X] sig - Failed (killed by SIGSEGV (11))

[>] starting - Starting (pid=STARTING)

[.] stopped - Exited (code=None)

[!] stopping - Stopping (pid=STOPPING)

[X] typo - Failed (spawn error: configuration error: /etc/zinit/services/typo.toml:2: service.exec is missing: write exec = "/path/of/program")

[+] web - Running (pid=WEB, uptime=1m30s)
    ← depends on:
      ✓ requires db (running)
      ✗ after never (failed)
      ✗ wants off (inactive)
    → required by: multi-user
    └─ child processes:
       └─ sh (pid=17866, state=S)
       └─ tmux: server (pid=17867, state=S)

[+] multi-user - Running (pid=0, uptime=?)
    ← depends on:
      ✓ requires web (running)

`
	if got := h.drawn(drawState(snap, tree, "", snap.Find("web").Started.Add(90*time.Second))); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheProcessesOfAService(t *testing.T) {
	h := inspected(t)
	l := h.dial()
	for name, want := range map[string]string{
		"web": `web (pid=WEB)
  ├─ sh (pid=17866, ppid=WEB, sleeping)
  ├─ ) R 1 ( (pid=17870, ppid=17866, sleeping)
  └─ tmux: server (pid=17867, ppid=WEB, sleeping)`,
		"db":         "db (pid=DB)\n  └─ (no child processes)",
		"reused":     "reused is not running",
		"multi-user": "multi-user is not running",
		"never":      "never is not running",
	} {
		var got sock.Output
		l.result("debug.process_tree", name, &got)
		if text := h.drawn(got.Output); text != want {
			t.Errorf("got\n%s\nwant\n%s", text, want)
		}
	}
}

func TestSpans(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	for after, want := range map[time.Duration]string{
		-time.Second: "0s", 999 * time.Millisecond: "0s", 28 * time.Second: "28s", 59 * time.Second: "59s",
		time.Minute: "1m0s", 90 * time.Second: "1m30s", 3599 * time.Second: "59m59s", 61 * time.Minute: "1h1m", 26 * time.Hour: "26h0m",
	} {
		if got := span(&supervise.View{Pid: 7, Started: start}, start.Add(after)); got != want {
			t.Errorf("%s: %s, want %s", after, got, want)
		}
	}
	if got := span(&supervise.View{}, start); got != "?" {
		t.Errorf("of a target: %s", got)
	}
}

func TestFailuresInTheWordsOfDebugState(t *testing.T) {
	for want, why := range map[string]machine.Cause{
		"exited with code 3":                   {Outcome: machine.Outcome{Code: 3}},
		"killed by SIGSEGV (11)":               {Outcome: machine.Outcome{Signal: 11}},
		"start timeout":                        {Kind: machine.StartTimeout, After: time.Second},
		"health check failed after 3 attempts": {Kind: machine.HealthFailed, Count: 3, Text: "refused"},
		"missing dependency 'db'":              {Kind: machine.MissingDependency, Name: "db"},
		"dependency 'db' failed":               {Kind: machine.Requirement, Name: "db"},
		"spawn error: no such file":            {Kind: machine.SpawnError, Text: "no such file"},
	} {
		if got := failedWords(failure(why)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A process calls itself what it likes, and does not draw lines of its own.
func TestNamesOfProcessesStayInTheirLine(t *testing.T) {
	for name, want := range map[string]string{
		"tmux: server": "tmux: server", "кот": "кот", `a"b\c`: `a"b\c`,
		"a\n  └─ b": `a\n  └─ b`, "\x1b[2J": `\x1b[2J`, "\xff": `\xff`,
	} {
		if got := oneLine(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	got := drawProcesses("web", 7, []proc.Process{{Pid: 8, Ppid: 7, Name: "a\nb", State: 'R'}})
	if want := "web (pid=7)\n  └─ a\\nb (pid=8, ppid=7, running)"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
