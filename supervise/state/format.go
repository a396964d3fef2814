package state

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// A record on disk, numbers in little endian:
//
//	mark (2 bytes) | crc32c of all after it (4) | number (8) | key length (2) |
//	value length (4; the highest bit: the key was deleted) | key | value
//
// The number grows by one with each record of a file, so that a lost one shows.
const (
	headSize = 20
	deleted  = 1 << 31

	// MaxValue bounds a value, in bytes; whatever claims to be longer is damage.
	MaxValue = 1 << 20
	// MaxKey bounds a key, in bytes.
	MaxKey = 1 << 10
)

var mark = [2]byte{0xa7, 0x5a}

// magic begins every file, for those who look at it.
var magic = []byte("zinit state 1\n")

func table() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// appendRecord appends one record; a nil value deletes the key.
func appendRecord(b []byte, sums *crc32.Table, number uint64, key string, value []byte) []byte {
	start := len(b)
	b = append(b, mark[0], mark[1], 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, number)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(key)))
	size := uint32(len(value))
	if value == nil {
		size |= deleted
	}
	b = binary.LittleEndian.AppendUint32(b, size)
	b = append(b, key...)
	b = append(b, value...)
	binary.LittleEndian.PutUint32(b[start+2:], crc32.Checksum(b[start+6:], sums))
	return b
}

// A record is one as read; its slices lie in the file's text.
type record struct {
	number uint64
	key    []byte
	value  []byte // nil: deleted
	at     int64  // in the file
	size   int    // there
}

// parseRecord reads the record at the start of b; false: there is none.
func parseRecord(b []byte, sums *crc32.Table) (record, bool) {
	if len(b) < headSize || b[0] != mark[0] || b[1] != mark[1] {
		return record{}, false
	}
	keySize := int(binary.LittleEndian.Uint16(b[14:]))
	word := binary.LittleEndian.Uint32(b[16:])
	valueSize := int(word &^ deleted)
	size := headSize + keySize + valueSize
	if keySize > MaxKey || valueSize > MaxValue || len(b) < size {
		return record{}, false
	}
	if crc32.Checksum(b[6:size], sums) != binary.LittleEndian.Uint32(b[2:]) {
		return record{}, false
	}
	r := record{number: binary.LittleEndian.Uint64(b[6:]), key: b[headSize : headSize+keySize], size: size}
	if word&deleted == 0 {
		r.value = b[headSize+keySize : size : size]
		if r.value == nil {
			r.value = []byte{}
		}
	}
	return r, true
}

// torn reports whether b is the beginning of a record that is longer.
func torn(b []byte) bool {
	if len(b) < headSize {
		return bytes.HasPrefix(b, mark[:]) || bytes.HasPrefix(mark[:], b)
	}
	keySize := int(binary.LittleEndian.Uint16(b[14:]))
	valueSize := int(binary.LittleEndian.Uint32(b[16:]) &^ deleted)
	return bytes.HasPrefix(b, mark[:]) && keySize <= MaxKey && valueSize <= MaxValue && len(b) < headSize+keySize+valueSize
}

// A Report says how much of a file could be read.
type Report struct {
	Records int // that were read
	// Lost counts records that are known to be missing, by their numbers; Skipped is
	// how many bytes were of no use.
	Lost    uint64
	Skipped int
	// Torn is how many bytes there are of a last record whose writer was killed before
	// all of it was there. Nothing was done yet on the strength of it.
	Torn int
	// Foreign says that nothing in the file looks like ours: it counts as empty.
	Foreign bool
}

// Damaged says that not everything that was written is there.
func (r Report) Damaged() bool { return r.Lost > 0 || r.Skipped > 0 || r.Foreign }

// parse reads a whole file and calls each for every record, in the order in which
// they were written. Each has its own checksum, so that a broken head, or a broken
// record, costs no other.
func parse(text []byte, each func(record)) (last uint64, report Report) {
	rest, sound := bytes.CutPrefix(text, magic)
	sums := table()
	for len(rest) > 0 {
		r, ok := parseRecord(rest, sums)
		if !ok {
			// The next mark may begin a sound record.
			next := bytes.Index(rest[1:], mark[:])
			if next < 0 && torn(rest) {
				report.Torn = len(rest)
				break
			}
			if next < 0 {
				report.Skipped += len(rest)
				break
			}
			report.Skipped += next + 1
			rest = rest[next+1:]
			continue
		}
		if r.number > last+1 {
			report.Lost += r.number - last - 1
		}
		last = max(last, r.number)
		report.Records++
		r.at = int64(len(text) - len(rest))
		each(r)
		rest = rest[r.size:]
	}
	report.Foreign = !sound && report.Records == 0 && len(text) > 0
	return last, report
}
