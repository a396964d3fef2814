package server

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"zinit/applets/server/ears"
	"zinit/proxy"
	"zinit/proxy/address"
	"zinit/supervise"
	"zinit/supervise/config"
)

// sockets are what services are given to listen on. They are opened here and held by
// the keeper, so that they outlive the runs of a service and every server.
type sockets struct {
	keeper releaser
	owner  proxy.Owner
	log    *slog.Logger
	// demand has a service up because somebody has come.
	demand demand

	mu   sync.Mutex
	of   map[string]*outfit // guarded by mu; by service
	over bool               // guarded by mu; the services are being stopped
}

// An outfit is the sockets of one service.
type outfit struct {
	calls
	held  []*heldFor
	names map[address.Address]string // by place
}

// heldFor is a socket that the keeper has a copy of.
type heldFor struct {
	*proxy.Held
	kept string // the name that the keeper has for it
}

// outfitPrefix begins the names of these sockets: then come the service, the numbers of
// the file, and the address.
const outfitPrefix = "socket/"

func newSockets(keeper releaser, owner proxy.Owner, log *slog.Logger) *sockets {
	return &sockets{keeper: keeper, owner: owner, log: log, of: map[string]*outfit{}}
}

// adopt takes over what an earlier server has left with the keeper.
func (x *sockets) adopt(kept map[string]*os.File) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name, f := range kept {
		rest, ok := strings.CutPrefix(name, outfitPrefix)
		if !ok {
			continue
		}
		service, h, err := adoptHeld(rest, f)
		if err != nil {
			x.log.Warn("a listening socket is lost", "socket", rest, "error", err)
			f.Close()
			x.keeper.Release(name)
			continue
		}
		o := x.outfitLocked(service)
		o.held = append(o.held, &heldFor{h, name})
	}
}

func adoptHeld(rest string, f *os.File) (service string, h *proxy.Held, err error) {
	service, rest, _ = strings.Cut(rest, "/")
	a, id, err := readPlace(rest)
	return service, &proxy.Held{Address: a, ID: id, File: f}, err
}

func (x *sockets) outfitLocked(service string) *outfit {
	o := x.of[service]
	if o == nil {
		o = &outfit{}
		x.of[service] = o
	}
	return o
}

// sync opens what services are to be given, and closes what none is given any more. A
// service that lives keeps what it has until its next start. What cannot be opened is
// tried again when the service is started.
func (x *sockets) sync(list []*config.Service, lives func(service string) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	wanted := map[string]*config.Service{}
	for _, s := range list {
		if len(s.Sockets) > 0 {
			wanted[s.Name] = s
		}
	}
	for service := range x.of {
		if !lives(service) {
			x.trimLocked(service, wanted[service])
		}
	}
	for _, s := range wanted {
		x.provideLocked(s)
	}
}

// provide is sync for one service.
func (x *sockets) provide(s *config.Service, lives bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return
	}
	if !lives {
		x.trimLocked(s.Name, s)
	}
	if len(s.Sockets) > 0 {
		x.provideLocked(s)
	}
}

func (x *sockets) provideLocked(s *config.Service) {
	if _, err := x.openLocked(s); err != nil {
		x.log.Error("it cannot be given its sockets yet", "service", s.Name, "error", err)
	}
	x.armLocked(s.Name)
}

// openLocked opens what of the sockets of a service is not there, and returns them in
// their order.
func (x *sockets) openLocked(s *config.Service) (list []*heldFor, err error) {
	backlogs, names := s.Backlogs(), s.SocketNames()
	o := x.outfitLocked(s.Name)
	o.names = maps.Clone(o.names) // who reads the old one goes on
	if o.names == nil {
		o.names = map[address.Address]string{}
	}
	for i, a := range s.Listens() {
		o.names[a.Place()] = names[i]
		h, err := x.findLocked(s.Name, a)
		if err != nil {
			return nil, err
		}
		if h == nil {
			fresh, err := proxy.Hold(a, backlogs[i], x.owner)
			if err != nil {
				return nil, err
			}
			h = x.keepLocked(s.Name, fresh)
		} else if h.Address != a {
			h.Address = a
			if err := h.Own(x.owner); err != nil {
				x.log.Warn("a socket has another mode or owner than it should", "service", s.Name, "address", a, "error", err)
			}
		}
		list = append(list, h)
	}
	return list, nil
}

