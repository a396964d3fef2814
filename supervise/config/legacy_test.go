package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// legacyPlain is what a file of zinit 0.2 says that has only exec: /bin/a.
func legacyPlain() *Service {
	s := Default()
	s.Name, s.Exec, s.Command, s.Dir = "svc", "/bin/a", Command{Argv: []string{"/bin/a"}}, "/"
	s.EnvFiles = []EnvFile{{"/etc/environment", true}}
	s.Logging.MarkStarts = true
	s.Lifecycle.Restart, s.Lifecycle.MaxRestarts = RestartAlways, 0
	s.Lifecycle.RestartDelay, s.Lifecycle.RestartDelayMax = 2*time.Second, 2*time.Second
	return s
}

func TestFilesOfZinit02(t *testing.T) {
	exec := func(s *Service, line string, argv ...string) { s.Exec, s.Command = line, Command{Argv: argv} }
	for _, c := range []struct {
		name, text string
		want       func(s *Service)
	}{
		{"exec alone", "exec: /bin/a\n", func(*Service) {}},
		{"no newline at the end", "exec: /bin/a", func(*Service) {}},
		{"exec is split by quotes, without a shell", `exec: sh -c 'zinit log > /dev/tty2'`,
			func(s *Service) {
				exec(s, `sh -c 'zinit log > /dev/tty2'`, "sh", "-c", "zinit log > /dev/tty2")
			}},
		{"what a shell would expand is text", `exec: /bin/a $HOME * | b`,
			func(s *Service) { exec(s, `/bin/a '$HOME' '*' '|' b`, "/bin/a", "$HOME", "*", "|", "b") }},
		{"a word of the shell is a program", "exec: if then else\n", func(s *Service) { exec(s, "'if' then else", "if", "then", "else") }},
		{"operators of the shell are text", `exec: /bin/a ~ && b`,
			func(s *Service) { exec(s, `/bin/a '~' '&&' b`, "/bin/a", "~", "&&", "b") }},
		{"colons and slashes", "exec: contd --broker unix:///var/run/redis.sock",
			func(s *Service) {
				exec(s, "contd --broker unix:///var/run/redis.sock", "contd", "--broker", "unix:///var/run/redis.sock")
			}},
		{"a literal block", "exec: |\n  sh -c '\n    a\n\n  b'\n",
			func(s *Service) { exec(s, "sh -c '\n  a\n\nb'", "sh", "-c", "\n  a\n\nb") }},
		{"a long line as the client folds it", "exec: ip netns exec public nnc\n  --target http://10.0.0.1:8080/path\n",
			func(s *Service) {
				exec(s, "ip netns exec public nnc --target http://10.0.0.1:8080/path", "ip", "netns", "exec", "public", "nnc", "--target", "http://10.0.0.1:8080/path")
			}},
		{"exec in quotes", `exec: "true"`, func(s *Service) { exec(s, "true", "true") }},
		{"a number", `exec: 5`, func(s *Service) { exec(s, "5", "5") }},
		{"oneshot", "exec: /bin/a\noneshot: true\n", func(s *Service) {
			s.Type, s.Lifecycle = TypeOneshot, Default().Lifecycle
		}},
		{"not oneshot", "exec: /bin/a\noneshot: false\n", func(*Service) {}},
		{"after", "exec: /bin/a\nafter:\n  # first\n  - boot\n  - net-1.x\n", func(s *Service) { s.Awaits = []string{"boot", "net-1.x"} }},
		{"nothing after", "exec: /bin/a\nafter: []\nenv: {}\n", func(*Service) {}},
		{"nothing at all", "exec: /bin/a\nafter:\nenv:\ntest:\ndir:\n", func(*Service) {}},
		{"a test", "exec: /bin/a\ntest: redis-cli -p 7 ping\n", func(s *Service) {
			s.Health = &Health{
				Kind: ProbeExec, Target: "redis-cli -p 7 ping", Command: Command{Argv: []string{"redis-cli", "-p", "7", "ping"}},
				ExpectStatus: 200, Interval: 2 * time.Second, Timeout: time.Minute, Retries: 3, ReportOnly: true, Once: true,
			}
			s.Lifecycle.StartTimeout = 24 * 24 * time.Hour
		}},
		{"a signal", "exec: /bin/a\nsignal:\n  stop: SIGKILL\n", func(s *Service) { s.Lifecycle.StopSignal = 9 }},
		{"a signal in lower case", "exec: /bin/a\nsignal:\n  stop: sigint\n", func(s *Service) { s.Lifecycle.StopSignal = 2 }},
		{"log ring", "exec: /bin/a\nlog: ring\n", func(s *Service) { s.Logging.Chosen = true }},
		{"log stdout", "exec: /bin/a\nlog: stdout # to see them\n", func(s *Service) { s.Logging.Chosen, s.Logging.Stdout, s.Logging.MarkStarts = true, true, false }},
		{"log none", "exec: /bin/a\nlog: none\n", func(s *Service) { s.Logging.Chosen, s.Logging.None, s.Logging.MarkStarts = true, true, false }},
		{"log null, as its documentation has it", "exec: /bin/a\nlog: null\n", func(s *Service) { s.Logging.Chosen, s.Logging.None, s.Logging.MarkStarts = true, true, false }},
		{"env", "exec: /bin/a\nenv:\n  B: 5\n  \"N\": true\n  A: two words\n  E: \"\"\n",
			func(s *Service) { s.Env = []string{"A=two words", "B=5", "E=", "N=true"} }},
		{"environ, as an early text has it", "exec: /bin/a\nenviron:\n  KEY-1: VALUE-1\n", func(s *Service) { s.Env = []string{"KEY-1=VALUE-1"} }},
		{"dir", "exec: /bin/a\ndir: /srv\n", func(s *Service) { s.Dir = "/srv" }},
		{"shutdown_timeout", "exec: /bin/a\nshutdown_timeout: 60\n", func(s *Service) { s.Lifecycle.StopTimeout = time.Minute }},
		{"no time at all", "exec: /bin/a\nshutdown_timeout: 0\n", func(s *Service) { s.Lifecycle.StopTimeout = time.Millisecond }},
		{"what its client writes", "exec: /bin/a\noneshot: true\nafter:\n- boot\nenv:\n  Q: 'a''b\"c: d'\n  T: \"tab\\there\"\nlog: ring\n", func(s *Service) {
			s.Type, s.Lifecycle = TypeOneshot, Default().Lifecycle
			s.Logging.Chosen = true
			s.Awaits, s.Env = []string{"boot"}, []string{`Q=a'b"c: d`, "T=tab\there"}
		}},
	} {
		want := legacyPlain()
		c.want(want)
		got, problems := Parse("/etc/zinit/svc.yaml", []byte(c.text))
		if got == nil || len(problems) > 0 {
			t.Errorf("%s: %v", c.name, problems)
			continue
		}
		want.Source, want.Digest = got.Source, got.Digest
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", c.name, got, want)
		}
		if back, problems := Parse("svc.toml", Render(got)); back == nil || !back.Same(got) {
			t.Errorf("%s: as TOML it is another service: %v\n%s", c.name, problems, Render(got))
		}
	}
}

