package reap

import (
	"math"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// parkedThreads is how many threads are made before the first service starts. A
// thread that is refused (process limit reached) ends the Go runtime, and with it
// the keeper, so what it will ever need exists beforehand: reaper, workers,
// channel reader and sender, holder, signals, garbage collector, and spares.
const parkedThreads = 16

// parkThreads makes the threads. Each goroutine is locked to its thread until all
// are there, so there are as many; the runtime keeps idle threads for ever.
func parkThreads() {
	var here, gone sync.WaitGroup
	here.Add(parkedThreads)
	for range parkedThreads {
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
	const first = 3
	if unix.CloseRange(first, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	// Kernels before 5.11: what an inherited descriptor's number can be is known to
	// /proc, and where that is missing the first thousand is nearly always all.
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		for fd := first; fd < 1024; fd++ {
			unix.CloseOnExec(fd)
		}
		return
	}
	for _, name := range names {
		if fd, err := strconv.Atoi(name.Name()); err == nil && fd >= first {
			unix.CloseOnExec(fd)
		}
	}
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
	var action [8]uintptr // struct sigaction of the kernel begins with the handler
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), 0,
		uintptr(unsafe.Pointer(&action)), 8, 0, 0)
	if errno != 0 {
		return 0
	}
	return action[0]
}

// maskInherited reports whether this process was started with blocked signals.
func maskInherited() bool {
	var set unix.Sigset_t
	if unix.PthreadSigmask(unix.SIG_SETMASK, nil, &set) != nil {
		return false
	}
	return set != unix.Sigset_t{}
}

// unmasked calls f on a thread without blocked signals; what is forked there
// begins without them.
func unmasked(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.Sigset_t
	// Neither call can fail with these arguments.
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), &before)
	defer func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) }()
	f()
}
