package yaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A Kind is what a value is.
type Kind uint8

const (
	Null  Kind = iota // nothing, null or ~
	Bool              // true or false
	Other             // a number or a date
	Text              // any other scalar, and all that stand in quotes
	List
	Map
)

// A Value is one value of a text. What does not belong to its Kind is empty.
type Value struct {
	Kind  Kind
	Line  int     // from 1
	Text  string  // of a scalar: without its quotes, otherwise as written
	Items []Value // of a list
	Pairs []Pair  // of a map, in their order; no key is there twice
}

// A Pair is a key with its value.
type Pair struct {
	Key   string
	Line  int // of the key
	Value Value
}

// An Error is what is wrong with a text.
type Error struct {
	Line    int // from 1; 0: not known
	Message string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

// maxDepth is how deep values may nest; a service file needs three levels.
const maxDepth = 32

// Parse reads a text. One without a document is Null. The error is an *Error.
func Parse(text []byte) (v Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			v, err = Value{}, &Error{0, fmt.Sprintf("cannot be decoded (%v): simplify the file", r)}
		}
	}()
	if at := firstInvalid(text); at >= 0 {
		return Value{}, &Error{1 + bytes.Count(text[:at], []byte("\n")), "is not valid UTF-8: save the file as UTF-8"}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return Value{Line: 1}, nil
	case err != nil:
		return Value{}, wrong(text, err)
	}
	switch err := d.Decode(&more); {
	case err == nil:
		return Value{}, &Error{more.Line, "a second document begins here: write one service to a file"}
	case !errors.Is(err, io.EOF):
		return Value{}, wrong(text, err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return Value{Line: 1}, nil
	}
	return convert(doc.Content[0], 0)
}

// firstInvalid is where a text stops to be UTF-8, -1 when it does not.
func firstInvalid(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// wrong takes the line out of what the library says: "yaml: line 3: did not find ...".
// It says none for the first line, nor for an alias of nothing.
func wrong(text []byte, err error) *Error {
	e := &Error{1, strings.TrimPrefix(err.Error(), "yaml: ")}
	if rest, ok := strings.CutPrefix(e.Message, "line "); ok {
		number, message, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			e.Line, e.Message = n, message
		}
	}
	if rest, ok := strings.CutPrefix(e.Message, "unknown anchor '"); ok {
		name, _, _ := strings.Cut(rest, "'")
		if at := bytes.Index(text, []byte("*"+name)); at >= 0 {
			e.Line = 1 + bytes.Count(text[:at], []byte("\n"))
		}
		e.Message = "anchors and aliases are not supported: write the value out"
		return e
	}
	e.Message += ": check indentation, colons and quotes"
	return e
}

func convert(n *yaml.Node, depth int) (Value, error) {
	v := Value{Line: n.Line}
	switch {
	case depth > maxDepth:
		return v, &Error{n.Line, fmt.Sprintf("is nested more than %d deep: no key needs that", maxDepth)}
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return v, &Error{n.Line, "anchors and aliases are not supported: write the value out"}
	case n.Style&yaml.TaggedStyle != 0:
		return v, &Error{n.Line, "the tag " + n.Tag + " is not supported: remove it"}
	}
	switch n.Kind {
	case yaml.ScalarNode:
		v.Kind, v.Text = kindOf(n), n.Value
	case yaml.SequenceNode:
		v.Kind = List
		for _, item := range n.Content {
			one, err := convert(item, depth+1)
			if err != nil {
				return v, err
			}
			v.Items = append(v.Items, one)
		}
	case yaml.MappingNode:
		v.Kind = Map
		return v, v.pairs(n.Content, depth)
	}
	return v, nil
}

// pairs takes in keys and values, which stand one after the other.
func (v *Value) pairs(nodes []*yaml.Node, depth int) error {
	lines := map[string]int{}
	for i := 0; i+1 < len(nodes); i += 2 {
		key, err := convert(nodes[i], depth+1)
		switch before := lines[key.Text]; {
		case err != nil:
			return err
		case key.Kind == List || key.Kind == Map:
			return &Error{key.Line, "a key must be a word: write KEY: VALUE"}
		case nodes[i].ShortTag() == "!!merge":
			return &Error{key.Line, "the key << is not supported: write the values out"}
		case before > 0:
			return &Error{key.Line, fmt.Sprintf("%s stands in line %d already: remove one of them", key.Text, before)}
		}
		lines[key.Text] = key.Line
		value, err := convert(nodes[i+1], depth+1)
		if err != nil {
			return err
		}
		v.Pairs = append(v.Pairs, Pair{key.Text, key.Line, value})
	}
	return nil
}

func kindOf(n *yaml.Node) Kind {
	switch n.ShortTag() {
	case "!!null":
		return Null
	case "!!bool":
		return Bool
	case "!!str":
		return Text
	}
	return Other
}
