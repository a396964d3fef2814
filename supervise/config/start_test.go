package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheGlobalFileOfSideros(t *testing.T) {
	path := filepath.Join(t.TempDir(), "start.toml")
	if s, problems := LoadStart(path); s != (Start{}) || problems != nil {
		t.Errorf("no file: %+v, %v", s, problems)
	}
	cases := []struct {
		text    string
		want    Start
		problem string // the first one, without the file
	}{
		{text: `
[init]
hostname = "sideros"
services_dir = "/srv/services/"
runtime_dir = "/run/sideros"
[logging]
level = "debug"
output = "file:/var/log/start.log"
`, want: Start{"sideros", "/srv/services", "/run/sideros", "debug", "/var/log/start.log", Defaults{}}},
		{text: "[defaults]\nrestart_delay = \"5s\"\nstop_timeout = \"30s\"\nstart_timeout = \"1m30s\"\n",
			want: Start{Defaults: Defaults{5 * time.Second, 30 * time.Second, 90 * time.Second}}},
		{text: "[logging]\noutput = \"journal\" # or a file\n"},
		{text: "[init]\nservices_dir = \"here\"\nhostname = \"a\"\n", want: Start{Hostname: "a"},
			problem: `2: init.services_dir: must be an absolute path, not "here"`},
		{text: "[init]\nhostname = \"a b\"\n", problem: `2: init.hostname: must be a name of at most 64 characters, not "a b"`},
		{text: "[logging]\noutput = \"syslog\"\nlevel = 3\n", problem: `2: logging.output: must be "journal", or "file:" and an absolute path, not "syslog"`},
		{text: "[logging]\nlevel = 3\n", problem: "2: logging.level: must be a text in quotes, not the number 3"},
		{text: "[logging]\nlevel = \"loud\"\n", problem: `2: logging.level: must be trace, debug, info, warn or error, not "loud"`},
		{text: "[init]\nhost = \"a\"\n", problem: "2: init.host: host is not a key of [init], which has hostname, services_dir, runtime_dir: did you mean hostname?"},
		{text: "[init]\nlevel = \"info\"\n", problem: "2: init.level: level is not a key of [init], which has hostname, services_dir, runtime_dir: put it below [logging]"},
		{text: "[init]\ncolour = \"a\"\n", problem: "2: init.colour: colour is not a key of [init], which has hostname, services_dir, runtime_dir: remove it"},
		{text: "[loging]\na = 1\n", problem: "1: loging: has no effect: the tables are [init], [logging] and [defaults], did you mean [logging]?"},
		{text: "[other]\na = 1\n", problem: "1: other: has no effect: the tables are [init], [logging] and [defaults], remove it"},
	}
	for _, c := range cases {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, problems := LoadStart(path)
		if s != c.want {
			t.Errorf("%q: %+v, want %+v", c.text, s, c.want)
		}
		got := ""
		if len(problems) > 0 {
			problems[0].Severity = Error
			got = problems[0].String()
		}
		if want := c.problem; want != "" && got != path+":"+want || want == "" && got != "" {
			t.Errorf("%q:\n got %s\nwant %s:%s", c.text, got, path, want)
		}
	}
}

func TestAStartFileIsToldFromOneOfAService(t *testing.T) {
	const service = "[service]\nname = \"start\"\nexec = \"/bin/true\"\n"
	cases := []struct {
		name, text string
		known, is  bool
		wrong      string // of the first problem
	}{
		{"start.toml", siderosExample, false, true, ""},
		{"other.toml", siderosExample, false, true, ""},
		{"other.toml", "[init]\nhostname = \"a\"\n[defaults\n", false, true, "is not a header"},
		{"other.toml", "[defaults]\nstop_timeout = 3\n", false, true, "must be a text"},
		{"other.toml", "defaults = { stop_timeout = 3 }\n", false, true, "must be a text"},
		{"other.toml", "[logging]\nlevel = \"loud\"\n", false, false, ""},
		{"start.toml", "[logging]\nlevel = \"loud\"\n", false, true, "must be trace"},
		{"other.toml", "[logging]\nlevel = \"loud\"\n", true, true, "must be trace"},
		{"start.toml", "[init\n", false, true, "is not a header"},
		{"start.toml", service, false, false, ""},
		{"start.toml", service + "[init]\nhostname = \"a\"\n", false, false, ""},
		{"start.toml", service + "[init\n", false, false, ""},
		{"start.toml", "[target]\nname = \"start\"\n", false, false, ""},
		{"start.toml", "\x00", false, false, ""},
		{"init.toml", "exec = 1\n", false, false, ""},
	}
	for _, c := range cases {
		path := filepath.Join(t.TempDir(), c.name)
		writeFile(t, path, c.text)
		problems, is := CheckStart(path, c.known)
		if is != c.is || (len(problems) > 0) != (c.wrong != "") || c.wrong != "" && !strings.Contains(problems[0].Message, c.wrong) {
			t.Errorf("%s %q (known: %v): %v, %v", c.name, c.text, c.known, is, problems)
		}
	}
	if _, is := CheckStart(filepath.Join(t.TempDir(), "start.toml"), true); is {
		t.Error("a file that does not exist is one")
	}
}

