package supervise

import (
	"cmp"
	"errors"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"zinit/reap"
	"zinit/supervise/machine"
)

// ConnSuffix and a number, the least that is free, make the key of the process for a
// connection from its service's name: the keeper remembers keys for ever.
const ConnSuffix = "/conn"

// connRuns is added to the run numbers of such processes where those of the service are
// meant, as hookRuns is.
const connRuns = 1 << 61

// A Caller is a connection to a service that is given each of them.
type Caller struct {
	File *os.File // closed by who is given it
	Env  []string
	Peer string // who it is, for people; may be empty
}

// A Connection is the process that a service has for a connection.
type Connection struct {
	Peer  string
	Pid   int    // 0: not known yet
	Start uint64 // of Pid, see View.Start
	Since time.Time
}

// attending is the processes that a service has for its connections.
type attending struct {
	list  []*conn  // as they came
	last  uint64   // highest run number of all their keys
	total uint64   // connections that it was given since it was configured
	ended []uint64 // runs that Memory is to forget
}

// conn is the process for one connection, as it is written down, too.
type conn struct {
	Slot  int    `json:"slot"`
	Run   uint64 `json:"run"`
	Pid   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"`
	Peer  string `json:"peer,omitempty"`
	Since int64  `json:"since_ms"`

	written bool // Memory has it like this
}

// Attend starts a process of a service for the connection that accept returns, which has
// it as its standard input and output and as its descriptor 3. It accepts only while the
// service is up and has room, in a turn of the loop: nobody is accepted who cannot be
// given to it. So accept must not block; its errors are returned as they are. Others are
// ErrNotGiven and ErrFull, and a *Refusal when the service is not up.
func (s *Supervisor) Attend(name string, accept func() (Caller, error)) error {
	return s.try(func(c *core) error { return c.attend(name, accept) })
}

var (
	// ErrNotGiven says that a service accepts for itself.
	ErrNotGiven = errors.New("it is not given connections")
	// ErrFull says that a service has as many connections as it may have.
	ErrFull = errors.New("it has as many connections as it may have")
)

func (c *core) attend(name string, accept func() (Caller, error)) error {
	r, err := c.find(name)
	if err != nil {
		return err
	}
	_, running := r.m.State.(machine.Running)
	switch {
	case !r.m.Rules.Attends:
		return ErrNotGiven
	case !running || r.ran == nil || c.alone:
		return refuse(NotRunning, name, "%s: it is %s, and takes no connections: start it", name, r.m.State)
	case len(r.conns.list) >= r.ran.MaxConnections():
		return ErrFull
	}
	caller, err := accept()
	if err != nil {
		return err
	}
	defer caller.File.Close()
	one := &conn{Slot: r.conns.slot(), Run: r.conns.last + 1, Peer: caller.Peer, Since: time.Now().UnixMilli()}
	o := r.order(one.key(r), one.Run, r.ran.Command)
	o.Service = r.ran
	if o.Stdout, o.Stderr, err = c.guestPipes(r, connRuns+one.Run); err != nil {
		return refuse(Unusable, name, "%s: cannot start a process for a connection: %v", name, err)
	}
	o.Files, o.Env, o.Inetd = []*os.File{caller.File}, caller.Env, r.ran.Stdin == ""
	c.Keeper.Spawn(o)
	r.conns.last = one.Run
	r.conns.total++
	r.conns.list = append(r.conns.list, one)
	c.touch(r)
	c.unsaved(r)
	c.step(r, machine.Attended{Run: r.m.Run()})
	c.settle()
	return nil
}

func (one *conn) key(r *record) string { return r.name + ConnSuffix + strconv.Itoa(one.Slot) }

// connOf splits the key of a process for a connection.
func connOf(key string) (service string, slot int, ok bool) {
	service, number, ok := strings.Cut(key, ConnSuffix)
	if !ok {
		return "", 0, false
	}
	slot, err := strconv.Atoi(number)
	return service, slot, err == nil
}

// slot is the least that is free.
func (a *attending) slot() int {
	taken := make([]bool, len(a.list)+1)
	for _, one := range a.list {
		if one.Slot < len(taken) {
			taken[one.Slot] = true
		}
	}
	slot := 0
	for taken[slot] {
		slot++
	}
	return slot
}

// find is the place of a process in the list; -1: it is not there.
func (a *attending) find(run uint64) int {
	for at, one := range a.list {
		if one.Run == run {
			return at
		}
	}
	return -1
}

