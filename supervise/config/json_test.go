package config

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

const fullJSON = `{"dependencies":{"after":["log"],"conflicts":[],"requires":["db"],"wants":[]},"health":null,` +
	`"lifecycle":{"max_restarts":10,"restart":"on-failure","restart_delay_max_ms":300000,"restart_delay_ms":1000,` +
	`"stability_period_ms":30000,"start_timeout_ms":30000,"stop_signal":"SIGTERM","stop_timeout_ms":10000},` +
	`"logging":{"buffer_lines":1000,"file":null,"forward":null},` +
	`"service":{"class":"user","critical":false,"dir":null,"env":{},"exec":"sleep 1 && x <y","kill_others":false,"name":"web",` +
	`"oneshot":false,"ports":[],"process_filters":[],"status":"start"}}`

// fromJSON reads what must be good.
func fromJSON(t testing.TB, text string) *Service {
	t.Helper()
	s, warnings, err := FromJSON([]byte(text))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%s: %v %v", text, warnings, err)
	}
	return s
}

func TestJSONIsThatOfTheOriginal(t *testing.T) {
	if got := string(ToJSON(fromJSON(t, fullJSON))); got != fullJSON {
		t.Errorf("got\n%s\nwant\n%s", got, fullJSON)
	}
	tcp := strings.Replace(fullJSON, `"health":null`,
		`"health":{"interval_ms":10000,"retries":3,"start_period_ms":0,"target":"h:1","timeout_ms":5000,"type":"tcp"}`, 1)
	if got := string(ToJSON(fromJSON(t, tcp))); got != tcp {
		t.Errorf("got\n%s\nwant\n%s", got, tcp)
	}
	http := `"health":{"expect_status":204,"interval_ms":1,"retries":3,"start_period_ms":0,"target":"http://h:1/","timeout_ms":5000,"type":"http"}`
	if got := string(ToJSON(fromJSON(t, strings.Replace(fullJSON, `"health":null`, http, 1)))); !strings.Contains(got, http) {
		t.Errorf("got\n%s", got)
	}
	if got := string(ToJSON(good(t, "readme-target"))); got != `{"is_target":true,"name":"multi-user"}` {
		t.Errorf("target: %s", got)
	}
}

func TestWhatJSONLeavesOutHasItsDefault(t *testing.T) {
	want := defaults("a", "/bin/b", "/bin/b")
	for _, text := range []string{
		`{"service":{"name":"a","exec":"/bin/b"}}`,
		`{"service":{"exec":"/bin/b","name":"a","dir":null,"env":null,"ports":null,"oneshot":null,"class":null},"health":null,"dependencies":null,"lifecycle":{"restart":null}}`,
		`{"dependencies":{},"lifecycle":{},"logging":{},"service":{"name":"a","exec":"/bin/b"}}`,
	} {
		if s := fromJSON(t, text); !s.Same(want) {
			t.Errorf("%s: got %+v", text, s)
		}
	}
}

// The clients of the original send every default: theirs must not make a oneshot
// try again.
func TestAnOnFailureOnTheWireSaysNothing(t *testing.T) {
	for rest, want := range map[string]Lifecycle{
		`"restart":"on-failure"`:                         {},
		`"restart":"On_Failure"`:                         {},
		`"restart":"always"`:                             {Restart: RestartAlways, RestartExplicit: true},
		`"restart":"never"`:                              {Restart: RestartNever, RestartExplicit: true},
		`"restart_explicit":true`:                        {RestartExplicit: true},
		`"restart_explicit":true,"restart":"on-failure"`: {RestartExplicit: true},
		`"restart_explicit":false,"restart":"never"`:     {Restart: RestartNever, RestartExplicit: true},
	} {
		s := fromJSON(t, `{"service":{"name":"a","exec":"b","oneshot":true},"lifecycle":{`+rest+`}}`)
		if s.Lifecycle.Restart != want.Restart || s.Lifecycle.RestartExplicit != want.RestartExplicit {
			t.Errorf("%s: got %+v", rest, s.Lifecycle)
		}
		again, problems := Parse("a.toml", Render(s))
		if len(problems) > 0 || !again.Same(s) {
			t.Errorf("%s: as a file %+v %v\n%s", rest, again, problems, Render(s))
		}
	}
	long := fromJSON(t, `{"service":{"name":"a","exec":"b"},"lifecycle":{"restart":"always"}}`)
	if long.Lifecycle.RestartExplicit {
		t.Error("explicit concerns oneshots only")
	}
}

