package config

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Cache has what files gave when they were read, so that none is read again
// before it has changed: by this process, or by the next one, which gets it
// encoded. It is safe for concurrent use.
type Cache struct {
	mu      sync.Mutex
	files   map[string]*cached // guarded by mu; by path
	given   Defaults           // guarded by mu; with which they were read
	changed bool               // guarded by mu; since the last Encode
}

// cached is what one file gave.
type cached struct {
	ID       identity
	Service  *Service
	NameLine int
	Problems []Problem

	used   bool // in this round
	packed bool // it shares no page with what reading it has left behind
}

// identity is what changes when a file does. Owner and mode are part of it, since
// they decide whether it is trusted.
type identity struct {
	Dev, Ino             uint64
	Size, Changed, Wrote int64 // the times in nanoseconds
	Uid, Gid, Mode       uint32
}

// settled is how long a file must have been left alone before it counts as known:
// two changes within one tick of the kernel's clock look like one.
const settled = 50 * time.Millisecond

func identify(st fs.FileInfo) (identity, bool) {
	s, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, false
	}
	return identity{
		Dev: uint64(s.Dev), Ino: s.Ino, Size: s.Size, Changed: changeTime(s), Wrote: st.ModTime().UnixNano(),
		Uid: s.Uid, Gid: s.Gid, Mode: uint32(st.Mode()),
	}, true
}

// NewCache is an empty cache.
func NewCache() *Cache {
	return &Cache{files: map[string]*cached{}}
}

// find returns what the file at path gave, if it is still the same.
func (c *Cache) find(path string) (loaded, bool) {
	if c == nil {
		return loaded{}, false
	}
	st, err := os.Stat(path)
	if err != nil {
		return loaded{}, false
	}
	id, ok := identify(st)
	c.mu.Lock()
	defer c.mu.Unlock()
	f, known := c.files[path]
	if !ok || !known || f.ID != id {
		return loaded{}, false
	}
	f.used = true
	return loaded{path: path, service: f.Service, nameLine: f.NameLine, problems: f.Problems}, true
}

// keep remembers what a file gave that looked like st when it was read.
func (c *Cache) keep(l loaded, st fs.FileInfo) {
	if c == nil {
		return
	}
	id, ok := identify(st)
	if newest := max(id.Changed, id.Wrote); !ok || time.Since(time.Unix(0, newest)) < settled {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files[l.path] = &cached{ID: id, Service: l.service, NameLine: l.nameLine, Problems: l.problems, used: true}
	c.changed = true
}

// pack copies what was read in this round, one file after the other. A decoder leaves
// behind a hundred times as much as it gives, and a page with one string that is needed
// is not given back, whatever else was in it.
func (c *Cache) pack(all []loaded) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var w coder
	for i := range all {
		l := &all[i]
		f := c.files[l.path]
		if f == nil || f.packed || f.Service == nil || f.Service != l.service {
			continue
		}
		w.buf = w.buf[:0]
		f.fields(&w)
		copied := &cached{used: true, packed: true}
		copied.fields(&coder{reading: true, text: string(w.buf)})
		c.files[l.path] = copied
		l.service, l.problems = copied.Service, copied.Problems
	}
}

// begin begins a round in which every file is asked for. What was read with other
// defaults is of no use.
func (c *Cache) begin(given Defaults) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.given != given {
		clear(c.files)
		c.given, c.changed = given, true
	}
	for _, f := range c.files {
		f.used = false
	}
}

// end forgets the files that were not asked for in the round: they are gone.
func (c *Cache) end() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for path, f := range c.files {
		if !f.used {
			delete(c.files, path)
			c.changed = true
		}
	}
}

// Lost says that what Encode gave is gone: the next Encode gives it again.
func (c *Cache) Lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = len(c.files) > 0
}

// layout is to be another one whenever what a cache holds is to be read otherwise,
// also by programs of one maker.
const layout = " 6"

// Encode writes the cache down for another process of the program that maker
// names; nil when nothing has changed since the last Encode or Decode.
func (c *Cache) Encode(maker string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.changed {
		return nil
	}
	text := coder{}
	by, n := maker+layout, len(c.files)
	str(&text, &by)
	c.given.fields(&text)
	num(&text, &n)
	for path, f := range c.files {
		one := coder{}
		str(&one, &path)
		f.fields(&one)
		size := len(one.buf)
		num(&text, &size)
		text.buf = append(text.buf, one.buf...)
	}
	c.changed = false
	return binary.LittleEndian.AppendUint32(text.buf, crc32.ChecksumIEEE(text.buf))
}

var (
	errDamaged = errors.New("cannot use the compiled configuration: it is damaged")
	errForeign = errors.New("cannot use the compiled configuration: another program made it")
)

// DecodeCache reads what Encode wrote. What another program wrote, which may
// understand files otherwise, is of no use, and neither is what is damaged: the
// error says which, and the cache is empty then, but not nil.
func DecodeCache(text []byte, maker string) (*Cache, error) {
	end := len(text) - 4
	if end < 0 || crc32.ChecksumIEEE(text[:end]) != binary.LittleEndian.Uint32(text[end:]) {
		return NewCache(), errDamaged
	}
	c := coder{reading: true, text: string(text[:end])}
	var by string
	if str(&c, &by); by != maker+layout {
		return NewCache(), errForeign
	}
	var given Defaults
	given.fields(&c)
	var n int
	num(&c, &n)
	files := make(map[string]*cached, max(min(n, len(c.text)/256), 0))
	for ; n > 0 && !c.bad; n-- {
		path, f := c.file()
		files[path] = f
	}
	if c.bad || c.text != "" {
		return NewCache(), errDamaged
	}
	return &Cache{files: files, given: given}, nil
}

// file reads one file from a copy of its part of the text: its strings keep that in
// memory, and not those of the others.
func (c *coder) file() (path string, f *cached) {
	f = &cached{packed: true}
	var part string
	str(c, &part)
	one := coder{reading: true, text: strings.Clone(part)}
	str(&one, &path)
	f.fields(&one)
	if one.bad || one.text != "" {
		c.bad = true
	}
	return path, f
}
