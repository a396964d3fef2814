package logs

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"zinit/supervise/logs/pump"
)

// Pipes are the output pipes of one run.
type Pipes struct {
	// Stdout and Stderr are the write ends, close-on-exec. The caller hands them to
	// the process and closes them.
	Stdout, Stderr *os.File
	// Keep are the read ends of both, which Logs owns and closes. They may be
	// passed on to another process while the run has not ended.
	Keep [2]*os.File
}

// Logs are the logs of all services. All methods are safe for concurrent use.
type Logs struct {
	dir      string
	released func(name string)
	pump     *pump.Pump
	// turns are taken by followers while they read, so that however many there are,
	// half of the processors are left to the pump and who writes.
	turns chan struct{}
	// presses is held by the sink that compresses.
	presses chan struct{}
	disk    disk
	stdout  stdoutTurn

	mu       sync.Mutex
	outlets  Outlets             // guarded by mu
	services map[string]*service // guarded by mu
	closed   bool                // guarded by mu
	// adopted is closed when what an earlier server left is read; nil: it is, or there
	// is nothing. late is what waits for that, in order.
	adopted chan struct{} // guarded by mu
	late    []func()      // guarded by mu
}

// service is the log of one service; guarded by Logs.mu.
type service struct {
	name  string
	store *pump.Store
	lines int
	runs  []*run
	sink  *sink // nil until there is a file
	hub   *hub  // nil while nobody follows

	forwards [kinds]*forward // nil: lines do not go there
	none     bool            // what it writes is not kept

	configured bool // by Configure
	foreseen   bool // see foreseeLocked
}

// run is the pipes of one life of a service, until they are closed.
type run struct {
	number  uint64
	sources [2]*pump.Source // stdout, stderr; nil: closed, or not adopted
}

// Open opens the logs whose stores are in the directory dir, which is made if it is
// missing; with an empty dir they live in memory. released is called, from any
// goroutine, when a read end was closed for good: its argument is
// "out/SERVICE/RUN/FD" with FD 1 or 2.
func Open(dir string, released func(name string)) (*Logs, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("cannot make log directory: %w", err)
		}
	}
	l := &Logs{dir: dir, released: released, services: map[string]*service{}}
	l.disk, l.presses = osDisk{}, make(chan struct{}, 1)
	l.turns = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))
	var err error
	if l.pump, err = pump.New(dir, l.restore); err != nil {
		return nil, err
	}
	return l, nil
}

// restore makes the stores anew whose directory was deleted.
func (l *Logs) restore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.services {
		s.store.Restore()
		if s.sink != nil {
			s.sink.reopen()
		}
	}
}

func (l *Logs) serviceLocked(name string) *service {
	s := l.services[name]
	if s == nil {
		s = &service{name: name, store: pump.NewStore(l.dir, name), lines: DefaultLines}
		l.services[name] = s
	}
	return s
}

// Pipes makes the output pipes of a run. Nothing is read from them before Start. Of a
// service that keeps nothing they are all nil: its output belongs into /dev/null.
func (l *Logs) Pipes(service string, number uint64) (Pipes, error) {
	if l.keepsNothing(service) {
		return Pipes{}, nil
	}
	var out, err [2]int
	if e := syscall.Pipe2(out[:], syscall.O_CLOEXEC); e != nil {
		return Pipes{}, fmt.Errorf("cannot make output pipes: %w", e)
	}
	if e := syscall.Pipe2(err[:], syscall.O_CLOEXEC); e != nil {
		syscall.Close(out[0])
		syscall.Close(out[1])
		return Pipes{}, fmt.Errorf("cannot make output pipes: %w", e)
	}
	p := Pipes{
		Stdout: os.NewFile(uintptr(out[1]), "stdout"),
		Stderr: os.NewFile(uintptr(err[1]), "stderr"),
		Keep:   [2]*os.File{os.NewFile(uintptr(out[0]), "stdout"), os.NewFile(uintptr(err[0]), "stderr")},
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.serviceLocked(service)
	r := s.run(number)
	for i, f := range p.Keep {
		r.sources[i] = l.sourceLocked(s, number, i, f, true)
	}
	return p, nil
}

// keepsNothing reports that a service has no log, and says so in it.
func (l *Logs) keepsNothing(service string) bool {
	l.mu.Lock()
	s := l.services[service]
	none := s != nil && s.none
	l.mu.Unlock()
	if !none {
		return false
	}
	if last, err := tail(s.store, 1); err == nil && (len(last) == 0 || string(last[0].Text) != noLog) {
		s.store.Append(noLog)
	}
	return true
}

// noLog is what the log of a service says that has none.
const noLog = `what it writes is not kept: log is "none" in its [logging] table`

// sourceLocked makes the source of descriptor i+1 of a run.
func (l *Logs) sourceLocked(s *service, number uint64, i int, f *os.File, fresh bool) *pump.Source {
	done := func() {
		l.mu.Lock()
		s.forget(number, i)
		l.mu.Unlock()
		l.released("out/" + s.name + "/" + strconv.FormatUint(number, 10) + "/" + strconv.Itoa(i+1))
	}
	return l.pump.NewSource(f, s.store, Stream(i), number, fresh, done)
}

// run finds the run of that number, or begins it.
func (s *service) run(number uint64) *run {
	for _, r := range s.runs {
		if r.number == number {
			return r
		}
	}
	r := &run{number: number}
	s.runs = append(s.runs, r)
	return r
}

// forget drops a closed pipe, and its run with the last one.
func (s *service) forget(number uint64, i int) {
	for at, r := range s.runs {
		if r.number != number {
			continue
		}
		if r.sources[i] = nil; r.sources[1-i] == nil {
			s.runs = slices.Delete(s.runs, at, at+1)
		}
		return
	}
}

// sources are the open pipes of a run.
func (l *Logs) sources(service string, number uint64) (open [2]*pump.Source, snk *sink) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.services[service]
	if s == nil {
		return open, nil
	}
	for _, r := range s.runs {
		if r.number == number {
			open = r.sources
		}
	}
	return open, s.sink
}