// connEvent takes in what the keeper says about a process for a connection.
func (c *core) connEvent(service string, ev reap.Event) {
	r := c.byName[service]
	switch e := ev.(type) {
	case reap.Spawned:
		c.Logs.Start(service, connRuns+e.Run)
		if r == nil {
			return
		}
		if at := r.conns.find(e.Run); at >= 0 {
			one := r.conns.list[at]
			one.Pid, one.Start, one.written = e.Pid, e.Start, false
			c.touch(r)
			c.unsaved(r)
		}
	case reap.SpawnFailed:
		c.Logs.Discard(service, connRuns+e.Run)
		if r != nil {
			c.hungUp(r, e.Run, "not started: "+SpawnError(r.cfg.Command, e))
		}
	case reap.Exited:
		c.endLog(service, connRuns+e.Run)
		if e.Lingers && (r == nil || r.m.Rules.KillScope != machine.Main) {
			c.Keeper.Signal(e.Key, e.Run, syscall.SIGKILL, reap.ScopeGroup)
		}
		c.Keeper.Ack(e.Key, e.Run)
		if r == nil {
			return
		}
		failed := ""
		if o := outcomeOf(e); !o.Success() && !r.m.Rules.Succeeds.Has(o) {
			failed = e.Status.String()
		}
		c.hungUp(r, e.Run, failed)
	}
}

// hungUp forgets a process that has ended; failed is why it should not have, or empty.
func (c *core) hungUp(r *record, run uint64, failed string) {
	at := r.conns.find(run)
	if at < 0 {
		return
	}
	if _, stopping := r.m.State.(machine.Stopping); failed != "" && !stopping {
		text := "connection of " + cmp.Or(r.conns.list[at].Peer, "somebody") + ": " + failed
		c.later(func() { c.Logs.Append(r.name, text) })
	}
	r.conns.list = append(r.conns.list[:at:at], r.conns.list[at+1:]...)
	if c.Memory != nil {
		r.conns.ended = append(r.conns.ended, run)
	}
	c.touch(r)
	c.unsaved(r)
	if len(r.conns.list) == 0 {
		c.step(r, machine.GroupGone{Run: r.m.Run()})
		c.settle()
	}
}

// signalConns is a signal to a run for those who are its processes.
func (c *core) signalConns(r *record, sig syscall.Signal, scope machine.Scope) {
	for _, one := range r.conns.list {
		c.Keeper.Signal(one.key(r), one.Run, sig, reap.Scope(min(scope, machine.Group)))
	}
}

// adoptConns takes over the processes for connections that an earlier server started, by
// service. Those of services that have no use for them are ended.
func (c *core) adoptConns(inv reap.Inventory) {
	for key, run := range inv.Runs {
		if service, _, ok := connOf(key); ok && c.byName[service] != nil {
			r := c.byName[service]
			r.conns.last = max(r.conns.last, run)
		}
	}
	for _, e := range inv.Exits {
		if service, _, ok := connOf(e.Key); ok {
			c.endLog(service, connRuns+e.Run)
			c.Keeper.Ack(e.Key, e.Run)
		}
	}
	alive := map[string][]*conn{}
	for _, ch := range inv.Children {
		service, slot, ok := connOf(ch.Key)
		if !ok {
			continue
		}
		r := c.byName[service]
		if r != nil && ch.MainGone && r.m.Rules.KillScope == machine.Main {
			continue // it is left alone
		}
		if r == nil || ch.MainGone || !r.m.Rules.Attends {
			c.Keeper.Signal(ch.Key, ch.Run, syscall.SIGKILL, reap.ScopeGroup)
			continue
		}
		one := &conn{Slot: slot, Run: ch.Run, Pid: ch.Pid, Start: ch.Start, Since: c.now.UnixMilli()}
		if !ch.Started.IsZero() {
			one.Since = ch.Started.UnixMilli()
		}
		if at := r.conns.find(ch.Run); at >= 0 {
			was := r.conns.list[at]
			one.Peer, one.Since = was.Peer, cmp.Or(was.Since, one.Since) // 0: its record was damaged
		}
		alive[service] = append(alive[service], one)
	}
	for _, r := range c.order {
		if r.conns.list = alive[r.name]; r.conns.list == nil {
			continue
		}
		sort.Slice(r.conns.list, func(a, b int) bool { return r.conns.list[a].Run < r.conns.list[b].Run })
		st, starting := r.m.State.(machine.Starting)
		c.spawnedUnseen(r, st, starting)
		if !r.m.Active() { // nothing was written down, but it must have been up
			r.ran = r.cfg
			c.step(r, machine.Adopted{Run: r.m.Last + 1})
		}
		switch st, stopping := r.m.State.(machine.Stopping); {
		case !stopping || st.Hook != machine.NoHook: // it is not told yet
		case st.Kills > 0:
			c.signalConns(r, syscall.SIGKILL, r.m.Rules.KillScope)
		default:
			stop := r.m.StopOrder()
			c.signalConns(r, stop.Sig, stop.Scope)
		}
		c.touch(r)
		c.unsaved(r)
	}
	c.settleConns()
}

// connections is what can be seen of them.
func (r *record) connections() (list []Connection) {
	for _, one := range r.conns.list {
		list = append(list, Connection{one.Peer, one.Pid, one.Start, time.UnixMilli(one.Since)})
	}
	return list
}
