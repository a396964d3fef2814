package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zinit/sock"
)

// A shape says what a command line prints with --json.
type shape struct {
	line   string // as in the documentation
	value  any    // a zero value of it
	stream bool   // one value per line
	each   bool   // an array of them when there are several names
}

func shapes() []shape {
	return []shape{
		{line: "list", value: []sock.ServiceInfo{}},
		{line: "status NAME", value: sock.ServiceStatusFull{}, each: true},
		{line: "timers", value: []sock.TimerStatus{}},
		{line: "why NAME", value: sock.WhyBlocked{}, each: true},
		{line: "tree", value: sock.Tree{}},
		{line: "logs NAME...", value: []sock.LogLine{}},
		{line: "logs -f NAME...", value: sock.FollowedLine{}, stream: true},
		{line: "events", value: sock.Event{}, stream: true},
		{line: "wait NAME...", value: sock.WaitResult{}},
		{line: "debug-state", value: sock.Output{}},
		{line: "debug-procs NAME", value: sock.Output{}, each: true},
		{line: "add-service FILE", value: sock.SetResult{}, each: true},
		{line: "reload", value: sock.ReloadResult{}},
		{line: "check", value: report{}},
		{line: "xinet list", value: sock.Names{}},
		{line: "xinet status", value: []sock.XinetStatus{}},
		{line: "xinet status NAME", value: sock.XinetStatus{}},
		{line: "ping", value: sock.Ping{}},
	}
}

// A schema is as much of JSON schema as sock describes its shapes with.
type schema struct {
	Ref         string             `json:"$ref"`
	Description string             `json:"description"`
	Type        any                `json:"type"`
	Enum        []string           `json:"enum"`
	Items       *schema            `json:"items"`
	MaxItems    int                `json:"maxItems"`
	Properties  map[string]*schema `json:"properties"`
	Required    []string           `json:"required"`
	AnyOf       []*schema          `json:"anyOf"`
}

// described is the schema of each shape, by its line, and those that they refer
// to, by name.
func described(t *testing.T) (results, named map[string]*schema) {
	t.Helper()
	var methods sock.Table
	for _, s := range shapes() {
		methods = append(methods, sock.Method{Name: s.line, Access: sock.Read, Result: s.value})
	}
	var doc struct {
		Methods []struct {
			Name   string
			Result struct{ Schema *schema }
		}
		Components struct{ Schemas map[string]*schema }
	}
	if err := json.Unmarshal(methods.OpenRPC("0"), &doc); err != nil {
		t.Fatal(err)
	}
	results = map[string]*schema{}
	for _, m := range doc.Methods {
		results[m.Name] = m.Result.Schema
	}
	return results, doc.Components.Schemas
}

// name is the type for people.
func (s *schema) name() string {
	switch {
	case s.Ref != "":
		word := s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
		return "[" + capital(word) + "](#" + strings.ToLower(word) + ")"
	case len(s.AnyOf) > 0:
		var names []string
		for _, one := range s.AnyOf {
			names = append(names, one.name())
		}
		return strings.Join(names, " or ")
	case s.Items != nil && s.MaxItems > 0:
		return fmt.Sprintf("array of %d %s", s.MaxItems, s.Items.name())
	case s.Items != nil:
		return "array of " + s.Items.name()
	}
	if list, ok := s.Type.([]any); ok {
		return fmt.Sprintf("%v or %v", list[0], list[1])
	}
	return fmt.Sprint(s.Type)
}

// capital makes names of types that are not exported look like the others.
func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// check says what does not fit the value; "" when all does.
func (s *schema) check(value any, named map[string]*schema, where string) string {
	switch {
	case s.Ref != "":
		return named[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]].check(value, named, where)
	case len(s.AnyOf) > 0:
		wrong := ""
		for _, one := range s.AnyOf {
			if wrong = one.check(value, named, where); wrong == "" {
				return ""
			}
		}
		return wrong
	}
	kind := kindOf(value)
	if !slices.Contains(strings.Split(s.name(), " or "), kind) && s.Items == nil && s.Properties == nil {
		return fmt.Sprintf("%s is of type %s, not %s", where, kind, s.name())
	}
	switch v := value.(type) {
	case string:
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
			return fmt.Sprintf("%s is %q, none of %v", where, v, s.Enum)
		}
	case []any:
		for i, item := range v {
			if wrong := s.Items.check(item, named, fmt.Sprintf("%s[%d]", where, i)); wrong != "" {
				return wrong
			}
		}
	case map[string]any:
		return s.checkObject(v, named, where)
	}
	return ""
}

func (s *schema) checkObject(v map[string]any, named map[string]*schema, where string) string {
	for _, key := range s.Required {
		if _, ok := v[key]; !ok {
			return where + " lacks " + key
		}
	}
	for _, key := range slices.Sorted(maps.Keys(v)) {
		if s.Properties[key] == nil {
			return where + "." + key + " is not documented"
		}
		if wrong := s.Properties[key].check(v[key], named, where+"."+key); wrong != "" {
			return wrong
		}
	}
	return ""
}

func kindOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		if _, err := v.Int64(); err != nil {
			return "number"
		}
		return "integer"
	case []any:
		return "array"
	}
	return "object"
}

