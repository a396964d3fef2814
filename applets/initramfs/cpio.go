package initramfs

import (
	"bufio"
	"fmt"
	"io"
	"math"
)

// The kinds of files in the mode of an entry, see inode(7).
const (
	modeDir  = 0o040000
	modeFile = 0o100000
	modeLink = 0o120000
	modeChar = 0o020000
)

// trailer is the name of the entry that ends an archive.
const trailer = "TRAILER!!!"

// A writer writes entries of the format newc. After an error it does nothing more;
// finish returns it.
type writer struct {
	w   *bufio.Writer
	off int64
	ino uint32
	err error
}

func newWriter(w io.Writer) *writer { return &writer{w: bufio.NewWriterSize(w, 1<<16)} }

// A header is what newc says of an entry beside its name. Owner and times are left
// out: everything belongs to root and to the epoch.
type header struct {
	mode         uint32
	size         int64
	major, minor uint32 // of a device node
}

// entry begins an entry: size bytes have to be written by body after it.
func (w *writer) entry(name string, h header) {
	if h.size > math.MaxUint32 {
		w.fail(fmt.Errorf("%s is too big for the format: it has %d bytes, and may have 4 GiB", name, h.size))
		return
	}
	links := 1
	if h.mode&modeDir == modeDir {
		links = 2
	}
	if name != trailer {
		w.ino++
	}
	w.printf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		w.ino, h.mode, 0, 0, links, 0, h.size, 0, 0, h.major, h.minor, len(name)+1, 0, name)
	w.pad()
}

// body writes what an entry holds.
func (w *writer) body(r io.Reader, size int64) {
	if w.err != nil {
		return
	}
	n, err := io.CopyN(w.w, r, size)
	w.off += n
	if err != nil {
		// The header has promised a number of bytes.
		w.fail(fmt.Errorf("it became shorter while it was read: %w", err))
		return
	}
	w.pad()
}

// pad fills up to a multiple of four.
func (w *writer) pad() {
	w.printf("%s", "\x00\x00\x00"[:(4-w.off%4)%4])
}

func (w *writer) printf(format string, args ...any) {
	if w.err != nil {
		return
	}
	n, err := fmt.Fprintf(w.w, format, args...)
	w.off += int64(n)
	w.fail(err)
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// finish ends the archive.
func (w *writer) finish() error {
	w.entry(trailer, header{})
	if w.err == nil {
		w.fail(w.w.Flush())
	}
	return w.err
}
