package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"zinit/proxy/address"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const services = "../../testdata/services"

// sources returns the texts of a folder of test files by their names.
func sources(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(services, folder, "*.toml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	texts := make(map[string][]byte)
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(p)] = text
	}
	return texts
}

func TestGoodFilesHaveNoProblems(t *testing.T) {
	for name, text := range sources(t, "good") {
		svc, problems := Parse(name, text)
		if svc == nil || len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func TestBadFilesSayWhatIsWrongAndWhatToDo(t *testing.T) {
	for name, text := range sources(t, "bad") {
		svc, problems := Parse(name, text)
		var got strings.Builder
		fatal := false
		for _, p := range problems {
			got.WriteString(p.String() + "\n")
			fatal = fatal || p.Severity == Error
			if p.File != name || p.Service == "" || p.Message == "" {
				t.Errorf("%s: incomplete: %+v", name, p)
			}
		}
		if fatal == (svc != nil) {
			t.Errorf("%s: errors %v, service %v", name, fatal, svc != nil)
		}
		golden := filepath.Join(services, "bad", strings.TrimSuffix(name, ".toml")+".txt")
		if *update {
			if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || string(want) != got.String() {
			t.Errorf("%s: got\n%swant\n%s(%v)", name, got.String(), want, err)
		}
	}
}

func good(t *testing.T, name string) *Service {
	t.Helper()
	svc, problems := LoadFile(filepath.Join(services, "good", name+".toml"))
	if svc == nil {
		t.Fatalf("%s: %v", name, problems)
	}
	return svc
}

func defaults(name, exec string, argv ...string) *Service {
	return &Service{
		Name: name, Exec: exec, Command: Command{Argv: argv}, InheritEnv: true, ReloadSignal: 1,
		Lifecycle: Lifecycle{
			RestartDelay: time.Second, RestartDelayMax: 300 * time.Second, MaxRestarts: 10,
			StabilityPeriod: 30 * time.Second, StartTimeout: 30 * time.Second, StopTimeout: 10 * time.Second, StopSignal: 15, HookTimeout: 30 * time.Second,
		},
		Logging: Logging{BufferLines: 1000, BufferBytes: 4 << 20, FileKeep: 5},
	}
}

func TestFilesBecomeServices(t *testing.T) {
	app := defaults("my-app", "/usr/bin/my-app --daemon", "/usr/bin/my-app", "--daemon")
	app.Dir = "/var/lib/my-app"
	app.Requires, app.After, app.Wants, app.Conflicts = []string{"database"}, []string{"logger"}, []string{"metrics"}, []string{"legacy-app"}
	app.Lifecycle.RestartDelayMax, app.Lifecycle.MaxRestarts = time.Minute, 0
	app.Health = &Health{
		Kind: ProbeHTTP, Target: "http://localhost:8080/health", ExpectStatus: 200,
		Interval: 10 * time.Second, Timeout: 5 * time.Second, Retries: 3,
	}

	target := defaults("multi-user", "")
	target.Target, target.Requires = true, []string{"network", "logger", "database"}

	critical := defaults("sysinit", "")
	critical.Target, critical.Critical = true, true
	critical.Requires, critical.Wants = []string{"sysvol"}, []string{"udev-trigger"}

	set := defaults("x5", "sleep 2002", "sleep", "2002")
	set.Dir, set.Env = "/tmp", []string{"A=1"}
	set.After, set.Requires, set.Wants = []string{"log"}, []string{"x1"}, []string{"metrics"}
	set.Lifecycle.Restart = RestartAlways
	set.Lifecycle.RestartDelay, set.Lifecycle.MaxRestarts = 50*time.Millisecond, 3
	set.Health = &Health{
		Target: "127.0.0.1:1", ExpectStatus: 200,
		Interval: 10 * time.Second, Timeout: 5 * time.Second, Retries: 3,
	}

	for name, want := range map[string]*Service{
		"readme-example": app, "readme-target": target, "system-target": critical, "written-by-set": set,
		"minimal": defaults("minimal", "/bin/true", "/bin/true"), "every-key": everyKey(t),
		"sockets": givenSockets(), "accept": accepting(),
	} {
		got := *good(t, name)
		if got.Source != filepath.Join(services, "good", name+".toml") || got.Digest == [32]byte{} {
			t.Errorf("%s: source %q, digest %x", name, got.Source, got.Digest)
		}
		got.Source, got.Digest = "", [32]byte{}
		if !reflect.DeepEqual(&got, want) {
			t.Errorf("%s:\n got %+v health %+v\nwant %+v health %+v", name, got, got.Health, *want, want.Health)
		}
	}
}

// givenSockets is what testdata/services/good/sockets.toml describes.
func givenSockets() *Service {
	s := Default()
	s.Name, s.Exec, s.Command, s.NotifyFD = "sockets", "/usr/sbin/app", Command{Argv: []string{"/usr/sbin/app"}}, 7
	s.Sockets = []Socket{
		{Listen: []address.Address{{Network: address.TCP, Host: "::1", Port: 8080}, {Network: address.TCP, Host: "127.0.0.1", Port: 8080}}, Names: []string{"http"}, Backlog: 64},
		{Listen: []address.Address{{Network: address.Unix, Path: "/run/app.sock"}}, Names: []string{"local"}, Mode: 0o600, User: "www-data"},
		{Listen: []address.Address{{Network: address.FIFO, Path: "/run/app.fifo"}}},
	}
	return s
}

// accepting is what testdata/services/good/accept.toml describes.
func accepting() *Service {
	s := Default()
	s.Name, s.Exec, s.Command, s.Identity.User = "accept", "/usr/bin/cat", Command{Argv: []string{"/usr/bin/cat"}}, "nobody"
	s.Sockets = []Socket{{
		Listen: []address.Address{{Network: address.TCP, Host: "127.0.0.1", Port: 7}, {Network: address.Unix, Path: "/run/echo.sock"}},
		Accept: true, MaxConnections: 100,
	}}
	return s
}

// TestSocketsInTheirOrder: what a service is given are the sockets of all its tables.
func TestSocketsInTheirOrder(t *testing.T) {
	s := givenSockets()
	var places []string
	for _, a := range s.Listens() {
		places = append(places, a.String())
	}
	if want := []string{"tcp:[::1]:8080", "tcp:127.0.0.1:8080", "unix:/run/app.sock,mode=0600,user=www-data", "fifo:/run/app.fifo"}; !slices.Equal(places, want) {
		t.Errorf("it listens on %q", places)
	}
	if names := s.SocketNames(); !slices.Equal(names, []string{"http", "http", "local", "sockets"}) {
		t.Errorf("they are called %q", names)
	}
	if backlogs := s.Backlogs(); !slices.Equal(backlogs, []int{64, 64, 0, 0}) {
		t.Errorf("their backlogs are %d", backlogs)
	}
	if s.Accepts() || accepting().MaxConnections() != 100 || !accepting().Accepts() {
		t.Error("who accepts is mistaken")
	}
	if names := accepting().SocketNames(); !slices.Equal(names, []string{"connection", "connection"}) {
		t.Errorf("connections are called %q", names)
	}
}

func TestTextsMeanWhatTomlSays(t *testing.T) {
	s := good(t, "tricky-text")
	exec := "sh -c \"echo \"quoted\" # no comment\n  and one line\" '\no escape' "
	env := []string{
		"HASH=#", "MULTI=first ''quoted''\nsecond", `QUOTES=a "quoted" one""`, "TAB=a\tb", "UNICODE=é😀",
	}
	if s.Name != "tricky" || s.Exec != exec || s.Dir != `C:\not a path # really` || !slices.Equal(s.Env, env) ||
		!slices.Equal(s.Ports, []uint16{80, 443}) || !slices.Equal(s.Requires, []string{"a", "b"}) {
		t.Errorf("got %+v", s)
	}
	w := good(t, "windows")
	if w.Exec != "one\ntwo" || w.Lifecycle.Restart != RestartOnFailure {
		t.Errorf("got %+v", w)
	}
}

func TestLinesAreRightBehindTextsOfManyLines(t *testing.T) {
	text := "[service]\r\nname = \"a\"\r\nexec = '''\r\n\r\nb\r\n'''\r\nports = [\r\n 1, # x\r\n # y\r\n 70000,\r\n]\r\nstatus = \"x\"\r\n"
	_, problems := Parse("a.toml", []byte(text))
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	if !slices.Equal(lines, []int{10, 12}) {
		t.Errorf("got %v", problems)
	}
}

func TestTheDigestIsThatOfTheText(t *testing.T) {
	a, _ := Parse("x", []byte("[service]\nname='a'\nexec='b'\n"))
	b, _ := Parse("x", []byte("[service]\nname='a'\nexec='b'\n\n"))
	c, _ := Parse("y", []byte("[service]\nname='a'\nexec='b'\n"))
	if a.Digest == b.Digest || a.Digest != c.Digest {
		t.Error("digests do not follow the texts")
	}
}

func TestLimitsStandBeforeTheDecoder(t *testing.T) {
	head := "[service]\nname = \"a\"\nexec = \"/bin/true\"\n"
	for _, c := range []struct{ name, text, want string }{
		{"size", head + strings.Repeat("#\n", MaxFile/2), "larger than 1 MiB"},
		{"values", head + "ports = [" + strings.Repeat("1,", 100000) + "]", "more than 20000 values"},
		{"open lists", head + "ports = " + strings.Repeat("[", 500000), "nested more than 16 deep"},
		{"open tables", head + "env = " + strings.Repeat("{a=", 300000), "nested more than 16 deep"},
	} {
		svc, problems := Parse("a.toml", []byte(c.text))
		if svc != nil || len(problems) == 0 || !strings.Contains(problems[0].Message, c.want) {
			t.Errorf("%s: got %v", c.name, problems)
		}
	}
	for _, text := range []string{strings.Repeat("x\n", 1000), head + "[logging]\n" + manyKeys(1000), head + "[service.env]\n" + strings.ReplaceAll(manyKeys(1000), `"`, "")} {
		if _, problems := Parse("a.toml", []byte(text)); len(problems) != maxProblems+1 || !strings.Contains(problems[maxProblems].Message, "more problems") {
			t.Errorf("%.20q: got %d problems", text, len(problems))
		}
	}
	// What is large but allowed costs no more than its size.
	long := head + "env = { A = '" + strings.Repeat("x", 500000) + "' }\n[health]\ntype = \"exec\"\ntarget = \"\"\"" +
		strings.Repeat("word\\\\ ", 60000) + "\"\"\"\n"
	if svc, problems := Parse("a.toml", []byte(long)); svc == nil {
		t.Errorf("long texts: %v", problems)
	}
}

func TestProblemsNameTheServiceEvenInABrokenFile(t *testing.T) {
	for text, want := range map[string]string{
		"[service]\nname = 'a'\nexec = [": "a", "[target]\nname = 'b'\n[": "b", "name = 'c'": "file",
		"[service]\nname = '../x'\n": "file", "[service]\nname = 5\n": "file", "\xff": "file",
		"[target]\nname='t'\n[service]\nname='s'\n[x": "s",
	} {
		_, problems := Parse("/etc/file.toml", []byte(text))
		if len(problems) == 0 || problems[0].Service != want {
			t.Errorf("%q: got %+v, want %s", text, problems, want)
		}
	}
}

func TestNamesAreChecked(t *testing.T) {
	for _, name := range []string{"a", "A-b_c.9", ".", strings.Repeat("x", 128), "a..b", "-", "_"} {
		if err := CheckName(name); (err != nil) != (name == ".") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"": "cannot be empty", "a b": "'a b' contains invalid characters (use alphanumeric, dash, underscore)",
		"..": "begins with a dot", ".x": "begins with a dot", "a/b": "invalid characters", "a\nb": `'a\x0ab' contains`,
		"a\x00": `'a\x00' contains`, "é": "invalid characters", strings.Repeat("x", 129): "is 129 bytes long", strings.Repeat("x", 4096): "is 4096 bytes long",
	} {
		if err := CheckName(name); err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 200 {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func TestSignalsHaveNames(t *testing.T) {
	for text, want := range map[string]string{
		"SIGTERM": "SIGTERM", " term ": "SIGTERM", "9": "SIGKILL", "iot": "SIGABRT", "SigPoll": "SIGIO", "31": "SIGSYS", "sighup": "SIGHUP",
	} {
		sig, err := ParseSignal(text)
		if err != nil || SignalName(sig) != want {
			t.Errorf("%q: got %v %v", text, sig, err)
		}
	}
	for text, want := range map[string]string{
		"0": "from 1 to 31", "32": "from 1 to 31", "-5": "from 1 to 31", "": "not a valid signal", "SIG": "not a valid signal",
		"SIGTREM": "did you mean SIGTERM?", "HUPP": "did you mean SIGHUP?",
	} {
		if _, err := ParseSignal(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", text, err)
		}
	}
	if got := SignalName(40); got != "signal 40" {
		t.Errorf("got %q", got)
	}
}

func TestEveryKeyIsNamedOnce(t *testing.T) {
	names := Names()
	if slices.Sort(names); len(slices.Compact(names)) != len(Names()) || !slices.Contains(names, "lifecycle.kill_mode") {
		t.Errorf("got %v", names)
	}
	for _, p := range planned {
		for _, k := range strings.Fields(p.keys) {
			if slices.Contains(names, p.table+"."+k) {
				t.Errorf("%s.%s is known and planned", p.table, k)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, folder := range []string{"good", "bad"} {
		for _, text := range sources(f, folder) {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		svc, problems := Parse("a.toml", text)
		errors := slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == Error })
		if errors == (svc != nil) {
			t.Fatalf("service %v and errors %v", svc, problems)
		}
		lines := strings.Count(string(text), "\n") + 1
		for _, p := range problems {
			if p.Line < 0 || p.Line > lines || strings.ContainsAny(p.String(), "\x00\x1b") {
				t.Errorf("bad problem %+v", p)
			}
		}
		if svc != nil && (CheckName(svc.Name) != nil || !svc.Target && len(svc.Command.Argv) == 0) {
			t.Errorf("invalid service %+v", svc)
		}
		for _, p := range problems {
			if strings.Contains(p.Message, "cannot be decoded") || strings.Contains(p.Message, "invalid TOML syntax") {
				t.Errorf("the guard let something through: %v", p)
			}
		}
	})
}

func TestTimesAreBounded(t *testing.T) {
	const head = "[service]\nname = \"a\"\nexec = \"/bin/a\"\n"
	for _, k := range []string{
		"lifecycle.restart_delay_max_ms", "lifecycle.stability_period_ms", "lifecycle.start_timeout_ms", "lifecycle.stop_timeout_ms",
		"health.interval_ms", "health.timeout_ms", "health.start_period_ms",
	} {
		section, key, _ := strings.Cut(k, ".")
		text := head + "[" + section + "]\n"
		if section == "health" {
			text += "type = \"tcp\"\ntarget = \"a:1\"\n"
		}
		for value, fine := range map[string]bool{
			"2073600000": true, "2073600001": false, "9223372036854": false, "9223372036854775807": false, "9223372036854775808": false,
		} {
			s, problems := Parse("a.toml", []byte(text+key+" = "+value+"\n"))
			if fine != (s != nil) {
				t.Errorf("%s = %s: %v", k, value, problems)
			}
			if !fine && (len(problems) != 1 || !strings.Contains(problems[0].Message, "is too large: write at most 24 days: 2073600000")) {
				t.Errorf("%s = %s: %v", k, value, problems)
			}
		}
	}
}

func TestPortZeroMeansNothing(t *testing.T) {
	s, problems := Parse("a.toml", []byte("[service]\nname = \"a\"\nexec = \"/bin/a\"\nports = [0, 80]\n"))
	if s == nil || !slices.Equal(s.Ports, []uint16{80}) {
		t.Errorf("got %+v", s)
	}
	if len(problems) != 1 || problems[0].Severity != Warning || !strings.Contains(problems[0].Message, "means nothing") {
		t.Errorf("problems: %v", problems)
	}
}
