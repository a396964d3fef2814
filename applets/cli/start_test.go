package cli

import (
	"testing"

	"zinit/sock"
)

func TestStatesInTheWordsOfSiderosStart(t *testing.T) {
	for _, c := range []struct {
		state string
		pid   int
		next  int64
		want  string
	}{
		{sock.Inactive, 0, 0, "inactive"},
		{sock.Blocked, 0, 0, "inactive"},
		{sock.Starting, 7, 0, "starting"},
		{sock.Running, 7, 0, "active"},
		{sock.Running, 0, 0, "active"}, // a oneshot that remains
		{sock.Running, 7, 60000, "active"},
		{sock.Stopping, 7, 0, "stopping"},
		{sock.Exited, 0, 0, "inactive"},
		{sock.Exited, 0, 500, "restarting"},
		{sock.Failed, 0, 0, "failed"},
		{sock.Failed, 0, 500, "restarting"},
	} {
		r := &sock.ServiceInfo{}
		r.State.State, r.State.PID, r.NextStartMs = c.state, c.pid, c.next
		if got := siderosState(r); got != c.want {
			t.Errorf("%s, pid %d, next start in %d ms: %s, want %s", c.state, c.pid, c.next, got, c.want)
		}
	}
}
