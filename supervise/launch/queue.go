package launch

import (
	"sync"
	"time"
)

const (
	// workers is how many orders are prepared at once.
	workers = 2
	// maxWorkers bounds them when some do not get on: each then holds a thread.
	maxWorkers = 32
	// slow is how long a worker may take before another one is added in its place.
	slow = time.Second
)

// A queue carries out jobs on a few goroutines: those of one key one after the other,
// in order. What is put waits for release.
type queue struct {
	mu      sync.Mutex
	changed *sync.Cond
	held    []job            // guarded by mu; not released yet
	lanes   map[string]*lane // guarded by mu; keys with a job that is not done
	ready   []*lane          // guarded by mu; lanes that no worker has and that have a job
	stopped bool             // guarded by mu; only tests do that
	workers int              // guarded by mu
	idle    int              // guarded by mu; of the workers
}

type job struct {
	key string
	do  func()
}

type lane struct {
	key   string
	jobs  []func()
	owed  int // jobs held, waiting and under way
	taken bool
}

func newQueue() *queue {
	q := &queue{lanes: make(map[string]*lane)}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// put takes a job.
func (q *queue) put(key string, do func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.putLocked(key, do)
}

func (q *queue) putLocked(key string, do func()) {
	q.held = append(q.held, job{key, do})
	l := q.lanes[key]
	if l == nil {
		l = &lane{key: key}
		q.lanes[key] = l
	}
	l.owed++
}

// behind takes a job if there is one of its key that is not done.
func (q *queue) behind(key string, do func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lanes[key] == nil {
		return false
	}
	q.putLocked(key, do)
	return true
}

// release has the jobs that were put until now carried out. It reports whether there is
// none left.
func (q *queue) release() (done bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.held) == 0 {
		return len(q.lanes) == 0
	}
	for _, j := range q.held {
		l := q.lanes[j.key]
		l.jobs = append(l.jobs, j.do)
		if !l.taken && len(l.jobs) == 1 {
			q.ready = append(q.ready, l)
		}
	}
	clear(q.held)
	q.held = q.held[:0]
	for n := len(q.ready) - q.idle; n > 0 && q.workers < workers; n-- {
		q.workers++
		go q.work(true)
	}
	q.changed.Broadcast()
	return false
}

// work carries out jobs; a worker that is not to stay ends when there is none.
func (q *queue) work(stay bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		for len(q.ready) == 0 {
			if !stay || q.stopped {
				q.workers--
				return
			}
			q.idle++
			q.changed.Wait()
			q.idle--
		}
		l := q.ready[0]
		q.ready[0] = nil
		q.ready = q.ready[1:]
		do := l.jobs[0]
		l.jobs, l.taken = l.jobs[1:], true
		q.mu.Unlock()
		late := time.AfterFunc(slow, q.grow)
		do()
		late.Stop()
		q.mu.Lock()
		l.taken = false
		l.owed--
		switch {
		case len(l.jobs) > 0:
			q.ready = append(q.ready, l)
		case l.owed == 0:
			delete(q.lanes, l.key)
		}
	}
}

// grow adds a worker: one of the others may never come back.
func (q *queue) grow() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.workers < maxWorkers {
		q.workers++
		go q.work(false)
	}
}

// stop ends the workers that have nothing to do.
func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	q.changed.Broadcast()
}
