package reap

import (
	"golang.org/x/sys/unix"
)

// maxArgs bounds what the keeper reads from a memfd: the kernel accepts a quarter
// of the stack limit and never more than 6 MiB.
const maxArgs = 8 << 20

const argSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL

// writeArgs puts what is too large for a packet into a sealed memfd.
func writeArgs(args *spawnArgs) (fd int, err error) {
	c := coder{buf: make([]byte, 0, args.size())}
	args.fields(&c)
	if len(c.buf) > maxArgs {
		return -1, unix.E2BIG
	}
	fd, err = unix.MemfdCreate("zinit-args", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, err
	}
	for rest := c.buf; len(rest) > 0 && err == nil; {
		var n int
		if n, err = unix.Write(fd, rest); err == unix.EINTR {
			n, err = 0, nil
		}
		rest = rest[max(n, 0):]
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, argSeals)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// readArgs reads them back; a file that its writer could still change is refused.
func readArgs(fd int, args *spawnArgs) error {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&argSeals != argSeals {
		return unix.EINVAL
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Size > maxArgs {
		return unix.E2BIG
	}
	buf := make([]byte, st.Size)
	for done := 0; done < len(buf); {
		n, err := unix.Pread(fd, buf[done:], int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return unix.EIO
		}
		done += max(n, 0)
	}
	c := coder{buf: buf, reading: true}
	args.fields(&c)
	if c.bad {
		return unix.EINVAL
	}
	return nil
}
