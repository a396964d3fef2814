package reap

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// A server that takes no signals for a while is told of each kind afterwards, however
// many there are of others.
func TestAFloodOfSignalsTakesNoRoomFromOtherKinds(t *testing.T) {
	k := bare()
	for range 1000 {
		k.Forward(unix.SIGHUP)
		k.Forward(unix.SIGUSR1)
	}
	k.Forward(unix.SIGTERM)
	if waiting := len(k.pending); waiting != 2*maxPending+1 || !slices.Contains(k.pending, unix.SIGTERM) {
		t.Fatalf("%d wait: %v", waiting, k.pending)
	}
	k.took(unix.SIGHUP)
	k.Forward(unix.SIGHUP)
	if last := k.pending[len(k.pending)-1]; last != unix.SIGHUP {
		t.Errorf("the last is %v: there was room for another one", last)
	}
}
