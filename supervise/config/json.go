package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// A ShapeError says that a JSON text is not the description of a service: it has
// another form, a value of the wrong type or no value where there must be one. The
// words are those of zinit 0.3.9.
type ShapeError struct{ Message string }

func (e *ShapeError) Error() string { return e.Message }

// An InvalidError says that the description of a service asks for what is not
// allowed. Each of the Problems stands for itself.
type InvalidError struct{ Problems []string }

func (e *InvalidError) Error() string { return strings.Join(e.Problems, "; ") }

// FromJSON reads the description of a service, as service.set takes it: an object
// with the tables that a file has. What is left out, or null, has its default.
// Unknown keys are ignored and become warnings. The error is a [*ShapeError] or an
// [*InvalidError]. Services that came this way have no Source and no Digest.
//
// Two things differ from files. Names of variables have no blanks. And the clients
// of zinit 0.3.9 send every default, so that the restart policy "on-failure" counts
// as not given; a oneshot is retried only if lifecycle.restart_explicit is true as
// well.
func FromJSON(text []byte) (s *Service, warnings []string, err error) {
	if len(text) > MaxFile {
		return nil, nil, &InvalidError{[]string{"is larger than 1 MiB: a service is small, shorten it"}}
	}
	v, err := decodeJSON(text)
	if err != nil {
		return nil, nil, err
	}
	root, ok := v.(*tomlTable)
	if !ok {
		return nil, nil, shapeError("invalid type: %s, expected struct ServiceConfig", jsonName(v))
	}
	if err := shapeOf(root); err != nil {
		return nil, nil, err
	}
	f := &file{lines: make(map[string]int, 16), wire: true}
	if s = f.service(root); !f.failed && len(Render(s)) > MaxFile {
		f.report(Error, 0, "", "would be larger than 1 MiB as a file: shorten it")
	}
	var bad []string
	for _, p := range f.problems() {
		p.Line, p.Service = 0, ""
		if p.Severity == Error {
			bad = append(bad, p.String())
		} else {
			p.Severity = Error // no "warning: " in front: the list says so
			warnings = append(warnings, p.String())
		}
	}
	if bad != nil {
		return nil, nil, &InvalidError{bad}
	}
	return s, warnings, nil
}

func shapeError(format string, args ...any) error {
	return &ShapeError{printable(fmt.Sprintf(format, args...), 1000)}
}

// shapeOf looks whether every known key has a value of its type, and removes those
// that are null.
func shapeOf(root *tomlTable) error {
	for i, e := range root.entries {
		sec := sectionNamed(e.key)
		if sec == nil || sec.name == "target" || e.value == nil && sec.name != "service" {
			continue
		}
		tables, ok := tablesIn(sec, e.value)
		if !ok {
			return shapeError("%s: invalid type: %s, expected a map", sec.name, jsonName(e.value))
		}
		for _, t := range tables {
			if err := sec.shapeOf(t); err != nil {
				return err
			}
		}
		if _, many := e.value.([]tomlEntry); many {
			root.entries[i].value = tables
		}
	}
	if !slices.ContainsFunc(root.entries, func(e tomlEntry) bool { return e.key == "service" }) {
		return shapeError("missing field `service`")
	}
	root.dropNulls()
	return nil
}

// tablesIn is the table that a section has, or those of [socket].
func tablesIn(sec *section, v any) (tables []*tomlTable, ok bool) {
	list, many := v.([]tomlEntry)
	if !many || sec.name != "socket" || len(list) == 0 {
		list = []tomlEntry{{value: v}}
	}
	for _, e := range list {
		t, ok := e.value.(*tomlTable)
		if !ok {
			return nil, false
		}
		tables = append(tables, t)
	}
	return tables, true
}

func (sec *section) shapeOf(t *tomlTable) error {
	given := map[*key]bool{}
	for _, e := range t.entries {
		k := sec.find(e.key)
		switch {
		case k == nil || e.value == nil && !k.required:
			continue
		case given[k]:
			return shapeError("duplicate field `%s`", k.name)
		}
		given[k] = true
		if err := k.shapeOf(e.value); err != nil {
			return err
		}
	}
	for i := range sec.keys {
		if k := &sec.keys[i]; k.required && !given[k] {
			return shapeError("missing field `%s`", k.name)
		}
	}
	t.dropNulls()
	return nil
}

func (t *tomlTable) dropNulls() {
	t.entries = slices.DeleteFunc(t.entries, func(e tomlEntry) bool { return e.value == nil })
}

