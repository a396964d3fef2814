package machine

import (
	"syscall"
	"testing"
	"time"
)

// What a service that hung leaves behind was never told to stop: it is killed at once,
// and not after the stop timeout.
func TestDebrisOfAWatchdogStopIsKilledAtOnce(t *testing.T) {
	now := time.Unix(1000, 0)
	s := New(&Rules{Readiness: ByNotice, Watchdog: time.Second, StopTimeout: time.Hour, StartTimeout: time.Hour, StopSignal: syscall.SIGTERM, KillScope: Group})
	step := func(ev Event) (actions []Action) {
		s, actions = Step(s, ev, now)
		return actions
	}
	step(Wanted{})
	step(DepsMet{})
	step(Spawned{Run: 1})
	step(Notified{Run: 1, Ready: true})
	now = now.Add(2 * time.Second)
	step(Ticked{})
	if st, ok := s.State.(Stopping); !ok || st.Why.Kind != WatchdogTimeout {
		t.Fatalf("it is %+v", s.State)
	}
	want := Signal{Run: 1, Sig: syscall.SIGKILL, Scope: Group}
	actions := step(ProcessGone{Run: 1, Outcome: Outcome{Signal: syscall.SIGABRT}, Lingers: true})
	if len(actions) != 1 || actions[0] != want {
		t.Errorf("it does %+v, want %+v", actions, want)
	}
}
