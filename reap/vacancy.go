package reap

import (
	"encoding/binary"
	"path/filepath"

	"golang.org/x/sys/unix"

	"zinit/reap/cgroup"
)

// Vacancies tell when the last process of a cgroup has ended. That cannot be seen by
// reaping alone: a process of the group whose parent lives in another one is reaped by
// that parent, and one can be moved out of the group. The kernel knows it, however, and
// marks the group's events file as modified; so nothing has to be asked again and again.
type vacancies struct {
	fd int // of inotify; 0: not opened yet, -1: there is none
	// numb is the number under which the kernel tells of a run's cgroup, -1 if it does
	// not. Runs in the same cgroup have the same.
	numb map[*entry]int
}

// inhabitedLocked reports whether somebody is left in the cgroup of a run whose main
// process has ended. If so, settleLocked is called when that changes.
func (t *Table) inhabitedLocked(e *entry) bool {
	if e.Cgroup == "" {
		return false
	}
	if !t.populatedLocked(e) {
		return false // as nearly always: nobody has to listen
	}
	if _, listening := t.vacancies.numb[e]; listening {
		return true
	}
	t.listenLocked(e)
	return t.populatedLocked(e) // what happens after this answer is told
}

// populatedLocked asks the kernel whether somebody is in the cgroup of a run. If not,
// what is told of it is of no interest any more.
func (t *Table) populatedLocked(e *entry) bool {
	ask := cgroup.Populated
	if t.draining {
		// The group is of no more use. While processes end side by side is the time to
		// remove it: a thousand at the very end take as long as all the rest.
		ask = cgroup.Vacate
	}
	lives, err := ask(e.Cgroup)
	if err == nil && lives {
		return true
	}
	t.deafenLocked(e)
	return false
}

// listenLocked has the kernel tell of a cgroup. Where it does not, the reaper asks; see
// recheckLocked.
func (t *Table) listenLocked(e *entry) {
	v := &t.vacancies
	if v.numb == nil {
		v.numb = make(map[*entry]int)
	}
	if _, known := v.numb[e]; known {
		return
	}
	v.numb[e] = -1
	if v.fd == 0 {
		v.fd = t.openVacancies()
	}
	if v.fd < 0 {
		return
	}
	wd, err := unix.InotifyAddWatch(v.fd, filepath.Join(e.Cgroup, cgroup.EventsFile), unix.IN_MODIFY)
	if err == nil {
		v.numb[e] = wd
	}
}

func (t *Table) deafenLocked(e *entry) {
	v := &t.vacancies
	wd, known := v.numb[e]
	if !known {
		return
	}
	delete(v.numb, e)
	if wd < 0 {
		return
	}
	for _, other := range v.numb {
		if other == wd {
			return
		}
	}
	// It is gone by itself when the group was removed.
	_, _ = unix.InotifyRmWatch(v.fd, uint32(wd))
}

// openVacancies opens inotify and begins to listen. The goroutine waits in the poller
// of the runtime, so that it takes no thread.
func (t *Table) openVacancies() (fd int) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return -1
	}
	f, raw, err := pollable(fd, "inotify")
	if err != nil {
		unix.Close(fd)
		return -1
	}
	go func() {
		defer f.Close() // it is kept until here
		buf := make([]byte, 4096)
		for {
			var n int
			lost := raw.Read(func(fd uintptr) bool {
				var err error
				n, err = unix.Read(int(fd), buf)
				return err != unix.EAGAIN && err != unix.EINTR
			})
			if lost != nil || n <= 0 {
				return
			}
			t.vacated(buf[:n])
		}
	}()
	return fd
}

// vacated takes in what inotify tells: 4 bytes of number, 4 of what happened, 4 that
// are of no interest here, 4 with the length of a name that follows.
func (t *Table) vacated(events []byte) {
	t.mu.Lock()
	for len(events) >= unix.SizeofInotifyEvent {
		wd := int(int32(binary.NativeEndian.Uint32(events)))
		mask := binary.NativeEndian.Uint32(events[4:])
		name := int(binary.NativeEndian.Uint32(events[12:]))
		events = events[min(len(events), unix.SizeofInotifyEvent+name):]
		for e, number := range t.vacancies.numb {
			if number == wd || mask&unix.IN_Q_OVERFLOW != 0 {
				t.settleLocked(e)
			}
		}
	}
	t.mu.Unlock()
	if t.hooks.Settled != nil {
		t.hooks.Settled()
	}
}

// passOnLocked leaves what earlier runs of a key have left in their cgroup to a new one
// that is born there: it is as much that one's now.
func (t *Table) passOnLocked(c *Child) {
	if c.Cgroup == "" {
		return
	}
	for e := range t.vacancies.numb {
		if e.Key == c.Key && e.Cgroup == c.Cgroup {
			t.deafenLocked(e)
			e.Cgroup = ""
			t.settleLocked(e)
		}
	}
}
