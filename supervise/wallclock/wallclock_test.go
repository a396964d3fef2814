package wallclock

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A timer that goes off in place of the clock being set: as root of a machine one
// could set that, and disturb everybody.
func TestWhatEndsAWaitIsTold(t *testing.T) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	at := &unix.ItimerSpec{Value: unix.Timespec{Sec: 1}} // long ago
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME, at, nil); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "timerfd")
	set, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		watch(f, set)
	}()
	<-set
	f.Close()
	<-ended
	if len(set) != 0 {
		t.Error("told twice")
	}
}

func TestNothingIsToldWhileNobodySetsTheClock(t *testing.T) {
	set, stop, err := Watch()
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if len(set) != 0 {
		t.Error("the clock is said to have been set")
	}
}
