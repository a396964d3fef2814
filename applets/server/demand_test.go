package server

import (
	"strings"
	"testing"
)

func TestAServiceIsActivatedAndReleased(t *testing.T) {
	h := newHouse(t, player("db", "", resting), player("hand", "", resting))
	l := h.dial()
	for _, c := range []struct{ method, service, want string }{
		{"xinet.activate", "db", `"result":{"ok":true}`},
		{"service.is_running", "db", `"result":true`},
		{"xinet.release", "db", `"result":{"stopped":true}`},
		{"service.start", "hand", `"result":{"ok":true}`},
		{"xinet.activate", "hand", `"result":{"ok":true}`},
		{"xinet.release", "hand", `"result":{"stopped":false}`},
		{"xinet.activate", "nobody", `"message":"service not found: nobody"`},
		{"xinet.release", "nobody", `"message":"service not found: nobody"`},
		{"xinet.release", "", `"message":"service not found: "`},
	} {
		reply := l.ask(`{"jsonrpc":"2.0","id":1,"method":"` + c.method + `","params":{"service":"` + c.service + `","name":"` + c.service + `"}}`)
		if !strings.Contains(reply, c.want) {
			t.Errorf("%s %s: %s, want %s", c.method, c.service, reply, c.want)
		}
	}
	if reply := l.ask(`{"jsonrpc":"2.0","id":1,"method":"xinet.activate","params":{}}`); !strings.Contains(reply, "missing 'service' parameter") {
		t.Error(reply)
	}
}
