package config

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"zinit/supervise/config/words"
)

// unitKey says what becomes of an assignment of a unit.
type unitKey struct {
	name       string // "Service.User"
	table, key string // of a service file
	take       func(u *unit, k *unitKey, l unitLine)
}

// unitKeys are the assignments that have an equal, each of them once.
func unitKeys() []unitKey {
	keys := []unitKey{
		{"Unit.Description", "service", "description", (*unit).text},
		{"Unit.After", "dependencies", "after", (*unit).names},
		{"Unit.Requires", "dependencies", "requires", (*unit).names},
		{"Unit.BindsTo", "dependencies", "requires", (*unit).names},
		{"Unit.Requisite", "dependencies", "requires", (*unit).names},
		{"Unit.Wants", "dependencies", "wants", (*unit).names},
		{"Unit.Conflicts", "dependencies", "conflicts", (*unit).names},
		{"Unit.StartLimitBurst", "lifecycle", "max_restarts", (*unit).number},
		{"Unit.StartLimitIntervalSec", "lifecycle", "stability_period_ms", (*unit).millis},
		{"Service.Type", "service", "type", (*unit).kind},
		{"Service.ExecStart", "service", "exec", func(*unit, *unitKey, unitLine) {}}, // see combine
		{"Service.ExecStartPre", "service", "exec_start_pre", (*unit).hook},
		{"Service.ExecStartPost", "service", "exec_start_post", (*unit).hook},
		{"Service.ExecStop", "service", "exec_stop", (*unit).hook},
		{"Service.ExecStopPost", "service", "exec_stop_post", (*unit).hook},
		{"Service.ExecReload", "service", "exec_reload", (*unit).hook},
		{"Service.ReloadSignal", "service", "reload_signal", (*unit).text},
		{"Service.User", "service", "user", (*unit).text},
		{"Service.Group", "service", "group", (*unit).text},
		{"Service.SupplementaryGroups", "service", "supplementary_groups", (*unit).list},
		{"Service.WorkingDirectory", "service", "dir", (*unit).dir},
		{"Service.Environment", "service", "env", (*unit).env},
		{"Service.EnvironmentFile", "service", "env_file", func(u *unit, k *unitKey, l unitLine) { u.add(k.table, k.key, l.line, l.value) }},
		{"Service.PIDFile", "service", "pid_file", (*unit).pidFile},
		{"Service.RemainAfterExit", "service", "remain_after_exit", (*unit).flag},
		{"Service.Restart", "lifecycle", "restart", (*unit).restart},
		{"Service.RestartSec", "lifecycle", "restart_delay_ms", (*unit).restartSec},
		{"Service.RestartMaxDelaySec", "lifecycle", "restart_delay_max_ms", (*unit).millis},
		{"Service.TimeoutStartSec", "lifecycle", "start_timeout_ms", (*unit).millis},
		{"Service.TimeoutStopSec", "lifecycle", "stop_timeout_ms", (*unit).millis},
		{"Service.TimeoutSec", "lifecycle", "start_timeout_ms", func(u *unit, k *unitKey, l unitLine) {
			u.millis(k, l)
			u.millis(&unitKey{table: "lifecycle", key: "stop_timeout_ms"}, l)
		}},
		{"Service.KillSignal", "lifecycle", "stop_signal", (*unit).text},
		{"Service.KillMode", "lifecycle", "kill_mode", (*unit).killMode},
		{"Service.WatchdogSec", "service", "watchdog", (*unit).watchdog},
		{"Service.NotifyAccess", "service", "notify_access", (*unit).access},
		{"Service.Nice", "service", "nice", (*unit).number},
		{"Service.OOMScoreAdjust", "service", "oom_score_adj", (*unit).number},
		{"Service.UMask", "service", "umask", (*unit).text},
		{"Service.NoNewPrivileges", "service", "no_new_privs", (*unit).flag},
		{"Service.CapabilityBoundingSet", "service", "capabilities", (*unit).capabilities},
		{"Service.SuccessExitStatus", "service", "success_exit_status", (*unit).statuses},
		{"Service.RestartPreventExitStatus", "service", "restart_prevent_exit_status", (*unit).statuses},
		{"Service.TTYPath", "service", "tty", (*unit).text},
		{"Service.StandardOutput", "logging", "file", (*unit).output},
		{"Service.StandardError", "logging", "file", (*unit).output},
		{"Service.MemoryMax", "limits", "memory_max", (*unit).size},
		{"Service.MemoryHigh", "limits", "memory_high", (*unit).size},
		{"Service.CPUQuota", "limits", "cpu_quota", (*unit).text},
		{"Service.CPUWeight", "limits", "cpu_weight", (*unit).number},
		{"Service.TasksMax", "limits", "tasks_max", (*unit).number},
	}
	for _, name := range rlimitNames {
		keys = append(keys, unitKey{"Service.Limit" + strings.ToUpper(name), "rlimits", name, (*unit).limit})
	}
	return keys
}

