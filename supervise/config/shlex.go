package config

import (
	"errors"
	"fmt"
	"strings"
)

// tokenKind tells the parts of a command line apart.
type tokenKind uint8

const (
	wordToken tokenKind = iota
	operatorToken
	newlineToken // between two commands; never the first or last token
)

// token is one part of a command line.
type token struct {
	kind    tokenKind
	text    string // a word after quote removal, or the operator
	start   int    // where it begins in the line
	quoted  bool   // some of the word was quoted
	dynamic bool   // the shell would expand something in it, so text is not its value
	assign  bool   // it has the form NAME=…, name and = unquoted
}

// shellLexer splits one line as /bin/sh does. It understands as much of the
// shell as is needed to know where words end; where it cannot be certain (nested
// substitutions, here-documents) it stops and says so.
type shellLexer struct {
	line      string
	pos       int
	tokens    []token
	why       string // the first thing that needs a shell, or ""
	uncertain bool   // stopped before the end: tokens are not the whole line
	newline   bool   // a line break was seen since the last token
	word      []byte // of the word in hand
	tok       token
}

// lex splits the whole line. The error is for what no shell would accept.
func (x *shellLexer) lex() error {
	if strings.IndexByte(x.line, 0) >= 0 {
		return errors.New("holds a NUL character: remove it")
	}
	for x.pos < len(x.line) && !x.uncertain {
		rest := x.line[x.pos:]
		switch c := rest[0]; {
		case c == ' ' || c == '\t':
			x.pos++
		case c == '\n':
			x.newline = true
			x.pos++
		case strings.HasPrefix(rest, "\\\n"):
			x.pos += 2
		case c == '#':
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				x.pos += n
			} else {
				x.pos = len(x.line)
			}
		case strings.IndexByte("|&;<>()", c) >= 0:
			x.operator(x.pos)
		default:
			if err := x.lexWord(); err != nil {
				return err
			}
		}
	}
	return nil
}

// note remembers what needs a shell; the first in the line is the one to tell.
func (x *shellLexer) note(why string) {
	if x.why == "" {
		x.why = why
	}
}

func (x *shellLexer) add(t token) {
	if x.newline && len(x.tokens) > 0 {
		x.note("the line break between two commands")
		x.tokens = append(x.tokens, token{kind: newlineToken, start: t.start})
	}
	x.newline = false
	x.tokens = append(x.tokens, t)
}

// operator takes the longest operator at pos. start lies before pos when digits
// stand in front of a redirection.
func (x *shellLexer) operator(start int) {
	rest := x.line[x.pos:]
	op := rest[:1]
	for _, long := range [...]string{"<<-", "&&", "||", ";;", "<<", ">>", "<&", ">&", "<>", ">|"} {
		if strings.HasPrefix(rest, long) {
			op = long
			break
		}
	}
	x.pos += len(op)
	x.note(operatorPhrase(op))
	x.uncertain = strings.HasPrefix(op, "<<")
	x.add(token{kind: operatorToken, text: op, start: start})
}

func operatorPhrase(op string) string {
	switch {
	case op == "|":
		return "the pipe |"
	case op == "&":
		return "the background sign &"
	case op == ";" || op == ";;":
		return "the separator " + op
	case op == "(" || op == ")":
		return "the parenthesis " + op
	case strings.HasPrefix(op, "<<"):
		return "the here-document " + op
	case op[0] == '<' || op[0] == '>':
		return "the redirection " + op
	}
	return "the operator " + op
}

// lexWord takes one word, which begins at pos.
func (x *shellLexer) lexWord() error {
	x.word = x.word[:0]
	x.tok = token{start: x.pos}
	for x.pos < len(x.line) && !x.uncertain {
		c := x.line[x.pos]
		if strings.IndexByte(" \t\n|&;<>()", c) >= 0 {
			if (c == '<' || c == '>') && !x.tok.quoted && allDigits(x.word) {
				x.operator(x.tok.start) // 2>file: the number belongs to the redirection
				return nil
			}
			break
		}
		if err := x.wordPart(c); err != nil {
			return err
		}
	}
	x.tok.text = string(x.word)
	x.add(x.tok)
	return nil
}

