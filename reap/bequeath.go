package reap

import (
	"os"
	"strings"
)

// rehearsalKey is the key of a program that rehearses. Keys that begin like this are
// the keeper's own.
const rehearsalKey = "\x00rehearsal"

// own reports whether a key is of no service.
func own(key string) bool { return key == serverKey || strings.HasPrefix(key, "\x00") }

// bequest is everything but the descriptors. The two parts of it are each of one
// moment; they are of the same one while the keeper rests.
func (k *Keeper) bequest(rehearsal bool, notes map[string]string) []message {
	heir := &heirMessage{Pid: os.Getpid(), Rehearsal: rehearsal}
	list := k.table.bequest([]message{heir})
	list = k.bequestRecords(list)
	if s := k.current(); s != nil {
		list = s.bequest(list)
	}
	for name, value := range notes {
		list = append(list, &noteMessage{name, value})
	}
	return list
}

func (t *Table) bequest(list []message) []message {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.byRun {
		if e.Key == serverKey || !own(e.Key) {
			copied := e.Child
			list = append(list, &copied)
		}
	}
	last := t.orphans.list()
	list = append(list, &orphansMessage{t.orphans.count})
	for i := range last {
		list = append(list, &last[i])
	}
	return t.killed.bequest(list)
}

func (k *Keeper) bequestRecords(list []message) []message {
	k.mu.Lock()
	defer k.mu.Unlock()
	list = append(list, &helloMessage{k.stage, can})
	for key, r := range k.records {
		list = append(list, &knownMessage{runID{key, r.run}})
		if r.birth.Run == r.run && r.run != 0 {
			list = append(list, &birthMessage{r.birth})
		}
		if r.exit != nil {
			exit := *r.exit
			list = append(list, &exit)
		}
	}
	for _, sig := range k.pending {
		list = append(list, &Signaled{sig})
	}
	return append(list,
		&planMessage{Reset: true, Complete: true, Worst: k.plan.worst, Steps: k.plan.steps},
		&planMessage{Reset: true, Steps: k.plan.next})
}

func (s *session) bequest(list []message) []message {
	s.mu.Lock()
	m := &sessionMessage{Number: s.number, Pid: s.pid, Ready: s.ready, Draining: s.draining,
		Drained: s.drained, Over: s.over, Asked: s.asked}
	if s.exit != nil {
		exit := *s.exit
		list = append(list, &exit)
	}
	s.mu.Unlock()
	list = append(list, m)
	for _, p := range s.out.left() {
		list = append(list, &unsentMessage{string(p.buf)})
	}
	return list
}

// Notices wait in a channel; to leave them to somebody is to take them out.
func (k *Keeper) takeNotices() (list []Notice) {
	for {
		select {
		case n := <-k.notices:
			list = append(list, n)
		default:
			return list
		}
	}
}

const (
	noticeReady    = 1
	noticeExited   = 2
	noticeDraining = 3
	noticeReexec   = 4
)

func recordOf(n Notice) message {
	switch n := n.(type) {
	case ServerReady:
		return &noticeMessage{Kind: noticeReady, Pid: n.Pid}
	case ServerExited:
		return &noticeMessage{noticeExited, n.Pid, n.Status, n.WasReady, n.Draining}
	case Draining:
		return &noticeMessage{Kind: noticeDraining, Status: ExitCode(int(n.Code))}
	}
	return &noticeMessage{Kind: noticeReexec}
}

// notice is nil when the kind is not known.
func (m *noticeMessage) notice() Notice {
	switch m.Kind {
	case noticeReady:
		return ServerReady{m.Pid}
	case noticeExited:
		return ServerExited{m.Pid, m.Status, m.WasReady, m.Draining}
	case noticeDraining:
		return Draining{m.Status.code}
	case noticeReexec:
		return ReexecWanted{}
	}
	return nil
}
