package power

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// planFile is locked by the shutdown that waits: a lock cannot be left behind.
const planFile = "/run/zinit-shutdown"

// claim makes this process the one shutdown that waits.
func claim(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot wait: %w: be root, or say now", err)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock); err != nil {
		f.Close()
		return nil, errors.New("another shutdown waits: cancel it first with shutdown -c")
	}
	return func() {
		_ = os.Remove(path) // what is left is not locked
		f.Close()
	}, nil
}

// cancel ends the shutdown that waits.
func cancel(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("no shutdown waits")
	}
	if err != nil {
		return fmt.Errorf("cannot cancel it: %w: be root", err)
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
		return err
	}
	if lock.Type == unix.F_UNLCK {
		return errors.New("no shutdown waits")
	}
	if err := unix.Kill(int(lock.Pid), unix.SIGTERM); err != nil {
		return fmt.Errorf("cannot cancel it (pid %d): %w", lock.Pid, err)
	}
	return nil
}
