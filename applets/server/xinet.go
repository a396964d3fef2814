package server

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"

	"zinit/proxy"
	"zinit/proxy/address"
	"zinit/reap"
	"zinit/sock"
	"zinit/supervise/config"
)

// proxies are the proxies of the configuration. The sockets that they listen on are
// made here and held by the keeper, so that they outlive every process; the connections
// are carried by a process beside the server (helpers.go).
type proxies struct {
	helpers
	keeper releaser
	owner  proxy.Owner
	// settle has what was asked of the keeper leave soon.
	settle func()
	log    *slog.Logger

	mu      sync.Mutex
	all     map[string]*configured          // guarded by mu; by name
	sockets map[address.Address]*heldSocket // guarded by mu; by place
	over    bool                            // guarded by mu; the services are being stopped
}

// configured is one proxy and why it does not run.
type configured struct {
	*config.Proxy
	err error
}

// heldSocket is a listening socket that the keeper has a copy of.
type heldSocket struct {
	*proxy.Listener
	kept string // the name that the keeper has for it
	of   string // the proxy that it is for; empty: none, any more or yet
}

// socketPrefix begins the names of listening sockets: then come the numbers of the
// file, and the address.
const socketPrefix = "xsocket/"

func newProxies(keeper releaser, owner proxy.Owner, log *slog.Logger) *proxies {
	return &proxies{
		keeper: keeper, owner: owner, log: log, settle: func() {},
		all: map[string]*configured{}, sockets: map[address.Address]*heldSocket{},
	}
}

// adoptSockets takes over what an earlier server has left with the keeper.
func (x *proxies) adoptSockets(kept map[string]*os.File) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name, f := range kept {
		rest, ok := strings.CutPrefix(name, socketPrefix)
		if !ok {
			continue
		}
		s, err := adoptSocket(rest, f)
		f.Close()
		if err != nil {
			x.log.Warn("a listening socket is lost", "socket", rest, "error", err)
			x.keeper.Release(name)
			continue
		}
		s.kept = name
		x.sockets[s.Address.Place()] = s
	}
}

func adoptSocket(rest string, f *os.File) (*heldSocket, error) {
	a, id, err := readPlace(rest)
	if err != nil {
		return nil, err
	}
	l, err := proxy.Adopt(f, a, id)
	if err != nil {
		return nil, err
	}
	return &heldSocket{Listener: l}, nil
}

// errOver refuses changes in a shutdown.
var errOver = errors.New("zinit is shutting down")

// set takes a proxy in, or another description of it. save makes that last; nothing
// has changed when it fails. That the process which is to carry the connections does
// not work is no error here: it is shown, and tried again.
func (x *proxies) set(p *config.Proxy, save func() error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return errOver
	}
	listeners, fresh, err := x.listenLocked(p)
	if err == nil {
		err = save()
	}
	if err != nil {
		for _, s := range fresh {
			x.closeSocket(s)
		}
		return err
	}
	for _, s := range fresh {
		x.keepLocked(s)
	}
	for i, l := range listeners {
		s := x.sockets[l.Address.Place()]
		s.of, s.Address = p.Name, p.Listen[i]
		if err := s.Own(x.owner); err != nil {
			x.log.Warn("a socket has another mode or owner than it should", "proxy", p.Name, "address", s.Address, "error", err)
		}
	}
	c := &configured{Proxy: p}
	x.all[p.Name] = c
	c.err = x.orderLocked(c)
	x.dropLocked(func(s *heldSocket) bool {
		return s.of == p.Name && !slices.ContainsFunc(p.Listen, func(a address.Address) bool { return a.Place() == s.Address.Place() })
	})
	x.settle()
	return nil
}

