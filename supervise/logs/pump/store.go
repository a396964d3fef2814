package pump

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pageSize = 4096

	// DefaultBytes is the cap of a store whose Limits name none.
	DefaultBytes = 4 << 20
	// minBytes lets a store hold a few moves even when its owner asked for less.
	minBytes = 64 << 10
	// pipeFull is what one turn of a pipe moves at most.
	pipeFull = 64 << 10
	// minIntents is how many intents are kept at least, and bytesAnIntent is for how
	// many bytes of the cap there is one: who reads and lags needs both.
	minIntents    = 1024
	bytesAnIntent = 256
	// maxIntents is how many are kept at most, however many lines are asked for.
	maxIntents = 1 << 20
	// heldIntents is how many more are kept for a reader that lags; then it is
	// waited for as when the bytes are too many.
	heldIntents = 64 << 10
)

// A Store is the log of one service: the file DIR/NAME.log and its intents in
// DIR/NAME.idx. The files appear with the first byte. All methods are safe for
// concurrent use; none waits for anything but the file system of DIR.
type Store struct {
	dir, name string

	// released is what Freed returns, for readers that must not wait: while a writer
	// is at full speed, all that they have read would be gone when it is their turn.
	released atomic.Int64

	mu     sync.Mutex // guards all below, and the state of the sources
	closed bool
	// absent: there was no file when it was looked for, and nobody else makes one now.
	absent bool
	files

	cap, step, move int64 // in bytes: most kept, released at once, moved at once
	keep            int64 // intents kept
	limited         bool  // by the owner; before that what is found is kept

	holds      bool  // a reader must see every byte
	cursor     int64 // what it may still read begins here
	heldIntent int64 // and its intents here
	waiting    []*Source
	wake       func() // tells the reader that there is more; may be nil
	watch      func() // tells those that nothing is kept for; may be nil

	tips    [Streams]tip     // of each, where it is known
	slot    [intentSize]byte // for writing an intent
	sources [Streams]int     // open ones
	ended   [Streams]bool    // there was one
	lost    int64            // bytes discarded since the store last worked
	notes   []string         // lines of our own that wait for the next write
	copies  bool             // splice was refused: read and write
	ration  *ration          // nil: all lines are stored
}

// A tip is the last byte of a stream.
type tip struct {
	known bool
	end   int64 // behind it; 0: there is none, or it is not found
	tag   tag   // of the run that wrote it
}

// files is where a store is, and how far.
type files struct {
	log   *os.File // nil: not opened yet
	idx   *os.File // nil beside a log: streams and times cannot be kept
	size  int64    // the offset at which the next byte goes
	freed int64    // bytes below are not kept; a multiple of the page size
	hole  int64    // bytes below are released; more than that are not kept until they are
	known int64    // of the bytes below, nobody knows any more whose they are

	// Invariant: intents [first, count) are in idx, offsets rising; the slot count
	// may hold one that was not carried out.
	first, count int64
	last         intent // of the latest bytes, or not carried out yet; ms 0: none known
}

func (f *files) close() {
	f.log.Close()
	if f.idx != nil {
		f.idx.Close()
	}
	*f = files{}
}

// NewStore describes the store of a service; nothing is touched yet. An empty dir,
// or a name that cannot be a file's, keeps the bytes in memory files.
func NewStore(dir, name string) *Store {
	st := &Store{dir: dir, name: name}
	if !fileName(name) {
		st.dir = ""
	}
	st.limitLocked(0, 0)
	return st
}

func fileName(name string) bool {
	for i := range len(name) {
		if name[i] == '/' || name[i] == 0 {
			return false
		}
	}
	return name != "" && len(name) <= 250
}

// Limit sets how many bytes the store keeps (0: DefaultBytes; at least 64 KiB are
// kept) and for how many lines it keeps intents at least. It applies from the next
// byte on. Before it is called, a store keeps what an earlier process left, too.
func (st *Store) Limit(bytes int64, lines int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.limited = true
	st.limitLocked(bytes, lines)
	st.resumeLocked()
}

