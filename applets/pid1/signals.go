package pid1

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"zinit/applets/env"
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

// A meaning is what a signal to the keeper is. Each signal has one at most.
type meaning uint8

const (
	nothing       meaning = iota
	anEnd                 // goalOf says of what, and how
	anotherServer         // the server is replaced
	anotherKeeper         // so is this program, in place
	aReport               // the states of all services go to the log
	aReload               // of the configuration; or the terminal is gone
)

// meaningOf is what a signal means; with reports SIGUSR1 asks for one.
func meaningOf(sig syscall.Signal, r role, reports bool) meaning {
	_, ends := goalOf(sig, r)
	switch {
	case ends:
		return anEnd
	case sig == unix.SIGUSR1 && reports:
		return aReport
	case sig == unix.SIGUSR1, sig == env.ReplaceSignal:
		return anotherServer
	case sig == unix.SIGUSR2:
		return anotherKeeper
	case sig == unix.SIGHUP:
		return aReload
	}
	return nothing
}

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
