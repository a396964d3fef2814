package notify

import (
	"bytes"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A Line is a notification descriptor (s6-notifyoncheck(8) describes it): the first line
// feed means that the service is ready, whatever stands before it.
type Line struct {
	file *os.File // non-blocking, in the netpoller

	mu   sync.Mutex // held from a read until what it means is delivered
	over bool       // guarded by mu; it was said, or nobody is left who could
}

// NewLine makes a line of the read end of a pipe, which the caller goes on owning.
func NewLine(r *os.File) *Line { return &Line{file: r} }

// Serve returns when deliver was called, or when every write end is closed, or the read
// end is.
func (l *Line) Serve(deliver func(Notice)) error {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		var over bool
		over, failed = l.read(int(fd), deliver)
		return over
	})
	if failed != nil || err == nil {
		return failed
	}
	return nil // it was closed
}

// Drain delivers what has been said by now, and waits for nothing.
func (l *Line) Drain(deliver func(Notice)) {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return
	}
	// Serve tells of a failure; once it is closed nobody hears it any more.
	_ = raw.Control(func(fd uintptr) { _, _ = l.read(int(fd), deliver) })
}

// read reads what is there.
func (l *Line) read(fd int, deliver func(Notice)) (over bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var buf [512]byte
	for !l.over {
		n, err := unix.Read(fd, buf[:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return false, nil
		case err != nil:
			l.over = true
			return true, fmt.Errorf("cannot read notification descriptor: %w", err)
		case n == 0:
			l.over = true
		case bytes.IndexByte(buf[:n], '\n') >= 0:
			l.over = true
			deliver(Notice{FromFD: true, Ready: true})
		}
	}
	return true, nil
}
