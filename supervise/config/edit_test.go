package config

import (
	"strings"
	"testing"
)

func TestOnlyWhatDiffersIsEdited(t *testing.T) {
	const text = `# the web server
[service]
  name = "web"   # its name
  exec = "web --port 80" # listens
  colour = "blue"
  ports = [
    80, # http
  ]

[service.env]
# for the logs
LANG = "C"
MODE = "production" # or test

[dependencies]
after = ["log"]

# no restart here
[lifecycle]
restart = "never"
`
	json := func(edit ...string) string {
		return strings.NewReplacer(edit...).Replace(`{"service":{"name":"web","exec":"web --port 80","ports":[80],"env":{"LANG":"C","MODE":"production"}},
			"dependencies":{"after":["log"]},"lifecycle":{"restart":"never"}}`)
	}
	for name, c := range map[string]struct{ json, want []string }{
		"nothing":           {nil, nil},
		"a value":           {[]string{"port 80", "port 81"}, []string{`"web --port 80"`, `"web --port 81"`}},
		"a list":            {[]string{"[80]", "[81, 82]"}, []string{"[\n    80, # http\n  ]", "[\n  # http\n  81, 82]"}},
		"an empty list":     {[]string{`["log"]`, "[]"}, []string{`["log"]`, "[]"}},
		"a variable":        {[]string{`"production"`, `"test"`}, []string{`"production"`, `"test"`}},
		"one variable less": {[]string{`,"MODE":"production"`, ""}, []string{"MODE = \"production\" # or test\n", ""}},
		"one more":          {[]string{`"LANG"`, `"a:b":"\"","LANG"`}, []string{"# or test\n", "# or test\n\"a:b\" = '\"'\n"}},
		"a key more":        {[]string{`"ports"`, `"oneshot":true,"ports"`}, []string{"  ]\n", "  ]\n  oneshot = true\n"}},
		"a table more":      {[]string{`"lifecycle"`, `"logging":{"file":"/x"},"lifecycle"`}, []string{`"never"` + "\n", "\"never\"\n\n[logging]\nfile = \"/x\"\n"}},
		"a policy less":     {[]string{`"never"`, `"on-failure"`, `"ports"`, `"oneshot":true,"ports"`}, []string{"  ]\n", "  ]\n  oneshot = true\n", "restart = \"never\"\n", ""}},
		"a check": {[]string{`"lifecycle"`, `"health":{"type":"tcp","target":"h:1"},"lifecycle"`}, []string{`"never"` + "\n",
			"\"never\"\n\n[health]\ntype = \"tcp\"\ntarget = \"h:1\"\ninterval_ms = 10000\ntimeout_ms = 5000\nretries = 3\nstart_period_ms = 0\n"}},
	} {
		for _, breaks := range []string{"\n", "\r\n"} {
			in := "\ufeff" + strings.ReplaceAll(text, "\n", breaks)
			want := "\ufeff" + strings.ReplaceAll(strings.NewReplacer(c.want...).Replace(text), "\n", breaks)
			got, ok := edit([]byte(in), fromJSON(t, json(c.json...)))
			if !ok || string(got) != want {
				t.Errorf("%s: %v\n%s\nwant\n%s", name, ok, got, want)
			}
		}
	}
}

func TestWhatIsLostByAnEditIsNoticed(t *testing.T) {
	const text = "[service]\nname = \"web\" # its name\nexec = \"a\"\ncolour = \"blue\"\nports = [\n  80, # http\n]\n" +
		"[service.env]\nA = \"b\" # why\n# above\n[health]\ntype = \"tcp\"\ntarget = \"h:1\"\n"
	check := `,"health":{"type":"tcp","target":"h:2"}`
	for name, c := range map[string]struct {
		text, json string
		keeps      bool
	}{
		"values":                      {text, `{"service":{"name":"web","exec":"c","ports":[1],"env":{"A":"c"}}` + check + `}`, true},
		"a comment beside a variable": {text, `{"service":{"name":"web","exec":"a","ports":[80]}` + check + `}`, false},
		"a bare table":                {text, `{"service":{"name":"web","exec":"a","ports":[80],"env":{"A":"b"}}}`, true},
		"a comment in a table":        {text + "# inside\nretries = 4\n", `{"service":{"name":"web","exec":"a","ports":[80],"env":{"A":"b"}}}`, false},
		"one of two that are alike":   {text + "retries = 4 # why\n", `{"service":{"name":"web","exec":"a","ports":[80],"env":{"A":"b"}}}`, false},
		"a table below one":           {text + "[health.more]\nport = 4\n", `{"service":{"name":"web","exec":"a","ports":[80],"env":{"A":"b"}}}`, false},
		"a table in braces":           {"health = { type = \"tcp\", target = \"h:1\" } # why\n" + text[:strings.Index(text, "# above")], `{"service":{"name":"web","exec":"a","ports":[80],"env":{"A":"b"}}}`, false},
		"an unknown key in a table":   {text + "port = 4\n", `{"service":{"name":"web","exec":"a","ports":[80],"env":{"A":"b"}}}`, false},
	} {
		edited, ok := edit([]byte(c.text), fromJSON(t, c.json))
		if !ok || keeps([]byte(c.text), edited) != c.keeps || !strings.Contains(string(edited), "# its name") || !strings.Contains(string(edited), "colour = \"blue\"") {
			t.Errorf("%s: %v\n%s", name, ok, edited)
		}
	}
}