func (st *Store) limitLocked(bytes int64, lines int) {
	if bytes <= 0 {
		bytes = DefaultBytes
	}
	st.cap = max(bytes, minBytes)
	st.step = st.cap / 8 &^ (pageSize - 1)
	st.move = min(pipeFull, st.step)
	st.keep = minIntents
	for st.keep < max(int64(lines), st.cap/bytesAnIntent) && st.keep < maxIntents {
		st.keep *= 2
	}
}

// Append writes a line of our own, in order with what was moved before. When the
// store cannot be written the line counts as lost.
func (st *Store) Append(text string) { st.Add(Zinit, text) }

// Add is Append for a line, or several, of a stream that comes by no pipe.
func (st *Store) Add(stream Stream, text string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return
	}
	if st.openLocked(true) == nil {
		st.settleLocked()
	}
	if n := st.appendLocked(stream, text); n <= len(text) {
		st.lost += int64(len(text) + 1 - n)
	}
}

// appendLocked writes a line that comes by no pipe and returns how many bytes of it.
func (st *Store) appendLocked(stream Stream, text string) int {
	line := append([]byte(text), '\n')
	// Such lines do not wait for a slow reader, so they may pass the cap by one
	// step; what is more is dropped, or a hanging disk would cost memory.
	full := !st.roomLocked() && st.size+int64(len(line))-st.freed > st.cap+st.step
	if st.openLocked(true) != nil || full {
		return 0
	}
	st.intendLocked(stream, 0, true)
	n, _ := st.writeLocked(line) // n says all that matters
	st.movedLocked(stream, 0, int64(n))
	return n
}

// settleLocked writes what waits to be said, now that the store is open.
func (st *Store) settleLocked() {
	for len(st.notes) > 0 {
		if note := st.notes[0]; st.appendLocked(Zinit, note) <= len(note) {
			return
		}
		st.notes = st.notes[1:]
	}
	if st.lost > 0 {
		if text := lostText(st.lost); st.appendLocked(Zinit, text) > len(text) {
			st.lost = 0
		}
	}
}

// takeLocked moves bytes of a source into the store: (0, nil) is the end of the
// stream, EAGAIN an empty pipe, errFull a store that waits for its reader.
func (st *Store) takeLocked(s *Source) (int, error) {
	if err := st.openLocked(true); err != nil {
		return st.discardLocked(s)
	}
	st.settleLocked()
	if !st.roomLocked() {
		return 0, errFull
	}
	if st.ration != nil {
		return st.takeRationLocked(s)
	}
	return st.moveLocked(s, st.move)
}

// moveLocked moves so many bytes of a source at most.
func (st *Store) moveLocked(s *Source, most int64) (int, error) {
	// What another run has left without a newline does not go on here. This is found
	// out from the file and not from who is there: the run may have been begun by a
	// process that died before it could move the first byte.
	fresh := s.fresh || s.tag.differs(st.tipLocked(s.stream).tag)
	st.intendLocked(s.stream, s.tag, fresh)
	n, err := st.transferLocked(s, most)
	switch {
	case n > 0:
		s.fresh = false
		st.movedLocked(s.stream, s.tag, int64(n))
		return n, nil
	case err == nil, err == unix.EAGAIN:
		return 0, err
	}
	return st.discardLocked(s)
}

