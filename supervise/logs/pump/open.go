package pump

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"

	"golang.org/x/sys/unix"
)

var errFull = errors.New("log store waits for its reader")

func lostText(n int64) string { return strconv.FormatInt(n, 10) + " bytes lost" }

func (st *Store) path(ext string) string { return filepath.Join(st.dir, st.name+ext) }

// openLocked opens the files. Without create a store that is not there is
// fs.ErrNotExist. A missing directory is made anew.
func (st *Store) openLocked(create bool) error {
	switch {
	case st.closed:
		return fs.ErrClosed
	case st.log != nil:
		return nil
	case (st.dir == "" || st.absent) && !create:
		return fs.ErrNotExist
	}
	log, err := st.openFile(".log", create)
	if errors.Is(err, fs.ErrNotExist) && create {
		if err = os.MkdirAll(st.dir, 0o700); err == nil {
			log, err = st.openFile(".log", create)
		}
	}
	if err != nil {
		st.absent = errors.Is(err, fs.ErrNotExist)
		return fmt.Errorf("cannot open log store: %w", err)
	}
	st.log, st.absent = log, false
	if st.idx, err = st.openFile(".idx", true); err != nil {
		st.idx = nil // lines are kept without their times
	}
	if err := st.recoverLocked(); err != nil {
		st.files.close()
		return fmt.Errorf("cannot open log store: %w", err)
	}
	return nil
}

func (st *Store) openFile(ext string, create bool) (*os.File, error) {
	if st.dir == "" {
		return memory()
	}
	flags := os.O_RDWR | unix.O_NOFOLLOW
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(st.path(ext), flags, 0o600)
	if err != nil {
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: st.path(ext), Err: unix.EINVAL}
	}
	return f, nil
}

func memory() (*os.File, error) {
	const name = "zinit-log"
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// recoverLocked finds out where the files left off. The size of the log is the
// truth; the intents follow it.
func (st *Store) recoverLocked() error {
	fi, err := st.log.Stat()
	if err != nil {
		return err
	}
	st.size, st.freed, st.hole = fi.Size(), 0, 0
	if st.size > 0 {
		st.hole = firstData(st.log, st.size) &^ (pageSize - 1)
		if !st.limited {
			found := min(st.size-st.hole, used(st.log))
			st.cap = max(st.cap, found+st.step+st.move)
		}
		// Where holes cannot be seen, no more is believed than there may be: our own
		// lines may pass the cap. What is seen counts, even above the cap: somebody may
		// not have read it yet.
		if st.freed = st.hole; st.hole == 0 {
			st.freed = max(0, st.size-st.cap-st.step) &^ (pageSize - 1)
		}
	}
	st.last = intent{}
	st.tips = [Streams]tip{}
	st.first, st.count, st.known = 0, 0, 0
	if st.idx != nil {
		st.recoverIntentsLocked()
		st.knowLocked()
	}
	st.released.Store(max(st.freed, st.known))
	return nil
}

// firstData is where the hole at the front of a file ends, as far as it can be seen.
func firstData(f *os.File, size int64) int64 {
	data, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_DATA)
	switch err {
	case nil:
		return data
	case unix.ENXIO:
		return size
	}
	return 0
}

// used is how many bytes a file takes.
func used(f *os.File) int64 {
	var s unix.Stat_t
	if unix.Fstat(int(f.Fd()), &s) != nil {
		return 0
	}
	return s.Blocks * 512
}

// recoverIntentsLocked finds the last intent that was carried out. An index
// without one among its last entries is of no use and is begun again.
func (st *Store) recoverIntentsLocked() {
	end, err := st.idx.Seek(0, io.SeekEnd)
	if err != nil || end == 0 {
		return
	}
	n := end / intentSize
	var b [intentSize]byte
	for tries := 0; n > 0 && tries < minIntents; tries++ {
		if _, err := st.idx.ReadAt(b[:], (n-1)*intentSize); err != nil {
			break
		}
		if it, ok := decodeIntent(b[:]); ok && it.off < st.size {
			st.count, st.first = n, st.firstIntent(n)
			if !st.limited {
				st.keep = max(st.keep, st.count-st.first)
			}
			return
		}
		n--
	}
	if err := st.idx.Truncate(0); err != nil {
		st.idx.Close()
		st.idx = nil
	}
}

// firstIntent is the first of n intents that is not released.
func (st *Store) firstIntent(n int64) int64 {
	first := firstData(st.idx, n*intentSize) / intentSize
	if n-first > maxIntents+heldIntents {
		first = n - st.keep // holes cannot be seen
	}
	var b [intentSize]byte
	zeros := sort.Search(int(n-first), func(i int) bool {
		_, err := st.idx.ReadAt(b[:], (first+int64(i))*intentSize)
		_, ok := decodeIntent(b[:])
		return err == nil && ok
	})
	// Whole pages are released; a few zeros are something else.
	return first + int64(zeros)&^(pageSize/intentSize-1)
}

// Remove closes the store and deletes its files. Views stay readable until their
// files are closed by the garbage collector.
func (st *Store) Remove() {
	st.Unlink()
	st.Close()
}

// Unlink deletes the files of the store by name; it goes on in what it has open.
func (st *Store) Unlink() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.dir == "" {
		return
	}
	os.Remove(st.path(".log")) // a file that is not there is what is wanted
	os.Remove(st.path(".idx"))
	st.dir = ""
}

// Restore gives a store whose files were deleted from under it new ones, with what
// it still held, and says so in the log. It does nothing when they are in place.
func (st *Store) Restore() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed || st.dir == "" || st.log == nil || st.inPlaceLocked() {
		return
	}
	old := st.files
	st.files = files{}
	if st.openLocked(true) != nil || st.copyFrom(&old) != nil {
		// Nothing can be made there: the deleted files still work for this server.
		if st.log != nil {
			st.files.close()
		}
		st.files = old
		st.notes = append(st.notes, "log store was deleted while in use and cannot be made again: lines are lost when the server ends")
	} else {
		old.close()
		st.notes = append(st.notes, "log store was deleted while in use: made again")
	}
	st.settleLocked()
}

// inPlaceLocked: the name still leads to the file.
func (st *Store) inPlaceLocked() bool {
	var s unix.Stat_t
	err := unix.Fstat(int(st.log.Fd()), &s)
	return err == nil && identity(st.path(".log")) == fileID{uint64(s.Dev), s.Ino}
}

// copyFrom fills new files, at the same offsets.
func (f *files) copyFrom(old *files) error {
	if err := copyFile(f.log, old.log, old.freed, old.size); err != nil {
		return err
	}
	f.size, f.freed, f.hole = old.size, old.freed, old.freed
	if old.idx == nil || f.idx == nil {
		return nil
	}
	if err := copyFile(f.idx, old.idx, old.first*intentSize, old.count*intentSize); err != nil {
		return err
	}
	f.first, f.count, f.last, f.known = old.first, old.count, old.last, old.known
	return nil
}

func copyFile(to, from *os.File, off, end int64) error {
	if err := to.Truncate(end); err != nil {
		return err
	}
	_, err := io.Copy(io.NewOffsetWriter(to, off), io.NewSectionReader(from, off, end-off))
	return err
}
