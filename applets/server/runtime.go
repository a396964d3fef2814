package server

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"zinit/applets/env"
	"zinit/reap"
	"zinit/sock"
)

// listenName is the name under which the keeper holds the listening socket.
const listenName = "listen"

// A place is where the server keeps what must outlive it.
type place struct {
	dir  string   // the runtime directory; empty when nothing can be written
	lock *os.File // held for as long as the server lives
}

// openPlace makes the runtime directory of a socket and locks it. Where nothing
// can be written there is none, and one warning says so.
func openPlace(socket string, log *slog.Logger) (*place, error) {
	dir := env.RuntimeDir(socket)
	if err := makePrivate(dir); err != nil {
		log.Warn("no runtime directory: logs are kept in memory and do not outlive the server", "error", err)
		return &place{}, nil
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		log.Warn("no runtime directory: logs are kept in memory and do not outlive the server", "error", err)
		return &place{}, nil
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s is in use by another zinit server: stop it, or name another socket with --socket", dir)
	}
	return &place{dir, lock}, nil
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

// listen takes over the socket that the keeper holds, or makes it and has the
// keeper hold it: connections that are made while no server is there wait.
func listen(path string, kept map[string]*os.File, keeper *reap.Client) (*net.UnixListener, error) {
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
