package supervise

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// A Memory keeps records for the server that takes over: after a Commit whatever
// was put is there for it, even if this process is killed at the next instruction.
// No method waits for a disk. *state.Store is one.
type Memory interface {
	Records(func(key string, value []byte))
	Put(key string, value []byte) error
	Delete(key string)
	Commit() error
}

// The keys of the records: how a service is, what its run was started with, and each of
// its connections.
const (
	stateKey = "state/"
	ranKey   = "ran/"
	connKey  = "conn/"
)

// A recollection is what is written down of a service with every change. Names
// never change their meaning; those of another version are kept as they are.
type recollection struct {
	Version int          `json:"v"` // the highest recollectionVersion that has a part in it
	Machine machine.Memo `json:"machine"`
	Wish    wish         `json:"wish,omitempty"`
	SinceMs int64        `json:"since_ms,omitempty"` // Unix milliseconds
	// Told is the run that has got its stop signal: it needs no second one.
	Told uint64 `json:"told,omitempty"`
	// Pid and Start are those of the main process, to know it when its keeper is
	// gone too.
	Pid   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"`
	// Ran names the configuration that its last run was started with.
	Ran string `json:"ran,omitempty"`
	// Hook is the hook that is under way; First and Status are those of the record.
	Hook   *hookMemo `json:"hook,omitempty"`
	First  int       `json:"first,omitempty"`
	Status string    `json:"status,omitempty"`
	// Doubt is until when its main process may be another one.
	Doubt int64 `json:"doubt,omitempty"`
	// Timer is the timer of the service, if it has one.
	Timer *timerMemo `json:"timer,omitempty"`
	// Hand: it was started by hand.
	Hand bool `json:"hand,omitempty"`
	// Conns are the processes for its connections, in what earlier servers wrote; they
	// have records of their own now. Called is how many connections there were.
	Conns  []*conn `json:"conns,omitempty"`
	Called uint64  `json:"called,omitempty"`
}

// recollectionVersion grows when a recollection gets a member that older servers
// do not know: they keep it for the newer ones.
const recollectionVersion = 4

// nameOf names a configuration: the same name is the same text of the same file.
func nameOf(s *config.Service) string {
	if s == nil {
		return ""
	}
	return hex.EncodeToString(s.Digest[:8]) + " " + s.Source
}

// A ranMemo is the configuration that a run was started with.
type ranMemo struct {
	Digest string          `json:"digest"`
	Source string          `json:"source,omitempty"`
	Config json.RawMessage `json:"config"`
}

// unsaved notes that the record must be written down at the end of the turn.
func (c *core) unsaved(r *record) {
	if c.Memory != nil && r.queued&inUnsaved == 0 {
		r.queued |= inUnsaved
		c.changed = append(c.changed, r)
	}
}

// A telling is a stop signal to a run.
type telling struct {
	rec *record
	run machine.Run
}

// send has the keeper do what was decided. It is written down before: whoever
// takes over finds out from the keeper what of it was done. That a stop signal has
// left is written down after, so that none is forgotten; one that waits because the
// keeper has more to read than a socket holds is looked at again in a later turn, and
// repeated by whoever takes over before that.
func (c *core) send() {
	c.remember()
	if !c.Keeper.Flush() || len(c.told) == 0 {
		return
	}
	for _, t := range c.told {
		if t.rec.m.Run() == t.run {
			t.rec.toldRun = t.run
			c.unsaved(t.rec)
		}
	}
	clear(c.told)
	c.told = c.told[:0]
	c.remember()
}

// remember writes down what has changed. A failure is said once; what runs goes
// on, only a server that takes over will know less.
func (c *core) remember() {
	if c.Memory == nil || len(c.changed) == 0 {
		return
	}
	for _, r := range c.changed {
		r.queued &^= inUnsaved
		if c.byName[r.name] != r {
			c.forgetConns(r)
			if _, another := c.byName[r.name]; !another {
				c.Memory.Delete(stateKey + r.name)
				c.Memory.Delete(ranKey + r.name)
			}
			continue
		}
		if err := errors.Join(c.write(r), c.writeConns(r)); err != nil {
			c.Log.Error("not remembered", "service", r.name, "error", err)
		}
	}
	clear(c.changed)
	c.changed = c.changed[:0]
	c.commit()
}

