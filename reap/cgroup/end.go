package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// firstPause is how long the members of a group are waited for before they are killed
// again; the pause doubles. Who is still there then came in meanwhile, or is held by the
// kernel.
const firstPause = 100 * time.Millisecond

// End kills every process of a group and of those below it, and returns when none
// lives there, or with an error when that cannot be seen or done, or when one survives
// that for as long as limit. Unlike after Kill, the group is as good as new.
func End(dir string, limit time.Duration) error {
	lives, err := Populated(dir)
	if err != nil || !lives {
		return err // as nearly always
	}
	// Watched before it is looked at again: whoever ends in between is noticed.
	changes := watchEvents(dir)
	if changes != nil {
		defer changes.Close()
	}
	until := time.Now().Add(limit)
	for pause := firstPause; ; pause *= 2 {
		left := time.Until(until)
		if left <= 0 {
			return fmt.Errorf("a process of %s survives SIGKILL", dir)
		}
		if err := killEach(dir); err != nil {
			return err
		}
		if gone, err := vacated(dir, changes, min(pause, left)); err != nil || gone {
			return err
		}
	}
}

// watchEvents tells when the last process of a group has ended, or a first one has
// come; nil: nobody can.
func watchEvents(dir string) *os.File {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil
	}
	if _, err := unix.InotifyAddWatch(fd, filepath.Join(dir, EventsFile), unix.IN_MODIFY); err != nil {
		unix.Close(fd)
		return nil
	}
	return os.NewFile(uintptr(fd), "inotify")
}

// vacated waits until nobody is in a group, but not for long.
func vacated(dir string, changes *os.File, pause time.Duration) (gone bool, err error) {
	if changes == nil || changes.SetReadDeadline(time.Now().Add(pause)) != nil {
		<-time.After(pause)
		lives, err := Populated(dir)
		return !lives, err
	}
	events := make([]byte, 4096)
	for {
		if lives, err := Populated(dir); err != nil || !lives {
			return !lives, err
		}
		_, err := changes.Read(events)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return false, nil
		case err != nil:
			return false, err
		}
	}
}
