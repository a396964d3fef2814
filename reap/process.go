package reap

import (
	"math"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// parkedThreads is how many the keeper makes before the first service starts: reaper,
// workers, channel reader and sender, holder, signals, garbage collector, and spares.
const parkedThreads = 16

// ParkThreads has the process own n threads beside those that are in use now. A thread
// that is refused (the limit on processes is reached) ends the Go runtime, and with it
// the process, so what it will ever need had better exist beforehand. Each goroutine is
// locked to its thread until all are there, so there are as many; the runtime keeps idle
// threads for ever.
func ParkThreads(n int) {
	var here, gone sync.WaitGroup
	here.Add(n)
	for range n {
		gone.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			here.Done()
			here.Wait()
		})
	}
	gone.Wait()
}

// closeOnExec marks what this process inherited beyond the standard descriptors,
// so that no child inherits it in turn. What is opened later is born that way.
func closeOnExec() {
	if unix.CloseRange(firstOwn, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	for _, fd := range openNow() { // kernels before 5.11
		unix.CloseOnExec(fd)
	}
}

// closeInherited closes what this process inherited beyond the standard
// descriptors. What the runtime has opened is close-on-exec, what survived an exec is
// not.
func closeInherited() {
	for _, fd := range openNow() {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
}

// firstOwn follows the standard descriptors.
const firstOwn = 3

// openNow lists the descriptors beyond the standard ones, and numbers that may be
// none.
func openNow() (list []int) {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		// No /proc: the first thousand is nearly always all.
		for fd := firstOwn; fd < 1024; fd++ {
			list = append(list, fd)
		}
		return list
	}
	for _, name := range names {
		if fd, err := strconv.Atoi(name.Name()); err == nil && fd >= firstOwn {
			list = append(list, fd)
		}
	}
	return list
}

// catchIgnored catches, and drops, each signal that this process was started to
// ignore. It goes on ignoring them, but what is ignored survives exec, what is
// caught does not: the children begin with defaults.
func catchIgnored() {
	var caught []os.Signal
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if disposition(sig) == sigIgn {
			caught = append(caught, sig)
		}
	}
	if len(caught) > 0 {
		signal.Notify(make(chan os.Signal, 1), caught...)
	}
}

const sigIgn = 1

func disposition(sig syscall.Signal) uintptr {
	var action sigaction
	action.of(sig) // zero, the default, when the kernel does not say
	return action[0]
}
