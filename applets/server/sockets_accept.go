package server

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"zinit/proxy/address"
	"zinit/reap"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
)

// connKey is in the keys of processes for connections: then comes a number.
const connKey = supervise.ConnSuffix

// after says when who comes next is looked at.
type after uint8

const (
	afterIt    after = iota // when something of the service has ended
	afterPause              // they come too fast
	atOnce
)

// take gives a service that is up those who wait, if it is one that is given connections,
// as many as there is room for; the others wait.
func (x *sockets) take(service string, o *outfit) (more after, err error) {
	x.mu.Lock()
	held, names := slices.Clone(o.held), o.names
	x.mu.Unlock()
	for _, h := range held {
		for err == nil {
			if x.hasty(o) {
				return afterPause, nil
			}
			err = x.demand.up.Attend(service, func() (c supervise.Caller, err error) {
				conn, from, err := accept(h)
				if err != nil {
					return c, err
				}
				return introduced(conn, from, names[h.Address.Place()]), nil
			})
			if err == nil {
				x.count(o)
			}
		}
		var refused *supervise.Refusal
		switch {
		case errors.Is(err, syscall.EAGAIN) || errors.Is(err, os.ErrClosed):
			err = nil // nobody is there any more
		case errors.Is(err, supervise.ErrNotGiven):
			x.count(o)
			return afterIt, nil
		case errors.Is(err, supervise.ErrFull):
			return afterIt, nil
		case errors.As(err, &refused) && refused.Code == supervise.NotRunning:
			x.count(o)
			return atOnce, nil // it went down in this moment: who waits has it come up again
		default:
			return afterIt, err
		}
	}
	return atOnce, nil
}

// hasty reports that there were too many connections in a short time, or that the
// process for one could not be started just now.
func (x *sockets) hasty(o *outfit) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return o.pause != nil || o.starts >= takesAtOnce && time.Since(o.since) < startsWithin
}

// count counts a start, or a connection.
func (x *sockets) count(o *outfit) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if now := time.Now(); now.Sub(o.since) > startsWithin {
		o.since, o.starts = now, 0
	}
	o.starts++
}

// hungUpLocked is told that the process for a connection has ended: there is room for
// another one.
func (x *sockets) hungUpLocked(service string, ev reap.Event) {
	o := x.of[service]
	if o == nil {
		return
	}
	switch ev.(type) {
	case reap.SpawnFailed:
		x.failedLocked(service, o)
	case reap.Exited:
		o.failures = 0
		x.armLocked(service)
	}
}

// accept takes the next one who waits; EAGAIN: there is nobody, os.ErrClosed: the socket
// is no more.
func accept(h *heldFor) (conn *os.File, from syscall.Sockaddr, err error) {
	raw, err := h.File.SyscallConn()
	if err != nil {
		return nil, nil, os.ErrClosed
	}
	ctlErr := raw.Control(func(fd uintptr) {
		// A run that was given the socket itself may have left it to block.
		if err = syscall.SetNonblock(int(fd), true); err != nil {
			return
		}
		for {
			n := -1
			n, from, err = syscall.Accept4(int(fd), syscall.SOCK_CLOEXEC)
			switch {
			case err == nil:
				conn = os.NewFile(uintptr(n), h.Address.String())
			case err == syscall.EINTR || err == syscall.ECONNABORTED:
				continue
			}
			return
		}
	})
	if ctlErr != nil { // the only reason
		return nil, nil, os.ErrClosed
	}
	if err != nil && err != syscall.EAGAIN {
		err = fmt.Errorf("cannot accept on %s: %w", h.Address, err)
	}
	return conn, from, err
}

// introduced says who has come, in the variables of systemd.
func introduced(conn *os.File, from syscall.Sockaddr, name string) supervise.Caller {
	c := supervise.Caller{File: conn, Env: []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=" + cmp.Or(name, "connection")}}
	var at netip.AddrPort
	switch a := from.(type) {
	case *syscall.SockaddrInet4:
		at = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		at = netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	default:
		c.Peer = peerOf(conn)
		return c
	}
	c.Peer = at.String()
	c.Env = append(c.Env, "REMOTE_ADDR="+at.Addr().String(), "REMOTE_PORT="+strconv.Itoa(int(at.Port())))
	return c
}

// peerOf is who is at the other end of a unix socket; empty: nobody knows.
func peerOf(conn *os.File) (who string) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return ""
	}
	_ = raw.Control(func(fd uintptr) {
		if ucred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			who = fmt.Sprintf("pid %d, user %d", ucred.Pid, ucred.Uid)
		}
	})
	return who
}

// plan is what a configuration changes about the sockets of its services, or of only
// one; gone are services that it has no more.
func (x *sockets) plan(list []*config.Service, only string, gone []string) (changes []sock.NamedText) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range list {
		if only == "" || only == s.Name {
			changes = x.planLocked(changes, s.Name, s.Listens())
		}
	}
	for _, name := range gone {
		changes = x.planLocked(changes, name, nil)
	}
	return changes
}

func (x *sockets) planLocked(changes []sock.NamedText, service string, wanted []address.Address) []sock.NamedText {
	var words []string
	left := map[address.Address]bool{}
	if o := x.of[service]; o != nil {
		for _, h := range o.held {
			left[h.Address.Place()] = true
		}
	}
	for _, a := range wanted {
		if place := a.Place(); left[place] {
			delete(left, place)
		} else {
			words = append(words, "opens "+place.String())
		}
	}
	opened := len(words)
	for place := range left {
		words = append(words, "closes "+place.String())
	}
	if len(words) == 0 {
		return changes
	}
	slices.Sort(words[opened:])
	return append(changes, sock.NamedText{Name: service, Text: strings.Join(words, ", ")})
}

// list is what is open for a service.
func (x *sockets) list(service string) (open []sock.GivenSocket) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if o := x.of[service]; o != nil {
		for _, h := range o.held {
			open = append(open, sock.GivenSocket{Address: h.Address.String(), Name: o.names[h.Address.Place()]})
		}
	}
	return open
}
