package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"sync"

	"zinit/supervise/logs/pump"
)

// A sink appends the lines of a store to a log file. It has a goroutine of its own,
// which may wait for the file's disk; the store keeps every byte until the sink has
// it, so that a slow disk makes the service wait, and nobody else.
type sink struct {
	store *pump.Store
	more  chan struct{} // there may be something to do
	done  chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	path    string          // guarded by mu; empty: no file
	anew    bool            // guarded by mu: open the file anew
	mode    mode            // guarded by mu
	left    func()          // guarded by mu: called at the end, when finishing
	waiters []chan struct{} // guarded by mu: closed when nothing is left to do

	// owned by the goroutine
	file   file
	pos    position
	join   joiner
	holds  bool
	cursor int64
	hint   int64
}

type mode uint8

const (
	serving   mode = iota
	finishing      // end when all is written
	quitting       // end now
)

// newSink starts a sink. posPath is where it keeps how far it has come, empty for
// nowhere.
func newSink(st *pump.Store, posPath, path string) *sink {
	s := &sink{store: st, more: make(chan struct{}, 1), done: make(chan struct{}), path: path}
	s.pos.path = posPath
	s.begin(path) // here: what comes from now on is for the file
	s.wake()
	go s.loop()
	return s
}

func (s *sink) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *sink) change(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	s.wake()
}

func (s *sink) setPath(path string) { s.change(func() { s.path = path }) }
func (s *sink) reopen()             { s.change(func() { s.anew = true }) }
func (s *sink) quit()               { s.change(func() { s.mode = quitting }) }

// finish ends the sink when all is written. Its position is forgotten at once: a
// new service of the name may come before that. left is called when the store is not
// needed any more.
func (s *sink) finish(left func()) {
	s.pos.drop()
	s.change(func() { s.mode, s.left = finishing, left })
}

// caughtUp is closed when everything stored by now is written or lost.
func (s *sink) caughtUp() <-chan struct{} {
	w := make(chan struct{})
	s.change(func() { s.waiters = append(s.waiters, w) })
	return w
}

// loop is the sink's goroutine.
func (s *sink) loop() {
	defer close(s.done)
	if s.file.expected == nil {
		s.file.prepare()
		s.commit()
	}
	for range s.more {
		for {
			s.mu.Lock()
			path, anew, mode, waiters := s.path, s.anew, s.mode, s.waiters
			s.anew, s.waiters = false, nil
			s.mu.Unlock()
			if anew {
				s.file.reopen()
				s.pos.close()
			}
			left := mode != quitting && s.round(path)
			if left {
				s.change(func() { s.waiters = append(s.waiters, waiters...) })
				continue
			}
			for _, w := range waiters {
				close(w)
			}
			if mode != serving {
				s.end(mode)
				return
			}
			break
		}
	}
}

func (s *sink) end(m mode) {
	s.file.close()
	s.pos.close()
	if m == finishing {
		s.mu.Lock()
		left := s.left
		s.mu.Unlock()
		left()
	}
}

// round moves one stretch of bytes from the store to the file, and reports whether
// there may be more.
func (s *sink) round(path string) bool {
	switch {
	case path == "" && !s.holds:
		return false
	case !s.holds:
		s.begin(path)
	}
	v, err := s.store.View()
	if err != nil {
		return false // no byte yet, or closed
	}
	if s.cursor >= v.Size {
		s.terminate(path, &v)
		if path == "" {
			s.store.Unhold()
			s.file.close()
			s.pos.forget()
			s.holds = false
		}
		return false
	}
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	end := min(v.Size, s.cursor+chunk)
	b := buf.in[:end-s.cursor]
	n, err := v.ReadAt(b, s.cursor)
	if errors.Is(err, fs.ErrClosed) {
		return true // the files were replaced; or removed, which View says next time
	}
	if err != nil && (err != io.EOF || n < len(b)) {
		s.say(fmt.Sprintf("log store: cannot be read: %v: log file misses %d bytes", err, len(b)))
		clear(b[n:])
	}
	segs, hint := v.Segments(s.cursor, end, s.hint)
	buf.out = buf.out[:0]
	for _, seg := range segs {
		s.join.feed(seg, b[seg.Off-s.cursor:seg.End-s.cursor], func(p piece) { buf.out = format(buf.out, p) })
	}
	s.write(path, buf.out)
	s.cursor, s.hint = end, hint
	s.commit()
	return true
}

