package config

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"
	"unicode"
)

const (
	defaultBufferBytes = 4 << 20
	minBufferBytes     = 4 << 10 // a page: less holds no useful log
	defaultStatus      = 200     // of a health check by http
)

// Parse reads the text of one file: YAML of zinit 0.2 when path ends in .yaml, a unit of
// systemd when it ends in .service, and TOML otherwise. For the rest path is only used for messages, and for the name of a
// service that does not tell its own. The service is nil
// when there is an Error among the problems; problems are sorted by line.
func Parse(path string, text []byte) (*Service, []Problem) {
	l := parse(path, text, Defaults{})
	return l.onlyService()
}

// file is one file on its way into a Service.
type file struct {
	path       string
	given      Defaults // for what it does not say
	taken      Defaults // those of them that count for it
	text       []byte
	guard      *guard // nil: it is no TOML, or nothing can be done with it
	findings   []finding
	refused    []string       // keys that the guard left out
	lines      map[string]int // of the keys that are given, and of the tables
	name       string         // the service concerned, for problems
	more       bool           // findings than maxProblems
	failed     bool
	probeKnown bool   // health.type is given and good
	wire       bool   // it is JSON and no file
	found      *Proxy // what it describes instead of a service

	oneshot      bool // service.oneshot is given and true
	typeUnknown  bool // service.type is given and wrong
	stdinUnknown bool // service.stdin is given and wrong
	hooks        []pending
	socketParts  []*tomlTable // the tables of [socket] or [[socket]]
}

func parse(path string, text []byte, given Defaults) loaded {
	return newFile(path, text, given).parse()
}

// newFile takes in a text as far as that goes without the decoder.
func newFile(path string, text []byte, given Defaults) *file {
	f := &file{path: path, given: given, text: text, name: baseName(path), lines: make(map[string]int, 16)}
	if !isYAML(path) && !isUnit(path) {
		f.examine()
	}
	return f
}

func (f *file) parse() loaded {
	var s *Service
	switch {
	case isYAML(f.path):
		s = f.readLegacy(f.text)
	case isUnit(f.path):
		s = f.readUnit(f.text)
	case f.guard != nil:
		s = f.read()
	}
	if f.failed || s == nil {
		s = nil
	} else {
		s.Source, s.Digest = f.path, sha256.Sum256(f.taken.with(f.text))
	}
	if f.found != nil && f.failed {
		f.found = &Proxy{} // a file of a proxy, but not a good one
	}
	return loaded{path: f.path, service: s, proxy: f.found, nameLine: f.nameLine(), problems: f.problems()}
}

func (f *file) nameLine() int { return max(f.lines["service.name"], f.lines["target.name"]) }

// examine has the guard look at the text.
func (f *file) examine() {
	g, bad := newGuard(f.text)
	if g == nil {
		f.add(bad...)
		return
	}
	g.run()
	f.add(g.findings...)
	f.refused = g.refused
	if CheckName(g.name) == nil {
		f.name = g.name
	}
	if !g.fatal {
		f.guard = g
	}
}

// read takes what the guard has let through; it returns nil where nothing can be done
// further.
func (f *file) read() *Service {
	root, wrong := f.guard.decode()
	if wrong != nil {
		f.add(*wrong)
		return nil
	}
	if t, is := proxyTable(root); is {
		f.name = "" // its problems are no service's
		f.found = f.proxy(t)
		return nil
	}
	if !f.mentions(root, "service") && isStart(f.guard.topNames()) {
		f.report(Error, 0, "", "is the start.toml of sideros-start and describes no service: keep it apart from the services; zinit check FILE examines it")
		return nil
	}
	return f.service(root)
}

func (f *file) add(findings ...finding) {
	for _, x := range findings {
		f.report(x.severity, x.line, x.key, "%s", x.message)
	}
}

