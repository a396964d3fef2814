package prep

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"zinit/applets/env"
	"zinit/reap"
)

// Name is the name under which Main is found.
const Name = reap.PrepName

// Main is the applet. It returns only if the program could not be executed; the keeper
// has been told why.
func Main(e *env.Env) int {
	// User, capabilities and priority are those of one thread, and it is the one that
	// executes whose they become.
	runtime.LockOSThread()
	first := 0
	if len(e.Args) == 2 {
		first, _ = strconv.Atoi(e.Args[1]) // 0, as any other wrong number, is refused
	}
	order, err := reap.TakePrep(first)
	if err != nil {
		fmt.Fprintf(e.Stderr, "%s: %v\n", e.Name(), err)
		return env.ExitUsage
	}
	order.Refused(become(order))
	return env.ExitFailed
}

// become does what was ordered and executes the program; the error says what could not
// be done. One of the exec itself is the bare errno.
func become(o *reap.PrepOrder) error {
	for _, step := range [...]func(*reap.PrepOrder) error{
		enterCgroup, setUmask, setNice, setScore, dropBounds, setLimits, becomeUser, keepCapabilities, noNewPrivs, enterDir,
	} {
		if err := step(o); err != nil {
			return err
		}
	}
	environ := withPid(o.Env, o.Prep.PidVars)
	// What was blocked when the keeper was started is blocked no more.
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, new(unix.Sigset_t), nil); err != nil {
		return fmt.Errorf("cannot unblock signals: %w", err)
	}
	o.Executing()
	return syscall.Exec(o.Path, o.Argv, environ)
}

// withPid sets variables to the number of this process.
func withPid(environ, names []string) []string {
	if len(names) == 0 {
		return environ
	}
	pid := strconv.Itoa(unix.Getpid())
	own := make(map[string]bool, len(names))
	for _, name := range names {
		own[name] = true
	}
	list := make([]string, 0, len(environ)+len(names))
	for _, variable := range environ {
		if name, _, _ := strings.Cut(variable, "="); !own[name] {
			list = append(list, variable)
		}
	}
	for _, name := range names {
		list = append(list, name+"="+pid)
	}
	return list
}
