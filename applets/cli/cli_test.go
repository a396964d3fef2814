package cli

import (
	"bytes"
	"errors"
	stdflag "flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"zinit/applets/env"
	"zinit/sock"
)

var update = stdflag.Bool("update", false, "rewrite the golden files")

const goldenDir = "../../testdata/cli"

// A stage runs command lines and writes down what happens, as a transcript:
// stdout as it is, lines of stderr after "! ", requests after "> " when a spy is set.
type stage struct {
	script   bytes.Buffer
	env      map[string]string
	terminal bool
	width    int
	host     host
	stdin    string
	spy      *fake    // its requests are part of the transcript
	hide     []string // path, placeholder, ...
}

func (s *stage) run(args ...string) int {
	var out, errs bytes.Buffer
	e := &env.Env{
		Args: append([]string{"zinit"}, args...), Stdin: strings.NewReader(s.stdin), Stdout: &out, Stderr: &errs,
		Getenv: func(key string) string { return s.env[key] }, UID: 1000,
	}
	now := func() time.Time { return time.UnixMilli(startedAt).UTC() }
	code := run(&session{env: e, terminal: s.terminal, width: s.width, now: now, host: s.host})
	hide := strings.NewReplacer(s.hide...)
	fmt.Fprintf(&s.script, "$ zinit %s\n%s", hide.Replace(strings.Join(args, " ")), hide.Replace(out.String()))
	for line := range strings.Lines(hide.Replace(errs.String())) {
		s.script.WriteString("! " + line)
	}
	if s.spy != nil {
		for _, request := range s.spy.took() {
			s.script.WriteString("> " + request + "\n")
		}
	}
	fmt.Fprintf(&s.script, "[exit %d]\n\n", code)
	return code
}