func (f *file) report(severity Severity, line int, key, format string, args ...any) {
	if len(f.findings) >= maxProblems {
		f.more = true
	} else {
		f.findings = append(f.findings, finding{line, printable(key, 100), severity, printable(fmt.Sprintf(format, args...), 1000)})
	}
	f.failed = f.failed || severity == Error
}

// problems returns the findings by line; those of one line keep their order.
func (f *file) problems() []Problem {
	sort.SliceStable(f.findings, func(i, j int) bool { return f.findings[i].line < f.findings[j].line })
	var problems []Problem
	for _, x := range f.findings {
		problems = append(problems, Problem{
			File: f.path, Line: x.line, Key: x.key, Service: f.name, Severity: x.severity, Message: x.message,
		})
	}
	if f.more {
		p := Problem{File: f.path, Service: f.name, Severity: Warning, Message: "there are more problems than these: mend them first"}
		if f.failed {
			p.Severity = Error
		}
		problems = append(problems, p)
	}
	return problems
}

// Default is a service that has every default. It is not valid before it has a name
// and a command.
func Default() *Service {
	return &Service{
		Lifecycle: Lifecycle{
			RestartDelay: time.Second, RestartDelayMax: 5 * time.Minute, MaxRestarts: 10,
			StabilityPeriod: 30 * time.Second, StartTimeout: 30 * time.Second, StopTimeout: 10 * time.Second,
			StopSignal: defaultStopSignal, HookTimeout: 30 * time.Second,
		},
		Logging:    Logging{BufferLines: 1000, BufferBytes: defaultBufferBytes, FileKeep: 5},
		InheritEnv: true, ReloadSignal: defaultReloadSignal,
	}
}

func newHealth() *Health {
	return &Health{ExpectStatus: defaultStatus, Interval: 10 * time.Second, Timeout: 5 * time.Second, Retries: 3}
}

// service reads the tables of a file that could be decoded.
func (f *file) service(root *tomlTable) *Service {
	s := Default()
	if !f.wire {
		f.sideros(root)
	}
	tables := f.tables(root)
	switch {
	case tables["service"] != nil:
		if t := tables["target"]; t != nil {
			f.report(Warning, t.line, "target", "is ignored because there is a [service] too: give it a file of its own")
		}
	case tables["target"] != nil:
		s.Target = true
	case !f.mentions(root, "service") && !f.mentions(root, "target"):
		f.report(Error, 0, "", "there is no [service] and no [target]: begin the file with [service]")
	}
	for i := range sections {
		sec := &sections[i]
		t := tables[sec.name]
		switch {
		case t == nil || s.Target && sec.name == "service" || !s.Target && sec.name == "target":
		case s.Target && sec.ours:
			f.report(Error, t.line, sec.name, noProcess)
		case s.Target && !sec.target:
			f.report(Warning, t.line, sec.name, "has no effect: a target has no process, remove it")
		default:
			switch sec.name {
			case "health":
				s.Health = newHealth()
			case "timer":
				s.Timer = &Timer{}
			case "socket":
				f.sockets(s, sec, f.socketParts)
				continue
			}
			f.section(s, sec, t)
		}
	}
	if !s.Target {
		f.taken = f.given.apply(&s.Lifecycle, func(key string) bool { return f.lines["lifecycle."+key] > 0 })
	}
	f.check(s, tables)
	return s
}

// mentions tells whether the file has a key or table of that name at its top,
// even a wrong one: then that was reported, and nothing is missing.
func (f *file) mentions(root *tomlTable, name string) bool {
	return slices.Contains(f.refused, name) ||
		slices.ContainsFunc(root.entries, func(e tomlEntry) bool { return e.key == name })
}

