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
func tail(st *pump.Store, n int) (lines []Line, err error) {
	for range overtaken {
		lines, err = tailBy(st, n, chunk)
		if len(lines) > 0 || err != nil || n <= 0 || st.Freed() == 0 {
			break // or there are none: nothing was ever released
		}
	}
	return lines, err
}

// tailBy reads size bytes at first, then twice as many, and so on.
func tailBy(st *pump.Store, n int, size int64) ([]Line, error) {
	v, err := st.View()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrClosed) {
		return nil, nil // no byte yet, or removed meanwhile
	}
	if err != nil || n <= 0 {
		return nil, err
	}
	b, from, whole, err := readBack(&v, n+pump.Streams, size)
	if errors.Is(err, fs.ErrClosed) {
		return tailBy(st, n, size) // the files were replaced or removed meanwhile
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read log store: %w", err)
	}
	if freed := st.Freed(); freed > from {
		// Released while it was read: what was read there may be zeros.
		b = b[min(freed-from, int64(len(b))):]
		from = min(freed, v.Size)
		v.Freed = from
	}
	if !whole {
		v.Freed = from // what is before it is as good as released
	}
	lines := derive(&v, b, from)
	return lines[max(0, len(lines)-n):], nil
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

// derive makes lines of the bytes b, which begin at the offset from and go on to
// the end of the view. They are in the order of their beginnings.
func derive(v *pump.View, b []byte, from int64) []Line {
	var j joiner
	var pieces []piece
	// The first line of each stream may have begun before from. At the beginning of
	// what is kept it is shown for what it is, elsewhere it is none of ours.
	var torn [pump.Streams]bool
	if from > 0 {
		torn = [pump.Streams]bool{true, true, true}
	}
	keep, atEnd := from == v.Freed, false
	emit := func(p piece) {
		was := torn[p.stream]
		torn[p.stream] = was && p.end == cut
		if was && !keep {
			return
		}
		p.torn, p.open = was, atEnd && v.Open[p.stream]
		if len(p.text) > 0 && !within(b, p, from) {
			p.text = slices.Clone(p.text)
		}
		pieces = append(pieces, p)
	}
	segs, _ := v.Segments(from, v.Size, 0)
	for _, seg := range segs {
		if seg.Fresh {
			j.breakOff(seg.Stream, emit)
			torn[seg.Stream] = false
		}
		j.feed(seg, b[seg.Off-from:seg.End-from], emit)
	}
	atEnd = true
	for s := range Stream(pump.Streams) {
		j.breakOff(s, emit)
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(a.off, b.off) })
	lines := make([]Line, len(pieces))
	for i, p := range pieces {
		text := p.text
		if p.end == newline {
			text = bytes.TrimSuffix(text, []byte{'\r'})
		}
		lines[i] = Line{Time: p.time, Stream: p.stream, Text: text, Cut: p.end == cut || p.torn, Partial: p.open}
	}
	return lines
}

// within reports whether the text of a piece lies in b itself, not in the joiner.
func within(b []byte, p piece, from int64) bool {
	i := p.off - from
	return i+int64(len(p.text)) <= int64(len(b)) && &b[i] == &p.text[0]
}
