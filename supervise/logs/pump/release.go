package pump

import "golang.org/x/sys/unix"

// roomLocked releases what is old and reports whether one more move keeps the
// store within its cap.
func (st *Store) roomLocked() bool {
	if st.count-st.first >= st.keep+minIntents/2 {
		st.dropIntentsLocked()
	}
	if st.size+st.move-st.freed > st.cap {
		st.releaseLocked()
	}
	return st.size+st.move-st.freed <= st.cap && st.count-st.first <= st.keep+heldIntents
}

// releaseLocked punches a step off the front, never past the reader's cursor.
func (st *Store) releaseLocked() {
	to := st.size - (st.cap - st.step - st.move)
	if st.holds {
		to = min(to, st.cursor)
	}
	if to &^= pageSize - 1; to <= st.freed || st.log == nil {
		return
	}
	from := st.hole
	st.freed, st.hole = to, to
	st.released.Store(max(to, st.known)) // first: who reads what is punched meanwhile must be able to tell
	err := punch(int(st.log.Fd()), from, to)
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS || err == unix.EINVAL {
		st.moveToMemoryLocked()
	}
}

// dropIntentsLocked releases intents that no line needs any more.
func (st *Store) dropIntentsLocked() {
	to := st.count - st.keep
	if st.holds {
		to = min(to, st.heldIntent)
	}
	to &^= pageSize/intentSize - 1
	if to <= st.first || st.idx == nil {
		return
	}
	from := st.first &^ (pageSize/intentSize - 1)
	st.first = to
	st.knowLocked()
	st.released.Store(max(st.freed, st.known)) // first, as above
	// Nothing depends on it: what is not released here takes 16 bytes each.
	_ = punch(int(st.idx.Fd()), from*intentSize, to*intentSize)
}

// knowLocked finds out from where on the intents say whose the bytes are. The oldest
// are only for View.Wrote.
func (st *Store) knowLocked() {
	if st.first == 0 {
		return
	}
	var b [intentSize]byte
	oldest := min(st.first+pageSize/intentSize, st.count-1)
	if _, err := st.idx.ReadAt(b[:], oldest*intentSize); err != nil {
		return
	}
	if it, ok := decodeIntent(b[:]); ok && it.off <= st.size {
		st.known = it.off
	}
}

func punch(fd int, from, to int64) error {
	for {
		err := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, from, to-from)
		if err != unix.EINTR {
			return err
		}
	}
}

// moveToMemoryLocked goes on in memory files, at the same offsets, where the file
// system cannot release bytes: the cap matters more than outliving the server.
func (st *Store) moveToMemoryLocked() {
	mem := &Store{name: st.name}
	mem.limitLocked(0, 0)
	if mem.openLocked(true) != nil {
		return
	}
	if mem.copyFrom(&st.files) != nil {
		mem.files.close()
		return
	}
	_ = st.log.Truncate(0) // the file is given up
	st.files.close()
	st.files = mem.files
	st.notes = append(st.notes, "log store: "+st.dir+" cannot release old bytes: lines are kept in memory, until the server ends")
	st.dir = ""
}

// Hold makes the store keep every byte from cursor on for a reader, until it says
// Advance or Unhold; wake is called whenever there is more, with the store locked,
// and must not block. Writers wait when the reader is a whole cap behind. A cursor
// outside of what the store has is moved into it; the one that holds is returned.
func (st *Store) Hold(cursor int64, wake func()) int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	_ = st.openLocked(false) // not there yet: it begins at 0
	st.cursor = min(max(cursor, st.freed), st.size)
	st.heldIntent = st.first
	st.holds, st.wake = true, wake
	return st.cursor
}

// Advance says that the reader has all bytes below cursor; hint is what
// View.Segments returned for it. Bytes from held on it would like to read again
// after a restart: they are kept too, unless they are more than a quarter of the
// cap, for a writer must never wait for a reader that has everything.
func (st *Store) Advance(cursor, held, hint int64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.cursor = max(min(held, cursor), cursor-st.cap/4)
	st.heldIntent = max(0, hint-minIntents)
	st.resumeLocked()
}

// Unhold ends the reader's claim.
func (st *Store) Unhold() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.holds, st.wake = false, nil
	st.resumeLocked()
}

// resumeLocked lets the sources go on that waited for the reader.
func (st *Store) resumeLocked() {
	if len(st.waiting) == 0 || !st.roomLocked() {
		return
	}
	waiting := st.waiting
	st.waiting = nil
	for _, s := range waiting {
		s.resumeLocked()
	}
}
