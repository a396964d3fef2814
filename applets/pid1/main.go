package pid1

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"zinit/applets/env"
	"zinit/reap"
	"zinit/reap/cgroup"
)

// Main is the applets zinit-pid1 and init: process 1 of a machine or a container.
// It returns an exit code at the end of a container, and never on a machine.
// Started as any other process it is a standalone keeper.
func Main(e *env.Env) int {
	if i := slices.Index(e.Args, switchFlag); i > 0 {
		catchSignals()
		code, done := switchRootMain(e, e.Args[i+1:])
		if done {
			return code
		}
		copied := *e
		copied.Args = e.Args[:i]
		e = &copied
	}
	return start(e, dialectOf(e.Name()), theseWays())
}

// dialectOf is how the flags of an applet are read.
func dialectOf(name string) env.Dialect {
	switch name {
	case "init":
		return env.DialectInit
	case "zinit-server":
		return env.DialectServer
	}
	return env.DialectPid1
}

// Standalone is the applet zinit-server: a server with a keeper above it. As
// process 1 it does what Main does. It returns when the server has been shut down.
func Standalone(e *env.Env) int { return start(e, env.DialectServer, theseWays()) }

func theseWays() ways { return ways{roleOf, patienceOf, thisMachine()} }

// ways are what a test plays differently.
type ways struct {
	role     func(pid int, flags env.ServerFlags, getenv func(string) string) role
	patience func(role) patience
	machine  machinery
}

func start(e *env.Env, d env.Dialect, w ways) int {
	signals := catchSignals()
	left, lost := reap.Inherit()
	flags, err := e.ParseServerFlags(d)
	r := w.role(os.Getpid(), flags, e.Getenv)
	if r == machine {
		e = withoutKernelWords(e)
		flags, err = e.ParseServerFlags(d)
	}
	if r != machine && left == nil {
		err = errors.Join(err, contain(e, d, r, &flags, mayWrite))
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
	if err != nil && left == nil {
		// The kernel hands on what it does not know of its own command line.
		console.printf("not understood, going on: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if d != env.DialectServer && r == standalone && left == nil {
		console.printf("this is not process 1: running as any other server")
	}
	if lost != nil {
		console.printf("%v: beginning anew", lost)
	}
	l := life{role: r}
	if left != nil {
		if l, err = lifeOf(left.Notes, time.Now()); err != nil {
			console.printf("%v", err) // it was rehearsed; the rest is understood
		}
		if _, told := left.Notes[noteRole]; !told {
			l.role = r
		}
	}
	if left != nil && l.role != machine {
		_ = contain(e, d, l.role, &flags, mayWrite) // it was said at the start
	}
	if flags.Container && l.role == machine {
		console.printf("this is process 1 of a machine and not of a container: --container is passed over")
	}
	flags.Container = flags.Container && l.role != machine
	l.patience = w.patience(l.role).within(flags.StopTimeout)
	if l.role == machine {
		w.machine.begin(&flags, left == nil, console.printf)
	}
	k, err := newKeeper(l, flags, console, signals, left)
	if err != nil {
		console.printf("%v", err)
		return env.ExitFailed
	}
	k.machine = w.machine
	k.applet = append([]string{e.Name()}, e.Args[min(1, len(e.Args)):]...)
	// Without cgroups services run too; the server finds out and says so.
	_ = cgroup.Enter()
	defer func() { _ = cgroup.Leave() }() // what remains is removed by the next start
	return k.run(left)
}

// roleOf decides what ends with this process.
func roleOf(pid int, flags env.ServerFlags, getenv func(string) string) role {
	switch {
	case pid != 1:
		return standalone
	case isContainer(flags.Container || getenv(containerVar) != ""):
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

// newKeeper sets the real keeper up. As process 1, or with children that an earlier
// program left, it does not give up.
func newKeeper(l life, flags env.ServerFlags, console *console, signals <-chan os.Signal, left *reap.Heritage) (*keeper, error) {
	k := &keeper{
		life:       l,
		console:    console,
		signals:    signals,
		terminals:  terminals(),
		binary:     thisBinary(),
		argv:       append([]string{"zinit-child"}, flags.Args()...),
		contained:  flags.Container,
		reports:    flags.ReportOnUsr1,
		births:     make(chan any, 1),
		rehearsals: make(chan rehearsal, 1),
	}
	for {
		var err error
		if left == nil {
			k.reap, err = reap.NewKeeper(console.printf)
		} else {
			k.reap, err = reap.Resume(left, console.printf)
		}
		if err == nil {
			// The file that this process runs comes first: the step speaks with it.
			k.reap.SetSelf(append(slices.Clone(k.binary.kept), k.binary.path)...)
			k.standIn = newStandIn(flags, k.reap, console.printf)
			return k, nil
		}
		if l.role == standalone && left == nil {
			return nil, err
		}
		console.printf("%v: trying again in a second", err)
		<-time.After(time.Second)
	}
}
