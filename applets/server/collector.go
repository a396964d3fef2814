package server

import (
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"zinit/reap"
)

// A collector decides when the server collects garbage. The settings are those of the
// process, so that there is one.
//
// In a burst of work nothing is collected up to a limit: the parser of files asks for
// 400 kB each time, for a few small files, uses a part and drops all; a collection after
// every tenth time would take longer than the files. At rest the heap may grow by half
// before it is collected, as with restPercent. But it is the memory limit that sees to
// that, since with any percentage the runtime collects every two minutes as well, which
// wakes up twenty threads of a server that has nothing to do.
type collector struct {
	mu      sync.Mutex
	bursts  int           // that are going on; guarded by mu
	hurried bool          // guarded by mu
	watches bool          // that collections are noticed; guarded by mu
	noticed chan struct{} // capacity 1: a collection was
}

const (
	// burstLimit is in address space; a part of it becomes memory.
	burstLimit = 256 << 20
	restAfter  = 2 * time.Second
	// restAgain is when what a slow start took goes back, which was still under way
	// then, and what was garbage only after it.
	restAgain = 8 * time.Second
	// restPercent is what GOGC would be at rest. The heap may grow to 2 MB in any case.
	restPercent = 50
	// noticeTime is how long it may take until a collection is noticed, which is a
	// matter of microseconds.
	noticeTime = 100 * time.Millisecond
)

func newCollector() *collector { return &collector{noticed: make(chan struct{}, 1)} }

// burst suspends collections up to a limit. Time ends that, and what the burst took
// goes back to the system then. The function that it returns calls that off.
func (c *collector) burst() (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bursts++
	if c.hurried {
		return func() {}
	}
	suspend()
	timer, again := time.AfterFunc(restAfter, c.rest), time.AfterFunc(restAgain, c.giveBack)
	return func() { timer.Stop(); again.Stop() }
}

// hurry prepares a quick end, while the services take their time to stop: nothing is
// collected any more below the limit of a burst.
func (c *collector) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hurried = true
	suspend()
}

// suspend has nothing collected below the limit of a burst. That is on top of twice what
// is alive: near its limit the collector would never rest. What is garbage does not
// count, or each of many bursts would leave more room to the next one.
func suspend() {
	goal := heapGoal(100).NextGC
	debug.SetMemoryLimit(burstLimit + int64(goal))
	debug.SetGCPercent(-1)
}

// heapGoal has the runtime work out, as NextGC, what the heap could grow to with GOGC =
// percent. Only the runtime knows how much is alive: right after a collection most of
// what is garbage is still HeapAlloc. The caller sets percentage and limit anew.
func heapGoal(percent int) *runtime.MemStats {
	m := new(runtime.MemStats)
	debug.SetMemoryLimit(math.MaxInt64)
	debug.SetGCPercent(percent)
	runtime.ReadMemStats(m)
	return m
}

// rest ends a burst.
func (c *collector) rest() {
	c.mu.Lock()
	c.bursts--
	if !c.watches {
		c.watches = true
		runtime.AddCleanup(new(collected), c.collected, struct{}{})
	}
	c.mu.Unlock()
	c.giveBack()
}

// giveBack collects, and returns to the kernel what is not needed.
func (c *collector) giveBack() {
	select {
	case <-c.noticed: // an earlier one
	default:
	}
	reap.GiveBack(func() {
		select {
		case <-c.noticed:
		case <-time.After(noticeTime):
			c.adjust() // it may come late
		}
	})
}

// A collected is garbage, so that the next collection is noticed.
type collected struct{ _ [64]byte }

// collected is called after each collection, by the runtime.
func (c *collector) collected(struct{}) {
	runtime.AddCleanup(new(collected), c.collected, struct{}{})
	c.adjust()
	select {
	case c.noticed <- struct{}{}:
	default: // nobody waits for it
	}
}

// adjust sets the limit for what is alive now.
func (c *collector) adjust() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bursts > 0 || c.hurried {
		return
	}
	debug.SetMemoryLimit(restLimit(heapGoal(restPercent)))
	debug.SetGCPercent(-1)
}

// restLimit is the limit at which the heap has grown to its goal. By the documentation of
// runtime/debug it is about all that the runtime has mapped and not given back. The
// runtime stays below it by a thirtieth of what it leaves to the heap, a megabyte at
// least.
func restLimit(m *runtime.MemStats) int64 {
	beside := m.Sys - m.HeapIdle - m.HeapAlloc
	return int64(beside + m.NextGC + max(m.NextGC/30, 1<<20))
}
