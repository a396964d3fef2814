package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A mount is a file system that a running system has at a place.
type mount struct {
	at, kind string
	flags    uintptr
	data     string
	// optional: a kernel may lack it, and nobody misses it.
	optional bool
}

const (
	closed = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	plain  = unix.MS_NOSUID | unix.MS_NODEV
)

// mounts are made in this order, those that are not there yet.
var mounts = []mount{
	{at: "/proc", kind: "proc", flags: closed},
	{at: "/sys", kind: "sysfs", flags: closed},
	{at: "/dev", kind: "devtmpfs", flags: unix.MS_NOSUID, data: "mode=0755"},
	{at: "/dev/pts", kind: "devpts", flags: unix.MS_NOSUID | unix.MS_NOEXEC, data: "gid=5,mode=0620,ptmxmode=0666"},
	{at: "/dev/shm", kind: "tmpfs", flags: plain, data: "mode=1777"},
	{at: "/dev/mqueue", kind: "mqueue", flags: closed, optional: true},
	{at: "/run", kind: "tmpfs", flags: plain, data: "mode=0755"},
	{at: "/tmp", kind: "tmpfs", flags: plain, data: "mode=1777"},
	{at: "/sys/fs/cgroup", kind: "cgroup2", flags: closed, data: "nsdelegate", optional: true},
	{at: "/sys/kernel/security", kind: "securityfs", flags: closed, optional: true},
}

// node is a device that /dev has where there is no devtmpfs.
type node struct {
	name         string
	perm         uint32
	major, minor uint32
}

var nodes = []node{
	{"console", 0o600, 5, 1}, {"tty", 0o666, 5, 0}, {"null", 0o666, 1, 3}, {"zero", 0o666, 1, 5},
	{"full", 0o666, 1, 7}, {"random", 0o666, 1, 8}, {"urandom", 0o666, 1, 9}, {"kmsg", 0o644, 1, 11},
}

// put mounts m, unless something is mounted there. Below /dev/ and /sys/ the place
// is made by the kernel, or by us when /dev is a bare tmpfs.
func (m mount) put(root string) error {
	at := filepath.Join(root, m.at)
	if IsMountPoint(at) {
		return nil
	}
	if err := os.MkdirAll(at, 0o755); err != nil {
		if m.optional {
			return nil
		}
		return err
	}
	err := unix.Mount(m.kind, at, m.kind, m.flags, m.data)
	if err == unix.EINVAL && m.data != "" { // an option of a later kernel
		err = unix.Mount(m.kind, at, m.kind, m.flags, "")
	}
	switch {
	case err == unix.EBUSY: // somebody was faster
		return nil
	case err == unix.ENODEV && m.kind == "devtmpfs":
		return bareDev(at)
	case err == unix.ENODEV && m.optional:
		return nil
	case err != nil:
		return fmt.Errorf("cannot mount %s on %s: %w", m.kind, at, err)
	}
	return nil
}

// IsMountPoint reports that a file system is mounted at a path. It compares devices, which needs no /proc. It does not see a directory
// that is mounted on one of the same file system; none of ours is such.
func IsMountPoint(at string) bool {
	var here, up unix.Stat_t
	if unix.Lstat(at, &here) != nil || unix.Lstat(filepath.Dir(at), &up) != nil {
		return false
	}
	return here.Dev != up.Dev
}

// bareDev makes the devices that programs take for granted.
func bareDev(at string) error {
	if err := unix.Mount("tmpfs", at, "tmpfs", unix.MS_NOSUID, "mode=0755"); err != nil {
		return fmt.Errorf("cannot mount tmpfs on %s: %w", at, err)
	}
	var failed error
	for _, n := range nodes {
		name := filepath.Join(at, n.name)
		err := unix.Mknod(name, unix.S_IFCHR|n.perm, int(unix.Mkdev(n.major, n.minor)))
		if err == nil {
			err = os.Chmod(name, fs.FileMode(n.perm))
		}
		if err != nil {
			failed = fmt.Errorf("cannot make %s: %w", name, err)
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"} {
		if err := os.Symlink(target, filepath.Join(at, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			failed = err
		}
	}
	return failed
}
