package config

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of one file, beside [MaxFile]. The decoder is recursive and takes a
// hundred bytes of memory for each character, so it sees nothing beyond them.
const (
	maxProblems = 100   // that are reported of one file
	maxDepth    = 16    // arrays and inline tables in each other
	maxValues   = 20000 // values, elements of arrays included, and headers
)

// guard stands in front of the decoder. It lexes the text, and what it hands on
// is a skeleton with the same lines that holds nothing the decoder would trip
// over: comments are gone, and each string has become its index in strings, so
// the decoder's own limits on strings do not count. What cannot be mended is left
// out and becomes a finding, so that the rest of the file is examined too.
type guard struct {
	src  string
	pos  int
	line int // of pos, from 1

	out      []byte
	headers  []int // in out, where the name in a header begins
	strings  []string
	findings []finding
	refused  []string // full keys that were left out
	fatal    bool     // the skeleton is of no use: structure was lost

	root *tomlTable // what it was decoded to; nil: it was not yet

	table  string // of the last header, "service.env"
	key    string // full key in hand, for findings
	depth  int
	values int
	// seen has the lines of keys, to find those that are given twice. Tables of
	// an array have the same keys, so each header or braces is an instance.
	seen     map[string]int
	instance int
	name     string // of [service], or else of [target]: for problems, however broken the file

	record     bool        // whoever edits the text asks for
	statements []statement // what was understood
	remarks    []remark
}

// remark is a comment: where it stands in src.
type remark struct{ start, end int }

// statement is a header, or a key with its value outside of braces: where it
// stands in src.
type statement struct {
	table             string // that the header begins, or the key is below
	key               string // in full; empty for a header
	start, value, end int    // value is 0 for a header
}

// finding is a Problem without its file.
type finding struct {
	line     int
	key      string
	severity Severity
	message  string
}

// newGuard examines the text as a whole: size, encoding, characters that no text
// has. The guard is nil when the text cannot be read at all.
func newGuard(text []byte) (*guard, []finding) {
	bad := func(at int, format string, args ...any) (*guard, []finding) {
		line := 0
		if at >= 0 {
			line = 1 + bytes.Count(text[:at], []byte{'\n'})
		}
		return nil, []finding{{line: line, message: fmt.Sprintf(format, args...)}}
	}
	if len(text) > MaxFile {
		return bad(-1, "is larger than 1 MiB (%d bytes): a service file is small, shorten it", len(text))
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if n := bytes.Count(text, []byte{0}); n > 1 {
		return bad(-1, "is no text: it holds %d NUL characters, as programs, UTF-16 and what a crash has left do: remove it, or save it as UTF-8", n)
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return bad(i, "is not valid UTF-8 here (byte 0x%02x): save the file as UTF-8", text[i])
		case r == 0:
			return bad(i, "holds a NUL character: remove it")
		case r == '\r' && i+1 < len(text) && text[i+1] == '\n', r == '\t', r == '\n':
		case r < ' ' || r == 0x7f:
			return bad(i, "holds the control character U+%04X: remove it, or write it as \\u%04x inside quotes", r, r)
		}
		i += size
	}
	src := strings.ReplaceAll(string(text), "\r\n", "\n")
	return &guard{src: src, line: 1, out: make([]byte, 0, len(src)), seen: make(map[string]int, 16)}, nil
}

// run lexes the whole text, statement by statement.
func (g *guard) run() {
	for g.pos < len(g.src) && !g.fatal {
		g.blanks()
		switch c := g.peek(); {
		case c == '\n':
			g.newline()
		case c == 0:
		case c == '#':
			g.comment()
		case c == '[':
			if g.header() {
				g.endOfStatement()
			}
		default:
			if g.keyValue(g.table, false) {
				g.endOfStatement()
			}
			g.key = ""
		}
	}
}

// peek is the next byte, 0 at the end (the text holds no NUL).
func (g *guard) peek() byte {
	if g.pos < len(g.src) {
		return g.src[g.pos]
	}
	return 0
}

