package pump

// endLineLocked ends the last line of a stream that nobody writes any more with a
// newline, if it has none: what comes next in the stream is another line for every
// reader, also for those of a later server. Best effort: readers know a line that
// begins afresh, too.
func (st *Store) endLineLocked(s Stream) {
	if st.openLocked(false) != nil {
		return
	}
	if st.ends[s] == 0 {
		st.ends[s] = st.findEndLocked(s)
	}
	end := st.ends[s]
	if end <= max(st.freed, st.known) {
		return
	}
	var last [1]byte
	if _, err := st.log.ReadAt(last[:], end-1); err != nil || last[0] == '\n' {
		return
	}
	st.intendLocked(s, false)
	n, _ := st.log.WriteAt([]byte{'\n'}, st.size) // n says all that matters
	st.movedLocked(s, int64(n))
}

// findEndLocked looks in the intents for the end of the last bytes of a stream, 0
// when there are none.
func (st *Store) findEndLocked(s Stream) int64 {
	if st.idx == nil {
		return 0
	}
	end := st.size
	var buf [pageSize]byte
	for to := st.count; to > st.first; {
		from := max(st.first, to-pageSize/intentSize)
		b := buf[:(to-from)*intentSize]
		if _, err := st.idx.ReadAt(b, from*intentSize); err != nil {
			return 0
		}
		for ; len(b) > 0; b = b[:len(b)-intentSize] {
			it, ok := decodeIntent(b[len(b)-intentSize:])
			if !ok || it.off >= end {
				continue
			}
			if it.stream == s {
				return end
			}
			end = it.off
		}
		to = from
	}
	return 0
}
