package sock

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// frameKind says what a frame is.
type frameKind uint8

const (
	noFrame   frameKind = iota // more bytes are needed
	jsonFrame                  // one complete, valid JSON object or array
	lineFrame                  // one line that begins like neither, without its newline
	badFrame                   // an error, and the place to go on from is known
	endFrame                   // an error after which nothing can be understood
)

// A frame is what a framer found.
type frame struct {
	kind frameKind
	text []byte // jsonFrame and lineFrame: valid until the next call of the framer
	err  *Error // badFrame and endFrame
}

// minBuffer is what an idle connection holds; a larger buffer is given up as
// soon as it is empty.
const minBuffer = 2048

// A framer cuts a stream of bytes into frames. It does no input itself: the
// caller reads into space, tells how much by filled, and asks next until that
// says noFrame.
type framer struct {
	max  int     // longest frame in bytes
	all  *budget // of what all framers hold; nil: no bound
	buf  []byte
	from int // buf[from:to] is there and not consumed
	to   int
	scan scanner // of the value that begins at from
	skip bool    // what follows, up to the end of the line, is garbage

	lines bool // lines that are no JSON are wanted, as they are
	some  bool // there was a frame
	blank bool // there were blanks before the first one
}

// next is the next complete frame.
func (f *framer) next() frame {
	if f.skip && !f.skipLine() {
		return frame{}
	}
	if f.scan.pos == 0 {
		was := f.buf[f.from:f.to]
		f.from = f.to - len(skipBlank(was))
		f.blank = f.blank || f.from == f.to && len(was) > 0
		if f.lines && !f.some && f.from == f.to && bytes.IndexByte(was, '\n') >= 0 {
			f.some = true
			return frame{kind: lineFrame} // an empty line, and nothing else
		}
	}
	if f.from == f.to {
		return frame{}
	}
	f.some = true
	if c := f.buf[f.from]; c != '{' && c != '[' {
		return f.nextLine()
	}
	return f.nextValue()
}

func (f *framer) nextValue() frame {
	text := f.buf[f.from:min(f.to, f.from+f.max)]
	done, bad := f.scan.scan(text)
	switch {
	case bad != nil:
		return f.reject(text, bad)
	case !done && len(text) == f.max:
		return f.tooLarge()
	case !done:
		return frame{}
	}
	n := f.scan.pos
	f.consume(n)
	if !utf8.Valid(text[:n]) {
		return notUTF8()
	}
	return frame{kind: jsonFrame, text: text[:n]}
}

// nextLine takes a line of text; scan.pos remembers how much of it has been
// searched for its end.
func (f *framer) nextLine() frame {
	text := f.buf[f.from:min(f.to, f.from+f.max)]
	if c := text[0]; c < ' ' || c >= utf8.RuneSelf && !f.lines {
		return notText() // no command begins like that: do not wait for its end
	}
	n := bytes.IndexByte(text[f.scan.pos:], '\n')
	switch {
	case n < 0 && len(text) == f.max:
		return f.tooLarge()
	case n < 0:
		f.scan.pos = len(text)
		return frame{}
	}
	n += f.scan.pos
	f.consume(n + 1)
	return f.line(text[:n])
}

func (f *framer) line(text []byte) frame {
	switch {
	case f.lines:
	case !utf8.Valid(text):
		return notUTF8()
	case bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' && r != '\r' }):
		return notText()
	}
	return frame{kind: lineFrame, text: text}
}

// end is the frame that the end of the stream completes or cuts off.
func (f *framer) end() frame {
	text := f.buf[f.from:f.to]
	f.consume(len(text))
	switch {
	case f.lines && !f.some && f.blank && len(text) == 0:
		f.some = true
		return frame{kind: lineFrame} // blanks, and nothing else
	case f.skip || len(text) == 0:
		return frame{}
	case text[0] != '{' && text[0] != '[':
		return f.line(text)
	}
	var s scanner
	if done, bad := s.scan(text); done || bad != nil {
		return frame{} // next has found these
	}
	return endOf(&Error{Code: CodeParse, Message: positioned(s.unfinished(), text, len(text)-1)})
}

// partial says whether the beginning of a frame is there.
func (f *framer) partial() bool { return f.from < f.to || f.skip }

// reject drops a value that is no JSON, up to the end of the line with the
// error. When the error is the first byte of a line that could be a request of
// its own, the line before it was cut off, and this one is heard.
func (f *framer) reject(text []byte, bad *syntaxError) frame {
	err := &Error{Code: CodeParse, Message: positioned(bad.text, text, bad.at)}
	if bad.deep {
		err.Data = Detail{WordTooDeep}
		return endOf(err)
	}
	f.consume(bad.at)
	c := text[bad.at]
	lineStart := bytes.LastIndexByte(text[:bad.at], '\n') + 1
	fresh := lineStart > 0 && len(skipBlank(text[lineStart:bad.at])) == 0 && (c == '{' || c == '[')
	f.skip = !fresh
	return frame{kind: badFrame, err: err}
}

// skipLine drops garbage; it returns true when the line has ended.
func (f *framer) skipLine() bool {
	n := bytes.IndexByte(f.buf[f.from:f.to], '\n')
	if n < 0 {
		f.consume(f.to - f.from)
		return false
	}
	f.consume(n + 1)
	f.skip = false
	return true
}

func (f *framer) consume(n int) {
	f.from += n
	f.scan = scanner{}
}

// space is room to read into; it ends the life of the frames that next
// returned. There is none when the framers together hold too much.
func (f *framer) space() []byte {
	switch {
	case f.from == f.to && len(f.buf) != minBuffer:
		f.all.change(len(f.buf), minBuffer)
		f.buf = make([]byte, minBuffer)
		f.from, f.to = 0, 0
	case f.from == f.to:
		f.from, f.to = 0, 0
	case f.to == len(f.buf) && f.from >= len(f.buf)/2:
		f.to = copy(f.buf, f.buf[f.from:f.to])
		f.from = 0
	case f.to == len(f.buf):
		size := min(2*len(f.buf), f.max+minBuffer)
		if !f.all.change(len(f.buf), size) {
			return nil
		}
		larger := make([]byte, size)
		f.to = copy(larger, f.buf[f.from:f.to])
		f.buf, f.from = larger, 0
	}
	return f.buf[f.to:]
}

// drop gives up what is there.
func (f *framer) drop() {
	f.all.change(len(f.buf), 0)
	*f = framer{max: f.max, all: f.all, lines: f.lines, some: f.some}
}

// filled tells that n bytes were read into the front of space.
func (f *framer) filled(n int) { f.to += n }

func (f *framer) tooLarge() frame {
	return endOf(&Error{
		Code:    CodeParse,
		Message: fmt.Sprintf("request is larger than %d bytes", f.max),
		Data:    Detail{WordFrameTooLarge},
	})
}

func notUTF8() frame {
	return endOf(&Error{CodeParse, "request is not valid UTF-8", Detail{WordNotUTF8}})
}

func notText() frame {
	return endOf(&Error{Code: CodeParse, Message: "expected value at line 1 column 1"})
}

func endOf(err *Error) frame { return frame{kind: endFrame, err: err} }