func each(sources [2]*pump.Source, f func(*pump.Source)) {
	for _, s := range sources {
		if s != nil {
			f(s)
		}
	}
}

// Start says that the process of the run exists: its output is read from now on.
// The service's log file is opened anew with its next line, so that one that was
// moved away or could not be written gets its chance.
func (l *Logs) Start(service string, number uint64) {
	l.inTurn(func() { l.start(service, number) })
}

func (l *Logs) start(service string, number uint64) {
	sources, snk := l.sources(service, number)
	if snk != nil {
		snk.reopen() // ahead of the first byte that this run writes
	}
	each(sources, (*pump.Source).Start)
}

// Discard says that the process of the run never existed: its pipes are closed.
func (l *Logs) Discard(service string, number uint64) {
	sources, _ := l.sources(service, number)
	each(sources, (*pump.Source).Discard)
}

// Ended says that the main process of the run is gone. What it wrote is in Tail
// when Ended returns (unless the service waits for its log file). A pipe that
// another process still holds open is read for 5 s more and then closed.
func (l *Logs) Ended(service string, number uint64) {
	l.inTurn(func() { l.ended(service, number) })
}

func (l *Logs) ended(service string, number uint64) {
	sources, _ := l.sources(service, number)
	each(sources, (*pump.Source).Finish)
}

// Adopt takes over the read end r of descriptor fd (1 or 2) of a run that an
// earlier server started, and reads it at once, or from Adopted on. It owns r.
func (l *Logs) Adopt(service string, number uint64, fd int, r *os.File) {
	i := fd - 1
	if i != 0 && i != 1 {
		r.Close()
		return
	}
	l.mu.Lock()
	s := l.serviceLocked(service)
	src := l.sourceLocked(s, number, i, r, false)
	s.run(number).sources[i] = src
	l.mu.Unlock()
	l.inTurn(func() {
		l.mu.Lock()
		l.foreseeLocked(s)
		l.mu.Unlock()
		src.Start()
	})
}

// Append adds a line of our own to the service's log, behind what Ended has read.
func (l *Logs) Append(service, text string) {
	l.inTurn(func() { l.append(service, text) })
}

func (l *Logs) append(service, text string) {
	l.mu.Lock()
	st := l.serviceLocked(service).store
	l.mu.Unlock()
	st.Append(text)
}

// Tail returns the last lines of a service, oldest first: at most as many as asked
// for, and never more than its BufferLines. A service without output has none.
// Line.Text is the caller's.
func (l *Logs) Tail(service string, lines int) ([]Line, error) {
	l.awaitAdopted()
	l.mu.Lock()
	s := l.services[service]
	if s == nil {
		l.mu.Unlock()
		return nil, nil
	}
	st, n := s.store, min(lines, s.lines)
	l.mu.Unlock()
	return tail(st, n)
}

