package reap

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrStranger says that a pid now belongs to another process.
var ErrStranger = errors.New("the pid belongs to another process")

// SignalByPidfd signals a process that is not a child of this one, if it is still
// the one that started then (see StartTime). It is for when the keeper is dead: a
// child of a living keeper is signalled through Client.Signal. A process that is
// gone gives ESRCH, one that cannot be told from a stranger is left alone.
func SignalByPidfd(pid int, start uint64, sig syscall.Signal) error {
	// The descriptor first: what the check finds is then what the signal reaches.
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case err == unix.ENOSYS || err == unix.EPERM || err == unix.EMFILE || err == unix.ENFILE:
		// Kernels before 5.3. Between check and signal the pid could in theory be
		// reused; it would take a full turn of the pid counter.
		if err := checkStart(pid, start); err != nil {
			return err
		}
		return unix.Kill(pid, sig)
	case err != nil:
		return err
	}
	defer unix.Close(fd)
	if err := checkStart(pid, start); err != nil {
		return err
	}
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}

// SignalGroup signals a process like SignalByPidfd, and the rest of the group that
// it leads, if it does: each gets the signal once.
func SignalGroup(pid int, start uint64, sig syscall.Signal) error {
	if err := SignalByPidfd(pid, start, 0); err != nil {
		return err
	}
	// The number of a group is nobody's pid for as long as one of the group lives.
	if err := unix.Kill(-pid, sig); err != unix.ESRCH {
		return err
	}
	return SignalByPidfd(pid, start, sig)
}

func checkStart(pid int, start uint64) error {
	now, err := StartTime(pid)
	switch {
	case errors.Is(err, unix.ENOENT) && unix.Kill(pid, 0) == unix.ESRCH:
		return unix.ESRCH
	case err != nil:
		return fmt.Errorf("cannot read the start time of pid %d: %w", pid, err)
	case now != start:
		return ErrStranger
	}
	return nil
}