// findLocked is the socket of a service at a place, nil if there is none; that of
// another service is an error.
func (x *sockets) findLocked(service string, a address.Address) (*heldFor, error) {
	for other, o := range x.of {
		for _, h := range o.held {
			switch {
			case h.Address.Place() != a.Place():
			case other == service:
				return h, nil
			default:
				return nil, fmt.Errorf("cannot listen on %s: the service %s is given it: choose another address, or stop that one", a.Place(), other)
			}
		}
	}
	return nil, nil
}

// keepLocked hands a copy of a socket to the keeper.
func (x *sockets) keepLocked(service string, fresh *proxy.Held) *heldFor {
	h := &heldFor{fresh, outfitPrefix + service + "/" + placeName(fresh.Address, fresh.ID)}
	o := x.outfitLocked(service)
	o.held = append(o.held, h)
	if err := x.keeper.Keep(h.kept, h.File); err != nil {
		x.log.Warn("connections will be refused while another server takes over", "service", service, "address", h.Address, "error", err)
	}
	return h
}

// trimLocked closes what a service is not given any more; s nil: all.
func (x *sockets) trimLocked(service string, s *config.Service) {
	o := x.of[service]
	if o == nil {
		return
	}
	var places []address.Address
	if s != nil {
		places = s.Listens()
	}
	o.held = slices.DeleteFunc(o.held, func(h *heldFor) bool {
		if slices.ContainsFunc(places, func(a address.Address) bool { return a.Place() == h.Address.Place() }) {
			return false
		}
		x.keeper.Release(h.kept)
		if x.demand.sentry != nil {
			x.demand.sentry.Forget(h.Held)
		}
		if err := h.Remove(); err != nil {
			x.log.Warn("a socket is left behind", "address", h.Address, "error", err)
		}
		h.Close()
		return true
	})
	if len(o.held) == 0 {
		o.end()
		delete(x.of, service)
	}
}

// give is what a run of a service is given: copies of its sockets, and what tells it
// of them.
func (x *sockets) give(s *config.Service) (v supervise.Voice, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.trimLocked(s.Name, s)
	list, err := x.openLocked(s)
	if err != nil {
		return v, err
	}
	if s.Accepts() {
		x.armLocked(s.Name)
		return v, nil // who comes is given to it one by one
	}
	for _, h := range list {
		f, err := h.Copy()
		if err != nil {
			closeFiles(v.Files)
			return supervise.Voice{}, err
		}
		v.Files = append(v.Files, f)
	}
	v.Env = []string{
		"LISTEN_FDS=" + strconv.Itoa(len(list)),
		"LISTEN_FDNAMES=" + strings.Join(s.SocketNames(), ":"),
	}
	return v, nil
}

// forget closes the sockets of a service that is no more.
func (x *sockets) forget(service string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.trimLocked(service, nil)
}

// stop closes all: the services are being stopped.
func (x *sockets) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	for service := range x.of {
		x.trimLocked(service, nil)
	}
}

// voices are ears that also give services their sockets, which come first among the
// descriptors.
type voices struct {
	*ears.Ears
	sockets *sockets
}

// Open implements supervise.Ears.
func (v voices) Open(s *config.Service, run uint64) (all supervise.Voice, err error) {
	if len(s.Sockets) > 0 {
		if all, err = v.sockets.give(s); err != nil {
			return all, err
		}
	}
	if s.Type != config.TypeNotify && s.NotifyFD == 0 {
		return all, nil
	}
	more, err := v.Ears.Open(s, run)
	if err != nil {
		closeFiles(all.Files)
		return supervise.Voice{}, err
	}
	all.Env = append(all.Env, more.Env...)
	all.Files = append(all.Files, more.Files...)
	return all, nil
}

// Close implements supervise.Ears.
func (v voices) Close(service string) {
	v.sockets.forget(service)
	v.Ears.Close(service)
}

// closeFiles closes what was opened in vain.
func closeFiles(list []*os.File) {
	for _, f := range list {
		f.Close()
	}
}