// shapeOf tells in the words of the original why v is not for the key.
func (k *key) shapeOf(v any) error {
	wrong := func(v any, expected string) error {
		return shapeError("invalid type: %s, expected %s", jsonName(v), expected)
	}
	ok := k.kind.wire == ""
	switch k.kind {
	case kindText:
		_, ok = v.(string)
	case kindFlag:
		_, ok = v.(bool)
	case kindWord:
		var s string
		if s, ok = v.(string); ok && k.wordIndex(s) < 0 {
			return shapeError("unknown variant `%s`, expected %s", s, variants(k.originals()))
		}
	case kindTexts, kindPorts:
		var list []tomlEntry
		list, ok = v.([]tomlEntry)
		for _, e := range list {
			if _, isText := e.value.(string); k.kind == kindTexts && !isText {
				return wrong(e.value, "a string")
			}
			if k.kind == kindPorts {
				if err := number(e.value, "u16", 65535); err != nil {
					return err
				}
			}
		}
	case kindEnv:
		var t *tomlTable
		if t, ok = v.(*tomlTable); ok {
			for _, e := range t.entries {
				if _, isText := e.value.(string); !isText {
					return wrong(e.value, "a string")
				}
			}
		}
	case kindMillis, kindU16, kindU32, kindUsize:
		return number(v, k.kind.wire, 0)
	}
	if !ok {
		return wrong(v, k.kind.wire)
	}
	return nil
}

// number takes what the original takes as a number without a sign, up to most
// unless that is 0: what is too large for its key is refused with the other values
// that make no sense.
func number(v any, expected string, most int64) error {
	n, ok := v.(int64)
	switch _, big := v.(tooBig); {
	case ok && (n < 0 || n > most && most > 0), big && most > 0:
		return shapeError("invalid value: %s, expected %s", jsonName(v), expected)
	case !ok && !big:
		return shapeError("invalid type: %s, expected %s", jsonName(v), expected)
	}
	return nil
}

// originals is the words that the original has: its messages name no others.
func (k *key) originals() []string {
	if k.older > 0 {
		return k.words[:k.older]
	}
	return k.words
}

// variants lists words as the original does.
func variants(words []string) string {
	list := "`" + strings.Join(words, "`, `") + "`"
	if len(words) == 2 {
		return strings.Replace(list, ", ", " or ", 1)
	}
	return "one of " + list
}

// jsonName is how the original names a value.
func jsonName(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "string " + strconv.Quote(printable(v, 60))
	case int64, tooBig:
		return fmt.Sprintf("integer `%v`", v)
	case float64:
		return fmt.Sprintf("floating point `%v`", v)
	case bool:
		return fmt.Sprintf("boolean `%v`", v)
	case []tomlEntry:
		return "sequence"
	}
	return "map"
}

// jsonReader makes of JSON the tree that the loader of files reads. A null is nil.
type jsonReader struct {
	*json.Decoder
	depth, values int
}

func decodeJSON(text []byte) (any, error) {
	r := &jsonReader{Decoder: json.NewDecoder(bytes.NewReader(text))}
	r.UseNumber()
	v, err := r.value()
	if err == nil {
		if _, more := r.Token(); more != io.EOF {
			err = shapeError("trailing characters after the object")
		}
	}
	return v, err
}

func (r *jsonReader) value() (any, error) {
	t, err := r.Token()
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, shapeError("EOF while parsing a value")
		}
		return nil, shapeError("expected value: %v", err)
	}
	if r.values++; r.values > maxValues {
		return nil, shapeError("holds more than %d values: split it", maxValues)
	}
	switch t := t.(type) {
	case json.Delim:
		if r.depth++; r.depth > maxDepth {
			return nil, shapeError("is nested more than %d deep: no key needs that", maxDepth)
		}
		defer func() { r.depth-- }()
		if t == '{' {
			return r.object()
		}
		return r.array()
	case json.Number:
		return jsonNumber(t), nil
	case string:
		if strings.ContainsRune(t, 0) {
			return nil, shapeError("a text holds a NUL character: remove it")
		}
		return t, nil
	}
	return t, nil // true, false, null
}

func jsonNumber(n json.Number) any {
	if i, err := n.Int64(); err == nil {
		return i
	}
	if !strings.ContainsAny(n.String(), ".eE") {
		return tooBig(n)
	}
	f, _ := n.Float64() // too large is as wrong as any other fraction
	return f
}

// object reads what follows {. The keys are put in order: what is found wrong with
// them does not depend on how they were sent.
func (r *jsonReader) object() (any, error) {
	out := &tomlTable{line: 1}
	for r.More() {
		name, err := r.value()
		if err != nil {
			return nil, err
		}
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		out.entries = append(out.entries, tomlEntry{key: name.(string), line: 1, value: v})
	}
	if _, err := r.Token(); err != nil {
		return nil, shapeError("EOF while parsing an object")
	}
	sort.Slice(out.entries, func(i, j int) bool { return out.entries[i].key < out.entries[j].key })
	for i := 1; i < len(out.entries); i++ {
		if key := out.entries[i].key; key == out.entries[i-1].key {
			return nil, shapeError("duplicate field `%s`", key)
		}
	}
	return out, nil
}

func (r *jsonReader) array() (any, error) {
	list := []tomlEntry{}
	for r.More() {
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		list = append(list, tomlEntry{line: 1, value: v})
	}
	if _, err := r.Token(); err != nil {
		return nil, shapeError("EOF while parsing a list")
	}
	return list, nil
}
