package logs

import (
	"bytes"
	"time"

	"zinit/supervise/logs/pump"
)

// MaxLine is the length, in bytes without the newline, from which on a line is cut
// into pieces of this length.
const MaxLine = 64 << 10

// A Stream says where a line came from. Its String is stdout, stderr, zinit or
// syslog.
type Stream = pump.Stream

// The streams.
const (
	Stdout = pump.Stdout
	Stderr = pump.Stderr
	Zinit  = pump.Zinit  // a line of our own
	Syslog = pump.Syslog // sent to the socket of the system log
)

// A Line is one line of a service's log.
type Line struct {
	// Time is when its first byte was taken from the pipe, to the millisecond.
	Time   time.Time
	Stream Stream
	// Text is the bytes as they came, without \n or \r\n: they may hold anything
	// else, NUL and invalid UTF-8 included.
	Text []byte
	// Cut says that Text is not the whole line: it goes on in the next line of the
	// stream because it is longer than MaxLine; or its beginning may have been released.
	Cut bool
	// Partial says that no newline has come yet and the stream is still open.
	Partial bool
	// Next is the cursor for Logs.Follow that continues behind this line.
	Next int64
}

// An ending says what ended a piece of text.
type ending uint8

const (
	newline ending = iota
	cut            // it goes on: the line is longer than MaxLine
	broken         // the stream ended, or has not gone on yet
)

// A piece is a line as it is stored, or a part of one that was cut.
type piece struct {
	off    int64
	next   int64 // behind its last byte, the newline included
	time   time.Time
	stream Stream
	text   []byte // valid until the next call of the joiner
	end    ending
	torn   bool // its beginning is not there

	open   bool  // the stream may still go on with it
	cursor int64 // of a follower that has told it and all before it
}

// line is the piece as callers get it.
func (p *piece) line() Line {
	text := p.text
	if p.end == newline {
		text = bytes.TrimSuffix(text, []byte{'\r'})
	}
	return Line{Time: p.time, Stream: p.stream, Text: text, Cut: p.end == cut || p.torn, Partial: p.open, Next: p.cursor}
}

// A joiner puts the lines of each stream together from segments. The zero joiner
// is at the beginning of a store. It holds at most MaxLine bytes for each stream.
type joiner struct {
	pend [pump.Streams]pending
}

// pending is the begun line of a stream, or what is left of it behind a cut.
type pending struct {
	off  int64 // where text begins
	next int64 // and ends
	time time.Time
	text []byte
	torn bool // the beginning of the line is not there
}

// feed takes the bytes of a segment and emits the pieces that are complete.
func (j *joiner) feed(seg pump.Segment, b []byte, emit func(piece)) {
	if seg.Fresh {
		j.breakOff(seg.Stream, emit)
		j.pend[seg.Stream].torn = false
	}
	p := &j.pend[seg.Stream]
	for off := seg.Off; len(b) > 0; {
		text, rest, found := bytes.Cut(b, []byte{'\n'})
		if len(p.text) == 0 {
			p.off, p.time = off, seg.Time
		}
		if room := MaxLine - len(p.text); len(text) > room {
			if room > 0 {
				p.next = off + int64(room)
			}
			j.emit(seg.Stream, text[:room], cut, emit)
			b = b[room:]
			off += int64(room)
			continue
		}
		p.next = off + int64(len(text))
		if !found {
			p.text = append(p.text, text...)
			return
		}
		p.next++
		j.emit(seg.Stream, text, newline, emit)
		off += int64(len(text)) + 1
		b = rest
	}
}

// render appends the bytes of a segment as they are written to files. It does what
// feed does: but whole lines that need no change go as they are, all at once.
func (j *joiner) render(out []byte, seg pump.Segment, b []byte) []byte {
	emit := func(p piece) { out = format(out, p) }
	if p := &j.pend[seg.Stream]; len(p.text) > 0 || p.torn || seg.Fresh {
		first := b[:firstLine(b)]
		j.feed(seg, first, emit)
		b = b[len(first):]
		seg.Off += int64(len(first))
		seg.Fresh = false
	}
	if end := bytes.LastIndexByte(b, '\n') + 1; end > 0 && len(b) <= MaxLine && seg.Stream != Zinit {
		out = append(out, b[:end]...)
		b = b[end:]
		seg.Off += int64(end)
	}
	j.feed(seg, b, emit)
	return out
}

// emit passes on what is pending of a stream, and text behind it.
func (j *joiner) emit(s Stream, text []byte, end ending, emit func(piece)) {
	p := &j.pend[s]
	if len(p.text) > 0 {
		text = append(p.text, text...)
		p.text = text[:0]
	}
	torn := p.torn
	p.torn = torn && end == cut
	emit(piece{off: p.off, next: p.next, time: p.time, stream: s, text: text, end: end, torn: torn})
}

// tear says that what is before off cannot be read: the next line of each stream
// that had begun one, or has written there, may be what is left of it.
func (j *joiner) tear(v *pump.View, off int64) {
	for s := range Stream(pump.Streams) {
		p := &j.pend[s]
		p.torn = p.torn || len(p.text) > 0 || v.Wrote(s, off)
	}
}

// breakOff ends the pending line of a stream, if there is one.
func (j *joiner) breakOff(s Stream, emit func(piece)) {
	if len(j.pend[s].text) > 0 {
		j.emit(s, nil, broken, emit)
	}
}

// begins is where the begun text of each stream begins.
func (j *joiner) begins() (begins [pump.Streams]int64) {
	begins = noBegins
	for s := range j.pend {
		if p := &j.pend[s]; len(p.text) > 0 {
			begins[s] = p.off
		}
	}
	return begins
}