// take puts an assignment where a service file has it, or drops it.
func (u *unit) take(l unitLine) {
	all := unitKeys()
	if i := slices.IndexFunc(all, func(k unitKey) bool { return k.name == l.key }); i >= 0 {
		all[i].take(u, &all[i], l)
		return
	}
	switch section, _, _ := strings.Cut(l.key, "."); {
	case l.key == "Install.WantedBy" || l.key == "Install.RequiredBy":
		u.drop(l, "what is in the directory of services is started")
	case section != "Unit" && section != "Service" && section != "Install":
		u.drop(l, "a service file has nothing like ["+section+"]")
	default:
		u.drop(l, "a service file has nothing like it")
	}
}

func (u *unit) text(k *unitKey, l unitLine) { u.set(k.table, k.key, l.line, unquoteUnit(l.value)) }

// unquoteUnit takes quotes off that are around the whole value.
func unquoteUnit(text string) string {
	if n := len(text); n > 1 && text[0] == '"' && text[n-1] == '"' && strings.Count(text, `"`) == 2 {
		return text[1 : n-1]
	}
	return text
}

func (u *unit) list(k *unitKey, l unitLine) {
	u.add(k.table, k.key, l.line, strings.Fields(l.value)...)
}

func (u *unit) names(k *unitKey, l unitLine) {
	for _, word := range strings.Fields(l.value) {
		name, isService := unitName(word)
		if !isService {
			u.drop(unitLine{l.line, l.key, word}, word+" is no service")
			continue
		}
		u.add(k.table, k.key, l.line, name)
	}
}

func (u *unit) kind(k *unitKey, l unitLine) {
	switch l.value {
	case "exec":
		l.value = "simple"
	case "notify-reload":
		l.value = "notify"
	case "dbus":
		u.drop(l, "there is no bus: it is up when its process runs")
		l.value = "simple"
	}
	u.text(k, l)
}

func (u *unit) hook(k *unitKey, l unitLine) {
	line, mayFail := u.command(l)
	u.add(k.table, k.key, l.line, withMark(line, mayFail))
}

func (u *unit) dir(k *unitKey, l unitLine) {
	if rest, optional := strings.CutPrefix(l.value, "-"); optional {
		u.drop(l, "the - in front, with which it may be missing")
		l.value = rest
	}
	if l.value == "~" {
		u.drop(l, "~ is not known before the start: write the path")
		return
	}
	u.text(k, l)
}

func (u *unit) pidFile(k *unitKey, l unitLine) {
	if !strings.HasPrefix(l.value, "/") {
		l.value = "/run/" + l.value
	}
	if t := u.lines["Service.Type"]; len(t) == 0 || t[len(t)-1].value != "forking" {
		u.drop(l, "only a service that forks needs it")
		return
	}
	u.text(k, l)
}

