package state

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// slack is how many bytes of dead records a file may have before it is worth
// writing it anew; beyond that they may be as many as the living.
const slack = 256 << 10

// maxBatch is the largest batch whose memory is kept for the next one.
const maxBatch = 16 << 10

// maxFile bounds what is read of a file: more was not written by us.
const maxFile = 256 << 20

// A Store is one file of records. It belongs to one goroutine. An error of Commit
// leaves the store usable: the next Commit writes everything anew.
type Store struct {
	// renew makes an empty file; settle puts it in the place of the old one.
	renew  func() (*os.File, error)
	settle func(f *os.File) error
	path   string // of the file; empty: it has no name

	f       *os.File
	text    []byte // of f as it was opened; nil from the first Commit on
	sums    *crc32.Table
	live    map[string]place
	alive   int64  // bytes that the living records take in a file
	size    int64  // of the file
	number  uint64 // of the last record in the file
	batch   []byte // what Commit will append
	pending uint64 // records in batch
	broken  bool   // what live says cannot be appended to the file
}

// A place is where the living record of a key lies: in the file, or, at or past its
// size, in the batch, which will be there. No text is kept in memory that is in the
// file: with a thousand services that would be a megabyte, to be read once, and by
// another server.
type place struct {
	at   int64
	size uint32 // of the whole record
	sum  uint32 // of the value
}

