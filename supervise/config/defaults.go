package config

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Defaults is the table [defaults] of start.toml: what services have whose files do not
// say it. Zero: what they have without that table. Files of zinit 0.2 have defaults of
// their own.
type Defaults struct {
	RestartDelay, StopTimeout, StartTimeout time.Duration
}

// apply sets what nobody has said, and returns those of the defaults that it took for
// that. A delay is not above a maximum that somebody has.
func (d Defaults) apply(l *Lifecycle, said func(key string) bool) (taken Defaults) {
	if d.StopTimeout > 0 && !said("stop_timeout_ms") {
		l.StopTimeout, taken.StopTimeout = d.StopTimeout, d.StopTimeout
	}
	if d.StartTimeout > 0 && !said("start_timeout_ms") {
		l.StartTimeout, taken.StartTimeout = d.StartTimeout, d.StartTimeout
	}
	if d.RestartDelay == 0 || said("restart_delay_ms") {
		return taken
	}
	l.RestartDelay, taken.RestartDelay = d.RestartDelay, d.RestartDelay
	if said("restart_delay_max_ms") {
		l.RestartDelay = min(l.RestartDelay, l.RestartDelayMax)
	} else {
		l.RestartDelayMax = max(l.RestartDelay, l.RestartDelayMax)
	}
	return taken
}

// with is a text and the defaults that were taken for it: both say whether anything
// changes.
func (d Defaults) with(text []byte) []byte {
	if d == (Defaults{}) {
		return text
	}
	c := coder{}
	d.fields(&c)
	return append(c.buf, text...)
}

// Said is what the table [lifecycle] of a service has that says no less, by its keys:
// for descriptions on the wire, for which no defaults hold.
func (d Defaults) Said() map[string]int64 {
	plain, all := Default().Lifecycle, Default().Lifecycle
	d.apply(&all, func(string) bool { return false })
	said := map[string]int64{}
	for _, k := range []struct {
		key    string
		is, by time.Duration
	}{
		{"restart_delay_ms", all.RestartDelay, plain.RestartDelay}, {"restart_delay_max_ms", all.RestartDelayMax, plain.RestartDelayMax},
		{"stop_timeout_ms", all.StopTimeout, plain.StopTimeout}, {"start_timeout_ms", all.StartTimeout, plain.StartTimeout},
	} {
		if k.is != k.by {
			said[k.key] = k.is.Milliseconds()
		}
	}
	return said
}

// plain is plainService with these defaults.
func (d Defaults) plain() *Service {
	s := plainService()
	d.apply(&s.Lifecycle, func(string) bool { return false })
	return s
}

// LoadFile is [LoadFile] of a file for which the defaults hold.
func (d Defaults) LoadFile(path string) (*Service, []Problem) {
	l := load(path, nil, d)
	return l.onlyService()
}

// loadDefaults reads the table [defaults] of the file at path; "" and a file that does
// not exist say nothing. Its other tables are for [LoadStart].
func loadDefaults(path string) (Defaults, []Problem) {
	if path == "" {
		return Defaults{}, nil
	}
	s, problems, usable := readStart(path)
	if usable {
		problems = ofDefaults(problems, true)
	}
	return s.Defaults, problems
}

// ofDefaults is the problems with the table [defaults], or the others.
func ofDefaults(problems []Problem, wanted bool) []Problem {
	return slices.DeleteFunc(problems, func(p Problem) bool {
		return (p.Key == "defaults" || strings.HasPrefix(p.Key, "defaults.")) != wanted
	})
}

// DefaultsIn is what holds for the files of a directory: those of the user's have the
// defaults that the file Start names.
func (d Dirs) DefaultsIn(dir string) Defaults {
	if filepath.Clean(dir) != filepath.Clean(d.User) {
		return Defaults{}
	}
	given, _ := loadDefaults(d.Start) // LoadDirs tells what is wrong
	return given
}
