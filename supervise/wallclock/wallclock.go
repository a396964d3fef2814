// Package wallclock tells when somebody sets the clock of the machine. It waits in the
// kernel (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET) and never wakes up otherwise.
package wallclock

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// farAway is when the timer that is only waited for to be cancelled would go off, or
// the last moment that the machine's numbers reach.
func farAway() unix.Timespec {
	at, err := unix.TimeToTimespec(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		at = unix.Timespec{Sec: math.MaxInt32}
	}
	return at
}

// Watch returns a channel that gets a value when the clock was set, by whatever
// amount; several settings in a row may be told once. It runs until stop is called.
func Watch() (set <-chan struct{}, stop func(), err error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot watch the clock: %w", err)
	}
	if err := arm(fd); err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	f := os.NewFile(uintptr(fd), "timerfd")
	c := make(chan struct{}, 1)
	go watch(f, c)
	return c, func() { f.Close() }, nil
}

func arm(fd int) error {
	at := &unix.ItimerSpec{Value: farAway()}
	if sec, _ := at.Value.Unix(); sec <= time.Now().Unix() {
		return errors.New("cannot watch the clock: it is past the end of its numbers")
	}
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, at, nil); err != nil {
		return fmt.Errorf("cannot watch the clock: %w", err)
	}
	return nil
}

func watch(f *os.File, set chan<- struct{}) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	var ticks [8]byte
	for {
		_, err := f.Read(ticks[:])
		if err != nil && !errors.Is(err, unix.ECANCELED) {
			return // closed
		}
		var failed error
		if ctl := raw.Control(func(fd uintptr) { failed = arm(int(fd)) }); ctl != nil || failed != nil {
			return
		}
		select {
		case set <- struct{}{}:
		default: // it is still to be heard
		}
	}
}
