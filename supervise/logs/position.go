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
// the first file.size bytes of the file, or in older ones; and so are the first skip
// bytes of the lines that follow, when the file was begun in the midst of them.
type record struct {
	cursor int64
	skip   int64
	file   fileInfo
	born   int64 // when the file was begun, in Unix milliseconds
	gap
	pending [pump.Streams]begun
}

// begun is the unterminated line of a stream.
type begun struct {
	off  int64  // where it begins; the cursor when there is none
	text []byte // nil: to be read from the store
}

const (
	// maxBegun bounds a record to one page: a kill leaves the old or the new one.
	maxBegun    = 1300
	recordTexts = 3 // the first streams, whose text may be in it: others seldom begin any
	notHere     = 0xffff
	recordHead  = 4 + 7*8 + 1 // checksum, fixed fields, flags
	recordSeed  = "2"         // of the checksum: the format
)

func (r *record) encode() []byte {
	b := make([]byte, 4, 256)
	for _, v := range [...]uint64{uint64(r.cursor), uint64(r.skip), uint64(r.file.size), r.file.dev, r.file.ino, uint64(r.born), uint64(r.lost)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	flags := byte(0)
	if r.midline {
		flags = 1
	}
	b = append(b, flags)
	for s, p := range r.pending {
		b = binary.LittleEndian.AppendUint64(b, uint64(p.off))
		if len(p.text) > maxBegun || p.text == nil || s >= recordTexts && len(p.text) > 0 {
			b = binary.LittleEndian.AppendUint16(b, notHere)
			continue
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(len(p.text)))
		b = append(b, p.text...)
	}
	binary.LittleEndian.PutUint32(b, sumOf(b[4:]))
	return b
}

func sumOf(b []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE([]byte(recordSeed)), crc32.IEEETable, b)
}

// decodeRecord understands what encode made, with anything behind it, and refuses
// everything else.
func decodeRecord(b []byte) (r record, ok bool) {
	if len(b) < recordHead {
		return r, false
	}
	at := func(i int) uint64 { return binary.LittleEndian.Uint64(b[4+8*i:]) }
	r = record{cursor: int64(at(0)), skip: int64(at(1)), born: int64(at(5))}
	r.file = fileInfo{size: int64(at(2)), dev: at(3), ino: at(4)}
	r.gap = gap{int64(at(6)), b[recordHead-1] == 1}
	end := recordHead
	for i := range r.pending {
		if len(b)-end < 10 {
			return r, false
		}
		p := begun{off: int64(binary.LittleEndian.Uint64(b[end:]))}
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
	ok = min(r.cursor, r.skip, r.file.size, r.lost) >= 0 && sumOf(b[4:end]) == binary.LittleEndian.Uint32(b)
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
	disk disk

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
func (p *position) store(r *record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.path == "" {
		return
	}
	if p.f == nil {
		f, err := p.disk.open(p.path, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return
		}
		p.f = f
	}
	_ = p.disk.writeAt(p.f, r.encode(), 0)
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
