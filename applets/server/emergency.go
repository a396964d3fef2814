package server

import (
	"log/slog"
	"os"

	"zinit/supervise/config"
	"zinit/supervise/launch"
)

// emergencyKey is the keeper's name for the emergency shell: no service has it.
const emergencyKey = "@emergency"

// shells are those that an emergency shell may be, the first that is there.
var shells = [][]string{{"/bin/sh"}, {"/usr/bin/sh"}, {"/bin/busybox", "sh"}}

// consolePath is the terminal of the machine.
const consolePath = "/dev/console"

// An emergency explains on the console that a critical service has failed for good,
// and gives whoever sits there a shell. It belongs to the loop.
type emergency struct {
	log    *slog.Logger
	spawn  func(launch.Order)
	exists func(path string) bool
	run    uint64 // of the last shell
}

// critical is called by the loop when a critical service has failed. A shell that is
// there already is enough: the keeper has no second process of a name.
func (e *emergency) critical(service, reason string, runs func(service string) bool) {
	e.log.Error("CRITICAL FAILURE: " + service + " has failed: " + reason)
	e.log.Error("what it did: zinit status " + service + ", zinit logs " + service + "; once more: zinit start " + service)
	if runs("network") {
		e.log.Error("the service network is running: SSH may work")
	} else {
		e.log.Error("the service network is not running: use the console")
	}
	argv := e.shell()
	if argv == nil {
		e.log.Error("there is no emergency shell: this system has no /bin/sh")
		return
	}
	e.log.Error("an emergency shell is on " + consolePath)
	e.run++
	svc := config.Default()
	svc.Name, svc.TTY, svc.Stdin, svc.Dir = emergencyKey, consolePath, config.StdinTTY, "/"
	svc.Command.Argv = argv
	e.spawn(launch.Order{Key: emergencyKey, Run: e.run, Service: svc, Command: svc.Command})
}

// shell is the command of the first shell that is there; nil: there is none.
func (e *emergency) shell() []string {
	for _, argv := range shells {
		if e.exists(argv[0]) {
			return argv
		}
	}
	return nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
