package logs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"

	"zinit/supervise/logs/pump"
)

// placeBefore is the place before the last lines that are asked for, at most so
// many of the last most ones, or behind all that are complete.
func placeBefore(st *pump.Store, most int, q *Query) place {
	ask := most
	if q.all() && q.Lines > 0 {
		ask = min(ask, q.Lines)
	}
	r, err := lastPieces(st, ask+1) // the one before the first is where that begins
	if err != nil {
		if v, err := st.View(); err == nil {
			return place{off: v.Size}
		}
		return place{}
	}
	i, wanted := len(r.ended), q.Lines
	for n := most; i > 0 && n > 0; n-- {
		if i--; !q.wantsPiece(&r.ended[i]) {
			continue
		}
		if wanted--; wanted == 0 {
			break
		}
	}
	if i > 0 {
		return placeOf(r.ended[i-1].cursor)
	}
	return place{off: r.from}
}

// take makes the follower what it was when it had told all up to its place: the
// lines that had begun there, but not ended, are read again. It is false when the
// store changed under it; there is another view then.
func (f *Follower) take(v *pump.View) bool {
	if f.at.off > v.Size {
		f.at, f.cursor = place{}, 0 // of another log: this one is new from its beginning
	}
	f.join, f.pos = joiner{}, f.at.off
	freed := max(v.Freed, f.hub.store.Freed())
	if f.pos == 0 {
		return true
	}
	if f.pos <= freed {
		f.join.tear(v, f.pos)
		return true
	}
	from := max(freed, f.pos-maxTail)
	segs, _ := v.Segments(from, f.pos, 0)
	at, err := f.prime(v, segs, from)
	if errors.Is(err, fs.ErrClosed) || f.hub.store.Freed() > from {
		f.hub.refresh(nil)
		return false
	}
	if err != nil { // they cannot be read: they are as good as released
		f.join = joiner{}
		f.join.tear(v, f.pos)
		return true
	}
	f.at = at
	return true
}

// prime reads the begun lines from the segments before the place.
func (f *Follower) prime(v *pump.View, segs []pump.Segment, from int64) (at place, err error) {
	at = f.at
	var last [1]byte
	if _, err := v.ReadAt(last[:], at.off-1); err != nil && err != io.EOF {
		return at, err
	}
	own := segs[len(segs)-1].Stream // its line ended here, or there would be no cursor here
	for s := range Stream(pump.Streams) {
		if s == own || at.told[s] {
			continue
		}
		if err := f.join.begun(v, segs, s, from); err != nil {
			return at, err
		}
	}
	if f.fresh && f.join.begins() != noBegins {
		// Old lines without a newline ended long ago, if they do not go on.
		over := f.overAt(v)
		for s := range at.told {
			if p := &f.join.pend[s]; over[s] && len(p.text) > 0 {
				*p, at.told[s] = pending{}, true
			}
		}
		f.cursor = at.cursor()
	}
	at.told[own] = last[0] != '\n'
	return at, nil
}

// overAt tells which streams do not go on behind the place with what was begun.
func (f *Follower) overAt(v *pump.View) (over [pump.Streams]bool) {
	var seen [pump.Streams]bool
	segs, _ := v.Segments(f.at.off, v.Size, 0)
	for _, seg := range segs {
		if !seen[seg.Stream] {
			seen[seg.Stream], over[seg.Stream] = true, seg.Fresh
		}
	}
	for s := range seen {
		if !seen[s] {
			over[s] = !v.Open[s]
		}
	}
	return over
}

// begun makes what the segments have of the last, begun line of a stream pending.
func (j *joiner) begun(v *pump.View, segs []pump.Segment, s Stream, from int64) error {
	first, off, torn, err := lastBeginning(v, segs, s)
	if err != nil {
		return err
	}
	j.pend[s].torn = torn && v.Wrote(s, from)
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	for _, seg := range segs[first:] {
		if seg.Stream != s {
			continue
		}
		for seg.Off = max(seg.Off, off); seg.Off < seg.End; {
			b := buf.in[:min(chunk, seg.End-seg.Off)]
			if _, err := v.ReadAt(b, seg.Off); err != nil && err != io.EOF {
				return err
			}
			j.feed(seg, b, func(piece) {})
			seg.Off += int64(len(b))
			seg.Fresh = false
		}
	}
	return nil
}

// lastBeginning is where the last line of a stream begins: in which segment, and at
// which offset. It is torn when that is not among the segments; of a stream that is
// not in them there may be a line, too.
func lastBeginning(v *pump.View, segs []pump.Segment, s Stream) (first int, off int64, torn bool, err error) {
	first, torn = len(segs), true
	for i := len(segs) - 1; i >= 0; i-- {
		seg := &segs[i]
		if seg.Stream != s {
			continue
		}
		first, off = i, seg.Off
		at, err := lastNewline(v, seg.Off, seg.End)
		if err != nil {
			return first, off, torn, err
		}
		if at >= 0 {
			return i, at + 1, false, nil
		}
		if seg.Fresh {
			return i, off, false, nil
		}
	}
	return first, off, torn, nil
}

// lastNewline is the offset of the last newline in [from, to), -1 without one.
func lastNewline(v *pump.View, from, to int64) (int64, error) {
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	for to > from {
		b := buf.in[:min(chunk, to-from)]
		to -= int64(len(b))
		if _, err := v.ReadAt(b, to); err != nil && err != io.EOF {
			return -1, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			return to + int64(i), nil
		}
	}
	return -1, nil
}
