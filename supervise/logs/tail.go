package logs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"zinit/supervise/logs/pump"
)

const chunk = 64 << 10

// maxTail bounds how much of a store is read for one request, in bytes, however
// large the store is and however long its lines are.
const maxTail = 16 << 20

// overtaken is how often tail looks again when a writer at full speed has had all
// released that it was looking at.
const overtaken = 16

// tail derives the last n lines from a store.
func tail(st *pump.Store, n int) ([]Line, error) {
	if n <= 0 {
		return nil, nil
	}
	r, err := lastPieces(st, n)
	lines := r.lines()
	return lines[max(0, len(lines)-n):], err
}

// lastPieces derives at least the last n lines, if there are as many.
func lastPieces(st *pump.Store, n int) (r stretch, err error) {
	for range overtaken {
		r, err = readEnd(st, n, chunk)
		if len(r.ended)+len(r.open) > 0 || err != nil || st.Freed() == 0 {
			break // or there are none: nothing was ever released
		}
	}
	return r, err
}

// A stretch is the lines at the end of a store.
type stretch struct {
	from  int64   // where it begins; before it there is nothing, or nothing was looked at
	ended []piece // in the order of their ends
	open  []piece // the begun ones
}

// readEnd is lastPieces, once. It reads size bytes at first, then twice as many, and
// so on. A store without a byte, or a removed one, has no lines.
func readEnd(st *pump.Store, n int, size int64) (r stretch, err error) {
	v, err := st.View()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrClosed) {
		return r, nil // no byte yet, or removed meanwhile
	}
	if err != nil {
		return r, err
	}
	b, from, whole, err := readBack(&v, min(n, maxTail)+pump.Streams, size)
	if errors.Is(err, fs.ErrClosed) {
		return readEnd(st, n, size) // the files were replaced or removed meanwhile
	}
	if err != nil {
		return r, fmt.Errorf("cannot read log store: %w", err)
	}
	segs, _ := v.Segments(from, v.Size, 0)
	if freed := st.Freed(); freed > from {
		// Released while it was read: what was read there may be zeros.
		freed = min(freed, v.Size)
		b, segs = b[freed-from:], behind(segs, freed)
		from = freed
		v.Freed = from
	}
	if !whole {
		v.Freed = from // what is before it is as good as released
	}
	first, err := beginnings(st, &v, segs, from)
	if errors.Is(err, fs.ErrClosed) {
		return readEnd(st, n, size)
	}
	if err != nil {
		return r, fmt.Errorf("cannot read log store: %w", err)
	}
	return derive(&v, segs, b, from, first), nil
}

// A beginning says what the first piece of a stream is in a part of a store.
type beginning uint8

const (
	whole    beginning = iota // it begins a line
	rest                      // what is left of a line
	doubtful                  // either of them: what was before it is released
)

// beginnings tells how each stream goes on behind from, where segs begin.
func beginnings(st *pump.Store, v *pump.View, segs []pump.Segment, from int64) (first [pump.Streams]beginning, err error) {
	var seen [pump.Streams]bool
	for _, seg := range segs {
		s := seg.Stream
		if seen[s] {
			continue
		}
		seen[s] = true
		if seg.Fresh || from == 0 {
			continue
		}
		var last [1]byte
		end := endBefore(v, s, from)
		if end > 0 {
			if _, err := v.ReadAt(last[:], end-1); err != nil && err != io.EOF {
				return first, err
			}
		}
		switch {
		case end == 0 || end <= st.Freed():
			if v.Freed > 0 && v.Wrote(s, from) {
				first[s] = doubtful
			}
		case last[0] != '\n':
			first[s] = rest
		}
	}
	return first, nil
}

// endBefore is the end of the last bytes of a stream in [v.Freed, to), 0 when there
// are none.
func endBefore(v *pump.View, s Stream, to int64) int64 {
	for size := int64(4 << 10); to > v.Freed; size *= 4 {
		from := max(v.Freed, to-size)
		segs, _ := v.Segments(from, to, 0)
		for i := len(segs) - 1; i >= 0; i-- {
			if segs[i].Stream == s {
				return segs[i].End
			}
		}
		to = from
	}
	return 0
}