func TestAFileWithoutALastLineBreakIsEdited(t *testing.T) {
	got, ok := edit([]byte("[service]\nname = \"web\"\nexec = \"a\""),
		fromJSON(t, `{"service":{"name":"web","exec":"a","oneshot":true,"env":{"A":"b"},"ports":[80]},"logging":{"file":"/x"},"lifecycle":{"restart":"never"}}`))
	want := "[service]\nname = \"web\"\nexec = \"a\"\noneshot = true\nports = [80]\n\n[service.env]\nA = \"b\"\n\n" +
		"[lifecycle]\nrestart = \"never\"\n\n[logging]\nfile = \"/x\"\n"
	if !ok || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", ok, got, want)
	}
}

// Whatever one good file says, it can be edited to say what another one does, and
// back again.
func TestEveryGoodFileCanBeEditedIntoEveryOther(t *testing.T) {
	texts := sources(t, "good")
	for name, text := range texts {
		for other, wanted := range texts {
			s, _ := Parse(other, wanted)
			was, _ := Parse(name, text)
			edited, ok := edit(text, s)
			if ok != (was.Target == s.Target) {
				t.Errorf("%s to %s: %v\n%s", name, other, ok, edited)
			}
			if !ok {
				continue
			}
			for line := range strings.Lines(string(text)) {
				if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") && !strings.Contains(string(edited), line) {
					t.Errorf("%s to %s: lost %s", name, other, line)
				}
			}
			if back, ok := edit(edited, was); !ok {
				t.Errorf("%s to %s and back:\n%s\n%s", name, other, edited, back)
			}
		}
	}
}

func FuzzEdit(f *testing.F) {
	for _, text := range sources(f, "good") {
		if s, _ := Parse("", text); !s.Target {
			f.Add(text, ToJSON(s))
		}
		f.Add(text, []byte(fullJSON))
	}
	f.Add([]byte("service = { name = \"a\", exec = \"b\" }\r\nhealth = {type = 'tcp', target = 'a:1'}"), []byte(fullJSON))
	f.Add([]byte("[service]\nname='a'\nexec='b'\nenv = { A = \"x\" }#c\n  [service.x]\ny=1 [lifecycle]\n"), []byte(`{"service":{"name":"b","exec":"c","env":{"A":"\n"}}}`))
	f.Fuzz(func(t *testing.T, text, json []byte) {
		was, _ := Parse("", text)
		s, _, err := FromJSON(json)
		if err != nil {
			return
		}
		edited, ok := edit(text, s)
		if was == nil {
			if ok {
				t.Fatal("edited what is none")
			}
			return
		}
		if same, ok := edit(text, was); !ok || string(same) != string(text) {
			t.Fatalf("changed without need:\n%s", same)
		}
		if !ok {
			return
		}
		if is, problems := Parse("", edited); is == nil || !is.Same(s) {
			t.Fatalf("got %+v %v\n%s", is, problems, edited)
		}
		if again, ok := edit(edited, s); !ok || string(again) != string(edited) {
			t.Fatalf("not settled:\n%s\n%s", edited, again)
		}
	})
}

// What two keys can say stays where it stands.
func TestKeysThatSayTheSameAreEditedWhereTheyStand(t *testing.T) {
	const head = "[service]\nname = \"web\"\nexec = \"a\"\n"
	service := func(more string) string { return `{"service":{"name":"web","exec":"a"` + more + `}}` }
	for _, c := range []struct{ text, json, want string }{
		{"type = \"oneshot\"\n", service(`,"oneshot":true,"description":"x"`), "type = \"oneshot\"\ndescription = \"x\"\n"},
		{"oneshot = true\n", service(`,"oneshot":true,"description":"x"`), "oneshot = true\ndescription = \"x\"\n"},
		{"type = \"oneshot\"\n", service(``), "type = \"simple\"\n"},
		{"type = \"notify\"\n", service(`,"oneshot":true`), "type = \"oneshot\"\n"},
		{"oneshot = true\n", service(`,"oneshot":false,"type":"idle"`), "oneshot = false\ntype = \"idle\"\n"},
		{"oneshot = false\ntype = \"idle\"\n", service(`,"type":"oneshot"`), "oneshot = true\ntype = \"oneshot\"\n"},
		{"tty = \"/dev/tty1\"\n", service(`,"tty":"/dev/tty2"`), "tty = \"/dev/tty2\"\n"},
		{"stdin = \"tty\"\ntty = \"/dev/tty1\"\n", service(`,"stdin":"/x"`), "stdin = \"/x\"\n"},
		{"user = 5\n", service(`,"user":"5","group":7`), "user = 5\ngroup = \"7\"\n"},
		{"exec_start_pre = \"/a\"\n", service(`,"exec_start_pre":["/a"]`), "exec_start_pre = \"/a\"\n"},
		{"exec_start_pre = \"/a\"\n", service(`,"exec_start_pre":["/a","-/b"]`), "exec_start_pre = [\"/a\", \"-/b\"]\n"},
		{"[limits]\nmemory_max = \"1G\"\n", service(``), ""},
		{"[timer]\nevery = \"60m\" # often\n", `{"service":{"name":"web","exec":"a"},"timer":{"every":"1h","jitter":"1s"}}`, "[timer]\nevery = \"60m\" # often\njitter = \"1s\"\n"},
		{"", `{"service":{"name":"web","exec":"a"},"rlimits":{"nofile":"5:6","core":0},"limits":{"cpu_quota":"5%"},"timer":{"on_calendar":"@daily"}}`,
			"\n[rlimits]\ncore = 0\nnofile = \"5:6\"\n\n[limits]\ncpu_quota = \"5%\"\n\n[timer]\non_calendar = \"@daily\"\n"},
	} {
		got, ok := edit([]byte(head+c.text), fromJSON(t, c.json))
		if !ok || string(got) != head+c.want {
			t.Errorf("%s with %s: %v\n%s", c.text, c.json, ok, got)
		}
	}
}

// edit is Defaults.edit where there are none.
func edit(text []byte, s *Service) ([]byte, bool) { return Defaults{}.edit(text, s) }
