package reap

import "sync"

const (
	spawnWorkers = 2
	// maxWaiting bounds the requests that are read ahead of the workers, and with
	// them the descriptors that wait in the table.
	maxWaiting = 128
)

// Lanes hand requests to the spawn workers: those of one key one after the other
// in order, those of different keys side by side.
type lanes struct {
	mu      sync.Mutex
	changed *sync.Cond
	byKey   map[string]*lane // guarded by mu; keys with a request that is not done
	ready   []*lane          // guarded by mu; lanes that no worker has yet
	waiting int              // guarded by mu; requests that no worker has yet
}

type lane struct {
	key      string
	requests []func()
	held     bool // a request of it goes on without a worker
	parked   bool // no worker has it: it is held
}

func newLanes() *lanes {
	l := &lanes{byKey: make(map[string]*lane)}
	l.changed = sync.NewCond(&l.mu)
	return l
}

// put queues a request; it waits while too many do.
func (l *lanes) put(key string, request func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.waiting >= maxWaiting {
		l.changed.Wait()
	}
	l.waiting++
	if n, ok := l.byKey[key]; ok {
		n.requests = append(n.requests, request)
		return // a held lane's count too: nothing more is read ahead of it than of others
	}
	n := &lane{key: key, requests: []func(){request}}
	l.byKey[key] = n
	l.ready = append(l.ready, n)
	l.changed.Broadcast()
}

// busy reports whether a request of the key is not done yet.
func (l *lanes) busy(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.byKey[key]
	return ok
}

// settle waits until every request is done.
func (l *lanes) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.byKey) > 0 {
		l.changed.Wait()
	}
}

// idle reports that every request is done.
func (l *lanes) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.byKey) == 0
}

// work carries out requests for ever; after is called when one is done, with the
// number of those that wait now: whoever is the last to end is told 0.
func (l *lanes) work(carryOut func(request func()), after func(waiting int)) {
	for {
		n := l.take()
		for {
			request := l.next(n)
			if request == nil {
				break
			}
			carryOut(request)
			after(l.left())
		}
	}
}

func (l *lanes) take() *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.ready) == 0 {
		l.changed.Wait()
	}
	n := l.ready[0]
	l.ready[0] = nil
	if l.ready = l.ready[1:]; len(l.ready) == 0 {
		l.ready = nil
	}
	return n
}

// next is the lane's next request; nil when it has none, and then the lane ends.
func (l *lanes) next(n *lane) (request func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.held {
		n.parked = true
		return nil
	}
	if len(n.requests) == 0 {
		delete(l.byKey, n.key)
		if len(l.byKey) == 0 {
			l.changed.Broadcast()
		}
		return nil
	}
	request = n.requests[0]
	n.requests = n.requests[1:]
	if l.waiting--; l.waiting == maxWaiting/2 {
		l.changed.Broadcast()
	}
	return request
}

// hold is called by a request that goes on when the worker has left it: the next one
// of its key waits until free.
func (l *lanes) hold(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byKey[key].held = true
}

// free ends what hold has begun.
func (l *lanes) free(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.byKey[key]
	if n == nil || !n.held {
		return
	}
	n.held = false
	if n.parked {
		n.parked = false
		l.ready = append(l.ready, n)
		l.changed.Broadcast()
	}
}

func (l *lanes) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting
}
