package reap

import (
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAnOutboxThatIsClosedHoldsUpNobody, whatever its senders are about: neither who
// closes it nor who sends at that moment.
func TestAnOutboxThatIsClosedHoldsUpNobody(t *testing.T) {
	before := len(openFiles(os.Getpid()))
	for n := range 1000 {
		ours, theirs, err := socketPair()
		if err != nil {
			t.Fatal(err)
		}
		file, raw, err := pollable(ours, "channel")
		if err != nil {
			t.Fatal(err)
		}
		o := newOutbox(file, raw)
		var all sync.WaitGroup
		all.Go(o.run)
		for range 3 {
			all.Go(func() {
				for range 20 {
					o.add(&Signaled{unix.SIGHUP})
					o.flush()
					notify(o.wake)
				}
			})
		}
		all.Go(func() {
			_ = unix.Shutdown(ours, unix.SHUT_RDWR)
			o.close()
		})
		done := make(chan struct{})
		go func() { all.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatalf("round %d: somebody waits for ever", n)
		}
		unix.Close(theirs)
	}
	if err := eventually("the sockets are closed", func() bool { return len(openFiles(os.Getpid())) <= before+2 }); err != nil {
		t.Errorf("%v: %d, before %d", err, len(openFiles(os.Getpid())), before)
	}
}
