package server

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"zinit/proxy/remote"
	"zinit/reap"
	"zinit/reap/cgroup"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/launch"
)

// newLauncher prepares processes for the keeper. Without cgroups services run too, but
// who leaves its group is lost sight of, and nothing is limited.
func newLauncher(keeper *reap.Client, lent *launch.Streams, log *slog.Logger) *launch.Launcher {
	tree, err := cgroup.Find()
	if err != nil {
		log.Info("services have no cgroups: " + err.Error())
	}
	return launch.New(launch.Options{
		Keeper: keeper, Urgent: keeper.Urgent(), Environ: heritage(os.Environ()),
		Tree: tree, NoTree: err, Log: log, Streams: lent,
	})
}

// newEars listen to what services say. Who may speak for one is judged by what the
// supervisor and the kernel know of it.
func (s *server) newEars(at *place, keeper *reap.Client, launcher *launch.Launcher) *ears {
	e := newEars(at.dir, keeper, s.log)
	e.owner = launcher.Owner
	e.belongs = speakers{
		proc: s.proc, keeper: os.Getppid(), main: s.mainPid, group: membersOf(launcher), uid: e.uidOf,
	}.belong
	e.tell = func(service string, n supervise.Notice) { s.sup.Notify(service, n) }
	return e
}

// newFinder finds what forking services leave.
func (s *server) newFinder(launcher *launch.Launcher) finder {
	k := kinship{proc: s.proc, keeper: s.keeper, group: membersOf(launcher), known: func(pid int) bool {
		return pid == s.self || s.brood.known(pid)
	}}
	return finder{left: k.left, wait: pidFileWait}
}

// newProxies carries on with the proxies of an earlier server, or begins with none.
func (s *server) newProxies(keeper *reap.Client, launcher *launch.Launcher, inv reap.Inventory) *proxies {
	x := newProxies(keeper, func(user, group string) (int, int, error) {
		return launcher.Owner(config.Identity{User: user, Group: group})
	}, s.log)
	x.settle = func() { s.sup.Remember() } // which ends in a turn of the loop
	x.spawn, x.keep, x.same = keeper.Urgent(), keeper, runsThis
	x.command = func() reap.Spec {
		return helperCommand(remote.Applet, remote.Args(s.flags.Socket, s.flags.LogLevel), os.Environ())
	}
	x.adoptHelpers(inv)
	x.adoptSockets(inv.Kept)
	return x
}

// newSockets opens the sockets that services are given, before any of them starts, or
// carries on with those of an earlier server.
func (s *server) newSockets(set *config.Set, keeper *reap.Client, launcher *launch.Launcher, inv reap.Inventory) *sockets {
	x := newSockets(keeper, func(user, group string) (int, int, error) {
		return launcher.Owner(config.Identity{User: user, Group: group})
	}, s.log)
	x.adopt(inv.Kept)
	lives := used(inv.Children)
	x.sync(set.Services, func(service string) bool { return lives[service] })
	return x
}

// provide has services be given sockets as they are configured now.
func (s *server) provide(set *config.Set, only string) {
	if s.sockets == nil {
		return
	}
	lives := func(service string) bool { return s.mainPid(service) != 0 }
	if only == "" {
		s.sockets.sync(set.Services, lives)
	} else if i := slices.IndexFunc(set.Services, func(svc *config.Service) bool { return svc.Name == only }); i >= 0 {
		s.sockets.provide(set.Services[i], lives(only))
	}
	s.sup.Remember() // which ends in a turn of the loop, and so what the keeper is to hold leaves
}

// pidFileWait is shorter than the supervisor waits for an answer.
const pidFileWait = 4 * time.Second

// newEmergency is what critical failures lead to.
func (s *server) newEmergency(launcher *launch.Launcher, inv reap.Inventory) *emergency {
	e := &emergency{log: s.log, spawn: launcher.Spawn, exists: fileExists}
	e.adopt(inv)
	return e
}

// mainPid is the pid of a service's main process; 0: it has none, or it is not known
// yet.
func (s *server) mainPid(service string) int {
	if v := s.sup.Snapshot().Find(service); v != nil {
		return v.Pid
	}
	return 0
}

// membersOf tells who is in the cgroup of a service.
func membersOf(launcher *launch.Launcher) func(service string) ([]int, bool) {
	return func(service string) ([]int, bool) {
		dir := launcher.Cgroup(service)
		if dir == "" {
			return nil, false
		}
		pids, err := cgroup.Procs(dir)
		return pids, err == nil
	}
}

// used are the services that have a process.
func used(children []reap.Child) map[string]bool {
	names := map[string]bool{}
	for _, c := range children {
		name, _, _ := strings.Cut(c.Key, "/")
		names[name] = true
	}
	return names
}
