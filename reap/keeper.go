package reap

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Keeper spawns, reaps, signals and keeps, for one server after the other. It
// is safe for concurrent use; there is one in a process.
type Keeper struct {
	log     func(format string, args ...any)
	table   *Table
	lanes   *lanes
	kept    *Kept
	null    int // standard input of every child; output too where none was given
	notices chan Notice
	changed chan struct{} // capacity 1
	recv    *receiver     // used by one session after the other
	// gate is held while a packet of the server is carried out, or the keeper rests.
	gate sync.Mutex
	// rehearsed receives the end of a program that rehearses; capacity 1.
	rehearsed chan Exited
	rehearsal uint64 // number of the last
	calm      calm
	terminal  terminal
	oldClone  atomic.Bool   // the kernel has no clone3
	shelled   atomic.Bool   // there is a shell of StartShell
	prepTime  time.Duration // see prepare.go

	// mu is a leaf: it is taken under the table's lock, never around it.
	mu      sync.Mutex
	stage   Stage            // guarded by mu
	session *session         // guarded by mu; nil before the first server
	records map[string]*life // guarded by mu; by key, for ever
	pending []syscall.Signal // guarded by mu; forwarded, taken by no server yet
	plan    plan             // guarded by mu
	self    []string         // guarded by mu; see SetSelf
}

// A life is what is remembered of a key when its process is gone.
type life struct {
	run  uint64  // the highest ever accepted
	main int     // pid of the main process that is not reaped, or 0
	exit *Exited // of run, not acknowledged
	// birth is the last run that came to be as it was then, for Watch.
	birth Child
}

type plan struct {
	steps []PlanStep
	worst time.Duration
	next  []PlanStep // pages that came without the last one
}

const (
	maxPlan    = 1 << 17 // steps
	maxPending = 16      // forwarded signals of one kind
)

// serverKey is the key of the server's own process; no name of a service is
// empty.
const serverKey = ""

// NewKeeper prepares this process for being a keeper: it becomes the child
// subreaper, makes the threads that will be needed and starts to reap. It is to
// be called once, before descriptors that must not be duplicated are opened: the
// thread that keeps descriptors has a copy of what is open now. log is called for
// what an operator should know, from any goroutine, and must not wait long.
func NewKeeper(log func(format string, args ...any)) (*Keeper, error) { return newKeeper(log, nil) }

func newKeeper(log func(format string, args ...any), h *Heritage) (*Keeper, error) {
	runtime.GOMAXPROCS(4)
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryLimit)
	ParkThreads(parkedThreads)
	catchIgnored()
	holdSignals()
	closeOnExec()
	if os.Getpid() != 1 {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			log("cannot become child subreaper: %v: processes that lose their parent are not seen", err)
		}
	}
	null, err := openNull()
	if err != nil {
		return nil, fmt.Errorf("cannot open a standard input for children: %w", err)
	}
	begin := noEstate()
	if h != nil {
		begin = h.estate(log)
	}
	kept, private, err := newKept(log, begin)
	if err != nil {
		unix.Close(null)
		return nil, fmt.Errorf("cannot start the holder of descriptors: %w", err)
	}
	if !private {
		log("cannot unshare the descriptor table: spawns get slower with each descriptor kept")
	}
	k := &Keeper{
		log:     log,
		lanes:   newLanes(),
		kept:    kept,
		null:    null,
		notices: make(chan Notice, 64),
		changed: make(chan struct{}, 1),
		records: make(map[string]*life),

		rehearsed: make(chan Exited, 1),
		self:      []string{"/proc/self/exe"},
		prepTime:  prepTime,
	}
	k.recv = (&receiver{gate: &k.gate}).lasting()
	k.table = NewTable(Hooks{Born: k.born, Unborn: k.unborn, Watched: k.watched, Ended: k.ended, GroupGone: k.groupGone, Settled: k.settled})
	if h != nil {
		k.inherit(h)
		k.table.resume()
	}
	go forever(log, "reaper", func() { k.table.Run(nil) })
	for range spawnWorkers {
		go forever(log, "spawn worker", func() { k.lanes.work(k.carryOut, k.carriedOut) })
	}
	k.calm.forks = &k.table.forks
	k.calm.stir() // a start is a burst too
	if k.session != nil {
		k.goOn(k.session)
		notify(k.changed)
	}
	return k, nil
}

// openNull opens what children read from: /dev/null, or, where there is none, a
// pipe without a writer. Reading from that ends at once, and writing fails
// without a signal.
func openNull() (int, error) { return openNullAt("/dev/null") }