// begin finds out where an earlier server left off, and makes the store wait.
func (s *sink) begin(path string) {
	s.join = joiner{}
	s.hint = 0
	s.holds = true
	s.file.path = path
	rec, ok := s.pos.load()
	want := rec.held()
	if v, err := s.store.View(); !ok && err == nil {
		want = v.Size // what was there before is not for the file
	}
	held := s.store.Hold(want, s.wake)
	s.cursor = held
	v, err := s.store.View()
	if ok && err == nil && held <= rec.cursor && rec.cursor <= v.Size {
		s.cursor = rec.cursor
		s.prime(&v, rec, held)
		s.file.expect(rec)
	}
	s.commit() // or a server that dies before the first line leaves no trace
}

// prime takes up the lines that were begun, but not ended, before the cursor.
func (s *sink) prime(v *pump.View, rec record, from int64) {
	b := make([]byte, rec.cursor-from)
	if _, err := v.ReadAt(b, from); err != nil && err != io.EOF {
		return
	}
	segs, _ := v.Segments(from, rec.cursor, 0)
	for _, seg := range segs {
		p := rec.pending[seg.Stream]
		seg.Off = max(seg.Off, p.off)
		if p.text == nil && seg.Off < seg.End {
			s.join.feed(seg, b[seg.Off-from:seg.End-from], func(piece) {})
		}
	}
	for st, p := range rec.pending {
		if p.text != nil {
			s.join.pend[st].off, s.join.pend[st].text = p.off, p.text
		}
	}
}

// terminate ends the lines of streams that will not go on. One that this server
// has not opened yet may be adopted in a moment.
func (s *sink) terminate(path string, v *pump.View) {
	var out []byte
	for st := range Stream(pump.Streams) {
		if v.Ended[st] {
			s.join.breakOff(st, func(p piece) { out = format(out, p) })
		}
	}
	if len(out) > 0 {
		s.write(path, out)
		s.commit()
	}
}

// write brings lines to the file and says so in the log when that begins to fail.
func (s *sink) write(path string, lines []byte) {
	if path == "" {
		path = s.file.path // the rest goes where it went until now
	}
	if problem := s.file.write(path, lines); problem != "" {
		s.say(problem)
	}
}

func (s *sink) say(text string) { s.store.Append(text) }

// commit remembers how far the file is, and lets the store release what it has.
func (s *sink) commit() {
	rec := record{cursor: s.cursor}
	for st := range rec.pending {
		rec.pending[st] = begun{off: s.cursor, text: []byte{}}
		if p := &s.join.pend[st]; len(p.text) > maxBegun {
			rec.pending[st] = begun{off: p.off}
		} else if len(p.text) > 0 {
			rec.pending[st] = begun{off: p.off, text: p.text}
		}
	}
	rec.size, rec.dev, rec.ino = s.file.where()
	s.pos.store(rec)
	s.store.Advance(s.cursor, rec.held(), s.hint)
}

// format appends a piece as it is written to files: every piece is a line.
func format(out []byte, p piece) []byte {
	if p.stream == Zinit {
		out = append(out, "[zinit: "...)
		out = append(out, p.text...)
		return append(out, "]\n"...)
	}
	out = append(out, p.text...)
	if p.end == cut {
		out = append(out, " [zinit: line cut]"...)
	}
	return append(out, '\n')
}

// lostMark is what a file has in place of lines that could not be written.
func lostMark(n int64) string { return "[zinit: " + strconv.FormatInt(n, 10) + " bytes lost]\n" }

// buffers are shared by all sinks and followers: an idle one holds none.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

type buffer struct {
	in     [chunk]byte
	out    []byte
	pieces []piece
}
