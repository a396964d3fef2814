package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// An EnvFileError says in which line of a file of variables something is wrong.
type EnvFileError struct {
	Line    int // from 1; 0 when it concerns the file as a whole
	Message string
}

// Error is "line LINE: MESSAGE".
func (e *EnvFileError) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// ParseEnvFile reads a file of variables, NAME=VALUE line by line, and returns them
// as "NAME=VALUE" in the order in which their names come first; of several values
// of one name the last counts. What quotes, backslashes and comments mean is in
// docs/services.md. Nothing is expanded. The error is an [*EnvFileError].
func ParseEnvFile(text []byte) ([]string, error) {
	if len(text) > MaxFile {
		return nil, &EnvFileError{0, fmt.Sprintf("is larger than 1 MiB (%d bytes): shorten it", len(text))}
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	p := envParser{rest: strings.ReplaceAll(string(text), "\r\n", "\n"), line: 1}
	var env []string
	at := map[string]int{}
	for p.rest != "" {
		start := p.line
		name, value, err := p.statement()
		switch {
		case err == nil && strings.IndexByte(value, 0) >= 0:
			err = errors.New("the value holds a NUL character: remove it")
			fallthrough
		case err != nil:
			return nil, &EnvFileError{start, err.Error()}
		case name == "":
			continue
		}
		i, known := at[name]
		if !known {
			i = len(env)
			at[name], env = i, append(env, "")
		}
		env[i] = name + "=" + value
	}
	return env, nil
}

// envParser is a file of variables that is being read.
type envParser struct {
	rest string
	line int // of rest, from 1
}

// take cuts n bytes off the rest.
func (p *envParser) take(n int) string {
	taken := p.rest[:n]
	p.rest = p.rest[n:]
	p.line += strings.Count(taken, "\n")
	return taken
}

// takeLine cuts what is left of the line, and its end, off the rest.
func (p *envParser) takeLine() string {
	if end := strings.IndexByte(p.rest, '\n'); end >= 0 {
		return strings.TrimSuffix(p.take(end+1), "\n")
	}
	return p.take(len(p.rest))
}

func (p *envParser) blanks() {
	p.take(len(p.rest) - len(strings.TrimLeft(p.rest, " \t")))
}

// statement takes a line, or several where a value goes over them; the name is
// empty when it says nothing.
func (p *envParser) statement() (name, value string, err error) {
	p.blanks()
	if p.rest == "" || strings.IndexByte("#;\n", p.rest[0]) >= 0 {
		p.takeLine()
		return "", "", nil
	}
	line, _, _ := strings.Cut(p.rest, "\n")
	before, _, assigns := strings.Cut(line, "=")
	if !assigns {
		return "", "", fmt.Errorf("%s has no =: write NAME=VALUE, or # before a comment", quoted(line))
	}
	p.take(len(before) + 1)
	name = strings.TrimSpace(before)
	if bare, exported := strings.CutPrefix(name, "export "); exported {
		name = strings.TrimSpace(bare)
	}
	if name == "" || strings.ContainsFunc(name, notInNames) {
		return "", "", fmt.Errorf("%s cannot be the name of a variable: write NAME=VALUE", quoted(name))
	}
	value, err = p.value()
	return name, value, err
}

func notInNames(r rune) bool {
	return r <= ' ' || strings.ContainsRune("\"'`$\\#;\ufeff", r) || unprintable(r)
}

// value takes what stands behind the =, to the end of its last line.
func (p *envParser) value() (string, error) {
	p.blanks()
	if !p.atQuote() {
		return p.unquoted(), nil
	}
	var b strings.Builder
	for p.atQuote() {
		if err := p.quoted(&b); err != nil {
			return "", err
		}
	}
	behind := p.takeLine()
	if rest := strings.TrimLeft(behind, " \t"); rest != "" && (rest[0] != '#' || rest == behind) {
		return "", fmt.Errorf("%s follows after the closing quote: put the whole value in one pair of quotes", quoted(rest))
	}
	return b.String(), nil
}

func (p *envParser) atQuote() bool {
	return p.rest != "" && (p.rest[0] == '"' || p.rest[0] == '\'')
}

// unquoted takes a value without quotes. Blanks at its end do not count, unless a
// backslash is in front.
func (p *envParser) unquoted() string {
	var b strings.Builder
	end := 0 // behind what counts
	for p.rest != "" && p.rest[0] != '\n' {
		c := p.take(1)
		escaped := c == "\\" && p.rest != ""
		if escaped {
			if c = p.take(1); c == "\n" {
				continue
			}
		}
		b.WriteString(c)
		if escaped || c != " " && c != "\t" {
			end = b.Len()
		}
	}
	p.takeLine()
	return b.String()[:end]
}

// quoted takes a text in quotes.
func (p *envParser) quoted(b *strings.Builder) error {
	quote := p.take(1)
	for p.rest != "" {
		c := p.take(1)
		switch {
		case c == quote:
			return nil
		case c == "\\" && quote == `"` && p.rest != "" && strings.IndexByte("\"\\`$\n", p.rest[0]) >= 0:
			if c = p.take(1); c == "\n" {
				continue
			}
		}
		b.WriteString(c)
	}
	return fmt.Errorf("the quote %s is never closed: add the second one", quote)
}
