// Package logline is how the long-lived programs of the binary write their own logs:
// one line for each record, as time, level, message and key=value, in colour on a
// terminal. It refuses to know where the lines go.
package logline

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// levelTrace is below slog's own levels.
const levelTrace = slog.LevelDebug - 4

// levelOf is the level of a word; one that is none of them is info.
func levelOf(word string) slog.Level {
	switch word {
	case "trace":
		return levelTrace
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// lineHandler writes one line for each record: time, level, message, key=value.
type lineHandler struct {
	w      io.Writer
	least  slog.Level
	colour bool
	attrs  string // of With, rendered
}

// New logs to w from a level on: trace, debug, info, warn or error.
func New(w io.Writer, level string, colour bool) *slog.Logger {
	return slog.New(&lineHandler{w: w, least: levelOf(level), colour: colour})
}

func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.least }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	b := make([]byte, 0, 160)
	b = r.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z ")
	b = h.appendLevel(b, r.Level)
	b = append(b, ' ')
	b = appendText(b, r.Message)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, a)
		return true
	})
	b = append(b, '\n')
	_, err := h.w.Write(b)
	return err
}

func (h *lineHandler) appendLevel(b []byte, l slog.Level) []byte {
	word, colour := "error", "31"
	switch {
	case l < slog.LevelDebug:
		word, colour = "trace", "90"
	case l < slog.LevelInfo:
		word, colour = "debug", "90"
	case l < slog.LevelWarn:
		word, colour = "info ", "32"
	case l < slog.LevelError:
		word, colour = "warn ", "33"
	}
	if !h.colour {
		return append(b, word...)
	}
	return append(b, "\x1b["+colour+"m"+word+"\x1b[0m"...)
}

// appendText escapes what would break the line or play with a terminal.
func appendText(b []byte, text string) []byte {
	if printable(text) {
		return append(b, text...)
	}
	quoted := strconv.Quote(text)
	return append(b, quoted[1:len(quoted)-1]...)
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) })
}

// appendAttr quotes what would break the line or the pair.
func appendAttr(b []byte, a slog.Attr) []byte {
	b = append(b, ' ')
	b = append(b, a.Key...)
	b = append(b, '=')
	text := a.Value.Resolve().String()
	if text == "" || strings.ContainsAny(text, ` "=`) || !printable(text) {
		return strconv.AppendQuote(b, text)
	}
	return append(b, text...)
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	var b []byte
	for _, a := range attrs {
		b = appendAttr(b, a)
	}
	c.attrs += string(b)
	return &c
}

// WithGroup is not used by anybody here; groups are flattened.
func (h *lineHandler) WithGroup(string) slog.Handler { return h }

// A Patient hands lines to a writer that may block (a terminal that was
// stopped, a pipe that nobody reads) without ever making the loop wait: what does
// not fit is counted and said later.
type Patient struct {
	lines   chan []byte
	dropped atomic.Int64
	idle    chan chan struct{}
}

// patientRoom is how many lines wait for a slow reader.
const patientRoom = 4096

// patientPiece is about how much is written at once.
const patientPiece = 32 << 10

// NewPatient begins to hand lines to w, which nobody else writes to.
func NewPatient(w io.Writer) *Patient {
	p := &Patient{lines: make(chan []byte, patientRoom), idle: make(chan chan struct{})}
	go p.run(w)
	return p
}

// Write takes one line; it never fails and never waits.
func (p *Patient) Write(line []byte) (int, error) {
	select {
	case p.lines <- append([]byte(nil), line...):
	default:
		p.dropped.Add(1)
	}
	return len(line), nil
}

func (p *Patient) run(w io.Writer) {
	var buf []byte
	put := func(line []byte) {
		// What waits goes out in one piece.
		buf = append(buf[:0], line...)
		for len(p.lines) > 0 && len(buf) < patientPiece {
			buf = append(buf, <-p.lines...)
		}
		// Nowhere to complain about the place for complaints.
		_, _ = w.Write(buf)
		if n := p.dropped.Swap(0); n > 0 {
			_, _ = fmt.Fprintf(w, "%d lines of this log were dropped: it is not read fast enough\n", n)
		}
	}
	for {
		select {
		case line := <-p.lines:
			put(line)
		case done := <-p.idle:
			for len(p.lines) > 0 {
				put(<-p.lines)
			}
			close(done)
		}
	}
}

// Flush waits until what was written is out, for a second at most.
func (p *Patient) Flush() {
	late := time.After(time.Second)
	done := make(chan struct{})
	select {
	case p.idle <- done:
	case <-late:
		return
	}
	select {
	case <-done:
	case <-late:
	}
}
