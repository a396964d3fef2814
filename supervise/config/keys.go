package config

import (
	"math"
	"slices"
	"strings"
	"time"
)

var (
	statusWords    = [...]string{"start", "stop", "ignore"}
	classWords     = [...]string{"user", "system"}
	restartWords   = [...]string{"always", "on-failure", "never"}
	killWords      = [...]string{"group", "mixed", "process", "cgroup"}
	probeWords     = [...]string{"tcp", "http", "exec"}
	unhealthyWords = [...]string{"restart", "report"}

	// restartPolicies goes with restartWords.
	restartPolicies = [...]RestartPolicy{RestartAlways, RestartOnFailure, RestartNever}
)

func inMillis(d time.Duration) any { return d.Milliseconds() }

var serviceKeys = [...]key{
	{name: "name", kind: kindText, required: true, set: setName, get: func(s *Service) any { return s.Name }},
	{name: "exec", kind: kindText, required: true, set: func(s *Service, v value) {
		if text, ok := v.nonEmpty(); ok {
			s.Exec = text
		}
	}, get: func(s *Service) any { return s.Exec }},
	{name: "dir", kind: kindText,
		set: func(s *Service, v value) { s.Dir, _ = v.text() },
		get: func(s *Service) any { return optional(s.Dir) }},
	{name: "oneshot", kind: kindFlag,
		set: func(s *Service, v value) {
			if yes, _ := v.flag(); yes {
				s.Type = TypeOneshot
			}
		},
		get: func(s *Service) any { return s.Oneshot() }},
	{name: "env", kind: kindEnv, set: setEnv, get: func(s *Service) any { return environ(s.Env) }},
	{name: "status", kind: kindWord, words: statusWords[:],
		set: func(s *Service, v value) { s.Status = StartStatus(v.word()) },
		get: func(s *Service) any { return statusWords[s.Status] }},
	{name: "class", kind: kindWord, words: classWords[:],
		set: func(s *Service, v value) { s.Class = Class(v.word()) },
		get: func(s *Service) any { return classWords[s.Class] }},
	{name: "critical", kind: kindFlag, set: setCritical, get: getCritical},
	{name: "ports", kind: kindPorts, set: setPorts, get: func(s *Service) any { return s.Ports }},
	{name: "kill_others", kind: kindFlag,
		set: func(s *Service, v value) { s.KillOthers, _ = v.flag() },
		get: func(s *Service) any { return s.KillOthers }},
	{name: "process_filters", kind: kindTexts,
		set: func(s *Service, v value) {
			for _, e := range v.texts() {
				s.ProcessFilters = append(s.ProcessFilters, e.entry.value.(string))
			}
		},
		get: func(s *Service) any { return s.ProcessFilters }},
}

var targetKeys = [...]key{
	{name: "name", kind: kindText, required: true, set: setName, get: func(s *Service) any { return s.Name }},
	{name: "critical", kind: kindFlag, set: setCritical, get: getCritical},
}

func setCritical(s *Service, v value) { s.Critical, _ = v.flag() }
func getCritical(s *Service) any      { return s.Critical }

var dependencyKeys = [...]key{
	{name: "after", kind: kindTexts,
		set: func(s *Service, v value) { s.After = v.names() },
		get: func(s *Service) any { return s.After }},
	{name: "requires", kind: kindTexts,
		set: func(s *Service, v value) { s.Requires = v.names() },
		get: func(s *Service) any { return s.Requires }},
	{name: "wants", kind: kindTexts,
		set: func(s *Service, v value) { s.Wants = v.names() },
		get: func(s *Service) any { return s.Wants }},
	{name: "conflicts", kind: kindTexts,
		set: func(s *Service, v value) { s.Conflicts = v.names() },
		get: func(s *Service) any { return s.Conflicts }},
}

