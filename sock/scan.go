package sock

import (
	"bytes"
	"fmt"
)

// maxDepth bounds how deep the values of a frame may nest.
const maxDepth = 64

// A scanner finds the end of one JSON object or array in bytes that arrive in
// pieces, and checks its syntax on the way, so that an error is known at the byte
// where it is and a frame that is complete is also valid (but for UTF-8). Each
// byte is looked at once, however the frame is cut. The zero value is ready.
type scanner struct {
	pos     int    // bytes looked at
	state   state  //
	depth   int    // open objects and arrays
	objects uint64 // bit i: level i is an object
	rest    string // what must still follow of true, false or null
	key     bool   // the string being read is a key
	hex     int    // digits that must still follow of \u
}

type state uint8

const (
	atValue      state = iota // a value must begin
	atFirstValue              // a value or ]
	atFirstKey                // a key or }
	atKey                     // a key, after a comma
	atColon
	atNext // a comma or the end of the level
	inString
	inEscape
	inHex
	inLiteral
	inMinus // a number after -
	inZero  // after a leading 0
	inInt
	inDot // after the point
	inFraction
	inExp // after e
	inExpSign
	inExpDigits
)

// A syntaxError says what is wrong with a frame, in the words of the JSON
// parser of zinit 0.3.9.
type syntaxError struct {
	text string
	at   int  // offset of the offending byte in the frame
	deep bool // nested too deep: not worth looking for the next request
}

// Error is the text alone; positioned adds the place.
func (e *syntaxError) Error() string { return e.text }

// positioned renders a text with the place of the byte at in frame.
func positioned(text string, frame []byte, at int) string {
	at = min(at, len(frame))
	line := 1 + bytes.Count(frame[:at], []byte{'\n'})
	column := at - bytes.LastIndexByte(frame[:at], '\n')
	return fmt.Sprintf("%s at line %d column %d", text, line, column)
}

// scan looks at the bytes of frame that it has not seen yet; frame begins with
// the value and holds everything that arrived so far. It returns true when the
// value is complete; s.pos is then its length.
func (s *scanner) scan(frame []byte) (bool, *syntaxError) {
	for s.pos < len(frame) {
		c := frame[s.pos]
		if s.state == inString && c != '"' && c != '\\' && c >= ' ' {
			s.pos++
			continue
		}
		if text := s.step(c); text != "" {
			return false, &syntaxError{text: text, at: s.pos, deep: s.depth > maxDepth}
		}
		s.pos++
		if s.depth == 0 {
			return true, nil
		}
	}
	return false, nil
}

// step takes one byte; it returns "" or what is wrong with it.
func (s *scanner) step(c byte) string {
	switch s.state {
	case inString, inEscape, inHex:
		return s.stepString(c)
	case inLiteral:
		if c != s.rest[0] {
			return "expected ident"
		}
		if s.rest = s.rest[1:]; s.rest == "" {
			s.state = atNext
		}
		return ""
	}
	if s.state >= inMinus {
		ended, text := s.stepNumber(c)
		if !ended {
			return text
		}
		s.state = atNext
	}
	if c == ' ' || c == '\n' || c == '\t' || c == '\r' {
		return ""
	}
	switch s.state {
	case atColon:
		if c != ':' {
			return "expected `:`"
		}
		s.state = atValue
		return ""
	case atNext:
		return s.stepNext(c)
	case atFirstKey, atKey:
		return s.stepKey(c)
	}
	return s.begin(c)
}

// begin takes the first byte of a value.
func (s *scanner) begin(c byte) string {
	switch {
	case c == '{':
		return s.open(atFirstKey, 1)
	case c == '[':
		return s.open(atFirstValue, 0)
	case c == ']' && s.state == atFirstValue:
		return s.close()
	case c == '"':
		s.state, s.key = inString, false
	case c == '-':
		s.state = inMinus
	case c == '0':
		s.state = inZero
	case '1' <= c && c <= '9':
		s.state = inInt
	case c == 't':
		s.state, s.rest = inLiteral, "rue"
	case c == 'f':
		s.state, s.rest = inLiteral, "alse"
	case c == 'n':
		s.state, s.rest = inLiteral, "ull"
	default:
		return "expected value"
	}
	return ""
}

func (s *scanner) open(next state, object uint64) string {
	if s.depth == maxDepth {
		s.depth++
		return "recursion limit exceeded"
	}
	s.objects = s.objects&^(1<<s.depth) | object<<s.depth
	s.depth++
	s.state = next
	return ""
}

func (s *scanner) close() string {
	s.depth--
	s.state = atNext
	return ""
}

func (s *scanner) stepKey(c byte) string {
	switch {
	case c == '"':
		s.state, s.key = inString, true
	case c == '}' && s.state == atFirstKey:
		return s.close()
	case c == '}':
		return "trailing comma"
	default:
		return "key must be a string"
	}
	return ""
}

// stepNext takes what follows a value.
func (s *scanner) stepNext(c byte) string {
	object := s.objects>>(s.depth-1)&1 == 1
	switch {
	case c == ',' && object:
		s.state = atKey
	case c == ',':
		s.state = atValue
	case c == '}' && object, c == ']' && !object:
		return s.close()
	case object:
		return "expected `,` or `}`"
	default:
		return "expected `,` or `]`"
	}
	return ""
}

func (s *scanner) stepString(c byte) string {
	switch s.state {
	case inEscape:
		switch c {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			s.state = inString
		case 'u':
			s.state, s.hex = inHex, 4
		default:
			return "invalid escape"
		}
	case inHex:
		if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f') {
			return "invalid escape"
		}
		if s.hex--; s.hex == 0 {
			s.state = inString
		}
	default:
		switch {
		case c == '\\':
			s.state = inEscape
		case c < ' ':
			return "control character (\\u0000-\\u001F) found while parsing a string"
		case s.key: // the closing quote: scan passes over everything else
			s.state = atColon
		default:
			s.state = atNext
		}
	}
	return ""
}

// stepNumber takes one byte of a number, or says that the number ended before
// it.
func (s *scanner) stepNumber(c byte) (ended bool, text string) {
	digit := '0' <= c && c <= '9'
	switch s.state {
	case inMinus:
		switch {
		case c == '0':
			s.state = inZero
			return false, ""
		case digit:
			s.state = inInt
			return false, ""
		}
	case inZero, inInt:
		switch {
		case digit && s.state == inInt:
			return false, ""
		case c == '.':
			s.state = inDot
			return false, ""
		case c|0x20 == 'e':
			s.state = inExp
			return false, ""
		case !digit:
			return true, ""
		}
	case inDot, inFraction:
		switch {
		case digit:
			s.state = inFraction
			return false, ""
		case s.state == inFraction && c|0x20 == 'e':
			s.state = inExp
			return false, ""
		case s.state == inFraction:
			return true, ""
		}
	case inExp, inExpSign, inExpDigits:
		switch {
		case digit:
			s.state = inExpDigits
			return false, ""
		case s.state == inExp && (c == '+' || c == '-'):
			s.state = inExpSign
			return false, ""
		case s.state == inExpDigits:
			return true, ""
		}
	}
	return false, "invalid number"
}

// unfinished is what a frame that ends too early is told.
func (s *scanner) unfinished() string {
	switch {
	case s.state == inString || s.state == inEscape || s.state == inHex:
		return "EOF while parsing a string"
	case s.depth > 0 && s.objects>>(s.depth-1)&1 == 1:
		return "EOF while parsing an object"
	case s.depth > 0:
		return "EOF while parsing a list"
	}
	return "EOF while parsing a value"
}
