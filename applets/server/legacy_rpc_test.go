package server

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"zinit/sock"
)

func TestMethodsOfTheLastReleasesOfZinit02(t *testing.T) {
	h := newStoredHouse(t, map[string]string{"redis.yaml": "exec: /play say=one,two,\nafter: []\nenv: {A: 1}\n"})
	h.wait("redis", "running")
	v := h.s.sup.Snapshot().Find("redis")
	l := h.dial()
	for _, c := range []struct{ method, params, want string }{
		{"service_list", `null`, `"result":{"redis":"Running"}`},
		{"service_status", `{"name":"redis"}`, fmt.Sprintf(`"result":{"after":{},"name":"redis","pid":%d,"state":"Running","target":"Up"}`, v.Pid)},
		{"service_status", `["redis"]`, fmt.Sprintf(`"result":{"after":{},"name":"redis","pid":%d,"state":"Running","target":"Up"}`, v.Pid)},
		{"service_status", `["nosuch"]`, `"error":{"code":-32000,"message":"status: service 'nosuch' not found","data":{"action":"status","code_name":"ServiceNotFound","retryable":false,"service":"nosuch"}}`},
		{"service_status", `[]`, `"error":{"code":-32602,"message":"missing 'name' parameter"}`},
		{"service_status", `[5]`, `"error":{"code":-32602,"message":"missing 'name' parameter"}`},
		{"service_status", `["../redis"]`, `"error":{"code":-32602,"message":"Invalid service name '../redis'"}`},
		{"service_start", `["redis"]`, `"result":null`},
		{"service_monitor", `["redis"]`, `"error":{"code":-32001,"message":"service \"redis\" already monitored","data":{`},
		{"service_monitor", `["none"]`, `"error":{"code":-32005,"message":"failed to load service config","data":{`},
		{"service_forget", `{"name":"redis"}`, `"error":{"code":-32002,"message":"service \"redis\" is up","data":{`},
		{"service_kill", `["redis","TERM"]`, `"error":{"code":-32004,"message":"EINVAL: Invalid argument","data":{`},
		{"service_get", `["redis"]`, `"result":{"after":[],"env":{"A":1},"exec":"/play say=one,two,"}`},
		{"service_create", `["web",{"exec":"/play","after":["redis"],"oneshot":false}]`, `"result":"Service 'web' created successfully"`},
		{"service_create", `["web",{"exec":"/play"}]`, `"error":{"code":-32007,"message":"Service 'web' already exists"}`},
		{"service_create", `["bad",{"exec":["a"]}]`, `"error":{"code":-32005,"message":"`},
		{"service_create", `["bad"]`, `"error":{"code":-32005,"message":"the content must be an object with the keys of the file"}`},
		{"service_status", `["web"]`, `"error":{"code":-32000,`},
		{"service_monitor", `["web"]`, `"result":null`},
		{"service_get", `["web"]`, `"result":{"after":["redis"],"exec":"/play","oneshot":false}`},
		{"service_stop", `["web"]`, `"result":null`},
		{"service_delete", `["web"]`, `"result":"Service 'web' deleted successfully"`},
		{"service_delete", `["web"]`, `"error":{"code":-32000,"message":"delete: service 'web' not found"`},
		{"service_stats", `["none"]`, `"error":{"code":-32000,`},
		{"system_start_http_server", `["127.0.0.1:8080"]`, `"error":{"code":-32603,"message":"there is no listener for HTTP`},
	} {
		reply := l.ask(`{"jsonrpc":"2.0","id":1,"method":"` + c.method + `","params":` + c.params + `}`)
		if !strings.Contains(reply, c.want) {
			t.Errorf("%s %s: %s\nwant %s", c.method, c.params, reply, c.want)
		}
	}
	h.wait("web", "down")
	if reply := l.ask(`{"jsonrpc":"2.0","id":1,"method":"service_forget","params":["web"]}`); !strings.Contains(reply, `"result":null`) {
		t.Error(reply)
	}
	stats := l.ask(`{"jsonrpc":"2.0","id":1,"method":"service_stats","params":["redis"]}`)
	if !strings.Contains(stats, `"children":[]`) || !strings.Contains(stats, `"name":"redis"`) {
		t.Error(stats)
	}
}

func TestTheLogOverTheMethodsOfZinit02(t *testing.T) {
	h := newStoredHouse(t, map[string]string{"a.yaml": "exec: /play say=one,\n", "b.yaml": "exec: /play say=other,\n"})
	h.wait("a b", "running")
	reply, one := "", h.dial()
	for name, text := range map[string]string{"b": "other", "a": "one"} {
		eventually(t, "the line of "+name, func() (string, bool) {
			reply = one.ask(`{"jsonrpc":"2.0","id":1,"method":"stream_currentLogs","params":["` + name + `"]}`)
			return reply, strings.Contains(reply, text)
		})
	}
	reply = one.ask(`{"jsonrpc":"2.0","id":1,"method":"stream_currentLogs","params":["a"]}`)
	if want := `"result":["[-] a: ------------ [start] ------------","[+] a: one"]`; !strings.Contains(reply, want) {
		t.Errorf("%s, want %s", reply, want)
	}
	if reply := h.dial().ask(`{"jsonrpc":"2.0","id":1,"method":"stream_subscribeLogs","params":["nosuch"]}`); !strings.Contains(reply, `"code":-32000`) {
		t.Error(reply)
	}
	l := h.dial()
	if reply := l.ask(`{"jsonrpc":"2.0","id":1,"method":"stream_subscribeLogs"}`); !strings.Contains(reply, `"result":"1"`) {
		t.Fatal(reply)
	}
	h.s.logs.Append("b", "live")
	line, err := l.in.ReadString('\n')
	if want := `{"jsonrpc":"2.0","method":"stream_subscribeLogs","params":{"result":"[-] b: live","subscription":"1"}}`; err != nil || strings.TrimSpace(line) != want {
		t.Errorf("%s %v, want %s", line, err, want)
	}
}

// A line that comes right behind the reply is told: where it begins is settled before.
func TestNoLineIsMissedBehindTheReplyOfZinit02(t *testing.T) {
	h := newStoredHouse(t, map[string]string{"a.yaml": "exec: /play say=one,\n"})
	h.wait("a", "running")
	h.s.logs.Append("a", "before")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begin := func() error {
		h.s.logs.Append("a", "behind")
		return nil
	}
	err := h.s.followLegacy(ctx, "a", 0, begin, func(batch sock.LogBatch) error {
		for _, l := range batch.Lines {
			switch l.Content {
			case "before":
				t.Error("the past is told")
			case "behind":
				return io.EOF
			}
		}
		return nil
	})
	if err != io.EOF {
		t.Errorf("it ends with %v", err)
	}
}
