package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"zinit/applets/env"
	"zinit/sock"
	"zinit/supervise/config"
)

// listenName begins the name under which the keeper holds the listening socket;
// then come the numbers of its file, "listen/DEV/INO": who ends removes that file
// and no other, whoever made it.
const listenName = "listen/"

// A place is where the server keeps what must outlive it.
type place struct {
	dir string // the runtime directory; empty when nothing can be written
	why error  // there is none

	mu sync.Mutex
	// lock is held for as long as the server lives; -1: there is none. It is a
	// bare descriptor because the collector closes a file that nobody reads.
	lock int // guarded by mu
}

// close gives up the lock.
func (p *place) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lock >= 0 {
		syscall.Close(p.lock)
		p.lock = -1
	}
}

// restore makes the runtime directory and its lock again, if they are gone.
func (p *place) restore() (remade bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dir == "" || p.lock < 0 || isAt(p.lock, lockPath(p.dir)) {
		return false, nil
	}
	if err := makePrivate(p.dir, true); err != nil {
		return false, err
	}
	lock, err := lockDir(p.dir)
	if err != nil {
		return false, err
	}
	syscall.Close(p.lock)
	p.lock = lock
	return true, nil
}

// isAt reports that a path leads to an open file.
func isAt(fd int, path string) bool {
	var is, ours syscall.Stat_t
	return syscall.Lstat(path, &is) == nil && syscall.Fstat(fd, &ours) == nil && is.Dev == ours.Dev && is.Ino == ours.Ino
}

// openPlace makes the runtime directory of a socket and locks it; known: an earlier
// server of the keeper had it. Where nothing can be written there is none, and one
// warning says so, see warn.
func openPlace(socket string, known bool) (*place, error) {
	dir := env.RuntimeDir(socket)
	lock := -1
	err := makePrivate(dir, known)
	if err == nil {
		lock, err = lockDir(dir)
	}
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, fmt.Errorf("%s is in use by another zinit server: stop it, or name another socket with --socket", dir)
	case err != nil:
		return &place{why: err, lock: -1}, nil
	}
	return &place{dir: dir, lock: lock}, nil
}

// warn says what is missing for want of a place that can be written; unserved is why
// there is no socket, nil if there is one.
func (p *place) warn(unserved error, log *slog.Logger) {
	const next = ": name a place that can be written with --socket"
	switch {
	case p.why != nil && unserved != nil:
		log.Warn("nobody can connect, and logs are kept in memory"+next, "error", unserved)
	case p.why != nil:
		log.Warn("no runtime directory: logs are kept in memory and do not outlive the server", "error", p.why)
	case unserved != nil:
		log.Warn("nobody can connect"+next, "error", unserved)
	}
}

// lockPatience is how long the lock of a directory is waited for. A keeper that
// stands in for a server holds it for a moment, again and again.
const lockPatience = 500 * time.Millisecond

func lockPath(dir string) string { return filepath.Join(dir, "lock") }

// lockDir takes the lock of a directory; EWOULDBLOCK: somebody has it and keeps it.
func lockDir(dir string) (fd int, err error) {
	path := lockPath(dir)
	for {
		fd, err = syscall.Open(path, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0o600)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		return -1, fmt.Errorf("cannot open %s: %w", path, err)
	}
	var late time.Time
	for {
		err = syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == syscall.EWOULDBLOCK && late.IsZero() {
			late = time.Now().Add(lockPatience)
		}
		if err != syscall.EINTR && (err != syscall.EWOULDBLOCK || time.Now().After(late)) {
			break
		}
		if err == syscall.EWOULDBLOCK {
			<-time.After(time.Millisecond)
		}
	}
	if err != nil {
		syscall.Close(fd)
		return -1, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	return fd, nil
}

// makePrivate makes a directory in which only its owner can look around, or takes
// one over that an earlier server made. What somebody else made is left as it is, unless
// it is known to be ours.
func makePrivate(dir string, known bool) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("cannot make %s: %w", parent, err)
	}
	if err := checkParent(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o711); err != nil && !os.IsExist(err) {
		return fmt.Errorf("cannot make %s: %w", dir, err)
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", dir, err)
	}
	if !st.IsDir() || !ours(st) {
		return fmt.Errorf("%s is not a directory of ours: remove it, or name another socket with --socket", dir)
	}
	if err := checkContents(dir); err != nil && !known {
		return err
	}
	return os.Chmod(dir, 0o711)
}

