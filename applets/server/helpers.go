package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"zinit/proxy"
	"zinit/proxy/remote"
	"zinit/reap"
)

// A spawner starts and signals processes at once; a reap.Urgent is one.
type spawner interface {
	Spawn(reap.Spec)
	Signal(key string, run uint64, sig syscall.Signal, scope reap.Scope)
}

// helpers are the processes beside the server that carry connections: one that takes
// new ones, and those of an earlier program that go on with theirs. The keeper has an
// end of the channel to each, so that the next server can give orders to them.
type helpers struct {
	spawn   spawner
	keep    releaser
	command func() reap.Spec   // what is started, but for key, run and files
	same    func(pid int) bool // it runs the program that would be started now

	// All guarded by the mutex of the proxies.
	now      *helper
	old      []*helper
	runs     map[string]uint64 // the highest of each key
	failures int               // in a row, each soon after its start
}

// A helper is one such process.
type helper struct {
	key    string
	run    uint64
	client *remote.Client
	end    *os.File
	kept   string
	born   time.Time
}

const (
	helperKey     = "@xinet" // then a number
	channelPrefix = "xinet/" // of a helper's channel; then key and run
	retiredPrefix = "xinet-retired/"
)

// adoptHelpers takes over the processes that an earlier server started. One of another
// program is replaced: it goes on with what it has.
func (h *helpers) adoptHelpers(inv reap.Inventory) {
	h.runs = map[string]uint64{}
	for key, run := range inv.Runs {
		if strings.HasPrefix(key, helperKey) {
			h.runs[key] = run
		}
	}
	lives := map[string]bool{}
	for _, ch := range inv.Children {
		if !strings.HasPrefix(ch.Key, helperKey) || ch.MainGone {
			continue
		}
		id := fmt.Sprintf("%s/%d", ch.Key, ch.Run)
		lives[id] = true
		one, err := adoptHelper(inv.Kept, ch, id)
		switch {
		case err != nil: // nobody can tell it anything
			h.spawn.Signal(ch.Key, ch.Run, syscall.SIGTERM, reap.ScopeMain)
		case h.now == nil && strings.HasPrefix(one.kept, channelPrefix) && h.same(ch.Pid):
			h.now = one
		default:
			h.old = append(h.old, one)
		}
	}
	for name, f := range inv.Kept {
		id, is := strings.CutPrefix(name, channelPrefix)
		if !is {
			id, is = strings.CutPrefix(name, retiredPrefix)
		}
		if is && !lives[id] {
			f.Close()
			h.keep.Release(name)
		}
	}
}

func adoptHelper(kept map[string]*os.File, ch reap.Child, id string) (*helper, error) {
	for _, prefix := range []string{channelPrefix, retiredPrefix} {
		if f := kept[prefix+id]; f != nil {
			client, err := remote.New(f)
			return &helper{key: ch.Key, run: ch.Run, client: client, end: f, kept: prefix + id, born: time.Now()}, err
		}
	}
	return nil, errors.New("there is no channel to it")
}

// haveLocked has a process take new connections; renew tells a new one what to do, and
// after that those before it are retired.
func (h *helpers) haveLocked(renew func(*helper)) error {
	if h.now != nil {
		return nil
	}
	one, err := h.startLocked()
	if err != nil {
		return err
	}
	h.now = one
	renew(one)
	for _, o := range h.old {
		h.retire(o)
	}
	return nil
}

// startLocked starts a process under the first key that no other one has.
func (h *helpers) startLocked() (*helper, error) {
	ours, theirs, err := remote.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	client, err := remote.New(ours)
	if err != nil {
		ours.Close()
		return nil, err
	}
	key := helperKey + "0"
	for n := 1; slices.ContainsFunc(h.old, func(o *helper) bool { return o.key == key }); n++ {
		key = fmt.Sprintf("%s%d", helperKey, n)
	}
	h.runs[key]++
	one := &helper{key: key, run: h.runs[key], client: client, end: ours, born: time.Now()}
	one.kept = fmt.Sprintf("%s%s/%d", channelPrefix, key, one.run)
	if err := h.keep.Keep(one.kept, ours); err != nil {
		client.Close()
		ours.Close()
		return nil, fmt.Errorf("cannot have the keeper hold a channel: %w", err)
	}
	spec := h.command()
	spec.Key, spec.Run, spec.Files = key, one.run, []*os.File{theirs}
	h.spawn.Spawn(spec)
	return one, nil
}

