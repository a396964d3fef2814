package config

import (
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"zinit/supervise/config/words"
	"zinit/supervise/config/yaml"
)

// yamlSuffix is how names of files of zinit 0.2 end; .yml never was one.
const yamlSuffix = ".yaml"

// isYAML tells whether the file at path is one of zinit 0.2.
func isYAML(path string) bool { return strings.HasSuffix(path, yamlSuffix) }

// IsLegacy reports a service that is described by a YAML file of zinit 0.2, whose rules
// hold for it where they differ.
func (s *Service) IsLegacy() bool { return isYAML(s.Source) }

const (
	// legacyDelay is how long zinit 0.2 waits before a restart, and between two
	// runs of a test.
	legacyDelay = 2 * time.Second
	// legacyTestTimeout: zinit 0.2 has none, and a test that hangs keeps it waiting.
	legacyTestTimeout = time.Minute
	// legacyPatience: a test is repeated until it passes.
	legacyPatience = maxMillis * time.Millisecond
	// legacyEnvFile is read for every service of zinit 0.2.
	legacyEnvFile = "/etc/environment"
)

// newLegacy is a service of zinit 0.2 that says nothing.
func newLegacy(name string) *Service {
	s := Default()
	s.Name, s.Dir = name, "/"
	s.EnvFiles = []EnvFile{{legacyEnvFile, true}}
	return s
}

// readLegacy reads a YAML file of zinit 0.2. The service has the name of the file.
func (f *file) readLegacy(text []byte) *Service {
	root, err := yaml.Parse(text)
	var wrong *yaml.Error
	if errors.As(err, &wrong) {
		f.report(Error, wrong.Line, "", "%s", wrong.Message)
		return nil
	}
	s := newLegacy(f.name)
	if err := CheckName(f.name); err != nil {
		f.report(Error, 0, "", "the name of the service is that of the file, and %v", err)
	}
	switch root.Kind {
	case yaml.Null:
	case yaml.Map:
		for _, p := range root.Pairs {
			f.legacyKey(s, p.Key, legacyValue{f, p.Key, p.Line, p.Value})
		}
	default:
		f.report(Error, root.Line, "", "is %s and no service: write keys, such as exec: /path/of/program", describeYAML(root))
		return nil
	}
	f.checkLegacy(s)
	return s
}

// legacyKeys are the keys of a file, in the order of the documentation.
var legacyKeys = [...]string{"exec", "test", "oneshot", "after", "env", "environ", "log", "dir", "signal", "shutdown_timeout"}

func (f *file) legacyKey(s *Service, key string, v legacyValue) {
	if key == "environ" {
		if line := f.lines["env"]; line > 0 {
			f.report(Error, v.line, key, "means the same as env in line %d: remove one", line)
			return
		}
		key = "env"
	} else if line := f.lines["env"]; key == "env" && line > 0 {
		f.report(Error, v.line, key, "means the same as environ in line %d: remove one", line)
		return
	}
	f.lines[key] = v.line
	switch key {
	case "exec":
		s.Exec, s.Command = v.command()
	case "test":
		v.test(s)
	case "oneshot":
		if v.flag() {
			s.Type = TypeOneshot
		}
	case "after":
		s.Awaits = v.names()
	case "env":
		s.Env = v.env()
	case "log":
		v.log(s)
	case "dir":
		v.dir(s)
	case "signal":
		v.signals(s)
	case "shutdown_timeout":
		v.timeout(s)
	default:
		hint := "remove it"
		if near := Nearest(key, legacyKeys[:]); near != "" {
			hint = "did you mean " + near + "?"
		}
		f.report(Warning, v.line, key, "is not a key of zinit 0.2 and is ignored: %s", hint)
	}
}

