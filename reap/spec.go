package reap

import (
	"os"
	"strconv"
	"syscall"
	"time"
)

// A Spec is everything that is needed to start one process; it is complete
// before the fork.
type Spec struct {
	// Key says whom the process belongs to: a service's name for its main
	// process, "NAME/health" for a probe. At most one process of a key is alive.
	Key string

	// Run is the run number. The keeper refuses a number that is not higher than
	// every earlier one of the key, over server deaths too; a newer run implies
	// the acknowledgement of the older ones.
	Run uint64

	// Path is the file to execute (it holds a slash); Argv includes argv[0].
	Path string
	Argv []string

	// Env is the whole environment, KEY=VALUE each.
	Env []string

	// Dir is the working directory; empty is the keeper's own.
	Dir string

	// Stdout and Stderr are the write ends that the child gets as descriptors 1
	// and 2; nil is /dev/null. Keep holds the read ends that belong to them: the
	// keeper holds copies, named by OutputName, until the server releases them.
	// Client.Spawn takes over Stdout and Stderr and closes them; the caller goes
	// on owning Keep.
	Stdout, Stderr *os.File
	Keep           [2]*os.File

	// Group says that the process group (each process is born as the leader of
	// its own session) belongs to the service, and so does the cgroup: when the main
	// process has ended and others of either live on, Exited.Lingers is set, Signal
	// with ScopeGroup or ScopeCgroup still reaches them, and GroupGone follows when the
	// last ended.
	Group bool

	// User is whom the process runs as; nil is the keeper's own user and groups.
	User *Credential

	// Stdin is descriptor 0; nil is /dev/null. Client.Spawn takes it over, as it does
	// Stdout and Stderr.
	Stdin *os.File

	// TTY says that Stdin becomes the controlling terminal of the new session.
	TTY bool

	// Files become the descriptors 3, 4, … of the process, at most MaxFiles. The
	// caller goes on owning them.
	Files []*os.File

	// Cgroup is the directory of the cgroup that the process is born in; nil is the
	// keeper's own. The keeper finds it again by its path, Cgroup.Name(), which must
	// be absolute. The caller goes on owning the file.
	Cgroup *os.File

	// Guest says that the process only enters Cgroup, which is another key's: it is
	// neither waited for nor killed as a whole on behalf of this key. Probes and hooks
	// are guests.
	Guest bool

	// Prep is what only the process itself can change; nil if there is nothing to
	// change. It costs a step of its own before the program is executed.
	Prep *Prep
}

// MaxFiles is how many descriptors beyond the standard ones a process can be given.
const MaxFiles = 64

// A Credential is a user by numbers.
type Credential struct {
	Uid, Gid uint32
	// Groups are the supplementary groups, all of them.
	Groups []uint32
	// KeepGroups leaves the keeper's supplementary groups as they are.
	KeepGroups bool
}

// A Prep is what a process does to itself before it executes the program. It is done
// in the order of the fields, by the keeper's user, except where that is said; a
// refusal is a SpawnFailed whose Text names what was refused.
type Prep struct {
	Umask       *uint32 // nil: the keeper's
	Nice        *int    // nil: the keeper's; -20 to 19
	OOMScoreAdj *int    // nil: the keeper's; -1000 to 1000
	// Capabilities has a bit for each capability that the process keeps, by the
	// kernel's number; nil: all. A user other than root keeps them too.
	Capabilities *uint64
	NoNewPrivs   bool
	Rlimits      []Rlimit
	// PidVars are environment variables whose value becomes the pid of the process.
	PidVars []string
}

// An Rlimit is one resource limit of a process.
type Rlimit struct {
	Resource   int    // RLIMIT_*
	Soft, Hard uint64 // math.MaxUint64: no limit
}

// OutputName is the name under which the keeper holds the read end of an output
// pipe: fd is 1 or 2.
func OutputName(key string, run uint64, fd int) string {
	return "out/" + key + "/" + strconv.FormatUint(run, 10) + "/" + strconv.Itoa(fd)
}

// A Scope says whom a signal is meant for.
type Scope uint8

const (
	// ScopeMain is the main process alone.
	ScopeMain Scope = iota
	// ScopeGroup is the process group that the main process leads; of a main process
	// that was named by Client.Watch, the group that it is in as well.
	ScopeGroup
	// ScopeCgroup is every process of the run's cgroup, whatever group it is in. A run
	// without a cgroup of its own is reached as by ScopeGroup.
	ScopeCgroup
)

