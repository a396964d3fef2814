package config

import "encoding/binary"

// A coder writes or reads the fields of a compiled configuration, so that one
// description of them (fields.go) serves both directions and they cannot differ. Only
// the program that wrote them reads them, so that there are no versions.
type coder struct {
	buf  []byte // written so far
	text string // still to be read; the strings that are read are parts of it
	// reading tells the direction, and bad that what is read cannot have been written.
	reading, bad bool
}

type integer interface {
	~int | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// num codes every kind of integer; one that does not fit is an error.
func num[T integer](c *coder, v *T) {
	if !c.reading {
		c.buf = binary.AppendUvarint(c.buf, uint64(*v))
		return
	}
	n := c.uvarint()
	if *v = T(n); uint64(*v) != n {
		c.bad, *v = true, 0
	}
}

func (c *coder) uvarint() (n uint64) {
	for i := 0; i < len(c.text) && i < binary.MaxVarintLen64; i++ {
		b := c.text[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			c.text = c.text[i+1:]
			return n
		}
	}
	c.bad, c.text = true, ""
	return 0
}

func yes(c *coder, v *bool) {
	var n uint8
	if *v {
		n = 1
	}
	num(c, &n)
	*v = n != 0
}

func str(c *coder, v *string) {
	n := len(*v)
	num(c, &n)
	if !c.reading {
		c.buf = append(c.buf, *v...)
		return
	}
	if n < 0 || n > len(c.text) {
		c.bad, n = true, 0
	}
	*v, c.text = c.text[:n], c.text[n:]
}

// raw codes bytes whose number is known.
func raw(c *coder, v []byte) {
	if !c.reading {
		c.buf = append(c.buf, v...)
		return
	}
	n := copy(v, c.text)
	c.bad = c.bad || n < len(v)
	c.text = c.text[n:]
}

// maybe codes what may be missing.
func maybe[T any](c *coder, v **T, fields func(*coder, *T)) {
	there := *v != nil
	yes(c, &there)
	if c.reading {
		*v = nil
		if there && !c.bad {
			*v = new(T)
		}
	}
	if *v != nil {
		fields(c, *v)
	}
}

// list codes a list, and whether there is one: an empty list may mean something else
// than none. Each element costs at least a byte, which bounds what a false count can
// make us allocate.
func list[T any](c *coder, v *[]T, fields func(*coder, *T)) {
	n := 0
	if *v != nil {
		n = len(*v) + 1
	}
	num(c, &n)
	if c.reading {
		*v = nil
		if n < 0 || n > len(c.text)+1 {
			c.bad = true
		}
		if c.bad || n == 0 {
			return
		}
		*v = make([]T, n-1)
	}
	for i := range *v {
		fields(c, &(*v)[i])
	}
}

func strs(c *coder, v *[]string) { list(c, v, str) }
