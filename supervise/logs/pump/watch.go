package pump

import (
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

// watchDirectory asks to be told when the directory of the stores goes. Without
// the watch only those stores are made again that are opened later.
func (p *Pump) watchDirectory() {
	if p.dir == "" {
		return
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return
	}
	if err = p.add(fd, notifyID); err != nil {
		unix.Close(fd)
		return
	}
	p.notify = fd
	p.watchPaths()
}

// Unwatch ends the watch over the directory, soon. The kernel takes 10 ms to close
// its descriptor: a process that has to end quickly does that while it still has
// other things to wait for.
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
	asked := p.unwatched
	p.mu.Unlock()
	if fd := p.notify; asked && fd >= 0 {
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
	var b [4096]byte
	for {
		if n, err := unix.Read(p.notify, b[:]); n <= 0 || err != nil {
			break
		}
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
