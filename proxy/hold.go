package proxy

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

	"zinit/proxy/address"
)

// A Held is a socket, or a named pipe, that is opened for somebody else: nothing is
// accepted or read here.
type Held struct {
	Address address.Address
	// ID tells the socket's file from a later one at its path; zero: it has none that
	// would be removed.
	ID   FileID
	File *os.File
}

// Hold opens what an address names. Whoever gets it finds it as if it had opened it
// itself. A socket file that nobody listens on is replaced, and a named pipe that is
// there is taken as it is; all else is left alone. backlog is how many connections may
// wait, 0: as many as the kernel allows. owner is as for Listen.
func Hold(a address.Address, backlog int, owner Owner) (h *Held, err error) {
	h = &Held{Address: a}
	switch {
	case a.Network == address.FIFO:
		err = h.openPipe()
	case a.Stream():
		err = h.listen(backlog)
	default:
		err = h.bind()
	}
	if err == nil {
		err = h.Own(owner)
	}
	if err != nil {
		h.Remove() // what was made is not needed; why comes first
		h.Close()
		return nil, fmt.Errorf("cannot listen on %s: %s", a.Place(), listenReason(err))
	}
	return h, nil
}

func (h *Held) listen(backlog int) error {
	if err := h.makeRoom(); err != nil {
		return err
	}
	var c net.ListenConfig
	c.KeepAlive = -1 // that is for who accepts to say
	c.Control = h.made
	l, err := c.Listen(context.Background(), h.Address.Network, h.Address.Endpoint())
	if err != nil {
		return err
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	defer l.Close()
	if h.File, err = (&Listener{Address: h.Address, conn: l}).File(); err != nil {
		return err
	}
	h.identify()
	if backlog == 0 {
		return nil
	}
	return h.with(func(fd int) error { return unix.Listen(fd, backlog) })
}

// bind makes a socket for datagrams.
func (h *Held) bind() error {
	if err := h.makeRoom(); err != nil {
		return err
	}
	c := net.ListenConfig{Control: h.made}
	p, err := c.ListenPacket(context.Background(), h.Address.Network, h.Address.Endpoint())
	if err != nil {
		return err
	}
	defer p.Close()
	conn, ok := p.(syscall.Conn)
	if !ok {
		return errors.New("its socket is of a strange kind")
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	fd := -1
	ctlErr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(ctlErr, err); err != nil {
		return err
	}
	h.File = os.NewFile(uintptr(fd), h.Address.String())
	h.identify()
	return nil
}

// openPipe opens a named pipe for reading and writing: so it never comes to an end.
func (h *Held) openPipe() error {
	path := h.Address.Path
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot make its directory: %w", err)
	}
	if err := unix.Mkfifo(path, mode(h.Address)); err != nil && err != unix.EEXIST {
		return err
	}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		unix.Close(fd)
		return errors.New("there is something that is no named pipe: move it away, or choose another path")
	}
	h.File = os.NewFile(uintptr(fd), h.Address.String())
	return nil
}

func (h *Held) makeRoom() error {
	if file := h.Address.File(); file != "" {
		return makeRoom(file)
	}
	return nil
}

// made gives a socket's file its mode from the first moment on.
func (h *Held) made(_, _ string, raw syscall.RawConn) error {
	if h.Address.File() == "" {
		return nil
	}
	var failed error
	err := raw.Control(func(fd uintptr) { failed = unix.Fchmod(int(fd), mode(h.Address)) })
	return errors.Join(err, failed)
}

func (h *Held) identify() {
	if file := h.Address.File(); file != "" {
		if st, err := os.Lstat(file); err == nil {
			h.ID = idOf(st)
		}
	}
}

// with calls f with the descriptor, which it keeps from being closed meanwhile.
func (h *Held) with(f func(fd int) error) (err error) {
	raw, rawErr := h.File.SyscallConn()
	if rawErr != nil {
		return rawErr
	}
	if rawErr = raw.Control(func(fd uintptr) { err = f(int(fd)) }); rawErr != nil {
		return rawErr
	}
	return err
}

// Own gives its file, if it has one, the mode and the owner of its Address.
func (h *Held) Own(owner Owner) error { return own(h.Address, owner) }

// Copy is a copy of the descriptor to hand on. Who gets it waits when it accepts or
// reads, as with one that it had opened itself.
func (h *Held) Copy() (f *os.File, err error) {
	err = h.with(func(own int) error {
		if err := unix.SetNonblock(own, false); err != nil {
			return err
		}
		fd, err := unix.FcntlInt(uintptr(own), unix.F_DUPFD_CLOEXEC, 3)
		if err == nil {
			f = os.NewFile(uintptr(fd), h.Address.String())
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot copy the socket of %s: %w", h.Address.Place(), err)
	}
	return f, nil
}

// Close closes this copy of it; others go on, and the file stays.
func (h *Held) Close() error {
	if h.File == nil {
		return fs.ErrClosed
	}
	return h.File.Close()
}

// Remove removes the file of the socket, if it is still that one. A named pipe stays:
// it may have been there before.
func (h *Held) Remove() error {
	if h.ID == (FileID{}) {
		return nil
	}
	return RemoveFile(h.Address, h.ID)
}
