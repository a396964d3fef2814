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
	id, _ := idOf(info)
	return Remove(path, id)
}

// An ID tells one socket file from another at the same path. It is not used again
// while somebody holds the listening socket.
type ID struct{ Dev, Ino uint64 }

// Identify returns the ID of the socket file at path. What is there and is no
// socket is an error.
func Identify(path string) (ID, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return ID{}, fmt.Errorf("cannot look at socket %s: %w", path, err)
	}
	id, ok := idOf(info)
	if !ok {
		return ID{}, fmt.Errorf("socket %s: there is %s", path, kindOf(info))
	}
	return id, nil
}

func idOf(info fs.FileInfo) (id ID, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode().Type() != fs.ModeSocket {
		return ID{}, false
	}
	return ID{uint64(stat.Dev), stat.Ino}, true
}

// Remove removes the socket file with this ID; anything else at path is left
// alone, and an error. It is moved aside first, where nobody else puts anything,
// and looked at again: what somebody put at path meanwhile is moved back.
func Remove(path string, id ID) error {
	if now, err := Identify(path); err != nil || now != id {
		return errors.Join(err, fmt.Errorf("socket %s is not the one to remove: it is left alone", path))
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), filepath.Base(path)+".stale.")
	if err != nil {
		return fmt.Errorf("cannot remove socket %s: %w", path, err)
	}
	aside := filepath.Join(dir, "socket")
	if err = os.Rename(path, aside); err == nil {
		err = removeAside(path, aside, id)
	}
	// One that is not empty stays, with what could not be moved back.
	if left := os.Remove(dir); err == nil {
		err = left
	}
	if err != nil {
		return fmt.Errorf("cannot remove socket %s: %w", path, err)
	}
	return nil
}

// removeAside removes what was moved from path to aside if it is the socket.
func removeAside(path, aside string, id ID) error {
	moved, err := Identify(aside)
	if err == nil && moved == id {
		return os.Remove(aside)
	}
	back := putBack(path, aside)
	if back != nil {
		back = fmt.Errorf("what was there is now %s: %w", aside, back)
	}
	return errors.Join(errors.New("it changed meanwhile"), err, back)
}

// putBack moves aside to path without replacing what is there by now: a link
// never does, and a directory, which has none, only replaces an empty directory.
func putBack(path, aside string) error {
	info, err := os.Lstat(aside)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return os.Rename(aside, path)
	}
	if err := os.Link(aside, path); err != nil {
		return err
	}
	return os.Remove(aside)
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
