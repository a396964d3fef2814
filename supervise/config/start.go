package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Start is the global file of sideros-start, start.toml. What it does not say is empty.
type Start struct {
	Hostname    string
	ServicesDir string // absolute
	RuntimeDir  string // absolute
	LogLevel    string // trace, debug, info, warn or error
	LogFile     string // absolute; empty: where the server's log goes anyway
	Defaults    Defaults
}

// startKey is one key of start.toml.
type startKey struct {
	table, key string
	set        func(s *Start, text string) (wrong string)
}

// startKeys are the keys of start.toml.
func startKeys() []startKey {
	path := func(at func(*Start) *string) func(*Start, string) string {
		return func(s *Start, text string) string {
			if !filepath.IsAbs(text) {
				return "must be an absolute path"
			}
			*at(s) = filepath.Clean(text)
			return ""
		}
	}
	return []startKey{
		{"init", "hostname", func(s *Start, text string) string {
			if text == "" || len(text) > 64 || strings.ContainsAny(text, " \t\r\n/\x00") {
				return "must be a name of at most 64 characters"
			}
			s.Hostname = text
			return ""
		}},
		{"init", "services_dir", path(func(s *Start) *string { return &s.ServicesDir })},
		{"init", "runtime_dir", path(func(s *Start) *string { return &s.RuntimeDir })},
		{"logging", "level", func(s *Start, text string) string {
			if !slices.Contains([]string{"trace", "debug", "info", "warn", "error"}, text) {
				return "must be trace, debug, info, warn or error"
			}
			s.LogLevel = text
			return ""
		}},
		{"logging", "output", func(s *Start, text string) string {
			file, isFile := strings.CutPrefix(text, "file:")
			switch {
			case text == "journal":
				file = ""
			case !isFile || !filepath.IsAbs(file):
				return `must be "journal", or "file:" and an absolute path`
			}
			s.LogFile = file
			return ""
		}},
		{"defaults", "restart_delay", length(func(s *Start) *time.Duration { return &s.Defaults.RestartDelay })},
		{"defaults", "stop_timeout", length(func(s *Start) *time.Duration { return &s.Defaults.StopTimeout })},
		{"defaults", "start_timeout", length(func(s *Start) *time.Duration { return &s.Defaults.StartTimeout })},
	}
}

// length sets a key that is a time.
func length(at func(*Start) *time.Duration) func(*Start, string) string {
	return func(s *Start, text string) string {
		d, ok := parseDuration(text)
		if !ok || d < time.Millisecond || d > maxMillis*time.Millisecond {
			return `must be a duration such as "5s" or "1m30s", from 1 ms to 24 days`
		}
		*at(s) = d
		return ""
	}
}

// LoadStart reads the global file of sideros-start. One that does not exist says
// nothing, and is no problem. What is wrong is left out and reported: a machine that
// starts has to make the best of it. What is wrong with its [defaults] is told by
// LoadDirs, whose business they are; that nothing of it can be used is told by both.
func LoadStart(path string) (Start, []Problem) {
	s, problems, usable := readStart(path)
	if usable {
		problems = ofDefaults(problems, false)
	}
	return s, problems
}

// readStart reads the file at path. One that is not usable as a whole says nothing.
func readStart(path string) (s Start, problems []Problem, usable bool) {
	f := &file{path: path, lines: map[string]int{}}
	text, st, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil, true
	}
	if err != nil {
		return s, []Problem{{File: path, Severity: Error, Message: err.Error()}}, false
	}
	if why := distrust(path, st); why != "" {
		f.report(distrusted(), 0, "", "%s", why)
		if f.failed {
			return s, f.problems(), false
		}
	}
	usable = f.startText(&s, text)
	return s, f.problems(), usable
}

func (f *file) startText(s *Start, text []byte) (usable bool) {
	g, bad := newGuard(text)
	if g == nil {
		f.add(bad...)
		return false
	}
	g.run()
	f.add(g.findings...)
	if g.fatal {
		return false
	}
	root, wrong := g.decode()
	if wrong != nil {
		f.add(*wrong)
		return false
	}
	f.start(s, root)
	return true
}

// CheckStart examines the file at path as LoadStart and LoadDirs read it, if it is the
// global file of sideros-start: by what it holds, or when that tells nothing because of
// its name, or because it is known to be that file.
func CheckStart(path string, known bool) (problems []Problem, is bool) {
	text, _, err := readFile(path)
	if err != nil {
		return nil, false // whoever reads it as something else says why
	}
	g, _ := newGuard(text)
	if g == nil {
		return nil, false
	}
	g.run()
	names := g.topNames()
	nothing := !slices.ContainsFunc(names, describes)
	if !known && !isStart(names) && !(nothing && filepath.Base(path) == startFile) {
		return nil, false
	}
	_, problems, _ = readStart(path)
	return problems, true
}

// startFile is the name that the global file of sideros-start has.
const startFile = "start.toml"

// describes tells the tables that make a file one of a service or proxy.
func describes(table string) bool { return table == "service" || table == "target" || table == "xinet" }

// isStart tells whether a file with these names at its top is the global file of
// sideros-start, and describes nothing.
func isStart(names []string) bool {
	return !slices.ContainsFunc(names, describes) && (slices.Contains(names, "init") || slices.Contains(names, "defaults"))
}

// start reads what was decoded.
func (f *file) start(s *Start, root *tomlTable) {
	keys := startKeys()
	for _, e := range root.entries {
		t, ok := e.value.(*tomlTable)
		if !ok || e.key != "init" && e.key != "logging" && e.key != "defaults" {
			hint := "remove it"
			if near := Nearest(e.key, []string{"init", "logging", "defaults"}); near != "" {
				hint = "did you mean [" + near + "]?"
			}
			f.report(Warning, e.line, e.key, "has no effect: the tables are [init], [logging] and [defaults], %s", hint)
			continue
		}
		for _, k := range t.entries {
			f.startKey(s, keys, e.key, k)
		}
	}
}

func (f *file) startKey(s *Start, keys []startKey, table string, e tomlEntry) {
	full := table + "." + e.key
	i := slices.IndexFunc(keys, func(k startKey) bool { return k.table == table && k.key == e.key })
	if i < 0 {
		var names []string
		hint := "remove it"
		for _, k := range keys {
			if k.table == table {
				names = append(names, k.key)
			}
			if k.key == e.key {
				hint = "put it below [" + k.table + "]"
			}
		}
		if near := Nearest(e.key, names); near != "" {
			hint = "did you mean " + near + "?"
		}
		f.report(Warning, e.line, full, "%s is not a key of [%s], which has %s: %s", e.key, table, strings.Join(names, ", "), hint)
		return
	}
	text, ok := e.value.(string)
	if !ok {
		f.report(Error, e.line, full, "must be a text in quotes, not %s", describe(e.value))
		return
	}
	if wrong := keys[i].set(s, text); wrong != "" {
		f.report(Error, e.line, full, "%s, not %q", wrong, text)
	}
}