// Open opens the store at path, which is made when it is missing. The directory
// must exist. An error says that nothing can be written there; what is in the file
// is never one.
func Open(path string) (*Store, Report, error) {
	s := newStore()
	s.path = path
	aside := path + ".new"
	s.renew = func() (*os.File, error) {
		// Whoever was killed in the middle has left one behind.
		if err := os.Remove(aside); err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		return os.OpenFile(aside, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	s.settle = func(*os.File) error { return os.Rename(aside, path) }
	old, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil && !os.IsNotExist(err) {
		// What cannot be opened is replaced, if that is possible.
		report, failed := s.adopt(nil)
		if failed != nil {
			return nil, report, fmt.Errorf("cannot open %s: %w", path, errors.Join(err, failed))
		}
		report.Foreign = true
		return s, report, nil
	}
	report, err := s.adopt(old)
	if err != nil {
		return nil, report, fmt.Errorf("cannot write %s: %w", filepath.Base(path), err)
	}
	return s, report, nil
}

// Over opens a store in a file that has no name: f, or a new one when f is nil.
// Whenever the store moves to another file, renew makes that and settle is told
// it, so that somebody can hold it for the next server. The store owns f.
func Over(f *os.File, renew func() (*os.File, error), settle func(*os.File) error) (*Store, Report, error) {
	s := newStore()
	s.renew, s.settle = renew, settle
	report, err := s.adopt(f)
	if err != nil {
		return nil, report, err
	}
	return s, report, nil
}

func newStore() *Store {
	return &Store{sums: table(), live: map[string]place{}}
}

// adopt reads a file and goes on with it when it is sound; otherwise, or when it
// is nil, with a new one that has what could be read.
func (s *Store) adopt(f *os.File) (Report, error) {
	var report Report
	if f != nil {
		text, err := readAll(f)
		if err == nil {
			s.number, report = parse(text, s.take)
		}
		if err == nil && len(text) >= len(magic) && !report.Damaged() && report.Torn == 0 {
			s.f, s.size, s.text = f, int64(len(text)), text
			return report, nil
		}
		report.Foreign = report.Foreign || err != nil
		s.batch = text // until it is in the new file
		defer f.Close()
	}
	return report, s.rewrite()
}

// readAll reads at most maxFile bytes: more was not written by us.
func readAll(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	text := make([]byte, min(info.Size(), maxFile))
	n, err := f.ReadAt(text, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return text[:n], err
}

// take takes over a record as it lies in the text of the file.
func (s *Store) take(r record) {
	s.forget(string(r.key))
	if r.value != nil {
		s.know(string(r.key), place{r.at, uint32(r.size), s.sum(r.value)})
	}
}

func (s *Store) sum(value []byte) uint32 { return crc32.Checksum(value, s.sums) }

func (s *Store) know(key string, p place) {
	s.live[key] = p
	s.alive += int64(p.size)
}

func (s *Store) forget(key string) {
	s.alive -= int64(s.live[key].size)
	delete(s.live, key)
}

// Records calls f for every record, in no order. The value must not be changed. What
// cannot be read any more, because somebody else has damaged the file, is left out.
// Before the first Commit it costs no reading.
func (s *Store) Records(f func(key string, value []byte)) {
	text, err := s.read()
	if err != nil {
		return
	}
	for key, p := range s.live {
		if value := s.valueIn(text, p); value != nil {
			f(key, value)
		}
	}
}

// read is the text of the file with the batch at its end.
func (s *Store) read() ([]byte, error) {
	if s.text != nil {
		return append(s.text[:s.size:s.size], s.batch...), nil
	}
	text := make([]byte, s.size, s.size+int64(len(s.batch)))
	if s.size > 0 {
		n, err := s.f.ReadAt(text, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("cannot read the state: %w", err)
		}
		clear(text[n:])
	}
	return append(text, s.batch...), nil
}

// valueIn is the value of a record; nil: it is there no more.
func (s *Store) valueIn(text []byte, p place) []byte {
	r, _ := parseRecord(text[p.at:p.at+int64(p.size)], s.sums)
	return r.value
}

// Get is the value of a key, or nil; it must not be changed.
func (s *Store) Get(key string) []byte {
	p, ok := s.live[key]
	if !ok {
		return nil
	}
	if p.at >= s.size {
		p.at -= s.size
		return bytes.Clone(s.valueIn(s.batch, p))
	}
	if s.text != nil {
		return s.valueIn(s.text, p)
	}
	text := make([]byte, p.size)
	if _, err := s.f.ReadAt(text, p.at); err != nil {
		return nil
	}
	p.at = 0
	return s.valueIn(text, p)
}

// Put sets the value of a key; Commit writes it. The store keeps a copy. A key or
// value that is too long is an error, and the old value stays.
func (s *Store) Put(key string, value []byte) error {
	if len(key) > MaxKey || len(value) > MaxValue {
		return fmt.Errorf("cannot remember %.40q: a record of %d bytes is too long", key, len(value))
	}
	p := place{s.size + int64(len(s.batch)), uint32(headSize + len(key) + len(value)), s.sum(value)}
	if old := s.live[key]; old.size == p.size && old.sum == p.sum && bytes.Equal(s.Get(key), value) {
		return nil
	}
	if value == nil {
		value = []byte{} // nil would delete it
	}
	s.forget(key)
	s.know(key, p)
	s.pending++
	s.batch = appendRecord(s.batch, s.sums, s.number+s.pending, key, value)
	return nil
}

// Delete forgets a key.
func (s *Store) Delete(key string) {
	if _, ok := s.live[key]; !ok {
		return
	}
	s.forget(key)
	s.pending++
	s.batch = appendRecord(s.batch, s.sums, s.number+s.pending, key, nil)
}

// Commit writes what was put and deleted since the last one, with one write; or
// everything, where the file is no longer at its path. When it returns nil, a process
// that dies at once leaves it all behind.
func (s *Store) Commit() error {
	err := s.commit()
	s.text = nil // it was for whoever takes over
	return err
}

func (s *Store) commit() error {
	s.broken = s.broken || s.lost()
	if len(s.batch) == 0 && !s.broken {
		return nil
	}
	if !s.broken && s.size+int64(len(s.batch)) <= 2*s.alive+slack {
		_, err := s.f.WriteAt(s.batch, s.size)
		if err == nil {
			s.size += int64(len(s.batch))
			s.number += s.pending
			s.clear()
			return nil
		}
		s.broken = true // a part of it may be there
	}
	return s.rewrite()
}

// lost reports that somebody has deleted the file, or put another one in its place.
func (s *Store) lost() bool {
	var is, ours syscall.Stat_t
	if s.path == "" || s.f == nil {
		return false
	}
	if err := syscall.Stat(s.path, &is); err != nil {
		return err == syscall.ENOENT || err == syscall.ENOTDIR
	}
	raw, err := s.f.SyscallConn()
	if err != nil {
		return false
	}
	failed := raw.Control(func(fd uintptr) { err = syscall.Fstat(int(fd), &ours) })
	return failed == nil && err == nil && (is.Dev != ours.Dev || is.Ino != ours.Ino)
}

func (s *Store) clear() {
	s.pending = 0
	if cap(s.batch) > maxBatch {
		s.batch = nil // a burst is over
		return
	}
	s.batch = s.batch[:0]
}

// rewrite writes the living records into a new file.
func (s *Store) rewrite() error {
	s.broken = true
	if err := s.gather(); err != nil {
		return err
	}
	f, err := s.renew()
	if err != nil {
		return fmt.Errorf("cannot write the state anew: %w", err)
	}
	if _, err = f.WriteAt(s.batch, 0); err == nil {
		err = s.settle(f)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("cannot write the state anew: %w", err)
	}
	if s.f != nil {
		s.f.Close() // everything in it is in the new one
	}
	s.f, s.size, s.number, s.broken = f, int64(len(s.batch)), s.pending, false
	s.clear()
	return nil
}

// gather makes the batch the text of a whole new file. Should that not come to be,
// everything is in memory until one does.
func (s *Store) gather() error {
	old, err := s.read()
	if err != nil {
		return err
	}
	text := append(make([]byte, 0, s.alive+int64(len(magic))), magic...)
	live := s.live
	s.live, s.alive, s.pending = make(map[string]place, len(live)), 0, 0
	for key, p := range live {
		value := s.valueIn(old, p)
		if value == nil {
			continue // somebody else has damaged it
		}
		s.pending++
		p.at = int64(len(text))
		s.know(key, p)
		text = appendRecord(text, s.sums, s.pending, key, value)
	}
	s.batch, s.size, s.number = text, 0, 0
	return nil
}

// Close closes the file. What was not committed is lost.
func (s *Store) Close() error {
	if s.f == nil {
		return nil
	}
	return s.f.Close()
}
