package pid1

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"zinit/applets/env"
	"zinit/reap"
)

// Main is the applets zinit-pid1 and init: process 1 of a machine or a container.
// It returns an exit code at the end of a container, and never on a machine.
// Started as any other process it is a standalone keeper.
func Main(e *env.Env) int {
	if e.Name() == "init" {
		return start(e, env.DialectInit, ways{roleOf, patienceOf})
	}
	return start(e, env.DialectPid1, ways{roleOf, patienceOf})
}

// Standalone is the applet zinit-server: a server with a keeper above it. As
// process 1 it does what Main does. It returns when the server has been shut down.
func Standalone(e *env.Env) int { return start(e, env.DialectServer, ways{roleOf, patienceOf}) }

// ways are what a test plays differently.
type ways struct {
	role     func(pid int, flags env.ServerFlags, getenv func(string) string) role
	patience func(role) patience
}

func start(e *env.Env, d env.Dialect, w ways) int {
	signals := catchSignals()
	flags, err := e.ParseServerFlags(d)
	r := w.role(os.Getpid(), flags, e.Getenv)
	if r != machine {
		switch {
		case err != nil:
			fmt.Fprintf(e.Stderr, "%s: %v\n\n%s", e.Name(), err, e.ServerUsage(d))
			return env.ExitUsage
		case flags.Help:
			return answer(e.Stdout, e.ServerUsage(d))
		case flags.Version:
			return answer(e.Stdout, e.Name()+" "+env.Version+"\n")
		}
	}
	console := newConsole(e.Stderr)
	defer console.flush(time.Second)
	if err != nil {
		// The kernel hands on what it does not know of its own command line.
		console.printf("not understood, going on: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if d != env.DialectServer && r == standalone {
		console.printf("this is not process 1: running as any other server")
	}
	flags.Container = r == container
	flags.Pid1Mode = flags.Pid1Mode || r == machine
	k, err := newKeeper(life{role: r, patience: w.patience(r)}, flags, console, signals)
	if err != nil {
		console.printf("%v", err)
		return env.ExitFailed
	}
	return k.run()
}

// roleOf decides what ends with this process.
func roleOf(pid int, flags env.ServerFlags, getenv func(string) string) role {
	switch {
	case pid != 1:
		return standalone
	case flags.Container || InContainer(getenv):
		return container
	}
	return machine
}

func answer(out io.Writer, text string) int {
	if _, err := io.WriteString(out, text); err != nil {
		return env.ExitFailed
	}
	return env.ExitDone
}

// newKeeper sets the real keeper up. As process 1 it does not give up.
func newKeeper(l life, flags env.ServerFlags, console *console, signals <-chan os.Signal) (*keeper, error) {
	k := &keeper{
		life:      l,
		console:   console,
		signals:   signals,
		terminals: terminals(),
		binary:    thisBinary(),
		argv:      append([]string{"zinit-child"}, flags.Args()...),
		births:    make(chan any, 1),
	}
	for {
		var err error
		if k.reap, err = reap.NewKeeper(console.printf); err == nil {
			return k, nil
		}
		if l.role == standalone {
			return nil, err
		}
		console.printf("%v: trying again in a second", err)
		<-time.After(time.Second)
	}
}
