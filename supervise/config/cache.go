package config

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
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
	changed bool               // guarded by mu; since the last Encode
}

// cached is what one file gave.
type cached struct {
	ID       identity
	Service  *Service
	NameLine int
	Problems []Problem

	used bool // in this round
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
	c.files[l.path] = &cached{id, l.service, l.nameLine, l.problems, true}
	c.changed = true
}

// begin begins a round in which every file is asked for.
func (c *Cache) begin() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
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
const layout = " 2"

// GobEncode keeps what gob would lose: that a number of 0 is given, and that a list
// is empty and not absent.
func (s Setup) GobEncode() ([]byte, error) {
	type plain Setup // without this method
	return json.Marshal(plain(s))
}

// GobDecode reads what GobEncode wrote.
func (s *Setup) GobDecode(text []byte) error {
	type plain Setup
	return json.Unmarshal(text, (*plain)(s))
}

// Encode writes the cache down for another process of the program that maker
// names; nil when nothing has changed since the last Encode or Decode.
func (c *Cache) Encode(maker string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.changed {
		return nil, nil
	}
	var text bytes.Buffer
	enc := gob.NewEncoder(&text)
	if err := errors.Join(enc.Encode(maker+layout), enc.Encode(c.files)); err != nil {
		return nil, fmt.Errorf("cannot encode the configuration: %w", err)
	}
	c.changed = false
	return binary.LittleEndian.AppendUint32(text.Bytes(), crc32.ChecksumIEEE(text.Bytes())), nil
}

// DecodeCache reads what Encode wrote. What another program wrote, which may
// understand files otherwise, is of no use, and neither is what is damaged: the
// error says which, and the cache is empty then, but not nil.
func DecodeCache(text []byte, maker string) (*Cache, error) {
	c := NewCache()
	end := len(text) - 4
	if end < 0 || crc32.ChecksumIEEE(text[:end]) != binary.LittleEndian.Uint32(text[end:]) {
		return c, errors.New("cannot use the compiled configuration: it is damaged")
	}
	dec := gob.NewDecoder(bytes.NewReader(text[:end]))
	var by string
	if err := dec.Decode(&by); err != nil {
		return c, fmt.Errorf("cannot use the compiled configuration: %w", err)
	}
	if by != maker+layout {
		return c, errors.New("cannot use the compiled configuration: another program made it")
	}
	files := map[string]*cached{}
	if err := dec.Decode(&files); err != nil {
		return c, fmt.Errorf("cannot use the compiled configuration: %w", err)
	}
	c.files = files
	return c, nil
}
