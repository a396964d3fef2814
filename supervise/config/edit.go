package config

import (
	"bytes"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// edit changes a file's text where it says something else than s, and nothing
// else. It reports false when that cannot be done; what it returns reads as s.
func (d Defaults) edit(text []byte, s *Service) (edited []byte, ok bool) {
	was := parse("", text, d).service
	if was == nil || was.Target != s.Target {
		return nil, false
	}
	if was.Same(s) {
		return text, true
	}
	e := newEditor(text, was, s, d.plain())
	for i := range sections {
		e.section(&sections[i])
	}
	edited = e.result(text)
	is := parse("", edited, d).service
	return edited, is != nil && is.Same(s)
}

// keeps tells whether what a person wrote for people, or for other programs, is
// in the edited text as it was before.
func keeps(text, edited []byte) bool {
	left := map[string]int{}
	for _, part := range personal(edited) {
		left[part]++
	}
	for _, part := range personal(text) {
		if left[part]--; left[part] < 0 {
			return false
		}
	}
	return true
}

// personal is the comments of a text, and the keys that zinit does not know, with
// their values.
func personal(text []byte) []string {
	g, _ := newGuard(text)
	if g == nil {
		return nil
	}
	g.record = true
	g.run()
	var parts []string
	for _, r := range g.remarks {
		parts = append(parts, strings.TrimSpace(g.src[r.start:r.end]))
	}
	for _, st := range g.statements {
		sec := sectionNamed(st.table)
		known := sec != nil && sec.find(strings.TrimPrefix(st.key, st.table+".")) != nil
		if st.key != "" && !known && st.table != "service.env" {
			parts = append(parts, st.key+" = "+g.src[st.value:st.end])
		}
	}
	return parts
}

// editor collects changes of a text.
type editor struct {
	src        string
	statements []statement
	remarks    []remark
	was, is    *Service
	plain      *Service
	changes    []change
	added      string // tables at the end
}

// change puts text in the place of src[start:end]. Several may insert at one
// place: they keep their order.
type change struct {
	start, end int
	text       string
}

func newEditor(text []byte, was, is, plain *Service) *editor {
	g, _ := newGuard(text) // it could be parsed: there is one
	g.record = true
	g.run()
	if !strings.HasSuffix(g.src, "\n") {
		g.src += "\n"
	}
	return &editor{src: g.src, statements: g.statements, remarks: g.remarks, was: was, is: is, plain: plain}
}

func (e *editor) change(start, end int, text string) {
	e.changes = append(e.changes, change{start, end, text})
}

// section changes the values of one table.
func (e *editor) section(sec *section) {
	header := e.header(sec.name)
	switch {
	case !sec.concerns(e.is):
		if sec.concerns(e.was) {
			e.dropTable(sec.name)
		}
		return
	case !sec.concerns(e.was):
		e.append(string(sec.inFile(e.is, e.plain)))
		return
	case sec.name == "socket" && (len(e.was.Sockets) > 1 || len(e.is.Sockets) > 1):
		if !reflect.DeepEqual(e.was.Sockets, e.is.Sockets) {
			e.dropTable(sec.name)
			e.append(string(sec.inFile(e.is, e.plain)))
		}
		return
	}
	var more strings.Builder
	for i := range sec.keys {
		k := &sec.keys[i]
		switch at := e.find(sec.name+"."+k.name, sec.name+"."+k.also); {
		case k.wire:
		case k.kind == kindEnv && at == nil: // a table of its own: below
		case at == nil && e.isSaidBeside(sec, k):
		case at == nil && k.mustBeSaid(e.is, e.plain):
			v, _ := k.inFile(e.is)
			more.WriteString(k.name + " = " + tomlValue(v) + "\n")
		case at != nil:
			e.key(k, at)
		}
	}
	switch {
	case more.Len() == 0:
	case header == nil:
		e.append("[" + sec.name + "]\n" + more.String())
	default:
		e.below(sec.name, more.String())
	}
	if sec.name == "service" && e.find("service.env") == nil {
		e.variables("service.env")
	}
}

// isSaidBeside tells whether another key of the file says all that this one would.
func (e *editor) isSaidBeside(sec *section, k *key) bool {
	return k.implied != nil && k.implied(e.is) || k.name == "oneshot" && e.find(sec.name+".type") != nil
}

// mustBeSaid tells whether a file that does not mention the key says something
// else than s.
func (k *key) mustBeSaid(s, plain *Service) bool {
	v, given := k.inFile(s)
	return given && v != nil && (!k.isDefault(s, plain) || k.name == "restart" && s.Lifecycle.RestartExplicit)
}

// key changes a key that the file has.
func (e *editor) key(k *key, at *statement) {
	v, given := k.inFile(e.is)
	if !given {
		e.drop(at)
		return
	}
	if !reflect.DeepEqual(k.get(e.was), k.get(e.is)) {
		e.change(at.value, at.end, e.withRemarks(tomlValue(v), at))
	}
}

// withRemarks is a list with the comments that stood inside of the one before.
func (e *editor) withRemarks(list string, at *statement) string {
	var remarks strings.Builder
	for _, r := range e.remarks {
		if at.value < r.start && r.end < at.end {
			remarks.WriteString("\n  " + e.src[r.start:r.end])
		}
	}
	if remarks.Len() == 0 {
		return list
	}
	return "[" + remarks.String() + "\n  " + strings.TrimPrefix(list, "[")
}

// variables changes a table of texts that stands below a header of its own.
func (e *editor) variables(table string) {
	was, is := environ(e.was.Env).table(), environ(e.is.Env).table()
	for i := range e.statements {
		st := &e.statements[i]
		if st.table != table || st.key == "" {
			continue
		}
		name := strings.TrimPrefix(st.key, table+".")
		text, given := is[name]
		switch {
		case !given:
			e.drop(st)
		case text != was[name]:
			e.change(st.value, st.end, tomlText(text))
		}
	}
	var more strings.Builder
	for _, kv := range e.is.Env {
		name, text, _ := strings.Cut(kv, "=")
		if _, there := was[name]; !there {
			more.WriteString(tomlKey(name) + " = " + tomlText(text) + "\n")
		}
	}
	switch {
	case more.Len() == 0:
	case e.header(table) != nil:
		e.below(table, more.String())
	default:
		above, _, _ := strings.Cut(table, ".")
		e.below(above, "\n["+table+"]\n"+more.String())
	}
}

// header finds the header of a table, or nil.
func (e *editor) header(table string) *statement {
	for i := range e.statements {
		if st := &e.statements[i]; st.table == table && st.key == "" {
			return st
		}
	}
	return nil
}

// find finds a key by its names, or nil.
func (e *editor) find(names ...string) *statement {
	for i := range e.statements {
		if st := &e.statements[i]; st.key != "" && slices.Contains(names, st.key) {
			return st
		}
	}
	return nil
}

// lineStart is where the line of a place begins, lineEnd where the next one does.
func (e *editor) lineStart(at int) int { return 1 + strings.LastIndexByte(e.src[:at], '\n') }

func (e *editor) lineEnd(at int) int {
	if n := strings.IndexByte(e.src[at:], '\n'); n >= 0 {
		return at + n + 1
	}
	return len(e.src)
}

// drop removes the lines of a statement.
func (e *editor) drop(st *statement) {
	e.change(e.lineStart(st.start), e.lineEnd(st.end), "")
}

// dropTable removes a table with all that it holds, be it in braces. Comments right
// above the next header belong to that.
func (e *editor) dropTable(table string) {
	if st := e.find(table); st != nil {
		e.drop(st)
	}
	for i, st := range e.statements {
		if (st.table == table || strings.HasPrefix(st.table, table+".")) && st.key == "" {
			last := st
			for _, next := range e.statements[i+1:] {
				if next.key == "" {
					break
				}
				last = next
			}
			e.change(e.lineStart(st.start), e.lineEnd(last.end), "")
		}
	}
}

// below adds lines at the end of a table, indented as those above.
func (e *editor) below(table, lines string) {
	var last *statement
	for i := range e.statements {
		if st := &e.statements[i]; st.table == table {
			last = st
		}
	}
	if last == nil {
		return // then it is no edit: what comes out does not read as it should
	}
	indent := e.src[e.lineStart(last.start):last.start]
	if last.key != "" && indent != "" && !strings.HasPrefix(lines, "\n") {
		lines = indent + strings.ReplaceAll(strings.TrimSuffix(lines, "\n"), "\n", "\n"+indent) + "\n"
	}
	at := e.lineEnd(last.end)
	e.change(at, at, lines)
}

// append adds a table at the end of the file, behind all that is added to others.
func (e *editor) append(table string) { e.added += "\n" + table }

// result applies the changes; the line breaks and the mark of the encoding are
// those of the text.
func (e *editor) result(text []byte) []byte {
	sort.SliceStable(e.changes, func(i, j int) bool {
		a, b := &e.changes[i], &e.changes[j]
		return a.start < b.start || a.start == b.start && a.end < b.end
	})
	var out strings.Builder
	at := 0
	for _, c := range e.changes {
		if c.start < at {
			return nil // two changes of one place: not to be done
		}
		out.WriteString(e.src[at:c.start] + c.text)
		at = c.end
	}
	out.WriteString(e.src[at:] + e.added)
	edited := out.String()
	if breaks := bytes.Count(text, []byte("\n")); breaks > 0 && bytes.Count(text, []byte("\r\n")) == breaks {
		edited = strings.ReplaceAll(edited, "\n", "\r\n")
	}
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		edited = "\ufeff" + edited
	}
	return []byte(edited)
}
