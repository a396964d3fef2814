package env

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ServerFlags is what a server and its keeper are told on the command line. Both
// parse it, before anything is forked.
type ServerFlags struct {
	// ConfigDir, Socket and LogLevel are resolved: never empty, the flag first,
	// then the environment, then the default.
	ConfigDir, Socket, LogLevel string

	// Pid1Mode adds what a server under process 1 does: the system directory,
	// critical services and the intake of /dev/log.
	Pid1Mode bool

	// Single and Emergency bring a machine up for repair, with a shell on its console:
	// of the services only those of the system start by themselves, or none.
	Single, Emergency bool

	// Container says that the machine is not ours, whatever the kernel shows.
	Container bool

	// LogFile gets the server's own log instead of standard error, when it can be written.
	LogFile string

	// ReportOnUsr1 has SIGUSR1 write the states of all services to the log. What that
	// does otherwise, ReplaceSignal does.
	ReportOnUsr1 bool

	// StartFile is a start.toml whose [defaults] hold for the user's services; empty: none.
	StartFile string

	// StopTimeout bounds a whole shutdown; zero: nobody has said how long it may take.
	StopTimeout time.Duration

	// Command is what follows "--": the program that a container is for, with its
	// arguments; nil: there is none.
	Command []string

	// Help and Version ask for a text instead of a server.
	Help, Version bool
}

// ReplaceSignal has a keeper replace its server, as SIGUSR1 does unless that means
// something else.
const ReplaceSignal = syscall.Signal(34 + 9)

// ReportFlag sets ReportOnUsr1; on the command line of a server it tells who looks there.
const ReportFlag = "--report-on-usr1"

// LogLevels lists the levels that --log-level takes, most talkative first.
func LogLevels() []string { return []string{"trace", "debug", "info", "warn", "error"} }

// A Dialect is one of the ways in which servers have been started. They share
// the long flags and differ in what the short ones mean.
type Dialect uint8

const (
	// DialectServer is zinit-server: -c DIR, -s PATH.
	DialectServer Dialect = iota
	// DialectPid1 is zinit-pid1, whose -c is --container.
	DialectPid1
	// DialectInit is init as zinit 0.2 has it: -c or --config DIR, -b N, -d.
	DialectInit
)

// ParseServerFlags reads the arguments that follow the applet's name. A flag
// that is given twice counts as given last; "--flag=value" and "--flag value" are
// the same; what follows "--" is a command. An error is worth showing as it is, with the usage beneath.
func (e *Env) ParseServerFlags(d Dialect) (ServerFlags, error) {
	var f ServerFlags
	var args []string
	if len(e.Args) > 1 {
		args = e.Args[1:]
	}
	var wrong []error
	table := d.table(&f)
	for len(args) > 0 {
		if args[0] == "--" {
			if f.Command = args[1:]; len(f.Command) == 0 {
				wrong = append(wrong, errors.New("-- needs a command after it: -- CMD ARGS"))
				f.Command = nil
			}
			break
		}
		used, err := TakeFlag(table, args)
		if err != nil {
			wrong = append(wrong, err)
		}
		args = args[used:]
	}
	f.ConfigDir = e.ConfigDir(f.ConfigDir)
	f.Socket = e.SocketPath(f.Socket)
	// What is shown, and what the server is started with again later, must not
	// depend on where the keeper was started.
	for _, path := range []*string{&f.ConfigDir, &f.Socket} {
		if abs, err := filepath.Abs(*path); err == nil {
			*path = abs
		}
	}
	quiet := "info"
	if f.Command != nil {
		quiet = "warn" // the terminal is the command's
	}
	f.LogLevel = strings.ToLower(e.LogLevel(f.LogLevel, quiet))
	// A level from the environment may be meant for another program (RUST_LOG
	// holds whole filters): it never keeps a server from starting.
	if checkLevel(f.LogLevel) != nil {
		f.LogLevel = quiet
	}
	return f, errors.Join(wrong...)
}

