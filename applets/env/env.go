package env

import "io"

// An Env is the surroundings of one applet. It is not changed after the start.
type Env struct {
	// Args holds the name under which the applet was found, then its arguments.
	Args []string

	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Getenv answers as os.Getenv does.
	Getenv func(string) string

	// UID is the effective user id; it decides between the system's paths and
	// the user's own.
	UID int
}

// Exit codes that every applet keeps to.
const (
	ExitDone      = 0   // what was asked is done
	ExitFailed    = 1   // it was refused or went wrong
	ExitUsage     = 2   // the command line makes no sense
	ExitState     = 3   // the service is not running, or not in the state asked for
	ExitUnknown   = 4   // there is no such service
	ExitNoServer  = 5   // no server answers on the socket
	ExitNoApplet  = 127 // no applet of that name
	DefaultConfig = "/etc/zinit/services"
	LegacyConfig  = "/etc/zinit" // files *.yaml of zinit 0.2, beside DefaultConfig
	// SystemConfig is read before DefaultConfig with --pid1-mode, but not in a container.
	SystemConfig  = "/etc/zinit/system"
	DefaultSocket = "/run/zinit.sock"
	// Where sideros-start has its services and its global file.
	SiderosServices = "/etc/sideros/services"
	SiderosFile     = "/etc/sideros/start.toml"
)