// wordPart takes one character, quotation or expansion of a word.
func (x *shellLexer) wordPart(c byte) error {
	switch c {
	case '\\':
		if x.pos+1 == len(x.line) {
			return errors.New("ends in a backslash: remove it, or write two for one that counts")
		}
		if next := x.line[x.pos+1]; next != '\n' {
			x.word = append(x.word, next)
			x.tok.quoted = true
		}
		x.pos += 2
		return nil
	case '\'':
		n := strings.IndexByte(x.line[x.pos+1:], '\'')
		if n < 0 {
			return x.unclosed("'")
		}
		x.word = append(x.word, x.line[x.pos+1:x.pos+1+n]...)
		x.tok.quoted = true
		x.pos += n + 2
		return nil
	case '"':
		return x.doubleQuoted()
	case '$', '`':
		x.expansion()
		return nil
	case '*', '?', '[':
		x.note("the pattern " + string(c))
		x.tok.dynamic = true
	case '~':
		if x.tildeCounts() {
			x.note("the home directory ~")
			x.tok.dynamic = true
		}
	case '=':
		if !x.tok.assign && !x.tok.quoted && !x.tok.dynamic {
			x.tok.assign = isVariable(string(x.word))
		}
	}
	x.word = append(x.word, c)
	x.pos++
	return nil
}

// tildeCounts tells whether a shell could expand the ~ at pos: at the beginning
// of a word, and in NAME=~ or NAME=a:~ (some shells do it in arguments too).
func (x *shellLexer) tildeCounts() bool {
	if len(x.word) == 0 {
		return !x.tok.quoted
	}
	last := x.word[len(x.word)-1]
	return x.tok.assign && (last == '=' || last == ':')
}

func (x *shellLexer) doubleQuoted() error {
	open := x.pos
	x.tok.quoted = true
	x.pos++
	for x.pos < len(x.line) && !x.uncertain {
		c := x.line[x.pos]
		switch {
		case c == '"':
			x.pos++
			return nil
		case c == '$' || c == '`':
			x.expansion()
		case c == '\\' && x.pos+1 < len(x.line) && strings.IndexByte("$`\"\\\n", x.line[x.pos+1]) >= 0:
			if next := x.line[x.pos+1]; next != '\n' {
				x.word = append(x.word, next)
			}
			x.pos += 2
		default:
			x.word = append(x.word, c)
			x.pos++
		}
	}
	if x.uncertain {
		return nil
	}
	x.pos = open
	return x.unclosed(`"`)
}

func (x *shellLexer) unclosed(quote string) error {
	return fmt.Errorf("the quote %s at character %d is never closed: add the second one, or write \\%s",
		quote, len([]rune(x.line[:x.pos]))+1, quote)
}

// expansion passes over the $ or ` at pos. What it stands for is unknown, so the
// word becomes dynamic. Simple forms are passed over; others may nest, and make
// the rest of the line uncertain.
func (x *shellLexer) expansion() {
	x.tok.dynamic = true
	rest := x.line[x.pos+1:]
	if x.line[x.pos] == '`' {
		x.note("the substitution `")
		x.pass(rest, "`", "\\'\"")
		return
	}
	switch name := leadingVariable(rest); {
	case name != "":
		x.note("the variable $" + name)
		x.pos += 1 + len(name)
	case strings.HasPrefix(rest, "{"):
		x.note("the variable $" + rest[:strings.IndexByte(rest+"}", '}')] + "}")
		x.pass(rest, "}", "'\"`$\\\n")
	case strings.HasPrefix(rest, "("):
		x.note("the substitution $( )")
		x.pass(rest[1:], ")", "'\"`$\\(#<")
		x.pos++
	case strings.HasPrefix(rest, "'") || strings.HasPrefix(rest, `"`):
		x.note("the dollar sign $")
		x.uncertain = true // shells disagree on what follows
	default:
		x.note("the dollar sign $")
		x.word = append(x.word, '$')
		x.pos++
	}
}

// pass moves behind the next closing mark of rest, which begins after pos, unless
// what lies between holds a character that could make another one the right one.
func (x *shellLexer) pass(rest, closing, doubtful string) {
	n := strings.Index(rest, closing)
	if n < 0 || strings.ContainsAny(rest[:n], doubtful) || strings.Contains(rest[:n], "case") {
		x.uncertain = true
		return
	}
	x.pos += 1 + n + 1
}

// leadingVariable is the name of a variable or special parameter at the
// beginning of s.
func leadingVariable(s string) string {
	if s == "" {
		return ""
	}
	if strings.IndexByte("0123456789@*#?-$!", s[0]) >= 0 {
		return s[:1]
	}
	n := 0
	for n < len(s) && (isLetter(s[n]) || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	return s[:n]
}

func isVariable(s string) bool { return s != "" && isLetter(s[0]) && leadingVariable(s) == s }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func allDigits(s []byte) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) > 0
}
