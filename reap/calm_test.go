package reap

import (
	"bytes"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestGarbageIsCollectedWhenThereIsMuch: and never while something forks.
func TestGarbageIsCollectedWhenThereIsMuch(t *testing.T) {
	var forks sync.RWMutex
	c := calm{forks: &forks}
	c.leave(tooMuch - 1)
	c.tidy()
	if n := c.garbage.Load(); n != tooMuch-1 {
		t.Errorf("little was collected: %d are left", n)
	}
	c.leave(1)
	forks.RLock()
	c.tidy()
	if n := c.garbage.Load(); n != tooMuch {
		t.Errorf("collected beside a fork: %d are left", n)
	}
	forks.RUnlock()
	c.tidy()
	if n := c.garbage.Load(); n != 0 {
		t.Errorf("%d are left", n)
	}
	c.leave(worthwhile - 1)
	c.check()
	if n := c.garbage.Load(); n != worthwhile {
		t.Errorf("at rest %d are left: too little was collected, or a look at the mappings counts for nothing", n)
	}
	c.check()
	if n := c.garbage.Load(); n != 0 {
		t.Errorf("at rest %d are left", n)
	}
}

// TestAnOrphanLeavesNothingBehind: tens of thousands may end at once.
func TestAnOrphanLeavesNothingBehind(t *testing.T) {
	var start uint64
	if n := testing.AllocsPerRun(100, func() { start, _ = StartTime(os.Getpid()) }); n != 0 || start == 0 {
		t.Errorf("to ask for a start time (%d) allocates %v times", start, n)
	}
}

// TestALastingBufferIsEmptiedBetweenPackets: what comes after a large one is whole.
func TestALastingBufferIsEmptiedBetweenPackets(t *testing.T) {
	mine, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(mine)
	defer unix.Close(theirs)
	recv := (&receiver{fd: mine}).lasting()
	if !recv.mapped {
		t.Fatal("it has no pages of its own")
	}
	for _, size := range []int{1, maxPacket, 1, maxPacket, 3 * keptPages, 2} {
		want := bytes.Repeat([]byte{byte(size)}, size)
		if err := send(theirs, &packet{buf: want}, 0); err != nil {
			t.Fatal(err)
		}
		got, _, _, err := recv.next()
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: %d came (%v)", size, len(got), err)
		}
	}
	recv.rest()
	if recv.buf[0] != 2 {
		t.Error("a small packet is not worth a system call")
	}
	recv.filled = maxPacket
	recv.rest()
	if recv.buf[0] != 0 {
		t.Error("a large one is still there")
	}
}
