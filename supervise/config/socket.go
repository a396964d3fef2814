package config

import (
	"net/netip"
	"strconv"
	"strings"

	"zinit/proxy/address"
)

// Socket is the [socket] table: what is listened on for a service, which gets the
// sockets when it is started.
type Socket struct {
	Listen []address.Address // as written, in the order in which it gets them
	Names  []string          // none: the service's for all; one: for all; else one for each
	// Mode, User and Group are those of the files of addresses that do not say
	// themselves; 0 and empty: not given.
	Mode        uint32
	User, Group string
	Backlog     int // connections that wait to be accepted; 0: as many as the kernel allows
}

const (
	// maxSockets leaves room for a notify_fd among the descriptors of a process.
	maxSockets = 32
	maxBacklog = 65535
)

// Addresses are what is listened on, each with what its file is made with.
func (s *Socket) Addresses() []address.Address {
	list := append([]address.Address{}, s.Listen...)
	for i := range list {
		a := &list[i]
		if a.File() == "" {
			continue
		}
		if a.Mode == 0 {
			a.Mode = s.Mode
		}
		if a.User == "" {
			a.User = s.User
		}
		if a.Group == "" {
			a.Group = s.Group
		}
	}
	return list
}

// NamesFor are the names of the sockets, one for each, of a service.
func (s *Socket) NamesFor(service string) []string {
	names := make([]string, len(s.Listen))
	for i := range names {
		switch len(s.Names) {
		case 0:
			names[i] = service
		case 1:
			names[i] = s.Names[0]
		default:
			names[i] = s.Names[i]
		}
	}
	return names
}

var socketKeys = [...]key{
	{name: "listen", kind: kindLines, ours: true, required: true, set: setListen, get: func(s *Service) any {
		var list []string
		for _, a := range s.Socket.Listen {
			list = append(list, a.String())
		}
		return list
	}},
	{name: "name", kind: kindLines, ours: true, set: setSocketNames,
		get: func(s *Service) any { return s.Socket.Names }},
	{name: "mode", kind: kindText, ours: true, set: setSocketMode, get: func(s *Service) any {
		if s.Socket.Mode == 0 {
			return nil
		}
		return octal(s.Socket.Mode)
	}},
	{name: "user", kind: kindAccount, ours: true,
		set: func(s *Service, v value) { s.Socket.User, _ = v.account() },
		get: func(s *Service) any { return optional(s.Socket.User) }},
	{name: "group", kind: kindAccount, ours: true,
		set: func(s *Service, v value) { s.Socket.Group, _ = v.account() },
		get: func(s *Service) any { return optional(s.Socket.Group) }},
	{name: "backlog", kind: kindInteger, ours: true,
		set: func(s *Service, v value) {
			n, _ := v.integer(1, maxBacklog)
			s.Socket.Backlog = int(n)
		},
		get: func(s *Service) any { return orUnset(int64(s.Socket.Backlog)) }},
}

// setListen takes socket.listen.
func setListen(s *Service, v value) {
	for _, e := range v.lines() {
		a, ok := e.address()
		switch {
		case !ok:
		case a.Host != "" && !isAddress(a.Host):
			e.fail("%s has a name, which would have to be looked up before there is a network: write the address, such as %s:127.0.0.1:%d", a, a.Network, a.Port)
		case holds(s.Socket.Listen, a):
			e.fail("%s is there twice: remove one", a.Place())
		case len(s.Socket.Listen) == maxSockets:
			e.fail("has more than %d addresses: a service can be given so many", maxSockets)
			return
		default:
			s.Socket.Listen = append(s.Socket.Listen, a)
		}
	}
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func holds(list []address.Address, a address.Address) bool {
	for _, b := range list {
		if a.Place() == b.Place() {
			return true
		}
	}
	return false
}

// setSocketNames takes socket.name.
func setSocketNames(s *Service, v value) {
	for _, e := range v.lines() {
		name := e.entry.value.(string)
		if name == "" || len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }) {
			e.fail("%s cannot be the name of a socket: write 1 to 255 letters, without blanks and colons", quoted(name))
			continue
		}
		s.Socket.Names = append(s.Socket.Names, name)
	}
}

// setSocketMode takes socket.mode.
func setSocketMode(s *Service, v value) {
	text, ok := v.entry.value.(string)
	n, err := strconv.ParseUint(text, 8, 32)
	if !ok || err != nil || n == 0 || n > 0o777 {
		v.fail("must be octal digits in quotes up to \"0777\", not %s: write mode = \"0660\"", describe(v.entry.value))
		return
	}
	s.Socket.Mode = uint32(n)
}

// octal is a mode in at least four digits.
func octal(n uint32) string {
	text := strconv.FormatUint(uint64(n), 8)
	return strings.Repeat("0", max(0, 4-len(text))) + text
}

// socket looks at what cannot be in [socket].
func (f *file) socket(s *Service) {
	t := s.Socket
	if t == nil {
		return
	}
	if f.lines["socket.listen"] == 0 || len(t.Listen) == 0 && !f.failed {
		f.report(Error, f.lines["socket"], "socket.listen", "missing field `listen`: write listen = \"tcp:HOST:PORT\" or \"unix:/PATH\"")
	}
	if n := len(t.Names); n > 1 && n != len(t.Listen) && !f.failed {
		f.report(Error, f.lines["socket.name"], "socket.name", "has %d names for %d addresses: write one for all, or one for each", n, len(t.Listen))
	}
	if first := minNotifyFD + len(t.Listen); s.NotifyFD > 0 && s.NotifyFD < first {
		f.report(Error, f.lines["service.notify_fd"], "service.notify_fd", "%d is a socket's: write %d or more", s.NotifyFD, first)
	}
	for _, a := range t.Listen {
		if !a.Stream() && t.Backlog > 0 && len(t.Listen) == 1 {
			f.report(Warning, f.lines["socket.backlog"], "socket.backlog", "has no effect: nobody connects to %s, remove it", a.Place())
		}
	}
}
