package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// EventsFile is the file of a group that inotify reports as modified when its last
// process has ended, or a first one has come.
const EventsFile = "cgroup.events"

// Populated reports whether a process lives in the group or in one below it. A group
// that does not exist has none.
func Populated(dir string) (bool, error) {
	text, err := readShort(filepath.Join(dir, EventsFile))
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, ok := value(text, "populated")
	if !ok {
		return false, fmt.Errorf("cannot understand %s: it says nothing of populated", filepath.Join(dir, EventsFile))
	}
	return n != 0, nil
}

// Vacate removes a group unless a process lives in it, or in one below it; it reports
// whether one does. It costs less than to ask first.
func Vacate(dir string) (populated bool, err error) {
	switch err := unix.Rmdir(dir); err {
	case nil, unix.ENOENT:
		return false, nil
	}
	return Populated(dir)
}

// missing reports whether a group is not there (any more).
func missing(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) }

// maxDepth bounds how far below a group others are looked for.
const maxDepth = 16

// Procs lists the processes of a group and of those below it, in no order. Those of
// another PID namespace, which have no number here, are left out.
func Procs(dir string) ([]int, error) {
	pids, err := appendProcs(nil, dir, maxDepth)
	if missing(err) {
		return nil, nil
	}
	return pids, err
}

func appendProcs(pids []int, dir string, depth int) ([]int, error) {
	text, err := read(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return pids, err
	}
	for line := range strings.Lines(text) {
		// 1 is nobody to be signalled on behalf of a group.
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 1 {
			pids = append(pids, pid)
		}
	}
	if depth == 0 {
		return pids, nil
	}
	for _, below := range groupsBelow(dir) {
		more, err := appendProcs(pids, below, depth-1)
		if err != nil && !missing(err) {
			return pids, err
		}
		pids = more
	}
	return pids, nil
}

// groupsBelow lists the directories of the groups directly below one.
func groupsBelow(dir string) (list []string) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil // it is gone, and so are they
	}
	for _, name := range names {
		if name.IsDir() {
			list = append(list, filepath.Join(dir, name.Name()))
		}
	}
	return list
}

// Signal sends a signal to each process of a group and of those below it, once. Who
// is forked meanwhile may be missed. It is no error if nobody is there.
func Signal(dir string, sig syscall.Signal) error {
	pids, err := Procs(dir)
	if err != nil {
		return err
	}
	_, err = signalMembers(dir, pids, sig)
	return err
}

// Kill ends every process of a group and of those below it, also of one that forks
// all the time: as a whole where the kernel can (5.14), otherwise one by one, frozen
// if that can be (5.2). An error says that some may be left.
//
// What clone3 makes in that group later may be ended at birth, by a mistake of kernels
// since 6.14; whoever enters it is not.
func Kill(dir string) error {
	err := write(filepath.Join(dir, "cgroup.kill"), "1")
	if err == nil {
		return nil
	}
	if there, _ := exists(dir); !there {
		return nil
	}
	return killEach(dir)
}

func exists(dir string) (bool, error) {
	err := unix.Access(dir, unix.F_OK)
	return err == nil, err
}

// maxRounds bounds how often new members of a group that cannot be frozen are looked
// for. Whoever has got SIGKILL forks no more, so that a group gains only by those that
// were not listed yet.
const maxRounds = 100

func killEach(dir string) error {
	freezer := filepath.Join(dir, "cgroup.freeze")
	if write(freezer, "1") == nil {
		// A frozen process ends when it is killed. What came in since is thawed.
		defer func() { _ = write(freezer, "0") }() // the group may be gone
	}
	killed := make(map[int]bool)
	for range maxRounds {
		pids, err := Procs(dir)
		if err != nil {
			return err
		}
		fresh := pids[:0:0]
		for _, pid := range pids {
			if !killed[pid] {
				fresh = append(fresh, pid)
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		reached, err := signalMembers(dir, fresh, unix.SIGKILL)
		if err != nil {
			return err
		}
		for _, pid := range reached {
			killed[pid] = true
		}
	}
	return fmt.Errorf("cannot kill every process of %s: it forks faster than they end", dir)
}

// atOnce bounds the descriptors that are open for signalling.
const atOnce = 64

// signalMembers signals those of a list that are still in the group, and says whom.
func signalMembers(dir string, pids []int, sig syscall.Signal) (reached []int, err error) {
	for len(pids) > 0 {
		n := min(len(pids), atOnce)
		some, err := signalSome(dir, pids[:n], sig)
		reached = append(reached, some...)
		if err != nil {
			return reached, err
		}
		pids = pids[n:]
	}
	return reached, nil
}

// signalSome holds processes by descriptor, looks which of their numbers are listed
// now and signals those. A number cannot become a stranger's in between: while the
// signal can be delivered the process has kept its number since before it was listed.
func signalSome(dir string, pids []int, sig syscall.Signal) (reached []int, err error) {
	held := make(map[int]int, len(pids))
	defer func() {
		for _, fd := range held {
			unix.Close(fd)
		}
	}()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		switch err {
		case nil:
			held[pid] = fd
		case unix.ESRCH:
		default: // before 5.3, or no descriptor is left: what is listed now is the best there is
			held[pid] = -1
		}
	}
	now, err := Procs(dir)
	if err != nil {
		return nil, err
	}
	for _, pid := range now {
		fd, ok := held[pid]
		if !ok {
			continue
		}
		if fd >= 0 {
			err = unix.PidfdSendSignal(fd, sig, nil, 0)
		} else {
			err = unix.Kill(pid, sig)
		}
		if err != nil && err != unix.ESRCH {
			return reached, fmt.Errorf("cannot send signal %d to pid %d of %s: %w", sig, pid, dir, err)
		}
		reached = append(reached, pid)
	}
	return reached, nil
}
