package ports

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"zinit/supervise/proc"
)

// ErrProtected is why Evict signals nobody: one of those in the way may not be
// ended.
var ErrProtected = errors.New("it may not be ended from here")

// Evict ends the holders: SIGTERM to each process, and SIGKILL to those that are
// still there after grace; begins is called before the first signal. It is all or
// nothing: when one of them is process 1, this process, one of its ancestors, ours, or
// cannot be seen, nobody is signalled and the error says who it was and wraps
// ErrProtected. A process that is gone already is no error. It returns when all of them
// have ended, or with an error when one survived SIGKILL for as long as grace again:
// after twice grace at the latest. When ctx ends before that, nobody is signalled any
// more, and its error is returned.
func Evict(ctx context.Context, fs proc.FS, holders []Holder, ours Ours, grace time.Duration, begins func()) error {
	all, err := fs.All()
	if err != nil {
		return err
	}
	tree := proc.NewTree(all)
	var victims []*victim
	defer func() {
		for _, v := range victims {
			unix.Close(v.fd)
		}
	}()
	seen := map[int]bool{}
	for _, h := range holders {
		if h.Pid == 0 {
			return fmt.Errorf("%s: %w", h, ErrProtected)
		}
		p, alive := tree.Find(h.Pid, h.Start)
		if !alive || seen[h.Pid] {
			continue
		}
		seen[h.Pid] = true
		if protected(tree, p) || ours(tree, p) {
			return fmt.Errorf("%s: %w", h, ErrProtected)
		}
		v, err := hold(fs, h)
		if err != nil {
			return err
		}
		if v != nil {
			victims = append(victims, v)
		}
	}
	begins()
	return end(ctx, victims, grace)
}

// protected reports process 1, this process and those it descends from.
func protected(tree *proc.Tree, p proc.Process) bool {
	if p.Pid <= 1 {
		return true
	}
	for pid := os.Getpid(); pid > 0; {
		if p.Pid == pid {
			return true
		}
		up, ok := tree.Find(pid, 0)
		if !ok || up.Ppid == pid {
			return false
		}
		pid = up.Ppid
	}
	return false
}

// A victim is a process that is to end.
type victim struct {
	Holder
	fd int
}

// hold takes hold of a process by a pidfd and makes sure afterwards that it is the
// one that was meant. nil: it is gone. Kernels before 5.3 have no pidfds that can
// be had for a pid: there it is refused, because a kill by number could hit a
// stranger.
func hold(fs proc.FS, h Holder) (*victim, error) {
	fd, err := unix.PidfdOpen(h.Pid, 0)
	switch {
	case err == unix.ESRCH, err == unix.EINVAL, err == unix.ENOENT: // gone, or a thread has the number now
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot end %s (pid %d): %w", h.Name, h.Pid, err)
	}
	if _, err := fs.Lookup(h.Pid, h.Start); err != nil {
		unix.Close(fd)
		if errors.Is(err, proc.ErrGone) {
			return nil, nil
		}
		return nil, err
	}
	return &victim{h, fd}, nil
}

// end signals and waits: one deadline for all after each signal.
func end(ctx context.Context, victims []*victim, grace time.Duration) error {
	if len(victims) == 0 {
		return nil
	}
	quit, err := newBell(ctx)
	if err != nil {
		return err
	}
	defer quit.close()
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, v := range victims {
			if err := unix.PidfdSendSignal(v.fd, sig, nil, 0); err != nil && err != unix.ESRCH {
				return fmt.Errorf("cannot end %s (pid %d): %w", v.Name, v.Pid, err)
			}
		}
		left, err := await(ctx, victims, quit, time.Now().Add(grace))
		if err != nil || len(left) == 0 {
			return err
		}
		victims = left
	}
	return fmt.Errorf("cannot end %s (pid %d): it survived SIGKILL", victims[0].Name, victims[0].Pid)
}

// await waits until all have ended or by has come, and returns who is left.
func await(ctx context.Context, victims []*victim, quit *bell, by time.Time) (left []*victim, err error) {
	left = append(left, victims...)
	for len(left) > 0 {
		rest := time.Until(by)
		if rest <= 0 {
			return left, nil
		}
		fds := make([]unix.PollFd, len(left), len(left)+1)
		for i, v := range left {
			fds[i] = unix.PollFd{Fd: int32(v.fd), Events: unix.POLLIN}
		}
		fds = append(fds, unix.PollFd{Fd: int32(quit.fd), Events: unix.POLLIN})
		if _, err := unix.Poll(fds, int(rest/time.Millisecond)+1); err != nil && err != unix.EINTR {
			return left, fmt.Errorf("cannot wait for processes to end: %w", err)
		}
		if ctx.Err() != nil {
			return left, ctx.Err()
		}
		kept := left[:0]
		for i, v := range left {
			if fds[i].Revents == 0 {
				kept = append(kept, v)
			}
		}
		left = kept
	}
	return nil, nil
}

// A bell is a descriptor that can be read when a context has ended.
type bell struct {
	fd   int
	stop func() bool

	mu     sync.Mutex
	closed bool // guarded by mu
}

func newBell(ctx context.Context) (*bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot wait for processes to end: %w", err)
	}
	b := &bell{fd: fd}
	b.stop = context.AfterFunc(ctx, b.ring)
	return b, nil
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		// It can only fail by being full, and then it can be read.
		_, _ = unix.Write(b.fd, []byte{1, 0, 0, 0, 0, 0, 0, 1})
	}
}

func (b *bell) close() {
	b.stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	unix.Close(b.fd)
}
