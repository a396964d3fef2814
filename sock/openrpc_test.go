package sock

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// documented is a table with every kind of row.
func documented() Table {
	name := Param{Name: "name", Type: "string", Required: true, Summary: "the service"}
	return Table{
		{Name: MethodPing, Access: Read, Summary: "Pings.", Result: Ping{}},
		{Name: MethodStatusFull, Access: Read, Summary: "Tells.", Params: []Param{name}, Result: ServiceStatusFull{}},
		{Name: MethodGet, Access: Read, Summary: "Gets.", Params: []Param{name}, Result: Configured{}},
		{Name: MethodSet, Access: Change, Summary: "Sets.", Params: []Param{{Name: "config", Type: "object", Of: ServiceConfig{}}}, Result: SetResult{}},
		{Name: MethodReload, Access: Change, Summary: "Reloads.", Result: ReloadResult{}},
		{Name: MethodWait, Access: Read, Summary: "Waits.", Waits: true, Result: WaitResult{},
			Params: []Param{{Name: "names", Type: "array", Of: []string(nil)}, {Name: "anything", Type: "any"}}},
		{Name: MethodEvents, Access: Read, Summary: "Streams.", Streams: true, Result: Subscribed{}, Pushes: []Push{{NoteEvents, EventBatch{}}}},
		{Name: MethodDiscover, Access: Read, Summary: "Discovers.", Result: Encoded(nil)},
		{Name: "test.undescribed", Access: Read, Summary: "Nothing known."},
	}
}

// at walks into decoded JSON by keys and indexes.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch k := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("no object at %v of %v", step, path)
			}
			v = m[k]
		case int:
			list, ok := v.([]any)
			if !ok || k >= len(list) {
				t.Fatalf("no element at %v of %v", step, path)
			}
			v = list[k]
		}
	}
	return v
}

func TestTheOpenRPCDocumentDescribesEveryRow(t *testing.T) {
	var doc any
	table := documented()
	text := table.OpenRPC("1.2.3")
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "\n") {
		t.Error("it is more than one line")
	}
	for i, m := range table {
		row := at(t, doc, "methods", i)
		if at(t, row, "name") != m.Name || at(t, row, "summary") != m.Summary || len(at(t, row, "params").([]any)) != len(m.Params) {
			t.Errorf("%s is %v", m.Name, row)
		}
	}
	for _, tt := range []struct {
		path []any
		want string
	}{
		{[]any{"openrpc"}, `"1.2.6"`},
		{[]any{"info", "version"}, `"1.2.3"`},
		{[]any{"methods", 0, "result"}, `{"name":"result","schema":{"$ref":"#/components/schemas/Ping"}}`},
		{[]any{"methods", 0, "x-access"}, `"read"`},
		{[]any{"methods", 1, "params", 0}, `{"name":"name","required":true,"schema":{"type":"string"},"summary":"the service"}`},
		{[]any{"methods", 2, "result", "schema", "anyOf", 1, "$ref"}, `"#/components/schemas/Target"`},
		{[]any{"methods", 3, "params", 0, "schema", "$ref"}, `"#/components/schemas/ServiceConfigInput"`},
		{[]any{"methods", 5, "x-waits"}, `true`},
		{[]any{"methods", 5, "params", 0, "schema"}, `{"items":{"type":"string"},"type":"array"}`},
		{[]any{"methods", 5, "params", 1, "schema"}, `{}`},
		{[]any{"methods", 6, "x-pushes", 0}, `{"name":"events.batch","schema":{"$ref":"#/components/schemas/EventBatch"}}`},
		{[]any{"methods", 6, "x-pushes", 1, "name"}, `"stream.end"`},
		{[]any{"methods", 7, "result", "schema"}, `{}`},
		{[]any{"methods", 8, "result", "schema"}, `{}`},
		{[]any{"components", "schemas", "Ping", "required"}, `["pid","version"]`},
		{[]any{"components", "schemas", "ServiceConfigInput", "required"}, `["service"]`},
		{[]any{"components", "schemas", "ServiceInput", "required"}, `["exec","name"]`},
		{[]any{"components", "schemas", "ServiceInput", "properties", "ports", "items"}, `{"maximum":65535,"minimum":0,"type":"integer"}`},
		{[]any{"components", "schemas", "ServiceInput", "properties", "env", "additionalProperties"}, `{"type":"string"}`},
		{[]any{"components", "schemas", "ServiceConfig", "properties", "health", "anyOf"}, `[{"$ref":"#/components/schemas/Health"},{"type":"null"}]`},
		{[]any{"components", "schemas", "ServiceStatusFull", "properties", "uptime_secs", "type"}, `["integer","null"]`},
		{[]any{"components", "schemas", "ServiceStatusFull", "properties", "since_ms", "type"}, `"integer"`},
		{[]any{"components", "schemas", "ServiceState", "properties", "exit_code", "type"}, `["integer","null"]`},
		{[]any{"components", "schemas", "ServiceState", "required"}, `["state"]`},
		{[]any{"components", "schemas", "ReloadResult", "properties", "config_errors", "items"}, `{"items":{"type":"string"},"maxItems":2,"minItems":2,"type":"array"}`},
		{[]any{"components", "errors", "service_not_found", "code"}, `-32000`},
	} {
		got, err := json.Marshal(at(t, doc, tt.path...))
		if err != nil || string(got) != tt.want {
			t.Errorf("%v: got %s, want %s", tt.path, got, tt.want)
		}
	}
	for _, part := range strings.Split(string(text), `"$ref":"`+refPrefix)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if at(t, doc, "components", "schemas", name) == nil {
			t.Errorf("there is no schema %s", name)
		}
	}
}