// checkLegacy looks at what must be there, and sets what depends on several keys.
func (f *file) checkLegacy(s *Service) {
	if f.lines["exec"] == 0 {
		f.report(Error, 0, "exec", "missing exec directive: write exec: /path/of/program")
	}
	if slices.Contains(s.Awaits, s.Name) {
		f.report(Error, f.lines["after"], "after", "a service cannot wait for itself: remove %s", quoted(s.Name))
	}
	s.Logging.MarkStarts = !s.Logging.Stdout && !s.Logging.None
	if s.Oneshot() {
		if s.Health != nil {
			f.report(Warning, f.lines["test"], "test", "is not run for a oneshot, which is up when it has ended with code 0: remove it")
			s.Health = nil
		}
		return
	}
	l := &s.Lifecycle
	l.Restart, l.RestartDelay, l.RestartDelayMax, l.MaxRestarts = RestartAlways, legacyDelay, legacyDelay, 0
	if s.Health != nil {
		l.StartTimeout = legacyPatience
	}
}

// legacyName is the name of the service that the YAML file at path describes.
func legacyName(path string) string { return strings.TrimSuffix(filepath.Base(path), yamlSuffix) }

// legacyValue is a value of a YAML file on its way into a Service.
type legacyValue struct {
	file  *file
	key   string
	line  int
	value yaml.Value
}

func (v legacyValue) fail(format string, args ...any) {
	v.file.report(Error, v.line, v.key, format, args...)
}

// text takes a scalar, as it is written.
func (v legacyValue) text() (string, bool) {
	switch {
	case v.value.Kind >= yaml.List:
		v.fail("must be a text, not %s", describeYAML(v.value))
	case strings.IndexByte(v.value.Text, 0) >= 0:
		v.fail("holds a NUL character: remove it")
	case v.value.Kind == yaml.Null:
		return "", true
	default:
		return v.value.Text, true
	}
	return "", false
}

// command takes a command line, and splits it as zinit 0.2 does. What it returns as
// a text is a line that a TOML file has for the same command.
func (v legacyValue) command() (line string, c Command) {
	text, ok := v.text()
	if !ok {
		return "", Command{}
	}
	argv, err := words.Split(text)
	switch {
	case err != nil:
		v.fail("%v: add the second quote, or write the whole in one more pair", err)
	case len(argv) == 0 && v.key == "exec":
		v.fail("missing exec directive: write exec: /path/of/program")
	case len(argv) == 0:
		return "", Command{}
	case argv[0] == "":
		v.fail("begins with an empty word: write the program there")
	default:
		c = Command{Argv: argv}
		return lineFor(strings.TrimSpace(text), argv), c
	}
	return "", Command{}
}

// lineFor is the text that SplitCommand splits into these words: as it was written,
// if that is so.
func lineFor(text string, argv []string) string {
	there := func(string) bool { return true }
	if c, err := SplitCommandWith(text, there); err == nil && !c.Shell && slices.Equal(c.Argv, argv) {
		return text
	}
	line := words.Join(argv)
	if c, err := SplitCommandWith(line, there); err == nil && c.Shell {
		// It begins with a word of the shell, which quotes make one of many.
		line = "'" + argv[0] + "' " + words.Join(argv[1:])
	}
	return line
}

// test takes the command that tells whether a service is up: it is repeated until it
// passes, and never run after that.
func (v legacyValue) test(s *Service) {
	line, c := v.command()
	if line == "" {
		return
	}
	s.Health = newHealth()
	h := s.Health
	h.Kind, h.Target, h.Command = ProbeExec, line, c
	h.Interval, h.Timeout, h.ReportOnly, h.Once = legacyDelay, legacyTestTimeout, true, true
}

func (v legacyValue) flag() bool {
	if v.value.Kind != yaml.Bool {
		v.fail("must be true or false, not %s", describeYAML(v.value))
	}
	return strings.EqualFold(v.value.Text, "true")
}

