package server

import (
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
// before it is collected, as with GOGC = 50. But it is the memory limit that sees to
// that, since with any percentage the runtime collects every two minutes as well, which
// wakes up twenty threads of a server that has nothing to do.
type collector struct {
	mu      sync.Mutex
	bursts  int  // that are going on; guarded by mu
	hurried bool // guarded by mu
	watches bool // that collections are noticed; guarded by mu
}

const (
	// burstLimit is in address space; a part of it becomes memory.
	burstLimit = 256 << 20
	restAfter  = 2 * time.Second
	// restAgain is when what a slow start took goes back, which was still under way
	// then, and what was garbage only after it.
	restAgain = 8 * time.Second
	// restLeast is what the heap may grow to at rest in any case.
	restLeast = 2 << 20
)

// burst suspends collections up to a limit. Time ends that, and what the burst took
// goes back to the system then. The function that it returns calls that off.
func (c *collector) burst() (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bursts++
	if c.hurried {
		return func() {}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetGCPercent(-1)
	// On top of what is in use: near its limit the collector would never rest.
	debug.SetMemoryLimit(burstLimit + 2*int64(m.HeapAlloc))
	timer, again := time.AfterFunc(restAfter, c.rest), time.AfterFunc(restAgain, reap.GiveBack)
	return func() { timer.Stop(); again.Stop() }
}

// hurry prepares a quick end, while the services take their time to stop: nothing is
// collected any more below the limit of a burst.
func (c *collector) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hurried = true
	debug.SetMemoryLimit(burstLimit)
	debug.SetGCPercent(-1)
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
	reap.GiveBack() // which collects
	c.adjust()
}

// A collected is garbage, so that the next collection is noticed.
type collected struct{ _ [64]byte }

// collected is called after each collection, by the runtime.
func (c *collector) collected(struct{}) {
	runtime.AddCleanup(new(collected), c.collected, struct{}{})
	c.adjust()
}

// adjust sets the limit for what is alive now.
func (c *collector) adjust() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bursts > 0 || c.hurried {
		return
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	debug.SetMemoryLimit(restLimit(&m))
	debug.SetGCPercent(-1)
}

// restLimit is the limit at which the heap has grown by half. By the documentation of
// runtime/debug it is about all that the runtime has mapped and not given back. The
// runtime stays below it by a thirtieth of what it leaves to the heap, a megabyte at
// least.
func restLimit(m *runtime.MemStats) int64 {
	heap := max(m.HeapAlloc+m.HeapAlloc/2, restLeast)
	beside := m.Sys - m.HeapIdle - m.HeapAlloc
	return int64(beside + heap + max(heap/30, 1<<20))
}
