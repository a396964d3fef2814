package sock

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"unicode/utf8"
)

// cut runs a framer over data that arrives in pieces of the given sizes (the
// last one over and over), and tells what it found.
func cut(data []byte, limit int, sizes ...int) (found []string) {
	f := framer{max: limit}
	for i := 0; ; i++ {
		for {
			next := f.next()
			if next.kind == noFrame {
				break
			}
			found = append(found, fmt.Sprint(next.kind, string(next.text), next.err))
			if next.kind == endFrame {
				return found
			}
		}
		if len(data) == 0 {
			break
		}
		space := f.space()
		n := min(len(data), len(space), max(1, sizes[min(i, len(sizes)-1)]))
		copy(space, data[:n])
		f.filled(n)
		data = data[n:]
	}
	if next := f.end(); next.kind != noFrame {
		found = append(found, fmt.Sprint(next.kind, string(next.text), next.err))
	}
	return found
}

func seeds(f *testing.F) {
	for _, s := range []string{
		ping, ping + ping, "list\n" + ping, " \r\n{}[]\n", `[{"a":[1,-2.5e+3,true,false,null,"\u00e9\n"]}]`,
		`{"a":}` + "\n" + ping, `{"cut":"off` + "\n" + ping, `{"cut":1` + "\n" + ping, "{\"\xff\":1}", "\x00", "a\x00\n", "[[[[", `{"a":01}`,
	} {
		f.Add([]byte(s), uint16(3))
	}
}

// FuzzFrame: however the bytes are cut, the same frames are found; a JSON frame
// is what encoding/json calls valid; nothing panics.
func FuzzFrame(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte, first uint16) {
		const limit = 4096
		whole := cut(data, limit, len(data)+1)
		for _, sizes := range [][]int{{1}, {int(first), len(data) + 1}, {7}} {
			got := cut(data, limit, sizes...)
			if fmt.Sprint(got) != fmt.Sprint(whole) {
				t.Fatalf("in pieces of %v:\n%q\nat once:\n%q", sizes, got, whole)
			}
		}
		var s scanner
		value := skipBlank(data)
		if len(value) == 0 || value[0] != '{' && value[0] != '[' {
			return
		}
		done, bad := s.scan(value)
		switch {
		case done && !json.Valid(value[:s.pos]):
			t.Fatalf("%q is not valid", value[:s.pos])
		case !done && bad == nil && json.Valid(value):
			t.Fatalf("%q is complete", value)
		case bad != nil && !bad.deep && json.Valid(value):
			t.Fatalf("%q is valid, not %v", value, bad)
		}
	})
}

// FuzzRequest: what a request is taken apart into is what encoding/json finds,
// and every reply is one line of valid JSON with the id that came.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{ping, `{"id":"a","jsonrpc":"2.0","method":"x","params":{"name":"n","b":[{}]}}`, `{"id":1}`, `{}`, `[]`, `{"\u0069d":1}`} {
		f.Add([]byte(s), "name")
	}
	f.Fuzz(func(t *testing.T, data []byte, key string) {
		if !json.Valid(data) || !utf8.Valid(data) {
			members(data, func(_, _ []byte) bool { return true })
			elements(data, func([]byte) bool { return true })
			return
		}
		data = skipBlank(data)
		var m map[string]json.RawMessage
		if json.Unmarshal(data, &m) == nil && m != nil && utf8.ValidString(key) {
			if want, got := m[key], member(data, key); !bytes.Equal(want, got) {
				t.Fatalf("%q of %q: got %q, want %q", key, data, got, want)
			}
		}
		var list []json.RawMessage
		if json.Unmarshal(data, &list) == nil && list != nil {
			i := 0
			elements(data, func(v []byte) bool {
				if i >= len(list) || !bytes.Equal(v, list[i]) {
					t.Fatalf("element %d of %q: %q", i, data, v)
				}
				i++
				return true
			})
			if i != len(list) {
				t.Fatalf("%d elements of %q, want %d", i, data, len(list))
			}
		}
		r := parseRequest(data)
		if r.bad != "" || r.id == nil {
			return
		}
		out := newOutput()
		out.appendResult(r.id, Names{string(r.method)})
		if !json.Valid(out.b) || bytes.IndexByte(out.b, '\n') >= 0 {
			t.Fatalf("reply %q", out.b)
		}
		(&Call{Method: &Method{Params: []Param{{Name: key, Type: "string"}}}, Raw: r.params}).Params(&struct{}{})
	})
}
