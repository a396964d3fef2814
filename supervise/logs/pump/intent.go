package pump

import (
	"encoding/binary"
	"os"
	"sort"
	"time"
)

// A Stream says where bytes came from.
type Stream uint8

const (
	// Stdout is descriptor 1 of the service, and what is of unknown origin.
	Stdout Stream = iota
	// Stderr is descriptor 2 of the service.
	Stderr
	// Zinit is a line of our own.
	Zinit
	// Syslog is what the service sent to the socket of the system log.
	Syslog

	// Streams is how many there are.
	Streams = 4
)

// String is the name that users read: stdout, stderr, zinit or syslog.
func (s Stream) String() string {
	switch s {
	case Stderr:
		return "stderr"
	case Zinit:
		return "zinit"
	case Syslog:
		return "syslog"
	}
	return "stdout"
}

// An intent says to whom the bytes from an offset on belong, until the offset of
// the next intent. It is 16 bytes in the file, aligned, and written by one system
// call that never crosses a page: a kill leaves it whole or absent.
type intent struct {
	off    int64
	ms     int64 // wall clock, milliseconds since 1970; 0 is no intent at all
	stream Stream
	fresh  bool // a new line of the stream begins here, whatever came before
	tag    tag  // of the run whose they are
}

const (
	intentSize = 16
	freshBit   = 1 << 2
	tagShift   = 3
	tagMask    = 1<<5 - 1
)

// A tag tells a run from those before it; 0 is none that is known.
type tag uint8

// tagOf is the tag of a run, which others get again long after.
func tagOf(run uint64) tag {
	if run == 0 {
		return 0
	}
	return 1 + tag(run%tagMask)
}

// differs reports that the two are of different runs for sure.
func (t tag) differs(other tag) bool { return t != 0 && other != 0 && t != other }

func (i intent) encode(b *[intentSize]byte) {
	meta := uint64(i.ms)<<8 | uint64(i.tag)<<tagShift | uint64(i.stream)
	if i.fresh {
		meta |= freshBit
	}
	binary.LittleEndian.PutUint64(b[:8], uint64(i.off))
	binary.LittleEndian.PutUint64(b[8:], meta)
}

// decodeIntent understands any 16 bytes; ok is false for those that were never
// written by encode.
func decodeIntent(b []byte) (i intent, ok bool) {
	meta := binary.LittleEndian.Uint64(b[8:16])
	i = intent{
		off:    int64(binary.LittleEndian.Uint64(b[:8])),
		ms:     int64(meta >> 8),
		stream: Stream(meta & 3),
		fresh:  meta&freshBit != 0,
		tag:    tag(meta >> tagShift & tagMask),
	}
	return i, i.off >= 0 && i.ms != 0
}

// A Segment is a stretch of bytes [Off, End) of one stream.
type Segment struct {
	Off, End int64
	Time     time.Time // when they arrived, to the millisecond
	Stream   Stream
	// Fresh: a line of this stream that was not terminated before Off is over.
	Fresh bool
}

// A View is a store at one moment. It stays readable while the pump goes on;
// bytes below Store.Freed at the time of a read may have become zeros.
type View struct {
	Freed, Size int64         // the bytes [Freed, Size) were there
	Open        [Streams]bool // streams that a process may still write
	Ended       [Streams]bool // streams that were open and are no longer
	Modified    time.Time

	log, idx     *os.File
	first, count int64 // intents in idx
}

// ReadAt reads bytes of the stream; off is the stream offset.
func (v *View) ReadAt(p []byte, off int64) (int, error) { return v.log.ReadAt(p, off) }

// Segments tells to whom the bytes [from, to) belong: segments in order, without
// a gap. Bytes without a valid intent are Stdout, at the time of the file. hint is
// 0 or the next that an earlier call for a lower offset returned.
func (v *View) Segments(from, to, hint int64) (segs []Segment, next int64) {
	next = max(hint, v.first)
	if hint == 0 {
		next = v.search(from)
	}
	cur := Segment{Off: from, Time: v.Modified}
	var buf [64 * intentSize]byte
	for i := next; i < v.count; {
		n, ok := v.readIntents(buf[:], i)
		if !ok {
			break
		}
		for b := buf[:n]; len(b) > 0; b, i = b[intentSize:], i+1 {
			it, ok := decodeIntent(b)
			if !ok || it.off < cur.Off && cur.Off > from {
				continue
			}
			if it.off >= to {
				return appendSegment(segs, cur, to), next
			}
			next = i
			segs = appendSegment(segs, cur, max(it.off, from))
			cur = Segment{Off: max(it.off, from), Time: time.UnixMilli(it.ms), Stream: it.stream,
				Fresh: it.fresh && it.off >= from}
		}
	}
	return appendSegment(segs, cur, to), next
}

func appendSegment(segs []Segment, s Segment, end int64) []Segment {
	if end <= s.Off {
		return segs
	}
	s.End = end
	return append(segs, s)
}

// search is the index of the last intent at or before from, or the first there is.
func (v *View) search(from int64) int64 {
	if v.idx == nil {
		return v.count
	}
	var b [intentSize]byte
	n := sort.Search(int(v.count-v.first), func(i int) bool {
		if _, err := v.idx.ReadAt(b[:], (v.first+int64(i))*intentSize); err != nil {
			return false
		}
		it, ok := decodeIntent(b[:])
		return ok && it.off > from
	})
	return max(v.first, v.first+int64(n)-1)
}

// readIntents fills b from the i-th intent on and returns how many bytes it got.
func (v *View) readIntents(b []byte, i int64) (int, bool) {
	b = b[:min(int64(len(b)), (v.count-i)*intentSize)]
	n, _ := v.idx.ReadAt(b, i*intentSize) // what cannot be read is unknown, not an error
	n -= n % intentSize
	return n, n > 0
}

// Wrote reports whether a stream is known to have had bytes before to. Intents are
// remembered somewhat longer than what they are about.
func (v *View) Wrote(s Stream, to int64) bool {
	if v.idx == nil {
		return s == Stdout && to > 0
	}
	var buf [pageSize]byte
	for end := v.count; end > v.first; {
		from := max(v.first, end-pageSize/intentSize)
		b := buf[:(end-from)*intentSize]
		if n, _ := v.idx.ReadAt(b, from*intentSize); n < len(b) {
			return true // nobody knows
		}
		for ; len(b) > 0; b = b[:len(b)-intentSize] {
			if it, ok := decodeIntent(b[len(b)-intentSize:]); ok && it.stream == s && it.off < to {
				return true
			}
		}
		end = from
	}
	return false
}
