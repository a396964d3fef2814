package config

import (
	"math"
	"slices"
	"strings"
)

// section is a table of a service file.
type section struct {
	name   string
	target bool // it belongs to targets too
	keys   []key
}

// key is a key of a section. Each stands once, here: the loader, the suggestions
// and the documentation all read this table.
type key struct {
	name string
	also string // another spelling, or ""
	set  func(s *Service, v value)
}

// sections is what a zinit TOML file may hold. A service has all of them but
// [target], which is read in place of [service].
var sections = [...]section{
	{name: "service", keys: serviceKeys[:]},
	{name: "target", target: true, keys: targetKeys[:]},
	{name: "dependencies", target: true, keys: dependencyKeys[:]},
	{name: "lifecycle", keys: lifecycleKeys[:]},
	{name: "health", keys: healthKeys[:]},
	{name: "logging", keys: loggingKeys[:]},
}

// planned are keys of later versions. What they ask for is not done: that is said,
// and where it would be dangerous to run without it, the file is refused. An empty
// key stands for the whole table.
var planned = [...]struct {
	table, keys string
	refuse      bool
}{
	{"service", "user group supplementary_groups capabilities no_new_privs requires_limits resource_limits", true},
	{"rlimits", "", true},
	{"limits", "", true},
	{"service", "description type pid_file remain_after_exit notify_access notify_fd watchdog main umask nice " +
		"oom_score_adj env_file inherit_env stdin tty success_exit_status restart_prevent_exit_status " +
		"exec_start_pre exec_start_post exec_stop exec_stop_post exec_reload reload_signal", false},
	{"lifecycle", "hook_timeout_ms", false},
	{"logging", "log file_max file_keep file_age compress rate", false},
	{"timer", "", false},
	{"socket", "", false},
	{"xinet", "", false},
}

// isPlanned tells whether a later version has the key (or, for "", the table),
// and whether files with it are refused until then.
func isPlanned(table, key string) (yes, refuse bool) {
	for _, p := range planned {
		if p.table == table && (p.keys == key || slices.Contains(strings.Fields(p.keys), key)) {
			return true, p.refuse
		}
	}
	return false, false
}

// Names returns every key that this version knows, such as
// "lifecycle.restart_delay_ms", section by section.
func Names() []string {
	var names []string
	for _, s := range sections {
		for _, k := range s.keys {
			names = append(names, s.name+"."+k.name)
		}
	}
	return names
}

var serviceKeys = [...]key{
	{name: "name", set: setName},
	{name: "exec", set: func(s *Service, v value) {
		if text, ok := v.nonEmpty(); ok {
			s.Exec = text
		}
	}},
	{name: "dir", set: func(s *Service, v value) { s.Dir, _ = v.text() }},
	{name: "oneshot", set: func(s *Service, v value) { s.Oneshot, _ = v.flag() }},
	{name: "env", set: setEnv},
	{name: "status", set: func(s *Service, v value) {
		i, _ := v.word("start", "stop", "ignore")
		s.Status = StartStatus(i)
	}},
	{name: "class", set: func(s *Service, v value) {
		i, _ := v.word("user", "system")
		s.Class = Class(i)
	}},
	{name: "critical", set: func(s *Service, v value) { s.Critical, _ = v.flag() }},
	{name: "ports", set: setPorts},
	{name: "kill_others", set: func(s *Service, v value) { s.KillOthers, _ = v.flag() }},
	{name: "process_filters", set: func(s *Service, v value) {
		for _, e := range v.texts() {
			s.ProcessFilters = append(s.ProcessFilters, e.entry.value.(string))
		}
	}},
}

var targetKeys = [...]key{
	{name: "name", set: setName},
	{name: "critical", set: func(s *Service, v value) { s.Critical, _ = v.flag() }},
}

var dependencyKeys = [...]key{
	{name: "requires", set: func(s *Service, v value) { s.Requires = v.names() }},
	{name: "after", set: func(s *Service, v value) { s.After = v.names() }},
	{name: "wants", set: func(s *Service, v value) { s.Wants = v.names() }},
	{name: "conflicts", set: func(s *Service, v value) { s.Conflicts = v.names() }},
}

