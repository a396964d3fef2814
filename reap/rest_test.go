package reap

import "testing"

// TestAKeeperThatCannotRestGoesOnAtOnce: a program whose file system does not answer keeps
// the keeper from being replaced, and nobody else from anything.
func TestAKeeperThatCannotRestGoesOnAtOnce(t *testing.T) {
	k := &Keeper{lanes: newLanes(), table: NewTable(Hooks{})}
	go k.lanes.work(k.carryOut, func(int) {})
	hangs := make(chan struct{})
	defer close(hangs)
	k.lanes.put("nfs", func() { <-hangs })
	if _, err := k.rest(); err == nil {
		t.Fatal("it rests while a program is being executed")
	}
	if !k.gate.TryLock() || !k.table.forks.TryLock() {
		t.Error("it gave up, and still takes no request of the server, or does not fork")
	}
}
