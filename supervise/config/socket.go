package config

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"

	"zinit/proxy/address"
)

// Socket is a [socket] table: what is listened on for a service, which gets the
// sockets when it is started.
type Socket struct {
	Listen []address.Address // as written, in the order in which it gets them
	Names  []string          // none: see Service.SocketNames; one: for all; else one for each
	// Mode, User and Group are those of the files of addresses that do not say
	// themselves; 0 and empty: not given.
	Mode        uint32
	User, Group string
	Backlog     int // connections that wait to be accepted; 0: as many as the kernel allows
	// Accept has a process be started for each connection, which gets that instead of
	// the socket.
	Accept         bool
	MaxConnections int // see Service.MaxConnections; 0: not given
}

const (
	// maxSockets leaves room for a notify_fd among the descriptors of a process.
	maxSockets = 32
	maxBacklog = 65535
	// Each connection that is accepted is a process, and is written down.
	defaultConnections, maxConnections = 64, 4096
)

// Listens is what is listened on for a service, in the order in which it gets it, each
// address with what its file is made with.
func (s *Service) Listens() (list []address.Address) {
	for _, t := range s.Sockets {
		for _, a := range t.Listen {
			if a.File() != "" {
				a.Mode, a.User, a.Group = cmp.Or(a.Mode, t.Mode), cmp.Or(a.User, t.User), cmp.Or(a.Group, t.Group)
			}
			list = append(list, a)
		}
	}
	return list
}

// Backlogs are the backlogs of the sockets of a service, one for each.
func (s *Service) Backlogs() (list []int) {
	for _, t := range s.Sockets {
		for range t.Listen {
			list = append(list, t.Backlog)
		}
	}
	return list
}