// listenLocked finds a socket for each address of a proxy; those that there were not
// are fresh.
func (x *proxies) listenLocked(p *config.Proxy) (all []*proxy.Listener, fresh []*heldSocket, err error) {
	for _, a := range p.Listen {
		if s := x.sockets[a.Place()]; s != nil {
			if s.of != "" && s.of != p.Name {
				return nil, fresh, fmt.Errorf("cannot listen on %s: the proxy %s does: choose another address, or delete that one first", a.Place(), s.of)
			}
			all = append(all, s.Listener)
			continue
		}
		l, err := proxy.Listen(a, x.owner)
		if err != nil {
			return nil, fresh, err
		}
		all, fresh = append(all, l), append(fresh, &heldSocket{Listener: l, of: p.Name})
	}
	return all, fresh, nil
}

// keepLocked hands a copy of a socket to the keeper.
func (x *proxies) keepLocked(s *heldSocket) {
	x.sockets[s.Address.Place()] = s
	s.kept = socketPrefix + placeName(s.Address, s.ID)
	f, err := s.File()
	if err == nil {
		err = x.keeper.Keep(s.kept, f)
		f.Close()
	}
	if err != nil {
		x.log.Warn("connections will be refused while another server takes over", "address", s.Address, "error", err)
	}
}

// dropLocked closes the sockets that are not needed any more.
func (x *proxies) dropLocked(unneeded func(*heldSocket) bool) {
	for place, s := range x.sockets {
		if unneeded(s) {
			delete(x.sockets, place)
			x.keeper.Release(s.kept)
			x.closeSocket(s)
		}
	}
}

func (x *proxies) closeSocket(s *heldSocket) {
	if err := s.Remove(); err != nil {
		x.log.Warn("a socket is left behind", "address", s.Address, "error", err)
	}
	s.Close()
}

// listenersLocked are those of a proxy, in the order of its addresses.
func (x *proxies) listenersLocked(p *config.Proxy) (list []*proxy.Listener) {
	for _, a := range p.Listen {
		if s := x.sockets[a.Place()]; s != nil {
			list = append(list, s.Listener)
		}
	}
	return list
}

// orderLocked has the process carry the connections of a proxy.
func (x *proxies) orderLocked(c *configured) error {
	if err := x.haveLocked(x.renewLocked); err != nil {
		return err
	}
	return x.now.client.Put(c.Proxy.Proxy, x.listenersLocked(c.Proxy))
}

// renewLocked tells a new process of all proxies.
func (x *proxies) renewLocked(h *helper) {
	for _, c := range x.all {
		listeners := x.listenersLocked(c.Proxy)
		if len(listeners) < len(c.Listen) {
			continue // it cannot listen, which was said
		}
		if c.err = h.client.Put(c.Proxy.Proxy, listeners); c.err != nil {
			x.log.Error("a proxy does not run", "proxy", c.Name, "error", c.err)
		}
	}
}

// remove takes a proxy out; its connections go on. unlink removes its file first.
func (x *proxies) remove(name string, unlink func(*config.Proxy) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.all[name]
	if c == nil {
		return errNoProxy
	}
	if err := unlink(c.Proxy); err != nil {
		return err
	}
	x.removeLocked(c)
	return nil
}

var errNoProxy = errors.New("there is no such proxy")

func (x *proxies) removeLocked(c *configured) {
	delete(x.all, c.Name)
	if x.now != nil {
		if err := x.now.client.Delete(c.Name); err != nil {
			x.log.Warn("a deleted proxy may still accept", "proxy", c.Name, "error", err)
		}
	}
	x.dropLocked(func(s *heldSocket) bool { return s.of == c.Name })
	if len(x.all) == 0 {
		x.retireLocked()
	}
	x.settle()
}