func (s *stage) compare(t *testing.T, golden string) {
	t.Helper()
	file := filepath.Join(goldenDir, golden+".golden")
	if *update {
		if err := os.WriteFile(file, s.script.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.script.String(); got != string(want) {
		t.Errorf("%s differs; go test -update rewrites it\n%s", file, firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got %q\nwant %q", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}

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
			"start p1", "start api", "start conf", "start web --tree --no-deps", "start nosuch", "start nosuch web", "start nosuch --tree",
			"start web shot --wait", "start api web --wait", "start x9 --wait --timeout 30s",
			"start web --timeout 3s", "start web --wait --timeout soon", "start", "start web --json",
		}},
		{golden: "stop", lines: []string{"stop web", "stop nosuch", "stop shot api metrics --wait", "stop x1 --wait --timeout 10"}},
		{golden: "restart", lines: []string{"restart web", "restart nosuch", "restart web --wait"}},
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
			"why multi-user", "why conf", "why p1", "why web missing", "why nosuch", "why conf --json", "why conf web --json",
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

func TestHelp(t *testing.T) {
	s := &stage{env: map[string]string{}}
	s.run()
	s.run("help")
	s.run("-h")
	s.run("help", "nonsense")
	for _, v := range table() {
		s.run("help", v.name)
	}
	s.compare(t, "help")
}

func TestHelpFitsTheScreen(t *testing.T) {
	texts := map[string]string{"overview": overview()}
	for _, v := range table() {
		texts[v.name] = v.helpText()
	}
	for name, text := range texts {
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) > 23 {
			t.Errorf("%s: %d lines and a prompt do not fit 24", name, len(lines))
		}
		for _, line := range lines {
			if len(line) > 79 {
				t.Errorf("%s: %d columns: %s", name, len(line), line)
			}
		}
	}
}

func TestEveryHelpFormSaysTheSame(t *testing.T) {
	for _, v := range table() {
		for _, args := range [][]string{{v.name, "--help"}, {v.name, "-h"}, {"-h", v.name}, {"help", v.name}} {
			var out bytes.Buffer
			e := &env.Env{Args: append([]string{"zinit"}, args...), Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }}
			if code := Main(e); code != env.ExitDone || out.String() != v.helpText() {
				t.Errorf("%v: exit %d\n%s", args, code, out.String())
			}
		}
	}
}

func TestVersionIsTwoWords(t *testing.T) {
	for _, line := range []string{"-V", "--version", "-s /x -V", "list -V"} {
		s := &stage{env: map[string]string{}, hide: []string{env.Version, "VERSION"}}
		s.run(strings.Fields(line)...)
		if want := "$ zinit " + line + "\nzinit VERSION\n[exit 0]\n\n"; s.script.String() != want {
			t.Errorf("%q", s.script.String())
		}
	}
}

func TestMistypedCommandLines(t *testing.T) {
	s := &stage{env: map[string]string{}}
	for _, line := range []string{
		"stauts", "lst", "restrat web", "frobnicate", "rhai", "rhai setup.rhai", "setup.rhai",
		"list --jsno", "list -x", "logs web --lines", "logs web -n", "list --color=blue", "list --json=yes", "--wat list", "--json start web",
	} {
		s.run(strings.Fields(line)...)
	}
	s.compare(t, "usage")
}

func TestNoServer(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &stage{env: map[string]string{"HOME": dir}, hide: []string{dir, "$HOME"}}
	s.run("ping", "--socket", file)
	s.run("-s", dir+"/none.sock", "shutdown")
	s.run("-s", dir+"/none.sock", "start", "a", "b")
	s.env["ZINIT_SOCKET"] = dir + "/other.sock"
	s.run("wait", "a")
	s.compare(t, "no-server")
}

func TestASocketOfAnotherUser(t *testing.T) {
	e := &noServer{tried: []string{"/run/zinit.sock: permission denied"}, denied: "/run/zinit.sock", start: "zinit-server"}
	want := "no zinit server answers\n  looked at /run/zinit.sock: permission denied\nBe root, or of the group of /run/zinit.sock, to use that one"
	if e.Error() != want {
		t.Error(e)
	}
}

func TestNoServerNamesEveryPlace(t *testing.T) {
	if _, err := os.Stat(env.DefaultSocket); err == nil {
		return // this machine may have a server of its own
	}
	dir := t.TempDir()
	s := &stage{env: map[string]string{"HOME": dir, "XDG_RUNTIME_DIR": dir + "/run"}, hide: []string{dir, "$HOME"}}
	s.run("list")
	s.compare(t, "no-server-anywhere")
}

func TestTheFirstSocketThatAcceptsIsUsed(t *testing.T) {
	f := newFake(t, world())
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "hero/var"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(f.path, filepath.Join(home, "hero/var/zinit.sock")); err != nil {
		t.Fatal(err)
	}
	s := &stage{env: map[string]string{"HOME": home, "XDG_RUNTIME_DIR": home}}
	if _, err := os.Stat(env.DefaultSocket); err == nil {
		s.env["ZINIT_SOCKET"] = f.path // a server of the machine's own would answer first
	}
	if code := s.run("ping"); code != env.ExitDone {
		t.Fatal(s.script.String())
	}
}

// A verb that may wait also waits for a server that is about to start; the others
// say at once that there is none.
func TestWhoMayWaitWaitsForTheServerToo(t *testing.T) {
	for _, line := range []string{"wait web --timeout 20s", "start web --wait --timeout 20s", "ping --timeout 20s", "ping --json --timeout 20s"} {
		t.Run(line, func(t *testing.T) {
			f := newFake(t, world())
			away := f.path + ".away"
			if err := os.Rename(f.path, away); err != nil {
				t.Fatal(err)
			}
			back := make(chan error, 1)
			time.AfterFunc(3*connectAgain, func() { back <- os.Rename(away, f.path) })
			s := &stage{env: map[string]string{"ZINIT_SOCKET": f.path}}
			if code := s.run(strings.Fields(line)...); code != env.ExitDone {
				t.Error(s.script.String())
			}
			if err := <-back; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheWaitForAServerEnds(t *testing.T) {
	s := &stage{env: map[string]string{"ZINIT_SOCKET": filepath.Join(t.TempDir(), "none.sock")}}
	for _, line := range []string{"ping --timeout 120ms", "wait web --timeout 120ms", "stop web --wait --timeout 120ms", "ping", "wait web"} {
		if code := s.run(strings.Fields(line)...); code != env.ExitNoServer {
			t.Errorf("%s: exit code %d", line, code)
		}
	}
}

func TestListIsOneRequest(t *testing.T) {
	f := newFake(t, world())
	s := &stage{env: map[string]string{}}
	s.run("list", "-s", f.path)
	if got := f.requests.Load(); got != 1 {
		t.Errorf("list sent %d requests", got)
	}
}

func TestShutdownReturnsWhenTheServerHasGone(t *testing.T) {
	f := newFake(t, world())
	s := &stage{env: map[string]string{}, hide: []string{f.path, "$SOCKET"}}
	s.run("shutdown", "-s", f.path)
	select {
	case <-f.gone:
	case <-time.After(5 * time.Second):
		t.Fatal("the server is still there")
	}
	s.run("ping", "-s", f.path)
	s.compare(t, "shutdown")
}

// The keeper may hold the socket longer than the server lives, or start another
// server that ends the shutdown: connections end, and others can still be made.
func TestTheEndOfOneConnectionIsNotTheEnd(t *testing.T) {
	dir, err := os.MkdirTemp("", "cli")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "z.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 1)
	go func() {
		turns := 0
		defer func() { ended <- turns }()
		defer listener.Close()
		for ; turns < 3; turns++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	witness, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	awaitEnd(path, witness)
	if turns := <-ended; turns != 3 {
		t.Errorf("it was over after %d of 3 connections", turns)
	}
}

func TestCheck(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join(goldenDir, "check"))
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{env: map[string]string{"ZINIT_CONFIG_DIR": dir + "/good"}, hide: []string{dir, "$DIR"}}
	s.run("check")
	s.run("check", dir+"/good", "--json")
	s.run("check", dir+"/warn")
	s.run("check", dir+"/bad")
	s.run("check", dir+"/bad", "--json")
	s.run("check", dir+"/good/web.toml")
	s.run("check", dir+"/good/web.toml", dir+"/good/db.toml")
	s.run("check", dir+"/good", dir+"/bad/twin.toml", dir+"/bad/twin.toml")
	s.run("check", dir+"/none")
	s.compare(t, "check")
}

func TestTheCommandLineOfZinit02(t *testing.T) {
	f := newFake(t, world())
	s := &stage{env: map[string]string{"ZINIT_SOCKET": f.path}, spy: f, hide: []string{f.path, "$SOCKET"}}
	for _, args := range [][]string{
		{"list", "--legacy"},
		{"list", "--legacy", "--json"},
		{"status", "--legacy", "web", "db", "nosuch"},
		{"monitor", "web"},
		{"forget", "web", "nosuch"},
		{"monitor"},
		{"log", "-s"},
		{"log"},
		{"log", "-s", "web"},
		{"log", "nosuch"},
		{"log", "a", "b"},
	} {
		s.run(args...)
	}
	s.compare(t, "legacy")
}

func TestConvert(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"redis.yaml":  "exec: redis-server --port 7777\ntest: redis-cli ping\nafter: [net]\nlgo: ring\n",
		"bad.yaml":    "exec: a\noneshot: yes\n",
		"net.service": "[Unit]\nDescription=the net\n[Service]\nType=oneshot\nExecStart=/sbin/net up\nPrivateTmp=yes\n",
		"web.toml":    "[service]\nname = \"web\"\nexec = \"web\"\n[lifecycle]\nrestart = \"on-failure\"\nmax_restarts = 0\n",
		"notes.txt":   "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &stage{hide: []string{dir, "$DIR"}}
	s.run("convert", dir+"/redis.yaml")
	s.run("convert", dir)
	s.run("convert", "--to", out, dir+"/redis.yaml", dir+"/net.service", dir+"/web.toml")
	s.run("check", out)
	s.run("convert", "--to", out, dir+"/redis.yaml")
	s.run("convert", "--to", dir+"/none", dir+"/redis.yaml")
	s.run("convert", "--replace", dir+"/redis.yaml", dir+"/bad.yaml")
	s.run("convert", dir+"/redis.yaml")
	s.run("convert", out)
	s.run("convert")
	s.run("convert", "--to", out, "--replace", dir)
	s.compare(t, "convert")
	entries, err := filepath.Glob(dir + "/*")
	if err != nil || len(entries) != 7 {
		t.Error(entries, err)
	}
}

func TestExitCodesOfRefusals(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{errors.New("no"), env.ExitFailed},
		{&noServer{}, env.ExitNoServer},
		{fmt.Errorf("%w, and more", &noServer{}), env.ExitNoServer},
		{sock.NoService(), env.ExitUnknown},
		{sock.UnknownService("x"), env.ExitUnknown},
		{sock.ServiceNotRunning("x"), env.ExitState},
		{sock.ShuttingDown(), env.ExitFailed},
		{sock.Refuse(sock.WordConflict, "service not found: in words only"), env.ExitFailed},
		// As zinit 0.3.9 has them.
		{&sock.Error{Code: sock.CodeInternal, Message: "service not found: x"}, env.ExitUnknown},
		{&sock.Error{Code: sock.CodeInternal, Message: "service not running: x"}, env.ExitState},
		{&sock.Error{Code: sock.CodeServiceNotFound, Message: "service not found"}, env.ExitUnknown},
		{&sock.Error{Code: sock.CodeInternal, Message: "unknown method"}, env.ExitFailed},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}

// A failing writer is a full disk.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestOutputThatCannotBeWrittenIsAFailure(t *testing.T) {
	f := newFake(t, world())
	var errs bytes.Buffer
	e := &env.Env{Args: []string{"zinit", "list", "-s", f.path}, Stdout: failing{}, Stderr: &errs, Getenv: func(string) string { return "" }}
	if code := Main(e); code != env.ExitFailed || !strings.Contains(errs.String(), "no space left") {
		t.Errorf("exit %d, %q", code, errs.String())
	}
}
