package supervise

import (
	"fmt"
	"slices"
	"testing"

	"zinit/reap"
)

// TestProcessesOfZinitItself are told of to whoever has started them, and to nobody else.
func TestProcessesOfZinitItself(t *testing.T) {
	b := newBench()
	b.c.load(services(t, "web"), reap.Inventory{})
	b.c.turn()
	var heard []string
	b.c.House = func(ev reap.Event) { heard = append(heard, fmt.Sprintf("%T %s", ev, keyOf(ev))) }
	for _, ev := range []reap.Event{
		reap.Spawned{Key: "@shell", Run: 1, Pid: 5},
		reap.Spawned{Key: "web", Run: 1, Pid: 6},
		reap.Exited{Key: "@shell", Run: 1, Pid: 5},
		reap.SpawnFailed{Key: "@shell", Run: 2},
		reap.Exited{Key: "web", Run: 1, Pid: 6},
	} {
		b.c.keeperEvent(ev)
	}
	want := []string{"reap.Spawned @shell", "reap.Exited @shell", "reap.SpawnFailed @shell"}
	if !slices.Equal(heard, want) {
		t.Errorf("heard were %q, not %q", heard, want)
	}
}
