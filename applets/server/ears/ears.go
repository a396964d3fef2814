package ears

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/notify"
)

// The names under which the keeper holds what services speak with: "notify/SERVICE"
// for a socket, "ready/SERVICE/RUN" for a notification descriptor.
const (
	notifyPrefix = "notify/"
	readyPrefix  = "ready/"
)

// A Keeper holds descriptors over the death of the server, until they are released;
// *reap.Client is one. Neither method blocks.
type Keeper interface {
	Keep(name string, f *os.File) error
	Release(name string)
}

// Options is what Ears are made of. The functions are called from any goroutine.
type Options struct {
	Dir    string // the runtime directory; empty when there is none
	Keeper Keeper
	Log    *slog.Logger
	// Owner is who may write to the socket of a service; -1: the user of this process.
	Owner func(config.Identity) (uid, gid int, err error)
	// Belongs reports that the sender of a notice may speak for a service, whose socket
	// belongs to uid.
	Belongs func(service string, uid int, n notify.Notice) bool
	// Tell passes on what was said.
	Tell func(service string, n supervise.Notice)
}

// Ears hear what services say about themselves: by datagrams to a socket for each
// service, or by a line into a descriptor for each run. Both outlive the server in
// the hands of the keeper, so that a new server hears what was said meanwhile. They are
// safe for concurrent use.
type Ears struct {
	Options

	mu      sync.Mutex
	sockets map[string]*mouth  // guarded by mu; by service
	lines   map[string]*tongue // guarded by mu; by service: that of its run
	// adopted is closed when what an earlier server has left is taken over.
	adopted chan struct{}
}

// A tongue is the notification descriptor of a run.
type tongue struct {
	*notify.Line
	name string // the keeper's
	run  uint64
}

// A mouth is the socket of a service and whom it belongs to.
type mouth struct {
	*notify.Socket
	uid, gid int
}

// New are ears that have heard nothing yet. Adopt must be called once.
func New(o Options) *Ears {
	return &Ears{Options: o, sockets: map[string]*mouth{}, lines: map[string]*tongue{}, adopted: make(chan struct{})}
}

// Open implements supervise.Ears.
func (e *Ears) Open(s *config.Service, run uint64) (supervise.Voice, error) {
	if s.NotifyFD > 0 {
		return e.openLine(s, run)
	}
	uid, gid, err := e.Owner(s.Identity)
	if err != nil {
		return supervise.Voice{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.sockets[s.Name]
	if m == nil || !m.belongsTo(uid, gid) {
		if m, err = e.listenLocked(s.Name, uid, gid); err != nil {
			return supervise.Voice{}, err
		}
	}
	return supervise.Voice{Env: []string{"NOTIFY_SOCKET=" + m.Path()}}, nil
}

// anyone is the owner of an adopted socket that has no file.
const anyone = -2

// belongsTo reports that a user may write to the socket; -1 is this process's own.
func (m *mouth) belongsTo(uid, gid int) bool {
	if m.uid == anyone {
		return true
	}
	own := func(id, self int) int {
		if id == -1 {
			return self
		}
		return id
	}
	return own(m.uid, os.Geteuid()) == own(uid, os.Geteuid()) && own(m.gid, os.Getegid()) == own(gid, os.Getegid())
}

// listenLocked makes the socket of a service.
func (e *Ears) listenLocked(service string, uid, gid int) (*mouth, error) {
	if old := e.sockets[service]; old != nil {
		old.Close() // of another user
	}
	sock, err := notify.Listen(e.Dir, service, uid, gid)
	if err != nil {
		return nil, err
	}
	if err := e.Keeper.Keep(notifyPrefix+service, sock.File()); err != nil {
		e.Log.Warn("what it says while no server is there will not be heard", "service", service, "error", err)
	}
	m := &mouth{sock, uid, gid}
	e.sockets[service] = m
	go e.hear(service, sock)
	return m, nil
}

// ListenAgain makes the sockets whose files are gone again: a service goes on with the
// path that it was given. One whose owner is not known is made at its next start.
func (e *Ears) ListenAgain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for service, m := range e.sockets {
		if _, err := os.Lstat(m.Path()); !errors.Is(err, fs.ErrNotExist) || m.Path()[0] == '@' || m.uid == anyone {
			continue
		}
		if _, err := e.listenLocked(service, m.uid, m.gid); err != nil {
			e.Log.Warn("what it says is not heard until it is restarted", "service", service, "error", err)
		}
	}
}

// hear passes on what comes by a socket until it is closed.
func (e *Ears) hear(service string, s *notify.Socket) {
	if err := s.Serve(func(n notify.Notice) { e.said(service, n) }); err != nil {
		e.Log.Error("it is not heard any more", "service", service, "error", err)
	}
}

// uidOf is the user that may write to the socket of a service.
func (e *Ears) uidOf(service string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if m := e.sockets[service]; m != nil && m.uid >= 0 {
		return m.uid
	}
	return os.Geteuid()
}

// said passes on a notice, if its sender may speak for the service.
func (e *Ears) said(service string, n notify.Notice) {
	if !e.Belongs(service, e.uidOf(service), n) {
		e.Log.Warn("a notice of a stranger does not count", "service", service, "pid", n.Pid, "uid", n.UID)
		return
	}
	e.Tell(service, noticeOf(n, 0))
}

func noticeOf(n notify.Notice, run uint64) supervise.Notice {
	return supervise.Notice{
		Pid: n.Pid, Run: run,
		Ready: n.Ready, Reloading: n.Reloading, Stopping: n.Stopping, Status: n.Status,
		MainPID: n.MainPID, Alive: n.Alive, Hurt: n.Hurt, Watchdog: n.Watchdog, Extend: n.Extend,
	}
}

// openLine makes the notification descriptor of a run. The descriptors below it that
// nobody asked for are /dev/null.
func (e *Ears) openLine(s *config.Service, run uint64) (v supervise.Voice, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return v, fmt.Errorf("cannot make the notification descriptor: %w", err)
	}
	name := readyName(s.Name, run)
	if err := e.Keeper.Keep(name, r); err != nil {
		e.Log.Warn("that it is ready will not be heard by another server", "service", s.Name, "error", err)
	}
	e.mu.Lock()
	if old := e.lines[s.Name]; old != nil {
		e.Keeper.Release(old.name)
	}
	l := &tongue{notify.NewLine(r), name, run}
	e.lines[s.Name] = l
	e.mu.Unlock()
	first := 3
	first += len(s.Listens()) // see voices
	for fd := first; fd < s.NotifyFD; fd++ {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			closeFiles(append(v.Files, r, w))
			return supervise.Voice{}, fmt.Errorf("cannot fill descriptor %d, below notify_fd: %w", fd, err)
		}
		v.Files = append(v.Files, null)
	}
	v.Files = append(v.Files, w)
	go e.hearLine(s.Name, l, r)
	return v, nil
}