func (c *core) commit() {
	if c.Memory == nil {
		return
	}
	err := c.Memory.Commit()
	if (err != nil) != c.forgetful {
		c.forgetful = err != nil
		if err != nil {
			c.Log.Error("a server that takes over will not know how things are: make room in the runtime directory", "error", err)
		} else {
			c.Log.Info("a server that takes over will know how things are again")
		}
	}
}

func (c *core) write(r *record) error {
	rec := recollection{Version: recollectionVersion, Machine: r.m.Memo(c.Clock), Wish: r.wish, SinceMs: r.since.UnixMilli(), Told: uint64(r.toldRun), Pid: r.pid, Start: r.start, Ran: nameOf(r.ran), Hook: r.hook.memo(c.Clock), First: r.first, Status: r.status, Timer: r.timer.memo(c.Clock), Hand: r.hand, Called: r.conns.total}
	if !r.watch.doubt.IsZero() {
		rec.Doubt = c.Clock.Nanos(r.watch.doubt)
	}
	if r.m.Run() != r.toldRun {
		rec.Told = 0
	}
	if r.strange != nil {
		rec.Version = r.strange.version
	}
	text, err := json.Marshal(rec)
	if err == nil && r.strange != nil {
		text, err = r.strange.merge(text)
	}
	if err == nil {
		err = c.Memory.Put(stateKey+r.name, text)
	}
	if err != nil || r.ranWritten == r.ran || r.leaving {
		return err
	}
	r.ranWritten = r.ran
	if r.ran == nil {
		c.Memory.Delete(ranKey + r.name)
		return nil
	}
	text, err = json.Marshal(ranMemo{hex.EncodeToString(r.ran.Digest[:]), r.ran.Source, config.ToBriefJSON(r.ran)})
	if err != nil {
		return err
	}
	return c.Memory.Put(ranKey+r.name, text)
}

// recall gives the records the state that an earlier server wrote down. What
// cannot be read is found by other means, as if nothing had been written: its
// process, if it has one, is known to the keeper. unread are the directories of files
// that could not be read.
func (c *core) recall(memories []*memory, unread map[string]bool) {
	c.strangers = map[string]*memory{}
	for _, m := range memories {
		if r := c.byName[m.name]; r != nil {
			c.recallOne(r, m)
			continue
		}
		if ran, err := decodeRan(m.ran); len(unread) > 0 && err == nil && unread[filepath.Dir(ran.Source)] {
			// Nobody knows whether its file is still there: it goes on.
			c.recallOne(c.add(ran, ""), m)
			continue
		}
		c.strangers[m.name] = m
	}
}

// A memory is what was written down of one service.
type memory struct {
	name       string
	state, ran []byte
	recollection
	err error // why state is of no use
}

// decodeMemory reads what was written down, on several processors and beside what the
// caller does until it wants to know: with a thousand services little else takes as long
// that a server that takes over does by itself.
func (c *core) decodeMemory() (wait func() []*memory) {
	if c.Memory == nil {
		return func() []*memory { return nil }
	}
	var known []*memory
	rans, conns := map[string][]byte{}, map[string][]*conn{}
	c.Memory.Records(func(key string, value []byte) {
		if name, ok := strings.CutPrefix(key, ranKey); ok {
			rans[name] = value
		} else if name, ok := strings.CutPrefix(key, stateKey); ok {
			known = append(known, &memory{name: name, state: value})
		} else if name, one := decodeConn(key, value); one != nil {
			conns[name] = append(conns[name], one)
		}
	})
	c.recalledConns = conns
	var decoders sync.WaitGroup
	for part := range slices.Chunk(known, len(known)/runtime.GOMAXPROCS(0)+1) {
		decoders.Go(func() {
			for _, m := range part {
				m.err = json.Unmarshal(m.state, &m.recollection)
				m.Conns = append(m.Conns, conns[m.name]...)
			}
		})
	}
	for _, m := range known {
		m.ran = rans[m.name]
	}
	return func() []*memory {
		decoders.Wait()
		return known
	}
}