func TestAWrongShapeIsNamedInTheWordsOfTheOriginal(t *testing.T) {
	service := func(rest string) string { return `{"service":{"name":"a","exec":"b",` + rest + `}}` }
	part := func(rest string) string { return `{"service":{"name":"a","exec":"b"},` + rest + `}` }
	for text, want := range map[string]string{
		`null`:                                         "invalid type: null, expected struct ServiceConfig",
		`[]`:                                           "invalid type: sequence, expected struct ServiceConfig",
		`"x"`:                                          `invalid type: string "x", expected struct ServiceConfig`,
		`{}`:                                           "missing field `service`",
		`{"target":{"name":"x"}}`:                      "missing field `service`",
		`{"service":{"name":"a"}}`:                     "missing field `exec`",
		`{"service":{"exec":"a"}}`:                     "missing field `name`",
		`{"service":null}`:                             "service: invalid type: null, expected a map",
		`{"service":{"name":null}}`:                    "invalid type: null, expected a string",
		service(`"oneshot":"yes"`):                     `invalid type: string "yes", expected a boolean`,
		service(`"class":"root"`):                      "unknown variant `root`, expected `user` or `system`",
		service(`"status":5`):                          "invalid type: integer `5`, expected string or map",
		service(`"env":{"A":1}`):                       "invalid type: integer `1`, expected a string",
		service(`"env":["A=1"]`):                       "invalid type: sequence, expected a map",
		service(`"ports":["80"]`):                      `invalid type: string "80", expected u16`,
		service(`"ports":[70000]`):                     "invalid value: integer `70000`, expected u16",
		service(`"ports":[-1]`):                        "invalid value: integer `-1`, expected u16",
		service(`"ports":80`):                          "invalid type: integer `80`, expected a sequence",
		service(`"process_filters":[1]`):               "invalid type: integer `1`, expected a string",
		part(`"lifecycle":{"restart":"sometimes"}`):    "unknown variant `sometimes`, expected one of `always`, `on-failure`, `never`",
		part(`"lifecycle":{"restart_delay_ms":-1}`):    "invalid value: integer `-1`, expected u64",
		part(`"lifecycle":{"restart_delay_ms":1.5}`):   "invalid type: floating point `1.5`, expected u64",
		part(`"lifecycle":{"max_restarts":"3"}`):       `invalid type: string "3", expected u32`,
		part(`"lifecycle":"x"`):                        `lifecycle: invalid type: string "x", expected a map`,
		part(`"health":{}`):                            "missing field `type`",
		part(`"health":{"type":"tcp"}`):                "missing field `target`",
		part(`"health":{"type":"udp","target":"a:1"}`): "unknown variant `udp`, expected one of `tcp`, `http`, `exec`",
		part(`"health":{"type":"tcp","target":"a","endpoint":"b"}`): "duplicate field `target`",
		part(`"dependencies":{"after":"x"}`):                        `invalid type: string "x", expected a sequence`,
		`{"service":{"name":"a","name":"b","exec":"c"}}`:            "duplicate field `name`",
		`{"service":{"name":"a","exec":"b\u0000"}}`:                 "NUL character",
		`{"service":{"name":"a"`:                                    "EOF while parsing",
		``:                                                          "EOF while parsing a value",
		`{"a":1} x`:                                                 "trailing characters",
		`{5:1}`:                                                     "expected value",
		strings.Repeat("[", 100):                                    "nested more than 16 deep",
		`[` + strings.Repeat("1,", maxValues) + `1]`:                "more than 20000 values",
	} {
		s, _, err := FromJSON([]byte(text))
		var shape *ShapeError
		if s != nil || !errors.As(err, &shape) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want %s", text, err, want)
		}
	}
}