// env takes assignments, each of them in quotes or not.
func (u *unit) env(k *unitKey, l unitLine) {
	list, err := words.Split(l.value)
	if err != nil {
		u.file.report(Error, l.line, l.key, "%v: add the second one", err)
		return
	}
	var table *tomlTable
	for _, e := range u.tables["service"].entries {
		if e.key == "env" {
			table = e.value.(*tomlTable)
		}
	}
	if table == nil {
		table = &tomlTable{line: l.line}
	}
	for _, kv := range list {
		name, value, ok := strings.Cut(kv, "=")
		if !ok {
			u.file.report(Error, l.line, l.key, "%s is no assignment: write NAME=VALUE", quoted(kv))
			continue
		}
		table.entries = slices.DeleteFunc(table.entries, func(e tomlEntry) bool { return e.key == name })
		table.entries = append(table.entries, tomlEntry{key: name, line: l.line, value: value})
	}
	u.set(k.table, k.key, l.line, table)
}

func (u *unit) flag(k *unitKey, l unitLine) {
	switch strings.ToLower(l.value) {
	case "yes", "true", "on", "1", "y", "t":
		u.set(k.table, k.key, l.line, true)
	case "no", "false", "off", "0", "n", "f":
	default:
		u.file.report(Error, l.line, l.key, "must be yes or no, not %s", quoted(l.value))
	}
}

func (u *unit) number(k *unitKey, l unitLine) {
	n, err := strconv.ParseInt(l.value, 10, 64)
	switch {
	case l.value == "infinity":
		u.drop(l, "that is the default")
	case err != nil && strings.HasSuffix(l.value, "%"):
		u.drop(l, "it cannot be a part of what the machine has: write a number")
	case err != nil:
		u.file.report(Error, l.line, l.key, "must be a number, not %s", quoted(l.value))
	default:
		u.set(k.table, k.key, l.line, n)
	}
}

func (u *unit) millis(k *unitKey, l unitLine) {
	d, ok := unitDuration(l.value)
	switch {
	case !ok:
		u.file.report(Error, l.line, l.key, "%s is not a length of time: write seconds, or such as 1min 30s", quoted(l.value))
	case d > maxMillis*time.Millisecond, d == 0 && k.key != "restart_delay_ms":
		u.set(k.table, k.key, l.line, int64(maxMillis)) // without an end
	default:
		u.set(k.table, k.key, l.line, max(d.Milliseconds(), 1))
	}
}

// restartSec takes the delay before a restart, which is always the same.
func (u *unit) restartSec(k *unitKey, l unitLine) {
	if d, ok := unitDuration(l.value); ok && d < time.Millisecond {
		u.set(k.table, k.key, l.line, int64(0))
		u.set(k.table, "restart_delay_max_ms", l.line, int64(1))
		return
	}
	u.millis(k, l)
	if len(u.lines["Service.RestartMaxDelaySec"]) == 0 {
		u.millis(&unitKey{table: k.table, key: "restart_delay_max_ms"}, l)
	}
}

// unitUnits are the units of systemd's times, for us.
func unitUnit(name string) float64 {
	switch name {
	case "", "s", "sec", "second", "seconds":
		return float64(time.Second)
	case "us", "usec":
		return float64(time.Microsecond)
	case "ms", "msec":
		return float64(time.Millisecond)
	case "m", "min", "minute", "minutes":
		return float64(time.Minute)
	case "h", "hr", "hour", "hours":
		return float64(time.Hour)
	case "d", "day", "days":
		return float64(24 * time.Hour)
	case "w", "week", "weeks":
		return float64(7 * 24 * time.Hour)
	}
	return 0
}