// Read returns the lines of a service that q asks for, of the last BufferLines, in
// the order of their beginnings. Line.Text is the caller's. To follow the service
// behind them use the Line.Next of the last: that of another one may repeat or leave
// out lines that were written at the same time. A Partial line is told again when
// it is complete.
func (l *Logs) Read(service string, q Query) ([]Line, error) {
	if q.all() && q.Lines > 0 {
		return l.Tail(service, q.Lines)
	}
	all, err := l.Tail(service, math.MaxInt)
	if err != nil {
		return nil, err
	}
	var lines []Line
	for i := range all {
		if q.wants(&all[i]) {
			lines = append(lines, all[i])
		}
	}
	if q.Lines > 0 {
		lines = lines[max(0, len(lines)-q.Lines):]
	}
	return lines, nil
}

// Trouble says why lines of a service do not get into its log file, as its log does;
// empty: they do, or it has none.
func (l *Logs) Trouble(service string) string {
	l.mu.Lock()
	var snk *sink
	if s := l.services[service]; s != nil {
		snk = s.sink
	}
	l.mu.Unlock()
	if snk == nil {
		return ""
	}
	snk.mu.Lock()
	defer snk.mu.Unlock()
	return snk.trouble
}

// Unwatch stops making the stores anew when their directory is deleted: a process
// that is about to end does this some time before (see pump.Pump.Unwatch).
func (l *Logs) Unwatch() { l.pump.Unwatch() }

// Remove forgets a service and deletes its store. Its pipes are closed; its log
// file and those who follow it still get the lines that there were.
func (l *Logs) Remove(service string) {
	l.mu.Lock()
	s := l.services[service]
	if s == nil {
		l.mu.Unlock()
		return
	}
	delete(l.services, service)
	var open [][2]*pump.Source
	for _, r := range s.runs {
		open = append(open, r.sources)
	}
	var users atomic.Int32 // of the store; the last one closes it
	left := func() {
		if users.Add(-1) == 0 {
			s.store.Close()
		}
	}
	users.Store(1)
	h, snk := s.hub, s.sink
	if h != nil {
		users.Add(1)
		h.left = left
	}
	if snk != nil {
		users.Add(1)
	}
	l.mu.Unlock()
	for _, sources := range open {
		each(sources, (*pump.Source).Finish)
		each(sources, (*pump.Source).Discard)
	}
	s.store.Unlink()
	for _, f := range s.forwards {
		if f != nil {
			f.forget()
		}
	}
	if h != nil {
		h.refresh(io.EOF)
	}
	if snk != nil {
		snk.finish(left)
	}
	left()
}

// Flush returns when every log file, and whatever else lines go to, has what was
// stored when it was called, or when ctx is done.
func (l *Logs) Flush(ctx context.Context) {
	l.mu.Lock()
	var waits []<-chan struct{}
	for _, s := range l.services {
		if s.sink != nil {
			waits = append(waits, s.sink.caughtUp())
		}
		for _, f := range s.forwards {
			if f == nil {
				continue
			}
			if v, err := s.store.View(); err == nil {
				waits = append(waits, f.caughtUp(v.Size))
			}
		}
	}
	l.mu.Unlock()
	for _, w := range waits {
		select {
		case <-w:
		case <-ctx.Done():
			return
		}
	}
}

// Close ends the pumping and closes everything. The stores stay on disk, and the
// read ends are not reported as released: the next server goes on where this one
// was. Log files that are behind are left to it; call Flush before to have them
// complete. It waits at most a second for a log file's disk.
func (l *Logs) Close() error {
	l.Adopted() // or the lines of our own that wait for that would be lost
	l.pump.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	late := time.NewTimer(time.Second)
	defer late.Stop()
	for _, s := range l.services {
		if s.sink != nil {
			s.sink.quit()
		}
		if s.hub != nil {
			s.hub.refresh(ErrClosed)
		}
	}
	var err error
	for _, s := range l.services {
		if err == nil {
			err = s.await(late.C)
		}
		s.store.Close()
	}
	clear(l.services)
	return err
}

// await waits for the goroutines that read the store, as long as late allows.
func (s *service) await(late <-chan time.Time) error {
	if s.sink != nil {
		select {
		case <-s.sink.done:
		case <-late:
			return fmt.Errorf("cannot close log file of %s: its disk does not answer", s.name)
		}
	}
	for k, f := range s.forwards {
		if f == nil {
			continue
		}
		select {
		case <-f.done:
		case <-late:
			return fmt.Errorf("cannot close log of %s: %s does not answer", s.name, strings.TrimSuffix(kindNames[k], "-pos"))
		}
	}
	return nil
}
