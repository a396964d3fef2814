package config

import (
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"zinit/supervise/config/words"
)

// unitSuffix is how names of service units of systemd end.
const unitSuffix = ".service"

// isUnit tells whether the file at path is a unit of systemd.
func isUnit(path string) bool { return strings.HasSuffix(path, unitSuffix) }

// unit is a service unit on its way into the tables of a service file.
type unit struct {
	file   *file
	tables map[string]*tomlTable
	order  []string // of tables
	name   string
	lines  map[string][]unitLine // by "Section.Key"
}

// unitLine is an assignment.
type unitLine struct {
	line       int
	key, value string // "Service.ExecStart"
}

// readUnit reads a service unit of systemd. What has no equal is dropped with a
// warning.
func (f *file) readUnit(text []byte) *Service {
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.IndexByte(line, 0) >= 0:
			f.report(Error, i+1, "", "holds a NUL character: remove it")
			return nil
		case !utf8.ValidString(line):
			f.report(Error, i+1, "", "is not valid UTF-8: save the file as UTF-8")
			return nil
		}
	}
	u := &unit{file: f, tables: map[string]*tomlTable{}, name: f.name, lines: map[string][]unitLine{}}
	if strings.Contains(f.name, "@") {
		f.report(Error, 0, "", "is a template, which there is not here: copy it under the name of one service, and write what %%i stands for")
		return nil
	}
	all := u.split(string(text))
	u.set("service", "name", 1, f.name)
	for _, l := range all {
		u.take(l)
	}
	u.combine()
	root := &tomlTable{line: 1}
	for _, name := range u.order {
		root.entries = append(root.entries, tomlEntry{key: name, line: u.tables[name].line, value: u.tables[name]})
	}
	return f.service(root)
}

