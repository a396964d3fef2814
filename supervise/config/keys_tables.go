package config

import (
	"math"
	"strings"
)

var lifecycleKeys = [...]key{
	{name: "restart", kind: kindWord, words: restartWords[:], older: 3, set: setRestart, get: func(s *Service) any {
		return restartWord(s.Lifecycle.Restart)
	}},
	// The clients of the original cannot read words that it does not have: restart is
	// the nearest of its own on the wire, and this one is what is meant.
	{name: "restart_policy", kind: kindWord, words: restartWords[:], wire: true, ours: true, set: setRestart,
		get: func(s *Service) any {
			if _, foreign := originalRestart(s.Lifecycle.Restart); !foreign {
				return leftOut{}
			}
			return restartWord(s.Lifecycle.Restart)
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
	{name: "stop_signal", kind: kindText,
		set: func(s *Service, v value) { s.Lifecycle.StopSignal = v.signal() },
		get: func(s *Service) any { return SignalName(s.Lifecycle.StopSignal) }},
	{name: "kill_mode", kind: kindWord, words: killWords[:], ours: true,
		set: func(s *Service, v value) { s.Lifecycle.KillMode = KillMode(v.word()) },
		get: func(s *Service) any { return killWords[s.Lifecycle.KillMode] }},
	{name: "hook_timeout_ms", kind: kindMillis, ours: true,
		set: func(s *Service, v value) { s.Lifecycle.HookTimeout, _ = v.millis(1) },
		get: func(s *Service) any { return inMillis(s.Lifecycle.HookTimeout) }},
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
	{name: "once", kind: kindFlag, ours: true,
		set: func(s *Service, v value) { s.Health.Once, _ = v.flag() },
		get: func(s *Service) any { return s.Health.Once }},
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
	{name: "log", kind: kindLines, ours: true, set: setLog, get: getLog},
	{name: "mark_starts", kind: kindFlag, ours: true,
		set: func(s *Service, v value) { s.Logging.MarkStarts, _ = v.flag() },
		get: func(s *Service) any { return s.Logging.MarkStarts }},
	{name: "file_max", kind: kindSize, ours: true, set: setFileMax,
		get: func(s *Service) any { return s.Logging.FileMax }},
	{name: "file_age", kind: kindDuration, ours: true,
		set: func(s *Service, v value) { s.Logging.FileAge, _ = v.duration(maxDuration) },
		get: func(s *Service) any { return inDuration(s.Logging.FileAge) }},
	{name: "file_keep", kind: kindU32, ours: true,
		set: func(s *Service, v value) {
			n, _ := v.integer(1, maxFileKeep)
			s.Logging.FileKeep = int(n)
		},
		get: func(s *Service) any { return int64(s.Logging.FileKeep) }},
	{name: "compress", kind: kindFlag, ours: true,
		set: func(s *Service, v value) { s.Logging.Compress, _ = v.flag() },
		get: func(s *Service) any { return s.Logging.Compress }},
	{name: "rate", kind: kindU32, ours: true,
		set: func(s *Service, v value) { s.Logging.Rate, _ = v.count(0) },
		get: func(s *Service) any { return int64(s.Logging.Rate) }},
}

var rlimitKeys = [...]key{
	{name: "as", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "as") }},
	{name: "core", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "core") }},
	{name: "cpu", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "cpu") }},
	{name: "data", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "data") }},
	{name: "fsize", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "fsize") }},
	{name: "memlock", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "memlock") }},
	{name: "msgqueue", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "msgqueue") }},
	{name: "nice", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "nice") }},
	{name: "nofile", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "nofile") }},
	{name: "nproc", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "nproc") }},
	{name: "rtprio", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "rtprio") }},
	{name: "sigpending", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "sigpending") }},
	{name: "stack", kind: kindLimit, ours: true, set: setRlimit, get: func(s *Service) any { return rlimit(s, "stack") }},
}

var limitKeys = [...]key{
	{name: "memory_max", kind: kindMemory, ours: true,
		set: func(s *Service, v value) { s.Limits.MemoryMax, s.Limits.MemoryMaxPercent = v.memory() },
		get: func(s *Service) any { return inMemory(s.Limits.MemoryMax, s.Limits.MemoryMaxPercent) }},
	{name: "memory_high", kind: kindMemory, ours: true,
		set: func(s *Service, v value) { s.Limits.MemoryHigh, s.Limits.MemoryHighPercent = v.memory() },
		get: func(s *Service) any { return inMemory(s.Limits.MemoryHigh, s.Limits.MemoryHighPercent) }},
	{name: "cpu_quota", kind: kindPercent, ours: true, set: setCPUQuota, get: getCPUQuota},
	{name: "cpu_weight", kind: kindInteger, ours: true,
		set: func(s *Service, v value) { s.Limits.CPUWeight, _ = v.integer(1, maxCPUWeight) },
		get: func(s *Service) any { return orUnset(s.Limits.CPUWeight) }},
	{name: "tasks_max", kind: kindInteger, ours: true,
		set: func(s *Service, v value) { s.Limits.TasksMax, _ = v.integer(1, maxTasks) },
		get: func(s *Service) any { return orUnset(s.Limits.TasksMax) }},
}

var timerKeys = [...]key{
	{name: "every", kind: kindDuration, ours: true,
		set: func(s *Service, v value) { s.Timer.Every, _ = v.duration(maxDuration) },
		get: func(s *Service) any { return inDuration(s.Timer.Every) }},
	{name: "on_boot", kind: kindDuration, ours: true,
		set: func(s *Service, v value) { s.Timer.OnBoot, _ = v.duration(maxDuration) },
		get: func(s *Service) any { return inDuration(s.Timer.OnBoot) }},
	{name: "on_calendar", kind: kindText, ours: true, set: setCalendar, get: getCalendar},
	{name: "jitter", kind: kindDuration, ours: true,
		set: func(s *Service, v value) { s.Timer.Jitter, _ = v.duration(maxDuration) },
		get: func(s *Service) any { return inDuration(s.Timer.Jitter) }},
	{name: "persistent", kind: kindFlag, ours: true,
		set: func(s *Service, v value) { s.Timer.Persistent, _ = v.flag() },
		get: func(s *Service) any { return s.Timer.Persistent }},
}
