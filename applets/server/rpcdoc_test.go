package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTheDocumentationOfTheWireIsFresh: docs/rpc.md is what the table says.
func TestTheDocumentationOfTheWireIsFresh(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "rpc.md")
	want := (&server{}).table().Markdown()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/rpc.md is stale (%v): run go test ./applets/server -update", err)
	}
}

// A schemaDoc is a decoded OpenRPC document.
type schemaDoc struct {
	Methods []struct {
		Name, Summary string
		Params        []struct {
			Name, Summary string
			Required      bool
			Schema        map[string]any
		}
		Result struct{ Schema map[string]any }
		Pushes []struct{ Name string } `json:"x-pushes"`
	}
	Components struct{ Schemas map[string]map[string]any }
}

func discovered(t *testing.T) (d schemaDoc) {
	t.Helper()
	if err := json.Unmarshal((&server{}).table().OpenRPC("0.4.0"), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestEveryRowIsDescribedInFull: each parameter and result has a schema that says
// something, and a stream names what it sends.
func TestEveryRowIsDescribedInFull(t *testing.T) {
	d := discovered(t)
	table := (&server{}).table()
	if len(d.Methods) != len(table) {
		t.Fatalf("%d methods are described, %d are there", len(d.Methods), len(table))
	}
	for i, m := range d.Methods {
		if m.Name != table[i].Name || m.Summary == "" {
			t.Errorf("%s is described as %s", table[i].Name, m.Name)
		}
		if len(m.Result.Schema) == 0 && m.Name != "rpc.discover" {
			t.Errorf("%s: its result is not described", m.Name)
		}
		for _, p := range m.Params {
			kind := p.Schema["type"]
			if p.Summary == "" || kind == "object" && p.Schema["additionalProperties"] == nil || kind == "array" && p.Schema["items"] == nil {
				t.Errorf("%s: parameter %s is not described", m.Name, p.Name)
			}
		}
		if table[i].Streams && len(m.Pushes) < 2 {
			t.Errorf("%s does not say what it sends", m.Name)
		}
	}
}

// TestRepliesAreAsDescribed compares every golden request that was granted, and
// its reply, with the schemas.
func TestRepliesAreAsDescribed(t *testing.T) {
	d := discovered(t)
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "wire", "server_*.json"))
	if err != nil || len(files) < 4 {
		t.Fatalf("found %v, %v", files, err)
	}
	seen := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		for i := 0; i+1 < len(lines); i++ {
			var request struct {
				Method string
				Params map[string]any
			}
			var reply map[string]any
			if json.Unmarshal([]byte(lines[i]), &request) != nil || json.Unmarshal([]byte(lines[i+1]), &reply) != nil || reply["result"] == nil {
				continue // a reply, a heading, or what was not granted
			}
			seen++
			for _, wrong := range d.pair(request.Method, request.Params, reply["result"]) {
				t.Errorf("%s:%d: %s", filepath.Base(file), i+1, wrong)
			}
		}
	}
	if seen < 50 {
		t.Errorf("saw only %d replies", seen)
	}
}

// pair checks one call.
func (d *schemaDoc) pair(method string, params map[string]any, result any) (wrong []string) {
	table := (&server{}).table()
	for i, m := range d.Methods {
		if m.Name != method {
			continue
		}
		for j, p := range m.Params {
			v, given := params[p.Name]
			switch {
			case given && v != nil && !table[i].Params[j].Lax:
				wrong = append(wrong, d.check(p.Schema, v, p.Name)...)
			case !given && p.Required:
				wrong = append(wrong, p.Name+" is required, and the call was granted without it")
			}
		}
		return append(wrong, d.check(m.Result.Schema, result, "result")...)
	}
	return []string{method + " is not described"}
}