// tables finds the tables of the sections at the top level, and reports what else
// stands there.
func (f *file) tables(root *tomlTable) map[string]*tomlTable {
	found := make(map[string]*tomlTable, len(sections))
	for _, e := range root.entries {
		table, isTable := e.value.(*tomlTable)
		known := sectionNamed(e.key) != nil && !(f.wire && e.key == "target")
		list, many := e.value.([]*tomlTable)
		if e.key == "socket" && isTable {
			list = []*tomlTable{table}
		}
		switch {
		case e.key == "socket" && len(list) > 0:
			found[e.key], f.socketParts = list[0], list
			f.lines[e.key] = list[0].line
		case known && isTable:
			found[e.key] = table
			f.lines[e.key] = table.line
		case known && many:
			f.report(Error, e.line, e.key, "stands in double brackets: write [%s], one service to a file", e.key)
		case known:
			f.report(Error, e.line, e.key, "is a table: write a line with [%s] and its keys below", e.key)
		default:
			f.unknownTop(e, isTable || many)
		}
	}
	return found
}

func (f *file) unknownTop(e tomlEntry, table bool) {
	if yes, refuse := isPlanned(e.key, ""); yes && table {
		f.notYet(e.line, e.key, "["+e.key+"]", refuse)
		return
	}
	if e.key == "xinet" && !f.wire {
		f.report(Warning, e.line, e.key, "is ignored beside a service: move [xinet] to a file of its own")
		return
	}
	if f.wire {
		f.report(Warning, e.line, e.key, "is no part of a service and is ignored: remove it")
		return
	}
	if !table {
		hint := "put it below [service]"
		if home := homeOf(e.key); home != "" {
			hint = "put it below [" + home + "]"
		}
		f.report(Warning, e.line, e.key, "stands above every table and is ignored: %s", hint)
		return
	}
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	hint := "remove it"
	if near := Nearest(e.key, names); near != "" {
		hint = "did you mean [" + near + "]?"
	}
	f.report(Warning, e.line, e.key, "[%s] is not a table of a service file: %s", e.key, hint)
}

// notYet reports a key or table of a later version.
func (f *file) notYet(line int, key, what string, refuse bool) {
	if refuse {
		f.report(Error, line, key, "%s is not supported by this version: remove it or run the service in another way", what)
	} else {
		f.report(Warning, line, key, "this version has no %s yet: it is ignored", what)
	}
}

// homeOf is the section that has a key of this name, or "".
func homeOf(name string) string {
	for _, s := range sections {
		for _, k := range s.keys {
			if !k.wire && (k.name == name || k.also == name) {
				return s.name
			}
		}
	}
	return ""
}

// section hands the keys of a table to their setters.
func (f *file) section(s *Service, sec *section, t *tomlTable) {
	for _, e := range t.entries {
		full := sec.name + "." + e.key
		k := sec.find(e.key)
		if k == nil || k.wire && !f.wire {
			f.unknownKey(sec, e)
			continue
		}
		name := sec.name + "." + k.name
		if before := f.lines[name]; before > 0 {
			f.report(Error, e.line, full, "means the same as the other spelling in line %d (%s and %s): remove one", before, k.name, k.also)
			continue
		}
		f.lines[name] = e.line
		k.set(s, value{f, k, full, e})
	}
}

// noProcess is what is wrong with a target that has more than names.
const noProcess = "is not for a target, which has no process: remove it, or write [service] with an exec"

func (f *file) unknownKey(sec *section, e tomlEntry) {
	full := sec.name + "." + e.key
	if k := sectionNamed("service").find(e.key); sec.name == "target" && k != nil && k.ours {
		f.report(Error, e.line, full, noProcess)
		return
	}
	if yes, refuse := isPlanned(sec.name, e.key); yes {
		f.notYet(e.line, full, e.key, refuse)
		return
	}
	var names []string
	for _, k := range sec.keys {
		if !k.wire {
			names = append(names, k.name)
		}
	}
	hint := "remove it"
	near := Nearest(e.key, names)
	if meant := otherWord(e.key); near == "" && slices.Contains(names, meant) {
		near = meant
	}
	home := homeOf(e.key)
	switch {
	case home != "" && home != "target":
		hint = "put it below [" + home + "]"
	case near != "":
		hint = "did you mean " + near + "?"
	default:
		for i := range sections {
			if sections[i].name == e.key {
				hint = "write [" + e.key + "] as a table of its own"
			}
		}
	}
	f.report(Warning, e.line, full, "%s is not a key of [%s]: %s", e.key, sec.name, hint)
}

