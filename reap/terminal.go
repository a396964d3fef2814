package reap

import (
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// A terminal counts what the keeper does about its own controlling terminal.
type terminal struct {
	hangups atomic.Int32 // that the keeper has brought upon itself and not seen yet
}

// OwnHangup reports, once for each, whether the SIGHUP that this process got is only the
// consequence of giving its terminal to a child.
func (k *Keeper) OwnHangup() bool {
	if k.terminal.hangups.Add(-1) >= 0 {
		return true
	}
	k.terminal.hangups.Store(0)
	return false
}

// withTerminal starts a child. Where the terminal that it is to have is the keeper's
// own, the keeper gives that up: a container has one, and its process 1 no use for it.
func (k *Keeper) withTerminal(r *request, start func() (Child, error)) (Child, error) {
	c, err := start()
	if err == unix.EPERM && r.Dress.TTY && k.yield(r.stdin) {
		return start()
	}
	return c, err
}

// yield gives a terminal up if it is this process that controls it. The kernel then
// sends SIGHUP to the foreground, which may be this process itself.
func (k *Keeper) yield(tty int) bool {
	if session, err := unix.IoctlGetInt(tty, unix.TIOCGSID); err != nil || session != os.Getpid() {
		return false
	}
	front, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	own := err == nil && front == syscall.Getpgrp()
	if own {
		k.terminal.hangups.Add(1)
	}
	if err := unix.IoctlSetInt(tty, unix.TIOCNOTTY, 0); err != nil {
		if own {
			k.terminal.hangups.Add(-1)
		}
		return false
	}
	return true
}
