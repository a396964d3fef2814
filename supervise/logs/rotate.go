package logs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// zipped is how the names of compressed files end.
const zipped = ".gz"

// stuckFor is how long a file is left alone that could not be rotated.
const stuckFor = 10 * time.Second

// A rotation says when a log file is put aside, and what becomes of it.
type rotation struct {
	max      int64         // bytes; 0: however many
	age      time.Duration // 0: however old
	keep     int           // old files that stay, 1 at least
	compress bool
}

func (r rotation) wanted() bool { return r.max > 0 || r.age > 0 }

// due reports that the file has to be rotated before these lines.
func (o *file) due(lines []byte) bool {
	r := &o.rotate
	if !r.wanted() || o.f == nil || o.is.size == 0 || !o.is.regular || o.midline || o.expected != nil {
		return false
	}
	now := time.Now()
	if now.Before(o.stuck) {
		return false
	}
	if r.age > 0 && now.UnixMilli()-o.born >= r.age.Milliseconds() {
		return true
	}
	return r.max > 0 && o.is.size+int64(firstLine(lines)) > r.max
}

// fits is how much of the lines goes into the file before it is due: whole ones, and
// one at least.
func (o *file) fits(lines []byte) int {
	room := o.rotate.max - o.is.size
	if o.rotate.max <= 0 || o.f == nil || room >= int64(len(lines)) || !o.is.regular || time.Now().Before(o.stuck) {
		return len(lines)
	}
	if i := bytes.LastIndexByte(lines[:max(0, room)], '\n'); i >= 0 {
		return i + 1
	}
	return firstLine(lines)
}

// firstLine is the length of the first line, with its newline.
func firstLine(lines []byte) int {
	if i := bytes.IndexByte(lines, '\n'); i >= 0 {
		return i + 1
	}
	return len(lines)
}

// turn puts the open file aside as NAME.1 and begins a new one. Whatever happens
// meanwhile, also the end of the server, there is no moment at which a file is lost
// or there twice: each name moves by one rename, the oldest first, and what was
// interrupted is gone on with, since a shift ends at the first number that is free.
// When it is not possible the file grows on, and problem says why.
func (o *file) turn() (problem string) {
	now, err := os.Lstat(o.path)
	switch {
	case err == nil && now.Mode()&os.ModeSymlink != 0:
		return o.cannotTurn(errors.New("it is a symbolic link"))
	case os.IsNotExist(err) || err == nil && !infoOf(now).same(o.is):
		o.reopen() // somebody has moved it away: that is as good
		return o.begin(nil)
	}
	old, err := o.f.Stat()
	if err == nil {
		err = shift(o.disk, o.path, o.rotate.keep)
	}
	if err != nil {
		return o.cannotTurn(err)
	}
	o.close()
	return o.begin(old)
}

func (o *file) cannotTurn(err error) string {
	said := !o.stuck.IsZero()
	o.stuck = time.Now().Add(stuckFor)
	if said {
		return ""
	}
	return fmt.Sprintf("log file %s: %v: it cannot be rotated and grows on", o.path, errno(err))
}

// begin opens a new file, which belongs to the owner of the old one and has its
// mode.
func (o *file) begin(old os.FileInfo) (problem string) {
	if err := o.open(); err != nil {
		return o.fail(err)
	}
	o.stuck = time.Time{}
	if old != nil && o.is.size == 0 {
		// Who may not do this goes on with a file of its own.
		if s, ok := old.Sys().(*syscall.Stat_t); ok {
			_ = o.f.Chown(int(s.Uid), int(s.Gid))
		}
		_ = o.f.Chmod(old.Mode().Perm())
	}
	return ""
}

// shift makes room for NAME.1 and moves NAME there. Of the old files, keep are left.
// The caller keeps others from renaming them.
func shift(d disk, path string, keep int) error {
	keep = max(keep, 1)
	for n := keep + 1; isTaken(path, n); n++ { // more were kept earlier
		if err := drop(d, path, n); err != nil {
			return err
		}
	}
	free := 1
	for free < keep && isTaken(path, free) {
		free++
	}
	if err := drop(d, path, free); err != nil { // the oldest, if none is free
		return err
	}
	for n := free - 1; n >= 1; n-- {
		if err := single(d, path, n); err != nil {
			return err
		}
		ext, _ := taken(path, n)
		if err := d.rename(oldName(path, n)+ext, oldName(path, n+1)+ext); err != nil {
			return err
		}
	}
	return d.rename(path, oldName(path, 1))
}

// oldName is the name of the n-th old file.
func oldName(path string, n int) string { return path + "." + strconv.Itoa(n) }

// taken tells whether there is an n-th old file, and how its name goes on behind the
// number: a compressed one counts first.
func taken(path string, n int) (ext string, ok bool) {
	for _, ext := range [...]string{zipped, ""} {
		if _, err := os.Lstat(oldName(path, n) + ext); err == nil {
			return ext, true
		}
	}
	return "", false
}

func isTaken(path string, n int) bool {
	_, ok := taken(path, n)
	return ok
}

// drop deletes the n-th old file, if there is one.
func drop(d disk, path string, n int) error {
	for _, ext := range [...]string{"", zipped} {
		if err := d.remove(oldName(path, n) + ext); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

// single deletes the n-th old file when it is there compressed, too: whoever
// compressed it was interrupted before that.
func single(d disk, path string, n int) error {
	if ext, _ := taken(path, n); ext != zipped {
		return nil
	}
	if err := d.remove(oldName(path, n)); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