func openNullAt(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		return fd, nil
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return -1, err
	}
	unix.Close(ends[1])
	return ends[0], nil
}

// SetSelf names the paths at which the program of this process can be executed, the
// best first: what a process has to do before it executes its program is a step of the
// same program. Without it that is /proc/self/exe alone.
func (k *Keeper) SetSelf(paths ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.self = paths
}

func (k *Keeper) paths() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.self
}

// Stage is how far the keeper is with its own life.
func (k *Keeper) Stage() Stage {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stage
}

// SetStage changes it. In StageDrain the keeper refuses to spawn what is not a
// probe or hook (a key with a slash). The server learns it when it connects; a
// server that says Draining sets it too.
func (k *Keeper) SetStage(stage Stage) {
	k.mu.Lock()
	k.stage = stage
	k.mu.Unlock()
	k.table.drain(stage == StageDrain)
}

// Plan is the stop waves that the server sent last, and how long they take at
// worst.
func (k *Keeper) Plan() (steps []PlanStep, worst time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.plan.steps), k.plan.worst
}

// Children lists the children and lingering groups, without the server.
func (k *Keeper) Children() []Child {
	return slices.DeleteFunc(k.table.Children(), func(c Child) bool { return own(c.Key) })
}

// Orphans is how many processes ended that were not spawned here but left to
// this process by their parents, and the last 1,024 of them.
func (k *Keeper) Orphans() (count uint64, last []Orphan) { return k.table.Orphans() }

// Signal signals a child; errors as in Table.Signal. The caller knows from
// Children which run lives.
func (k *Keeper) Signal(key string, run uint64, sig syscall.Signal, scope Scope) error {
	return k.table.Signal(key, run, sig, scope)
}

// SignalServer signals the server; ESRCH if there is none.
func (k *Keeper) SignalServer(sig syscall.Signal) error {
	k.mu.Lock()
	s := k.session
	k.mu.Unlock()
	if s == nil {
		return unix.ESRCH
	}
	return k.table.Signal(serverKey, s.number, sig, ScopeMain)
}

// Changed receives after a child has ended; several ends may share one.
func (k *Keeper) Changed() <-chan struct{} { return k.changed }

// Forward hands a signal that the keeper received to the server, or to the next
// one, until one has taken it. Of each kind so many can wait; what comes beyond that is
// dropped, and others are not.
func (k *Keeper) Forward(sig syscall.Signal) {
	k.mu.Lock()
	same := 0
	for _, s := range k.pending {
		if s == sig {
			same++
		}
	}
	if same < maxPending {
		k.pending = append(k.pending, sig)
		k.tellLocked(&Signaled{sig})
	}
	s := k.session
	k.mu.Unlock()
	s.flush()
}

// Tell hands a signal to the running server, and to no later one.
func (k *Keeper) Tell(sig syscall.Signal) {
	k.tell(&Signaled{sig})
	k.current().flush()
}

// born, ended and groupGone are called by the table under its lock.

func (k *Keeper) born(c Child) {
	if own(c.Key) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.records[c.Key]
	r.main, r.birth = c.Pid, c
	k.tellLocked(&Spawned{c.Key, c.Run, c.Pid, c.Start})
}

func (k *Keeper) ended(e Exited) {
	switch {
	case e.Key == serverKey:
		k.serverEnded(e)
		return
	case e.Key == shellKey:
		k.shelled.Store(false)
		return
	case own(e.Key):
		select {
		case k.rehearsed <- e:
		default: // nobody waited for the one before
		}
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.records[e.Key]
	r.main = 0
	if r.run == e.Run {
		r.exit = &e
	}
	k.tellLocked(&e)
}

func (k *Keeper) groupGone(key string, run uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.records[key]; r != nil && r.exit != nil && r.exit.Run == run {
		gone := *r.exit // the outbox may still hold the old one
		gone.Lingers = false
		r.exit = &gone
	}
	k.tellLocked(&GroupGone{key, run})
}

// tellLocked queues an event for the server, if there is one; k.mu is held.
func (k *Keeper) tellLocked(m message) {
	if k.session != nil {
		k.session.out.add(m)
	}
}

// settled is called after a round of reaping.
func (k *Keeper) settled() {
	notify(k.changed)
	k.current().flush()
	k.calm.tidy()
	k.calm.stir()
}

func (k *Keeper) current() *session {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.session
}