func (v legacyValue) names() []string {
	var names []string
	for _, item := range v.list() {
		e := legacyValue{v.file, v.key, item.Line, item}
		name, ok := e.text()
		switch {
		case !ok:
		case CheckName(name) != nil:
			e.fail("contains invalid name %s: names have letters, digits, dashes, underscores and dots", quoted(name))
		case slices.Contains(names, name):
			v.file.report(Warning, e.line, e.key, "names %s twice: remove one", name)
		default:
			names = append(names, name)
		}
	}
	return names
}

// list takes a list; nothing is an empty one.
func (v legacyValue) list() []yaml.Value {
	if v.value.Kind != yaml.List && v.value.Kind != yaml.Null {
		v.fail("must be a list, not %s: write each name below it, behind a dash", describeYAML(v.value))
	}
	return v.value.Items
}

// pairs takes a map; nothing is an empty one.
func (v legacyValue) pairs(example string) []yaml.Pair {
	if v.value.Kind != yaml.Map && v.value.Kind != yaml.Null {
		v.fail("must be a map, not %s: write %s below it, indented", describeYAML(v.value), example)
	}
	return v.value.Pairs
}

// env takes variables, whatever their values look like.
func (v legacyValue) env() []string {
	var env []string
	for _, p := range v.pairs("NAME: value") {
		e := legacyValue{v.file, v.key + "." + p.Key, p.Line, p.Value}
		text, ok := e.text()
		switch {
		case !ok:
		case p.Key == "" || strings.ContainsAny(p.Key, "=\x00"):
			e.fail("%s cannot be the name of a variable: remove the =", quoted(p.Key))
		default:
			env = append(env, p.Key+"="+text)
		}
	}
	slices.SortFunc(env, byVariable)
	return env
}

// byVariable orders NAME=VALUE by name.
func byVariable(a, b string) int {
	a, _, _ = strings.Cut(a, "=")
	b, _, _ = strings.Cut(b, "=")
	return strings.Compare(a, b)
}

func (v legacyValue) log(s *Service) {
	text, ok := v.text()
	s.Logging.Chosen = true
	switch {
	case !ok, text == "ring":
	case text == "stdout":
		s.Logging.Stdout = true
	case text == "none", v.value.Kind == yaml.Null:
		s.Logging.None = true
	default:
		v.fail("%s is none of ring, stdout, none", quoted(text))
	}
}

func (v legacyValue) dir(s *Service) {
	if text, ok := v.text(); ok && text != "" {
		s.Dir = filepath.Join("/", text)
	}
}

func (v legacyValue) signals(s *Service) {
	for _, p := range v.pairs("stop: SIGTERM") {
		e := legacyValue{v.file, v.key + "." + p.Key, p.Line, p.Value}
		if p.Key != "stop" {
			v.file.report(Warning, e.line, e.key, "is not a key of zinit 0.2 and is ignored: write stop")
			continue
		}
		text, ok := e.text()
		sig, err := ParseSignal(text)
		switch {
		case !ok:
		case err != nil:
			e.fail("%v", err)
		case !strings.HasPrefix(strings.ToUpper(text), "SIG"):
			e.fail("%s is not the full name of a signal: write %s", quoted(text), SignalName(sig))
		default:
			s.Lifecycle.StopSignal = sig
		}
	}
}

func (v legacyValue) timeout(s *Service) {
	n, err := strconv.ParseUint(v.value.Text, 10, 64)
	switch {
	case v.value.Kind != yaml.Other || err != nil:
		v.fail("must be a number of seconds, not %s", describeYAML(v.value))
	case n > maxMillis/1000:
		v.fail("%d is too large: write at most %d, which are 24 days", n, maxMillis/1000)
	default:
		s.Lifecycle.StopTimeout = max(time.Duration(n)*time.Second, time.Millisecond)
	}
}

// describeYAML names a value for a message.
func describeYAML(v yaml.Value) string {
	switch v.Kind {
	case yaml.Null:
		return "nothing"
	case yaml.List:
		return "a list"
	case yaml.Map:
		return "a map"
	}
	return quoted(v.Text)
}