// transferLocked is splice, or its substitute where the file system refuses it.
func (st *Store) transferLocked(s *Source, most int64) (int, error) {
	for !st.copies {
		off := st.size
		n, err := unix.Splice(s.fd, nil, int(st.log.Fd()), &off, int(most), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		switch err {
		case unix.EINTR:
			continue
		case unix.EINVAL, unix.ENOSYS:
			st.copies = true
			st.notes = append(st.notes, "log store: splice is refused here: bytes are copied instead, a killed server may lose some")
		default:
			return int(n), err
		}
	}
	buf := scratch.Get().(*[pipeFull]byte)
	defer scratch.Put(buf)
	n, err := s.read(buf[:most])
	if n <= 0 {
		return 0, err
	}
	w, err := st.writeLocked(buf[:n])
	if err != nil {
		st.lost += int64(n - w)
		s.fresh = true
		st.movedLocked(s.stream, s.tag, int64(w))
		return 0, unix.EAGAIN // what was read is accounted for; the next turn goes on
	}
	return n, nil
}

// writeLocked writes at the end of the file and returns how many bytes are there,
// also when the disk was full before the last one: os.File.WriteAt then says none,
// and the next server would find bytes that this one knows nothing of.
func (st *Store) writeLocked(b []byte) (n int, err error) {
	for n < len(b) {
		w, err := unix.Pwrite(int(st.log.Fd()), b[n:], st.size+int64(n))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return n, err
		case w == 0:
			return n, io.ErrShortWrite
		}
		n += w
	}
	return n, nil
}

// discardLocked takes bytes that cannot be stored out of the pipe, so that the
// service does not block, and counts them.
func (st *Store) discardLocked(s *Source) (int, error) {
	buf := scratch.Get().(*[pipeFull]byte)
	defer scratch.Put(buf)
	n, err := s.read(buf[:])
	if n > 0 {
		st.lost += int64(n)
		s.fresh = true // what comes after the gap does not continue the line before it
		return n, nil
	}
	return 0, err
}

// scratch is for bytes that do not go by splice; it is empty in good times.
var scratch = sync.Pool{New: func() any { return new([pipeFull]byte) }}

// intendLocked writes down whose the next bytes are, before they are moved. One
// that cannot be written leaves them to the stream of the bytes before.
func (st *Store) intendLocked(stream Stream, of tag, fresh bool) {
	now := intent{off: st.size, ms: time.Now().UnixMilli(), stream: stream, fresh: fresh, tag: of}
	pending := st.last.fresh && st.last.off == st.size // it may be another source's
	same := st.last.stream == stream && st.last.tag == of && st.last.ms == now.ms
	if st.idx == nil || !fresh && !pending && same {
		return
	}
	now.encode(&st.slot)
	if _, err := st.idx.WriteAt(st.slot[:], st.count*intentSize); err == nil {
		st.last = now
	} else {
		st.last = intent{}
	}
}

// movedLocked accounts for n bytes of a stream at the end of the file.
func (st *Store) movedLocked(s Stream, of tag, n int64) {
	if n <= 0 {
		st.last = intent{}
		return
	}
	if st.last.ms != 0 && st.last.off == st.size {
		st.count++
	}
	st.size += n
	st.tips[s] = tip{known: true, end: st.size, tag: of}
	st.newsLocked()
}

// newsLocked tells who wants to know that there is more to read.
func (st *Store) newsLocked() {
	if st.wake != nil {
		st.wake()
	}
	if st.watch != nil {
		st.watch()
	}
}

// Watch has f called whenever there is more to read, with the store locked: it
// must not block. Nothing is kept for who watches. A nil f ends it.
func (st *Store) Watch(f func()) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.watch = f
}

// View is the store as it is now. The error is fs.ErrNotExist for a store that
// never had a byte.
func (st *Store) View() (View, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := st.openLocked(false); err != nil {
		return View{}, err
	}
	v := View{Freed: max(st.freed, st.known), Size: st.size, log: st.log, idx: st.idx, first: st.first, count: st.count}
	for i, n := range st.sources {
		v.Open[i], v.Ended[i] = n > 0, n == 0 && st.ended[i]
	}
	if st.idx == nil {
		v.first, v.count = 0, 0
	}
	if fi, err := st.log.Stat(); err == nil {
		v.Modified = fi.ModTime()
	}
	return v, nil
}

// Freed is the offset below which bytes have been released by now, or what says
// whose they are.
func (st *Store) Freed() int64 { return st.released.Load() }

// Close closes the files and keeps them on disk; the store discards from now on.
func (st *Store) Close() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ration != nil {
		st.endRationLocked()
	}
	st.closed, st.wake, st.watch = true, nil, nil
	if st.log != nil {
		st.files.close()
	}
}
