package logs

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"sync"
	"syscall"

	"zinit/supervise/logs/pump"
)

// A record is how far a sink has come: all lines that ended before cursor are in
// the first size bytes of the file.
type record struct {
	cursor  int64
	size    int64
	dev     uint64
	ino     uint64
	pending [pump.Streams]begun
}

// begun is the unterminated line of a stream.
type begun struct {
	off  int64  // where it begins; the cursor when there is none
	text []byte // nil: to be read from the store
}

const (
	// maxBegun bounds a record to one page: a kill leaves the old or the new one.
	maxBegun   = 1300
	notHere    = 0xffff
	recordHead = 4 + 8*4 // checksum, fixed fields
)

func (r record) encode() []byte {
	b := make([]byte, 4, 256)
	for _, v := range [...]uint64{uint64(r.cursor), uint64(r.size), r.dev, r.ino} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	for _, p := range r.pending {
		b = binary.LittleEndian.AppendUint64(b, uint64(p.off))
		if len(p.text) > maxBegun || p.text == nil {
			b = binary.LittleEndian.AppendUint16(b, notHere)
			continue
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(len(p.text)))
		b = append(b, p.text...)
	}
	binary.LittleEndian.PutUint32(b, crc32.ChecksumIEEE(b[4:]))
	return b
}

// decodeRecord understands what encode made, with anything behind it, and refuses
// everything else.
func decodeRecord(b []byte) (r record, ok bool) {
	if len(b) < recordHead {
		return r, false
	}
	at := func(i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }
	r = record{cursor: int64(at(4)), size: int64(at(12)), dev: at(20), ino: at(28)}
	end := recordHead
	for i := range r.pending {
		if len(b)-end < 10 {
			return r, false
		}
		p := begun{off: int64(at(end))}
		n := int(binary.LittleEndian.Uint16(b[end+8:]))
		if end += 10; n != notHere {
			if n > maxBegun || n > len(b)-end {
				return r, false
			}
			p.text = b[end : end+n : end+n]
			end += n
		}
		if p.off < 0 || p.off > r.cursor {
			return r, false
		}
		r.pending[i] = p
	}
	ok = r.cursor >= 0 && r.size >= 0 && crc32.ChecksumIEEE(b[4:end]) == binary.LittleEndian.Uint32(b)
	return r, ok
}

// held is the first byte of the store that the next server needs.
func (r *record) held() int64 {
	held := r.cursor
	for _, p := range r.pending {
		if p.text == nil {
			held = min(held, p.off)
		}
	}
	return held
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
