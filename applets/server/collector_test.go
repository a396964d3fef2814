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
	c := new(collector)
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
	rested(t)
	if percent := debug.SetGCPercent(-1); percent != -1 {
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

func TestTheLimitLeavesHalfOfWhatIsAlive(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		name  string
		stats runtime.MemStats
		want  int64
	}{
		{"little", runtime.MemStats{Sys: 8 * mb, HeapAlloc: 1 * mb, HeapIdle: 3 * mb}, 4*mb + restLeast + mb},
		{"much", runtime.MemStats{Sys: 200 * mb, HeapAlloc: 120 * mb, HeapIdle: 60 * mb}, 20*mb + 180*mb + 6*mb},
	} {
		if got := restLimit(&c.stats); got != c.want {
			t.Errorf("%s: %d instead of %d", c.name, got, c.want)
		}
	}
}