// Among the services it is said to be no service, once, and nothing else is asked of it.
func TestAStartFileAmongServicesIsNamed(t *testing.T) {
	svc, problems := Parse("/etc/zinit/services/start.toml", []byte(siderosExample))
	if svc != nil || len(problems) != 1 || !strings.HasPrefix(problems[0].Message, "is the start.toml of sideros-start") {
		t.Error(svc, problems)
	}
}

// Whatever the file says, what is taken from it can be used.
func FuzzStart(f *testing.F) {
	f.Add(siderosExample)
	f.Add("[init]\nhostname = 5\nruntime_dir = \"/a/../b\"\n[logging]\noutput = \"file:/x\"\n")
	f.Add("[[defaults]]\nstop_timeout = \"99999d\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		var s Start
		in := &file{path: "start.toml", lines: map[string]int{}}
		in.startText(&s, []byte(text))
		for _, path := range []string{s.ServicesDir, s.RuntimeDir, s.LogFile} {
			if path != "" && !filepath.IsAbs(path) {
				t.Errorf("%q is no absolute path", path)
			}
		}
		for _, d := range []time.Duration{s.Defaults.RestartDelay, s.Defaults.StopTimeout, s.Defaults.StartTimeout} {
			if d != 0 && (d < time.Millisecond || d > maxMillis*time.Millisecond) {
				t.Errorf("a time of %s", d)
			}
		}
		if len(s.Hostname) > 64 {
			t.Errorf("a name of %d bytes", len(s.Hostname))
		}
		l := Default().Lifecycle
		s.Defaults.apply(&l, func(string) bool { return false })
		if l.RestartDelay > l.RestartDelayMax || l.StopTimeout <= 0 || l.StartTimeout <= 0 {
			t.Errorf("%+v", l)
		}
	})
}

// siderosExample is the example of the documentation of sideros-start.
const siderosExample = `
[init]
hostname = "sideros"

[defaults]
# Default restart delay
restart_delay = "5s"

# Default stop timeout
stop_timeout = "30s"

# Default start timeout
start_timeout = "60s"
`

// The directories of a server whose start.toml has this text, and a file of each kind.
func dirsWithStart(t *testing.T, start string) Dirs {
	t.Helper()
	dir := t.TempDir()
	d := Dirs{User: filepath.Join(dir, "services"), System: filepath.Join(dir, "system"), Start: filepath.Join(dir, "start.toml"), Cache: NewCache()}
	for _, path := range []string{d.User, d.System} {
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, d.Start, start)
	const head = "[service]\nname = \"NAME\"\nexec = \"/bin/true\"\n"
	for name, text := range map[string]string{
		"services/plain.toml": head,
		"services/says.toml":  head + "[service.timeout]\nstop = \"7s\"\nstart = \"8s\"\n[service.restart]\ndelay = \"9s\"\n",
		"services/zinit.toml": head + "[lifecycle]\nstop_timeout_ms = 10000\nrestart_delay_max_ms = 2000\n",
		"services/old.yaml":   "exec: /bin/true\n",
		"services/goal.toml":  "[target]\nname = \"goal\"\n",
		"system/own.toml":     head,
	} {
		base := strings.TrimSuffix(filepath.Base(name), ".toml")
		writeFile(t, filepath.Join(dir, name), strings.ReplaceAll(text, "NAME", base))
	}
	return d
}

// times is the three times of each service.
func times(t *testing.T, d Dirs) map[string]Defaults {
	t.Helper()
	set, err := LoadDirs(d)
	if err != nil || len(set.Services) != 6 {
		t.Fatal(err, set)
	}
	got := map[string]Defaults{}
	for _, s := range set.Services {
		l := s.Lifecycle
		got[s.Name] = Defaults{l.RestartDelay, l.StopTimeout, l.StartTimeout}
		if l.RestartDelayMax < l.RestartDelay {
			t.Errorf("%s: the delay %s is above its maximum %s", s.Name, l.RestartDelay, l.RestartDelayMax)
		}
	}
	return got
}

