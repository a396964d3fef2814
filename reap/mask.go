package reap

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

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

// fromOutside is the signals that others send and that can wait: not those that tell
// a thread of its own mistake, nor those that the runtime sends itself.
func fromOutside() (set unix.Sigset_t) {
	const bits = 8 * unsafe.Sizeof(set.Val[0])
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		switch sig {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGURG, unix.SIGPROF, 32, 33, 34:
		case unix.SIGILL, unix.SIGTRAP, unix.SIGBUS, unix.SIGFPE, unix.SIGSEGV, unix.SIGSTKFLT, unix.SIGSYS:
		default:
			n := uintptr(sig - 1)
			set.Val[n/bits] |= 1 << (n % bits)
		}
	}
	return set
}

// carrier is the signal by which threads are told to change their masks. Go leaves it
// to C libraries and blocks it in no thread.
const carrier = syscall.Signal(34)

// maskTime bounds how long threads may take to change their masks.
const maskTime = time.Second

// What onMask does to the mask of the thread that it interrupts: it sets the bits of
// maskAdd, clears those that are not in maskKeep, and counts the thread.
var (
	maskAdd  uint64 //lint:ignore U1000 onMask reads it
	maskKeep uint64 //lint:ignore U1000 onMask reads it
	maskDone uint32
)

// onMask is the handler of carrier. What it writes becomes the mask of the thread when
// it returns; a system call in a handler would not do, since its return undoes that.
//
//lint:ignore U1000 the kernel calls it
func onMask()

// onMaskPC is its address.
func onMaskPC() uintptr

// blockEverywhere makes signals from outside wait in the kernel, in every thread, and
// returns when those that came before are in their channels. An exec then loses none:
// what waits survives it. Without /proc it knows the calling thread only, which is
// locked to the goroutine, and what comes in the moment before the exec is lost.
//
// An error says that a thread does not answer. An exec would wait for it too.
func blockEverywhere() (unblock func(), err error) {
	runtime.LockOSThread()
	here := blockHere()
	settle := make(chan os.Signal, 1)
	signal.Notify(settle, unix.SIGCONT)
	set := fromOutside()
	bits := *(*uint64)(unsafe.Pointer(&set.Val)) // the kernel's 64 come first
	unblock = func() {
		// Those that had signals blocked before have handlers for all of them by now, and
		// forks begin with a mask of their own.
		_ = maskEverywhere(0, ^bits)
		here()
		runtime.UnlockOSThread()
	}
	if err := maskEverywhere(bits, ^uint64(0)); err != nil {
		signal.Stop(settle)
		unblock()
		return nil, err
	}
	// Stop waits until what the runtime has taken was delivered. That it is about this
	// signal has no further effect: somebody else is notified of it too, see holdSignals.
	signal.Stop(settle)
	return unblock, nil
}

// maskEverywhere changes the masks of all threads but the calling one, to which the
// goroutine is locked.
func maskEverywhere(add, keep uint64) error {
	names, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil
	}
	var before, action sigaction
	if !action.of(unix.SIGCONT) || !before.of(carrier) { // Go's, with its flags
		return nil
	}
	action[0] = onMaskPC()
	maskAdd, maskKeep = add, keep
	atomic.StoreUint32(&maskDone, 0)
	action.install(carrier)
	defer before.install(carrier)
	told, self := uint32(0), unix.Gettid()
	for _, name := range names {
		if tid, err := strconv.Atoi(name.Name()); err == nil && tid != self && unix.Tgkill(os.Getpid(), tid, carrier) == nil {
			told++
		}
	}
	for late := time.Now().Add(maskTime); atomic.LoadUint32(&maskDone) < told; <-time.After(50 * time.Microsecond) {
		if time.Now().After(late) {
			return errors.New("a thread of this process does not answer: what it writes to or reads from may hang")
		}
	}
	return nil
}

// A sigaction is struct sigaction of the kernel, which begins with the handler, and
// room.
type sigaction [8]uintptr

func (a *sigaction) of(sig syscall.Signal) bool {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), 0, uintptr(unsafe.Pointer(a)), 8, 0, 0)
	return errno == 0
}

func (a *sigaction) install(sig syscall.Signal) {
	// It cannot fail with what of has read.
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(a)), 0, 8, 0, 0)
}

// deadly are the signals that Go's runtime does not let a thread block, whatever mask
// it was started with: a program that begins is open to them before it has handlers.
var deadly = [...]syscall.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT, unix.SIGTERM}

// ignoreDeadly has the kernel drop them, also while the next program begins: one that
// is lost can be sent again, one that waits would end that program at its birth. The
// runtime leaves it so for SIGHUP and SIGINT until they are asked for, and for the
// others until it has set itself up.
func ignoreDeadly() (restore func()) {
	var before [len(deadly)]sigaction
	for i, sig := range deadly {
		if !before[i].of(sig) {
			continue
		}
		ignoring := before[i]
		ignoring[0] = sigIgn
		ignoring.install(sig)
	}
	return func() {
		for i, sig := range deadly {
			if before[i] != (sigaction{}) {
				before[i].install(sig)
			}
		}
	}
}

// holdSignals keeps the runtime from changing masks when blockEverywhere begins and
// ends to listen.
func holdSignals() { signal.Notify(make(chan os.Signal, 1), unix.SIGCONT) }

// blockHere is blockEverywhere for the calling thread.
func blockHere() (unblock func()) {
	var before unix.Sigset_t
	set := fromOutside()
	// Neither call can fail with these arguments.
	_ = unix.PthreadSigmask(unix.SIG_BLOCK, &set, &before)
	return func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) }
}