// retireLocked has nobody take new connections.
func (h *helpers) retireLocked() {
	for _, o := range h.old {
		h.retire(o)
	}
	if h.now != nil {
		h.old = append(h.old, h.now)
		h.retire(h.now)
		h.now = nil
	}
}

// retire has a process end with its last connection. The next server is told by the
// name of the channel.
func (h *helpers) retire(o *helper) {
	id, is := strings.CutPrefix(o.kept, channelPrefix)
	if !is {
		return // it is already
	}
	if err := o.client.Drain(); err != nil {
		h.spawn.Signal(o.key, o.run, syscall.SIGTERM, reap.ScopeMain)
	}
	was := o.kept
	o.kept = retiredPrefix + id
	_ = h.keep.Keep(o.kept, o.end) // without it the next server ends the process
	h.keep.Release(was)
}

// endedLocked forgets a process that has ended; again: it was the one that took new
// connections.
func (h *helpers) endedLocked(key string, run uint64) (again bool) {
	forget := func(o *helper) {
		o.client.Close()
		o.end.Close()
		h.keep.Release(o.kept)
	}
	if o := h.now; o != nil && o.key == key && o.run == run {
		forget(o)
		h.now = nil
		if time.Since(o.born) > time.Second {
			h.failures = 0
		} else {
			h.failures++
		}
		return true
	}
	h.old = slices.DeleteFunc(h.old, func(o *helper) bool {
		if o.key != key || o.run != run {
			return false
		}
		forget(o)
		return true
	})
	return false
}

// againLocked calls start at once, or after a pause that grows with each failure.
func (h *helpers) againLocked(start func()) {
	if h.failures == 0 {
		go start()
		return
	}
	time.AfterFunc(min(100*time.Millisecond<<min(h.failures-1, 10), 10*time.Second), start)
}

// statusLocked adds up what all processes tell of each proxy.
func (h *helpers) statusLocked() (map[string]proxy.Status, error) {
	all := map[string]proxy.Status{}
	var failed error
	for _, o := range append(slices.Clone(h.old), h.now) {
		if o == nil {
			continue
		}
		list, err := o.client.Status()
		if err != nil && o == h.now {
			failed = err
		}
		for _, s := range list {
			sum := all[s.Name]
			sum.Active += s.Active
			sum.Total += s.Total
			sum.Refused += s.Refused
			sum.Failed += s.Failed
			sum.BytesIn += s.BytesIn
			sum.BytesOut += s.BytesOut
			sum.Activations += s.Activations
			if s.LastActivity.After(sum.LastActivity) {
				sum.LastActivity = s.LastActivity
			}
			all[s.Name] = sum
		}
	}
	return all, failed
}

// servingLocked counts the connections of a service in all processes.
func (h *helpers) servingLocked(service string) (n int) {
	for _, o := range append(slices.Clone(h.old), h.now) {
		if o == nil {
			continue
		}
		if one, err := o.client.Serving(service); err == nil {
			n += one
		}
	}
	return n
}

// helperCommand is what is started: this program under another name, as it is at its
// path now.
func helperCommand(applet string, args, environ []string) reap.Spec {
	path := "/proc/self/exe"
	if f, at, err := reap.Self(); err == nil {
		f.Close()
		path = at
	}
	return reap.Spec{Path: path, Argv: append([]string{applet}, args...), Env: environ, Dir: "/", Stdout: ownStderr(), Stderr: ownStderr()}
}

// ownStderr is a copy of where the server logs to; nil: nowhere.
func ownStderr() *os.File {
	fd, err := syscall.Dup(2)
	if err != nil {
		return nil
	}
	syscall.CloseOnExec(fd) // a server never forks, so that nobody has got it meanwhile
	return os.NewFile(uintptr(fd), "stderr")
}

// runsThis reports that a process runs the file that is at the path of this program.
// Where that cannot be seen it is taken to be so.
func runsThis(pid int) bool {
	f, _, err := reap.Self()
	if err != nil {
		return true
	}
	defer f.Close()
	ours, err := f.Stat()
	if err != nil {
		return true
	}
	its, err := os.Stat(filepath.Join("/proc", fmt.Sprint(pid), "exe"))
	return err != nil || os.SameFile(ours, its)
}