func TestProblemsOfFilesOfZinit02(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "x.yaml: exec: missing exec directive: write exec: /path/of/program"},
		{"an empty map", "{}\n", "x.yaml: exec: missing exec directive: write exec: /path/of/program"},
		{"exec of blanks", "exec: ' '\n", "x.yaml:1: exec: missing exec directive: write exec: /path/of/program"},
		{"another file", "- a\n- b\n", "x.yaml:1: is a list and no service: write keys, such as exec: /path/of/program"},
		{"a text", "hello\n", "x.yaml:1: is 'hello' and no service: write keys, such as exec: /path/of/program"},
		{"no YAML", "exec: a\n  b: c: d\n", "x.yaml:2: mapping values are not allowed in this context: check indentation, colons and quotes"},
		{"a word of YAML 1.1", "exec: a\noneshot: yes\n", "x.yaml:2: oneshot: must be true or false, not 'yes'"},
		{"a flag in quotes", "exec: a\noneshot: \"true\"\n", "x.yaml:2: oneshot: must be true or false, not 'true'"},
		{"an open quote", "exec: \"sh -c 'a\"\n", "x.yaml:1: exec: a quote is never closed, or a backslash stands at the end: add the second quote, or write the whole in one more pair"},
		{"a list as exec", "exec: [a, b]\n", "x.yaml:1: exec: must be a text, not a list"},
		{"one name after", "exec: a\nafter: boot\n", "x.yaml:2: after: must be a list, not 'boot': write each name below it, behind a dash"},
		{"a bad name after", "exec: a\nafter:\n  - ok\n  - a b\n", "x.yaml:4: after: contains invalid name 'a b': names have letters, digits, dashes, underscores and dots"},
		{"after itself", "exec: a\nafter: [x]\n", "x.yaml:2: after: a service cannot wait for itself: remove 'x'"},
		{"a short signal", "exec: a\nsignal:\n  stop: TERM\n", "x.yaml:3: signal.stop: 'TERM' is not the full name of a signal: write SIGTERM"},
		{"an unknown signal", "exec: a\nsignal:\n  stop: SIGTREM\n", "x.yaml:3: signal.stop: 'SIGTREM' is not a valid signal: did you mean SIGTERM?"},
		{"a word as signal", "exec: a\nsignal: SIGTERM\n", "x.yaml:2: signal: must be a map, not 'SIGTERM': write stop: SIGTERM below it, indented"},
		{"a log that there is not", "exec: a\nlog: syslog\n", "x.yaml:2: log: 'syslog' is none of ring, stdout, none"},
		{"a list as env", "exec: a\nenv:\n  - A=1\n", "x.yaml:2: env: must be a map, not a list: write NAME: value below it, indented"},
		{"a map in env", "exec: a\nenv:\n  A: {b: c}\n", "x.yaml:3: env.A: must be a text, not a map"},
		{"two spellings", "exec: a\nenv: {A: 1}\nenviron: {B: 1}\n", "x.yaml:3: environ: means the same as env in line 2: remove one"},
		{"a timeout with a unit", "exec: a\nshutdown_timeout: 10s\n", "x.yaml:2: shutdown_timeout: must be a number of seconds, not '10s'"},
		{"a negative timeout", "exec: a\nshutdown_timeout: -1\n", "x.yaml:2: shutdown_timeout: must be a number of seconds, not '-1'"},
		{"an age", "exec: a\nshutdown_timeout: 9999999\n", "x.yaml:2: shutdown_timeout: 9999999 is too large: write at most 2073600, which are 24 days"},
		{"NUL", "exec: \"a\\0b\"\n", "x.yaml:1: exec: holds a NUL character: remove it"},
		{"an unknown key", "exec: a\nafer: []\n", "x.yaml:2: afer: warning: is not a key of zinit 0.2 and is ignored: did you mean after?"},
		{"a test of a oneshot", "exec: a\noneshot: true\ntest: b\n", "x.yaml:3: test: warning: is not run for a oneshot, which is up when it has ended with code 0: remove it"},
		{"several at once", "oneshot: 1\nlog: x\n", "x.yaml: exec: missing exec directive: write exec: /path/of/program; " +
			"x.yaml:1: oneshot: must be true or false, not '1'; x.yaml:2: log: 'x' is none of ring, stdout, none"},
	} {
		s, problems := Parse("x.yaml", []byte(c.text))
		var got []string
		bad := false
		for _, p := range problems {
			got, bad = append(got, p.String()), bad || p.Severity == Error
		}
		if strings.Join(got, "; ") != c.want || bad != (s == nil) {
			t.Errorf("%s: %v, %s\nwant %s", c.name, s, strings.Join(got, "; "), c.want)
		}
	}
}

func TestTheNameIsThatOfTheFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"b.yaml", "nnc-1.x.yaml", "sp ace.yaml", "c.yml", "notes.txt", ".#lock.yaml"} {
		writeFile(t, at(name), "exec: /bin/a\n")
	}
	writeFile(t, at("twice.yaml"), "exec: /bin/a\n")
	writeFile(t, at("any.toml"), serviceText("twice"))
	for name, to := range map[string]string{"link.yaml": at("notes.txt"), "gone.yaml": at("nowhere")} {
		if err := os.Symlink(to, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	set, err := LoadDir(dir)
	if err != nil || fmt.Sprint(names(set)) != "[b link nnc-1.x]" {
		t.Fatal(err, names(set), set.Problems)
	}
	if p := problemOf(t, set, "sp ace.yaml"); p.Severity != Error || p.Service != "sp ace" ||
		!strings.HasPrefix(p.Message, "the name of the service is that of the file, and 'sp ace' contains invalid characters") {
		t.Errorf("%+v", p)
	}
	if p := problemOf(t, set, "gone.yaml"); p.Severity != Warning || !strings.Contains(p.Message, "does not exist") {
		t.Errorf("%+v", p)
	}
	for file, other := range map[string]string{"twice.yaml": "any.toml", "any.toml": "twice.yaml"} {
		if p := problemOf(t, set, file); p.Severity != Error || !strings.Contains(p.String(), at(other)) || !strings.HasPrefix(p.File, dir) {
			t.Errorf("%+v", p)
		}
	}
}

// Only the YAML files of the directory of zinit 0.2 count, and the user's come first.
func TestTheDirectoryOfZinit02(t *testing.T) {
	legacy, user := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(legacy, "a.yaml"), "exec: /bin/a\n")
	writeFile(t, filepath.Join(legacy, "both.yaml"), "exec: /bin/a\n")
	writeFile(t, filepath.Join(legacy, "other.toml"), serviceText("other"))
	writeFile(t, filepath.Join(user, "both.toml"), serviceText("both"))
	set, err := LoadDirs(Dirs{User: user, Legacy: legacy})
	if err != nil || fmt.Sprint(names(set)) != "[both a]" {
		t.Fatal(err, names(set))
	}
	if p := problemOf(t, set, "both.yaml"); p.Severity != Warning || !strings.Contains(p.Message, "shadowed by "+filepath.Join(user, "both.toml")) {
		t.Errorf("%+v", p)
	}
	if set, err = LoadDirs(Dirs{User: user, Legacy: filepath.Join(legacy, "none")}); err != nil || len(set.Problems) > 0 {
		t.Error(err, set)
	}
}

