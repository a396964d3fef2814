package pid1

import (
	"os"
	"slices"
	"time"

	"zinit/applets/env"
	"zinit/applets/pid1/host"
)

// upTime is how long a disk or device that does not answer holds up the first service.
const upTime = 10 * time.Second

// searchPath is what process 1 of a machine looks programs up in: the kernel gives it
// none, and what it starts inherits its own.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// withoutKernelWords leaves out of the arguments of process 1 what the kernel hands on
// of its own command line: it is read there.
func withoutKernelWords(e *env.Env) *env.Env {
	copied := *e
	copied.Args = slices.Clone(e.Args)
	if len(copied.Args) > 1 {
		rest := slices.DeleteFunc(copied.Args[1:], host.Knows)
		copied.Args = copied.Args[:1+len(rest)]
	}
	return &copied
}

// begin prepares the machine, unless an earlier program of this process has, and
// completes the flags by what the kernel's command line asks for.
func (m machinery) begin(flags *env.ServerFlags, first bool, say func(format string, args ...any)) {
	flags.Pid1Mode = true
	if first {
		m.up(say)
		if os.Getenv("PATH") == "" {
			_ = os.Setenv("PATH", searchPath) // the name is good and so is the value
		}
	}
	c := m.asks()
	if first && c.Wrong != "" {
		say("the kernel's command line: %s means nothing here: zinit.log=LEVEL (trace, debug, info, warn or error) and zinit.debug do", c.Wrong)
	}
	flags.Single = flags.Single || c.Single
	flags.Emergency = flags.Emergency || c.Emergency
	switch {
	case c.LogLevel != "":
		flags.LogLevel = c.LogLevel
	case c.Quiet && flags.LogLevel == "info":
		flags.LogLevel = "warn"
	}
}

// raise does what a machine needs before its services. Whoever is process 1 of less
// than a machine, whatever it takes itself for, touches nothing.
func raise(say func(format string, args ...any)) {
	if !mayReboot() {
		say("the kernel does not let this process end the machine: nothing is mounted")
		return
	}
	host.Up(time.Now().Add(upTime), say)
}

// putAway undoes it when everything has ended.
func putAway(deadline time.Time, say func(format string, args ...any)) {
	if mayReboot() {
		host.Down(deadline, say)
	}
}