func (g *guard) has(s string) bool { return strings.HasPrefix(g.src[g.pos:], s) }

func (g *guard) blanks() {
	for c := g.peek(); c == ' ' || c == '\t'; c = g.peek() {
		g.pos++
	}
}

func (g *guard) comment() {
	start := g.pos
	if n := strings.IndexByte(g.src[g.pos:], '\n'); n >= 0 {
		g.pos += n
	} else {
		g.pos = len(g.src)
	}
	if g.record && start < g.pos {
		g.remarks = append(g.remarks, remark{start, g.pos})
	}
}

func (g *guard) newline() {
	g.pos++
	g.line++
	g.out = append(g.out, '\n')
}

// restOfLine is what a person sees from pos to the end of the line, without a
// comment; it is not consumed.
func (g *guard) restOfLine() string {
	rest, _, _ := strings.Cut(g.src[g.pos:], "\n")
	if i := strings.Index(rest, " #"); i >= 0 {
		rest = rest[:i]
	}
	return strings.TrimSpace(rest)
}

func (g *guard) report(line int, format string, args ...any) {
	if len(g.findings) >= maxProblems {
		g.fatal = true // mostly this is no configuration file at all
	}
	g.findings = append(g.findings, finding{line: line, key: g.key, message: fmt.Sprintf(format, args...)})
}

// endOfStatement passes what may follow a header or value: blanks and a comment.
func (g *guard) endOfStatement() {
	g.blanks()
	if c := g.peek(); c != 0 && c != '\n' && c != '#' {
		g.report(g.line, "%s follows after the end: put the whole value in one pair of quotes, and each key on a line of its own",
			quoted(g.restOfLine()))
	}
	g.comment()
}

// header takes [a.b] or [[a]]. After one that is none the structure is lost.
func (g *guard) header() bool {
	open, closing := "[", "]"
	if g.has("[[") {
		open, closing = "[[", "]]"
	}
	start, at := g.restOfLine(), g.pos
	g.pos += len(open)
	parts := g.keyParts()
	if len(parts) == 0 || !g.has(closing) {
		g.key = ""
		g.report(g.line, "%s is not a header: write [service] or [service.env]", quoted(start))
		g.fatal = true
		return false
	}
	g.pos += len(closing)
	g.instance++
	if !g.oneMore() {
		return false
	}
	g.table = strings.Join(parts, ".")
	if g.record {
		g.statements = append(g.statements, statement{table: g.table, start: at, end: g.pos})
	}
	g.out = append(g.out, open...)
	g.headers = append(g.headers, len(g.out))
	for i, p := range parts {
		if i > 0 {
			g.out = append(g.out, '.')
		}
		g.writeKey(p)
	}
	g.out = append(g.out, closing...)
	return true
}

// topNames is what stands at the top of the text, after run. Of one that cannot be
// decoded it is the tables whose headers were understood.
func (g *guard) topNames() (names []string) {
	if !g.fatal {
		if root, wrong := g.decode(); wrong == nil {
			for _, e := range root.entries {
				names = append(names, e.key)
			}
			return names
		}
	}
	for _, at := range g.headers {
		end := at
		for end < len(g.out) && isBareKey(g.out[end]) {
			end++
		}
		names = append(names, string(g.out[at:end]))
	}
	return names
}

// oneMore counts values and headers, and says when there are too many.
func (g *guard) oneMore() bool {
	if g.values++; g.values > maxValues {
		g.report(g.line, "the file holds more than %d values: split it", maxValues)
		g.fatal = true
	}
	return !g.fatal
}

// keyParts takes a key: bare or quoted parts with dots between them. It returns
// nil, and stops where it is, when there is none.
func (g *guard) keyParts() []string {
	var parts []string
	for {
		g.blanks()
		part, ok := g.keyPart()
		if !ok {
			return nil
		}
		parts = append(parts, part)
		g.blanks()
		if g.peek() != '.' {
			return parts
		}
		g.pos++
	}
}

