package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func servicesDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/services.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documented is what the document says of each key, by the key's full name.
func documented(t *testing.T) map[string]docRow {
	t.Helper()
	row := regexp.MustCompile("^\\| `([a-z_]+)` \\| ([a-z ]+) \\| ([^|]+) \\| `([^|]+)` \\| [^|]+ \\|$")
	rows := map[string]docRow{}
	section := ""
	for line := range strings.Lines(servicesDoc(t)) {
		line = strings.TrimSpace(line)
		if name, isSection := strings.CutPrefix(line, "## ["); isSection {
			section = strings.TrimSuffix(name, "]")
		}
		if m := row.FindStringSubmatch(line); m != nil {
			rows[section+"."+m[1]] = docRow{m[2], strings.Trim(m[3], "`"), m[4]}
		} else if strings.HasPrefix(line, "| `") {
			t.Errorf("not understood: %s", line)
		}
	}
	return rows
}

type docRow struct{ kind, preset, example string }

// needed is what a file must have beside one key of a section.
var needed = map[string][]string{
	"service":      {"[service]", `name = "a"`, `exec = "b"`},
	"target":       {"[target]", `name = "a"`},
	"dependencies": {"[service]", `name = "a"`, `exec = "b"`, "[dependencies]"},
	"lifecycle":    {"[service]", `name = "a"`, `exec = "b"`, "[lifecycle]"},
	"health":       {"[service]", `name = "a"`, `exec = "b"`, "[health]", `type = "http"`, `target = "http://h:1/"`},
	"logging":      {"[service]", `name = "a"`, `exec = "b"`, "[logging]"},
	"rlimits":      {"[service]", `name = "a"`, `exec = "b"`, "[rlimits]"},
	"limits":       {"[service]", `name = "a"`, `exec = "b"`, "[limits]"},
	"timer":        {"[service]", `name = "a"`, `exec = "b"`, "[timer]", `on_calendar = "@daily"`},
	"socket":       {"[service]", `name = "a"`, `exec = "b"`, "[socket]", `listen = "tcp:127.0.0.1:80"`},
}

// companions is what some keys mean nothing without.
var companions = map[string]string{
	"service.pid_file":          `type = "forking"`,
	"socket.max_connections":    "accept = true",
	"service.remain_after_exit": "oneshot = true",
	"service.notify_access":     `type = "notify"`,
	"service.watchdog":          `type = "notify"`,
	"service.kill_others":       "ports = [80]",
	"service.requires_limits":   "[limits]\ntasks_max = 5",
	"logging.file_max":          `file = "/a"`,
	"logging.file_age":          `file = "/a"`,
	"logging.file_keep":         "file = \"/a\"\nfile_age = \"1d\"",
	"logging.compress":          "file = \"/a\"\nfile_age = \"1d\"",
}

// with is a file of the section that has this line, in place of what it needs
// under the same key, and beside what the key needs.
func with(section, key, line string) string {
	var lines []string
	own := false
	for _, l := range needed[section] {
		own = own || l == "["+section+"]"
		if !own || !strings.HasPrefix(l, key+" =") {
			lines = append(lines, l)
		}
	}
	return strings.Join(append(lines, line, companions[section+"."+key]), "\n") + "\n"
}

func TestEveryKeyIsDocumentedWithTypeDefaultAndExample(t *testing.T) {
	rows := documented(t)
	for i := range sections {
		sec := &sections[i]
		for j := range sec.keys {
			k := &sec.keys[j]
			name := sec.name + "." + k.name
			plain, _ := Parse("a.toml", []byte(with(sec.name, "", companions[name])))
			row, there := rows[name]
			delete(rows, name)
			if there == k.wire {
				t.Errorf("docs/services.md and the files do not agree on whether there is a key %s", name)
			}
			if !there {
				continue
			}
			if row.kind != k.kind.doc {
				t.Errorf("%s is said to be a %s: it is a %s", name, row.kind, k.kind.doc)
			}
			text := with(sec.name, k.name, row.example)
			s, problems := Parse("a.toml", []byte(text))
			if s == nil || len(problems) > 0 && name != "logging.forward" {
				t.Errorf("%s: %v\n%s", name, problems, text)
				continue
			}
			if !k.required && s.Same(plain) {
				t.Errorf("the example of %s is its default: %s", name, row.example)
			}
			// What kind of policy a oneshot has depends on whether it is named.
			switch optional := row.preset == "none" || row.preset == "the server's"; {
			case (row.preset == "required") != k.required:
				t.Errorf("%s: required or not?", name)
			case k.required:
			case optional:
				if v := k.get(plainService()); v != nil {
					t.Errorf("%s has a default: %v", name, v)
				}
			default:
				text := with(sec.name, k.name, k.name+" = "+row.preset)
				if s, _ := Parse("a.toml", []byte(text)); s == nil || string(Render(s)) != string(Render(plain)) {
					t.Errorf("%s is not the default of %s", row.preset, name)
				}
			}
		}
	}
	for name := range rows {
		t.Errorf("docs/services.md describes %s, which is no key", name)
	}
}

func TestEveryDocumentedWordIsOneAndEveryWordIsDocumented(t *testing.T) {
	section := ""
	for line := range strings.Lines(servicesDoc(t)) {
		if name, isSection := strings.CutPrefix(line, "## ["); isSection {
			section = strings.TrimSuffix(strings.TrimSpace(name), "]")
		}
		name, rest, isRow := strings.Cut(strings.TrimPrefix(line, "| `"), "` | word |")
		if !isRow {
			continue
		}
		k := sectionNamed(section).find(name)
		for _, w := range k.words {
			if !strings.Contains(rest, "`"+w+"`") {
				t.Errorf("docs/services.md does not say what %s = %q is", name, w)
			}
		}
	}
}

func TestEveryDocumentedFileLoads(t *testing.T) {
	examples := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(servicesDoc(t), -1)
	if len(examples) < 3 {
		t.Fatalf("found only %d examples", len(examples))
	}
	for _, e := range examples {
		if _, problems := Parse("example.toml", []byte(e[1])); len(problems) > 0 {
			t.Errorf("%v\n%s", problems, e[1])
		}
	}
}
