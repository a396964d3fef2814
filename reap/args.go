package reap

import (
	"golang.org/x/sys/unix"
)

// maxArgs bounds what the keeper reads from a memfd: the kernel accepts a quarter
// of the stack limit and never more than 6 MiB.
const maxArgs = 8 << 20

const allSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL

// writeArgs puts what is too large for a packet into a sealed memfd.
func writeArgs(args *spawnArgs) (fd int, err error) {
	c := coder{buf: make([]byte, 0, args.size())}
	args.fields(&c)
	if len(c.buf) > maxArgs {
		return -1, unix.E2BIG
	}
	return sealed("zinit-args", c.buf)
}

// sealed makes a memfd that nobody can change any more.
func sealed(name string, text []byte) (fd int, err error) {
	fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, err
	}
	for rest := text; len(rest) > 0 && err == nil; {
		var n int
		if n, err = unix.Write(fd, rest); err == unix.EINTR {
			n, err = 0, nil
		}
		rest = rest[max(n, 0):]
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, allSeals)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// readArgs reads them back.
func readArgs(fd int, args *spawnArgs) error {
	text, err := readSealed(fd, maxArgs)
	if err != nil {
		return err
	}
	c := coder{buf: text, reading: true}
	args.fields(&c)
	if c.bad {
		return unix.EINVAL
	}
	return nil
}

// readSealed reads a memfd of limited size; a file that its writer could still
// change is refused.
func readSealed(fd int, limit int64) ([]byte, error) {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&allSeals != allSeals {
		return nil, unix.EINVAL
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Size > limit {
		return nil, unix.E2BIG
	}
	buf := make([]byte, st.Size)
	for done := 0; done < len(buf); {
		n, err := unix.Pread(fd, buf[done:], int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, err
		case n == 0:
			return nil, unix.EIO
		}
		done += max(n, 0)
	}
	return buf, nil
}
