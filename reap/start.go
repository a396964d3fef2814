package reap

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"zinit/reap/cgroup"
)

// A request is a spawn with its descriptors.
type request struct {
	dressMessage
	stdout, stderr, args int // -1: none
	stdin, cgroup        int // -1: none
	files                []int
	missing              bool
}

func (in *intake) spawn(m *spawnMessage) *request {
	return in.dress(&dressMessage{spawnMessage: *m})
}

func (in *intake) dress(m *dressMessage) *request {
	r := &request{dressMessage: *m}
	r.stdout = in.take(m.Stdout, &r.missing)
	r.stderr = in.take(m.Stderr, &r.missing)
	r.args = in.take(m.Fd, &r.missing)
	r.stdin = in.take(m.Dress.Stdin, &r.missing)
	r.cgroup = in.take(m.Dress.Enter, &r.missing)
	for range min(m.Dress.Files, MaxFiles) {
		r.files = append(r.files, in.take(true, &r.missing))
	}
	return r
}

func (r *request) close() {
	for _, fd := range append([]int{r.stdout, r.stderr, r.args, r.stdin, r.cgroup}, r.files...) {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func (k *Keeper) spawn(r *request) {
	defer r.close()
	failed := &SpawnFailed{Key: r.Key, Run: r.Run}
	if failed.Refused = k.accept(r.Key, r.Run, false); failed.Refused == "" {
		failed.Errno, failed.Text = k.start(r)
	}
	if failed.Refused != "" || failed.Errno != 0 {
		k.tell(failed)
	}
}

func (k *Keeper) start(r *request) (errno syscall.Errno, text string) {
	if r.missing {
		return unix.EMFILE, ""
	}
	if r.args >= 0 {
		if err := readArgs(r.args, &r.Args); err != nil {
			return errnoOf(err), ""
		}
	}
	if r.Dress.Prep != nil {
		return k.prepare(r, true)
	}
	err := k.fork(r)
	if r.isGroupGone(err) {
		err = k.fork(r)
	}
	if err != nil && r.cgroup >= 0 && cannotBeBornThere(err) {
		return k.prepare(r, false)
	}
	if err != nil {
		return errnoOf(err), r.wording(errnoOf(err))
	}
	return 0, ""
}

// fork starts the program itself: all that is asked for can be had in the clone.
func (k *Keeper) fork(r *request) error {
	if r.cgroup >= 0 && !k.canBeBornIn(r) {
		return unix.ENOSYS
	}
	attr := k.attributes(r)
	attr.Dir, attr.Env = r.Args.Dir, r.Args.Env
	attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = r.cgroup >= 0, r.cgroup
	if u := r.Dress.User; u != nil {
		attr.Sys.Credential = &syscall.Credential{Uid: u.Uid, Gid: u.Gid, Groups: u.Groups, NoSetGroups: u.KeepGroups}
	}
	_, err := k.withTerminal(r, func() (Child, error) { return k.table.Start(r.child(), r.Args.Path, r.Args.Argv, attr) })
	if err == unix.ENOSYS && r.cgroup >= 0 {
		k.oldClone.Store(true)
	}
	return err
}

func (r *request) child() Child {
	c := Child{Key: r.Key, Run: r.Run, Group: r.Group}
	if !r.Dress.Guest {
		c.Cgroup = r.Dress.Cgroup
	}
	return c
}

// isGroupGone reports whether a process cannot be born because its cgroup has just been
// removed, as happens in a shutdown to the hook of a service that ends meanwhile; from
// then on the request has none.
func (r *request) isGroupGone(err error) bool {
	if err != unix.ENOENT && err != unix.ENODEV || r.cgroup < 0 || unix.Faccessat(r.cgroup, cgroup.EventsFile, unix.F_OK, 0) == nil {
		return false // the program, perhaps
	}
	unix.Close(r.cgroup)
	r.cgroup, r.Dress.Cgroup = -1, ""
	return true
}

// canBeBornIn reports whether the clone is to be tried that makes a process in its
// cgroup.
func (k *Keeper) canBeBornIn(r *request) bool {
	return !k.oldClone.Load() && !k.table.killed.holds(r.Dress.Cgroup, r.cgroup)
}

// attributes are those that every child of a server has: its descriptors, and a
// session of its own.
func (k *Keeper) attributes(r *request) *syscall.ProcAttr {
	files := make([]uintptr, 0, 3+len(r.files))
	for _, fd := range [...]int{r.stdin, r.stdout, r.stderr} {
		if fd < 0 {
			fd = k.null
		}
		files = append(files, uintptr(fd))
	}
	for _, fd := range r.files {
		files = append(files, uintptr(fd))
	}
	return &syscall.ProcAttr{Files: files, Sys: &syscall.SysProcAttr{Setsid: true, Setctty: r.Dress.TTY}}
}

// cannotBeBornThere reports whether the error of a fork may mean that the kernel could
// not make the process in its cgroup: clone3 or its cgroup are too new (before 5.3,
// 5.7), a filter knows neither, or the cgroup takes nobody in that way. The exec fails
// with some of these too; then it fails once more.
func cannotBeBornThere(err error) bool {
	switch err {
	case unix.ENOSYS, unix.E2BIG, unix.EINVAL, unix.EPERM, unix.EACCES, unix.EBUSY, unix.EOPNOTSUPP, unix.ENODEV:
		return true
	}
	return false
}

// wording says what an error of a fork was about, as far as that is certain.
func (r *request) wording(errno syscall.Errno) string {
	u := r.Dress.User
	switch {
	case u != nil && errno == unix.EPERM && !r.Dress.TTY:
		return fmt.Sprintf("cannot become user %d with group %d: %v: only root can: run zinit as root, or remove user and group", u.Uid, u.Gid, errno)
	case r.Dress.TTY && (errno == unix.ENOTTY || errno == unix.EIO):
		return fmt.Sprintf("cannot take its tty for the controlling terminal: %v: name a terminal that is there", errno)
	case r.Dress.TTY && u == nil && errno == unix.EPERM:
		return fmt.Sprintf("cannot take its tty for the controlling terminal: %v: end the session that has it, or name another one", errno)
	}
	return ""
}

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}