// split takes a unit apart; an assignment of nothing undoes those before it.
func (u *unit) split(text string) []unitLine {
	var all []unitLine
	section, long, start := "", "", 0
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		trimmed := strings.TrimSpace(line)
		comment := strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";")
		if long == "" {
			start = i + 1
		}
		switch rest, more := strings.CutSuffix(line, `\`); {
		case comment:
			continue
		case more:
			long += strings.TrimSpace(rest) + " "
			continue
		}
		trimmed, long = strings.TrimSpace(long+strings.TrimSpace(line)), ""
		key, value, assigns := strings.Cut(trimmed, "=")
		switch {
		case trimmed == "":
		case trimmed[0] == '[' && strings.HasSuffix(trimmed, "]"):
			section = trimmed[1 : len(trimmed)-1]
		case !assigns || section == "":
			u.file.report(Error, start, "", "%s is no assignment in a section: write KEY=VALUE below [Service]", quoted(trimmed))
		default:
			all = u.assign(all, unitLine{start, section + "." + strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	return all
}

func (u *unit) assign(all []unitLine, l unitLine) []unitLine {
	if l.value == "" {
		delete(u.lines, l.key)
		return slices.DeleteFunc(all, func(o unitLine) bool { return o.key == l.key })
	}
	l.value = u.specifiers(l)
	u.lines[l.key] = append(u.lines[l.key], l)
	return append(all, l)
}

// specifiers puts in what %n and the like stand for, as far as that is known.
func (u *unit) specifiers(l unitLine) string {
	var b strings.Builder
	for rest := l.value; rest != ""; {
		before, after, found := strings.Cut(rest, "%")
		b.WriteString(before)
		rest = after
		switch {
		case !found:
			continue
		case after == "":
			b.WriteByte('%') // as in 80%
			continue
		}
		switch after[0] {
		case '%':
			b.WriteByte('%')
		case 'n':
			b.WriteString(u.name + unitSuffix)
		case 'N', 'p':
			b.WriteString(u.name)
		case 't':
			b.WriteString("/run")
		case 'S':
			b.WriteString("/var/lib")
		case 'C':
			b.WriteString("/var/cache")
		case 'L':
			b.WriteString("/var/log")
		case 'E':
			b.WriteString("/etc")
		default:
			u.file.report(Error, l.line, l.key, "%%%c is not known here: write what it stands for", after[0])
		}
		rest = after[1:]
	}
	return b.String()
}

// set writes a key of a service file; one that is there is replaced.
func (u *unit) set(table, key string, line int, v any) {
	t := u.tables[table]
	if t == nil {
		t = &tomlTable{line: line}
		u.tables[table], u.order = t, append(u.order, table)
	}
	t.entries = slices.DeleteFunc(t.entries, func(e tomlEntry) bool { return e.key == key })
	t.entries = append(t.entries, tomlEntry{key: key, line: line, value: v})
}

// add appends texts to a key that is a list.
func (u *unit) add(table, key string, line int, texts ...string) {
	var list []tomlEntry
	if t := u.tables[table]; t != nil {
		for _, e := range t.entries {
			if e.key == key {
				list, _ = e.value.([]tomlEntry)
			}
		}
	}
	for _, text := range texts {
		list = append(list, tomlEntry{line: line, value: text})
	}
	u.set(table, key, line, list)
}

func (u *unit) drop(l unitLine, why string) {
	u.file.report(Warning, l.line, l.key, "is dropped: %s", why)
}

// defaults are those of systemd that differ, as far as they matter.
func (u *unit) defaults(typ string) {
	u.unless("service", "dir", "/")
	u.unless("lifecycle", "restart", "never")
	u.unless("lifecycle", "stop_timeout_ms", int64(90000))
	u.unless("lifecycle", "kill_mode", "cgroup")
	if typ == "forking" || strings.HasPrefix(typ, "notify") {
		u.unless("lifecycle", "start_timeout_ms", int64(90000))
	}
	if l := u.lines["Service.Restart"]; len(l) == 0 || l[len(l)-1].value == "no" {
		return
	}
	u.unless("lifecycle", "restart_delay_ms", int64(100))
	u.unless("lifecycle", "restart_delay_max_ms", int64(100))
	u.unless("lifecycle", "max_restarts", int64(5))
	u.unless("lifecycle", "stability_period_ms", int64(10000))
}

// unless sets a key that is not there.
func (u *unit) unless(table, key string, v any) {
	if t := u.tables[table]; t != nil && slices.ContainsFunc(t.entries, func(e tomlEntry) bool { return e.key == key }) {
		return
	}
	u.set(table, key, 1, v)
}

// combine looks at what several assignments say together.
func (u *unit) combine() {
	typ := ""
	if l := u.lines["Service.Type"]; len(l) > 0 {
		typ = l[len(l)-1].value
	}
	u.defaults(typ)
	starts := u.lines["Service.ExecStart"]
	switch {
	case len(starts) == 0:
		u.file.report(Error, 0, "Service.ExecStart", "is missing: there is nothing to run")
	case len(starts) > 1 && typ != "oneshot" && typ != "":
		u.file.report(Error, starts[1].line, starts[1].key, "stands there a second time, which only a oneshot may have: remove one")
	}
	if typ == "" && len(u.lines["Service.RemainAfterExit"]) > 0 && len(starts) > 0 {
		u.file.report(Warning, u.lines["Service.RemainAfterExit"][0].line, "Service.RemainAfterExit", "makes a oneshot of it: systemd has that for others, too")
		u.set("service", "type", starts[0].line, "oneshot")
	}
	for i, l := range starts {
		line, mayFail := u.command(l)
		if mayFail {
			u.drop(l, "the - in front, with which a failure counts as success: write success_exit_status")
		}
		if i < len(starts)-1 {
			u.add("service", "exec_start_pre", l.line, line)
		} else {
			u.set("service", "exec", l.line, line)
		}
	}
}

// command takes the marks off a command line of systemd.
func (u *unit) command(l unitLine) (line string, mayFail bool) {
	line = l.value
	for line != "" {
		switch line[0] {
		case '-':
			mayFail = true
		case '@':
			u.drop(l, "the @ in front, with which a program gets another name")
			list, err := words.Split(line[1:])
			if err == nil && len(list) > 1 {
				line = " " + words.Join(append(list[:1], list[2:]...))
			}
		case '+', '!', ':', '|':
			u.drop(l, "the "+line[:1]+" in front")
		default:
			return strings.TrimSpace(line), mayFail
		}
		line = line[1:]
	}
	return "", mayFail
}

// unitName is the service that a name in a unit means; false: it is no service.
func unitName(name string) (string, bool) {
	if base, ok := strings.CutSuffix(name, unitSuffix); ok {
		return base, !strings.ContainsAny(base, "@%")
	}
	return name, filepath.Ext(name) == ""
}
