package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A Socket is where one service sends its datagrams to.
type Socket struct {
	file *os.File // non-blocking, in the netpoller
	path string   // of its file; "@..." is an abstract address
	// closed tells the end of Serve from a failure: the netpoller's error for a
	// closed descriptor cannot be told by its value.
	closed atomic.Bool
	mu     sync.Mutex // held from the receipt of a notice until it is delivered
}

// folder holds the sockets, in the runtime directory.
const folder = "notify"

// Listen makes the socket of a service below the runtime directory dir, writable by
// uid and gid only; -1 is the caller's own. Where dir is empty, or its name leaves no
// room in an address (108 bytes), the address is an abstract one: there everybody in
// the network namespace may send, and the sender's credentials have to do.
func Listen(dir, service string, uid, gid int) (*Socket, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot make the notify socket of %s: %w", service, err)
	}
	s := &Socket{path: address(dir, service)}
	if err := s.bind(fd, uid, gid); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot make the notify socket of %s: %w", service, err)
	}
	s.file = os.NewFile(uintptr(fd), s.path)
	return s, nil
}

// address is short whatever the service's name is: sun_path has 108 bytes.
func address(dir, service string) string {
	sum := sha256.Sum256([]byte(service))
	id := hex.EncodeToString(sum[:8])
	if path := filepath.Join(dir, folder, id); dir != "" && len(path) < len(unix.RawSockaddrUnix{}.Path) {
		return path
	}
	return fmt.Sprintf("@zinit/%d/%s", os.Getpid(), id)
}

func (s *Socket) bind(fd, uid, gid int) error {
	// Before the address is known: every datagram is to have a sender.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return err
	}
	if s.path[0] == '@' {
		return unix.Bind(fd, &unix.SockaddrUnix{Name: s.path})
	}
	// Others may pass through the folder, and see nothing.
	if err := os.Mkdir(filepath.Dir(s.path), 0o711); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Chmod(filepath.Dir(s.path), 0o711); err != nil { // whatever the umask was
		return err
	}
	// One that is there is of an earlier life: nobody else may write here.
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: s.path}); err != nil {
		return err
	}
	if err := os.Chmod(s.path, 0o600); err != nil {
		return err
	}
	if uid == -1 && gid == -1 {
		return nil
	}
	return os.Lchown(s.path, uid, gid)
}

// Adopt takes over a socket that an earlier server made, from the keeper's hands;
// it owns f from then on.
func Adopt(f *os.File) (*Socket, error) {
	fd := int(f.Fd()) // the descriptor is blocking from here on
	sa, err := unix.Getsockname(fd)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	addr, ok := sa.(*unix.SockaddrUnix)
	if err == nil && !ok {
		err = errors.New("it is no unix socket")
	}
	var dup int
	if err == nil {
		dup, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	}
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("cannot take over a notify socket: %w", err)
	}
	s := &Socket{path: addr.Name}
	s.file = os.NewFile(uintptr(dup), addr.Name)
	return s, nil
}

// File is what the keeper is to hold; it belongs to the socket.
func (s *Socket) File() *os.File { return s.file }

// Path is what NOTIFY_SOCKET says to the service.
func (s *Socket) Path() string { return s.path }

// Close ends Serve, and does not wait for that: a notice that is being delivered may
// have to wait for whoever closes. The socket lives on in the hands of the keeper.
func (s *Socket) Close() {
	s.closed.Store(true)
	go s.file.Close() // a descriptor in the netpoller is closed when nobody uses it any more
}

// Remove takes its name away, for a service that is no more; then close it.
func (s *Socket) Remove() error {
	if s.path[0] == '@' {
		return nil
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// enough is more than one service may have sent: the kernel's queue bounds that.
// Whoever sends without end is heard by Serve.
const enough = 4096

// Drain calls deliver for every notice that has been sent by now and that Serve has not
// delivered, in order, and waits for no other.
func (s *Socket) Drain(deliver func(Notice)) error {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for range enough {
			if failed = s.hear(int(fd), deliver); failed != nil {
				return
			}
		}
	})
	if err == nil && failed != nil && failed != unix.EAGAIN {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("cannot read notify socket: %w", err)
	}
	return nil
}

// hear delivers the next notice.
func (s *Socket) hear(fd int, deliver func(Notice)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return os.ErrClosed // what comes now is for whoever reads next
	}
	n, ok, err := receive(fd)
	if ok {
		deliver(n)
	}
	if err == unix.EINTR {
		return nil
	}
	return err
}

// Serve calls deliver for every notice, in order, until the socket is closed.
func (s *Socket) Serve(deliver func(Notice)) error {
	var failed error
	err := s.read(func(fd int) bool {
		for {
			switch err := s.hear(fd, deliver); err {
			case nil:
			case unix.EAGAIN:
				return false // wait in the netpoller
			default:
				failed = err
				return true
			}
		}
	})
	if s.closed.Load() {
		return nil
	}
	if err == nil {
		err = failed
	}
	return fmt.Errorf("cannot read notify socket: %w", err)
}

func (s *Socket) read(f func(fd int) bool) error {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool { return f(int(fd)) })
}

// maxMessage is more than sd_notify sends; what is longer is cut by the kernel and
// passed over, as is what has no sender.
const maxMessage = 4096

// receive reads one datagram; ok is false for one that is passed over. Descriptors
// that come with it (FDSTORE, BARRIER) are closed by the kernel, because there is no
// room for them behind the credentials: for a barrier that is the answer.
func receive(fd int) (n Notice, ok bool, err error) {
	var text [maxMessage]byte
	oob := make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	size, oobSize, flags, _, err := unix.Recvmsg(fd, text[:], oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return Notice{}, false, err
	}
	cred, ok := sender(oob[:oobSize])
	if !ok || flags&unix.MSG_TRUNC != 0 {
		return Notice{}, false, nil
	}
	n = Parse(text[:size])
	n.Pid, n.UID, n.GID = int(cred.Pid), cred.Uid, cred.Gid
	return n, true, nil
}

func sender(oob []byte) (cred *unix.Ucred, ok bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, false
	}
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil && cred.Pid > 0 {
			return cred, true
		}
	}
	return nil, false
}
