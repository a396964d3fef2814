package proxy

import (
	"fmt"
	"log/slog"
	"sort"
	"sync"
	"time"
)

// A Set is the proxies of one process. Its methods may be called from any goroutine.
type Set struct {
	control Services
	common  *common

	mu       sync.Mutex
	proxies  map[string]*proxy   // guarded by mu
	services map[string]*service // guarded by mu
	drained  bool                // guarded by mu
}

// NewSet makes an empty set, which starts and stops services through control.
func NewSet(control Services, log *slog.Logger) *Set {
	c := &common{log: log, room: make(chan struct{}, 1)}
	c.began = time.Now().Add(-1) // so that no moment is zero
	return &Set{control: control, common: c, proxies: map[string]*proxy{}, services: map[string]*service{}}
}

// Put takes a proxy in with the listeners of cfg.Listen, which belong to the set from
// then on, also when it refuses them. One of the same name is replaced: it accepts no
// more, its connections go on, and its counters too.
func (s *Set) Put(cfg Config, listeners []*Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := cfg.Check()
	if err == nil && s.drained {
		err = fmt.Errorf("%s: this process takes no proxies any more", cfg.Name)
	}
	if err != nil {
		for _, l := range listeners {
			l.Close()
		}
		return err
	}
	count := new(counters)
	old := s.proxies[cfg.Name]
	if old != nil {
		count = old.count
	}
	svc := s.services[cfg.Service]
	if svc == nil {
		svc = newService(cfg.Service, s.control, s.common.log)
		s.services[cfg.Service] = svc
	}
	s.proxies[cfg.Name] = newProxy(cfg, listeners, svc, count, s.common, old)
	if old != nil {
		old.close()
	}
	s.retimeLocked()
	return nil
}

// Delete has a proxy accept no more; its connections go on. The files of its sockets
// stay. False: there is none of that name.
func (s *Set) Delete(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.proxies[name]
	if p == nil {
		return false
	}
	delete(s.proxies, name)
	p.close()
	s.retimeLocked()
	return true
}

// retimeLocked finds out for how long each service is to be kept: as long as the proxy
// that keeps it longest does. A service that nothing leads to any more is left as it
// is.
func (s *Set) retimeLocked() {
	idle := map[string]time.Duration{}
	for _, p := range s.proxies {
		name, d := p.cfg.Service, p.cfg.IdleTimeout
		if had, seen := idle[name]; seen && (had == 0 || d == 0) {
			d = 0
		} else {
			d = max(d, had)
		}
		idle[name] = d
	}
	for name, svc := range s.services {
		svc.setIdle(idle[name])
		if _, used := idle[name]; !used && svc.unneeded() {
			delete(s.services, name)
		}
	}
}

// Status is how all proxies are, by name.
func (s *Set) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Status, 0, len(s.proxies))
	for _, p := range s.proxies {
		list = append(list, p.status())
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// Serving counts the connections that wait for a service or use it.
func (s *Set) Serving(service string) int {
	s.mu.Lock()
	svc := s.services[service]
	s.mu.Unlock()
	if svc == nil {
		return 0
	}
	return svc.serving()
}

// Drain has the set accept no more. Its connections go on; the channel is closed when
// the last one has ended.
func (s *Set) Drain() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.drained {
		s.drained = true
		for _, p := range s.proxies {
			p.close()
		}
	}
	over := make(chan struct{})
	go func() {
		s.common.live.Wait()
		close(over)
	}()
	return over
}
