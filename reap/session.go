package reap

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// serverTable is the number at which a descriptor is held while the server is
	// forked, so that it is born with a table of that size: growing it later, in a
	// process with threads, takes tens of milliseconds.
	serverTable = 8191
	// deafServer is how long a server may live without its channel.
	deafServer = 5 * time.Second
)

// A session is one server, from StartServer until ServerExited.
type session struct {
	number uint64 // the run number of the server's own process
	fd     int    // the keeper's end of channel 1
	file   *os.File
	raw    syscall.RawConn // of file
	out    *outbox

	mu       sync.Mutex
	pid      int         // guarded by mu
	ready    bool        // guarded by mu
	draining bool        // guarded by mu
	exit     *Exited     // guarded by mu; the process was reaped
	drained  bool        // guarded by mu; everything it sent was read
	deaf     *time.Timer // guarded by mu
	over     bool        // guarded by mu; ServerExited was said
	asked    bool        // guarded by mu; for a Reexecuted that it has not got yet
}

func (s *session) flush() {
	if s != nil {
		s.out.flush()
	}
}

// StartServer starts a server with channel 1 and 2 as its descriptors 3 and 4
// (argv is to tell it so) and hands it the inventory. What an earlier server had
// asked for is carried out to the end before. There must be no other server: the
// first call, or ServerExited was received.
func (k *Keeper) StartServer(path string, argv, env []string, stdio [3]*os.File) (pid int, err error) {
	number, err := k.previousDone()
	if err != nil {
		return 0, err
	}
	requests, theirs1, err := socketPair()
	if err != nil {
		return 0, fmt.Errorf("cannot make channel: %w", err)
	}
	defer unix.Close(theirs1)
	files, theirs2, err := socketPair()
	if err != nil {
		unix.Close(requests)
		return 0, fmt.Errorf("cannot make channel: %w", err)
	}
	defer unix.Close(theirs2)
	if err := k.kept.attach(files); err != nil {
		unix.Close(requests)
		return 0, fmt.Errorf("cannot hand channel to the holder: %w", err)
	}
	file, raw, err := pollable(requests, "channel of the server")
	if err != nil {
		unix.Close(requests)
		return 0, fmt.Errorf("cannot wait for the server: %w", err)
	}
	s := &session{number: number, fd: requests, file: file, raw: raw, out: newOutbox(file, raw)}
	k.greet(s)
	c, err := k.forkServer(number, path, argv, env, stdio, theirs1, theirs2)
	if err != nil {
		k.abandon(s)
		return 0, fmt.Errorf("cannot start server %s: %w", path, err)
	}
	s.setPid(c.Pid)
	go survive(k.log, "sender", s.out.run)
	go k.listen(s)
	s.flush()
	return c.Pid, nil
}

// previousDone waits until nothing of the previous server is left and answers
// with the number of the next.
func (k *Keeper) previousDone() (number uint64, err error) {
	s := k.current()
	if s == nil {
		k.kept.settle()
		return 1, nil
	}
	s.mu.Lock()
	over := s.over
	s.mu.Unlock()
	if !over {
		return 0, errors.New("cannot start server: one is running")
	}
	k.lanes.settle()
	k.kept.settle()
	return s.number + 1, nil
}

// greet queues the inventory and makes the session the current one, at once: what
// happens from here on is told after it.
func (k *Keeper) greet(s *session) {
	k.table.mu.Lock() // nothing happens in between
	defer k.table.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	s.out.add(&helloMessage{k.stage, can})
	for _, c := range k.table.childrenLocked() {
		if !own(c.Key) {
			s.out.add(&c)
		}
	}
	for key, r := range k.records {
		s.out.add(&knownMessage{runID{key, r.run}})
		if r.exit != nil {
			s.out.add(r.exit)
		}
	}
	s.out.add(new(completeMessage))
	for _, sig := range k.pending {
		s.out.add(&Signaled{sig})
	}
	k.session = s
}

// abandon ends a session whose server could not be forked. Closing our end of
// channel 1 and having no other end of channel 2 ends what listens to them.
func (k *Keeper) abandon(s *session) {
	s.out.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

func (k *Keeper) forkServer(number uint64, path string, argv, env []string, stdio [3]*os.File, ch1, ch2 int) (Child, error) {
	high, err := unix.FcntlInt(uintptr(ch1), unix.F_DUPFD_CLOEXEC, highest())
	if err == nil {
		defer unix.Close(high)
	}
	attr := &syscall.ProcAttr{Env: env, Sys: &syscall.SysProcAttr{Setsid: true}}
	for _, f := range stdio {
		fd := uintptr(k.null)
		if f != nil {
			fd = f.Fd()
		}
		attr.Files = append(attr.Files, fd)
	}
	attr.Files = append(attr.Files, uintptr(ch1), uintptr(ch2))
	return k.table.Start(Child{Key: serverKey, Run: number}, path, argv, attr)
}

// highest is serverTable, or less where the limit of the process is lower.
func highest() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur <= serverTable {
		return int(limit.Cur) - 1
	}
	return serverTable
}

func (s *session) setPid(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid = pid
}

// listen carries out the server's requests until it is gone.
func (k *Keeper) listen(s *session) {
	k.recv.fd, k.recv.raw = s.fd, s.raw
	for more := true; more; {
		survive(k.log, "channel", func() { more = k.receive(s) })
	}
}

// hungUp is called when everything that a server sent was read and nothing more will
// come.
func (k *Keeper) hungUp(s *session) {
	// Wakes a sender that waits for the socket to take more. It may be shut already.
	_ = unix.Shutdown(s.fd, unix.SHUT_RDWR)
	s.out.close()
	s.mu.Lock()
	s.drained = true
	if s.exit == nil {
		k.killDeafLocked(s)
	}
	s.mu.Unlock()
	k.sayOver(s)
}

// serverEnded is called by the table when the server was reaped.
func (k *Keeper) serverEnded(e Exited) {
	s := k.current()
	s.mu.Lock()
	s.exit = &e
	if s.deaf != nil {
		s.deaf.Stop()
	}
	s.mu.Unlock()
	k.sayOver(s)
}

// sayOver says ServerExited once both halves of the end are known, so that a
// server that said ready and died at once counts as one that was ready.
func (k *Keeper) sayOver(s *session) {
	s.mu.Lock()
	if s.exit == nil || !s.drained || s.over {
		s.mu.Unlock()
		return
	}
	s.over = true
	n := ServerExited{s.exit.Pid, s.exit.Status, s.ready, s.draining}
	s.mu.Unlock()
	k.notice(n)
}
