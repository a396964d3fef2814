package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"zinit/applets/env"
	"zinit/sock"
)

// listenName is the name under which the keeper holds the listening socket.
const listenName = "listen"

// A place is where the server keeps what must outlive it.
type place struct {
	dir string // the runtime directory; empty when nothing can be written
	// lock is held for as long as the server lives; -1: there is none. It is a
	// bare descriptor because the collector closes a file that nobody reads.
	lock int
}

// close gives up the lock.
func (p *place) close() {
	if p.lock >= 0 {
		syscall.Close(p.lock)
		p.lock = -1
	}
}

// openPlace makes the runtime directory of a socket and locks it. Where nothing
// can be written there is none, and one warning says so.
func openPlace(socket string, log *slog.Logger) (*place, error) {
	dir := env.RuntimeDir(socket)
	lock := -1
	err := makePrivate(dir)
	if err == nil {
		lock, err = lockDir(dir)
	}
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, fmt.Errorf("%s is in use by another zinit server: stop it, or name another socket with --socket", dir)
	case err != nil:
		log.Warn("no runtime directory: logs are kept in memory and do not outlive the server", "error", err)
		return &place{lock: -1}, nil
	}
	return &place{dir, lock}, nil
}

// lockDir takes the lock of a directory; EWOULDBLOCK: somebody has it.
func lockDir(dir string) (fd int, err error) {
	path := filepath.Join(dir, "lock")
	for {
		fd, err = syscall.Open(path, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0o600)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		return -1, fmt.Errorf("cannot open %s: %w", path, err)
	}
	for {
		err = syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		syscall.Close(fd)
		return -1, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	return fd, nil
}

// makePrivate makes a directory that only its owner can read, and checks that it
// is ours and no link.
func makePrivate(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("cannot make %s: %w", filepath.Dir(dir), err)
	}
	if err := os.Mkdir(dir, 0o711); err != nil && !os.IsExist(err) {
		return fmt.Errorf("cannot make %s: %w", dir, err)
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", dir, err)
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || !ok || int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a directory of ours: remove it", dir)
	}
	return os.Chmod(dir, 0o711)
}

// logDir is where the log stores are; empty: in memory.
func (p *place) logDir() string {
	if p.dir == "" {
		return ""
	}
	return filepath.Join(p.dir, "logs")
}

// A holder keeps descriptors over the death of the server; *reap.Client is one.
type holder interface {
	Keep(name string, f *os.File) error
}

// listen takes over the socket that the keeper holds, or makes it and has the
// keeper hold it: connections that are made while no server is there wait.
func listen(path string, kept map[string]*os.File, keeper holder) (*net.UnixListener, error) {
	if f := kept[listenName]; f != nil {
		defer f.Close()
		ln, err := sock.FromFile(f)
		if err != nil {
			return nil, fmt.Errorf("cannot take over the socket %s: %w", path, err)
		}
		return ln, nil
	}
	ln, err := sock.Listen(path)
	if err != nil {
		return nil, err
	}
	f, err := ln.File()
	if err != nil {
		return nil, fmt.Errorf("cannot hand over the socket %s: %w", path, err)
	}
	defer f.Close()
	if err := keeper.Keep(listenName, f); err != nil {
		return nil, fmt.Errorf("cannot hand over the socket %s: %w", path, err)
	}
	return ln, nil
}
