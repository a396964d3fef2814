package reap

import (
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// receive takes the next packet of requests from a server. It reports whether the
// channel was not at its end.
func (k *Keeper) receive(s *session) (more bool) {
	data, files, _, err := k.recv.next()
	defer k.gate.Unlock()
	if err != nil {
		k.hungUp(s)
		return false
	}
	k.dispatch(s, data, files)
	return true
}

// dispatch carries out the requests of one packet. Descriptors that a request
// should have and that are not there were lost to a full table.
func (k *Keeper) dispatch(s *session, data []byte, files []int) {
	in := intake{files: files}
	defer in.close()
	k.calm.leave(1)
	ok := decodePacket(data, func(m message) {
		switch m := m.(type) {
		case *spawnMessage:
			r := in.spawn(m)
			k.lanes.put(m.Key, func() { k.spawn(r) })
		case *dressMessage:
			r := in.dress(m)
			k.lanes.put(m.Key, func() { k.spawn(r) })
		case *watchMessage:
			k.lanes.put(m.Key, func() { k.watch(m) })
		case *declinedMessage:
			k.lanes.put(m.Key, func() { k.decline(m) })
		case *signalMessage:
			do := func() { k.signal(m) }
			if k.lanes.busy(m.Key) && !(m.Signal == unix.SIGKILL && k.table.preparing(m.Key, m.Run)) {
				k.lanes.put(m.Key, do)
			} else {
				k.carryOut(do)
			}
		case *ackMessage:
			k.ack(m.runID)
		case *planMessage:
			k.takePlan(m)
		case *tookMessage:
			k.took(m.Signal)
		case *reexecMessage:
			k.wantReexec(s)
		case *readyMessage:
			k.serverReady(s)
		case *drainingMessage:
			k.serverDrains(s, m.Code)
		}
	})
	if !ok {
		k.log("cannot understand a packet of the server: %d bytes", len(data))
	}
	s.flush()
}

// An intake deals the descriptors of a packet out to its requests, in order.
type intake struct{ files []int }

func (in *intake) take(want bool, missing *bool) int {
	if !want {
		return -1
	}
	if len(in.files) == 0 {
		*missing = true
		return -1
	}
	fd := in.files[0]
	in.files = in.files[1:]
	return fd
}

func (in *intake) close() {
	for _, fd := range in.files { // a damaged packet's, or of verbs that are not known
		unix.Close(fd)
	}
}

// carryOut runs one request; a panic in it is survived.
func (k *Keeper) carryOut(request func()) { survive(k.log, "request", request) }

// carriedOut is called by a worker after a request. While others wait their
// answers are worth collecting; the last one sends.
func (k *Keeper) carriedOut(waiting int) {
	if waiting%8 == 0 {
		k.current().flush()
	}
	k.calm.leave(1)
	k.calm.stir()
}

// accept notes the run number of a key, or says why the keeper will not start it.
// A newer run acknowledges the older ones.
func (k *Keeper) accept(key string, run uint64, declined bool) (refused string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if own(key) {
		return "a key must not be empty"
	}
	r := k.record(key)
	if run <= r.run {
		return fmt.Sprintf("run %d is not newer than run %d", run, r.run)
	}
	if !declined && k.stage == StageDrain && !strings.Contains(key, "/") {
		return "a shutdown is under way"
	}
	if r.main != 0 && !declined {
		return fmt.Sprintf("pid %d of run %d is alive", r.main, r.run)
	}
	r.run, r.exit = run, nil
	return ""
}

// decline answers for a request that the client could not make.
func (k *Keeper) decline(m *declinedMessage) {
	failed := &SpawnFailed{Key: m.Key, Run: m.Run, Errno: m.Errno}
	failed.Refused = k.accept(m.Key, m.Run, true)
	k.tell(failed)
}

// signal carries out a request to signal. That the process is gone by now is told
// by its exit; everything else says that the server asked for the impossible.
func (k *Keeper) signal(m *signalMessage) {
	if own(m.Key) {
		return
	}
	err := k.table.Signal(m.Key, m.Run, m.Signal, m.Scope)
	if err != nil && err != unix.ESRCH {
		k.log("cannot send signal %d to %s, run %d: %v", m.Signal, m.Key, m.Run, err)
	}
}

func (k *Keeper) tell(m message) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tellLocked(m)
}

func (k *Keeper) ack(id runID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.records[id.Key]; r != nil && r.exit != nil && r.exit.Run <= id.Run {
		r.exit = nil
	}
}

func (k *Keeper) took(sig syscall.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, s := range k.pending {
		if s == sig {
			k.pending = append(k.pending[:i], k.pending[i+1:]...)
			return
		}
	}
}

func (k *Keeper) takePlan(m *planMessage) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.Reset {
		k.plan.next = nil
	}
	if len(k.plan.next)+len(m.Steps) <= maxPlan {
		k.plan.next = append(k.plan.next, m.Steps...)
	}
	if m.Complete {
		k.plan = plan{steps: k.plan.next, worst: m.Worst}
	}
}

func (k *Keeper) serverReady(s *session) {
	s.mu.Lock()
	first := !s.ready
	s.ready = true
	pid := s.pid
	s.mu.Unlock()
	if first {
		k.calm.leave(worthwhile) // to hand everything over to it was a burst
		k.calm.stir()
		k.notice(ServerReady{pid})
	}
}

func (k *Keeper) wantReexec(s *session) {
	s.mu.Lock()
	first := !s.asked
	s.asked = true
	s.mu.Unlock()
	if first {
		k.notice(ReexecWanted{})
	}
}

func (k *Keeper) serverDrains(s *session, code uint8) {
	s.mu.Lock()
	first := !s.draining
	s.draining = true
	s.mu.Unlock()
	k.SetStage(StageDrain)
	if first {
		k.notice(Draining{code})
	}
}
