package server

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// rested is a collector after a burst. What it sets for the whole process ends with the
// test.
func rested(t *testing.T) *collector {
	t.Helper()
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	c := newCollector()
	end := c.burst()
	end() // its timers, that is
	t.Cleanup(func() {
		c.hurry() // nothing is adjusted any more
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	c.rest()
	return c
}

func collections(work func()) uint32 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return after.NumGC - before.NumGC
}

// drop makes garbage.
func drop(bytes int) {
	for range bytes >> 10 {
		dropped = make([]byte, 1<<10)
	}
}

var dropped []byte // so that the compiler makes it

func TestGarbageIsCollectedAtRestAndOnlyForItsSize(t *testing.T) {
	c := rested(t)
	c.mu.Lock() // nothing is adjusted at this moment
	percent := debug.SetGCPercent(-1)
	c.mu.Unlock()
	if percent != -1 {
		t.Errorf("the runtime collects every two minutes with GOGC = %d", percent)
	}
	const much = 256 << 20
	if n := collections(func() { drop(much) }); n < 8 {
		t.Errorf("%d MB of garbage were collected %d times", much>>20, n)
	}
}

func TestTheLimitFollowsWhatIsAlive(t *testing.T) {
	rested(t)
	const much = 64 << 20
	alive := make([]byte, much)
	limitBecomes(t, "above one and a half of what is alive", func(limit int64) bool { return limit > much*3/2 })
	runtime.KeepAlive(alive)
	limitBecomes(t, "less than what was alive", func(limit int64) bool { return limit < much })
}

// limitBecomes collects, which a server that works does all the time, until the limit is
// as it should be.
func limitBecomes(t *testing.T, what string, so func(limit int64) bool) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	late := time.After(time.Minute)
	for runtime.GC(); !so(debug.SetMemoryLimit(-1)); runtime.GC() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("the limit is %d, not %s", debug.SetMemoryLimit(-1), what)
		}
	}
}

func TestNothingIsCollectedInABurst(t *testing.T) {
	c := rested(t)
	end := c.burst()
	defer end()
	if n := collections(func() { drop(64 << 20) }); n > 1 { // one may be under way
		t.Errorf("64 MB were collected %d times", n)
	}
}

// TestManyBurstsLeaveNoMoreRoomThanOne: what the first ones have dropped is not in use.
func TestManyBurstsLeaveNoMoreRoomThanOne(t *testing.T) {
	c := rested(t)
	defer c.burst()()
	one := debug.SetMemoryLimit(-1)
	for range 3 {
		drop(32 << 20)
		defer c.burst()()
	}
	if more := debug.SetMemoryLimit(-1) - one; more > 32<<20 {
		t.Errorf("the limit has grown by %d MB", more>>20)
	}
}

// TestGarbageIsNotTakenForAlive, which it is in HeapAlloc until it is swept away.
func TestGarbageIsNotTakenForAlive(t *testing.T) {
	c := rested(t)
	end := c.burst()
	defer end()
	drop(64 << 20)
	c.mu.Lock()
	c.bursts-- // its time is over, and nothing was collected yet
	c.mu.Unlock()
	c.adjust()
	if limit := debug.SetMemoryLimit(-1); limit > 96<<20 {
		t.Errorf("with 64 MB of garbage the limit is %d MB", limit>>20)
	}
}

func TestTheLimitLeavesHalfOfWhatIsAlive(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		name  string
		stats runtime.MemStats
		want  int64
	}{
		{"little", runtime.MemStats{Sys: 8 * mb, HeapAlloc: 1 * mb, HeapIdle: 3 * mb, NextGC: 2 * mb}, 4*mb + 2*mb + mb},
		{"much", runtime.MemStats{Sys: 200 * mb, HeapAlloc: 120 * mb, HeapIdle: 60 * mb, NextGC: 180 * mb}, 20*mb + 180*mb + 6*mb},
		{"garbage", runtime.MemStats{Sys: 300 * mb, HeapAlloc: 220 * mb, HeapIdle: 60 * mb, NextGC: 180 * mb}, 20*mb + 180*mb + 6*mb},
	} {
		if got := restLimit(&c.stats); got != c.want {
			t.Errorf("%s: %d instead of %d", c.name, got, c.want)
		}
	}
}
