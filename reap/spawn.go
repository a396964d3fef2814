package reap

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Spawn asks for a process. The answer is Spawned or SpawnFailed. Stdin, Stdout and
// Stderr belong to the client from here on; the other files stay with the caller. A
// keeper that is too old for what is asked starts nothing.
func (c *Client) Spawn(s Spec) { c.spawn(s, c.askLocked) }

// spawn asks by a function that is called with the lock held.
func (c *Client) spawn(s Spec, ask func(m message, files []int)) {
	m := &dressMessage{spawnMessage{
		Key: s.Key, Run: s.Run, Group: s.Group,
		Args: spawnArgs{Path: s.Path, Dir: s.Dir, Argv: s.Argv, Env: s.Env},
	}, s.dress()}
	files, kept, err := m.collect(&s)
	for _, f := range []*os.File{s.Stdin, s.Stdout, s.Stderr} {
		if f != nil {
			f.Close() // what was asked for has copies
		}
	}
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		// The keeper answers for us, so that the answer comes in order.
		ask(&declinedMessage{s.Key, s.Run, errnoOf(err)}, nil)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.dressed() && c.can&canDress == 0 {
		(&packet{files: append(files, kept[:]...)}).close()
		c.words[runID{s.Key, s.Run}] = tooOld
		ask(&declinedMessage{s.Key, s.Run, unix.EOPNOTSUPP}, nil)
		return
	}
	for i, fd := range kept {
		if fd >= 0 {
			c.keepLocked(OutputName(s.Key, s.Run, i+1), fd)
		}
	}
	if s.dressed() {
		ask(m, files)
	} else {
		ask(&m.spawnMessage, files)
	}
}

// tooOld is why an older keeper is not asked.
const tooOld = "the keeper is an older program that cannot start it with its user, cgroup, terminal, descriptors or limits: " +
	"replace the keeper too"

// collect makes the descriptors that travel with the request and those that the
// holder gets, all of them or none.
func (m *dressMessage) collect(s *Spec) (files []int, kept [2]int, err error) {
	kept = [2]int{-1, -1}
	defer func() {
		if err != nil {
			(&packet{files: append(files, kept[:]...)}).close()
		}
	}()
	for _, f := range []*os.File{s.Stdout, s.Stderr} {
		if f == nil {
			continue
		}
		fd, err := duplicate(f)
		if err != nil {
			return files, kept, err
		}
		files = append(files, fd)
	}
	m.Stdout, m.Stderr = s.Stdout != nil, s.Stderr != nil
	for i, f := range s.Keep {
		if f == nil {
			continue
		}
		if kept[i], err = duplicate(f); err != nil {
			return files, kept, err
		}
	}
	if m.Args.size() > maxInline {
		fd, err := writeArgs(&m.Args)
		if err != nil {
			return files, kept, err
		}
		m.Fd, files = true, append(files, fd)
	}
	files, err = m.Dress.collect(s, files)
	return files, kept, err
}

// duplicate copies a descriptor; -1 with the error otherwise.
func duplicate(f *os.File) (int, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, syscall.EBADF
	}
	fd := -1
	if ctl := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); ctl != nil {
		return -1, syscall.EBADF
	}
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// Keep gives the keeper a copy of a descriptor, which each later server gets by
// that name in its inventory. An earlier one of the name is released.
func (c *Client) Keep(name string, f *os.File) error {
	fd, err := duplicate(f)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepLocked(name, fd)
	notify(c.wake)
	return nil
}

func (c *Client) keepLocked(name string, fd int) {
	if c.lost {
		unix.Close(fd)
		return
	}
	c.kept = appendMessage(c.kept, &keepMessage{nameMessage{name}}, []int{fd})
	if !c.held {
		notify(c.wake)
	}
}

// Release makes the keeper close what it keeps by that name. In a shutdown, where
// thousands come together, they travel with what is flushed next.
func (c *Client) Release(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost {
		return
	}
	c.kept = appendMessage(c.kept, &releaseMessage{nameMessage{name}}, nil)
	if !c.held || !c.drain {
		notify(c.wake)
	}
}