// check compares a value with a schema. What the schema does not mention is wrong,
// too: the description is to be complete.
func (d *schemaDoc) check(schema map[string]any, v any, at string) []string {
	if ref, ok := schema["$ref"].(string); ok {
		return d.check(d.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")], v, at)
	}
	if alternatives, ok := schema["anyOf"].([]any); ok {
		var wrong []string
		for _, one := range alternatives {
			bad := d.check(one.(map[string]any), v, at)
			if bad == nil {
				return nil
			}
			wrong = append(wrong, bad...)
		}
		return wrong
	}
	if kinds := schema["type"]; kinds != nil && kinds != kindOf(v) && (kinds != "number" || kindOf(v) != "integer") {
		if list, ok := kinds.([]any); !ok || !slices.Contains(list, any(kindOf(v))) {
			return []string{fmt.Sprintf("%s: %v is no %v", at, v, kinds)}
		}
	}
	switch v := v.(type) {
	case string:
		if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, any(v)) {
			return []string{fmt.Sprintf("%s: %s is not one of %v", at, v, enum)}
		}
	case []any:
		return d.checkList(schema, v, at)
	case map[string]any:
		return d.checkObject(schema, v, at)
	}
	return nil
}

func (d *schemaDoc) checkList(schema map[string]any, list []any, at string) (wrong []string) {
	if most, ok := schema["maxItems"].(float64); ok && len(list) != int(most) {
		wrong = append(wrong, fmt.Sprintf("%s: %d elements, not %v", at, len(list), most))
	}
	items, _ := schema["items"].(map[string]any)
	for i, one := range list {
		wrong = append(wrong, d.check(items, one, fmt.Sprintf("%s[%d]", at, i))...)
	}
	return wrong
}

func (d *schemaDoc) checkObject(schema map[string]any, object map[string]any, at string) (wrong []string) {
	properties, _ := schema["properties"].(map[string]any)
	others, open := schema["additionalProperties"].(map[string]any)
	for name, one := range object {
		property, ok := properties[name].(map[string]any)
		switch {
		case ok:
			wrong = append(wrong, d.check(property, one, at+"."+name)...)
		case open:
			wrong = append(wrong, d.check(others, one, at+"."+name)...)
		case len(schema) > 0:
			wrong = append(wrong, at+": "+name+" is not described")
		}
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, there := object[name.(string)]; !there {
			wrong = append(wrong, fmt.Sprintf("%s: there is no %v", at, name))
		}
	}
	return wrong
}

// kindOf is the type of a decoded value, as a schema calls it.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// TestTheCheckFindsWhatIsWrong, so that the test above can fail.
func TestTheCheckFindsWhatIsWrong(t *testing.T) {
	d := discovered(t)
	for _, tt := range []struct{ method, params, result, want string }{
		{"service.status", `{"name":"a"}`, `{"name":"a","pid":0,"state":"running"}`, ""},
		{"service.status", `{"name":"a"}`, `{"name":"a","pid":0,"state":"up"}`, "result.state: up is not one of"},
		{"service.status", `{"name":"a"}`, `{"name":"a","pid":0.5,"state":"running"}`, "result.pid: 0.5 is no integer"},
		{"service.status", `{"name":"a"}`, `{"name":"a","state":"running"}`, "there is no pid"},
		{"service.status", `{"name":"a"}`, `{"name":"a","pid":0,"state":"running","x":1}`, "x is not described"},
		{"service.status", `{"name":7}`, `{"name":"a","pid":0,"state":"running"}`, "name: 7 is no string"},
		{"service.status", `{}`, `{"name":"a","pid":0,"state":"running"}`, "name is required"},
		{"service.list", `{}`, `["a",1]`, "result[1]: 1 is no string"},
		{"service.status_full", `{"name":"a"}`, `{"dependencies":[],"is_target":false,"name":"a","state":{"state":"exited","exit_code":null},"uptime_secs":null}`, ""},
		{"no.such", `{}`, `{}`, "no.such is not described"},
	} {
		var params map[string]any
		var result any
		if json.Unmarshal([]byte(tt.params), &params) != nil || json.Unmarshal([]byte(tt.result), &result) != nil {
			t.Fatal(tt)
		}
		got := strings.Join(d.pair(tt.method, params, result), "; ")
		if got == "" != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s %s: got %q, want %q", tt.params, tt.result, got, tt.want)
		}
	}
}