var lifecycleKeys = [...]key{
	{name: "restart", set: func(s *Service, v value) {
		text, ok := v.text()
		if !ok {
			return
		}
		words := []string{"on-failure", "always", "never"}
		i := slices.Index(words, strings.ReplaceAll(strings.ToLower(text), "_", "-"))
		if i < 0 {
			v.unknownWord(text, words)
			return
		}
		s.Lifecycle.Restart, s.Lifecycle.RestartExplicit = RestartPolicy(i), true
	}},
	{name: "restart_delay_ms", set: func(s *Service, v value) { s.Lifecycle.RestartDelay, _ = v.millis(0) }},
	{name: "restart_delay_max_ms", set: func(s *Service, v value) { s.Lifecycle.RestartDelayMax, _ = v.millis(1) }},
	{name: "max_restarts", set: func(s *Service, v value) { s.Lifecycle.MaxRestarts, _ = v.count(0) }},
	{name: "stability_period_ms", set: func(s *Service, v value) { s.Lifecycle.StabilityPeriod, _ = v.millis(0) }},
	{name: "start_timeout_ms", set: func(s *Service, v value) { s.Lifecycle.StartTimeout, _ = v.millis(1) }},
	{name: "stop_timeout_ms", set: func(s *Service, v value) { s.Lifecycle.StopTimeout, _ = v.millis(1) }},
	{name: "stop_signal", set: func(s *Service, v value) {
		text, ok := v.text()
		if !ok {
			return
		}
		sig, err := ParseSignal(text)
		if err != nil {
			v.fail("%s %v", v.key, err)
			return
		}
		s.Lifecycle.StopSignal = sig
	}},
	{name: "kill_mode", set: func(s *Service, v value) {
		i, _ := v.word("group", "mixed", "process", "cgroup")
		s.Lifecycle.KillMode = KillMode(i)
	}},
}

var healthKeys = [...]key{
	{name: "type", set: func(s *Service, v value) {
		i, ok := v.word("tcp", "http", "exec")
		s.Health.Kind = ProbeKind(i)
		v.file.probeKnown = ok
	}},
	{name: "target", also: "endpoint", set: func(s *Service, v value) {
		text, ok := v.text()
		if ok && strings.TrimSpace(text) == "" {
			v.fail("health.target cannot be empty")
			return
		}
		s.Health.Target = text
	}},
	{name: "expect_status", set: func(s *Service, v value) {
		n, _ := v.integer(1, math.MaxUint16)
		s.Health.ExpectStatus = int(n)
	}},
	{name: "interval_ms", set: func(s *Service, v value) { s.Health.Interval, _ = v.millis(1) }},
	{name: "timeout_ms", set: func(s *Service, v value) { s.Health.Timeout, _ = v.millis(1) }},
	{name: "retries", set: func(s *Service, v value) { s.Health.Retries, _ = v.count(1) }},
	{name: "start_period_ms", set: func(s *Service, v value) { s.Health.StartPeriod, _ = v.millis(0) }},
	{name: "on_unhealthy", set: func(s *Service, v value) {
		i, _ := v.word("restart", "report")
		s.Health.ReportOnly = i == 1
	}},
}

var loggingKeys = [...]key{
	{name: "buffer_lines", set: func(s *Service, v value) { s.Logging.BufferLines, _ = v.count(1) }},
	{name: "buffer_bytes", set: func(s *Service, v value) { s.Logging.BufferBytes, _ = v.size(minBufferBytes) }},
	{name: "file", set: func(s *Service, v value) { s.Logging.File, _ = v.text() }},
	{name: "forward", set: func(s *Service, v value) {
		if text, ok := v.text(); ok {
			s.Logging.Forward = text
			v.warn("has no effect: remove it, or write the log to a file with logging.file")
		}
	}},
}
