package logs

import (
	"errors"
	"io/fs"
	"sync"

	"zinit/supervise/logs/pump"
)

// A hub tells the followers of one store that there is more to read. The pump only
// pokes it, at a cost that does not depend on how many followers there are; and
// they share one look at the store. It exists while it has followers.
type hub struct {
	store *pump.Store
	more  chan struct{} // poked by the pump
	quit  chan struct{} // closed when nobody follows any more

	followers int    // guarded by Logs.mu
	left      func() // guarded by Logs.mu: called after the last one, when the service was removed

	mu   sync.Mutex
	view *pump.View    // guarded by mu; what it points to never changes
	news chan struct{} // guarded by mu: closed with the next view; nil: nobody waits
	end  error         // guarded by mu: what comes behind the view; nil: the next one
}

// newHub begins to watch a store.
func newHub(st *pump.Store) *hub {
	h := &hub{store: st, more: make(chan struct{}, 1), quit: make(chan struct{}), view: new(pump.View)}
	st.Watch(h.poke)
	go h.loop()
	return h
}

func (h *hub) poke() {
	select {
	case h.more <- struct{}{}:
	default:
	}
}

// loop is the hub's goroutine.
func (h *hub) loop() {
	for {
		select {
		case <-h.more:
			h.refresh(nil)
		case <-h.quit:
			return
		}
	}
}

// refresh looks at the store and tells all who wait. With an end, there is nothing
// behind what it sees.
func (h *hub) refresh(end error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.end != nil {
		return
	}
	h.end = end
	v, err := h.store.View()
	if errors.Is(err, fs.ErrNotExist) {
		v, err = pump.View{}, nil
	}
	if err == nil { // otherwise the next byte, or the end, brings the next try
		h.view = &v
	}
	if h.news != nil {
		close(h.news)
		h.news = nil
	}
}

// look is the store as it was last seen, and either what comes behind it or a
// channel that is closed when there is more to see.
func (h *hub) look() (v *pump.View, news <-chan struct{}, end error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.end == nil && h.news == nil {
		h.news = make(chan struct{})
	}
	return h.view, h.news, h.end
}

// join adds a follower to a service. The caller holds Logs.mu.
func (s *service) join() *hub {
	if s.hub == nil {
		s.hub = newHub(s.store)
	}
	s.hub.followers++
	return s.hub
}

// leave takes a follower away.
func (l *Logs) leave(s *service, h *hub) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.followers--; h.followers > 0 {
		return
	}
	if s.hub = nil; h.left != nil {
		h.left()
	} else {
		h.store.Watch(nil)
	}
	close(h.quit)
}
