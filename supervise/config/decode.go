package config

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/naoina/toml"
	"github.com/naoina/toml/ast"
)

// tomlTable is a table of a file, its keys in the order of their lines.
type tomlTable struct {
	line    int
	entries []tomlEntry
}

// tomlEntry is a key with its value, or an element of a list. The value is a
// string, int64, float64, bool, []tomlEntry, *tomlTable, []*tomlTable (for
// [[key]]), or tooBig.
type tomlEntry struct {
	key   string
	line  int
	value any
}

// tooBig is an integer that does not fit into 64 bits.
type tooBig string

// decode has the decoder read the skeleton of a guard.
func (g *guard) decode() (root *tomlTable, bad *finding) {
	if g.root == nil {
		bad = withDecoder(func() error {
			table, err := toml.Parse(g.out)
			if err == nil {
				g.root = newConverter(g.out).root(table, g.strings, 0)
			}
			return err
		})
	}
	return g.root, bad
}

// withDecoder makes a finding of the decoder's error. A panic of it is one, too.
func withDecoder(do func() error) (bad *finding) {
	defer func() {
		if r := recover(); r != nil {
			bad = &finding{message: fmt.Sprintf("cannot be decoded (%v): simplify the file", r)}
		}
	}()
	if err := do(); err != nil {
		return decoderFinding(err)
	}
	return nil
}

const (
	// maxTogether is how many texts are decoded at once, and maxShort how long each of
	// them is at most, for their sum to take little memory.
	maxTogether = 32
	maxShort    = 4 << 10
)

// decodeTogether decodes several texts as one, in which each is below a table of its
// own: the decoder fills a table of 400 kB with zeros whenever it is called, which for
// a small text takes ten times as long as the rest. What cannot be decoded like that
// is left to decode, which says why.
func decodeTogether(guards []*guard) {
	var text []byte
	var together []*guard
	var above []int // lines before each
	lines := 0
	for _, g := range guards {
		// The decoder does not count the lines inside of strings.
		if len(g.out) > maxShort || bytes.Contains(g.out, []byte("'''")) {
			continue
		}
		name := "f" + strconv.Itoa(len(together))
		text = fmt.Appendf(text, "[%s]\n", name)
		lines++
		together, above = append(together, g), append(above, lines)
		at := 0
		for _, h := range g.headers {
			text = append(append(append(text, g.out[at:h]...), name...), '.')
			at = h
		}
		text = append(append(text, g.out[at:]...), '\n')
		lines += bytes.Count(g.out, []byte{'\n'}) + 1
	}
	if len(together) < 2 {
		return
	}
	_ = withDecoder(func() error {
		all, err := toml.Parse(text)
		if err != nil || len(all.Fields) != len(together) {
			return err
		}
		c := newConverter(text)
		for i, g := range together {
			table := all.Fields["f"+strconv.Itoa(i)].(*ast.Table)
			table.Line = above[i] + 1
			g.root = c.root(table, g.strings, above[i])
		}
		return nil
	})
}

// decoderFinding puts the decoder's errors into our words.
func decoderFinding(err error) *finding {
	f := &finding{message: err.Error()}
	if e, ok := err.(*toml.LineError); ok {
		f.line, f.message = e.Line, e.Err.Error()
	}
	what, where, conflict := strings.Cut(f.message, " is in conflict with ")
	if !conflict {
		f.message += ": check quotes, brackets and commas"
		return f
	}
	fields := strings.Fields(what)
	name := strings.Trim(fields[len(fields)-1], "`'")
	f.message = fmt.Sprintf("[%s] stands here and again elsewhere (%s): put its keys below one header", name, where)
	return f
}

// converter turns the decoder's tree into ours: lines instead of offsets, order
// instead of maps, and the strings put back.
type converter struct {
	strings []string
	breaks  []int // offsets behind each line break, in runes as the decoder counts
	above   int   // lines before the first that counts
}

func newConverter(text []byte) *converter {
	c := new(converter)
	at := 0
	for _, r := range string(text) {
		if at++; r == '\n' {
			c.breaks = append(c.breaks, at)
		}
	}
	return c
}

// root converts the table that is a whole file.
func (c *converter) root(t *ast.Table, strings []string, above int) *tomlTable {
	c.strings, c.above = strings, above
	return c.table(t)
}

func (c *converter) line(offset int) int {
	n, found := slices.BinarySearch(c.breaks, offset)
	if found {
		n++
	}
	return n + 1 - c.above
}

func (c *converter) table(t *ast.Table) *tomlTable {
	out := &tomlTable{line: t.Line - c.above, entries: make([]tomlEntry, 0, len(t.Fields))}
	for name, field := range t.Fields {
		e := tomlEntry{key: name}
		switch f := field.(type) {
		case *ast.KeyValue:
			e.value, e.line = c.value(f.Value), c.line(f.Value.Pos())
		case *ast.Table:
			e.value, e.line = c.table(f), f.Line-c.above
		case []*ast.Table:
			tables := make([]*tomlTable, len(f))
			for i := range f {
				tables[i] = c.table(f[i])
			}
			e.value, e.line = tables, tables[0].line
		}
		out.entries = append(out.entries, e)
	}
	sort.Slice(out.entries, func(i, j int) bool {
		a, b := &out.entries[i], &out.entries[j]
		return a.line < b.line || a.line == b.line && a.key < b.key
	})
	return out
}

func (c *converter) value(v ast.Value) any {
	switch v := v.(type) {
	case *ast.String:
		return c.strings[atoi(strings.TrimRight(v.Value, "\n"))]
	case *ast.Integer:
		n, err := strconv.ParseInt(v.Value, 10, 64)
		if err != nil {
			return tooBig(v.Value)
		}
		return n
	case *ast.Float:
		n, _ := v.Float() // too large is as wrong as any other float
		return n
	case *ast.Boolean:
		return v.Value == "true"
	case *ast.Array:
		list := make([]tomlEntry, len(v.Value))
		for i, e := range v.Value {
			list[i] = tomlEntry{line: c.line(e.Pos()), value: c.value(e)}
		}
		return list
	}
	return nil
}

// atoi reads an index that the guard wrote.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic("the decoder changed a string") // recovered in decode
	}
	return n
}