func TestAllThatIsNotAllowedIsReportedAtOnce(t *testing.T) {
	_, _, err := FromJSON([]byte(`{"service":{"name":"x y","exec":" ","user":"a b","resource_limits":{}},"rlimits":{"nofile":true},
		"lifecycle":{"restart_delay_ms":5,"restart_delay_max_ms":0,"stop_signal":"X","stop_timeout_ms":99999999999999999999},
		"health":{"type":"http","target":"nowhere","retries":0},"logging":{"buffer_lines":0},
		"dependencies":{"requires":["a b"]}}`))
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	want := []string{
		"service.name 'x y' contains invalid characters (use alphanumeric, dash, underscore)",
		"service.exec cannot be empty", "service.user: 'a b' cannot be the name of a user",
		"service.resource_limits: resource_limits is not supported by this version", "rlimits.nofile: must be a number", "lifecycle.restart_delay_max_ms must be > 0",
		"lifecycle.stop_signal 'X' is not a valid signal", "lifecycle.stop_timeout_ms: 99999999999999999999 is too large",
		"health.retries must be > 0", "health.target: 'nowhere' is not a URL", "logging.buffer_lines must be > 0",
		"dependencies.requires contains invalid name 'a b'",
	}
	for _, w := range want {
		if !slices.ContainsFunc(invalid.Problems, func(p string) bool { return strings.HasPrefix(p, w) }) {
			t.Errorf("no %q in %q", w, invalid.Problems)
		}
	}
	if len(invalid.Problems) != len(want) {
		t.Errorf("got %q", invalid.Problems)
	}
	// Fault 35.
	for _, name := range []string{"..", "../../up", "a/b", ".hidden", "new\\nline", "", strings.Repeat("n", 4096)} {
		if _, _, err := FromJSON([]byte(`{"service":{"name":"` + name + `","exec":"b"}}`)); !errors.As(err, &invalid) {
			t.Errorf("%.20q: got %v", name, err)
		}
	}
	large := `{"service":{"name":"a","exec":"` + strings.Repeat("\x7f", MaxFile/3) + `"}}`
	if _, _, err := FromJSON([]byte(large)); !errors.As(err, &invalid) || !strings.Contains(err.Error(), "1 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestUnknownKeysBecomeWarnings(t *testing.T) {
	s, warnings, err := FromJSON([]byte(`{"persist":true,"target":5,"config":{"a":null},
		"service":{"name":"a","exec":"b","commad":"x","stdni":"null"},
		"lifecycle":{"stop_timeuot_ms":1},"dependencies":{"after":["a","c","c"]},"logging":{"forward":"x"}}`))
	if s == nil || err != nil {
		t.Fatal(err)
	}
	want := []string{
		"persist: is no part of a service", "target: is no part of a service", "config: is no part",
		"service.commad: commad is not a key of [service]", "service.stdni: stdni is not a key of [service]: did you mean stdin?",
		"lifecycle.stop_timeuot_ms: stop_timeuot_ms is not a key of [lifecycle]: did you mean stop_timeout_ms?",
		"dependencies.after: names c twice", "dependencies.after: names the service itself", "logging.forward: has no effect",
	}
	for _, w := range want {
		if !slices.ContainsFunc(warnings, func(x string) bool { return strings.HasPrefix(x, w) }) {
			t.Errorf("no %q in %q", w, warnings)
		}
	}
	if len(warnings) != len(want) {
		t.Errorf("got %q", warnings)
	}
}

// roundTrip checks that a service is the same in each of its forms.
func roundTrip(t *testing.T, s *Service) {
	t.Helper()
	file := Render(s)
	again, problems := Parse("a.toml", file)
	if again == nil || !again.Same(s) {
		t.Fatalf("as a file: %+v %v\n%s", again, problems, file)
	}
	if s.Target {
		return
	}
	wire := ToJSON(s)
	back, _, err := FromJSON(wire)
	if err != nil || !back.Same(s) {
		t.Fatalf("as JSON: %+v\nwas %+v %v\n%s", back, s, err, wire)
	}
	if brief := ToBriefJSON(s); len(brief) > len(wire) {
		t.Errorf("not brief: %s", brief)
	} else if back, _, err := FromJSON(brief); err != nil || !back.Same(s) {
		t.Fatalf("as brief JSON: %+v\nwas %+v %v\n%s", back, s, err, brief)
	}
	if string(Render(back)) != string(file) {
		t.Fatalf("%s\nand\n%s", Render(back), file)
	}
}

func TestServicesAreTheSameInEachForm(t *testing.T) {
	for _, folder := range []string{"good", "bad"} {
		for name, text := range sources(t, folder) {
			if s, _ := Parse(name, text); s != nil {
				roundTrip(t, s)
			}
		}
	}
	odd := fromJSON(t, `{"service":{"name":"a","exec":"echo '\"\\\\'\r\n\t\u007f\u001b é😀 ''","dir":"C:\\x y","env":{"a.b":"'\"","q\"\\\u0001":"","é":"="}},
		"lifecycle":{"kill_mode":"mixed"},"logging":{"buffer_bytes":"64K"},"health":{"type":"exec","endpoint":"true\nfalse","on_unhealthy":"report"}}`)
	roundTrip(t, odd)
	if wire := string(ToJSON(odd)); !strings.Contains(wire, `"kill_mode":"mixed"`) || !strings.Contains(wire, `"buffer_bytes":65536`) ||
		!strings.Contains(wire, `"on_unhealthy":"report"`) {
		t.Errorf("our own keys are not there: %s", wire)
	}
}

func TestRenderWritesWhatTheOriginalWrites(t *testing.T) {
	for _, name := range []string{"written-by-set"} {
		text := string(sources(t, "good")[name+".toml"])
		if got := string(Render(good(t, name))); got != text {
			t.Errorf("got\n%s\nwant\n%s", got, text)
		}
	}
	target := "[target]\nname = \"multi-user\"\ncritical = false\n\n[dependencies]\nafter = []\nrequires = [\"network\", \"logger\", \"database\"]\nwants = []\nconflicts = []\n"
	if got := string(Render(good(t, "readme-target"))); got != target {
		t.Errorf("got\n%s", got)
	}
}

func FuzzFromJSON(f *testing.F) {
	f.Add([]byte(fullJSON))
	for _, text := range sources(f, "good") {
		if s, _ := Parse("a.toml", text); !s.Target {
			f.Add(ToJSON(s))
		}
	}
	f.Add([]byte(`{"service":{"name":"a","exec":"b","env":{"é\n":"\u007f"}},"health":{"type":"exec","target":"a|b"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, _, err := FromJSON(text)
		if (s == nil) != (err != nil) {
			t.Fatalf("service %v and error %v", s, err)
		}
		if s != nil {
			roundTrip(t, s)
		} else if strings.ContainsAny(err.Error(), "\x00\x1b\n") {
			t.Fatalf("unprintable: %q", err)
		}
	})
}

func TestNamesOfVariablesAreRefusedOnTheWire(t *testing.T) {
	for name, bad := range map[string]bool{"BAD KEY": true, "A=B": true, "A\tB": true, "": true, " A": true, "A.B-c": false} {
		text, err := json.Marshal(map[string]any{"service": map[string]any{"name": "web", "exec": "a", "env": map[string]string{name: "1"}}})
		if err != nil {
			t.Fatal(err)
		}
		var invalid *InvalidError
		if _, _, err := FromJSON(text); errors.As(err, &invalid) != bad || !bad && err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	// A file of zinit 0.3.9 with a blank in one is still loaded.
	s, problems := Parse("", []byte("[service]\nname = \"web\"\nexec = \"a\"\nenv = { \"BAD KEY\" = \"1\" }\n"))
	if s == nil || len(problems) != 1 || problems[0].Severity != Warning {
		t.Errorf("got %+v, %v", s, problems)
	}
}

func TestOurKeysOnTheWire(t *testing.T) {
	s := fromJSON(t, `{"service":{"name":"a","exec":"b","type":"oneshot","oneshot":false,"user":0,"supplementary_groups":["x",5],"capabilities":["kill"],
		"env_file":"-/a","exec_stop":["/b","-/c"],"success_exit_status":[3,"TERM"],"nice":-5,"description":null,"stdin":"null"},
		"lifecycle":{"restart":"no"},"rlimits":{"nofile":1024,"core":"unlimited"},"limits":{"memory_max":"1G","memory_high":"50%"},
		"timer":{"every":"90m"},"logging":{"log":["ring"]}}`)
	if !s.Oneshot() || s.Identity.User != "0" || s.Lifecycle.Restart != RestartNever {
		t.Errorf("got %+v", s)
	}
	for _, part := range []string{
		`"capabilities":["CAP_KILL"]`, `"env_file":["-/a"]`, `"exec_stop":["/b","-/c"]`, `"nice":-5`, `"oneshot":true`, `"user":"0"`,
		`"success_exit_status":[3,"SIGTERM"]`, `"supplementary_groups":["x","5"]`, `"rlimits":{"core":"unlimited","nofile":1024}`,
		`"limits":{"memory_high":"50%","memory_max":1073741824}`, `"timer":{"every":"1h30m"}`, `"log":["store","ring"]`, `"restart":"never"`,
	} {
		if wire := string(ToJSON(s)); !strings.Contains(wire, part) {
			t.Errorf("no %s in %s", part, wire)
		}
	}
	roundTrip(t, s)
	for text, want := range map[string]string{
		`"type":"forking","oneshot":true`: `service.type: "forking" is against oneshot = true: remove one of them`,
		`"nice":[5]`:                      "service.nice: must be a number", `"nice":20`: "20 is too large",
		`"capabilities":[null]`:     "invalid type: null, expected a string",
		`"env_file":5`:              "service.env_file: must be a text",
		`"success_exit_status":{}`:  "service.success_exit_status: must be a list",
		`"watchdog":30`:             `write watchdog = "30s"`,
		`"type":"notify","main":1`:  "expected a boolean",
		`"supplementary_groups":""`: "must be a list",
	} {
		s, _, err := FromJSON([]byte(`{"service":{"name":"a","exec":"b",` + text + `}}`))
		if s != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func BenchmarkToJSON(b *testing.B) {
	s := everyKey(b)
	for b.Loop() {
		ToJSON(s)
	}
}

// What is written down at every first start.
func BenchmarkToBriefJSON(b *testing.B) {
	s, _ := Parse("a.toml", []byte(serviceText("a")))
	b.ReportAllocs()
	for b.Loop() {
		ToBriefJSON(s)
	}
}
