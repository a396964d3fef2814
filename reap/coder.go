package reap

import "encoding/binary"

// A coder writes or reads the fields of a message, so that one description per
// message (its fields method) serves both directions and they cannot differ.
//
// Compatibility rules: a field is only ever added at the end of a message. A
// message that ends early, as an older sender's does, leaves the remaining fields
// zero; what follows the last known field is skipped.
type coder struct {
	buf     []byte // written so far, or still to be read
	reading bool
	bad     bool // a field was cut in the middle, or a count is impossible
}

func (c *coder) num(v *uint64) {
	if !c.reading {
		c.buf = binary.AppendUvarint(c.buf, *v)
		return
	}
	if len(c.buf) == 0 || c.bad {
		*v = 0
		return
	}
	n, size := binary.Uvarint(c.buf)
	if size <= 0 {
		c.bad = true
		return
	}
	*v, c.buf = n, c.buf[size:]
}

func (c *coder) str(v *string) {
	n := uint64(len(*v))
	c.num(&n)
	if !c.reading {
		c.buf = append(c.buf, *v...)
		return
	}
	if n > uint64(len(c.buf)) {
		c.bad = true
	}
	if c.bad {
		*v = ""
		return
	}
	*v, c.buf = string(c.buf[:n]), c.buf[n:]
}

// strs reads a list of strings; each costs at least a byte, which bounds what a
// false count can make us allocate.
func (c *coder) strs(v *[]string) {
	n := uint64(len(*v))
	c.num(&n)
	if !c.reading {
		for i := range *v {
			c.str(&(*v)[i])
		}
		return
	}
	*v = nil
	if n > uint64(len(c.buf)) {
		c.bad = true
	}
	if c.bad || n == 0 {
		return
	}
	whole := c.buf
	for range n {
		if c.skip(); c.bad {
			return
		}
	}
	// One copy for all of them: they live and go together.
	text, list := string(whole[:len(whole)-len(c.buf)]), make([]string, n)
	for i := range list {
		size, begins := binary.Uvarint(whole)
		whole, text = whole[begins+int(size):], text[begins:]
		list[i], text = text[:size], text[size:]
	}
	*v = list
}

// skip passes over a string.
func (c *coder) skip() {
	var size uint64
	if c.num(&size); size > uint64(len(c.buf)) {
		c.bad = true
	}
	if !c.bad {
		c.buf = c.buf[size:]
	}
}

func (c *coder) flag(v *bool) {
	var n uint64
	if *v {
		n = 1
	}
	c.num(&n)
	*v = n != 0
}

// field codes every kind of integer; a value that does not fit is an error, since
// a pid or signal that was cut would be somebody else's.
func field[T ~int | ~int32 | ~uint8 | ~uint32 | ~uint64 | ~uintptr](c *coder, v *T) {
	n := uint64(*v)
	c.num(&n)
	if !c.reading {
		return
	}
	*v = T(n)
	if uint64(*v) != n {
		c.bad, *v = true, 0
	}
}

func (c *coder) status(s *Status) {
	field(c, &s.code)
	field(c, &s.signal)
	c.flag(&s.core)
}

// optional codes what may be missing.
func optional[T any](c *coder, v **T, fields func(*T, *coder)) {
	there := *v != nil
	c.flag(&there)
	switch {
	case !there:
		*v = nil
		return
	case c.reading:
		*v = new(T)
	}
	fields(*v, c)
}

// repeated codes a list; each element costs at least a byte, which bounds what a false
// count can make us allocate.
func repeated[T any](c *coder, v *[]T, fields func(*T, *coder)) {
	n := uint64(len(*v))
	c.num(&n)
	if c.reading {
		*v = nil
		if n > uint64(len(c.buf)) {
			c.bad = true
		}
		if c.bad || n == 0 {
			return
		}
		*v = make([]T, n)
	}
	for i := range *v {
		fields(&(*v)[i], c)
	}
}
