package config

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// value takes one value and hands it on. It reports false when the value was
// refused; what it consumed then may end anywhere on the line.
func (g *guard) value() bool {
	g.blanks()
	if !g.oneMore() {
		return false
	}
	switch c := g.peek(); c {
	case '"', '\'':
		line := g.line
		text, ok := g.quotedText()
		if ok {
			g.writeString(text, g.line-line)
		}
		return ok
	case '[':
		return g.nested(g.array)
	case '{':
		return g.nested(g.inlineTable)
	}
	return g.scalar()
}

func (g *guard) nested(take func() bool) bool {
	if g.depth++; g.depth > maxDepth {
		g.report(g.line, "brackets are nested more than %d deep: no key needs that, check the brackets", maxDepth)
		g.fatal = true
		return false
	}
	ok := take()
	g.depth--
	return ok
}

// array takes [a, b]; comments and line breaks may stand anywhere in it.
func (g *guard) array() bool {
	start, ok, wantComma := g.line, true, false
	g.pos++
	g.out = append(g.out, '[')
	for {
		g.blanks()
		switch c := g.peek(); {
		case g.fatal:
			return false
		case c == 0:
			g.report(start, "the list is never closed: add ]")
			return false
		case c == '\n':
			g.newline()
			if g.keyAhead() {
				g.report(start, "the list is never closed: add ]")
				return false
			}
		case c == '#':
			g.comment()
		case c == ']':
			g.pos++
			g.out = append(g.out, ']')
			return ok
		case c == ',' && wantComma:
			g.pos++
			g.out = append(g.out, ',')
			wantComma = false
		case wantComma:
			g.report(g.line, "a comma is missing before %s: write [a, b]", quoted(g.restOfLine()))
			g.comment()
			ok = false
			wantComma = !strings.HasSuffix(strings.TrimSpace(g.src[:g.pos]), ",")
			if strings.HasSuffix(strings.TrimSpace(g.src[:g.pos]), "]") {
				return false
			}
		default:
			before := g.pos
			ok = g.value() && ok
			wantComma = true
			if g.pos == before && !g.fatal {
				return false // nothing was understood; it was reported
			}
		}
	}
}

// keyAhead tells whether KEY = follows: inside a list that is the beginning of
// the next statement.
func (g *guard) keyAhead() bool {
	rest := strings.TrimLeft(g.src[g.pos:], " \t")
	n := 0
	for n < len(rest) && isBareKey(rest[n]) {
		n++
	}
	return n > 0 && strings.HasPrefix(strings.TrimLeft(rest[n:], " \t"), "=")
}

// inlineTable takes { a = 1, b = 2 }, on one line.
func (g *guard) inlineTable() bool {
	table := g.key
	if g.depth > 1 {
		g.instance++
	}
	g.pos++
	g.out = append(g.out, '{')
	for wantComma := false; ; {
		g.blanks()
		switch c := g.peek(); {
		case g.fatal:
			return false
		case c == 0 || c == '\n' || c == '#':
			g.report(g.line, "a table in braces must end on its line: add }, or write its keys below a line with [%s]", table)
			return false
		case c == '}':
			g.pos++
			g.out = append(g.out, '}')
			return true
		case c == ',' && wantComma:
			g.pos++
			// The decoder takes no comma where a refused key was left out.
			if last := g.out[len(g.out)-1]; last != '{' && last != ',' {
				g.out = append(g.out, ',')
			}
			wantComma = false
		case wantComma || c == ',':
			g.report(g.line, "a comma is missing or superfluous before %s: write { a = \"1\", b = \"2\" }", quoted(g.restOfLine()))
			return false
		default:
			g.keyValue(table, true)
			wantComma = true
		}
	}
}

// scalar takes a number, a date or true and false, and says what to write when
// it is none of them: mostly the quotes were forgotten.
func (g *guard) scalar() bool {
	whole := g.restOfLine()
	start := g.pos
	for c := g.peek(); c != 0 && strings.IndexByte(" \t\n,]}#", c) < 0; c = g.peek() {
		g.pos++
	}
	word := g.src[start:g.pos]
	if word == "true" || word == "false" || plainNumber(word) {
		g.out = append(g.out, word...)
		return true
	}
	g.report(g.line, "%s", g.scalarHint(word, whole))
	if g.depth == 0 {
		g.comment() // the rest of the line belongs to it
	}
	return false
}

// plainNumber tells whether the decoder reads word as an integer or float.
func plainNumber(word string) bool {
	digits := strings.TrimLeft(word, "+-")
	if len(word)-len(digits) > 1 || digits == "" || digits[0] < '0' || digits[0] > '9' || strings.HasSuffix(word, "_") || strings.Contains(word, "__") {
		return false
	}
	if len(digits) > 1 && digits[0] == '0' && digits[1] != '.' {
		return false
	}
	for i := range len(digits) {
		if c := digits[i]; (c < '0' || c > '9') && c != '_' && c != '.' {
			return false
		}
	}
	whole, fraction, float := strings.Cut(digits, ".")
	return !float || whole != "" && fraction != "" && strings.Trim(fraction, "0123456789") == "" && !strings.Contains(whole, "_")
}