const jsonPageHead = `# What --json prints

<!-- Made from the types in package sock: go test ./applets/cli -update rewrites it. -->

One JSON value and a newline on stdout; ` + "`events` and `logs -f`" + ` print one value per
line, as things happen. Errors stay text on stderr, and the exit codes are the same.
But for ` + "`check`" + `, and for the lines of logs, it is the server's own result. Keys never
change their meaning; new ones may come, so ignore those that you do not know.

| command | prints |
|---|---|
`

const jsonPageRules = "\n`status`, `why`, `debug-procs` and `add-service` with several names, and `status` without\n" +
	"one, print an array; what failed is not in it. In the tables below, a key that is\n" +
	"*optional* is left out when there is nothing to say.\n"

func jsonPage(t *testing.T) string {
	results, named := described(t)
	var b strings.Builder
	b.WriteString(jsonPageHead)
	for _, s := range shapes() {
		lines := ""
		if s.stream {
			lines = ", one per line"
		}
		fmt.Fprintf(&b, "| `%s` | %s%s |\n", s.line, results[s.line].name(), lines)
	}
	b.WriteString(jsonPageRules)
	names := slices.SortedFunc(maps.Keys(named), func(a, b string) int { return strings.Compare(capital(a), capital(b)) })
	for _, name := range names {
		s := named[name]
		fmt.Fprintf(&b, "\n## %s\n\n| key | type | |\n|---|---|---|\n", capital(name))
		for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
			p := s.Properties[key]
			about := p.Description
			if len(p.Enum) > 0 {
				about = strings.TrimPrefix(about+"; one of `"+strings.Join(p.Enum, "`, `")+"`", "; ")
			}
			if !slices.Contains(s.Required, key) {
				about = strings.TrimSuffix("*optional*; "+about, "; ")
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", key, p.name(), about)
		}
	}
	return b.String()
}

func TestTheJSONPageIsUpToDate(t *testing.T) {
	comparePage(t, "json.md", jsonPage(t))
}

func TestEveryVerbWithJSONHasAShape(t *testing.T) {
	known := map[string]bool{}
	for _, s := range shapes() {
		name, _, _ := strings.Cut(s.line, " ")
		known[name] = true
	}
	for _, v := range table() {
		if v.hasJSON() != known[v.name] {
			t.Errorf("%s: --json is %v, documented is %v", v.name, v.hasJSON(), known[v.name])
		}
	}
}

// Whatever the transcripts show is as documented.
func TestJSONIsAsDocumented(t *testing.T) {
	results, named := described(t)
	seen := map[string]int{}
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.golden"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		var now *shape
		several := false
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			line := lines.Text()
			if command, ok := strings.CutPrefix(line, "$ zinit "); ok {
				now, several = shapeOf(t, command)
				continue
			}
			if now == nil || line == "" || !strings.ContainsRune("[{", rune(line[0])) || strings.HasPrefix(line, "[exit ") {
				continue
			}
			seen[now.line]++
			want := results[now.line]
			if several {
				want = &schema{Items: want}
			}
			decoder := json.NewDecoder(strings.NewReader(line))
			decoder.UseNumber()
			var value any
			if err := decoder.Decode(&value); err != nil {
				t.Errorf("%s: %s: %v", file, line, err)
			} else if wrong := want.check(value, named, now.line); wrong != "" {
				t.Errorf("%s: %s\n%s", file, wrong, line)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range shapes() {
		if seen[s.line] == 0 {
			t.Errorf("no transcript shows %s --json", s.line)
		}
	}
}

// shapeOf finds the shape of a command line of a transcript, nil when it prints
// no JSON.
func shapeOf(t *testing.T, command string) (found *shape, several bool) {
	t.Helper()
	c, err := parse(table(), strings.Fields(command))
	if err != nil || c.verb == nil || !c.has("json") {
		return nil, false
	}
	for _, s := range shapes() {
		name, words, _ := strings.Cut(s.line, " ")
		if name == "xinet" && name == c.verb.name {
			if strings.Fields(words)[0] == c.words[0] && strings.HasSuffix(words, " NAME") == (len(c.words) > 1) {
				return &s, false
			}
			continue
		}
		follows := strings.Contains(s.line, " -f ")
		if name == c.verb.name && (follows == c.has("follow") || !slices.ContainsFunc(shapes(), func(o shape) bool { return o.line == name+" -f NAME..." })) {
			return &s, s.each && len(c.words) != 1
		}
	}
	return nil, false
}

func TestSchemasRefuseWhatIsNotDocumented(t *testing.T) {
	results, named := described(t)
	for text, fits := range map[string]bool{
		`{"pid":1,"version":"0"}`:         true,
		`{"pid":1}`:                       false,
		`{"pid":"1","version":"0"}`:       false,
		`{"pid":1.5,"version":"0"}`:       false,
		`{"pid":1,"version":"0","new":1}`: false,
	} {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		var value any
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		if wrong := results["ping"].check(value, named, "ping"); (wrong == "") != fits {
			t.Errorf("%s: %q", text, wrong)
		}
	}
}
