package cli

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"zinit/sock"
)

func TestTranscripts(t *testing.T) {
	conf := sock.ServiceInfo{Name: "conf", State: sock.ServiceState{State: sock.Blocked}}
	for _, test := range []struct {
		golden   string
		terminal bool
		width    int
		spy      bool
		env      map[string]string
		lines    []string
	}{
		{golden: "list", lines: []string{"list", "ls", "list --json", "list --color always", "list web"}},
		{golden: "list-terminal", terminal: true, lines: []string{"list", "list --color never"}},
		{golden: "narrow", terminal: true, width: 72, lines: []string{"list --color never", "status db", "status p1", "reload --color never"}},
		{golden: "list-no-color", terminal: true, env: map[string]string{"NO_COLOR": "1"}, lines: []string{"list"}},
		{golden: "status", lines: []string{
			"status web", "status api shot p1", "status typo", "status nosuch", "status nosuch db",
			"status web --json", "status db log --json", "status nosuch --json", "status nosuch log --json", "status",
		}},
		{golden: "status-terminal", terminal: true, lines: []string{"status web", "status missing"}},
		{golden: "start", lines: []string{
			"start web", "start web db", "start multi-user", "start multi-user --no-deps", "start multi-user --tree",
			"start p1", "start api", "start conf", "start web --tree --no-deps", "start nosuch", "start wbe", "start nosuch web", "start nosuch --tree",
			"start web shot --wait", "start api web --wait", "start x9 --wait --timeout 30s",
			"start web --timeout 3s", "start web --wait --timeout soon", "start", "start web --json",
		}},
		{golden: "stop", lines: []string{"stop web", "stop nosuch", "stop shot api metrics --wait", "stop x1 --wait --timeout 10"}},
		{golden: "restart", lines: []string{"restart web", "restart nosuch", "restart api p1 x9", "restart web --wait"}},
		{golden: "kill", lines: []string{
			"kill web", "kill web HUP", "kill web sigusr1", "kill -s hup web", "kill web --signal=9", "kill web -sFOO",
			"kill shot", "kill nosuch", "kill web HUP -s TERM", "kill web HUP extra",
		}},
		{golden: "logs", lines: []string{
			"logs web", "logs web -n 2", "logs -n1 web", "logs web --lines=2 --json", "logs db", "logs db --json",
			"logs nosuch", "logs web -n many", "logs",
			"logs web db", "logs web db -n 1", "logs web db --json -n 1", "logs db nosuch", "logs log x1", "logs web --since 10m",
			"logs web --since 09:59:00 --stream stderr", "logs db --since 1s", "logs web --since 25s -n 1 --json", "logs web --stream zinit",
			"logs web --stream stdout --since 2027-01-01", "logs web --stream out", "logs web --stream syslog", "logs web --since yesterday",
			"logs --since 30s --grep e", "logs --grep nothing", "logs -n 0", "logs web --grep GET", "logs web --grep (", "logs web --until 09:59:00", "logs --until never", "logs --until 1h -f",
		}},
		{golden: "logs-terminal", terminal: true, lines: []string{"logs web", "logs web --color never", "logs web db", "logs web db --since 50s --color never", "logs -n 3"}},
		{golden: "why", lines: []string{
			"why multi-user", "why conf", "why p1", "why web missing", "why api shot", "why nosuch", "why multiuser", "why conf --json", "why conf web --json",
		}},
		{golden: "remove", spy: true, lines: []string{
			"remove web", "remove-service web log", "remove db", "remove db --cascade", "remove nosuch web", "remove", "remove web --json",
		}},
		{golden: "bulk", spy: true, lines: []string{
			"start-all", "stop-all", "start-all --wait", "stop-all --wait --timeout 5s", "start-all --timeout 5s", "delete-all", "delete-all web",
		}},
		{golden: "reload", spy: true, lines: []string{
			"reload", "reload --dry-run", "reload web", "reload db", "reload db --dry-run --json", "reload conf", "reload nosuch", "reload web db",
		}},
		{golden: "reload-terminal", terminal: true, lines: []string{"reload"}},
		{golden: "debug", lines: []string{
			"debug-state", "debug-state --json", "debug-procs web log", "debug-procs shot", "debug-procs nosuch", "debug-procs web --json", "debug-procs",
		}},
		{golden: "tree", lines: []string{"tree", "tree --json"}},
		{golden: "wait", lines: []string{
			"wait web db", "wait shot --state exited", "wait shot --state EXITED --json", "wait api web --timeout 1s", "wait x9 --timeout 500ms",
			"wait api --json", "wait nosuch", "wait web --state runing", "wait web --state up", "wait web --timeout -3s",
		}},
		{golden: "xinet", lines: []string{
			"xinet list", "xinet status", "xinet status pg", "xinet status nosuch", "xinet status pg --json", "xinet status --json", "xinet list --json",
			"xinet set pg --listen tcp:localhost:5432 -l unix:/run/pg --backend unix:/b --service postgres --connect-timeout 10 --idle-timeout 5m --idle-from byte --max-connections 7 --on-busy refuse",
			"xinet register one --listen :1 --backend :2 --service s --single", "xinet set taken --listen :1 --backend :2 --service s",
			"xinet delete pg", "xinet unregister nosuch", "xinet set", "xinet set pg --listen :1", "xinet set pg --listen :1 --backend :2 --service s --idle-timeout soon",
			"xinet set pg --listen :1 --backend :2 --service s --max-connections many", "xinet list pg", "xinet start pg", "xinet",
		}},
		{golden: "ping", lines: []string{"ping", "ping --json", "ping --timeout 1s", "ping --timeout soon"}},
	} {
		t.Run(test.golden, func(t *testing.T) {
			f := newFake(t, append(world(), conf))
			s := &stage{terminal: test.terminal, width: test.width, env: map[string]string{"ZINIT_SOCKET": f.path}}
			for key, value := range test.env {
				s.env[key] = value
			}
			s.hide = []string{f.path, "$SOCKET"}
			if test.spy {
				s.spy = f
			}
			for _, line := range test.lines {
				s.run(strings.Fields(line)...)
			}
			s.compare(t, test.golden)
		})
	}
}

