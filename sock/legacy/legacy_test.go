package legacy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// toy is a Backend that answers with what it was asked.
type toy struct{ asked []string }

func (b *toy) did(words ...string) error {
	b.asked = append(b.asked, strings.Join(words, "|"))
	if len(words) > 1 && words[1] == "nosuch" {
		return Unknown("nosuch")
	}
	return nil
}

func (b *toy) List() (map[string]string, error) {
	return map[string]string{"redis": StateRunning, "bad": Exited(30575, 3), "a": StateSuccess}, b.did("list")
}

func (b *toy) Status(name string) (Status, error) {
	return Status{Name: name, PID: 320996, State: StateRunning, Target: TargetUp, After: map[string]string{"delay": StateSuccess}}, b.did("status", name)
}

func (b *toy) Start(_ context.Context, name string) error   { return b.did("start", name) }
func (b *toy) Stop(_ context.Context, name string) error    { return b.did("stop", name) }
func (b *toy) Monitor(_ context.Context, name string) error { return AlreadyMonitored(name) }
func (b *toy) Forget(_ context.Context, name string) error  { return IsUp(name) }
func (b *toy) Shutdown() error                              { return b.did("shutdown") }
func (b *toy) Reboot() error                                { return b.did("reboot") }

func (b *toy) Kill(_ context.Context, name, signal string) error {
	if signal == "TERM" {
		return ErrSignal
	}
	return b.did("kill", name, signal)
}

func (b *toy) Logs(_ context.Context, w io.Writer, follow bool) error {
	_, err := fmt.Fprintf(w, "follow %v\n", follow)
	return errors.Join(err, b.did("log"))
}

// The replies of zinit 0.2.14 to every command, byte by byte.
func TestEveryCommandAgainstGoldenReplies(t *testing.T) {
	for _, c := range []struct{ line, want, asked string }{
		{"list", `{"state":"ok","body":{"a":"Success","bad":"Error(Exited(Pid(30575), 3))","redis":"Running"}}`, "list"},
		{"list all of them", `{"state":"ok","body":{"a":"Success","bad":"Error(Exited(Pid(30575), 3))","redis":"Running"}}`, "list"},
		{"status redis", `{"state":"ok","body":{"after":{"delay":"Success"},"name":"redis","pid":320996,"state":"Running","target":"Up"}}`, "status|redis"},
		{`status "sp ace"`, `{"state":"ok","body":{"after":{"delay":"Success"},"name":"sp ace","pid":320996,"state":"Running","target":"Up"}}`, "status|sp ace"},
		{"status nosuch", `{"state":"error","body":"service name \"nosuch\" unknown"}`, "status|nosuch"},
		{"start redis", `{"state":"ok","body":null}`, "start|redis"},
		{"  start\tredis # now", `{"state":"ok","body":null}`, "start|redis"},
		{"start nosuch", `{"state":"error","body":"service name \"nosuch\" unknown"}`, "start|nosuch"},
		{"stop redis", `{"state":"ok","body":null}`, "stop|redis"},
		{"stop redis\r", `{"state":"ok","body":null}`, "stop|redis\r"},
		{"monitor redis", `{"state":"error","body":"service \"redis\" already monitored"}`, ""},
		{"forget redis", `{"state":"error","body":"service \"redis\" is up"}`, ""},
		{"kill redis SIGTERM", `{"state":"ok","body":null}`, "kill|redis|SIGTERM"},
		{"kill redis TERM", `{"state":"error","body":"EINVAL: Invalid argument"}`, ""},
		{"kill redis", `{"state":"error","body":"unknown command 'kill' or wrong arguments count"}`, ""},
		{"shutdown", `{"state":"ok","body":null}`, "shutdown"},
		{"shutdown now", `{"state":"ok","body":null}`, "shutdown"},
		{"reboot", `{"state":"ok","body":null}`, "reboot"},
		{"log", "follow true\n", "log"},
		{"log snapshot", "follow false\n", "log"},
		{"log redis", `{"state":"error","body":"invalid log command arguments"}`, ""},
		{"log snapshot redis", `{"state":"error","body":"invalid log command arguments"}`, ""},
		{"status", `{"state":"error","body":"unknown command 'status' or wrong arguments count"}`, ""},
		{"status a b", `{"state":"error","body":"unknown command 'status' or wrong arguments count"}`, ""},
		{"help", `{"state":"error","body":"unknown command 'help' or wrong arguments count"}`, ""},
		{"LIST", `{"state":"error","body":"unknown command 'LIST' or wrong arguments count"}`, ""},
		{"GET / HTTP/1.1", `{"state":"error","body":"unknown command 'GET' or wrong arguments count"}`, ""},
		{"", `{"state":"error","body":"unknown command"}`, ""},
		{"   ", `{"state":"error","body":"unknown command"}`, ""},
		{"# hello", `{"state":"error","body":"unknown command"}`, ""},
		{"status 'redis", `{"state":"error","body":"invalid command syntax"}`, ""},
		{"status \xff", `bad request{"state":"error","body":"unknown command"}`, ""},
	} {
		var out bytes.Buffer
		b := &toy{}
		Serve(t.Context(), []byte(c.line), &out, b)
		if out.String() != c.want || strings.Join(b.asked, " ") != c.asked {
			t.Errorf("%q: %s, asked %q\nwant %s, %q", c.line, out.String(), b.asked, c.want, c.asked)
		}
	}
}

func TestNamesAreQuotedAsTheOriginalDid(t *testing.T) {
	for name, want := range map[string]string{
		`a"b`: `service name "a\"b" unknown`, `a\`: `service name "a\\" unknown`, "a\n\t\r\x00": `service name "a\n\t\r\0" unknown`,
		"\x1b": `service name "\u{1b}" unknown`, "é": `service name "é" unknown`,
	} {
		if got := Unknown(name).Error(); got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
	if got := IsDown("x").Error() + Signaled(31359, "SIGTERM"); got != `service "x" is downError(Signaled(Pid(31359), SIGTERM, false))` {
		t.Error(got)
	}
}

func TestLinesOfALog(t *testing.T) {
	b := AppendLine(nil, "redis", false, []byte("------------ [start] ------------"))
	b = AppendLine(b, "redis", true, []byte("ready"))
	if got, want := string(b), "[-] redis: ------------ [start] ------------\n[+] redis: ready\n"; got != want {
		t.Errorf("%q", got)
	}
}

func FuzzServe(f *testing.F) {
	for _, line := range []string{"list", `status "a b"`, "kill a SIGTERM", "log snapshot", "'", "stop é"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var out bytes.Buffer
		Serve(t.Context(), line, &out, &toy{})
		text := strings.TrimPrefix(out.String(), "bad request")
		if strings.HasPrefix(text, "follow ") {
			return
		}
		var reply struct {
			State string
			Body  any
		}
		if err := json.Unmarshal([]byte(text), &reply); err != nil || reply.State != "ok" && reply.State != "error" || !utf8.ValidString(text) {
			t.Fatalf("%q: %q %v", line, text, err)
		}
	})
}