func readyName(service string, run uint64) string {
	return readyPrefix + service + "/" + strconv.FormatUint(run, 10)
}

// hearLine waits until a run says that it is ready, or has nothing to say it with.
func (e *Ears) hearLine(service string, l *tongue, r *os.File) {
	defer r.Close()
	if err := l.Serve(e.saidByLine(service, l)); err != nil {
		e.Log.Error("that it is ready is not heard", "service", service, "error", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lines[service] == l {
		delete(e.lines, service)
		e.Keeper.Release(l.name)
	}
}

func (e *Ears) saidByLine(service string, l *tongue) func(notify.Notice) {
	return func(n notify.Notice) { e.Tell(service, noticeOf(n, l.run)) }
}

// Drain implements supervise.Ears.
func (e *Ears) Drain(service string, done func()) {
	go func() {
		defer done()
		<-e.adopted
		e.mu.Lock()
		m, l := e.sockets[service], e.lines[service]
		e.mu.Unlock()
		if l != nil {
			l.Drain(e.saidByLine(service, l))
		}
		if m == nil {
			return
		}
		if err := m.Drain(func(n notify.Notice) { e.said(service, n) }); err != nil {
			e.Log.Debug("its last words are not heard", "service", service, "error", err)
		}
	}()
}

// Close implements supervise.Ears.
func (e *Ears) Close(service string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if m := e.sockets[service]; m != nil {
		delete(e.sockets, service)
		if err := m.Remove(); err != nil {
			e.Log.Debug("a notify socket is left behind", "service", service, "error", err)
		}
		m.Close()
		e.Keeper.Release(notifyPrefix + service)
	}
	if l := e.lines[service]; l != nil {
		delete(e.lines, service)
		e.Keeper.Release(l.name)
	}
}

// Adopt takes over what an earlier server has left in the hands of the keeper. What
// was said meanwhile is passed on before it returns.
func (e *Ears) Adopt(kept map[string]*os.File) {
	defer close(e.adopted)
	for name, f := range kept {
		if service, ok := strings.CutPrefix(name, notifyPrefix); ok {
			e.adoptSocket(service, f)
		} else if rest, ok := strings.CutPrefix(name, readyPrefix); ok {
			e.adoptLine(name, rest, f)
		}
	}
}

func (e *Ears) adoptSocket(service string, f *os.File) {
	s, err := notify.Adopt(f)
	if err != nil {
		e.Log.Warn("what it says is not heard until it is restarted", "service", service, "error", err)
		e.Keeper.Release(notifyPrefix + service)
		return
	}
	if err := s.Drain(func(n notify.Notice) { e.said(service, n) }); err != nil {
		e.Log.Warn("what it said meanwhile is lost", "service", service, "error", err)
	}
	m := &mouth{s, anyone, anyone}
	if st, err := os.Stat(s.Path()); err == nil {
		if own, ok := st.Sys().(*syscall.Stat_t); ok {
			m.uid, m.gid = int(own.Uid), int(own.Gid)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sockets[service] != nil { // of a run that this server has begun: nobody speaks here any more
		s.Close()
		return
	}
	e.sockets[service] = m
	go e.hear(service, s)
}

func (e *Ears) adoptLine(name, rest string, f *os.File) {
	service, number, _ := strings.Cut(rest, "/")
	run, err := strconv.ParseUint(number, 10, 64)
	r, pollErr := pollable(f)
	if err != nil || pollErr != nil {
		e.Log.Warn("that it is ready will not be heard", "service", service, "error", errors.Join(err, pollErr))
		f.Close()
		e.Keeper.Release(name)
		return
	}
	l := &tongue{notify.NewLine(r), name, run}
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := e.lines[service]; now != nil { // the same
		r.Close()
		if now.name != name {
			e.Keeper.Release(name)
		}
		return
	}
	e.lines[service] = l
	go e.hearLine(service, l, r)
}

// pollable is a descriptor whose reads can be ended by closing it.
func pollable(f *os.File) (*os.File, error) {
	fd, err := dupCloseOnExec(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	f.Close()
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// dupCloseOnExec needs no lock against a fork in between: a server never forks.
func dupCloseOnExec(fd int) (int, error) {
	fd, err := syscall.Dup(fd)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	return fd, err
}

// closeFiles closes what was opened in vain.
func closeFiles(list []*os.File) {
	for _, f := range list {
		f.Close()
	}
}
