package server

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"zinit/reap"
	"zinit/supervise"
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
	// again starts those of these services that are still to be up and are not; it waits
	// for nothing. Whoever ends the shell is done with the repair.
	again  func(services []string)
	failed []string  // since the last shell ended
	run    uint64    // of the last shell
	since  time.Time // it is there; zero: since an earlier server
	// shell is the command of the one that was asked for and is not gone; nil: there is
	// none. One is enough, however much fails: the console is one.
	shell []string
}

// critical is called by the loop when a critical service has failed.
func (e *emergency) critical(service, reason string, runs func(service string) bool) {
	e.log.Error("CRITICAL FAILURE: " + service + " has failed: " + reason)
	if !slices.Contains(e.failed, service) {
		e.failed = append(e.failed, service)
	}
	e.log.Error("what it did: zinit status " + service + ", zinit logs " + service + "; once more: zinit start " + service)
	if e.shell != nil {
		return
	}
	if runs("network") {
		e.log.Error("the service network is running: SSH may work")
	} else {
		e.log.Error("the service network is not running: use the console")
	}
	e.shell = e.find()
	if e.shell == nil {
		e.log.Error("there is no emergency shell: this system has no /bin/sh: reach it in another way")
		return
	}
	e.run++
	svc := config.Default()
	svc.Name, svc.TTY, svc.Stdin, svc.Dir = emergencyKey, consolePath, config.StdinTTY, "/"
	svc.Command.Argv = e.shell
	e.spawn(launch.Order{Key: emergencyKey, Run: e.run, Service: svc, Command: svc.Command})
}

// heard is called by the loop with what has become of the shell. Only now is it known
// whether there is one.
func (e *emergency) heard(ev reap.Event) {
	switch ev := ev.(type) {
	case reap.Spawned:
		if ev.Key == emergencyKey && ev.Run == e.run {
			e.since = time.Now()
			e.log.Error("an emergency shell is on "+consolePath, "pid", ev.Pid)
		}
	case reap.SpawnFailed:
		if ev.Key == emergencyKey && ev.Run == e.run {
			command := config.Command{Argv: e.shell}
			e.shell = nil
			e.log.Error("there is no emergency shell: " + supervise.SpawnError(command, ev))
		}
	case reap.Exited:
		if ev.Key == emergencyKey && ev.Run == e.run {
			e.ended()
		}
	}
}

// sitting is how long somebody sits at a shell at least. One that ends before has no
// terminal worth the name, and would be back at once, again and again.
const sitting = 2 * time.Second

// ended has what failed tried again, which is the next shell's turn if it fails again.
func (e *emergency) ended() {
	e.shell = nil
	failed := e.failed
	e.failed = nil
	if len(failed) == 0 || time.Since(e.since) < sitting {
		e.log.Error("the emergency shell has ended: the next critical failure starts another one")
		return
	}
	e.log.Error("the emergency shell has ended: what is down of this is started again: " + strings.Join(failed, ", "))
	e.again(failed)
}

// adopt takes over the shell that was started for an earlier server.
func (e *emergency) adopt(inv reap.Inventory) {
	e.run = inv.Runs[emergencyKey]
	for _, c := range inv.Children {
		if c.Key == emergencyKey && !c.MainGone {
			e.shell = shells[0] // whichever it is
		}
	}
}

// find is the command of the first shell that is there; nil: there is none.
func (e *emergency) find() []string {
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
