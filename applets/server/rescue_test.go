package server

import (
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"zinit/applets/env"
	"zinit/supervise/config"
)

func TestAMachineUnderRepairStartsLittle(t *testing.T) {
	for _, c := range []struct {
		flags env.ServerFlags
		want  string // names of what starts by itself
	}{
		{env.ServerFlags{}, "udev web"},
		{env.ServerFlags{Single: true}, "udev rescue-shell"},
		{env.ServerFlags{Emergency: true}, "rescue-shell"},
		{env.ServerFlags{Single: true, Emergency: true}, "rescue-shell"},
	} {
		s := &server{flags: c.flags, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
		set := &config.Set{}
		for name, class := range map[string]config.Class{"udev": config.ClassSystem, "web": config.ClassUser} {
			svc := config.Default()
			svc.Name, svc.Class = name, class
			set.Services = append(set.Services, svc)
		}
		given := append([]*config.Service(nil), set.Services...)
		s.rescue(set)
		starts := map[string]bool{}
		for _, svc := range set.Services {
			starts[svc.Name] = svc.Status == config.StatusStart
		}
		for _, name := range []string{"udev", "web", rescueName} {
			if want := strings.Contains(c.want, name); starts[name] != want {
				t.Errorf("%+v: %s starts: %v", c.flags, name, starts[name])
			}
		}
		for _, svc := range given {
			if svc.Status != config.StatusStart {
				t.Errorf("%+v: %s was changed, which others may have", c.flags, svc.Name)
			}
		}
	}
}

func TestTheShellOfARepairIsTheOneThatIsThere(t *testing.T) {
	var said strings.Builder
	log := slog.New(slog.NewTextHandler(&said, nil))
	svc := rescueShell(log, func(path string) bool { return path == "/bin/busybox" })
	if svc == nil || strings.Join(svc.Command.Argv, " ") != "/bin/busybox sh" || svc.TTY != consolePath || svc.Lifecycle.Restart != config.RestartAlways ||
		svc.Lifecycle.StopSignal != syscall.SIGHUP {
		t.Errorf("%+v", svc)
	}
	if svc := rescueShell(log, func(string) bool { return false }); svc != nil || !strings.Contains(said.String(), "no /bin/sh") {
		t.Errorf("%+v, said %s", svc, &said)
	}
}

// TestAMachineHasAShellForARepair: down until somebody wants it, unless there is a
// service of that name. A container has none.
func TestAMachineHasAShellForARepair(t *testing.T) {
	own := config.Default()
	own.Name = rescueName
	for name, c := range map[string]struct {
		flags env.ServerFlags
		set   []*config.Service
		shell bool // there is one in the system
		want  int
	}{
		"a machine":       {env.ServerFlags{Pid1Mode: true}, nil, true, 1},
		"without a shell": {env.ServerFlags{Pid1Mode: true}, nil, false, 0},
		"with its own":    {env.ServerFlags{Pid1Mode: true}, []*config.Service{own}, true, 1},
		"a container":     {env.ServerFlags{Pid1Mode: true, Container: true}, nil, true, 0},
		"no process 1":    {env.ServerFlags{}, nil, true, 0},
	} {
		s := &server{flags: c.flags, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
		set := &config.Set{Services: c.set}
		s.offerRescue(set, func(path string) bool { return c.shell })
		if len(set.Services) != c.want {
			t.Errorf("%s: %d services", name, len(set.Services))
		}
		if c.want == 1 && c.set == nil && (set.Services[0].Status != config.StatusStop || set.Services[0].Class != config.ClassSystem) {
			t.Errorf("%s: %+v", name, set.Services[0])
		}
	}
}
