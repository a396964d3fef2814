package pump

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"golang.org/x/sys/unix"
)

// breath is how long, in milliseconds, a stand-in leaves the lock to others after
// each turn.
const breath = 2

// ErrServed says that somebody holds the lock: the pipes are theirs.
var ErrServed = errors.New("a server has the logs")

// An Output is the read end of descriptor FD (1 or 2) of a run of a service.
type Output struct {
	Service string
	Run     uint64
	FD      int
	File    *os.File
}

// A StandIn moves what services write into their stores while there is no server,
// so that they need not wait for the next one. It knows no limits that somebody
// configured: a store keeps what it has, or DefaultBytes. What a log file has not
// got yet is never released: then the service waits.
//
// It touches a store only while it holds the lock that a server holds for its whole
// life, and ends for good when it does not get it. So there are never two who write,
// even if a server comes that nobody told it of.
type StandIn struct {
	pump   *Pump
	stores map[string]*Store
}

// NewStandIn begins to move, in the order of the runs, and owns the files. dir is
// where the stores are, lock the path of the lock; both must exist. The error is
// ErrServed while somebody holds it; the files are closed then.
func NewStandIn(dir, lock string, outputs []Output) (*StandIn, error) {
	s, err := newStandIn(dir, lock, outputs)
	if err != nil {
		return nil, err
	}
	go s.pump.loop()
	return s, nil
}

func newStandIn(dir, lock string, outputs []Output) (s *StandIn, err error) {
	defer func() {
		if err != nil {
			for _, o := range outputs {
				o.File.Close()
			}
		}
	}()
	if err := isDir(dir); err != nil {
		return nil, err
	}
	p, err := makePump("", func() {}, linger)
	if err != nil {
		return nil, err
	}
	if p.lock, err = unix.Open(lock, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0); err == nil {
		err = p.enter()
	}
	if err != nil {
		close(p.done)
		p.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", lock, err)
	}
	s = &StandIn{pump: p, stores: map[string]*Store{}}
	sort.Slice(outputs, func(i, j int) bool {
		a, b := &outputs[i], &outputs[j]
		if a.Service != b.Service {
			return a.Service < b.Service
		}
		return a.Run < b.Run || a.Run == b.Run && a.FD < b.FD
	})
	for _, o := range outputs {
		st := s.stores[o.Service]
		if st == nil {
			st = NewStore(dir, o.Service)
			if b, err := os.ReadFile(filepath.Join(dir, o.Service+".pos")); !errors.Is(err, fs.ErrNotExist) {
				cursor, _ := HeldBy(b) // what is not understood may need everything
				st.Hold(cursor, nil)
			}
			s.stores[o.Service] = st
		}
		p.NewSource(o.File, st, Stream(o.FD-1), o.Run, false, func() {}).begin()
	}
	p.leave()
	return s, nil
}

func isDir(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.IsDir() {
		err = &os.PathError{Op: "open", Path: path, Err: unix.ENOTDIR}
	}
	return err
}

// Close ends it. When it returns nothing is under way any more.
func (s *StandIn) Close() {
	s.pump.Close()
	for _, st := range s.stores {
		st.Close()
	}
}

// Ended is closed when it has ended by itself, because a server has come.
func (s *StandIn) Ended() <-chan struct{} { return s.pump.done }

// begin is Start, with what is in the pipe now.
func (s *Source) begin() {
	if s.doubt() {
		s.store.mu.Lock()
		s.emptyLocked()
		s.store.mu.Unlock()
		s.Start()
	}
}

// enter takes the lock, if there is one to take.
func (p *Pump) enter() error {
	if p.lock < 0 {
		return nil
	}
	for {
		switch err := unix.Flock(p.lock, unix.LOCK_EX|unix.LOCK_NB); err {
		case unix.EINTR:
		case unix.EWOULDBLOCK:
			return ErrServed
		default:
			return err
		}
	}
}

// leave gives it back and lets others have it.
func (p *Pump) leave() {
	if p.lock < 0 {
		return
	}
	_ = unix.Flock(p.lock, unix.LOCK_UN) // it is ours, so it cannot fail
	polls := [...]unix.PollFd{{Fd: int32(p.event), Events: unix.POLLIN}}
	_, _ = unix.Poll(polls[:], breath) // however it ends, it was short
}

// doubt finds out whether somebody else has written the store since the last turn.
// It is false when the store cannot be opened: the bytes stay in the pipe then, for a
// server that may know better.
func (s *Source) doubt() bool {
	st := s.store
	st.mu.Lock()
	defer st.mu.Unlock()
	st.last, st.absent = intent{}, false // in the file there may be another one
	var stat unix.Stat_t
	if st.log != nil && (unix.Fstat(int(st.log.Fd()), &stat) != nil || stat.Size != st.size || stat.Nlink == 0) {
		st.files.close()
	}
	if s.available() == 0 || st.openLocked(true) == nil {
		return true
	}
	s.pauseLocked()
	return false
}

// HeldBy finds in the record of a log file (NAME.pos) from which byte on it is still
// needed. That is a checksum, the cursor, six numbers and a byte that do not matter
// here, and then for each stream where its begun line begins, how long the text of
// that is in the record, and the text; the store alone has it for a length of 0xffff.
func HeldBy(record []byte) (held int64, ok bool) {
	const head, notHere, seed = 4 + 7*8 + 1, 0xffff, "2"
	b := record
	if len(b) < head {
		return 0, false
	}
	held = int64(binary.LittleEndian.Uint64(b[4:]))
	end := head
	for range Streams {
		if len(b) < end+10 {
			return 0, false
		}
		off := int64(binary.LittleEndian.Uint64(b[end:]))
		n := int(binary.LittleEndian.Uint16(b[end+8:]))
		if end += 10; n == notHere {
			held = min(held, off)
		} else {
			end += n
		}
	}
	if end > len(b) || held < 0 {
		return 0, false
	}
	sum := crc32.Update(crc32.ChecksumIEEE([]byte(seed)), crc32.IEEETable, b[4:end])
	if sum != binary.LittleEndian.Uint32(b) {
		return 0, false
	}
	return held, true
}
