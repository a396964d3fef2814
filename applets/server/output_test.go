package server

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"zinit/sock"
)

// talkers is a house in which one service has said something on both streams, and
// one has said nothing.
func talkers(t *testing.T) *house {
	h := newHouse(t, player("talk", "say=one,two, cry=oops, exit=0", "oneshot = true"), player("mute", ""))
	h.wait("talk", "exited")
	h.wait("mute", "running")
	return h
}

func TestRepliesAboutOutput(t *testing.T) {
	golden(t, talkers(t).dial(), "server_logs")
}

// TestLinesSinceAMoment: the times are those at which the lines were read, so that
// one that was shown can be asked from again.
func TestLinesSinceAMoment(t *testing.T) {
	l := talkers(t).dial()
	since := func(ms int64) (lines []sock.LogLine) {
		reply := l.ask(fmt.Sprintf(`{"jsonrpc":"2.0","method":"logs.filter","params":{"service":"talk","since":%d},"id":1}`, ms))
		if err := json.Unmarshal([]byte(reply), &struct{ Result any }{&lines}); err != nil {
			t.Fatal(err)
		}
		return lines
	}
	all := since(0)
	if len(all) != 3 {
		t.Fatalf("there are the lines %v", all)
	}
	if got := since(all[0].TimestampMs); len(got) != 3 {
		t.Errorf("since the first there are %v", got)
	}
	if got := since(time.Now().Add(time.Hour).UnixMilli()); len(got) != 0 {
		t.Errorf("in an hour there are %v", got)
	}
}
