package reap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// This file is the keeper's side of the step before the program; see prep.go for the
// side of the process.

const (
	// prepTime is how long the step may take before it is given up: it depends on
	// nothing but the file systems of the program and of its directory.
	prepTime = 30 * time.Second
	// maxReport bounds what is read of what the step says.
	maxReport = 4 << 10
)

// prepare starts the step, for all that r.Dress.Prep names and, with whole set, for
// the user; the cgroup is entered there if it cannot be in the clone. It does not wait:
// that the program was executed, or could not be, is told by a goroutine, and until
// then no other request of the key is carried out.
func (k *Keeper) prepare(r *request, whole bool) (errno syscall.Errno, text string) {
	order := &prepOrder{Args: r.Args, User: r.Dress.User, Prep: r.Dress.Prep}
	err := error(unix.ENOSYS)
	if whole && (r.cgroup < 0 || k.canBeBornIn(r)) {
		err = k.startPrep(r, order, -1)
		if r.isGroupGone(err) {
			err = k.startPrep(r, order, -1)
		}
	}
	if r.cgroup >= 0 && cannotBeBornThere(err) {
		order.Enter = true
		err = k.startPrep(r, order, r.cgroup)
	}
	if err == nil {
		return 0, ""
	}
	if text = r.wording(errnoOf(err)); text == "" {
		text = fmt.Sprintf("cannot prepare it: %v", err)
	}
	return errnoOf(err), text
}

// startPrep starts the step; enter is the descriptor of a cgroup that it is to enter
// by itself, -1 if it is born there or in none.
func (k *Keeper) startPrep(r *request, order *prepOrder, enter int) error {
	text, err := order.seal()
	if err != nil {
		return err
	}
	defer unix.Close(text)
	var report [2]int
	if err := unix.Pipe2(report[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(report[1])
	attr := k.attributes(r)
	first := len(attr.Files)
	attr.Files = append(attr.Files, uintptr(text), uintptr(report[1]))
	if enter >= 0 {
		attr.Files = append(attr.Files, uintptr(enter))
	} else {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = r.cgroup >= 0, r.cgroup
	}
	// What its own runtime needs to know and nothing of the service's: it has one thing
	// to do, one after the other.
	attr.Env = []string{"GOMAXPROCS=1", "GOGC=off"}
	k.lanes.hold(r.Key)
	c, err := k.withTerminal(r, func() (Child, error) {
		return k.forkPrep(r.child(), []string{PrepName, strconv.Itoa(first)}, attr)
	})
	if err != nil {
		unix.Close(report[0])
		k.lanes.free(r.Key)
		return err
	}
	go k.awaitPrep(c, report[0])
	return nil
}

// forkPrep tries the paths of this program until one can be executed.
func (k *Keeper) forkPrep(c Child, argv []string, attr *syscall.ProcAttr) (Child, error) {
	var first error
	for _, path := range k.paths() {
		born, err := k.table.start(c, path, argv, attr, true)
		switch err {
		case unix.ENOENT, unix.ENOTDIR, unix.ENOEXEC, unix.ETXTBSY, unix.ELIBBAD, unix.ESTALE, unix.EIO, unix.EACCES:
		default:
			return born, err
		}
		if first == nil {
			first = err
		}
	}
	return Child{}, first
}

// awaitPrep waits until the program is executed or will not be.
func (k *Keeper) awaitPrep(c Child, report int) {
	said, late := []byte(nil), false
	survive(k.log, "report of "+c.Key, func() { said, late = readReport(report, k.prepTime) })
	errno, text, executed := judgeReport(said)
	switch {
	case late:
		errno, text = unix.ETIMEDOUT, fmt.Sprintf("cannot execute it: nothing came of it within %v", k.prepTime)
	case executed:
		k.table.executed(c.Key, c.Run)
		k.lanes.free(c.Key)
		k.current().flush()
		return
	}
	k.table.notExecuted(SpawnFailed{Key: c.Key, Run: c.Run, Errno: errno, Text: text})
	k.current().flush() // its end may have come before
}

// readReport reads until the other end is closed, which exec does too.
func readReport(fd int, bound time.Duration) (said []byte, late bool) {
	f, _, err := pollable(fd, "report")
	if err != nil {
		unix.Close(fd)
		return nil, false
	}
	defer f.Close()
	if err := f.SetReadDeadline(time.Now().Add(bound)); err != nil {
		return nil, false
	}
	said, err = io.ReadAll(io.LimitReader(f, maxReport))
	return said, os.IsTimeout(err)
}

// A report is executing when all was done, and, if something was refused, refusing with
// the errno and a text.
const (
	executing = 1
	refusing  = 2
)

// noWord is the errno of a process that ended without a word.
const noWord = unix.ECHILD

func judgeReport(said []byte) (errno syscall.Errno, text string, executed bool) {
	at := bytes.IndexByte(said, refusing)
	if at < 0 {
		return noWord, "", slices.Contains(said, executing)
	}
	rest := said[at+1:]
	n, size := binary.Uvarint(rest)
	if size <= 0 {
		return unix.EIO, "", false
	}
	return syscall.Errno(n), string(rest[size:]), false
}

// unborn is called by the table, under its lock, when a process that did not get to
// its program was reaped.
func (k *Keeper) unborn(f SpawnFailed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tellLocked(&f)
	k.lanes.free(f.Key)
}
