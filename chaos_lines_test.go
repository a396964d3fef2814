package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// appendChaosLine appends line n of a stream of a life. Nothing but itself is its
// like, so that a torn line is seen to be one.
func appendChaosLine(b []byte, name string, life int, stream byte, n int) []byte {
	b = append(append(b, name...), ' ')
	b = append(strconv.AppendInt(b, int64(life), 10), ' ', stream, ' ')
	b = append(strconv.AppendInt(b, int64(n), 10), ' ')
	const pad = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
	return append(append(b, pad[:(31*n+7*life)%len(pad)]...), '.', '\n')
}

// A chaosLines looks at the lines of one service, of each stream in their order.
type chaosLines struct {
	mu    sync.Mutex // guards all below but name, meter and own
	name  string
	meter *chaosMeter
	own   func(line []byte) bool // lines that zinit itself added
	next  map[chaosSource]int    // the number of the next line
	now   map[byte]int           // the life that writes to a stream

	// explain says what else is known of a finding, in which these lines should be;
	// nil: nothing is.
	explain func(should ...[]byte) string

	lines, missing, doubled, torn, late int
	notes                               []string // of the first ones that are wrong
	before                              []byte   // the line before
	behind                              bool     // the next line belongs to the last note
	buf                                 []byte
	last                                chaosSource
	lastNext                            int
}

type chaosSource struct {
	life   int
	stream byte
}

func newChaosLines(name string, meter *chaosMeter, own func([]byte) bool) *chaosLines {
	return &chaosLines{name: name, meter: meter, own: own, next: map[chaosSource]int{}, now: map[byte]int{}}
}

// feed takes in a line without its newline.
func (c *chaosLines) feed(line []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.judge(line)
	c.before = append(c.before[:0], line...)
}

func (c *chaosLines) judge(line []byte) {
	if c.behind {
		c.behind = false
		c.notes[len(c.notes)-1] += fmt.Sprintf("\n\tbehind it: %.200q", line)
	}
	src, n, ok := c.parse(line)
	if !ok {
		if !c.own(line) {
			c.torn++
			c.note([][]byte{line}, "torn: %.400q", line)
		}
		return
	}
	c.lines++
	if src != c.last {
		c.next[c.last] = c.lastNext
		c.last = src
		if c.lastNext = c.next[src]; c.lastNext == 0 {
			c.lastNext = 1
		}
		if was := c.now[src.stream]; src.life < was {
			c.late++
			c.note(nil, "late: %q after lines of life %d", line, was)
		}
		c.now[src.stream] = max(c.now[src.stream], src.life)
	}
	switch want := c.lastNext; {
	case n < want:
		c.doubled++
		c.note(nil, "double: %q, when %d was next", line, want)
	case n > want:
		c.missing += n - want
		should := [][]byte{c.line(src, want), c.line(src, n-1)}
		c.note(should, "missing: %d lines, %d to %d, before %q", n-want, want, n-1, line)
		fallthrough
	default:
		c.lastNext = n + 1
	}
}

func (c *chaosLines) parse(line []byte) (src chaosSource, n int, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(c.name))
	if !ok {
		return src, 0, false
	}
	var life, stream, number []byte
	life, rest, _ = bytes.Cut(bytes.TrimPrefix(rest, []byte(" ")), []byte(" "))
	stream, rest, _ = bytes.Cut(rest, []byte(" "))
	number, _, ok = bytes.Cut(rest, []byte(" "))
	if !ok || len(stream) != 1 {
		return src, 0, false
	}
	src.life, _ = strconv.Atoi(string(life)) // a wrong one does not give the same line again
	src.stream = stream[0]
	n, _ = strconv.Atoi(string(number))
	if src.life < 1 || n < 1 {
		return src, n, false
	}
	c.buf = appendChaosLine(c.buf[:0], c.name, src.life, src.stream, n)
	return src, n, bytes.Equal(c.buf[:len(c.buf)-1], line)
}

// line is what a line should be, without its newline.
func (c *chaosLines) line(src chaosSource, n int) []byte {
	b := appendChaosLine(nil, c.name, src.life, src.stream, n)
	return b[:len(b)-1]
}

// note notes a finding, with its neighbours.
func (c *chaosLines) note(should [][]byte, format string, args ...any) {
	if len(c.notes) >= 8 {
		return
	}
	text := fmt.Sprintf(c.name+": "+format, args...)
	if c.explain != nil {
		text += "\n\t" + c.explain(should...)
	}
	c.notes = append(c.notes, text+fmt.Sprintf("\n\tbefore it: %.200q", c.before))
	c.behind = true
}

// unread is how many lines were written at least and did not come yet.
func (c *chaosLines) unread() (n int, which string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next[c.last] = c.lastNext
	for life := 1; life <= c.meter.get(meterLives); life++ {
		for _, stream := range []byte("oe") {
			written := c.meter.get(chaosCount(life, stream))
			if seen := max(c.next[chaosSource{life, stream}]-1, 0); seen < written {
				n += written - seen
				which = fmt.Sprintf("%s: life %d wrote %d lines to %c, of which there are %d", c.name, life, written, stream, seen)
			}
		}
	}
	return n, which
}

// close counts what never came.
func (c *chaosLines) close() {
	if n, which := c.unread(); n > 0 {
		c.missing += n
		c.note(nil, "missing at the end: %s", which)
	}
}

// A chaosTail reads a file as it grows and gives what it has read back to the file
// system, so that days of output need no disk.
type chaosTail struct {
	path    string
	punch   bool // the file is nobody else's to release
	lines   *chaosLines
	file    *os.File
	off     int64
	punched int64
	rest    []byte // of a line that has not ended
	buf     []byte
}

// more reads what there is.
func (t *chaosTail) more() error {
	if t.file == nil {
		f, err := os.OpenFile(t.path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // no line yet
		}
		if err != nil {
			return err
		}
		t.file, t.buf = f, make([]byte, 1<<20)
	}
	for {
		n, err := t.file.ReadAt(t.buf, t.off)
		t.off += int64(n)
		t.take(t.buf[:n])
		t.lines.meter.add(meterRead, n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	const keep = 16 << 20 // the server looks at what it wrote last
	if to := (t.off - keep) &^ (1<<20 - 1); t.punch && to > t.punched {
		err := unix.Fallocate(int(t.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, t.punched, to-t.punched)
		if err != nil {
			return fmt.Errorf("cannot release %s: %w", t.path, err)
		}
		t.punched = to
	}
	return nil
}

func (t *chaosTail) take(b []byte) {
	for {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if !whole {
			t.rest = append(t.rest, line...)
			return
		}
		if len(t.rest) > 0 {
			line = append(t.rest, line...)
			t.rest = t.rest[:0]
		}
		t.lines.feed(line)
		b = rest
	}
}

// close looks whether the file is still the one that it was.
func (t *chaosTail) close() error {
	if t.file == nil {
		return fmt.Errorf("%s: no line came", t.path)
	}
	defer t.file.Close()
	if len(t.rest) > 0 {
		t.lines.feed(t.rest)
	}
	was, err := t.file.Stat()
	if err != nil {
		return err
	}
	is, err := os.Stat(t.path)
	if err != nil {
		return err
	}
	if !os.SameFile(was, is) {
		return fmt.Errorf("%s is another file than it was", t.path)
	}
	return nil
}
