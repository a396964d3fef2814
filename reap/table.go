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

	// mu is held from the look-up of a pid to the signal, and from a reaping to the
	// removal. It is taken after forks; the hooks are called under it, so what they
	// tell comes in order.
	mu        sync.Mutex
	byPid     map[int]*Child   // guarded by mu; main processes that are not reaped
	byRun     map[runID]*Child // guarded by mu; the same and, with MainGone, lingering groups
	lingering map[int]*Child   // guarded by mu; by group number
	orphans   orphans          // guarded by mu
}

// Hooks are what a Table tells its owner, under its lock: they must neither wait
// nor call the table. Nil ones are left out.
type Hooks struct {
	// Born: the child runs and is registered.
	Born func(Child)
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
		hooks:     hooks,
		clock:     newStartClock(),
		masked:    maskInherited(),
		idle:      reaperIdle{spawned: make(chan struct{}, 1)},
		byPid:     make(map[int]*Child),
		byRun:     make(map[runID]*Child),
		lingering: make(map[int]*Child),
	}
}

// Start forks and registers a child; Key, Run and Group of c say whose it is, the
// rest is filled in. attr must ask for a session of its own if Group is set. The
// error is what fork or exec answered.
func (t *Table) Start(c Child, path string, argv []string, attr *syscall.ProcAttr) (Child, error) {
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
	t.add(c)
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

func (t *Table) add(c Child) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byPid[c.Pid] = &c
	t.byRun[runID{c.Key, c.Run}] = &c
	if t.hooks.Born != nil {
		t.hooks.Born(c)
	}
}

// Signal sends a signal to a child that Start made. ESRCH: it is reaped (for
// ScopeGroup: and nobody of its group is left).
func (t *Table) Signal(key string, run uint64, sig syscall.Signal, scope Scope) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.byRun[runID{key, run}]
	switch {
	case !ok:
		return unix.ESRCH
	case scope == ScopeMain && c.MainGone:
		return unix.ESRCH
	case scope == ScopeMain || !c.Group:
		return unix.Kill(c.Pid, sig)
	case c.MainGone && !groupLives(c.Pid):
		// The last one left the group without ending. Asked under the lock, since only
		// an unreaped member keeps the number from a stranger.
		t.forgetGroupLocked(c.Pid)
		return unix.ESRCH
	}
	return unix.Kill(-c.Pid, sig)
}

// Children lists the children and the lingering groups, in no order.
func (t *Table) Children() []Child {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.childrenLocked()
}

func (t *Table) childrenLocked() []Child {
	list := make([]Child, 0, len(t.byRun))
	for _, c := range t.byRun {
		list = append(list, *c)
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

// forgetGroupLocked ends the record of a lingering group.
func (t *Table) forgetGroupLocked(pgid int) {
	c, ok := t.lingering[pgid]
	if !ok {
		return
	}
	delete(t.lingering, pgid)
	delete(t.byRun, runID{c.Key, c.Run})
	if t.hooks.GroupGone != nil {
		t.hooks.GroupGone(c.Key, c.Run)
	}
}