func TestDefaultsHoldForWhatFilesDoNotSay(t *testing.T) {
	const s = time.Second
	d := dirsWithStart(t, siderosExample)
	want := map[string]Defaults{
		"plain": {5 * s, 30 * s, 60 * s}, "says": {9 * s, 7 * s, 8 * s}, "zinit": {2 * s, 10 * s, 60 * s},
		"old": {2 * s, 10 * s, 30 * s}, "goal": {s, 10 * s, 30 * s}, "own": {s, 10 * s, 30 * s},
	}
	check := func(what string) {
		t.Helper()
		for name, got := range times(t, d) {
			if got != want[name] {
				t.Errorf("%s: %s has %v, want %v", what, name, got, want[name])
			}
		}
	}
	check("at first")
	check("again")
	next, err := DecodeCache(d.Cache.Encode("me"), "me")
	if err != nil {
		t.Fatal(err)
	}
	d.Cache = next
	check("by the next server")
	// Other defaults count from the next reload on, also for files that have not changed.
	writeFile(t, d.Start, "[defaults]\nrestart_delay = \"10m\"\nstop_timeout = \"soon\"\n")
	want["plain"], want["zinit"] = Defaults{600 * s, 10 * s, 30 * s}, Defaults{2 * s, 10 * s, 30 * s}
	check("after a change")
	set, err := LoadDirs(d)
	if err != nil {
		t.Fatal(err)
	}
	wrong := ""
	for _, p := range set.Problems {
		if p.File == d.Start {
			wrong += p.String() + p.Service
		}
	}
	if want := d.Start + `:3: defaults.stop_timeout: must be a duration such as "5s" or "1m30s", from 1 ms to 24 days, not "soon"`; wrong != want {
		t.Errorf("%s\nwant %s", wrong, want)
	}
	if _, problems := LoadStart(d.Start); len(problems) > 0 {
		t.Errorf("it is said twice: %v", problems)
	}
}

// What somebody sets over the wire counts, though it is what zinit has without the
// defaults; and what was converted says the same with them and without.
func TestDefaultsDoNotChangeWhatSomebodySays(t *testing.T) {
	d := dirsWithStart(t, siderosExample)
	given := d.DefaultsIn(d.User)
	if none := d.DefaultsIn(d.System); none != (Defaults{}) {
		t.Errorf("they hold for the system's, too: %+v", none)
	}
	path := filepath.Join(d.User, "plain.toml")
	s, problems := given.LoadFile(path)
	if s == nil || s.Lifecycle.StopTimeout != 30*time.Second {
		t.Fatal(s, problems)
	}
	for _, stop := range []time.Duration{10 * time.Second, 30 * time.Second, 31 * time.Second} {
		changed := *s
		changed.Lifecycle.StopTimeout = stop
		if _, _, err := given.Save(d.User, &changed); err != nil {
			t.Fatal(err)
		}
		if now, problems := given.LoadFile(path); now == nil || !now.Same(&changed) {
			t.Errorf("%s: %+v %v", stop, now, problems)
		}
	}
	for _, name := range []string{"plain", "says", "zinit"} {
		s, problems := given.LoadFile(filepath.Join(d.User, name+".toml"))
		if s == nil {
			t.Fatal(problems)
		}
		text, err := given.Brief(s)
		if err != nil {
			t.Fatal(name, err)
		}
		writeFile(t, path, string(text))
		for _, where := range []Defaults{given, {}} {
			if back, problems := where.LoadFile(path); back == nil || !back.Same(s) {
				t.Errorf("%s with %+v: %v\n%s", name, where, problems, text)
			}
		}
	}
}

// A file that cannot be used at all takes the defaults away, and somebody has to say so
// at a reload, too; its other tables are lost as well.
func TestAStartFileThatCannotBeUsedIsTold(t *testing.T) {
	for name, text := range map[string]string{
		"a header that is not closed": "[defaults]\nstop_timeout = \"3s\"\n[init\n",
		"a table twice":               "[defaults]\nstop_timeout = \"3s\"\n[init]\n[init]\n",
		"a text that is not closed":   "[init]\nhostname = \"a\"\n[defaults]\nstop_timeout = \"\"\"\n",
		"no text":                     "[defaults]\nstop_timeout = \"3s\"\x00\n",
	} {
		d := dirsWithStart(t, text)
		set, err := LoadDirs(d)
		if err != nil {
			t.Fatal(err)
		}
		told := slices.ContainsFunc(set.Problems, func(p Problem) bool { return p.File == d.Start && p.Severity == Error })
		if !told {
			t.Errorf("%s: a reload says %v", name, set.Problems)
		}
		if s, problems := LoadStart(d.Start); s != (Start{}) || len(problems) == 0 {
			t.Errorf("%s: the start says %v of %+v", name, problems, s)
		}
	}
}

// Only what takes the defaults is another one when they are.
func TestOtherDefaultsChangeWhatTakesThem(t *testing.T) {
	d := dirsWithStart(t, "[defaults]\nstop_timeout = \"3s\"\n")
	digests := func() map[string][32]byte {
		set, err := LoadDirs(d)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][32]byte{}
		for _, s := range set.Services {
			got[s.Name] = s.Digest
		}
		return got
	}
	before := digests()
	writeFile(t, d.Start, "[defaults]\nstop_timeout = \"4s\"\n")
	after := digests()
	for name, digest := range before {
		if changed := digest != after[name]; changed != (name == "plain") {
			t.Errorf("%s is changed: %v", name, changed)
		}
	}
}
