package logs

import (
	"bytes"
	"net"
	"path/filepath"
	"testing"
)

func TestMessagesAreUnderstood(t *testing.T) {
	for in, want := range map[string][3]string{ // tag, text, line
		"<30>Jan  2 15:04:05 web[12]: up":      {"web", "up", "web[12]: up"},
		"<30>Jan  2 15:04:05 host web[12]: up": {"web", "up", "host web[12]: up"},
		"<30>Jan 22 15:04:05 web: a: b":        {"web", "a: b", "web: a: b"},
		"<30>web: up\n":                        {"web", "up", "web: up"},
		"web: up":                              {"web", "up", "web: up"},
		"<30>web:":                             {"web", "", "web:"},
		"<30>only text":                        {"", "only text", "only text"},
		"<30>one\nweb: two":                    {"", "one\nweb: two", "one\nweb: two"},
		"<192>web: up":                         {"<192>web", "up", "<192>web: up"},
		"<>: x":                                {"<>", "x", "<>: x"},
		"":                                     {"", "", ""},
		"<":                                    {"", "<", "<"},
		"<30>: x":                              {"", ": x", ": x"},
		"<30>\xff\xfe: \xff":                   {"\xff\xfe", "\xff", "\xff\xfe: \xff"},
		"<30>1 2026-01-31T12:00:00Z host web 12 ID - up": {"web", "up", "web[12]: up"},
		"<30>1 - - web - - - \xef\xbb\xbfup":             {"web", "up", "web: up"},
		"<30>1 - - web - - -":                            {"web", "", "web: "},
		"<30>1 - - - - - - a: b":                         {"", "a: b", "a: b"},
		`<30>1 - - web - - [a b="]\"x"][c] up`:           {"web", "up", "web: up"},
		`<30>1 - - web - - [a b="] up`:                   {"", `1 - - web - - [a b="] up`, `1 - - web - - [a b="] up`},
		"<30>1 - - web - -":                              {"", "1 - - web - -", "1 - - web - -"},
		"1 - - web - - - up":                             {"", "1 - - web - - - up", "1 - - web - - - up"},
	} {
		m := parseMessage([]byte(in))
		if got := [3]string{m.tag, string(m.text), string(m.line)}; got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add([]byte("<30>Jan  2 15:04:05 host web[12]: up"))
	f.Add([]byte(`<30>1 - host web 12 ID [a b="]\"x"][c] up`))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.Clone(b)
		m := parseMessage(b)
		if !bytes.Equal(in, b) {
			t.Error("it changed its input")
		}
		if !bytes.HasSuffix(bytes.TrimRight(in, "\n\r\x00"), m.text) || !bytes.HasSuffix(m.line, m.text) {
			t.Errorf("%q has the text %q and the line %q", in, m.text, m.line)
		}
		if len(m.line) > len(in)+4 || bytes.Contains([]byte(m.tag), []byte("\n")) && bytes.Contains(in, []byte(": ")) && !bytes.HasPrefix(in, []byte("<")) {
			t.Errorf("%q has the line %q", in, m.line)
		}
	})
}

func TestIntakePutsMessagesWhereTheyBelong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	in, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	l, _ := open(t, "")
	l.Configure("web", Options{})
	l.Intake(in)
	out, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for _, text := range []string{
		"<30>Jan  2 15:04:05 web[12]: one\ntwo\n\nthree\n", "<30>1 - - web - - - four", "<30>cron[7]: five", "six", "<30>web: ", "<30>@syslog: seven",
	} {
		if _, err := out.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	const want = "[syslog] cron[7]: five|[syslog] six|[syslog] @syslog: seven"
	eventually(t, "all is taken in", func() bool { return show(t, l, Nobody, 10) == want })
	if got, want := show(t, l, "web", 10), "[syslog] one|[syslog] two|[syslog] three|[syslog] four"; got != want {
		t.Errorf("the log of the service has %q, want %q", got, want)
	}
}
