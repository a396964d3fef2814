package sock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketMode is the mode of the socket file: its user and group, nobody else.
const socketMode = 0o660

// maxPath is the longest path of a socket that the kernel takes.
const maxPath = 107

// Listen makes the socket at path and listens on it. Missing directories above
// it are made. A socket on which nobody answers is replaced; one on which a
// server answers is left alone, and so is everything that is no socket: a file,
// a directory, a link to whatever.
//
// Two servers that start at once take turns, by a lock on the file path.lock,
// which stays where it is: to remove it would let a third one lock another file
// of that name. Closing the listener does not remove the socket file
// (SetUnlinkOnClose changes that): who listens next replaces it.
func Listen(path string) (*net.UnixListener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("socket %s: the path has %d bytes, at most %d fit: choose a shorter one", path, len(path), maxPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the directory of socket %s: %w", path, err)
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	defer lock.Close() // gives up the lock
	if err := clear(path); err != nil {
		return nil, err
	}
	return bind(path)
}

// FromFile adopts a listening socket that another process kept. The file
// remains the caller's, to close or to keep.
func FromFile(f *os.File) (*net.UnixListener, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("cannot adopt socket %s: %w", f.Name(), err)
	}
	ul, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("cannot adopt socket %s: it is no unix socket", f.Name())
	}
	ul.SetUnlinkOnClose(false)
	return ul, nil
}

// lockFile waits for the lock; nobody holds it for longer than a bind takes.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open lock file: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	return f, nil
}

// clear makes room at path if what is there is a socket without a server.
func clear(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot look at socket %s: %w", path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("socket %s: there is %s: move it away or choose another path", path, kindOf(info))
	}
	probe, err := net.Dial("unix", path)
	switch {
	case err == nil:
		probe.Close()
		return fmt.Errorf("another zinit server answers on %s: stop it or choose another path", path)
	case errors.Is(err, unix.EAGAIN): // its queue is full, so there is one
		return fmt.Errorf("another zinit server listens on %s: stop it or choose another path", path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case !errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("socket %s: cannot tell whether a server answers: %w", path, err)
	}
	return removeSocket(path, info)
}

// removeSocket removes the socket that info describes. It is moved aside first
// and looked at again: what somebody else put at path meanwhile is moved back.
func removeSocket(path string, info fs.FileInfo) error {
	aside := fmt.Sprintf("%s.stale.%d", path, os.Getpid())
	if err := os.Rename(path, aside); err != nil {
		return fmt.Errorf("cannot replace socket %s: %w", path, err)
	}
	moved, err := os.Lstat(aside)
	if err == nil && !os.SameFile(info, moved) {
		err = errors.Join(errors.New("it changed meanwhile"), os.Rename(aside, path))
	}
	if err == nil {
		err = os.Remove(aside)
	}
	if err != nil {
		return fmt.Errorf("cannot replace socket %s: %w", path, err)
	}
	return nil
}

// bind makes the socket file with the right mode from its first moment: the
// mode of the unbound socket, less the umask, is what bind gives to the file.
func bind(path string) (*net.UnixListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), socketMode) })
		return errors.Join(err, failed)
	}}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false)
	if err := os.Chmod(path, socketMode); err != nil { // adds what the umask took
		ul.Close()
		return nil, fmt.Errorf("cannot set the mode of socket %s: %w", path, err)
	}
	return ul, nil
}

func kindOf(info fs.FileInfo) string {
	switch info.Mode().Type() {
	case 0:
		return "a regular file"
	case fs.ModeDir:
		return "a directory"
	case fs.ModeSymlink:
		return "a symbolic link"
	}
	return "something that is no socket"
}
