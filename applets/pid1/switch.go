package pid1

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"zinit/applets/env"
	"zinit/applets/pid1/host"
)

// switchFlag is the flag of zinit-pid1 that leaves an initramfs.
const switchFlag = "--switch-root"

// switchSignal tells process 1 that there is an order in switchFile.
const switchSignal = firstRealTime + 8

// switchFile has the new root and the command line of its process 1, each with a
// newline. Only root can write where it is.
const switchFile = "/run/zinit-switch-root"

// defaultInit is what is executed in the new root.
const defaultInit = "/sbin/init"

// A newRoot is where another process 1 is to go on, in this process.
type newRoot struct {
	dir  string
	argv []string
}

func newRootOf(words []string) (r newRoot, err error) {
	if len(words) == 0 || words[0] == "" {
		return r, errors.New("no new root was named: zinit-pid1 " + switchFlag + " NEWROOT [INIT [ARGUMENT...]]")
	}
	r = newRoot{filepath.Clean(words[0]), words[1:]}
	if len(r.argv) == 0 {
		r.argv = []string{defaultInit}
	}
	if !filepath.IsAbs(r.argv[0]) {
		return r, fmt.Errorf("%s: the path of the new init has to begin with a slash, as it is in the new root", r.argv[0])
	}
	return r, r.check()
}

// check refuses what cannot be a root. What a link leads to is known in there only.
func (r newRoot) check() error {
	if !host.IsMountPoint(r.dir) {
		return fmt.Errorf("%s is not the root of a mounted file system: mount it there first", r.dir)
	}
	if _, err := os.Lstat(filepath.Join(r.dir, r.argv[0])); err != nil {
		return fmt.Errorf("there is no init: %w", err)
	}
	return nil
}

// switchRootMain is zinit-pid1 --switch-root: process 1 does it at once, any other process
// has process 1 end everything and do it then. ok is false when this process is to be
// process 1 as ever, since it cannot: it must not end.
func switchRootMain(e *env.Env, words []string) (code int, ok bool) {
	r, err := newRootOf(words)
	if os.Getpid() == 1 {
		if err == nil {
			err = r.enter()
		}
		fmt.Fprintf(e.Stderr, "zinit: cannot switch to another root: %v: going on in this one\n", err)
		return 0, false
	}
	if err == nil {
		err = r.order()
	}
	if err != nil {
		fmt.Fprintf(e.Stderr, "%s: cannot switch to another root: %v\n", e.Name(), err)
		return env.ExitFailed, true
	}
	fmt.Fprintf(e.Stdout, "process 1 ends everything and goes on as %s in %s\n", r.argv[0], r.dir)
	return env.ExitDone, true
}

// order leaves the order for process 1.
func (r newRoot) order() error {
	exe, err := os.Readlink("/proc/1/exe")
	if err != nil {
		return fmt.Errorf("cannot see whether process 1 is zinit: %w: ask as root", err)
	}
	if !strings.HasPrefix(filepath.Base(exe), "zinit") {
		return fmt.Errorf("process 1 is %s, and not zinit: ask that", exe)
	}
	dir, err := filepath.Abs(r.dir)
	if err != nil {
		return err
	}
	text := strings.Join(append([]string{dir}, r.argv...), "\n") + "\n"
	if err := os.WriteFile(switchFile+".new", []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Rename(switchFile+".new", switchFile); err != nil {
		return err
	}
	return unix.Kill(1, switchSignal)
}

// takeOrder reads the order that a signal tells of.
func (k *keeper) takeOrder() bool {
	text, err := os.ReadFile(switchFile)
	if err == nil {
		_ = os.Remove(switchFile) // it is overwritten by the next
		k.newRoot, err = newRootOf(strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"))
	}
	if err != nil {
		k.console.printf("asked to switch to another root: %v: going on in this one", err)
	}
	return err == nil
}

// moved go along into the new root; what it has no place for is taken away.
var moved = [...]string{"/proc", "/sys", "/dev", "/run"}

// enter makes the new root that of this process, deletes what was in the old one if
// that is memory, and becomes the init of the new one. It returns only if that fails.
func (r newRoot) enter() error {
	if err := r.check(); err != nil {
		return err
	}
	old, err := unix.Open("/", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(old)
	for _, at := range moved {
		if !host.IsMountPoint(at) {
			continue
		}
		if err := unix.Mount(at, filepath.Join(r.dir, at), "", unix.MS_MOVE, ""); err != nil {
			_ = unix.Unmount(at, unix.MNT_DETACH) // whoever needs it mounts it again
		}
	}
	if !strings.HasPrefix(r.dir, "/tmp/") && host.IsMountPoint("/tmp") {
		_ = unix.Unmount("/tmp", unix.MNT_DETACH) // nobody would find it again
	}
	if err := unix.Chdir(r.dir); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("cannot move it to /: %w", err)
	}
	if err := errors.Join(unix.Chroot("."), unix.Chdir("/")); err != nil {
		return err
	}
	if isMemory(old) {
		empty(old)
	}
	// The next program is to hear every signal.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var none unix.Sigset_t
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil) // it cannot fail
	return &fs.PathError{Op: "execute", Path: r.argv[0], Err: syscall.Exec(r.argv[0], r.argv, os.Environ())}
}

// isMemory reports that a file system is gone with the power anyway.
func isMemory(fd int) bool {
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil {
		return false
	}
	kind := uint32(st.Type)
	return kind == unix.RAMFS_MAGIC || kind == unix.TMPFS_MAGIC
}

// empty deletes what is in a directory and below, on the same file system. What cannot
// be deleted costs memory and nothing else.
func empty(dir int) {
	var here unix.Stat_t
	copied, err := unix.Dup(dir)
	if err != nil || unix.Fstat(dir, &here) != nil {
		return
	}
	f := os.NewFile(uintptr(copied), ".")
	defer f.Close()
	names, _ := f.Readdirnames(-1) // as many as there are
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Dev != here.Dev {
			continue
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			_ = unix.Unlinkat(dir, name, 0)
			continue
		}
		sub, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		empty(sub)
		unix.Close(sub)
		_ = unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	}
}