var lifecycleKeys = [...]key{
	{name: "restart", kind: kindWord, words: restartWords[:], set: setRestart, get: func(s *Service) any {
		return restartWords[slices.Index(restartPolicies[:], s.Lifecycle.Restart)]
	}},
	// The clients of the original send every default, so that an on-failure on
	// the wire says nothing. This one says that it is meant.
	{name: "restart_explicit", kind: kindFlag, wire: true, ours: true,
		set: func(s *Service, v value) {
			if meant, _ := v.flag(); meant {
				s.Lifecycle.RestartExplicit = true
			}
		},
		get: func(s *Service) any {
			return s.Oneshot() && s.Lifecycle.Restart == RestartOnFailure && s.Lifecycle.RestartExplicit
		}},
	{name: "restart_delay_ms", kind: kindMillis,
		set: func(s *Service, v value) { s.Lifecycle.RestartDelay, _ = v.millis(0) },
		get: func(s *Service) any { return inMillis(s.Lifecycle.RestartDelay) }},
	{name: "restart_delay_max_ms", kind: kindMillis,
		set: func(s *Service, v value) { s.Lifecycle.RestartDelayMax, _ = v.millis(1) },
		get: func(s *Service) any { return inMillis(s.Lifecycle.RestartDelayMax) }},
	{name: "max_restarts", kind: kindU32,
		set: func(s *Service, v value) { s.Lifecycle.MaxRestarts, _ = v.count(0) },
		get: func(s *Service) any { return int64(s.Lifecycle.MaxRestarts) }},
	{name: "stability_period_ms", kind: kindMillis,
		set: func(s *Service, v value) { s.Lifecycle.StabilityPeriod, _ = v.millis(0) },
		get: func(s *Service) any { return inMillis(s.Lifecycle.StabilityPeriod) }},
	{name: "start_timeout_ms", kind: kindMillis,
		set: func(s *Service, v value) { s.Lifecycle.StartTimeout, _ = v.millis(1) },
		get: func(s *Service) any { return inMillis(s.Lifecycle.StartTimeout) }},
	{name: "stop_timeout_ms", kind: kindMillis,
		set: func(s *Service, v value) { s.Lifecycle.StopTimeout, _ = v.millis(1) },
		get: func(s *Service) any { return inMillis(s.Lifecycle.StopTimeout) }},
	{name: "stop_signal", kind: kindText, set: setStopSignal,
		get: func(s *Service) any { return SignalName(s.Lifecycle.StopSignal) }},
	{name: "kill_mode", kind: kindWord, words: killWords[:], ours: true,
		set: func(s *Service, v value) { s.Lifecycle.KillMode = KillMode(v.word()) },
		get: func(s *Service) any { return killWords[s.Lifecycle.KillMode] }},
}

var healthKeys = [...]key{
	{name: "type", kind: kindWord, words: probeWords[:], required: true, set: func(s *Service, v value) {
		i, ok := v.oneOf()
		s.Health.Kind = ProbeKind(i)
		v.file.probeKnown = ok
	}, get: func(s *Service) any { return probeWords[s.Health.Kind] }},
	{name: "target", also: "endpoint", kind: kindText, required: true, set: func(s *Service, v value) {
		text, ok := v.text()
		if ok && strings.TrimSpace(text) == "" {
			v.fail("health.target cannot be empty")
			return
		}
		s.Health.Target = text
	}, get: func(s *Service) any { return s.Health.Target }},
	{name: "expect_status", kind: kindU16, set: func(s *Service, v value) {
		n, _ := v.integer(1, math.MaxUint16)
		s.Health.ExpectStatus = int(n)
	}, get: func(s *Service) any {
		if s.Health.Kind != ProbeHTTP {
			return leftOut{}
		}
		return int64(s.Health.ExpectStatus)
	}},
	{name: "interval_ms", kind: kindMillis,
		set: func(s *Service, v value) { s.Health.Interval, _ = v.millis(1) },
		get: func(s *Service) any { return inMillis(s.Health.Interval) }},
	{name: "timeout_ms", kind: kindMillis,
		set: func(s *Service, v value) { s.Health.Timeout, _ = v.millis(1) },
		get: func(s *Service) any { return inMillis(s.Health.Timeout) }},
	{name: "retries", kind: kindU32,
		set: func(s *Service, v value) { s.Health.Retries, _ = v.count(1) },
		get: func(s *Service) any { return int64(s.Health.Retries) }},
	{name: "start_period_ms", kind: kindMillis,
		set: func(s *Service, v value) { s.Health.StartPeriod, _ = v.millis(0) },
		get: func(s *Service) any { return inMillis(s.Health.StartPeriod) }},
	{name: "on_unhealthy", kind: kindWord, words: unhealthyWords[:], ours: true,
		set: func(s *Service, v value) { s.Health.ReportOnly = v.word() == 1 },
		get: func(s *Service) any {
			if s.Health.ReportOnly {
				return unhealthyWords[1]
			}
			return unhealthyWords[0]
		}},
}

var loggingKeys = [...]key{
	{name: "buffer_lines", kind: kindUsize,
		set: func(s *Service, v value) { s.Logging.BufferLines, _ = v.count(1) },
		get: func(s *Service) any { return int64(s.Logging.BufferLines) }},
	{name: "buffer_bytes", kind: kindSize, ours: true,
		set: func(s *Service, v value) { s.Logging.BufferBytes, _ = v.size(minBufferBytes) },
		get: func(s *Service) any { return s.Logging.BufferBytes }},
	{name: "file", kind: kindText,
		set: func(s *Service, v value) { s.Logging.File, _ = v.text() },
		get: func(s *Service) any { return optional(s.Logging.File) }},
	{name: "forward", kind: kindText, set: func(s *Service, v value) {
		if text, ok := v.text(); ok {
			s.Logging.Forward = text
			v.warn("has no effect: remove it, or write the log to a file with logging.file")
		}
	}, get: func(s *Service) any { return optional(s.Logging.Forward) }},
}
