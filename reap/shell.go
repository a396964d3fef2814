package reap

import (
	"errors"
	"os"
	"syscall"
)

// shellKey is that of a shell that the keeper itself offers.
const shellKey = "\x00shell"

// ErrShell says that the shell of StartShell has not ended.
var ErrShell = errors.New("there is one already")

// StartShell starts a program of the keeper's own on a terminal, as the leader of its
// session; no server is told of it. There is one at a time: ErrShell. tty stays with the
// caller.
func (k *Keeper) StartShell(argv, env []string, tty *os.File) (pid int, err error) {
	if !k.shelled.CompareAndSwap(false, true) {
		return 0, ErrShell
	}
	fd := tty.Fd() // which makes it one that blocks
	c, err := k.table.Start(Child{Key: shellKey, Run: 1}, argv[0], argv, &syscall.ProcAttr{
		Dir: "/", Env: env, Files: []uintptr{fd, fd, fd}, Sys: &syscall.SysProcAttr{Setsid: true, Setctty: true},
	})
	if err != nil {
		k.shelled.Store(false)
	}
	return c.Pid, err
}