func TestAFileOfZinit02IsNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "web.yaml"), "exec: /bin/a\n")
	path, _, err := Save(dir, legacyNamed("web"))
	if err == nil || path != filepath.Join(dir, "web.yaml") || !strings.Contains(err.Error(), "zinit convert") {
		t.Errorf("%s %v", path, err)
	}
	if path, err := Unlink(dir, "web"); err != nil || filepath.Base(path) != "web.yaml" {
		t.Errorf("%s %v", path, err)
	}
}

func legacyNamed(name string) *Service {
	s := legacyPlain()
	s.Name = name
	return s
}

func FuzzLegacy(f *testing.F) {
	for _, text := range []string{
		"exec: a b\ntest: c\nafter: [d]\n", "exec: |\n  sh -c '$A'\nenv: {B: 1}\n", "exec: a\nsignal: {stop: SIGINT}\nlog: null\n",
		"exec: 'exec a'\noneshot: true\nshutdown_timeout: 5\n", "exec: \"A=1 b\"\ndir: x\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, problems := Parse("svc.yaml", text)
		bad := slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == Error })
		if bad != (s == nil) {
			t.Fatalf("%v %v", s, problems)
		}
		if s == nil || isBuiltin(s.Command.Argv[0]) || s.Health != nil && isBuiltin(s.Health.Command.Argv[0]) {
			return // those TOML can only mean in another way
		}
		if back, problems := Parse("svc.toml", Render(s)); back == nil || !back.Same(s) {
			t.Fatalf("as TOML it is another service: %v\n%s\n%+v\n%+v", problems, Render(s), s, back)
		}
	})
}

// Files of all dialects lie in one directory; those that name the same service are not
// loaded, and each message names the other files.
func TestFilesOfAllDialectsLieInOneDirectory(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"old.yaml":     "exec: /bin/true\n",
		"new.toml":     "[service]\nname = \"new\"\nexec = \"/bin/true\"\n[lifecycle]\nrestart = \"always\"\n",
		"sideros.toml": "[service]\nname = \"sideros\"\nexec = \"/bin/true\"\n[service.restart]\npolicy = \"no\"\n",
		"web.yaml":     "exec: /bin/true\n",
		"web.toml":     "[service]\nname = \"web\"\nexec = \"/bin/true\"\n",
		"www.toml":     "[service]\nname = \"web\"\nexec = \"/bin/true\"\n[service.restart]\npolicy = \"no\"\n",
	} {
		writeFile(t, filepath.Join(dir, name), text)
	}
	set, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range set.Services {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"new", "old", "sideros"}) {
		t.Error(names)
	}
	twins := []string{"web.toml", "web.yaml", "www.toml"}
	if len(set.Problems) != len(twins) {
		t.Fatal(set.Problems)
	}
	for i, p := range set.Problems {
		for _, twin := range twins {
			if p.Severity != Error || filepath.Base(p.File) != twins[i] || !strings.Contains(p.String(), filepath.Join(dir, twin)) {
				t.Errorf("%s does not name %s", p, twin)
			}
		}
	}
}
