package server

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zinit/sock"
	"zinit/supervise/logs"
)

// contents is "SERVICE TEXT" of each line.
func contents(lines []sock.LogLine) string {
	var words []string
	for _, l := range lines {
		words = append(words, l.Service+" "+l.Content)
	}
	return strings.Join(words, ", ")
}

// chorus is a house in which a, b and a program that is no service take turns.
func chorus(t *testing.T) *house {
	h := newStoredHouse(t, map[string]string{"a": "[service]\nname = \"a\"\nexec = \"toy\"\n", "b": "[service]\nname = \"b\"\nexec = \"toy\"\n"})
	in, err := net.ListenPacket("unixgram", filepath.Join(home(t), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	h.s.logs.Intake(in)
	out, err := net.Dial("unixgram", in.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	last := int64(0)
	for i, who := range []string{"a", "b", "cron", "b", "a"} {
		name := who
		if who == "cron" {
			name = logs.Nobody
		}
		if _, err := fmt.Fprintf(out, "<30>%s: %d", who, i); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the line", func() (string, bool) {
			lines, _ := h.s.logs.Tail(name, 1)
			if len(lines) == 0 || !strings.HasSuffix(string(lines[0].Text), fmt.Sprint(i)) {
				return fmt.Sprint(lines), false
			}
			last = lines[0].Time.UnixMilli()
			return "", true
		})
		eventually(t, "the next millisecond", func() (string, bool) { return "", time.Now().UnixMilli() > last })
	}
	return h
}

func TestLinesOfSeveralServicesAreInTheOrderOfTheirTimes(t *testing.T) {
	h := chorus(t)
	l := h.dial()
	for params, want := range map[string]string{
		`{}`:                             "a 0, b 1, @syslog cron: 2, b 3, a 4",
		`{"lines":2}`:                    "b 3, a 4",
		`{"names":["b","a"],"lines":3}`:  "b 1, b 3, a 4",
		`{"names":["@syslog"]}`:          "@syslog cron: 2",
		`{"grep":"^[0-2]|cron"}`:         "a 0, b 1, @syslog cron: 2",
		`{"stream":"syslog","grep":"4"}`: "a 4",
		`{"stream":"stdout"}`:            "",
		`{"until":1}`:                    "",
		`{"since":1,"lines":1000000}`:    "a 0, b 1, @syslog cron: 2, b 3, a 4",
		`{"names":["nosuch"]}`:           "-service not found: nosuch",
		`{"grep":"("}`:                   "-missing closing )",
		`{"grep":"` + strings.Repeat("x", longestGrep+1) + `"}`: "-use at most 1000",
	} {
		reply := l.ask(`{"jsonrpc":"2.0","method":"logs.query","params":` + params + `,"id":1}`)
		if problem, ok := strings.CutPrefix(want, "-"); ok {
			if !strings.Contains(reply, `"error"`) || !strings.Contains(reply, problem) {
				t.Errorf("%s: %s, want %q", params, reply, problem)
			}
			continue
		}
		var lines []sock.LogLine
		if err := json.Unmarshal([]byte(reply), &struct{ Result any }{&lines}); err != nil {
			t.Fatal(err)
		}
		if got := contents(lines); got != want {
			t.Errorf("%s: %q, want %q", params, got, want)
		}
	}
}

func TestAllServicesAreFollowedAlsoThoseThatAreAdded(t *testing.T) {
	h := chorus(t)
	l := h.dial()
	l.subscribe("logs.subscribe", `{"lines":100}`)
	if got, want := texts(l.lines(5)), "a syslog 0, b syslog 1, @syslog syslog cron: 2, b syslog 3, a syslog 4"; got != want {
		t.Errorf("the past is %q, want %q", got, want)
	}
	h.s.logs.Append("b", "goes on")
	if got := texts(l.lines(1)); got != "b zinit goes on" {
		t.Errorf("then comes %q", got)
	}
	for range 2 {
		if err := h.dial().call(sock.MethodAdd, map[string]any{"config": described("new", "sleep 1")}, nil); err != nil {
			t.Fatal(err)
		}
		h.s.logs.Append("new", "is new")
		if got := texts(l.lines(1)); got != "new zinit is new" {
			t.Errorf("then comes %q", got)
		}
		if err := h.dial().call(sock.MethodDelete, map[string]any{"name": "new"}, nil); err != nil {
			t.Fatal(err)
		}
	}
}
