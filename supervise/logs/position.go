package logs

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"sync"
	"syscall"
)

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
	mu   sync.Mutex // guards all below: drop is called from outside of the sink
	path string     // empty: none is kept
	f    *os.File
}

func (p *position) load() (record, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
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
	p.mu.Lock()
	defer p.mu.Unlock()
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
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeLocked()
}

func (p *position) closeLocked() {
	if p.f != nil {
		p.f.Close()
		p.f = nil
	}
}

// forget deletes the record; the next store makes a new one.
func (p *position) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetLocked()
}

func (p *position) forgetLocked() {
	p.closeLocked()
	if p.path != "" {
		os.Remove(p.path) // not there is what is wanted
	}
}

// drop deletes the record for good.
func (p *position) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetLocked()
	p.path = ""
}