// forgetStrangers forgets those that do not run.
func (c *core) forgetStrangers() {
	for name := range c.strangers {
		if c.byName[name] == nil {
			c.Memory.Delete(stateKey + name)
			c.Memory.Delete(ranKey + name)
		}
	}
	c.strangers = nil
}

// recallOne gives a record its state, or says why not.
func (c *core) recallOne(r *record, m *memory) {
	if err := c.restore(r, m); err != nil {
		c.Log.Warn("its state cannot be read: going by its process", "service", r.name, "error", err)
	}
}

func (c *core) restore(r *record, known *memory) error {
	rec, cfg := &known.recollection, r.cfg
	if known.err != nil {
		return known.err
	}
	m, err := rec.Machine.Service(r.m.Rules, c.Clock)
	if err != nil {
		return err
	}
	switch {
	case rec.Ran == "":
	case rec.Ran == nameOf(r.cfg):
		r.ran = r.cfg // as nearly always
	default:
		r.ran, err = decodeRan(known.ran)
		if err != nil {
			c.Log.Warn("what it was started with cannot be read", "service", r.name, "error", err)
		}
	}
	r.ranWritten = r.ran
	if rec.Wish > wishRestart {
		rec.Wish = noWish
	}
	if r.problem != "" && r.cfg.Exec == "" && m.Active() && r.ran != nil {
		// It goes on with the configuration that it has.
		r.cfg = r.ran
	}
	// What the graph allowed then is no permission to start now.
	m.Perm = machine.Hold
	r.m, r.wish, r.since, r.recalled = m, rec.Wish, time.UnixMilli(rec.SinceMs), true
	r.toldRun, r.first, r.status, r.hand = machine.Run(rec.Told), rec.First, rec.Status, rec.Hand
	r.conns.list, r.conns.total = rec.Conns, rec.Called
	if rec.Doubt != 0 {
		r.watch.doubt = c.Clock.Time(rec.Doubt)
	}
	rec.Hook.recall(r, c.Clock)
	rec.Timer.recall(r, c.Clock)
	if r.ran != nil && r.ran != cfg {
		r.m.Rules = c.rules(r)
	}
	r.outdated = r.ran != nil && config.NeedsRestart(r.ran, r.cfg)
	if rec.Version > recollectionVersion {
		r.strange = strangeIn(rec.Version, known.state)
	}
	c.touch(r)
	c.setWake(r)
	return nil
}

func decodeRan(text []byte) (*config.Service, error) {
	var memo ranMemo
	if err := json.Unmarshal(text, &memo); err != nil {
		return nil, err
	}
	s, _, err := config.FromJSON(memo.Config)
	if err != nil {
		return nil, err
	}
	s.Source = memo.Source
	if len(memo.Digest) != hex.EncodedLen(len(s.Digest)) {
		return nil, fmt.Errorf("cannot decode a digest of %d characters", len(memo.Digest))
	}
	_, err = hex.Decode(s.Digest[:], []byte(memo.Digest))
	return s, err
}

// A Process is a main process, or one for a connection, as it was written down.
type Process struct {
	Service string
	Pid     int
	Start   uint64 // see reap.StartTime
}

// Processes lists the processes that a memory tells of, by service. Whether
// they still live is for the caller to find out.
func Processes(m Memory) (list []Process) {
	add := func(service string, pid int, start uint64) {
		if pid > 1 {
			list = append(list, Process{service, pid, start})
		}
	}
	m.Records(func(key string, value []byte) {
		if service, one := decodeConn(key, value); one != nil {
			add(service, one.Pid, one.Start)
			return
		}
		var rec recollection
		service, ok := strings.CutPrefix(key, stateKey)
		if !ok || json.Unmarshal(value, &rec) != nil {
			return
		}
		add(service, rec.Pid, rec.Start)
		for _, one := range rec.Conns {
			add(service, one.Pid, one.Start)
		}
	})
	sort.Slice(list, func(i, j int) bool { return list[i].Service < list[j].Service })
	return list
}