// SocketNames are the names of the sockets of a service, one for each. Those without
// are named after the service; connections as systemd does it.
func (s *Service) SocketNames() (names []string) {
	for _, t := range s.Sockets {
		for i := range t.Listen {
			switch {
			case len(t.Names) > 1:
				names = append(names, t.Names[i])
			case len(t.Names) == 1:
				names = append(names, t.Names[0])
			case t.Accept:
				names = append(names, "connection")
			default:
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// Accepts reports a service that is started anew for each connection.
func (s *Service) Accepts() bool { return len(s.Sockets) > 0 && s.Sockets[0].Accept }

// MaxConnections is how many processes for connections there are at a time.
func (s *Service) MaxConnections() int {
	for _, t := range s.Sockets {
		if t.MaxConnections > 0 {
			return t.MaxConnections
		}
	}
	return defaultConnections
}

// socketKeys speak of the last table of a service: the one that is being read, or the
// only one of what is being written.
var socketKeys = [...]key{
	{name: "listen", kind: kindLines, ours: true, required: true, set: setListen, get: func(s *Service) any {
		var list []string
		for _, a := range s.socket().Listen {
			list = append(list, a.String())
		}
		return list
	}},
	{name: "name", kind: kindLines, ours: true, set: setSocketNames,
		get: func(s *Service) any { return s.socket().Names }},
	{name: "mode", kind: kindText, ours: true, set: setSocketMode, get: func(s *Service) any {
		if s.socket().Mode == 0 {
			return nil
		}
		return octal(s.socket().Mode)
	}},
	{name: "user", kind: kindAccount, ours: true,
		set: func(s *Service, v value) { s.socket().User, _ = v.account() },
		get: func(s *Service) any { return optional(s.socket().User) }},
	{name: "group", kind: kindAccount, ours: true,
		set: func(s *Service, v value) { s.socket().Group, _ = v.account() },
		get: func(s *Service) any { return optional(s.socket().Group) }},
	{name: "backlog", kind: kindInteger, ours: true,
		set: func(s *Service, v value) {
			n, _ := v.integer(1, maxBacklog)
			s.socket().Backlog = int(n)
		},
		get: func(s *Service) any { return orUnset(int64(s.socket().Backlog)) }},
	{name: "accept", kind: kindFlag, ours: true,
		set: func(s *Service, v value) { s.socket().Accept, _ = v.flag() },
		get: func(s *Service) any { return s.socket().Accept }},
	{name: "max_connections", kind: kindInteger, ours: true,
		set: func(s *Service, v value) {
			n, _ := v.integer(1, maxConnections)
			s.socket().MaxConnections = int(n)
		},
		get: func(s *Service) any { return orUnset(int64(s.socket().MaxConnections)) }},
}

// socket is the last table.
func (s *Service) socket() *Socket { return &s.Sockets[len(s.Sockets)-1] }

// tableByTable is s with one socket table at a time, as the keys want it; s itself
// where the section has no more than one.
func (sec *section) tableByTable(s *Service) []*Service {
	if sec.name != "socket" {
		return []*Service{s}
	}
	parts := make([]*Service, len(s.Sockets))
	for i := range parts {
		one := *s
		one.Sockets = s.Sockets[i : i+1]
		parts[i] = &one
	}
	return parts
}

// sockets reads the tables of sockets.
func (f *file) sockets(s *Service, sec *section, tables []*tomlTable) {
	for _, t := range tables {
		for _, k := range sec.keys {
			delete(f.lines, "socket."+k.name) // of the table before
		}
		s.Sockets = append(s.Sockets, Socket{})
		f.lines["socket"] = t.line
		f.section(s, sec, t)
		f.socket(s.socket())
	}
	f.lines["socket"] = tables[0].line
}

// setListen takes socket.listen.
func setListen(s *Service, v value) {
	for _, e := range v.lines() {
		a, ok := e.address()
		switch {
		case !ok:
		case a.Host != "" && !isAddress(a.Host):
			e.fail("%s has a name, which would have to be looked up before there is a network: write the address, such as %s:127.0.0.1:%d", a, a.Network, a.Port)
		case holds(s.Listens(), a):
			e.fail("%s is there twice: remove one", a.Place())
		case len(s.Listens()) == maxSockets:
			e.fail("has more than %d addresses: a service can be given so many", maxSockets)
			return
		default:
			s.socket().Listen = append(s.socket().Listen, a)
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
		s.socket().Names = append(s.socket().Names, name)
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
	s.socket().Mode = uint32(n)
}

// octal is a mode in at least four digits.
func octal(n uint32) string {
	text := strconv.FormatUint(uint64(n), 8)
	return strings.Repeat("0", max(0, 4-len(text))) + text
}

// socket looks at what cannot be in a table.
func (f *file) socket(t *Socket) {
	if f.lines["socket.listen"] == 0 || len(t.Listen) == 0 && !f.failed {
		f.report(Error, f.lines["socket"], "socket.listen", "missing field `listen`: write listen = \"tcp:HOST:PORT\" or \"unix:/PATH\"")
	}
	if n := len(t.Names); n > 1 && n != len(t.Listen) && !f.failed {
		f.report(Error, f.lines["socket.name"], "socket.name", "has %d names for %d addresses: write one for all, or one for each", n, len(t.Listen))
	}
	if t.MaxConnections > 0 && !t.Accept {
		f.report(Warning, f.lines["socket.max_connections"], "socket.max_connections", "has no effect without accept = true: the service accepts for itself, remove it")
	}
	for _, a := range t.Listen {
		switch {
		case a.Stream():
		case t.Accept:
			f.report(Error, f.lines["socket.accept"], "socket.accept", "is for connections, and nobody connects to %s: give that a [[socket]] of another service, or remove accept", a.Place())
		case t.Backlog > 0 && len(t.Listen) == 1:
			f.report(Warning, f.lines["socket.backlog"], "socket.backlog", "has no effect: nobody connects to %s, remove it", a.Place())
		}
	}
}

// socketTables looks at what cannot be among the tables, or beside them.
func (f *file) socketTables(s *Service) {
	if first := minNotifyFD + len(s.Listens()); len(s.Sockets) > 0 && s.NotifyFD > 0 && s.NotifyFD < first {
		f.report(Error, f.lines["service.notify_fd"], "service.notify_fd", "%d is a socket's: write %d or more", s.NotifyFD, first)
	}
	line, most := f.lines["socket"], 0
	for _, t := range s.Sockets {
		if t.Accept != s.Accepts() {
			f.report(Error, line, "socket.accept", "is true in some tables only: write it in all of them, or give the others a service of their own")
			return
		}
		if most > 0 && t.MaxConnections > 0 && t.MaxConnections != most {
			f.report(Error, line, "socket.max_connections", "is %d and %d: it is for all connections of the service together, write it once", most, t.MaxConnections)
		}
		most = max(most, t.MaxConnections)
	}
	if !s.Accepts() {
		return
	}
	against := ""
	switch {
	case s.Type != TypeSimple:
		against = "type = " + inQuotes(typeWords[s.Type])
	case s.NotifyFD > 0:
		against = "notify_fd"
	case s.Health != nil:
		against = "[health]"
	case s.TTY != "":
		against = "tty"
	}
	if against != "" {
		f.report(Error, line, "socket.accept", "starts a process for each connection, and %s is for one that stays: remove one of them", against)
	}
}
