package logs

import (
	"hash/crc32"
	"io"
	"strconv"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// stdoutTurn is held while one service writes to the server's own stdout: its lines
// do not fall into those of another one.
type stdoutTurn struct {
	mu sync.Mutex
}

// A stdoutOutlet shows lines on the server's own stdout, each behind the name of the
// service. On a terminal the name has a colour, and what is not for people's eyes is
// escaped.
type stdoutOutlet struct {
	service string
	to      *stdoutTurn
	w       io.Writer // nil: there is none
	errs    io.Writer // for all that was not written to stdout; nil: w
	colour  bool
	buf     []byte
	missing shortfall
	retry   time.Time
}

func (o *stdoutOutlet) put(lines []Line, lost int64) (problem string) {
	o.missing.bytes += lost
	if o.w == nil || time.Now().Before(o.retry) {
		o.missing.lines += int64(len(lines))
		return ""
	}
	b := o.buf[:0]
	if text := o.missing.String(); text != "" {
		b = o.line(b, Line{Stream: Zinit, Text: []byte(text)})
	}
	var e []byte
	for i := range lines {
		if o.errs != nil && lines[i].Stream != Stdout {
			e = o.line(e, lines[i])
		} else {
			b = o.line(b, lines[i])
		}
	}
	if o.buf = b; cap(b) > 2*chunk {
		o.buf = nil // of a very long line
	}
	err := o.write(b, e)
	if err == nil {
		o.missing = shortfall{}
		return ""
	}
	// Nobody is told: the next line would meet with the same.
	o.missing.lines += int64(len(lines))
	o.retry = time.Now().Add(retryAfter)
	return ""
}

// write writes what goes to stdout and what goes to stderr.
func (o *stdoutOutlet) write(b, e []byte) (err error) {
	o.to.mu.Lock()
	defer o.to.mu.Unlock()
	if len(b) > 0 {
		_, err = o.w.Write(b)
	}
	if len(e) > 0 && err == nil {
		_, err = o.errs.Write(e)
	}
	return err
}

func (o *stdoutOutlet) owes() time.Duration { return 0 }
func (o *stdoutOutlet) close()              {}

// line appends a line as it is shown.
func (o *stdoutOutlet) line(b []byte, l Line) []byte {
	if !o.colour {
		b = append(b, o.service...)
		b = append(b, " | "...)
		return appendText(b, l)
	}
	palette := [...]string{"36", "32", "35", "34"} // red and yellow have a meaning
	b = append(b, "\x1b["+palette[crc32.ChecksumIEEE([]byte(o.service))%uint32(len(palette))]+"m"...)
	b = append(b, o.service...)
	b = append(b, " |\x1b[0m "...)
	return append(appendPrintable(b, appendText(nil, l)), '\n')
}

// appendText appends the text of a line as files have it.
func appendText(b []byte, l Line) []byte {
	p := piece{stream: l.Stream, text: l.Text}
	if l.Cut {
		p.end = cut
	}
	return format(b, p)
}

// appendPrintable appends a line without its newline, and with what would change the
// terminal escaped.
func appendPrintable(b, line []byte) []byte {
	line = line[:len(line)-1]
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, `\x`...)
			b = append(b, "0123456789abcdef"[line[0]>>4], "0123456789abcdef"[line[0]&15])
		case r == '\t' || unicode.IsPrint(r):
			b = append(b, line[:n]...)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b = append(b, q[1:len(q)-1]...)
		}
		line = line[n:]
	}
	return b
}