// sync has the proxies be those of the configuration. What is wrong with one is kept
// with it and logged.
func (x *proxies) sync(list []*config.Proxy) {
	wanted := map[string]bool{}
	for _, p := range list {
		wanted[p.Name] = true
	}
	x.mu.Lock()
	for _, c := range x.all {
		if !wanted[c.Name] {
			x.removeLocked(c)
			x.log.Info("proxy removed", "proxy", c.Name)
		}
	}
	x.mu.Unlock()
	for _, p := range list {
		x.mu.Lock()
		c := x.all[p.Name]
		same := c != nil && c.err == nil && reflect.DeepEqual(c.Proxy, p)
		x.mu.Unlock()
		if same {
			continue
		}
		if err := x.set(p, func() error { return nil }); err != nil {
			x.log.Error("a proxy does not run", "proxy", p.Name, "error", err)
			x.mu.Lock()
			if c == nil {
				x.all[p.Name] = &configured{Proxy: p}
			}
			x.all[p.Name].err = err
			x.mu.Unlock()
		}
	}
	x.mu.Lock()
	x.dropLocked(func(s *heldSocket) bool { return s.of == "" })
	x.disownLocked()
	x.mu.Unlock()
}

// disownLocked has the processes carry no other proxies: those that were taken over may
// have some that left the configuration while there was no server.
func (x *proxies) disownLocked() {
	if len(x.all) == 0 {
		x.retireLocked()
	}
	for _, o := range append(slices.Clone(x.old), x.now) {
		if o == nil || !strings.HasPrefix(o.kept, channelPrefix) {
			continue
		}
		list, err := o.client.Status()
		for _, s := range list {
			if x.all[s.Name] == nil {
				err = errors.Join(err, o.client.Delete(s.Name))
			}
		}
		if err != nil {
			x.log.Warn("a deleted proxy may still accept", "error", err)
		}
	}
}

// plan is what sync would do.
func (x *proxies) plan(list []*config.Proxy) (changes []sock.NamedText) {
	x.mu.Lock()
	defer x.mu.Unlock()
	gone := maps.Clone(x.all)
	for _, p := range list {
		switch c := x.all[p.Name]; {
		case c == nil:
			changes = append(changes, sock.NamedText{Name: p.Name, Text: sock.ProxyAdded})
		case !reflect.DeepEqual(c.Proxy, p):
			changes = append(changes, sock.NamedText{Name: p.Name, Text: sock.ProxyChanged})
		}
		delete(gone, p.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		changes = append(changes, sock.NamedText{Name: name, Text: sock.ProxyRemoved})
	}
	return changes
}

// list is all proxies, by name.
func (x *proxies) list() (all []configured) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(x.all)) {
		all = append(all, *x.all[name])
	}
	return all
}

// status is how they are, as far as the processes tell; err: the one that takes
// connections does not.
func (x *proxies) status() (map[string]proxy.Status, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.all) == 0 {
		return nil, nil
	}
	if x.now == nil {
		return nil, errors.New("the process that carries the connections does not run: it is tried again")
	}
	return x.statusLocked()
}

// needed reports that a connection waits for a service or uses it. Who asks to release
// it may be another process than that which has the connection, or one has come since.
func (x *proxies) needed(service string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.servingLocked(service) > 0
}

// stop has nobody be accepted any more: the services are being stopped.
func (x *proxies) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	x.over = true
	x.retireLocked()
	x.dropLocked(func(*heldSocket) bool { return true })
}

// heard is told by the loop what has become of processes.
func (x *proxies) heard(ev reap.Event) {
	key, run := "", uint64(0)
	switch e := ev.(type) {
	case reap.SpawnFailed:
		key, run = e.Key, e.Run
	case reap.Exited:
		key, run = e.Key, e.Run
	}
	if strings.HasPrefix(key, helperKey) {
		go x.gone(key, run)
	}
}

// gone takes in that a process has ended, and has another one take its place if there
// is something for it to do.
func (x *proxies) gone(key string, run uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if again := x.endedLocked(key, run); again && !x.over && len(x.all) > 0 {
		x.recoverLocked()
	}
}

// recoverLocked has a process take the place of one that has ended, and goes on trying.
func (x *proxies) recoverLocked() {
	x.againLocked(func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.over || len(x.all) == 0 {
			return
		}
		if err := x.haveLocked(x.renewLocked); err != nil {
			x.log.Error("no proxy runs", "error", err)
			x.failures++
			x.recoverLocked()
		}
		x.settle()
	})
}