// An Event is what the keeper tells the server. For one key and run the order is
// Spawned or SpawnFailed, then Exited, then, if Exited.Lingers, GroupGone. A Watched
// may come after Spawned, also after Exited; another Exited follows it.
type Event interface{ isEvent() }

type (
	// Spawned says that the process runs: exec succeeded.
	Spawned struct {
		Key   string
		Run   uint64
		Pid   int
		Start uint64 // start time of /proc/PID/stat, in clock ticks since boot; 0 when unknown
	}

	// SpawnFailed says that there is no process, and why. Refused is set when the
	// keeper declined by itself (old run number, draining); otherwise Errno is
	// what fork or exec answered, and Text, when it is not empty, says for people which
	// step was refused and why.
	SpawnFailed struct {
		Key     string
		Run     uint64
		Errno   syscall.Errno
		Refused string
		Text    string
	}

	// Exited says that the main process has ended and was reaped. It is repeated
	// to each new server until Client.Ack names it.
	Exited struct {
		Key     string
		Run     uint64
		Pid     int
		Status  Status
		Lingers bool
		// Unknown says that somebody else was its parent and got the status, so that
		// Status says nothing. It happens to processes of Client.Watch alone.
		Unknown bool
	}

	// Watched answers Client.Watch: Pid is the run's main process from now on. An
	// Exited of the one before, if it is still to end, will not come.
	Watched struct {
		Key   string
		Run   uint64
		Pid   int
		Start uint64 // as in Spawned
	}

	// WatchFailed answers Client.Watch: the run's main process is whom it was.
	WatchFailed struct {
		Key string
		Run uint64
		Pid int
		Why string // for people
	}

	// GroupGone says that the last process of the run's group, and of its cgroup, has
	// ended.
	GroupGone struct {
		Key string
		Run uint64
	}

	// Signaled says that the keeper itself received a signal that the server is
	// to act upon (TERM and INT: stop; HUP: reload).
	Signaled struct{ Signal syscall.Signal }

	// Reexecuted answers Client.Reexec: the keeper is now the program that is at its
	// path. With Refused set it is what it was, and that says why.
	Reexecuted struct {
		Refused string
		can     uint64 // of the program that it is now
	}

	// KeeperLost says that the channel is closed: the keeper is dead. It is the
	// last event.
	KeeperLost struct{ Err error }
)

func (Spawned) isEvent()     {}
func (SpawnFailed) isEvent() {}
func (Exited) isEvent()      {}
func (Watched) isEvent()     {}
func (WatchFailed) isEvent() {}
func (GroupGone) isEvent()   {}
func (Signaled) isEvent()    {}
func (Reexecuted) isEvent()  {}
func (KeeperLost) isEvent()  {}

// A Child is one live process of the keeper, as the inventory lists it.
type Child struct {
	Key   string
	Run   uint64
	Pid   int
	Start uint64 // as in Spawned
	// Started is Start as a moment, on the monotonic clock too; zero when unknown.
	Started time.Time
	Group   bool // as in Spec
	// MainGone: the main process has ended, only its group or cgroup lives on.
	MainGone bool
	// Watched: Pid was named by Client.Watch.
	Watched bool
	// Cgroup is the directory of the run's own cgroup; empty if it has none.
	Cgroup string

	// leader and other are the numbers of the process groups that are the run's, 0 for
	// none: the one that it was born with, and the one that a watched process was in.
	leader, other int
}

// A Stage is how far the keeper is with its own life.
type Stage uint8

const (
	// StageServe: services run, a server decides.
	StageServe Stage = iota
	// StageDrain: a shutdown has begun. A server that starts now stops what is
	// left and starts nothing.
	StageDrain
)

// An Inventory is what the keeper hands to a server that connects.
type Inventory struct {
	Stage    Stage
	Children []Child
	Exits    []Exited            // not acknowledged yet
	Runs     map[string]uint64   // highest run number of each key
	Kept     map[string]*os.File // descriptors by name; the server owns these copies
}

// A PlanStep is one service in the plan that the keeper follows when the server
// cannot: the services of a wave are stopped together, wave after wave.
type PlanStep struct {
	Key     string
	Wave    int
	Signal  syscall.Signal
	Scope   Scope
	Timeout uint32 // milliseconds until SIGKILL
}
