package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zinit/reap"
)

const waitForOff = `{"jsonrpc":"2.0","method":"service.wait","params":{"names":["off"],"state":"running","timeout_ms":%d},"id":1}` + "\n"

// TestAWaitIsAnsweredWhenItIsOver: what is asked for comes about after the request
// was sent, and before any timeout that these numbers can mean.
func TestAWaitIsAnsweredWhenItIsOver(t *testing.T) {
	for _, timeout := range []int64{0, 3_600_000, 1 << 53, 1<<63 - 1} {
		t.Run(fmt.Sprint(timeout), func(t *testing.T) {
			h := newHouse(t, player("off", "", resting))
			l := h.dial()
			if _, err := fmt.Fprintf(l.c, waitForOff, timeout); err != nil {
				t.Fatal(err)
			}
			h.stillWaits()
			if err := h.s.sup.Start("off", false); err != nil {
				t.Fatal(err)
			}
			reply, err := l.in.ReadString('\n')
			if err != nil || !strings.Contains(reply, `"result":{"reached":true`) {
				t.Errorf("%v: %s", err, reply)
			}
		})
	}
}

// stillWaits checks, as well as that can be seen, that a wait is not answered
// at once.
func (h *house) stillWaits() {
	h.t.Helper()
	select {
	case <-h.waited:
		h.t.Error("the wait is over already")
	case <-time.After(5 * time.Millisecond):
	}
}

func TestAWaitEndsWithItsClient(t *testing.T) {
	h := newHouse(t, player("off", "", resting))
	l := h.dial()
	if _, err := fmt.Fprintf(l.c, waitForOff, 0); err != nil {
		t.Fatal(err)
	}
	h.stillWaits()
	l.c.Close()
	select {
	case <-h.waited:
	case <-time.After(patience):
		t.Error("it goes on waiting for nobody")
	}
}

func TestAWaitHoldsUpNobodyElse(t *testing.T) {
	h := newHouse(t, player("off", "", resting))
	if _, err := fmt.Fprintf(h.dial().c, waitForOff, 0); err != nil {
		t.Fatal(err)
	}
	if reply := h.dial().ask(`{"jsonrpc":"2.0","method":"service.list","id":1}`); !strings.Contains(reply, `["off"]`) {
		t.Error(reply)
	}
}

// With settle a wait ends when it becomes hopeless, and not before.
func TestAWaitSettles(t *testing.T) {
	h := newHouse(t, player("web", "", checked("3", ""), stays))
	l := h.dial()
	if _, err := fmt.Fprintf(l.c, `{"jsonrpc":"2.0","method":"service.wait","params":{"names":["web"],"state":"up","settle":true},"id":1}`+"\n"); err != nil {
		t.Fatal(err)
	}
	h.wait("web", "starting")
	h.stillWaits()
	h.k.end(h.k.find("web"), reap.ExitCode(9))
	reply, err := l.in.ReadString('\n')
	if want := `"result":{"reached":false,"services":[{"error":"exit code 9","hopeless":true,"name":"web","reached":false,"state":"failed"}]}`; err != nil || !strings.Contains(reply, want) {
		t.Errorf("%v: %s", err, reply)
	}
}

func TestAWaitHearsOfTheEnd(t *testing.T) {
	h := newHouse(t, player("off", "", resting))
	l := h.dial()
	if _, err := fmt.Fprintf(l.c, waitForOff, 0); err != nil {
		t.Fatal(err)
	}
	h.stillWaits()
	h.s.sup.Shutdown()
	reply, err := l.in.ReadString('\n')
	if err != nil || !strings.Contains(reply, `"message":"supervisor not available"`) {
		t.Errorf("%v: %s", err, reply)
	}
}

// logs.get: the last hundred lines, unless another number is asked for.
func TestLogLines(t *testing.T) {
	var said strings.Builder
	for n := 1; n <= 150; n++ {
		fmt.Fprintf(&said, "%d,", n)
	}
	h := newHouse(t,
		player("talks", "say="+said.String()+" exit=0", stays),
		player("cries", "cry=oops, exit=0", stays),
		player("mumbles", "say=no.newline exit=0", stays),
		player("floods", "say="+strings.Repeat("x", 70_000)+", exit=0", stays),
		player("fails", "exit=1", stays),
	)
	h.wait("talks cries mumbles floods", "exited")
	h.wait("fails", "failed")
	l := h.dial()
	lines := func(params string) []string {
		reply := settled(l.ask(`{"jsonrpc":"2.0","method":"logs.get","params":` + params + `,"id":1}`))
		reply = strings.TrimPrefix(reply, `{"jsonrpc":"2.0","id":1,"result":["`)
		return strings.Split(strings.TrimSuffix(reply, `"]}`), `","`)
	}
	for _, c := range []struct {
		params      string
		count       int
		first, last string
	}{
		{`{"name":"talks"}`, 100, "[stdout] 51", "[stdout] 150"},
		{`{"name":"talks","lines":"many"}`, 100, "[stdout] 51", "[stdout] 150"},
		{`{"name":"talks","lines":3}`, 3, "[stdout] 148", "[stdout] 150"},
		{`{"lines":1000,"name":"talks"}`, 150, "[stdout] 1", "[stdout] 150"},
		{`{"name":"cries"}`, 1, "[stderr] oops", "[stderr] oops"},
		{`{"name":"mumbles"}`, 1, "[stdout] no.newline", "[stdout] no.newline"},
		{`{"name":"fails"}`, 1, "[zinit] exit code 1", "[zinit] exit code 1"},
	} {
		got := lines(c.params)
		const when = "1795196509387 "
		if len(got) != c.count || got[0] != when+c.first || got[len(got)-1] != when+c.last {
			t.Errorf("%s: %d lines from %q to %q, want %d from %q to %q", c.params, len(got), got[0], got[len(got)-1], c.count, c.first, c.last)
		}
	}
	if got := lines(`{"name":"floods"}`); !strings.HasSuffix(got[0], "x [cut]") {
		t.Errorf("a line that was cut is not marked: %d lines, the first ends with %q", len(got), got[0][max(0, len(got[0])-20):])
	}
}
