package pump

// endLineLocked ends the last line of a stream with a newline, if it has none and
// is of the run whose pipe has ended: what comes next in the stream is another line
// for every reader, also for those of a later server. Best effort: readers know a
// line that begins afresh, too.
func (st *Store) endLineLocked(s Stream, of tag) {
	if st.openLocked(false) != nil {
		return
	}
	tip := st.tipLocked(s)
	if tip.end <= max(st.freed, st.known) || tip.tag != of {
		return
	}
	var last [1]byte
	if _, err := st.log.ReadAt(last[:], tip.end-1); err != nil || last[0] == '\n' {
		return
	}
	st.intendLocked(s, of, false)
	n, _ := st.writeLocked([]byte{'\n'}) // n says all that matters
	st.movedLocked(s, of, int64(n))
}

// tipLocked is the last byte of a stream, found out once.
func (st *Store) tipLocked(s Stream) tip {
	if t := &st.tips[s]; !t.known {
		*t = st.findTipLocked(s)
	}
	return st.tips[s]
}

// findTipLocked looks in the intents for the last bytes of a stream.
func (st *Store) findTipLocked(s Stream) tip {
	none := tip{known: true}
	if st.idx == nil {
		return none
	}
	end := st.size
	var buf [pageSize]byte
	for to := st.count; to > st.first; {
		from := max(st.first, to-pageSize/intentSize)
		b := buf[:(to-from)*intentSize]
		if _, err := st.idx.ReadAt(b, from*intentSize); err != nil {
			return none
		}
		for ; len(b) > 0; b = b[:len(b)-intentSize] {
			it, ok := decodeIntent(b[len(b)-intentSize:])
			if !ok || it.off >= end {
				continue
			}
			if it.stream == s {
				return tip{known: true, end: end, tag: it.tag}
			}
			end = it.off
		}
		to = from
	}
	return none
}
