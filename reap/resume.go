package reap

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Resume is NewKeeper for a process whose program was replaced: the keeper goes on
// with what it was left. It may be called again after an error.
func Resume(h *Heritage, log func(format string, args ...any)) (*Keeper, error) {
	return newKeeper(log, h)
}

// estate is the descriptors of a heritage that are still there.
func (h *Heritage) estate(log func(format string, args ...any)) estate {
	e := noEstate()
	for _, m := range h.messages {
		switch m := m.(type) {
		case *sessionMessage:
			if isOpen(m.Files) {
				e.channel, e.told = m.Files, m.Told
			}
			if isOpen(m.Requests) {
				e.mains = append(e.mains, m.Requests)
			}
		case *heldMessage:
			if !isOpen(m.Fd) {
				log("descriptor %s was lost", m.Name)
				continue
			}
			e.held[m.Name] = m.Fd
			if m.Unsent {
				e.unsent = append(e.unsent, m.Name)
			}
		}
	}
	return e
}

// isOpen reports whether a number is that of a descriptor that could be kept.
func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return fd >= firstOwn && err == nil
}

// inherit fills a keeper that does nothing yet.
func (k *Keeper) inherit(h *Heritage) {
	last := new(sessionMessage)
	var exit *Exited
	var unsent []packet
	for _, m := range h.messages {
		switch m := m.(type) {
		case *Child:
			k.inheritChild(m)
		case *Exited:
			if m.Key == serverKey {
				exit = m
			} else {
				k.record(m.Key).exit = m
			}
		case *knownMessage:
			k.record(m.Key).run = m.Run
		case *killedMessage:
			k.table.killed.put(m.Dir, m.Inode)
		case *birthMessage:
			k.record(m.Key).birth = m.Child
		case *helloMessage:
			k.SetStage(m.Stage)
		case *planMessage:
			k.takePlan(m)
		case *Signaled:
			k.pending = append(k.pending, m.Signal)
		case *orphansMessage:
			k.table.orphans.count = m.Count
		case *Orphan:
			k.table.orphans.ring = append(k.table.orphans.ring, *m)
		case *sessionMessage:
			last = m
		case *unsentMessage:
			if m.Packet != "" {
				unsent = append(unsent, packet{buf: []byte(m.Packet)})
			}
		case *noticeMessage:
			if n := m.notice(); n != nil {
				k.notice(n)
			}
		}
	}
	k.table.orphans.align()
	if last.Number != 0 {
		k.session = k.inheritSession(last, exit, unsent)
	}
}

func (k *Keeper) record(key string) *life {
	r := k.records[key]
	if r == nil {
		r = new(life)
		k.records[key] = r
	}
	return r
}

func (k *Keeper) inheritChild(c *Child) {
	t := k.table
	e := &entry{Child: *c}
	if c.leader == 0 && c.Group && !c.Watched && c.Cgroup == "" {
		e.leader = c.Pid // of a program that did not name it: there was nothing else
	}
	t.byRun[runID{c.Key, c.Run}] = e
	for _, group := range [...]int{e.leader, e.other} {
		if group != 0 && (group != e.Pid || e.MainGone) {
			t.groups[group] = e
		}
	}
	if c.MainGone {
		return
	}
	t.byPid[c.Pid] = e
	if !own(c.Key) {
		r := k.record(c.Key)
		r.main = c.Pid
		if r.birth.Run != c.Run { // of a program that did not tell
			r.birth = e.Child
		}
	}
}

// resume begins to notice what ends without being reaped here.
func (t *Table) resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.byRun {
		switch {
		case e.MainGone:
			t.settleLocked(e)
		case e.Watched && !childOfOurs(e.Pid):
			e.foreign = true
			t.awaitForeign(e, e.Pid)
		}
	}
}

// inheritSession takes over the channel to the server, which knows of nothing.
func (k *Keeper) inheritSession(m *sessionMessage, exit *Exited, unsent []packet) *session {
	s := &session{number: m.Number, pid: m.Pid, ready: m.Ready, draining: m.Draining, exit: exit,
		drained: m.Drained, over: m.Over, asked: m.Asked, out: &outbox{closed: true}}
	if s.drained || s.over {
		return s
	}
	if err := s.takeOver(m.Requests); err != nil {
		k.log("cannot go on with the channel of the server: %v", err)
		s.drained = true
		return s
	}
	s.out = newOutbox(s.file, s.raw)
	s.out.packets = unsent
	return s
}

// takeOver takes the keeper's end of channel 1.
func (s *session) takeOver(requests int) (err error) {
	if !isOpen(requests) {
		return unix.EBADF
	}
	// The lowest number that is free: what is forked copies the table up to the highest.
	s.fd, err = unix.FcntlInt(uintptr(requests), unix.F_DUPFD_CLOEXEC, firstOwn)
	if err != nil {
		return err
	}
	unix.Close(requests)
	s.file, s.raw, err = pollable(s.fd, "channel of the server")
	return err
}

// goOn sets the last server's session going again.
func (k *Keeper) goOn(s *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return
	case s.drained && s.exit == nil:
		k.killDeafLocked(s)
		return
	case s.drained:
		go k.sayOver(s)
		return
	}
	go survive(k.log, "sender", s.out.run)
	go k.listen(s)
	if s.asked {
		s.asked = false
		s.out.add(&Reexecuted{can: can})
	} else {
		s.out.add(&helloMessage{k.Stage(), can}) // what this program can do the server does not know
	}
	notify(s.out.wake)
}

// killDeafLocked ends, after a time, a server that has no channel; s.mu is held.
func (k *Keeper) killDeafLocked(s *session) {
	s.deaf = time.AfterFunc(deafServer, func() {
		k.log("the server closed its channel and lives on: killing it")
		_ = k.table.Signal(serverKey, s.number, unix.SIGKILL, ScopeMain) // it may be gone by now
	})
}

// align puts the ring in the order that add expects: the oldest at count.
func (o *orphans) align() {
	if len(o.ring) > orphansKept {
		o.ring = slices.Clone(o.ring[len(o.ring)-orphansKept:])
	}
	o.count = max(o.count, uint64(len(o.ring)))
	if len(o.ring) == orphansKept {
		oldest := int(o.count % orphansKept)
		rotated := make([]Orphan, 0, orphansKept)
		rotated = append(rotated, o.ring[orphansKept-oldest:]...)
		o.ring = append(rotated, o.ring[:orphansKept-oldest]...)
	} else {
		o.count = uint64(len(o.ring)) // add appends until the ring is full
	}
}
