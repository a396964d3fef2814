package applets

import (
	"os"

	"zinit/applets/cli"
	"zinit/applets/env"
	"zinit/applets/initramfs"
	"zinit/applets/pid1"
	"zinit/applets/power"
	"zinit/applets/prep"
	"zinit/applets/server"
	"zinit/applets/sideros"
	"zinit/applets/xinet"
	"zinit/proxy/remote"
)

// list is every applet, in the order of the overview.
func list() []Applet {
	return []Applet{
		{Name: "zinit", Summary: "look at services and control them", Main: cli.Main},
		{Name: "zinit-server", Summary: "run services from a directory of files", Main: pid1.Standalone},
		{Name: "zinit-pid1", Summary: "the same as process 1 of a machine or container", Main: pid1.Main},
		{Name: "init", Summary: "zinit-pid1 with the flags of zinit 0.2", Main: initMain},
		{Name: "start", Summary: "the program of sideros-start: start init, and its command line", Main: sideros.Main},
		{Name: "zinit-initramfs", Summary: "write an image that a kernel boots", Main: writeInitramfs},
		{Name: "xinet", Summary: "start a service for whoever connects, and carry the connections", Main: xinet.Main},
		{Name: "poweroff", Summary: "end a machine whose process 1 is zinit", Init: true, Main: power.Main},
		{Name: "reboot", Summary: "the same, and start it anew", Init: true, Main: power.Main},
		{Name: "halt", Summary: "the same, and leave it on", Init: true, Main: power.Main},
		{Name: "shutdown", Summary: "the same at a time", Init: true, Main: power.Shutdown},
		{Name: "telinit", Summary: "the same by runlevel: 0, 1, 6", Init: true, Main: power.Telinit},
		{Name: remote.Applet, Hidden: true, Main: xinet.Managed},
		{Name: "zinit-child", Hidden: true, Main: server.Main},
		{Name: prep.Name, Hidden: true, Main: prep.Main},
		{Name: pid1.RehearsalApplet, Hidden: true, Main: pid1.Rehearse},
	}
}

// initMain is init: as any process but the first it changes the runlevel when it is
// told one.
func initMain(e *env.Env) int {
	if os.Getpid() != 1 && power.IsTelinit(e.Args) {
		return power.Telinit(e)
	}
	return pid1.Main(e)
}

// whereAmI finds out where this process stands.
func whereAmI(pid int, getenv func(string) string) place {
	switch {
	case pid != 1:
		return ordinary
	case pid1.InContainer(getenv):
		return ofContainer
	}
	return ofMachine
}

// writeInitramfs is the applet that puts this binary into an image, under all its
// names.
func writeInitramfs(e *env.Env) int {
	var names []string
	for _, a := range list() {
		if !a.Hidden {
			names = append(names, a.Name)
		}
	}
	return initramfs.Main(e, names)
}
