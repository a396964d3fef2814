package supervise

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"zinit/reap"
	"zinit/supervise/launch"
	"zinit/supervise/machine"
)

// A lone takes the keeper's place when the keeper has died: the services lost
// their parent, and all that is left to do is to stop them in order, each found by
// pid and start time. It starts nothing. How they end nobody can tell any more.
type lone struct {
	log    *slog.Logger
	events chan []reap.Event

	mu    sync.Mutex
	procs map[string]reap.Child // guarded by mu
}

// newLone watches the processes that the keeper left behind.
func newLone(left []reap.Child, log *slog.Logger) *lone {
	l := &lone{log: log, events: make(chan []reap.Event, len(left)), procs: map[string]reap.Child{}}
	for _, ch := range left {
		l.procs[ch.Key] = ch
		reap.AwaitExit(ch.Pid, ch.Start, func() {
			l.events <- []reap.Event{reap.Exited{Key: ch.Key, Run: ch.Run, Pid: ch.Pid, Status: reap.KilledBy(0)}}
		})
	}
	return l
}

func (l *lone) find(key string, run uint64) (reap.Child, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ch, ok := l.procs[key]
	return ch, ok && ch.Run == run
}

// Signal reaches the process of a run, and its group while it leads one.
func (l *lone) Signal(key string, run uint64, sig syscall.Signal, scope reap.Scope) {
	ch, ok := l.find(key, run)
	if !ok {
		return
	}
	signal := reap.SignalByPidfd
	if scope != reap.ScopeMain {
		signal = reap.SignalGroup
	}
	err := signal(ch.Pid, ch.Start, sig)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		l.log.Warn("cannot signal a service", "service", key, "pid", ch.Pid, "error", err)
	}
}

// Spawn starts nothing: nobody would learn how it ended.
func (l *lone) Spawn(o launch.Order) {
	l.log.Warn("not started: the keeper is gone", "service", o.Key)
}

// The rest concerns a keeper that lives.
func (l *lone) Ack(string, uint64)                  {}
func (l *lone) Release(string)                      {}
func (l *lone) Keep(string, *os.File) error         { return nil }
func (l *lone) Watch(string, uint64, int)           {}
func (l *lone) Plan([]reap.PlanStep, time.Duration) {}
func (l *lone) Draining()                           {}
func (l *lone) Flush() bool                         { return true }

// withoutKeeper ends what only the keeper could have answered.
func (c *core) withoutKeeper(r *record) {
	if held := r.watch.held; held != nil {
		r.watch = watching{}
		c.mainExited(r, *held)
	}
	if r.m.Finding() {
		c.step(r, machine.MainMissing{Run: r.m.Run(), Text: "the keeper is gone"})
	}
	if r.hook.kind != machine.NoHook {
		c.hookDone(r, "the keeper is gone", 0)
	}
	c.cleanNow(r, false)
}

// orphan goes on without a keeper: everything is stopped, in order.
func (c *core) orphan() <-chan []reap.Event {
	c.Log.Error("the keeper is gone: stopping all services")
	var left []reap.Child
	for _, r := range c.recs {
		if r.m.Active() && r.pid != 0 {
			left = append(left, reap.Child{Key: r.name, Run: uint64(r.m.Run()), Pid: r.pid, Start: r.start})
		}
		for _, one := range r.conns.list { // which hungUp does not change
			if one.Pid != 0 {
				left = append(left, reap.Child{Key: one.key(r), Run: one.Run, Pid: one.Pid, Start: one.Start})
			} else {
				c.hungUp(r, one.Run, "") // it was about to be spawned
			}
		}
	}
	l := newLone(left, c.Log)
	c.Keeper, c.alone = l, true
	for _, r := range c.recs {
		c.withoutKeeper(r)
	}
	c.shutdown()
	for _, r := range c.recs {
		if r.m.Main() && r.pid == 0 {
			// It was about to be spawned, by a keeper that is no more.
			c.keeperEvent(reap.SpawnFailed{Key: r.name, Run: uint64(r.m.Run()), Refused: "the keeper is gone"})
		}
	}
	return l.events
}
