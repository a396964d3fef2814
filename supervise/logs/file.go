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
// goroutine. The zero file, with a disk, is closed.
type file struct {
	disk   disk
	path   string
	rotate rotation // how it is
	f      *os.File
	is     fileInfo // f, as it was looked at last
	born   int64    // when f was begun, in Unix milliseconds
	why    string   // it cannot be written, as was said already; empty: it can
	retry  time.Time
	stuck  time.Time // until then it is not rotated: that failed

	gap
	expected *record // what an earlier server said of the file
}

// A gap is what a file still misses: it survives the server.
type gap struct {
	lost    int64 // bytes that could not be written
	midline bool  // the last write was cut off inside a line
}

// fileInfo is what identifies a file, and its size.
type fileInfo struct {
	size     int64
	dev, ino uint64
	regular  bool
}

func (i fileInfo) same(j fileInfo) bool { return i.dev == j.dev && i.ino == j.ino }

func infoOf(fi os.FileInfo) fileInfo {
	s, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fileInfo{}
	}
	return fileInfo{s.Size, uint64(s.Dev), s.Ino, fi.Mode().IsRegular()}
}

// expect makes the file go on where an earlier server was: the lines that it had
// written, but not noted down, are not written twice.
func (o *file) expect(rec record) { o.expected, o.gap = &rec, rec.gap }

// reopen opens the file anew before the next write, a failed one at once.
func (o *file) reopen() {
	o.close()
	o.retry, o.stuck = time.Time{}, time.Time{}
}

func (o *file) close() {
	if o.f != nil {
		o.f.Close() // each write has been checked
		o.f, o.is = nil, fileInfo{}
	}
}

// aim says where lines go from now on. Another path is another file, which misses
// nothing.
func (o *file) aim(to target) {
	o.rotate = to.rotation
	if to.path != o.path {
		o.reopen()
		o.path, o.expected, o.gap, o.why = to.path, nil, gap{}, ""
	}
}

// ready opens the file if it is not open. opened says that it was not, and what it
// is must be noted down before something is written to it. problem is what to say,
// when a failure is new.
func (o *file) ready() (opened bool, problem string) {
	o.look()
	if o.f != nil || time.Now().Before(o.retry) {
		return false, ""
	}
	if err := o.open(); err != nil {
		return false, o.fail(err)
	}
	return true, ""
}

// write appends lines to the open file, behind the mark of those that are missing.
// What cannot be written is counted and marked later.
func (o *file) write(lines []byte) (problem string) {
	if o.f == nil {
		o.lost += int64(len(lines))
		return ""
	}
	out, mark := lines, o.mark()
	if len(mark) > 0 {
		out = append(mark, lines...)
	}
	n, err := o.disk.write(o.f, out)
	if n > 0 {
		o.midline = out[n-1] != '\n'
		o.is.size += int64(n)
	}
	switch {
	case err == nil:
		o.lost = 0
		o.why = ""
		return ""
	case n < len(mark):
		o.lost += int64(len(lines))
	default:
		o.lost = int64(len(out) - n)
	}
	return o.fail(err)
}

// mark is what stands in the file in place of lines that could not be written.
func (o *file) mark() (b []byte) {
	if o.lost == 0 {
		return nil
	}
	if o.midline {
		b = append(b, '\n')
	}
	return fmt.Appendf(b, "[zinit: %d bytes lost]\n", o.lost)
}

func (o *file) fail(err error) string {
	o.close()
	o.retry = time.Now().Add(retryAfter)
	said := o.why != ""
	o.why = fmt.Sprintf("log file %s: %v: lines are dropped until it can be written", o.path, errno(err))
	if said {
		return ""
	}
	return o.why
}

// errno is the bare reason: the path is named already.
func errno(err error) error {
	switch e := err.(type) {
	case *os.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}

func (o *file) open() error {
	// Without O_NONBLOCK a fifo that nobody reads would hold up the sink for ever.
	f, err := o.disk.open(o.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0o640)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	o.f, o.is = f, infoOf(fi)
	o.born = time.Now().UnixMilli()
	if o.is.size > 0 && o.is.regular {
		// Of a file that somebody else began, the last write is what is known.
		o.born = min(o.born, fi.ModTime().UnixMilli())
	}
	if rec := o.expected; rec != nil && rec.born != 0 && o.is.same(rec.file) {
		o.born = min(o.born, rec.born)
	}
	return nil
}

// written is how much at the beginning of lines an earlier server wrote between its
// last note and its death, the mark before them included if there was one. Whatever
// else is in the file is left as it is.
func (o *file) written(lines []byte) int {
	rec := o.expected
	if rec == nil || o.f == nil {
		return 0
	}
	o.expected = nil
	more := o.is.size - rec.file.size
	if !o.is.same(rec.file) || more <= 0 || more > 4*chunk {
		return 0
	}
	f, err := os.Open(o.path)
	if err != nil {
		return 0
	}
	defer f.Close()
	there := make([]byte, more)
	if n, _ := f.ReadAt(there, rec.file.size); n < len(there) {
		return 0
	}
	mark := o.mark()
	if bytes.HasPrefix(mark, there) {
		// Cut off inside the mark: another one follows on a line of its own.
		o.midline = there[len(there)-1] != '\n'
		return 0
	}
	if !bytes.HasPrefix(there, mark) || !bytes.HasPrefix(lines, there[len(mark):]) {
		return 0
	}
	o.lost, o.midline = 0, there[len(there)-1] != '\n'
	return len(there) - len(mark)
}

// note fills in what is to be known of the file by who comes next: what an earlier
// server noted holds until it was made use of.
func (o *file) note(rec *record) {
	rec.gap, rec.born = o.gap, o.born
	rec.file = o.is
	if o.expected != nil {
		rec.file, rec.born = o.expected.file, o.expected.born
	}
}

// look finds out what others did to the open file: one that was deleted is opened
// anew.
func (o *file) look() {
	if o.f == nil {
		return
	}
	fi, err := o.f.Stat()
	if err != nil {
		return
	}
	o.is = infoOf(fi)
	if s, ok := fi.Sys().(*syscall.Stat_t); ok && s.Nlink == 0 {
		o.reopen()
	}
}
