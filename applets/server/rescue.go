package server

import (
	"log/slog"
	"slices"
	"strings"
	"syscall"

	"zinit/supervise/config"
)

// rescueName is the service that the shell of a machine under repair becomes.
const rescueName = "rescue-shell"

// rescue makes of a configuration that of a machine under repair: what is not wanted
// there is left down until somebody starts it, and a shell is on the console. On any
// other machine that shell is down, for whoever wants to begin a repair later.
func (s *server) rescue(set *config.Set) {
	if !s.flags.Single && !s.flags.Emergency {
		s.offerRescue(set, fileExists)
		return
	}
	for i, svc := range set.Services {
		if svc.Status != config.StatusStart || svc.Class == config.ClassSystem && !s.flags.Emergency {
			continue
		}
		down := *svc // that one may be in use already
		down.Status = config.StatusStop
		set.Services[i] = &down
	}
	if shell := rescueShell(s.log, fileExists); shell != nil {
		set.Services = append(set.Services, shell)
	}
}

// offerRescue adds the shell as a service that is down, on a machine that has one.
func (s *server) offerRescue(set *config.Set, exists func(path string) bool) {
	named := func(svc *config.Service) bool { return svc.Name == rescueName }
	if !s.flags.Pid1Mode || s.flags.Container || slices.ContainsFunc(set.Services, named) || (&emergency{exists: exists}).find() == nil {
		return
	}
	shell := rescueShell(s.log, exists)
	shell.Status = config.StatusStop
	set.Services = append(set.Services, shell)
}

// rescueShell is nil, and says so, where there is none.
func rescueShell(log *slog.Logger, exists func(path string) bool) *config.Service {
	argv := (&emergency{exists: exists}).find()
	if argv == nil {
		log.Error("there is no shell for the repair: this system has no /bin/sh: use zinit on the socket, or boot without single and emergency")
		return nil
	}
	svc := config.Default()
	svc.Name, svc.Class = rescueName, config.ClassSystem
	svc.Description = "a shell on the console; telinit 3 brings the others up"
	svc.Exec, svc.Command.Argv = strings.Join(argv, " "), argv
	svc.TTY, svc.Stdin, svc.Dir = consolePath, config.StdinTTY, "/"
	svc.Lifecycle.Restart, svc.Lifecycle.MaxRestarts = config.RestartAlways, 0
	svc.Lifecycle.StopSignal = syscall.SIGHUP // a shell at a terminal ignores TERM
	return svc
}