// What types, hooks, limits and timers add, on a screen of 80 columns.
// TestAStartThatHasToWaitIsNotCalledDone: it is on its way, which is no failure.
func TestAStartThatHasToWaitIsNotCalledDone(t *testing.T) {
	f := newFake(t, []sock.ServiceInfo{{Name: "soon", State: sock.ServiceState{State: sock.Blocked, WaitingOn: sock.Names{"db"}}}})
	s := &stage{env: map[string]string{"ZINIT_SOCKET": f.path}}
	s.run("start", "soon")
	want := "Waiting: soon\n\nService is blocked: waiting on: db\n\nTip: use 'zinit why soon' to see what holds it up\n[exit 0]\n"
	if got := s.script.String(); !strings.HasSuffix(strings.TrimRight(got, "\n")+"\n", want) || strings.Contains(got, "Started") {
		t.Errorf("%s", got)
	}
}

func TestTranscriptsOfAllKinds(t *testing.T) {
	for _, test := range []struct {
		golden string
		width  int
		lines  []string
	}{
		{"kinds", 0, []string{"list", "status shop hybrid loose mounts", "status backup poll paused", "status shop hybrid --json", "list --json"}},
		{"kinds-terminal", 80, []string{"list", "status shop", "status hybrid", "timers"}},
		{"timers", 0, []string{"timers", "timers --json", "timers backup"}},
		{"stop-kinds", 0, []string{"stop paused", "stop hybrid loose"}},
		{"signal-reload", 0, []string{"signal-reload shop hybrid", "signal-reload backup", "signal-reload nosuch shop", "signal-reload"}},
	} {
		t.Run(test.golden, func(t *testing.T) {
			f := newFake(t, kinds())
			s := &stage{terminal: test.width > 0, width: test.width, env: map[string]string{"ZINIT_SOCKET": f.path, "NO_COLOR": "1"}}
			for _, line := range test.lines {
				s.run(strings.Fields(line)...)
			}
			s.compare(t, test.golden)
		})
	}
}

// A long name takes a line of its own, and a reason without room behind the state, too:
// the others stay a table.
func TestListOnANarrowTerminal(t *testing.T) {
	list := append(world()[:6], sock.ServiceInfo{
		Name: "a-name-that-somebody-has-made-from-a-template-0001", State: sock.ServiceState{State: sock.Running, PID: 77},
		Details: sock.Details{SinceMs: before(28 * time.Second)},
	})
	f := newFake(t, list)
	s := &stage{env: map[string]string{"ZINIT_SOCKET": f.path, "NO_COLOR": "1"}, terminal: true}
	for _, s.width = range []int{44, 60, 100, 120} {
		s.run("list")
	}
	s.compare(t, "list-narrow")
}

func TestStatusFitsAScreen(t *testing.T) {
	f := newFake(t, kinds())
	for _, service := range kinds() {
		s := &stage{terminal: true, width: 80, env: map[string]string{"ZINIT_SOCKET": f.path, "NO_COLOR": "1"}}
		s.run("status", service.Name)
		lines := strings.Split(s.script.String(), "\n")
		lines = lines[1 : len(lines)-3] // between the command and the exit code
		if len(lines) > 23 {
			t.Errorf("%s: %d lines and a prompt do not fit 24", service.Name, len(lines))
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n > 80 {
				t.Errorf("%s: %d columns: %s", service.Name, n, line)
			}
		}
	}
}

func TestNothingConfigured(t *testing.T) {
	f := newFake(t, nil)
	s := &stage{env: map[string]string{"ZINIT_SOCKET": f.path}}
	for _, line := range []string{"list", "list --json", "status", "status --json", "timers", "timers --json", "xinet list", "xinet status"} {
		s.run(strings.Fields(line)...)
	}
	s.compare(t, "empty")
}

func TestNothingToDo(t *testing.T) {
	f := newFake(t, nil)
	s := &stage{env: map[string]string{"ZINIT_SOCKET": f.path}}
	for _, line := range []string{"start-all", "stop-all --wait", "delete-all"} {
		s.run(strings.Fields(line)...)
	}
	s.compare(t, "nothing")
}

func TestListIsOneRequest(t *testing.T) {
	f := newFake(t, world())
	s := &stage{env: map[string]string{}}
	s.run("list", "-s", f.path)
	if got := f.requests.Load(); got != 1 {
		t.Errorf("list sent %d requests", got)
	}
}
