package pump

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The deletion of a directory is told by its parent: its own end comes only when
// the last deleted file in it is closed, and we hold them open.
const (
	dirMask    = unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	parentMask = unix.IN_MOVE_SELF | unix.IN_DELETE | unix.IN_ONLYDIR
)

// Watch has the pump make the directory of the stores again when it goes; without
// the watch only those stores are made again that are opened later. It is called
// once at most, with the descriptor of an earlier watch, or nil.
//
// stirred is called on the pump's goroutine, before the directory is made again, when
// it, or something beside it, was deleted or moved away: so that whoever owns the
// directory that it is in can look at that first.
//
// The kernel takes 10 ms and more to close the last descriptor of a watch, also when
// a process was killed. So the caller gets a copy for another process to hold, which
// goes on in the next call; both files are the caller's to close.
func (p *Pump) Watch(left *os.File, stirred func()) (copied *os.File, err error) {
	if p.dir == "" {
		return nil, nil
	}
	fd := -1
	if left == nil {
		fd, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	} else {
		fd, err = duplicate(left)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", p.dir, err)
	}
	p.mu.Lock()
	p.notify, p.stirred = fd, stirred
	p.watchPaths()
	err = p.add(fd, notifyID)
	p.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", p.dir, err)
	}
	second, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("cannot copy the watch over %s: %w", p.dir, err)
	}
	return os.NewFile(uintptr(second), "watch"), nil
}

// duplicate is another descriptor of a file, which does not block.
func duplicate(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	failed := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3) })
	if err = errors.Join(failed, err); err != nil {
		return -1, err
	}
	return fd, unix.SetNonblock(fd, true)
}

// Unwatch ends the watch over the directory, soon: a process that has to end quickly
// does that while it still has other things to wait for.
func (p *Pump) Unwatch() {
	p.mu.Lock()
	p.unwatched = true
	p.mu.Unlock()
	p.wake()
}

// endWatch carries that out. The number is forgotten on the goroutine that reads
// from it, before something else can get it.
func (p *Pump) endWatch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fd := p.notify; p.unwatched && fd >= 0 {
		p.notify = -1
		_ = unix.EpollCtl(p.ep, unix.EPOLL_CTL_DEL, fd, nil) // it was added under this number
		go unix.Close(fd)
	}
}

// watchPaths watches what the path leads to now; the same again is no change.
func (p *Pump) watchPaths() {
	_, _ = unix.InotifyAddWatch(p.notify, filepath.Dir(p.dir), parentMask)
	_, _ = unix.InotifyAddWatch(p.notify, p.dir, dirMask)
	p.dirID = identity(p.dir)
}

// fileID is which file a path leads to; the zero fileID is none.
type fileID struct{ dev, ino uint64 }

func identity(path string) fileID {
	var s unix.Stat_t
	if unix.Stat(path, &s) != nil {
		return fileID{}
	}
	return fileID{uint64(s.Dev), s.Ino}
}

// directoryChanged answers the events of inotify.
func (p *Pump) directoryChanged() {
	p.mu.Lock()
	fd := p.notify
	p.mu.Unlock()
	var b [4096]byte
	for {
		if n, err := unix.Read(fd, b[:]); n <= 0 || err != nil {
			break
		}
	}
	if p.stirred != nil {
		p.stirred()
	}
	if id := identity(p.dir); id != (fileID{}) && id == p.dirID {
		p.watchPaths() // a number may come back
		return
	}
	// What cannot be made again stays as it is: deleted files go on working for
	// those who have them open.
	_ = os.MkdirAll(p.dir, 0o700)
	p.watchPaths()
	p.gone()
}
