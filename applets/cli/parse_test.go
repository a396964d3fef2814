package cli

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"zinit/supervise/config"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		line  string
		verb  string
		words string
		flags map[string]string
	}{
		{"", "", "", nil},
		{"list", "list", "", nil},
		{"ls", "list", "", nil},
		{"-s /x list", "list", "", map[string]string{"socket": "/x"}},
		{"-s/x list", "list", "", map[string]string{"socket": "/x"}},
		{"--socket=/x list", "list", "", map[string]string{"socket": "/x"}},
		{"list --socket /x", "list", "", map[string]string{"socket": "/x"}},
		{"list -s /x -s /y", "list", "", map[string]string{"socket": "/y"}},
		{"--json list", "list", "", map[string]string{"json": ""}},
		{"kill a -s HUP", "kill", "a", map[string]string{"signal": "HUP"}},
		{"-s /x kill -s HUP a", "kill", "a", map[string]string{"socket": "/x", "signal": "HUP"}},
		{"kill a --socket /x HUP", "kill", "a HUP", map[string]string{"socket": "/x"}},
		{"logs -n5 a", "logs", "a", map[string]string{"lines": "5"}},
		{"logs a --lines=5 --json", "logs", "a", map[string]string{"lines": "5", "json": ""}},
		{"start -- -a --wait", "start", "-a --wait", nil},
		{"start a --wait --timeout 3s b", "start", "a b", map[string]string{"wait": "", "timeout": "3s"}},
		{"start -h", "start", "", map[string]string{"help": ""}},
		{"-h", "", "", map[string]string{"help": ""}},
		{"-h nonsense", "", "", map[string]string{"help": ""}},
		{"status -", "status", "-", nil},
	} {
		c, err := parse(table(), strings.Fields(test.line))
		if err != nil {
			t.Errorf("%q: %v", test.line, err)
			continue
		}
		name := ""
		if c.verb != nil {
			name = c.verb.name
		}
		if name != test.verb || strings.Join(c.words, " ") != test.words || !maps.Equal(lastValues(c.flags), test.flags) {
			t.Errorf("%q: verb %q, words %q, flags %v", test.line, name, c.words, c.flags)
		}
	}
}

func lastValues(flags map[string][]string) map[string]string {
	last := map[string]string{}
	for name, values := range flags {
		last[name] = values[len(values)-1]
	}
	return last
}

func TestVerbsAndFlagsAreUnambiguous(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range table() {
		for _, name := range append(slices.Clone(v.aliases), v.name) {
			if seen[name] {
				t.Errorf("two verbs are called %s", name)
			}
			seen[name] = true
		}
		flags := map[string]bool{}
		for _, f := range v.flags {
			if flags[f.long] || f.short != "" && flags[f.short] {
				t.Errorf("%s has two flags --%s", v.name, f.long)
			}
			flags[f.long], flags[f.short] = true, true
		}
		if v.summary == "" || v.example == "" || v.run == nil || v.min > 0 && v.args == "" {
			t.Errorf("%s is incomplete", v.name)
		}
	}
}

func TestExamplesMakeSense(t *testing.T) {
	for _, v := range table() {
		for line := range strings.Lines(v.example) {
			command, err := config.SplitCommand(strings.TrimSpace(line))
			if err != nil || command.Shell || command.Argv[0] != "zinit" {
				t.Errorf("%s: %q is no plain command: %v", v.name, line, err)
				continue
			}
			c, err := parse(table(), command.Argv[1:])
			if err != nil || c.verb == nil || c.verb.name != v.name {
				t.Errorf("%s: %q: %v", v.name, line, err)
			}
		}
	}
}

// Who mistypes a verb must not be led to one that does a lot more.
func TestNobodyIsLedToABulkVerb(t *testing.T) {
	for _, word := range []string{"delete", "deletes", "dlete", "delete-service", "forget", "start-service", "stop-service", "stops", "halt", "power-off"} {
		_, err := parse(table(), []string{word, "web"})
		if err != nil && strings.Contains(err.Error(), "-all") {
			t.Error(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{"list", "-s x kill a -s HUP", "logs -n", "--", "-", "--=", "start --timeout=", "-hhh", "kill -s", "start -V"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		c, err := parse(table(), args)
		if err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
		if err == nil && c.verb != nil && !c.has("help") && !c.has("version") && len(c.words) < c.verb.min {
			t.Errorf("%q: %d words for %s", args, len(c.words), c.verb.name)
		}
	})
}

func TestNearest(t *testing.T) {
	words := []string{"list", "ls", "status", "start", "stop", "restart", "running", "exited"}
	for typed, want := range map[string]string{
		"stauts": "status", "lst": "list", "strat": "start", "sotp": "stop", "runing": "running",
		"exit": "exited", "stat": "status", "frobnicate": "", "x": "", "reload": "",
	} {
		if got := config.Nearest(typed, words); got != want {
			t.Errorf("%s: %q, want %q", typed, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 900 * time.Millisecond: "0s", 59 * time.Second: "59s", time.Minute: "1m", 90 * time.Second: "1m30s",
		time.Hour: "1h", 125 * time.Minute: "2h5m", 24 * time.Hour: "1d", 76*time.Hour + time.Second: "3d4h",
	} {
		if got := span(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestUntil(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	s := &session{now: func() time.Time { return now }}
	for ms, want := range map[int64]string{
		-5000: "now", 0: "now", 1: "in 0.1s", 99: "in 0.1s", 600: "in 0.6s", 999: "in 0.9s",
		1000: "in 1s", 90_000: "in 1m30s",
	} {
		if got := s.until(now.UnixMilli() + ms); got != want {
			t.Errorf("in %d ms: %q, want %q", ms, got, want)
		}
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext": "plain\ttext", "grüße ✓": "grüße ✓", "\x1b[2J": `\x1b[2J`, "a\x00b": `a\x00b`, "\xff\xfe": `\xff\xfe`,
		"\u009b": `\u009b`, "\u202e": `\u202e`, "\x7f\r": `\x7f\x0d`, "\U000e0001": `\U000e0001`, "\ufffd": "\ufffd",
	} {
		if got := escape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("\x1b[31m\x00\xff\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range escape(text) {
			if r != '\t' && (r < 0x20 || r >= 0x7f && r < 0xa0) {
				t.Errorf("%q lets %U through", text, r)
			}
		}
	})
}

func FuzzHang(f *testing.F) {
	f.Add("its configuration has changed: restart it to apply that", 10, 40)
	f.Add("  a  b ", 0, 3)
	f.Fuzz(func(t *testing.T, text string, at, width int) {
		if at < 0 || at > 200 || width < 0 || width > 200 || strings.Contains(text, "\n") {
			t.Skip()
		}
		s := &session{width: width}
		got := s.hang(at, text)
		if strings.ReplaceAll(strings.ReplaceAll(got, "\n", ""), " ", "") != strings.ReplaceAll(text, " ", "") {
			t.Errorf("%q became %q", text, got)
		}
		for i, line := range strings.Split(got, "\n") {
			if i == 0 {
				line = strings.Repeat("x", at) + line
			}
			words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' })
			if width > 0 && utf8.RuneCountInString(line) > width && len(words) > 1 && i > 0 {
				t.Errorf("%d columns of %d: %q", utf8.RuneCountInString(line), width, line)
			}
		}
	})
}
