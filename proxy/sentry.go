package proxy

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A Sentry tells when somebody comes to a Held. It takes nothing of what is there, and
// nothing wakes up while nobody comes. It is safe for concurrent use.
type Sentry struct {
	epoll *os.File // in the netpoller, as a descriptor like others

	mu   sync.Mutex
	came map[int32]func() // guarded by mu; by descriptor, of what is heeded
}

// NewSentry makes one; it lives as long as the process.
func NewSentry() (*Sentry, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot watch sockets: %w", err)
	}
	s := &Sentry{epoll: os.NewFile(uintptr(fd), "epoll"), came: map[int32]func(){}}
	raw, err := s.epoll.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("cannot watch sockets: %w", err)
	}
	go func() { _ = raw.Read(s.serve) }() // it ends with the process
	return s, nil
}

// serve passes on what has come, and asks for more.
func (s *Sentry) serve(fd uintptr) (done bool) {
	var events [16]unix.EpollEvent
	for {
		n, err := unix.EpollWait(int(fd), events[:], 0)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			return false // wait in the netpoller
		}
		for _, e := range events[:n] {
			s.mu.Lock()
			came := s.came[e.Fd]
			delete(s.came, e.Fd)
			s.mu.Unlock()
			if came != nil {
				came()
			}
		}
	}
}

// Heed calls came once when somebody is there: at once if there is already. It must
// not block. Nobody is heeded twice: the later call counts.
func (s *Sentry) Heed(h *Held, came func()) error {
	return s.change(h, func(epoll, fd int) error {
		s.came[int32(fd)] = came
		e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(fd)}
		err := unix.EpollCtl(epoll, unix.EPOLL_CTL_MOD, fd, &e)
		if err == unix.ENOENT {
			err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &e)
		}
		return err
	})
}

// Forget ends that; it must be called before a Held that was heeded is closed.
func (s *Sentry) Forget(h *Held) {
	// It fails for one that was never heeded.
	_ = s.change(h, func(epoll, fd int) error {
		delete(s.came, int32(fd))
		return unix.EpollCtl(epoll, unix.EPOLL_CTL_DEL, fd, nil)
	})
}

func (s *Sentry) change(h *Held, f func(epoll, fd int) error) error {
	raw, err := s.epoll.SyscallConn()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ctlErr := raw.Control(func(epoll uintptr) {
		err = h.with(func(fd int) error { return f(int(epoll), fd) })
	})
	if ctlErr != nil {
		return ctlErr
	}
	return err
}
