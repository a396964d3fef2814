package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"zinit/proxy/address"
)

// defaultMode is that of a socket file whose address names none.
const defaultMode = 0o660

// The keep-alive of idle connections over TCP. Listeners hand it on to what they
// accept, so that it costs nothing per connection.
const (
	aliveIdle     = 60 * time.Second
	aliveInterval = 15 * time.Second
	aliveCount    = 4
)

// An Owner looks up the numbers of a user and a group; an empty name is -1.
type Owner func(user, group string) (uid, gid int, err error)

// A Listener is a socket that streams are accepted from.
type Listener struct {
	Address address.Address
	// ID tells the socket's file from a later one at its path; zero: it has no file.
	ID FileID

	conn net.Listener // *net.TCPListener or *net.UnixListener
}

// A FileID is the device and inode of a file.
type FileID struct{ Dev, Ino uint64 }

// Listen makes a socket and listens on it. A socket file on which nobody listens is
// replaced; one on which somebody does is left alone, and so is all that is no socket.
// owner is asked for names of users and groups; nil: only numbers are understood.
func Listen(a address.Address, owner Owner) (*Listener, error) {
	if !a.Stream() {
		return nil, fmt.Errorf("cannot listen on %s: it is no stream: name a tcp or unix address", a)
	}
	var c net.ListenConfig
	c.KeepAlive = -1 // it comes from the socket
	c.Control = func(_, _ string, raw syscall.RawConn) error { return prepare(raw, a) }
	if file := a.File(); file != "" {
		if err := makeRoom(file); err != nil {
			return nil, fmt.Errorf("cannot listen on %s: %w", a.Place(), err)
		}
	}
	conn, err := c.Listen(context.Background(), a.Network, a.Endpoint())
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %s", a.Place(), listenReason(err))
	}
	l := &Listener{Address: a, conn: conn}
	if err := l.own(owner); err != nil {
		l.Remove()
		l.Close()
		return nil, fmt.Errorf("cannot listen on %s: %w", a.Place(), err)
	}
	return l, nil
}

// listenReason says what keeps a socket from being listened on, and what to do.
func listenReason(err error) string {
	var errno syscall.Errno
	var lookup *net.DNSError
	switch {
	case errors.As(err, &lookup):
		return "there is no host " + strconv.Quote(lookup.Name) + ": name an address of this machine"
	case !errors.As(err, &errno):
		return err.Error()
	case errno == syscall.EADDRINUSE:
		return "it is in use: stop who listens there, or choose another address"
	case errno == syscall.EADDRNOTAVAIL:
		return "it is no address of this machine: choose another one"
	case errno == syscall.EACCES:
		return "permission denied: choose a port above 1023, or another directory"
	}
	return errno.Error()
}

// prepare sets what a socket hands on to its connections, and the mode that its file
// has from the first moment on.
func prepare(raw syscall.RawConn, a address.Address) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		if a.File() != "" {
			failed = unix.Fchmod(int(fd), mode(a))
		}
		if a.Network == address.TCP {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // it can do without
			if !isNear(a.Host) {
				keepAlive(int(fd))
			}
		}
	})
	return errors.Join(err, failed)
}

func mode(a address.Address) uint32 {
	if a.Mode != 0 {
		return a.Mode
	}
	return defaultMode
}

// keepAlive sets what a connection can do without.
func keepAlive(fd int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(aliveIdle/time.Second))
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(aliveInterval/time.Second))
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, aliveCount)
}

// isNear reports a host that nobody can be cut off from. Keep-alive would do harm there:
// timers of thousands of connections end at the same moment, their probes are more than
// the queue of the loopback takes, and whose probes are lost again and again is cut off.
func isNear(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// makeRoom removes a socket file that nobody listens on, and makes the directory.
func makeRoom(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("cannot make its directory: %w", err)
		}
		return nil
	case err != nil:
		return err
	case st.Mode().Type() != fs.ModeSocket:
		return errors.New("there is something that is no socket: move it away, or choose another path")
	}
	probe, err := net.Dial("unix", path)
	switch {
	case err == nil:
		probe.Close()
		return errors.New("somebody listens there: stop that, or choose another path")
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return remove(path, idOf(st))
	}
	return fmt.Errorf("it cannot be seen whether somebody listens there: %w", err)
}

func idOf(st fs.FileInfo) FileID {
	own, ok := st.Sys().(*syscall.Stat_t)
	if !ok || st.Mode().Type() != fs.ModeSocket {
		return FileID{}
	}
	return FileID{uint64(own.Dev), own.Ino}
}

// remove removes a socket file, if it is that one.
func remove(path string, id FileID) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case id == FileID{} || idOf(st) != id:
		return fmt.Errorf("%s is another file by now: it is left alone", path)
	}
	return os.Remove(path)
}

// own gives a new socket file its mode, whatever the umask, and its owner.
func (l *Listener) own(owner Owner) error {
	if u, ok := l.conn.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	path := l.Address.File()
	if path == "" {
		return nil
	}
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	l.ID = idOf(st)
	return l.Own(owner)
}

// Own gives the socket's file, if it has one, the mode and the owner of its Address.
func (l *Listener) Own(owner Owner) error { return own(l.Address, owner) }

func own(a address.Address, owner Owner) error {
	path := a.File()
	if path == "" {
		return nil
	}
	if owner == nil {
		owner = numbers
	}
	uid, gid, err := owner(a.User, a.Group)
	if err == nil && (uid != -1 || gid != -1) {
		err = os.Lchown(path, uid, gid)
	}
	if err == nil {
		err = os.Chmod(path, fs.FileMode(mode(a)))
	}
	return err
}

// numbers is an Owner that knows no names.
func numbers(user, group string) (uid, gid int, err error) {
	ids := [2]int{-1, -1}
	for i, text := range [...]string{user, group} {
		if text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return -1, -1, fmt.Errorf("user and group are numbers here, not %q: write the number", text)
		}
		ids[i] = int(n)
	}
	return ids[0], ids[1], nil
}

// Adopt is the listener of a socket that another process listened on, or handed over.
// The file remains the caller's.
func Adopt(f *os.File, a address.Address, id FileID) (*Listener, error) {
	conn, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("cannot adopt the socket of %s: %w", a.Place(), err)
	}
	if u, ok := conn.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return &Listener{Address: a, ID: id, conn: conn}, nil
}

// File is a copy of the descriptor, to keep it or to hand it on.
func (l *Listener) File() (*os.File, error) {
	c, ok := l.conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("cannot copy the socket of %s: it is of a strange kind", l.Address.Place())
	}
	fd := -1
	raw, err := c.SyscallConn()
	if err == nil {
		// Not by the File of package net: the Fd of that one has the socket block, for all
		// who share it, and an accept that blocks cannot be called off.
		ctlErr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
		err = errors.Join(err, ctlErr)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot copy the socket of %s: %w", l.Address.Place(), err)
	}
	return os.NewFile(uintptr(fd), l.Address.String()), nil
}

// Endpoint is what the socket is bound to, as package net has it.
func (l *Listener) Endpoint() string { return l.conn.Addr().String() }

// Close closes this copy of the socket; others of it go on. Its file stays.
func (l *Listener) Close() error { return l.conn.Close() }

// Remove removes the file of the socket, if it is still there: nobody can connect any
// more. A file that has taken its place is left alone, and an error.
func (l *Listener) Remove() error { return RemoveFile(l.Address, l.ID) }

// RemoveFile is Listener.Remove, for who has no Listener.
func RemoveFile(a address.Address, id FileID) error {
	if path := a.File(); path != "" {
		return remove(path, id)
	}
	return nil
}
