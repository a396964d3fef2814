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
	// mu is held for reading around fork and registration and around a signal, and
	// for writing around reaping. The hooks are called under it, so for one process
	// they come in order; they must neither wait nor call the table.
	mu     sync.RWMutex
	hooks  Hooks
	clock  *startClock
	masked bool // this process was started with signals blocked
	idle   reaperIdle

	reg registry
}

// Hooks are what a Table tells its owner. Nil ones are left out.
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

// A registry is the part of the table that several forks fill at the same time;
// its lock is a leaf.
type registry struct {
	mu        sync.Mutex
	byPid     map[int]*Child   // main processes that are not reaped
	byRun     map[runID]*Child // the same and, with MainGone, lingering groups
	lingering map[int]*Child   // by group number
	orphans   orphans
}

// NewTable makes an empty table. Nothing is reaped until Run.
func NewTable(hooks Hooks) *Table {
	return &Table{
		hooks:  hooks,
		clock:  newStartClock(),
		masked: maskInherited(),
		idle:   reaperIdle{spawned: make(chan struct{}, 1)},
		reg: registry{
			byPid:     make(map[int]*Child),
			byRun:     make(map[runID]*Child),
			lingering: make(map[int]*Child),
		},
	}
}

// Start forks and registers a child; Key, Run and Group of c say whose it is, the
// rest is filled in. attr must ask for a session of its own if Group is set. The
// error is what fork or exec answered.
func (t *Table) Start(c Child, path string, argv []string, attr *syscall.ProcAttr) (Child, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	before := t.clock.now()
	pid, err := t.fork(path, argv, attr)
	if err != nil {
		return Child{}, err
	}
	c.Pid, c.MainGone = pid, false
	c.Start = t.clock.of(pid, before)
	t.reg.add(&c)
	if t.hooks.Born != nil {
		t.hooks.Born(c)
	}
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

func (r *registry) add(c *Child) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byPid[c.Pid] = c
	r.byRun[runID{c.Key, c.Run}] = c
}

// Signal sends a signal to a child that Start made. ESRCH: it is reaped (for
// ScopeGroup: and nobody of its group is left).
func (t *Table) Signal(key string, run uint64, sig syscall.Signal, scope Scope) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	c, ok := t.reg.get(runID{key, run})
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
		t.forgetGroup(c.Pid)
		return unix.ESRCH
	}
	return unix.Kill(-c.Pid, sig)
}

func (r *registry) get(id runID) (Child, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.byRun[id]
	if !ok {
		return Child{}, false
	}
	return *c, true
}

// Children lists the children and the lingering groups, in no order.
func (t *Table) Children() []Child {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.reg.list()
}

func (r *registry) list() []Child {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Child, 0, len(r.byRun))
	for _, c := range r.byRun {
		list = append(list, *c)
	}
	return list
}

// Orphans is how many processes ended that nobody here started, and the last of
// them.
func (t *Table) Orphans() (count uint64, last []Orphan) {
	t.reg.mu.Lock()
	defer t.reg.mu.Unlock()
	return t.reg.orphans.count, t.reg.orphans.list()
}

// forgetGroup ends the record of a lingering group; the lock is held by the
// caller on either side.
func (t *Table) forgetGroup(pgid int) {
	t.reg.mu.Lock()
	c, ok := t.reg.lingering[pgid]
	if ok {
		delete(t.reg.lingering, pgid)
		delete(t.reg.byRun, runID{c.Key, c.Run})
	}
	t.reg.mu.Unlock()
	if ok && t.hooks.GroupGone != nil {
		t.hooks.GroupGone(c.Key, c.Run)
	}
}
