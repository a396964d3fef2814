package server

import (
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"

	"zinit/applets/server/ears"
	"zinit/applets/server/kin"
	"zinit/proxy/remote"
	"zinit/reap"
	"zinit/reap/cgroup"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/launch"
	"zinit/supervise/probe"
	"zinit/supervise/stamps"
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

// parts are what the supervisor is made of. Those that an earlier server of the keeper
// had are carried on with.
func (s *server) parts(at *place, keeper *reap.Client, launcher *launch.Launcher, set *config.Set, inv reap.Inventory) supervise.Parts {
	s.gauge, s.brood = launcher, newBrood(inv.Children)
	s.ears = s.newEars(at, keeper, launcher)
	s.sockets = s.newSockets(set, keeper, launcher, inv)
	s.proxies = s.newProxies(keeper, launcher, inv)
	parts := supervise.Parts{
		Keeper: launcher, Logs: s.logs, Prober: probe.Prober{},
		OOM: launcher.OOM, Examine: launcher.Examine, Unfit: launcher.Unfit, Forget: launcher.Forget,
		Cleaner: launcher, Finder: s.newFinder(launcher), Gate: s.newGate(launcher), Ears: voices{s.ears, s.sockets},
		Stamps: stamps.New(s.flags.ConfigDir, os.Geteuid(), os.Getenv, s.log),
		Random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), Log: s.log,
		Draining: func() {
			s.manager.stopping()
			s.proxies.stop()
			s.sockets.stop()
			keeper.Release(watchName)
			s.heap.hurry()
			s.logs.Unwatch()
		},
	}
	heard := []func(reap.Event){s.brood.heard, s.proxies.heard, s.sockets.heard}
	containParts(s.flags, keeper, &parts)
	if s.flags.Pid1Mode {
		shell := s.newEmergency(launcher, inv)
		parts.Critical = shell.critical
		heard = append(heard, shell.heard)
	}
	parts.Heard = func(ev reap.Event) {
		for _, hear := range heard {
			hear(ev)
		}
	}
	return parts
}

// family is what is known of the processes around.
func (s *server) family(launcher *launch.Launcher) kin.Family {
	return kin.Family{Proc: s.proc, Keeper: s.keeper, Group: membersOf(launcher)}
}

// newEars listen to what services say. Who may speak for one is judged by what the
// supervisor and the kernel know of it.
func (s *server) newEars(at *place, keeper *reap.Client, launcher *launch.Launcher) *ears.Ears {
	return ears.New(ears.Options{
		Dir: at.dir, Keeper: keeper, Log: s.log, Owner: launcher.Owner,
		Belongs: kin.Speaker{Family: s.family(launcher), Main: s.mainPid}.Belongs,
		Tell:    func(service string, n supervise.Notice) { s.sup.Notify(service, n) },
	})
}

// newFinder finds what forking services leave.
func (s *server) newFinder(launcher *launch.Launcher) kin.Finder {
	return kin.NewFinder(s.family(launcher), func(pid int) bool { return pid == s.self || s.brood.known(pid) })
}

// newGate finds out who is in the way of services.
func (s *server) newGate(launcher *launch.Launcher) *kin.Gatekeeper {
	views := func() []*supervise.View { return s.sup.Snapshot().Views }
	return kin.NewGatekeeper(s.family(launcher), views, func(service, text string) {
		s.log.Warn("kill_others: "+text, "service", service)
		s.logs.Append(service, text)
	})
}

// newProxies carries on with the proxies of an earlier server, or begins with none.
func (s *server) newProxies(keeper *reap.Client, launcher *launch.Launcher, inv reap.Inventory) *proxies {
	x := newProxies(keeper, func(user, group string) (int, int, error) {
		return launcher.Owner(config.Identity{User: user, Group: group})
	}, s.log)
	// Which ends in a turn of the loop; and the loop itself, which does not read its mail
	// meanwhile, sets the first proxies.
	x.settle = func() { go s.sup.Remember() }
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

// provide has services be given sockets as they are configured now: all, or only one.
func (s *server) provide(only string) {
	if s.sockets == nil {
		return
	}
	snap := s.sup.Snapshot()
	lives := func(service string) bool {
		v := snap.Find(service)
		return v != nil && mayHaveProcesses(v)
	}
	var list []*config.Service
	for _, v := range snap.Views {
		if !v.Leaving && (only == "" || v.Name == only) {
			list = append(list, v.Config)
		}
	}
	switch {
	case only == "":
		s.sockets.sync(list, lives)
	case len(list) == 1:
		s.sockets.provide(list[0], lives(only))
	}
	s.sup.Remember() // which ends in a turn of the loop, and so what the keeper is to hold leaves
}

// newEmergency is what critical failures lead to.
func (s *server) newEmergency(launcher *launch.Launcher, inv reap.Inventory) *emergency {
	e := &emergency{log: s.log, spawn: launcher.Spawn, exists: fileExists}
	e.again = func(services []string) { go s.startAgain(services) } // the loop itself calls it
	e.adopt(inv)
	return e
}

// startAgain starts services that are to be up and are not. In a shutdown none is.
func (s *server) startAgain(services []string) {
	for _, name := range services {
		now := s.sup.Snapshot()
		if v := now.Find(name); v == nil || now.Draining || !v.Want || v.ToldDown || v.Satisfied() {
			continue
		}
		if err := s.sup.Start(name, false); err != nil {
			s.log.Error("cannot start again", "service", name, "error", err)
		}
	}
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