func (g *guard) keyPart() (string, bool) {
	if c := g.peek(); c == '"' || c == '\'' {
		if g.has(`"""`) || g.has("'''") {
			return "", false
		}
		part, ok := g.quotedText()
		return part, ok && part != ""
	}
	start := g.pos
	for isBareKey(g.peek()) {
		g.pos++
	}
	return g.src[start:g.pos], g.pos > start
}

func isBareKey(c byte) bool { return isLetter(c) || c == '-' || c >= '0' && c <= '9' }

// writeKey hands a key on, quoted when it must be.
func (g *guard) writeKey(key string) {
	for i := range len(key) {
		if !isBareKey(key[i]) {
			g.out = append(g.out, '"')
			g.out = append(g.out, keyEscaper(key)...)
			g.out = append(g.out, '"')
			return
		}
	}
	g.out = append(g.out, key...)
}

// keyEscaper writes a key so that the decoder reads the same: it knows no tab and
// no line break inside of one.
func keyEscaper(key string) string {
	var b strings.Builder
	for _, r := range key {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// keyValue takes KEY = VALUE below table. What is refused leaves nothing but its
// line breaks in the skeleton, and the rest of its line is passed over.
func (g *guard) keyValue(table string, inline bool) bool {
	mark, line, outer := len(g.out), g.line, g.key
	ok := g.assignment(table)
	if !ok && !g.fatal {
		g.out = g.out[:mark]
		g.skip(inline, line)
		for range g.line - line {
			g.out = append(g.out, '\n')
		}
	}
	if inline {
		g.key = outer
	}
	return ok
}

func (g *guard) assignment(table string) bool {
	line, text, count, start := g.line, g.restOfLine(), len(g.strings), g.pos
	g.key = ""
	parts := g.keyParts()
	if len(parts) == 0 {
		g.report(line, "%s is not understood: write KEY = VALUE, a [header], or # before a comment", quoted(text))
		return false
	}
	first, last := parts[0], parts[len(parts)-1]
	g.key = joinKey(table, strings.Join(parts, "."))
	g.refused = append(g.refused, joinKey(table, first)) // until it proves to be good
	if g.peek() != '=' {
		g.report(line, "has no value: write %s = …", last)
		return false
	}
	g.pos++
	g.blanks()
	at := g.pos
	g.writeKey(first)
	g.out = append(g.out, " = "...)
	if !g.value() {
		return false
	}
	if len(parts) > 1 {
		g.report(line, "a key with dots is not read here: write %s = … below a line with [%s]",
			last, joinKey(table, strings.Join(parts[:len(parts)-1], ".")))
		return false
	}
	unique := strconv.Itoa(g.instance) + " " + g.key
	if before := g.seen[unique]; before > 0 {
		g.report(line, "is given twice, in line %d and in line %d: remove one", before, line)
		return false
	}
	g.seen[unique] = line
	g.refused = g.refused[:len(g.refused)-1]
	if g.record && g.depth == 0 {
		g.statements = append(g.statements, statement{table, g.key, start, at, g.pos})
	}
	if len(g.strings) == count+1 && (g.key == "service.name" || g.key == "target.name" && g.name == "") {
		g.name = g.strings[count]
	}
	return true
}

// skip passes over the rest of what could not be understood and began in line
// start.
func (g *guard) skip(inline bool, start int) {
	if g.line > start && g.src[g.pos-1] == '\n' {
		return // at the beginning of the next statement already
	}
	for c := g.peek(); c != 0 && c != '\n'; c = g.peek() {
		if inline && (c == ',' || c == '}') {
			return
		}
		g.pos++
	}
}

func joinKey(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}

// writeString hands a string on: its index, in a form with as many line breaks as
// the original, so that lines stay what they are.
func (g *guard) writeString(text string, lines int) {
	index := strconv.Itoa(len(g.strings))
	g.strings = append(g.strings, text)
	if lines == 0 {
		g.out = append(g.out, "'"+index+"'"...)
		return
	}
	g.out = append(g.out, "'''"+index+strings.Repeat("\n", lines)+"'''"...)
}
