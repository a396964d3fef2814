package launch

import (
	"io/fs"
	"os"
	"syscall"
	"unsafe"

	"zinit/reap"
	"zinit/supervise/config"
)

// Streams are those that a container was started with. They stay the caller's.
type Streams struct {
	Stdin, Stdout, Stderr *os.File
	// Terminal says that Stdin, if it is one, is to be had as a controlling terminal.
	Terminal bool
}

// lend gives a main service the streams of its container, as if it were alone in it,
// but for what its file says: what it reads, and which way the lines go that it writes.
func (s *Streams) lend(svc *config.Service, spec *reap.Spec) (err error) {
	if svc.Stdin == "" {
		if spec.Stdin, err = again(s.Stdin); err != nil {
			return err
		}
		spec.TTY = s.Terminal && isTerminal(s.Stdin)
	}
	if svc.Stdin == config.StdinTTY || svc.Logging.Chosen || svc.Logging.File != "" {
		return nil
	}
	closeAll(spec.Stdout, spec.Stderr)
	spec.Stdout, spec.Stderr, spec.Keep = nil, nil, [2]*os.File{}
	for i, out := range []**os.File{&spec.Stdout, &spec.Stderr} {
		from := []*os.File{s.Stdout, s.Stderr}[i]
		if *out, err = again(from); err != nil {
			return err
		}
		if spec.User != nil && mayPassOn(from) {
			_ = (*out).Chown(int(spec.User.Uid), int(spec.User.Gid)) // so that it can open /dev/stderr again
		}
	}
	return nil
}

// again is a copy of an open file.
func again(f *os.File) (*os.File, error) {
	fd, err := duplicate(f)
	if err != nil {
		return nil, err
	}
	return os.NewFile(fd, f.Name()), nil
}

// mayPassOn reports that nobody else minds to whom the file belongs: it is not one of
// the host's, nor a device that all share.
func mayPassOn(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && (st.Mode()&fs.ModeNamedPipe != 0 || isTerminal(f))
}

func isTerminal(f *os.File) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var state [64]byte // a struct termios has 60 at most
	is := false
	_ = raw.Control(func(fd uintptr) { // it fails for a closed file, which is none
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TCGETS, uintptr(unsafe.Pointer(&state)))
		is = errno == 0
	})
	return is
}