func TestMarkdownDescribesEveryRowShapeAndError(t *testing.T) {
	text := string(documented().Markdown())
	for _, want := range []string{
		"\n## Methods of service\n\n### service.status_full\n\nTells.\n\nOnly reads.\n\n| Parameter | Type | Presence | Meaning |\n| --- | --- | --- | --- |\n| `name` | string | required | the service |\n",
		"\nResult: [ServiceStatusFull](#servicestatusfull)\n",
		"\nResult: [ServiceConfig](#serviceconfig) or [Target](#target)\n",
		"\n### service.wait\n\nWaits.\n\nOnly reads. May take long.\n\n",
		"\nThen: `events.batch` with [EventBatch](#eventbatch)\n\nThen: `stream.end` with [Error](#error)\n",
		"\n### ServiceState\n\n| Field | Type | Presence | Meaning |\n", "| `waiting_on` | array of string | optional | in blocked |\n",
		"| `reason` | [FailureReason](#failurereason) or null | optional | in failed |\n",
		"| `state` | string |  | inactive, blocked, starting, running, stopping, exited, failed |\n",
		"\n### ServiceConfigInput\n", "| `exec` | string | required | the command line |\n",
		"| -32601 | method_not_found | there is no such method |\n", "| `slow` | ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Every constant of codes.go is explained.
func TestEveryCodeAndWordIsDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	for _, c := range codes() {
		described = append(described, strconv.Itoa(c.code))
	}
	for _, w := range words() {
		described = append(described, strconv.Quote(w.word))
	}
	count := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		value := ""
		switch v := spec.Values[0].(type) {
		case *ast.BasicLit:
			value = v.Value
		case *ast.UnaryExpr:
			value = "-" + v.X.(*ast.BasicLit).Value
		}
		count++
		if !slices.Contains(described, value) {
			t.Errorf("%s is not described", spec.Names[0])
		}
		return true
	})
	if count != len(described) {
		t.Errorf("%d constants, %d descriptions", count, len(described))
	}
}

// The tags that the schemas are made of say what the hand-written encoders do.
func TestTheTagsSayWhatTheEncodersLeaveOut(t *testing.T) {
	for _, v := range []any{ServiceState{}, FailureReason{}, ServiceStatus{}, ServiceInfo{}, ServiceStatusFull{}, Dependency{}} {
		s := schemas{named: make(map[string]*schema)}
		s.of(v, false)
		shape := s.named[reflect.TypeOf(v).Name()]
		var got map[string]any
		if err := json.Unmarshal([]byte(onTheWire(t, v)), &got); err != nil {
			t.Fatal(err)
		}
		for name := range shape.Properties {
			if _, there := got[name]; there != slices.Contains(shape.Required, name) && name != "pid" {
				t.Errorf("%T: %s is there: %v", v, name, there)
			}
		}
		for name := range got {
			if shape.Properties[name] == nil {
				t.Errorf("%T: %s is not described", v, name)
			}
		}
	}
}
