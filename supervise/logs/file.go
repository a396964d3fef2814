package logs

import (
	"bytes"
	"fmt"
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
	size, dev, ino := o.identity()
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

// where tells what to note down of the file: its size and identity, zeros when it
// is closed. What an earlier server noted holds until it was made use of.
func (o *file) where() (size int64, dev, ino uint64) {
	if o.expected != nil {
		return o.expected.size, o.expected.dev, o.expected.ino
	}
	return o.identity()
}

func (o *file) identity() (size int64, dev, ino uint64) {
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