// unitDuration reads "5", "1min 30s", "1.5h" or "infinity".
func unitDuration(text string) (time.Duration, bool) {
	if text == "infinity" {
		return math.MaxInt64, true
	}
	total := 0.0
	for rest := strings.TrimSpace(text); rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		n, err := strconv.ParseFloat(rest[:digits], 64)
		rest = strings.TrimLeft(rest[digits:], " ")
		letters := len(rest) - len(strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz"))
		unit := unitUnit(rest[:letters])
		if err != nil || unit == 0 {
			return 0, false
		}
		total += n * unit
		rest = strings.TrimLeft(rest[letters:], " ")
	}
	if total > float64(maxDuration) {
		return math.MaxInt64, true
	}
	return time.Duration(total), text != ""
}

func (u *unit) restart(k *unitKey, l unitLine) {
	switch l.value {
	case "on-abort", "on-watchdog":
		u.file.report(Warning, l.line, l.key, "becomes on-abnormal, which has more reasons")
		l.value = "on-abnormal"
	case "no":
		l.value = "never"
	case "on-success", "always":
		if t := u.lines["Service.Type"]; len(t) > 0 && t[len(t)-1].value == "oneshot" {
			u.drop(l, "a oneshot has done its work when it has ended well: write a [timer]")
			return
		}
	}
	u.text(k, l)
}

func (u *unit) killMode(k *unitKey, l unitLine) {
	switch l.value {
	case "control-group":
		l.value = "cgroup"
	case "none":
		u.drop(l, "what is stopped is stopped: process comes closest")
		l.value = "process"
	}
	u.text(k, l)
}

func (u *unit) watchdog(k *unitKey, l unitLine) {
	d, ok := unitDuration(l.value)
	t := u.lines["Service.Type"]
	switch {
	case !ok:
		u.millis(k, l) // it says what is wrong
	case d == 0:
	case len(t) == 0 || !strings.HasPrefix(t[len(t)-1].value, "notify"):
		u.drop(l, "only a service of type notify has it")
	default:
		u.set(k.table, k.key, l.line, formatDuration(min(d, maxMillis*time.Millisecond)))
	}
}

func (u *unit) access(k *unitKey, l unitLine) {
	t := u.lines["Service.Type"]
	switch {
	case len(t) == 0 || !strings.HasPrefix(t[len(t)-1].value, "notify"):
		u.drop(l, "only a service of type notify has it")
	case l.value == "exec" || l.value == "none":
		u.drop(l, "it is main or all: those of all count")
	default:
		u.text(k, l)
	}
}

func (u *unit) capabilities(k *unitKey, l unitLine) {
	if strings.HasPrefix(l.value, "~") {
		u.drop(l, "a list of those that it has not: write those that it keeps")
		return
	}
	u.list(k, l)
}

func (u *unit) statuses(k *unitKey, l unitLine) {
	var list []tomlEntry
	for _, word := range strings.Fields(l.value) {
		e := tomlEntry{line: l.line, value: word}
		if n, err := strconv.ParseInt(word, 10, 64); err == nil {
			e.value = n
		}
		list = append(list, e)
	}
	u.set(k.table, k.key, l.line, list)
}

// output takes where the output goes; the log has it in any case.
func (u *unit) output(k *unitKey, l unitLine) {
	kind, path, _ := strings.Cut(l.value, ":")
	switch kind {
	case "journal", "inherit", "journal+console", "kmsg", "kmsg+console", "syslog":
	case "null":
		if l.key == "Service.StandardOutput" {
			u.set(k.table, "log", l.line, "none")
		}
	case "file", "append", "truncate":
		u.set(k.table, k.key, l.line, path)
	default:
		u.drop(l, "its output goes into its log")
	}
}

func (u *unit) size(k *unitKey, l unitLine) {
	if l.value == "infinity" {
		u.drop(l, "that is the default")
		return
	}
	u.text(k, l)
}

// limit takes "N", "SOFT:HARD" or "infinity".
func (u *unit) limit(k *unitKey, l unitLine) {
	u.set(k.table, k.key, l.line, strings.ReplaceAll(l.value, "infinity", unlimitedWord))
}