func ours(st fs.FileInfo) bool {
	owner, ok := st.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == os.Geteuid()
}

// checkParent refuses a directory in which others can replace what we make.
func checkParent(parent string) error {
	st, err := os.Stat(parent)
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", parent, err)
	}
	const next = "name a socket elsewhere with --socket"
	if owner, ok := st.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 && !ours(st) {
		return fmt.Errorf("%s belongs to user %d, who could replace what is in it: %s", parent, owner.Uid, next)
	}
	if st.Mode().Perm()&0o002 != 0 && st.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("everybody may replace what is in %s: take the right to write from others, or %s", parent, next)
	}
	return nil
}

// checkContents refuses a directory that holds something, but not the lock of a
// server: it only happens to have the name.
func checkContents(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", dir, err)
	}
	defer f.Close()
	switch _, err := f.Readdirnames(1); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("cannot look at %s: %w", dir, err)
	}
	lock, err := os.Lstat(lockPath(dir))
	if err != nil || !lock.Mode().IsRegular() || lock.Mode().Perm()&^0o600 != 0 || lock.Size() != 0 || !ours(lock) {
		return fmt.Errorf("%s was not made by a zinit server: move it away, or name another socket with --socket", dir)
	}
	return nil
}

// logDir is where the log stores are; empty: in memory.
func (p *place) logDir() string {
	if p.dir == "" {
		return ""
	}
	return filepath.Join(p.dir, "logs")
}

// configDirs is where the configuration of a server is: the system's directory
// under process 1 of a machine, the user's, and, where something can be written,
// one for services that a reboot is to forget.
func configDirs(flags env.ServerFlags, p *place) config.Dirs {
	dirs := config.Dirs{User: flags.ConfigDir, Start: flags.StartFile}
	if flags.ConfigDir == env.DefaultConfig {
		dirs.Legacy = env.LegacyConfig
	}
	if flags.Pid1Mode && !flags.Container {
		dirs.System = env.SystemConfig
	}
	if p.dir != "" {
		dirs.Ephemeral = filepath.Join(p.dir, "services")
	}
	return dirs
}

// A holder keeps descriptors over the death of the server; *reap.Client is one.
type holder interface {
	Keep(name string, f *os.File) error
}

// holdsSocket reports that the keeper had a server before, which listened.
func holdsSocket(kept map[string]*os.File) bool {
	for name := range kept {
		if strings.HasPrefix(name, listenName) {
			return true
		}
	}
	return false
}

// listen takes over the socket that the keeper holds, or makes it and has the
// keeper hold it: connections that are made while no server is there wait. The ID
// is that of the socket's file.
func listen(path string, kept map[string]*os.File, keeper holder) (*net.UnixListener, sock.ID, error) {
	for name, f := range kept {
		if !strings.HasPrefix(name, listenName) {
			continue
		}
		defer f.Close()
		var id sock.ID
		_, err := fmt.Sscanf(name, listenName+"%d/%d", &id.Dev, &id.Ino)
		ln, failed := sock.FromFile(f)
		if err = errors.Join(err, failed); err != nil {
			return nil, sock.ID{}, fmt.Errorf("cannot take over the socket %s: %w", path, err)
		}
		return ln, id, nil
	}
	ln, err := sock.Listen(path)
	if err != nil {
		return nil, sock.ID{}, err
	}
	id, err := hand(ln, path, keeper)
	if err != nil {
		ln.Close()
		return nil, sock.ID{}, fmt.Errorf("cannot hand over the socket %s: %w", path, err)
	}
	return ln, id, nil
}

// hand gives a copy of the listening socket to the keeper.
func hand(ln *net.UnixListener, path string, keeper holder) (sock.ID, error) {
	id, err := sock.Identify(path)
	if err != nil {
		return sock.ID{}, err
	}
	f, err := ln.File()
	if err != nil {
		return sock.ID{}, err
	}
	defer f.Close()
	return id, keeper.Keep(fmt.Sprintf("%s%d/%d", listenName, id.Dev, id.Ino), f)
}

// mayGoUnserved reports that services are worth running although nobody can ask
// for anything: under process 1, where nothing can be written.
func mayGoUnserved(flags env.ServerFlags, err error) bool {
	under := flags.Pid1Mode || flags.Container || os.Getppid() == 1
	return under && (errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EACCES) ||
		errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EPERM))
}
