package reap

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Table is the live children of this process. It is safe for concurrent use.
//
// Invariant: while an entry is in byPid its process is not reaped, so the pid, and
// the group of that number, belong to it and to nobody else.
type Table struct {
	// forks is held for reading from before a fork until the child is registered,
	// and for writing around reaping: whoever is reaped was registered before. It is
	// apart from mu, so that an exec that hangs (a dead network file system) delays
	// reaping and further forks, but no signal.
	forks sync.RWMutex

	hooks  Hooks
	clock  *startClock
	masked bool // this process was started with signals blocked
	idle   reaperIdle
	limits limits
	killed killed

	// mu is held from the look-up of a pid to the signal, and from a reaping to the
	// removal. It is taken after forks; the hooks are called under it, so what they
	// tell comes in order.
	mu        sync.Mutex
	byPid     map[int]*entry   // guarded by mu; main processes that are not reaped
	byRun     map[runID]*entry // guarded by mu; the same and, with MainGone, what lingers
	groups    map[int]*entry   // guarded by mu; process groups whose first process is not the main process any more
	vacancies vacancies        // guarded by mu
	draining  bool             // guarded by mu; see drain
	orphans   orphans          // guarded by mu
}

// An entry is a run that has a process, or had one and has others left.
type entry struct {
	Child
	prep    *preparation // nil: the program was executed
	foreign bool         // the main process is, as far as is known, a child of somebody else
}

// A preparation is a process that has not got to its program yet.
type preparation struct {
	failed *SpawnFailed // it will not
	ended  *Status      // it was reaped
}

// Hooks are what a Table tells its owner, under its lock: they must neither wait
// nor call the table. Nil ones are left out.
type Hooks struct {
	// Born: the child runs and is registered.
	Born func(Child)
	// Unborn: the child has ended before it got to its program.
	Unborn func(SpawnFailed)
	// Watched: the run has another main process.
	Watched func(Child)
	// Ended: the main process was reaped; never called for a process that Start did
	// not make.
	Ended func(Exited)
	// GroupGone follows an Ended with Lingers, once.
	GroupGone func(key string, run uint64)
	// Settled is called without the lock after each round of reaping.
	Settled func()
}

// NewTable makes an empty table. Nothing is reaped until Run.
func NewTable(hooks Hooks) *Table {
	return &Table{
		hooks:  hooks,
		clock:  newStartClock(),
		masked: maskInherited(),
		idle:   reaperIdle{spawned: make(chan struct{}, 1)},
		byPid:  make(map[int]*entry),
		byRun:  make(map[runID]*entry),
		groups: make(map[int]*entry),
	}
}

// drain says whether a shutdown is under way, in which no group is used again that its
// run has left empty.
func (t *Table) drain(draining bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draining = draining
}

// Start forks and registers a child; Key, Run, Group and Cgroup of c say whose it is,
// the rest is filled in. attr must ask for a session of its own if Group is set. The
// error is what fork or exec answered.
func (t *Table) Start(c Child, path string, argv []string, attr *syscall.ProcAttr) (Child, error) {
	return t.start(c, path, argv, attr, false)
}

// start starts the program of a child or, with preparing set, a step before it: then
// nobody is told of the child until executed or notExecuted.
func (t *Table) start(c Child, path string, argv []string, attr *syscall.ProcAttr, preparing bool) (Child, error) {
	t.forks.RLock()
	defer t.forks.RUnlock()
	before := t.clock.now()
	pid, err := t.fork(path, argv, attr)
	if err != nil {
		return Child{}, err
	}
	t.limits.give(pid)
	c.Pid, c.MainGone = pid, false
	c.Start = t.clock.of(pid, before)
	if c.Group {
		c.leader = pid
	}
	e := &entry{Child: c}
	if preparing {
		e.prep = new(preparation)
	}
	t.add(e)
	t.idle.wake()
	return c, nil
}

func (t *Table) fork(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	if t.masked {
		unmasked(func() { pid, err = syscall.ForkExec(path, argv, attr) })
		return pid, err
	}
	return syscall.ForkExec(path, argv, attr)
}

func (t *Table) add(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.provesGoneLocked(e.Pid)
	t.passOnLocked(&e.Child)
	t.byPid[e.Pid] = e
	t.byRun[runID{e.Key, e.Run}] = e
	if e.prep == nil && t.hooks.Born != nil {
		t.hooks.Born(e.Child)
	}
}

// provesGoneLocked forgets what had the number of a process that was made just now: the
// kernel gives no number that a process or a group still has.
func (t *Table) provesGoneLocked(pid int) {
	if e, ok := t.groups[pid]; ok {
		t.groupEmptyLocked(e, pid)
	}
	if e, ok := t.byPid[pid]; ok {
		t.vanishedLocked(e)
	}
}

// executed says that a child has got to its program.
func (t *Table) executed(key string, run uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byRun[runID{key, run}]
	if e == nil || e.prep == nil {
		return
	}
	ended := e.prep.ended
	e.prep = nil
	if t.hooks.Born != nil {
		t.hooks.Born(e.Child)
	}
	if ended != nil {
		t.endedLocked(e, *ended, false)
	}
}

// notExecuted says that a child will not get to its program. It is ended, if it did
// not end by itself; Unborn follows when it was reaped.
func (t *Table) notExecuted(why SpawnFailed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byRun[runID{why.Key, why.Run}]
	if e == nil || e.prep == nil {
		return
	}
	e.prep.failed = &why
	if e.prep.ended != nil {
		t.unbornLocked(e)
		return
	}
	_ = unix.Kill(e.Pid, unix.SIGKILL) // it is not reaped
}

// unbornLocked is the end of a child that was reaped and had not got to its program.
func (t *Table) unbornLocked(e *entry) {
	delete(t.byRun, runID{e.Key, e.Run})
	f := *e.prep.failed
	if f.Errno == noWord {
		f.Text = "it ended while it was prepared: " + e.prep.ended.String()
	}
	if t.hooks.Unborn != nil {
		t.hooks.Unborn(f)
	}
}

// preparing reports whether a child has not got to its program yet.
func (t *Table) preparing(key string, run uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byRun[runID{key, run}]
	return e != nil && e.prep != nil
}

// Children lists the children and the lingering groups, in no order.
func (t *Table) Children() []Child {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.childrenLocked()
}

func (t *Table) childrenLocked() []Child {
	list := make([]Child, 0, len(t.byRun))
	for _, e := range t.byRun {
		list = append(list, e.Child)
	}
	return list
}

// Orphans is how many processes ended that nobody here started, and the last of
// them.
func (t *Table) Orphans() (count uint64, last []Orphan) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.orphans.count, t.orphans.list()
}
