package logs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"syscall"
	"time"
)

// retryAfter is how long a log file that failed is left alone; then the next line
// tries again.
const retryAfter = time.Second

// A file is the log file that a sink appends to. It is owned by the sink's
// goroutine. The zero file is closed.
type file struct {
	path    string
	f       *os.File
	failed  bool // said already
	retry   time.Time
	lost    int64 // bytes that could not be written
	midline bool  // the last write was cut off inside a line

	expected *record // what an earlier server said of the file
}

// prepare opens the file ahead of the first line; the first line reports a failure.
func (o *file) prepare() {
	if o.f == nil {
		_ = o.open()
	}
}

// expect makes the file go on where an earlier server was: the lines that it had
// written, but not noted down, are not written twice.
func (o *file) expect(rec record) { o.expected = &rec }

// reopen opens the file anew before the next write, a failed one at once.
func (o *file) reopen() {
	o.close()
	o.retry = time.Time{}
}

func (o *file) close() {
	if o.f != nil {
		o.f.Close() // each write has been checked
		o.f = nil
	}
}

// write appends lines to the file at path. What cannot be written is counted and
// marked later. problem is what to say, when a failure is new.
func (o *file) write(path string, lines []byte) (problem string) {
	if len(lines) == 0 {
		return ""
	}
	if path != o.path {
		o.reopen()
		o.path, o.expected, o.midline, o.failed = path, nil, false, false
	}
	if o.f == nil {
		if time.Now().Before(o.retry) {
			o.lost += int64(len(lines))
			return ""
		}
		if err := o.open(); err != nil {
			o.lost += int64(len(lines))
			return o.fail(err)
		}
	}
	lines = o.withoutWritten(lines)
	if err := o.append(lines); err != nil {
		return o.fail(err)
	}
	o.failed = false
	return ""
}

// append writes lines, behind the mark of those that are missing.
func (o *file) append(lines []byte) error {
	out := lines
	mark := 0
	if o.lost > 0 {
		out = nil
		if o.midline {
			out = append(out, '\n')
		}
		out = append(out, lostMark(o.lost)...)
		mark = len(out)
		out = append(out, lines...)
	}
	n, err := o.f.Write(out)
	if n > 0 {
		o.midline = out[n-1] != '\n'
	}
	switch {
	case err == nil:
		o.lost = 0
	case n < mark:
		o.lost += int64(len(lines))
	default:
		o.lost = int64(len(out) - n)
	}
	return err
}

func (o *file) fail(err error) string {
	o.close()
	o.retry = time.Now().Add(retryAfter)
	if o.failed {
		return ""
	}
	o.failed = true
	return fmt.Sprintf("log file %s: %v: lines are dropped until it can be written", o.path, errno(err))
}

// errno is the bare reason: the path is named already.
func errno(err error) error {
	if p, ok := err.(*os.PathError); ok {
		return p.Err
	}
	return err
}

func (o *file) open() error {
	// Without O_NONBLOCK a fifo that nobody reads would hold up the sink for ever.
	f, err := os.OpenFile(o.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0o640)
	if err == nil {
		o.f = f
	}
	return err
}

// withoutWritten takes off the lines that an earlier server wrote between its last
// note and its death. Whatever else is in the file is left as it is.
func (o *file) withoutWritten(lines []byte) []byte {
	rec := o.expected
	if o.expected = nil; rec == nil {
		return lines
	}
	size, dev, ino := o.where()
	if dev != rec.dev || ino != rec.ino || size <= rec.size {
		return lines
	}
	f, err := os.Open(o.path)
	if err != nil {
		return lines
	}
	defer f.Close()
	there := make([]byte, min(size-rec.size, 4*chunk))
	if n, _ := f.ReadAt(there, rec.size); n < len(there) {
		return lines
	}
	return bytes.TrimPrefix(lines, there)
}

// where tells the size and identity of the file, zeros when it is closed.
func (o *file) where() (size int64, dev, ino uint64) {
	if o.f == nil {
		return 0, 0, 0
	}
	fi, err := o.f.Stat()
	if err != nil {
		return 0, 0, 0
	}
	s, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, 0
	}
	return s.Size, uint64(s.Dev), s.Ino
}

// A record is how far a sink has come: all lines that ended before cursor are in
// the first size bytes of the file.
type record struct {
	cursor   int64
	pending  [3]int64 // where the unterminated line of each stream begins
	size     int64
	dev, ino uint64
}

const recordSize = 8*7 + 4

func (r record) encode() []byte {
	b := make([]byte, 0, recordSize)
	for _, v := range [...]uint64{uint64(r.cursor), uint64(r.pending[0]), uint64(r.pending[1]),
		uint64(r.pending[2]), uint64(r.size), r.dev, r.ino} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// decodeRecord understands what encode made and refuses everything else.
func decodeRecord(b []byte) (r record, ok bool) {
	if len(b) != recordSize || crc32.ChecksumIEEE(b[:recordSize-4]) != binary.LittleEndian.Uint32(b[recordSize-4:]) {
		return r, false
	}
	at := func(i int) int64 { return int64(binary.LittleEndian.Uint64(b[8*i:])) }
	r = record{cursor: at(0), pending: [3]int64{at(1), at(2), at(3)}, size: at(4), dev: uint64(at(5)), ino: uint64(at(6))}
	ok = r.cursor >= 0 && r.size >= 0
	for _, p := range r.pending {
		ok = ok && p >= 0 && p <= r.cursor && r.cursor-p <= 1<<40
	}
	return r, ok
}

// A position is the file that keeps a record for the next server.
type position struct {
	path string
	f    *os.File
}

func (p *position) load() (record, bool) {
	if p.path == "" {
		return record{}, false
	}
	b, err := os.ReadFile(p.path)
	if err != nil {
		return record{}, false
	}
	return decodeRecord(b)
}

// store is best effort: without it the next server may repeat or miss lines in the
// file, never in the store.
func (p *position) store(r record) {
	if p.path == "" {
		return
	}
	if p.f == nil {
		f, err := os.OpenFile(p.path, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return
		}
		p.f = f
	}
	_, _ = p.f.WriteAt(r.encode(), 0)
}

func (p *position) close() {
	if p.f != nil {
		p.f.Close()
		p.f = nil
	}
}

// forget deletes the record: the file is no longer written.
func (p *position) forget() {
	p.close()
	if p.path != "" {
		os.Remove(p.path) // not there is what is wanted
	}
}
