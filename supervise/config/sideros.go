package config

import (
	"slices"
	"strings"
	"time"
)

// siderosKey says where a key of sideros-start belongs.
type siderosKey struct {
	table, key string // below [service.TABLE]; without a table in [service]
	home, name string // [HOME] NAME
	duration   bool   // it is a text such as "5s", and becomes milliseconds
}

// siderosKeys are the keys of sideros-start that are written elsewhere here.
var siderosKeys = [...]siderosKey{
	{"", "environment", "service", "env", false},
	{"", "working_directory", "service", "dir", false},
	{"restart", "policy", "lifecycle", "restart", false},
	{"restart", "delay", "lifecycle", "restart_delay_ms", true},
	{"restart", "max_attempts", "lifecycle", "max_restarts", false},
	{"timeout", "start", "lifecycle", "start_timeout_ms", true},
	{"timeout", "stop", "lifecycle", "stop_timeout_ms", true},
	{"dependencies", "after", "dependencies", "after", false},
	{"dependencies", "requires", "dependencies", "requires", false},
	{"dependencies", "wants", "dependencies", "wants", false},
	{"resource_limits", "memory_max", "limits", "memory_max", false},
	{"resource_limits", "cpu_quota", "limits", "cpu_quota", false},
	{"resource_limits", "tasks_max", "limits", "tasks_max", false},
}

// sideros puts the keys of sideros-start where they belong. A key in both places is an
// error that names both lines.
func (f *file) sideros(root *tomlTable) {
	i := slices.IndexFunc(root.entries, func(e tomlEntry) bool { return e.key == "service" })
	if i < 0 {
		return
	}
	service, ok := root.entries[i].value.(*tomlTable)
	if !ok {
		return
	}
	all := service.entries
	service.entries = nil
	for _, e := range all {
		below, isTable := e.value.(*tomlTable)
		k := siderosFind("", e.key)
		switch {
		case e.key == "notify_socket":
			f.report(Warning, e.line, "service.notify_socket", "has no effect: the variable NOTIFY_SOCKET names the socket, remove it")
		case k != nil:
			f.move(root, k, "service."+e.key, e)
		case isTable && slices.ContainsFunc(siderosKeys[:], func(k siderosKey) bool { return k.table == e.key }):
			f.siderosTable(root, e.key, below)
		default:
			service.entries = append(service.entries, e)
		}
	}
}

// siderosFind is the key of that name, or nil.
func siderosFind(table, key string) *siderosKey {
	for i := range siderosKeys {
		if k := &siderosKeys[i]; k.table == table && k.key == key {
			return k
		}
	}
	return nil
}

// siderosTable takes a table below [service] apart.
func (f *file) siderosTable(root *tomlTable, name string, t *tomlTable) {
	var targets []tomlEntry
	for _, e := range t.entries {
		full := "service." + name + "." + e.key
		k := siderosFind(name, e.key)
		if k == nil {
			var names []string
			for _, k := range siderosKeys {
				if k.table == name {
					names = append(names, k.key)
				}
			}
			f.report(Warning, e.line, full, "%s is not a key of [service.%s], which has %s: remove it", e.key, name, strings.Join(names, ", "))
			continue
		}
		if name == "dependencies" {
			var some []tomlEntry
			e.value, some = milestones(e.value, e.key == "requires")
			targets = append(targets, some...)
		}
		f.move(root, k, full, e)
	}
	if len(targets) > 0 {
		join(root, "dependencies", "after", t.line, targets)
		join(root, "dependencies", "wants", t.line, targets)
	}
}

// milestones takes the .target off the names in a list. Targets of sideros-start are
// reached without a file of theirs, so that nobody can require them: those are returned.
func milestones(v any, required bool) (list any, targets []tomlEntry) {
	names, ok := v.([]tomlEntry)
	if !ok {
		return v, nil // what is wrong with it is found later
	}
	rest := []tomlEntry{}
	for _, one := range names {
		name, _ := one.value.(string)
		base, isTarget := strings.CutSuffix(name, ".target")
		if isTarget {
			one.value = base
		}
		if isTarget && required {
			targets = append(targets, one)
		} else {
			rest = append(rest, one)
		}
	}
	return rest, targets
}

// join adds to a list, what is not in it yet.
func join(root *tomlTable, table, key string, line int, more []tomlEntry) {
	t := home(root, table, line)
	i := slices.IndexFunc(t.entries, func(e tomlEntry) bool { return e.key == key })
	if i < 0 {
		t.entries = append(t.entries, tomlEntry{key: key, line: line, value: []tomlEntry{}})
		i = len(t.entries) - 1
	}
	list, ok := t.entries[i].value.([]tomlEntry)
	if !ok {
		return // what is wrong with it is found later
	}
	for _, one := range more {
		if !slices.ContainsFunc(list, func(o tomlEntry) bool { return o.value == one.value }) {
			list = append(list, one)
		}
	}
	t.entries[i].value = list
}

// home is a table at the top, made if there is none.
func home(root *tomlTable, name string, line int) *tomlTable {
	for _, e := range root.entries {
		if t, ok := e.value.(*tomlTable); ok && e.key == name {
			return t
		}
	}
	t := &tomlTable{line: line}
	root.entries = append(root.entries, tomlEntry{key: name, line: line, value: t})
	return t
}

// move puts a key where it belongs.
func (f *file) move(root *tomlTable, k *siderosKey, full string, e tomlEntry) {
	if k.duration {
		text, isText := e.value.(string)
		d, ok := parseDuration(text)
		if !isText || !ok || d > maxMillis*time.Millisecond {
			f.report(Error, e.line, full, "must be a duration such as \"5s\" or \"1m30s\", of at most 24 days, not %s", describe(e.value))
			return
		}
		e.value = d.Milliseconds()
	}
	t := home(root, k.home, e.line)
	if i := slices.IndexFunc(t.entries, func(o tomlEntry) bool { return o.key == k.name }); i >= 0 {
		f.report(Error, e.line, full, "means the same as %s.%s in line %d: remove one of them", k.home, k.name, t.entries[i].line)
		return
	}
	if k.name == "restart_delay_ms" {
		if ms, ok := e.value.(int64); ok && ms > Default().Lifecycle.RestartDelayMax.Milliseconds() {
			t.entries = append(t.entries, tomlEntry{key: "restart_delay_max_ms", line: e.line, value: ms})
		}
	}
	t.entries = append(t.entries, tomlEntry{key: k.name, line: e.line, value: e.value})
}
