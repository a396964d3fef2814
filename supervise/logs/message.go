package logs

import (
	"bytes"
	"strconv"
)

// A message is what a program sent to the socket of the system log.
type message struct {
	tag  string // the program; empty: it does not say
	text []byte // what it says
	line []byte // the same behind the tag, as people know it: TAG[PID]: TEXT
}

// parseMessage understands both formats, RFC 3164 as programs write it and RFC 5424.
// Whatever else comes is a text without a tag: nothing is refused.
func parseMessage(b []byte) message {
	b = bytes.TrimRight(b, "\n\r\x00")
	rest := withoutPriority(b)
	if len(rest) < len(b) {
		if m, ok := parse5424(rest); ok {
			return m
		}
	}
	return parse3164(rest)
}

// withoutPriority takes off "<PRI>".
func withoutPriority(b []byte) []byte {
	if len(b) == 0 || b[0] != '<' {
		return b
	}
	end := bytes.IndexByte(b[:min(len(b), 5)], '>')
	if end < 2 {
		return b
	}
	if n, err := strconv.Atoi(string(b[1:end])); err != nil || n < 0 || n > 191 || b[1] == '+' {
		return b
	}
	return b[end+1:]
}

// parse5424 understands what follows the priority: "1 TIME HOST APP PROC ID DATA TEXT".
func parse5424(b []byte) (m message, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte("1 "))
	if !ok {
		return m, false
	}
	var fields [5][]byte // time, host, app, process, id
	for i := range fields {
		if fields[i], b, ok = bytes.Cut(b, []byte{' '}); !ok || len(fields[i]) == 0 {
			return m, false
		}
	}
	if m.text, ok = behindData(b); !ok {
		return m, false
	}
	app, proc := fields[2], fields[3]
	if string(app) != "-" {
		m.tag = string(app)
		m.line = append(m.line, app...)
		if string(proc) != "-" {
			m.line = append(append(append(m.line, '['), proc...), ']')
		}
		m.line = append(m.line, ": "...)
	}
	m.line = append(m.line, m.text...)
	return m, true
}

// behindData is what follows the structured data: "-", or one or several elements in
// brackets, in which a quoted value may hold anything.
func behindData(b []byte) (text []byte, ok bool) {
	switch {
	case len(b) > 0 && b[0] == '-':
		b = b[1:]
	case len(b) > 0 && b[0] == '[':
		for len(b) > 0 && b[0] == '[' {
			end := elementEnd(b)
			if end == 0 {
				return nil, false
			}
			b = b[end:]
		}
	default:
		return nil, false
	}
	if len(b) == 0 {
		return b, true
	}
	if b[0] != ' ' {
		return nil, false
	}
	return bytes.TrimPrefix(b[1:], []byte("\xef\xbb\xbf")), true
}

// elementEnd is the length of the element that b begins with, 0 when it has no end.
func elementEnd(b []byte) int {
	quoted := false
	for i := 1; i < len(b); i++ {
		switch {
		case quoted && b[i] == '\\':
			i++
		case b[i] == '"':
			quoted = !quoted
		case b[i] == ']' && !quoted:
			return i + 1
		}
	}
	return 0
}

// parse3164 understands "[TIME] [HOST] TAG[PID]: TEXT": the tag is the last word
// before the first colon that a blank follows.
func parse3164(b []byte) message {
	m := message{text: b, line: withoutTime(b)}
	head, text, ok := bytes.Cut(m.line, []byte(": "))
	if !ok {
		if head, ok = bytes.CutSuffix(m.line, []byte{':'}); !ok {
			return message{text: m.line, line: m.line}
		}
	}
	if i := bytes.LastIndexByte(head, ' '); i >= 0 {
		head = head[i+1:]
	}
	if i := bytes.IndexByte(head, '['); i >= 0 && bytes.HasSuffix(head, []byte{']'}) {
		head = head[:i]
	}
	if len(head) == 0 || bytes.IndexByte(head, '\n') >= 0 {
		return message{text: m.line, line: m.line}
	}
	m.tag, m.text = string(head), text
	return m
}

// withoutTime takes off "Jan _2 15:04:05 ", which the line has anyway.
func withoutTime(b []byte) []byte {
	const layout = "Jan _2 15:04:05 "
	if len(b) < len(layout) {
		return b
	}
	for i := range len(layout) {
		c, ok := b[i], false
		switch layout[i] {
		case ' ', ':':
			ok = c == layout[i]
		case 'J':
			ok = c >= 'A' && c <= 'Z'
		case 'a', 'n':
			ok = c >= 'a' && c <= 'z'
		default:
			ok = c >= '0' && c <= '9' || c == ' ' && layout[i] == '_'
		}
		if !ok {
			return b
		}
	}
	return b[len(layout):]
}
