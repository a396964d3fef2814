package config

import (
	"strings"
	"testing"
)

func parsed(t *testing.T, text string) *Service {
	t.Helper()
	s, problems := Parse("x.toml", []byte(text))
	if s == nil {
		t.Fatal(problems)
	}
	return s
}

// asOriginal is what a client of zinit 0.3.9 makes of a description: it drops the keys
// that it does not know.
func asOriginal(t *testing.T, s *Service) tables {
	t.Helper()
	all, ok := tablesOf(ToJSON(s))
	if !ok {
		t.Fatal("no tables")
	}
	for name, table := range all {
		sec := sectionNamed(name)
		for key := range table {
			if sec.ours || sec.find(key).ours {
				delete(table, key)
			}
		}
		if sec.ours {
			delete(all, name)
		}
	}
	return all
}

// TestWhatAnOlderClientDoesNotKnowSurvives when it sends back what it has read.
func TestWhatAnOlderClientDoesNotKnowSurvives(t *testing.T) {
	for name, text := range sources(t, "good") {
		was, _ := Parse(name, text)
		if was.Target {
			continue
		}
		back := asOriginal(t, was)
		s, _, kept, lost, err := Carry(encodeJSON(back), was)
		if err != nil || lost != nil {
			t.Errorf("%s: %v, lost %q", name, err, lost)
			continue
		}
		s.Lifecycle.RestartExplicit = was.Lifecycle.RestartExplicit // which has a rule of its own
		if !s.Same(mustCarry(t, ToJSON(was), was, s)) {
			t.Errorf("%s:\n got %+v\nwant %+v\nkept %q", name, s, was, kept)
		}
	}
}

// mustCarry is what a client that knows all keys hands back.
func mustCarry(t *testing.T, text []byte, was, like *Service) *Service {
	t.Helper()
	s, _, kept, lost, err := Carry(text, was)
	if err != nil || lost != nil {
		t.Fatal(err, kept, lost)
	}
	s.Lifecycle.RestartExplicit = like.Lifecycle.RestartExplicit
	return s
}

func TestWhatIsCarriedOver(t *testing.T) {
	was := parsed(t, `[service]
name = "a"
exec = "/bin/a"
type = "notify"
watchdog = "9s"
user = "www"
[lifecycle]
kill_mode = "mixed"
[health]
type = "tcp"
target = "h:1"
on_unhealthy = "report"
[logging]
log = "none"
[limits]
tasks_max = 5
`)
	all := "service.type service.watchdog service.user lifecycle.kill_mode logging.log limits.tasks_max"
	for _, c := range []struct{ name, text, kept, lost string }{
		{"an older client", `{"service":{"name":"a","exec":"/bin/b"}}`, all, ""},
		{"with a health check", `{"service":{"name":"a","exec":"/bin/b"},"health":{"type":"tcp","target":"h:2"}}`,
			strings.Replace(all, "logging", "health.on_unhealthy logging", 1), ""},
		{"without one", `{"service":{"name":"a","exec":"/bin/b"},"health":null,"lifecycle":null}`, all, ""},
		{"another type", `{"service":{"name":"a","exec":"/bin/b","oneshot":true}}`,
			"service.user lifecycle.kill_mode logging.log limits.tasks_max", "service.type service.watchdog"},
		{"a file that is against it", `{"service":{"name":"a","exec":"/bin/b"},"logging":{"file":"/x"}}`,
			"service.type service.watchdog service.user lifecycle.kill_mode limits.tasks_max", "logging.log"},
		{"one that knows a key", `{"service":{"name":"a","exec":"/bin/b","user":"x"}}`, "", ""},
		{"one that takes a key away", `{"service":{"name":"a","exec":"/bin/b","user":null}}`, "", ""},
		{"one that knows a table", `{"service":{"name":"a","exec":"/bin/b"},"rlimits":{"core":1}}`, "", ""},
	} {
		s, _, kept, lost, err := Carry([]byte(c.text), was)
		if err != nil || strings.Join(kept, " ") != c.kept || strings.Join(lost, " ") != c.lost {
			t.Errorf("%s: %v, kept %q, lost %q", c.name, err, kept, lost)
			continue
		}
		if s.Exec != "/bin/b" || (s.Lifecycle.KillMode == KillMixed) != strings.Contains(c.kept, "kill_mode") {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
	if _, _, _, _, err := Carry([]byte(`{"service":{"name":"a"}}`), was); err == nil {
		t.Error("a description without a command is taken")
	}
}

// TestAPolicyThatTheOriginalHasNotIsReadByItsClients, and comes back as it was, unless
// they change it.
func TestAPolicyThatTheOriginalHasNotIsReadByItsClients(t *testing.T) {
	for policy, shown := range map[string]string{"on-success": "always", "on-abnormal": "on-failure"} {
		was := parsed(t, "[service]\nname = \"a\"\nexec = \"/bin/a\"\n[lifecycle]\nrestart = \""+policy+"\"\n")
		text := string(ToJSON(was))
		if !strings.Contains(text, `"restart":"`+shown+`"`) || !strings.Contains(text, `"restart_policy":"`+policy+`"`) {
			t.Errorf("%s: %s", policy, text)
		}
		if back, _, err := FromJSON([]byte(text)); err != nil || back.Lifecycle.Restart != was.Lifecycle.Restart {
			t.Errorf("%s: handed back: %+v, %v", policy, back, err)
		}
		older := asOriginal(t, was)
		back, _, kept, _, err := Carry(encodeJSON(older), was)
		if err != nil || back.Lifecycle.Restart != was.Lifecycle.Restart || strings.Join(kept, " ") != "lifecycle.restart_policy" {
			t.Errorf("%s: from an older client: %+v, %v, kept %q", policy, back, err, kept)
		}
		older["lifecycle"]["restart"] = []byte(`"never"`)
		if back, _, _, _, err := Carry(encodeJSON(older), was); err != nil || back.Lifecycle.Restart != RestartNever {
			t.Errorf("%s: changed by an older client: %+v, %v", policy, back, err)
		}
	}
}
