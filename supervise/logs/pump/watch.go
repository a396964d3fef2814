package pump

import (
	"os"

	"golang.org/x/sys/unix"
)

const goneMask = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

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
	if _, err = unix.InotifyAddWatch(fd, p.dir, goneMask); err == nil {
		err = p.add(fd)
	}
	if err != nil {
		unix.Close(fd)
		return
	}
	p.notify = fd
}

func (p *Pump) directoryGone() {
	var b [4096]byte
	for {
		if n, err := unix.Read(p.notify, b[:]); n <= 0 || err != nil {
			break
		}
	}
	// A directory that cannot be made or watched again leaves the stores as they
	// are: deleted files go on working for those who have them open.
	if os.MkdirAll(p.dir, 0o700) == nil {
		_, _ = unix.InotifyAddWatch(p.notify, p.dir, goneMask)
	}
	p.gone()
}