// table lists the flags of a dialect in the order of its help; they are for f.
func (d Dialect) table(f *ServerFlags) []Flag {
	config := Flag{[]string{"--config-dir", "-c"}, "DIR", "directory of service files",
		func(v string) error { f.ConfigDir = v; return nil }}
	container := Flag{[]string{"--container"}, "", "this is a container: end instead of powering off",
		func(string) error { f.Container = true; return nil }}
	var own []Flag
	switch d {
	case DialectPid1:
		config.Names = config.Names[:1]
		container.Names = append(container.Names, "-c")
	case DialectInit:
		config.Names = append(config.Names, "--config")
		own = []Flag{
			{[]string{"--debug", "-d"}, "", "the same as --log-level debug",
				func(string) error { f.LogLevel = "debug"; return nil }},
			{[]string{"--buffer", "-b"}, "N", "accepted for zinit 0.2; each service has its own buffer now",
				func(string) error { return nil }},
		}
	}
	return slices.Concat([]Flag{
		config,
		{[]string{"--socket", "-s"}, "PATH", "where to listen for clients",
			func(v string) error { f.Socket = v; return nil }},
		{[]string{"--log-level"}, "LEVEL", strings.Join(LogLevels(), ", "),
			func(v string) error { f.LogLevel = v; return checkLevel(v) }},
	}, own, []Flag{
		container,
		{[]string{"--stop-timeout"}, "TIME", "bound of a whole shutdown, as 8s or 1m30s (in a container 8s)",
			func(v string) (err error) { f.StopTimeout, err = stopTimeout(v); return err }},
		{[]string{"--log-file"}, "PATH", "append the server's own log to it",
			func(v string) (err error) { f.LogFile, err = filepath.Abs(v); return err }},
		{[]string{"--start-file"}, "PATH", "take the [defaults] of this start.toml",
			func(v string) (err error) { f.StartFile, err = filepath.Abs(v); return err }},
		{[]string{ReportFlag}, "", "SIGUSR1 logs the states of all services",
			func(string) error { f.ReportOnUsr1 = true; return nil }},
		{[]string{"--pid1-mode"}, "", "load the system directory too, as under process 1",
			func(string) error { f.Pid1Mode = true; return nil }},
		{[]string{"--single"}, "", "for repair: start what is of the system, and a shell on the console",
			func(string) error { f.Single = true; return nil }},
		{[]string{"--emergency"}, "", "the same, and start nothing else",
			func(string) error { f.Emergency = true; return nil }},
		{[]string{"--help", "-h"}, "", "show this help",
			func(string) error { f.Help = true; return nil }},
		{[]string{"--version", "-V"}, "", "show the version",
			func(string) error { f.Version = true; return nil }},
	})
}

func checkLevel(level string) error {
	if slices.Contains(LogLevels(), strings.ToLower(level)) {
		return nil
	}
	return fmt.Errorf("unknown log level %q: use one of %s", level, strings.Join(LogLevels(), ", "))
}

// stopTimeout reads a time, of which a bare number is seconds, as for the engines that
// run containers.
func stopTimeout(text string) (time.Duration, error) {
	if strings.Trim(text, "0123456789") == "" {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < minStopTimeout || d > maxStopTimeout {
		return 0, fmt.Errorf("%q: use a time from %v to %v, as 8s or 1m30s", text, minStopTimeout, maxStopTimeout)
	}
	return d, nil
}

const (
	minStopTimeout = 100 * time.Millisecond
	maxStopTimeout = 24 * time.Hour
)

// ServerUsage is the help of a server applet, with a newline at its end.
func (e *Env) ServerUsage(d Dialect) string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s [flags] [-- CMD ARGS]\n\nflags:\n", e.Name())
	b.WriteString(FlagHelp(d.table(&ServerFlags{}), 19))
	fmt.Fprintf(&b, "\nconfig dir %s, socket %s, log level %s unless told otherwise\n",
		e.ConfigDir(""), e.SocketPath(""), "info")
	b.WriteString("environment: ZINIT_CONFIG_DIR, ZINIT_SOCKET, ZINIT_LOG_LEVEL, ZINIT_CONTAINER\n")
	b.WriteString("CMD is what a container is for: the container ends when it does, with its exit code\n")
	return b.String()
}

// Args renders the flags so that ParseServerFlags in DialectServer gives the same
// again, whatever the environment is by then.
func (f ServerFlags) Args() []string {
	args := []string{"--config-dir=" + f.ConfigDir, "--socket=" + f.Socket, "--log-level=" + f.LogLevel}
	if f.Pid1Mode {
		args = append(args, "--pid1-mode")
	}
	if f.Single {
		args = append(args, "--single")
	}
	if f.Emergency {
		args = append(args, "--emergency")
	}
	if f.Container {
		args = append(args, "--container")
	}
	if f.LogFile != "" {
		args = append(args, "--log-file="+f.LogFile)
	}
	if f.StartFile != "" {
		args = append(args, "--start-file="+f.StartFile)
	}
	if f.ReportOnUsr1 {
		args = append(args, ReportFlag)
	}
	if f.StopTimeout != 0 {
		args = append(args, "--stop-timeout="+f.StopTimeout.String())
	}
	if f.Command != nil {
		args = append(append(args, "--"), f.Command...)
	}
	return args
}

// Name is the name under which the applet was found, "zinit" when there is none.
func (e *Env) Name() string {
	if len(e.Args) == 0 {
		return "zinit"
	}
	return e.Args[0]
}
