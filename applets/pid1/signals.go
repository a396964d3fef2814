package pid1

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// catchSignals catches every signal that can be caught, so that none ends this
// process: the Go runtime would exit on most of them, as process 1 too. SIGCHLD is
// package reap's and SIGURG the runtime's own. The runtime leaves 32 to 34, which C
// libraries use among their threads, alone: the kernel spares process 1 those.
func catchSignals() <-chan os.Signal {
	var all []os.Signal
	for sig := syscall.Signal(1); sig <= lastSignal; sig++ {
		switch sig {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGURG:
		default:
			all = append(all, sig)
		}
	}
	// What does not fit is lost; room for one of each is room enough for people.
	c := make(chan os.Signal, lastSignal)
	signal.Notify(c, all...)
	handOver(c)
	return c
}

const lastSignal = 64

// terminals lists which of the standard descriptors are terminals.
func terminals() []int {
	var list []int
	for fd := range 3 {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			list = append(list, fd)
		}
	}
	return list
}

// hungUp reports whether a terminal of the list is gone. That tells the SIGHUP of
// a closed terminal from the one that somebody sends to have the configuration
// read again.
func hungUp(terminals []int) bool {
	for _, fd := range terminals {
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == unix.EIO {
			return true
		}
	}
	return false
}
