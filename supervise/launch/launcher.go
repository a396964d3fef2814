package launch

import (
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"

	"zinit/reap"
	"zinit/reap/cgroup"
)

// Requests is what a keeper is asked for beside the start of processes. *reap.Client and
// *Launcher take them. No method blocks.
type Requests interface {
	Signal(key string, run uint64, sig syscall.Signal, scope reap.Scope)
	Ack(key string, run uint64)
	// Watch has the main process of a run be pid from now on, which is one of its
	// processes; the answer is reap.Watched or reap.WatchFailed.
	Watch(key string, run uint64, pid int)
	Keep(name string, f *os.File) error
	Release(name string)
	Plan(steps []reap.PlanStep, worst time.Duration)
	Draining()
	// Flush sends what the other methods were told; until then it may wait. True: all
	// of it, also of earlier calls, has left and would outlive this process.
	Flush() (sent bool)
}

// A Keeper is what a launcher works for. *reap.Client is one.
type Keeper interface {
	Requests
	// Deliver puts an event among those of the keeper.
	Deliver(reap.Event)
}

// Urgent is the requests to a keeper that do not wait for Flush. A reap.Urgent is one.
type Urgent interface {
	Spawn(reap.Spec)
	Signal(key string, run uint64, sig syscall.Signal, scope reap.Scope)
	Watch(key string, run uint64, pid int)
}

// Options say what a launcher works with.
type Options struct {
	Keeper Keeper
	Urgent Urgent
	// Environ is what services inherit.
	Environ []string
	// Tree is where their cgroups are; nil: NoTree says why there are none.
	Tree   *cgroup.Tree
	NoTree error
	Log    *slog.Logger

	// Streams are lent to main services; nil: there are none to lend.
	Streams *Streams

	// Passwd and Group are the files of users and groups; empty: those in /etc.
	Passwd, Group string
}

// A Launcher has the methods of a keeper, for a supervisor that gives orders. They are
// to be called by one goroutine, the supervisor's loop, if nothing else is said. What is
// asked waits for Flush.
type Launcher struct {
	Keeper  // what has nothing to do with starting
	urgent  Urgent
	environ []string
	log     *slog.Logger
	users   accounts
	groups  groups
	queue   *queue
	uid     int
	streams *Streams

	findings findings
}

// New makes a launcher.
func New(o Options) *Launcher {
	return &Launcher{
		Keeper: o.Keeper, urgent: o.Urgent, environ: o.Environ, log: o.Log,
		users:  accounts{passwd: orElse(o.Passwd, "/etc/passwd"), group: orElse(o.Group, "/etc/group")},
		groups: groups{tree: o.Tree, why: o.NoTree, of: make(map[string]*inForce)},
		queue:  newQueue(),
		uid:    os.Geteuid(), streams: o.Streams,
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// ofService is the service that a key belongs to: its processes are prepared one after
// the other, as they share what is prepared.
func ofService(key string) string {
	service, _, _ := strings.Cut(key, "/")
	return service
}

// Spawn starts a process. The answer is reap.Spawned or reap.SpawnFailed.
func (l *Launcher) Spawn(o Order) {
	files, err := copies(o.Files)
	o.Files = files
	l.queue.put(ofService(o.Key), func() { l.launch(o, err) })
}

// Signal is Keeper.Signal.
func (l *Launcher) Signal(key string, run uint64, sig syscall.Signal, scope reap.Scope) {
	if !l.queue.behind(ofService(key), func() { l.urgent.Signal(key, run, sig, scope) }) {
		l.Keeper.Signal(key, run, sig, scope)
	}
}

// Watch is Keeper.Watch.
func (l *Launcher) Watch(key string, run uint64, pid int) {
	if !l.queue.behind(ofService(key), func() { l.urgent.Watch(key, run, pid) }) {
		l.Keeper.Watch(key, run, pid)
	}
}

// Flush has what was asked until now carried out. True: all of it, and what was asked
// before, has left for the keeper; otherwise a later Flush tells, and there is cause for
// one as soon as an order that is being prepared is answered.
func (l *Launcher) Flush() (sent bool) {
	done := l.queue.release()
	return l.Keeper.Flush() && done
}

// launch prepares an order and hands it to the keeper.
func (l *Launcher) launch(o Order, err error) {
	var spec reap.Spec
	if err == nil {
		spec, err = l.prepare(&o)
	}
	if err == nil && o.Inetd {
		err = inetd(&spec, o.Files[0])
	}
	if err == nil {
		l.urgent.Spawn(spec)
	} else {
		closeAll(o.Stdout, o.Stderr, spec.Stdin, spec.Stdout, spec.Stderr) // some twice
		l.Deliver(reap.SpawnFailed{Key: o.Key, Run: o.Run, Errno: errnoOf(err), Text: err.Error()})
	}
	closeAll(o.Files...)
	closeAll(spec.Cgroup)
}

// inetd has a process speak with a connection by its standard input and output.
func inetd(spec *reap.Spec, conn *os.File) error {
	in, err := duplicate(conn)
	if err != nil {
		return err
	}
	spec.Stdin = os.NewFile(in, conn.Name())
	out, err := duplicate(conn)
	if err != nil {
		return err
	}
	closeAll(spec.Stdout)
	spec.Stdout = os.NewFile(out, conn.Name())
	return nil
}

// copies duplicates files; on an error there are none.
func copies(files []*os.File) (list []*os.File, err error) {
	for _, f := range files {
		fd, err := duplicate(f)
		if err != nil {
			closeAll(list...)
			return nil, err
		}
		list = append(list, os.NewFile(fd, f.Name()))
	}
	return list, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
