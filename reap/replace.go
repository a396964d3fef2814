package reap

import (
	"errors"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// restTime bounds how long requests wait for a keeper that comes to rest.
const restTime = 2 * time.Second

// Replace executes a program in place of this one: the process, its number, its
// children and the descriptors that it keeps stay, and so does the channel to the
// server, who notices nothing. The program, which calls Inherit and Resume, gets
// arguments and environment. Replace returns only if it cannot be done; then the
// keeper goes on as if nothing had happened.
//
// To a program that has not said HoldsSignals a SIGHUP, SIGINT, SIGQUIT, SIGABRT or
// SIGTERM that comes in the moment of the exec, a few milliseconds, is lost; other
// signals wait.
//
// notes is called when nothing moves any more, for the Notes of the heritage. Signals
// from outside wait in the kernel by then, and those that came before are in the
// channels that were given to signal.Notify. It must not wait.
//
// While this is going on requests wait, up to two seconds if a program is being
// executed and does not get to run. No server may be on its way, nobody else may call
// the keeper.
func (k *Keeper) Replace(c *Candidate, argv, env []string, notes func() map[string]string) error {
	awake, err := k.rest()
	if err != nil {
		return err
	}
	defer awake()
	if err := c.unchanged(); err != nil {
		return err
	}
	unblock, err := blockEverywhere()
	if err != nil {
		return err
	}
	defer unblock()
	left := k.takeNotices()
	defer func() {
		for _, n := range left {
			k.notice(n)
		}
	}()
	list := k.bequest(false, notes())
	for _, n := range left {
		list = append(list, recordOf(n))
	}
	var files []int
	if s := k.current(); s != nil && s.open() {
		files = append(files, s.fd)
	}
	var failed error
	err = k.kept.errand(files, restTime, func(h *holder, files []int) {
		failed = h.become(list, files, c.holds, func(variable string) error {
			return k.table.limits.execute(c.path, argv, append(env, variable))
		})
	})
	if err != nil {
		return err
	}
	return failed
}

var errRestless = errors.New("a program is being executed and its file system does not answer")

// tryUntil tries until it succeeds, or gives up. Who waits for a lock cannot give up.
func tryUntil(by time.Time, try func() bool) bool {
	for !try() {
		if time.Now().After(by) {
			return false
		}
		<-time.After(time.Millisecond)
	}
	return true
}

// rest stops everything but the reaping of who is a zombie already: no request is
// taken, none is being carried out, nothing forks, nothing is sent.
func (k *Keeper) rest() (awake func(), err error) {
	by := time.Now().Add(restTime)
	if !tryUntil(by, k.gate.TryLock) {
		return nil, errRestless
	}
	// Who gives up must leave nothing behind that waits, with the gate closed, for as long
	// as a program does not get to run.
	if !tryUntil(by, k.lanes.idle) || !tryUntil(by, k.table.forks.TryLock) {
		k.gate.Unlock()
		return nil, errRestless
	}
	move := func() {
		k.table.forks.Unlock()
		k.gate.Unlock()
	}
	s := k.current()
	if s == nil {
		return move, nil
	}
	s.out.freeze()
	return func() {
		s.out.thaw()
		move()
	}, nil
}

// open reports whether there is a channel to the server. The keeper rests, so that it
// stays.
func (s *session) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.drained && !s.over
}

// lowNumbers is below which no kept descriptor stays, so that those of the next
// program are low: what is forked copies the table up to the highest.
const lowNumbers = 64

// become executes a program, told by a variable where its heritage is, in the thread
// of the holder, with its table of descriptors. It returns only if that fails.
func (h *holder) become(list []message, files []int, holds bool, execute func(variable string) error) error {
	defer func() {
		for _, fd := range files {
			unix.Close(fd)
		}
	}()
	h.makeRoom()
	for _, m := range list {
		if s, ok := m.(*sessionMessage); ok {
			s.Files, s.Told = max(h.channel, 0), h.told
			if len(files) > 0 {
				s.Requests = files[0]
			}
		}
	}
	fd, err := sealed("zinit-heritage", encodeHeritage(append(list, h.bequest()...)))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	survivors := append(append(h.all(), files...), fd)
	for _, fd := range survivors {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
		defer unix.CloseOnExec(fd)
	}
	unblock := blockHere() // what is blocked stays so until the next runtime has handlers
	defer unblock()
	if !holds {
		restore := ignoreDeadly()
		defer restore()
	}
	return execute(heritageEnv + "=" + strconv.Itoa(fd))
}

func (h *holder) bequest() (list []message) {
	unsent := make(map[string]bool, len(h.unsent))
	for _, name := range h.unsent {
		unsent[name] = true
	}
	for name, fd := range h.held {
		list = append(list, &heldMessage{name, fd, unsent[name]})
	}
	return list
}

func (h *holder) makeRoom() {
	for name, fd := range h.held {
		if fd >= lowNumbers {
			continue
		}
		// One that cannot be moved stays: that is slower later, and no more.
		if moved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, lowNumbers); err == nil {
			unix.Close(fd)
			h.held[name] = moved
		}
	}
}
