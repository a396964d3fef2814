package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
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

	press press // of old files

	mu      sync.Mutex
	to      target          // guarded by mu
	anew    bool            // guarded by mu: open the file anew
	mode    mode            // guarded by mu
	left    func()          // guarded by mu: called at the end, when finishing
	waiters []chan struct{} // guarded by mu: closed when nothing is left to do
	trouble string          // guarded by mu: why the file cannot be written

	// owned by the goroutine
	file   file
	pos    position
	join   joiner
	holds  bool
	cursor int64
	skip   int64 // of the lines behind the cursor, so many bytes are in files
	hint   int64
	rec    record // as it was noted down last
}

// A target is where lines go.
type target struct {
	path string // empty: to no file
	rotation
}

type mode uint8

const (
	serving   mode = iota
	finishing      // end when all is written
	quitting       // end now
)

// newSink starts a sink. posPath is where it keeps how far it has come, empty for
// nowhere.
func (l *Logs) newSink(st *pump.Store, posPath string, to target) *sink {
	s := &sink{store: st, more: make(chan struct{}, 1), done: make(chan struct{}), to: to}
	s.press.disk, s.press.turns = l.disk, l.presses
	s.file.disk = l.disk
	s.pos.disk, s.pos.path = l.disk, posPath
	s.begin(to) // here: what comes from now on is for the file
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

func (s *sink) aim(to target) { s.change(func() { s.to = to }) }
func (s *sink) reopen()       { s.change(func() { s.anew = true }) }
func (s *sink) quit()         { s.change(func() { s.mode = quitting }) }

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
	if s.file.path != "" && s.file.expected == nil {
		s.prepare() // ahead of the first line, which reports a failure
	}
	s.publish()
	s.compress() // what an earlier server did not come to
	for range s.more {
		for {
			s.mu.Lock()
			to, anew, mode, waiters := s.to, s.anew, s.mode, s.waiters
			s.anew, s.waiters = false, nil
			s.mu.Unlock()
			if anew {
				s.file.reopen()
				s.pos.close()
			}
			left := mode != quitting && s.round(to)
			s.publish()
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

// publish tells others how the file is.
func (s *sink) publish() {
	s.mu.Lock()
	s.trouble = s.file.why
	s.mu.Unlock()
}

func (s *sink) end(m mode) {
	s.file.close()
	s.pos.close()
	<-s.press.stop()
	if m == finishing {
		s.mu.Lock()
		left := s.left
		s.mu.Unlock()
		left()
	}
}

// round moves one stretch of bytes from the store to the file, and reports whether
// there may be more.
func (s *sink) round(to target) bool {
	switch {
	case to.path == "" && !s.holds:
		return false
	case !s.holds:
		s.begin(to)
	case to.path != "":
		s.file.aim(to)
	}
	v, err := s.store.View()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false // closed
	}
	if s.ordered(to) {
		return true // perhaps before the last of these bytes came, which obey then
	}
	if s.cursor >= v.Size {
		s.terminate(&v)
		if to.path == "" {
			s.letGo()
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
		buf.out = s.join.render(buf.out, seg, b[seg.Off-s.cursor:seg.End-s.cursor])
	}
	s.write(buf.out)
	s.cursor, s.skip, s.hint = end, 0, hint
	s.commit()
	return true
}

// ordered reports that lines are to go elsewhere than they went when to was read.
func (s *sink) ordered(to target) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.anew || s.to != to
}

// begin finds out where an earlier server left off, and makes the store wait.
func (s *sink) begin(to target) {
	s.join = joiner{}
	s.skip, s.hint = 0, 0
	s.holds = true
	s.file.aim(to)
	rec, ok := s.pos.load()
	want := rec.held()
	if v, err := s.store.View(); !ok && err == nil {
		want = v.Size // what was there before is not for the file
	}
	held := s.store.Hold(want, s.wake)
	s.cursor = held
	v, err := s.store.View()
	if ok && err == nil && held > rec.cursor {
		// Released while nobody held it for the file.
		s.file.gap = rec.gap
		s.file.lost += held - rec.cursor
	}
	if ok && err == nil && held <= rec.cursor && rec.cursor <= v.Size {
		s.cursor, s.skip = rec.cursor, rec.skip
		s.prime(&v, &rec, held)
		s.file.expect(rec)
	}
	s.commit() // or a server that dies before the first line leaves no trace
}

// prime takes up the lines that were begun, but not ended, before the cursor.
func (s *sink) prime(v *pump.View, rec *record, from int64) {
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

// letGo ends what begin began: there is no file any more, and all lines for it are
// written.
func (s *sink) letGo() {
	s.store.Unhold()
	s.file.close()
	s.pos.forget()
	s.holds = false
}

// terminate ends the lines of streams that will not go on. One that this server
// has not opened yet may be adopted in a moment.
func (s *sink) terminate(v *pump.View) {
	var out []byte
	for st := range Stream(pump.Streams) {
		if v.Ended[st] {
			s.join.breakOff(st, func(p piece) { out = format(out, p) })
		}
	}
	if len(out) > 0 {
		s.write(out)
		s.skip = 0
		s.commit()
	}
}

// write brings the lines behind the cursor to the file and says so in the log when
// that begins to fail. Before anything is written to another file than the one that
// was noted down, that is noted down.
func (s *sink) write(lines []byte) {
	lines = lines[min(s.skip, int64(len(lines))):]
	if len(lines) == 0 {
		return
	}
	s.prepare()
	if s.file.f != nil && s.file.expected != nil {
		n := s.file.written(lines)
		s.skip += int64(n)
		lines = lines[n:]
		s.note()
		s.compress()
	}
	for len(lines) > 0 {
		if s.file.due(lines) {
			s.rotate()
		}
		n := s.file.fits(lines)
		s.sayIf(s.file.write(lines[:n]))
		lines = s.pass(lines, n)
	}
}

// pass goes behind n bytes of the lines. What is behind the last of them is noted
// down with the cursor.
func (s *sink) pass(lines []byte, n int) []byte {
	s.skip += int64(n)
	if n < len(lines) {
		s.note()
	}
	return lines[n:]
}

// prepare opens the file if it is not open.
func (s *sink) prepare() {
	opened, problem := s.file.ready()
	s.sayIf(problem)
	if opened && s.file.expected == nil {
		s.note()
		s.compress()
	}
}

func (s *sink) rotate() {
	s.press.names.Lock()
	problem := s.file.turn()
	s.press.names.Unlock()
	s.sayIf(problem)
	s.note()
	s.compress()
}

// compress has the old files compressed that are not.
func (s *sink) compress() {
	if r := s.file.rotate; r.wanted() && r.compress {
		s.press.run(s.file.path, r.keep, s.say)
	}
}

func (s *sink) say(text string) { s.store.Append(text) }

func (s *sink) sayIf(problem string) {
	if problem != "" {
		s.say(problem)
	}
}

// commit remembers how far the file is, and lets the store release what it has.
func (s *sink) commit() {
	s.rec.cursor = s.cursor
	for st := range s.rec.pending {
		kept := &s.rec.pending[st]
		p := &s.join.pend[st]
		switch {
		case len(p.text) > maxBegun || st >= recordTexts && len(p.text) > 0:
			*kept = begun{off: p.off}
		case len(p.text) > 0:
			*kept = begun{off: p.off, text: append(kept.text[:0], p.text...)}
		default:
			*kept = begun{off: s.cursor, text: kept.text[:0]}
		}
	}
	s.note()
	s.store.Advance(s.cursor, s.rec.held(), s.hint)
}

// note writes down how far the file is. The lines that had begun at the cursor are
// those of the last commit.
func (s *sink) note() {
	s.rec.skip = s.skip
	s.file.note(&s.rec)
	s.pos.store(&s.rec)
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

// buffers are shared by all sinks and followers: an idle one holds none.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

type buffer struct {
	in     [chunk]byte
	out    []byte
	pieces []piece
}