// otherWord is our name for what other supervisors call word.
func otherWord(word string) string {
	switch strings.ToLower(word) {
	case "command", "cmd", "execstart", "run", "start":
		return "exec"
	case "cwd", "chdir", "workdir", "working_directory", "workingdirectory":
		return "dir"
	case "environment", "environ":
		return "env"
	case "depends", "depends_on", "needs":
		return "requires"
	case "url", "address":
		return "target"
	}
	return ""
}

// setName takes service.name and target.name.
func setName(s *Service, v value) {
	name, ok := v.text()
	if !ok {
		return
	}
	if err := CheckName(name); err != nil {
		v.fail("%s %v", v.key, err)
		return
	}
	s.Name = name
}

// names takes a list of names of services, each of them once.
func (v value) names() []string {
	var names []string
	for _, e := range v.list() {
		name, ok := e.entry.value.(string)
		switch {
		case !ok:
			e.fail("contains %s: write the name in quotes: %s", describe(e.entry.value), inQuotes(plain(e.entry.value)))
		case CheckName(name) != nil:
			e.fail("%s contains invalid name %s", v.key, quoted(name))
		case slices.Contains(names, name):
			e.warn("names %s twice: remove one", name)
		default:
			names = append(names, name)
		}
	}
	return names
}

// setRestart takes lifecycle.restart.
func setRestart(s *Service, v value) {
	if i, ok := v.oneOf(); ok {
		s.Lifecycle.Restart = restartPolicies[i]
		s.Lifecycle.RestartExplicit = !v.file.wire || s.Lifecycle.Restart != RestartOnFailure
	}
}

// signal takes the name of a signal, or its number in quotes.
func (v value) signal() syscall.Signal {
	text, ok := v.text()
	if !ok {
		return 0
	}
	sig, err := ParseSignal(text)
	if err != nil {
		v.fail("%s %v", v.key, err)
	}
	return sig
}

// setPorts takes service.ports.
func setPorts(s *Service, v value) {
	for _, e := range v.list() {
		switch n, ok := e.entry.value.(int64); {
		case !ok:
			e.fail("contains %s: write a number without quotes, such as 8080", describe(e.entry.value))
		case n < 0 || n > 65535:
			e.fail("contains %d: ports go from 1 to 65535", n)
		case n == 0:
			e.warn("contains 0, which means nothing: remove it")
		case !slices.Contains(s.Ports, uint16(n)):
			s.Ports = append(s.Ports, uint16(n))
		}
	}
}

// setEnv takes service.env.
func setEnv(s *Service, v value) {
	table, ok := v.entry.value.(*tomlTable)
	if !ok {
		v.fail("must be a table, not %s: write a line with [service.env] and NAME = \"value\" below", describe(v.entry.value))
		return
	}
	for _, e := range table.entries {
		variable := value{v.file, v.row, v.key + "." + e.key, e}
		text, ok := e.value.(string)
		switch {
		case !ok:
			variable.fail("must be a text in quotes, not %s: write %s = %s", describe(e.value), e.key, inQuotes(plain(e.value)))
		case e.key == "" || strings.ContainsAny(e.key, "=\x00"):
			variable.fail("%s cannot be the name of a variable: remove the =", quoted(e.key))
		case strings.ContainsFunc(e.key, unicode.IsSpace) && v.file.wire:
			variable.fail("%s cannot be the name of a variable: remove the blanks", quoted(e.key))
		default:
			if strings.ContainsFunc(e.key, unicode.IsSpace) { // zinit 0.3.9 took it
				variable.warn("%s has a blank in it, so that no shell can use the variable: remove it", quoted(e.key))
			}
			s.Env = append(s.Env, e.key+"="+text)
		}
	}
	slices.SortFunc(s.Env, byVariable)
}
