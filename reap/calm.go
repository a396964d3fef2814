package reap

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A calm collects garbage and gives memory back to the kernel some time after
// something happened, and only while nothing forks: to stop the world the collector
// waits for every fork under way, so that one exec that hangs would stop the whole
// process. Between bursts nobody is woken up. The memory limit bounds a burst of starts.
//
// A collection is not for nothing: what the runtime writes down for it, by size of
// object, is never given back, most of it in the first two and all in the first five.
// So none is made for little, and in a long burst of ends and starts one is made before
// there is much: what is written down grows with the heap, too.
type calm struct {
	forks *sync.RWMutex
	armed atomic.Bool
	// garbage is what was left behind since the last collection, counted in packets,
	// spawns and looks at our mappings: each leaves some kilobytes. To ask the runtime
	// how much it is makes it write down more than a collection does.
	garbage atomic.Int32
}

const (
	calmAfter   = 5 * time.Second
	memoryLimit = 32 << 20
	// worthwhile is as much garbage as is collected at rest.
	worthwhile = 32
	// tooMuch is as much as is collected in a burst.
	tooMuch = 512
)

// leave counts garbage.
func (c *calm) leave(n int32) { c.garbage.Add(n) }

func (c *calm) stir() {
	if c.armed.CompareAndSwap(false, true) {
		time.AfterFunc(calmAfter, c.check)
	}
}

// check is called some time after something has happened.
func (c *calm) check() {
	c.armed.Store(false)
	if !c.forks.TryLock() {
		c.stir()
		return
	}
	defer c.forks.Unlock()
	if c.garbage.Load() < worthwhile {
		giveBackFiles(ownCleanMappings())
		c.leave(1) // to list them is as much as a packet; what happens may be no more than one orphan each time
		return
	}
	c.garbage.Store(0)
	GiveBack(nil)
}

// tidy is called by whoever reaps, when all that is known was told.
func (c *calm) tidy() {
	if c.garbage.Load() < tooMuch || !c.forks.TryLock() {
		return
	}
	defer c.forks.Unlock()
	c.garbage.Store(0)
	runtime.GC()
}