func (g *guard) scalarHint(word, whole string) string {
	key := g.key[strings.LastIndexByte(g.key, '.')+1:]
	switch {
	case word == "" && g.depth > 0:
		return "a value is missing before " + quoted(whole) + ": write one, or remove the comma"
	case word == "":
		return "has no value: write " + key + ` = "…", or remove the line`
	}
	switch strings.ToLower(word) {
	case "true", "yes", "on":
		return quoted(word) + " is not understood: write true"
	case "false", "no", "off":
		return quoted(word) + " is not understood: write false"
	}
	if c := word[0]; c == '+' || c == '-' || c >= '0' && c <= '9' {
		if n := strings.TrimLeft(word, "0"); n != "" && strings.Trim(n, "0123456789") == "" {
			return fmt.Sprintf("%s is not understood: numbers have no zeros in front: write %s", quoted(word), n)
		}
		if n, ok := new(big.Int).SetString(word, 0); ok && len(word) <= 20 {
			return fmt.Sprintf("%s is not understood: numbers are written in decimal: write %s", quoted(word), n)
		}
		if ms, ok := asMillis(key, word); ok {
			return fmt.Sprintf("%s is not understood: the unit is milliseconds: write %s = %d", quoted(word), key, ms)
		}
	}
	if g.depth > 0 {
		whole = word
	}
	return quoted(whole) + " must stand in quotes: write " + inQuotes(whole)
}

// asMillis reads a duration that was given to a key in milliseconds.
func asMillis(key, text string) (int64, bool) {
	if !strings.HasSuffix(key, "_ms") {
		return 0, false
	}
	text = strings.ReplaceAll(strings.TrimSpace(text), " ", "")
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	d, err := time.ParseDuration(text)
	return d.Milliseconds(), err == nil
}

// inQuotes writes text as a TOML string, for a message.
func inQuotes(text string) string {
	switch {
	case !strings.ContainsAny(text, `"\`):
		return `"` + text + `"`
	case !strings.Contains(text, "'"):
		return "'" + text + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// quotedText takes a string in any of the four forms and returns what it means.
func (g *guard) quotedText() (string, bool) {
	quote := g.src[g.pos : g.pos+1]
	if g.has(quote + quote + quote) {
		return g.longText(quote)
	}
	rest, _, _ := strings.Cut(g.src[g.pos+1:], "\n")
	end := strings.Index(rest, quote)
	if quote == `"` {
		end = unescapedQuote(rest)
	}
	if end < 0 {
		g.report(g.line, "the text %s is not closed: add %s at its end", quoted(quote+rest), quote)
		g.comment()
		return "", false
	}
	g.pos += 1 + end + 1
	if quote == "'" {
		return rest[:end], true
	}
	return g.unescape(rest[:end], g.line)
}

func unescapedQuote(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// longText takes """…""" or ”'…”'. Up to two quotes may stand right before the
// closing ones.
func (g *guard) longText(quote string) (string, bool) {
	start := g.line
	body := g.src[g.pos+3:]
	end := 0
	for {
		if end >= len(body) {
			g.report(start, "the text that begins here is never closed: add %s at its end", strings.Repeat(quote, 3))
			g.fatal = true
			return "", false
		}
		if quote == `"` && body[end] == '\\' {
			end += 2
			continue
		}
		if strings.HasPrefix(body[end:], quote+quote+quote) {
			break
		}
		end++
	}
	for extra := 0; extra < 2 && strings.HasPrefix(body[end+3:], quote); extra++ {
		end++
	}
	g.pos += 3 + end + 3
	g.line += strings.Count(body[:end], "\n")
	text := strings.TrimPrefix(body[:end], "\n")
	if quote == "'" {
		return text, true
	}
	return g.unescape(text, start)
}

// unescape resolves the escapes of a basic string that begins in line.
func (g *guard) unescape(s string, line int) (string, bool) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		var c byte
		if i < len(s) {
			c = s[i]
		}
		if at := strings.IndexByte(`btnfre"\`, c); c != 0 && at >= 0 {
			out = append(out, "\b\t\n\f\r\x1b\"\\"[at])
			continue
		}
		if rest := strings.TrimLeft(s[min(i, len(s)):], " \t"); strings.HasPrefix(rest, "\n") {
			i = len(s) - len(strings.TrimLeft(rest, " \t\n")) - 1
			continue
		}
		r, size, ok := unicodeEscape(s[i:])
		if !ok {
			g.report(line, "\\%c is not an escape: write \\\\ for a backslash, or put the text in single quotes ('…')", firstRune(s[i:]))
			return "", false
		}
		if r == 0 {
			g.report(line, "the text holds a NUL character: remove it")
			return "", false
		}
		out = utf8.AppendRune(out, r)
		i += size - 1
	}
	return string(out), true
}

// unicodeEscape reads uXXXX or UXXXXXXXX.
func unicodeEscape(s string) (r rune, size int, ok bool) {
	switch {
	case strings.HasPrefix(s, "u"):
		size = 5
	case strings.HasPrefix(s, "U"):
		size = 9
	}
	if size == 0 || len(s) < size {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(s[1:size], 16, 32)
	return rune(n), size, err == nil && n <= utf8.MaxRune && utf8.ValidRune(rune(n))
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}
