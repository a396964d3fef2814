package supervise

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"zinit/supervise/config"
)

func setKey(s *config.Service, key, value string) (err error) {
	list := strings.Split(value, ",")
	switch key {
	case "requires":
		s.Requires = list
	case "after":
		s.After = list
	case "wants":
		s.Wants = list
	case "conflicts":
		s.Conflicts = list
	case "awaits":
		s.Awaits = list
	case "target":
		s.Target, s.Exec, s.Command = true, "", config.Command{}
	case "notify":
		s.Type = config.TypeNotify
	case "forking":
		s.Type = config.TypeForking
	case "idle":
		s.Type = config.TypeIdle
	case "remain":
		s.Type, s.RemainAfterExit = config.TypeOneshot, true
	case "watchdog":
		s.Watchdog, err = time.ParseDuration(value)
	case "accept":
		s.Sockets = []config.Socket{{Accept: true}}
		s.Sockets[0].MaxConnections, err = strconv.Atoi(value)
	case "every":
		timerOf(s).Every, err = time.ParseDuration(value)
	case "on-boot":
		timerOf(s).OnBoot, err = time.ParseDuration(value)
	case "jitter":
		timerOf(s).Jitter, err = time.ParseDuration(value)
	case "persistent":
		timerOf(s).Persistent = true
	case "critical":
		s.Critical = true
	case "main":
		s.Main = true
	case "stop-timeout":
		s.Lifecycle.StopTimeout, err = time.ParseDuration(value)
	case "hook-timeout":
		s.Lifecycle.HookTimeout, err = time.ParseDuration(value)
	case "pre":
		s.Hooks.StartPre = hooksIn(list)
	case "post":
		s.Hooks.StartPost = hooksIn(list)
	case "reload":
		s.Hooks.Reload = hooksIn(list)
	case "stop":
		s.Hooks.Stop = hooksIn(list)
	case "stop-post":
		s.Hooks.StopPost = hooksIn(list)
	case "ports":
		for _, word := range list {
			var port uint64
			if port, err = strconv.ParseUint(word, 10, 16); err == nil {
				s.Ports = append(s.Ports, uint16(port))
			}
		}
	case "filters":
		s.ProcessFilters = list
	case "kill-others":
		s.KillOthers = true
	case "oneshot":
		s.Type = config.TypeOneshot
	case "status":
		status, ok := map[string]config.StartStatus{"stop": config.StatusStop, "ignore": config.StatusIgnore}[value]
		if s.Status = status; !ok {
			return fmt.Errorf("no status %q", value)
		}
	case "restart":
		policy, ok := map[string]config.RestartPolicy{"always": config.RestartAlways, "never": config.RestartNever, "on-failure": config.RestartOnFailure, "on-success": config.RestartOnSuccess, "on-abnormal": config.RestartOnAbnormal}[value]
		if s.Lifecycle.Restart, s.Lifecycle.RestartExplicit = policy, true; !ok {
			return fmt.Errorf("no policy %q", value)
		}
	case "max":
		s.Lifecycle.MaxRestarts, err = strconv.Atoi(value)
	case "exec":
		s.Command = config.Command{Argv: []string{value}}
	case "kill":
		s.Lifecycle.KillMode = config.KillProcess
	case "env":
		s.Env = list
	case "class":
		s.Class = config.ClassSystem
	case "health":
		s.Health = &config.Health{Kind: config.ProbeTCP, Target: s.Name, Interval: time.Second, Timeout: time.Second, Retries: 3}
	case "probe":
		s.Health = &config.Health{Kind: config.ProbeExec, Command: config.Command{Argv: []string{"/probe"}}, Interval: time.Second, Timeout: time.Second, Retries: 2}
	default:
		return fmt.Errorf("no key %q", key)
	}
	return err
}

// timerOf is the timer of a service, made if there is none.
func timerOf(s *config.Service) *config.Timer {
	if s.Timer == nil {
		s.Timer = &config.Timer{}
	}
	return s.Timer
}

// hooksIn is commands; a - in front says that a failure does not count.
func hooksIn(lines []string) (hooks []config.Hook) {
	for _, line := range lines {
		bare, ignore := strings.CutPrefix(line, "-")
		hooks = append(hooks, config.Hook{Line: bare, Command: config.Command{Argv: []string{bare}}, IgnoreFailure: ignore})
	}
	return hooks
}