// behind is what the segments say of the bytes from off on.
func behind(segs []pump.Segment, off int64) []pump.Segment {
	for len(segs) > 0 && segs[0].End <= off {
		segs = segs[1:]
	}
	if len(segs) > 0 && segs[0].Off < off {
		segs[0].Off, segs[0].Fresh = off, false
	}
	return segs
}

// readBack reads the end of the store, so much that n newlines are in it, or all.
// It is not whole when there is more than one request may have.
func readBack(v *pump.View, n int, size int64) (b []byte, from int64, whole bool, err error) {
	var chunks [][]byte
	from = v.Size
	first := max(v.Freed, v.Size-maxTail)
	for ; from > first && n > 0; size *= 2 {
		c := make([]byte, min(size, from-first))
		from -= int64(len(c))
		if _, err := v.ReadAt(c, from); err != nil && err != io.EOF {
			return nil, 0, false, err
		}
		n -= bytes.Count(c, []byte{'\n'})
		chunks = append(chunks, c)
	}
	whole = n <= 0 || first == v.Freed
	slices.Reverse(chunks)
	if len(chunks) == 1 {
		return chunks[0], from, whole, nil
	}
	return slices.Concat(chunks...), from, whole, nil
}

// derive makes pieces of the bytes b, which begin at the offset from and go on to
// the end of the view. The rest of a line that began before is none of ours; what
// may be one, at the beginning of what is kept, is shown as torn.
func derive(v *pump.View, segs []pump.Segment, b []byte, from int64, first [pump.Streams]beginning) stretch {
	r := stretch{from: from, ended: make([]piece, 0, bytes.Count(b, []byte{'\n'})+pump.Streams)}
	var j joiner
	for s := range j.pend {
		j.pend[s].torn = first[s] != whole
	}
	atEnd := false
	emit := func(p piece) {
		if p.torn && first[p.stream] == rest {
			return
		}
		p.keepText(b, from)
		if p.open = atEnd && v.Open[p.stream]; p.open {
			r.open = append(r.open, p)
		} else {
			r.ended = append(r.ended, p)
		}
	}
	for _, seg := range segs {
		j.feed(seg, b[seg.Off-from:seg.End-from], emit)
	}
	atEnd = true
	begins := j.begins()
	for s := range Stream(pump.Streams) {
		if !v.Open[s] {
			begins[s] = nowhere
		}
		j.breakOff(s, emit)
	}
	sortByEnd(r.ended)
	at := place{off: from}
	at.pass(r.ended, begins)
	return r
}

// lines are in the order of their beginnings. Each has the cursor of the one among
// it and all before it that ended last. The stretch is used up.
func (r *stretch) lines() []Line {
	pieces := append(r.ended, r.open...)
	byBeginning := func(a, b piece) int { return cmp.Compare(a.off, b.off) }
	if !slices.IsSortedFunc(pieces, byBeginning) {
		slices.SortStableFunc(pieces, byBeginning)
	}
	lines := make([]Line, len(pieces))
	end, cursor := r.from, r.from
	for i := range pieces {
		if p := &pieces[i]; !p.open && p.next > end {
			end, cursor = p.next, p.cursor
		}
		pieces[i].cursor = cursor
		lines[i] = pieces[i].line()
	}
	return lines
}

func sortByEnd(pieces []piece) {
	byEnd := func(a, b piece) int { return cmp.Compare(a.next, b.next) }
	if !slices.IsSortedFunc(pieces, byEnd) {
		slices.SortStableFunc(pieces, byEnd)
	}
}

// keepText makes the text last: one that does not lie in b, the bytes from the
// offset from on, is in the joiner.
func (p *piece) keepText(b []byte, from int64) {
	i := p.off - from
	if len(p.text) > 0 && (i < 0 || i+int64(len(p.text)) > int64(len(b)) || &b[i] != &p.text[0]) {
		p.text = bytes.Clone(p.text)
	}
}
