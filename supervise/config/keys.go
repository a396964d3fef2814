package config

import (
	"slices"
	"time"
)

var (
	statusWords    = [...]string{"start", "stop", "ignore"}
	classWords     = [...]string{"user", "system"}
	restartWords   = [...]string{"always", "on-failure", "never", "on-success", "on-abnormal", "no"}
	killWords      = [...]string{"group", "mixed", "process", "cgroup"}
	probeWords     = [...]string{"tcp", "http", "exec"}
	unhealthyWords = [...]string{"restart", "report"}
	typeWords      = [...]string{"simple", "forking", "oneshot", "notify", "idle"}
	accessWords    = [...]string{"all", "main"}

	// restartPolicies goes with restartWords.
	restartPolicies = [...]RestartPolicy{
		RestartAlways, RestartOnFailure, RestartNever, RestartOnSuccess, RestartOnAbnormal, RestartNever,
	}
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
		set: func(s *Service, v value) { v.file.oneshot, _ = v.flag() }, // see file.kind
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
	{name: "description", kind: kindText, ours: true,
		set: func(s *Service, v value) { s.Description, _ = v.text() },
		get: func(s *Service) any { return optional(s.Description) }},
	{name: "type", kind: kindWord, words: typeWords[:], ours: true, implied: (*Service).Oneshot,
		set: func(s *Service, v value) {
			i, ok := v.oneOf()
			s.Type, v.file.typeUnknown = Type(i), !ok
		},
		get: func(s *Service) any { return typeWords[s.Type] }},
	{name: "pid_file", kind: kindText, ours: true,
		set: func(s *Service, v value) { s.PidFile, _ = v.path() },
		get: func(s *Service) any { return optional(s.PidFile) }},
	{name: "remain_after_exit", kind: kindFlag, ours: true,
		set: func(s *Service, v value) { s.RemainAfterExit, _ = v.flag() },
		get: func(s *Service) any { return s.RemainAfterExit }},
	{name: "notify_access", kind: kindWord, words: accessWords[:], ours: true,
		set: func(s *Service, v value) { s.NotifyAccess = NotifyAccess(v.word()) },
		get: func(s *Service) any { return accessWords[s.NotifyAccess] }},
	{name: "notify_fd", kind: kindInteger, ours: true,
		set: func(s *Service, v value) {
			n, _ := v.integer(minNotifyFD, maxNotifyFD)
			s.NotifyFD = int(n)
		},
		get: func(s *Service) any { return orUnset(int64(s.NotifyFD)) }},
	{name: "watchdog", kind: kindDuration, ours: true,
		set: func(s *Service, v value) { s.Watchdog, _ = v.duration(maxMillis * time.Millisecond) },
		get: func(s *Service) any { return inDuration(s.Watchdog) }},
	{name: "main", kind: kindFlag, ours: true,
		set: func(s *Service, v value) { s.Main, _ = v.flag() },
		get: func(s *Service) any { return s.Main }},
	{name: "user", kind: kindAccount, ours: true,
		set: func(s *Service, v value) { s.Identity.User, _ = v.account() },
		get: func(s *Service) any { return optional(s.Identity.User) }},
	{name: "group", kind: kindAccount, ours: true,
		set: func(s *Service, v value) { s.Identity.Group, _ = v.account() },
		get: func(s *Service) any { return optional(s.Identity.Group) }},
	{name: "supplementary_groups", kind: kindAccounts, ours: true, set: setGroups,
		get: func(s *Service) any { return s.Identity.Groups }},
	{name: "umask", kind: kindText, ours: true, set: setUmask, get: getUmask},
	{name: "nice", kind: kindInteger, ours: true,
		set: func(s *Service, v value) { s.Setup.Nice = v.within(-20, 19) },
		get: func(s *Service) any { return orNone(s.Setup.Nice) }},
	{name: "oom_score_adj", kind: kindInteger, ours: true,
		set: func(s *Service, v value) { s.Setup.OOMScoreAdj = v.within(-1000, 1000) },
		get: func(s *Service) any { return orNone(s.Setup.OOMScoreAdj) }},
	{name: "capabilities", kind: kindTexts, ours: true, set: setCapabilities, get: getCapabilities},
	{name: "no_new_privs", kind: kindFlag, ours: true,
		set: func(s *Service, v value) { s.Setup.NoNewPrivs, _ = v.flag() },
		get: func(s *Service) any { return s.Setup.NoNewPrivs }},
	{name: "env_file", kind: kindLines, ours: true, set: setEnvFiles, get: getEnvFiles},
	{name: "inherit_env", kind: kindFlag, ours: true,
		set: func(s *Service, v value) { s.InheritEnv, _ = v.flag() },
		get: func(s *Service) any { return s.InheritEnv }},
	{name: "stdin", kind: kindText, ours: true, set: setStdin, get: getStdin,
		implied: func(s *Service) bool { return s.TTY != "" }},
	{name: "tty", kind: kindText, ours: true,
		set: func(s *Service, v value) { s.TTY, _ = v.path() },
		get: func(s *Service) any { return optional(s.TTY) }},
	{name: "success_exit_status", kind: kindStatuses, ours: true,
		set: func(s *Service, v value) { s.SuccessStatus = v.statuses() },
		get: func(s *Service) any { return s.SuccessStatus.list() }},
	{name: "restart_prevent_exit_status", kind: kindStatuses, ours: true,
		set: func(s *Service, v value) { s.PreventStatus = v.statuses() },
		get: func(s *Service) any { return s.PreventStatus.list() }},
	{name: "exec_start_pre", kind: kindLines, ours: true,
		set: func(s *Service, v value) { s.Hooks.StartPre = v.hooks() },
		get: func(s *Service) any { return inHooks(s.Hooks.StartPre) }},
	{name: "exec_start_post", kind: kindLines, ours: true,
		set: func(s *Service, v value) { s.Hooks.StartPost = v.hooks() },
		get: func(s *Service) any { return inHooks(s.Hooks.StartPost) }},
	{name: "exec_stop", kind: kindLines, ours: true,
		set: func(s *Service, v value) { s.Hooks.Stop = v.hooks() },
		get: func(s *Service) any { return inHooks(s.Hooks.Stop) }},
	{name: "exec_stop_post", kind: kindLines, ours: true,
		set: func(s *Service, v value) { s.Hooks.StopPost = v.hooks() },
		get: func(s *Service) any { return inHooks(s.Hooks.StopPost) }},
	{name: "exec_reload", kind: kindLines, ours: true,
		set: func(s *Service, v value) { s.Hooks.Reload = v.hooks() },
		get: func(s *Service) any { return inHooks(s.Hooks.Reload) }},
	{name: "reload_signal", kind: kindText, ours: true,
		set: func(s *Service, v value) { s.ReloadSignal = v.signal() },
		get: func(s *Service) any { return SignalName(s.ReloadSignal) }},
	{name: "requires_limits", kind: kindFlag, ours: true,
		set: func(s *Service, v value) { s.RequiresLimits, _ = v.flag() },
		get: func(s *Service) any { return s.RequiresLimits }},
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
	{name: "awaits", kind: kindTexts, ours: true,
		set: func(s *Service, v value) { s.Awaits = v.names() },
		get: func(s *Service) any { return s.Awaits }},
}

// restartWord is the word of a policy.
func restartWord(p RestartPolicy) string { return restartWords[slices.Index(restartPolicies[:], p)] }

// originalRestart is the word of zinit 0.3.9 that comes nearest to a policy; foreign: it
// means something else.
func originalRestart(p RestartPolicy) (word string, foreign bool) {
	switch p {
	case RestartOnSuccess:
		return restartWord(RestartAlways), true
	case RestartOnAbnormal:
		return restartWord(RestartOnFailure), true
	}
	return restartWord(p), false
}
