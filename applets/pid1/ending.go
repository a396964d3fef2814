package pid1

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A goal is what a shutdown leads to.
type goal uint8

const (
	exit goal = iota
	powerOff
	reboot
	halted     // the machine stays on and does nothing
	kexec      // another kernel that was loaded before
	switchRoot // another root, with a process 1 of its own
)

// String is what goes on, for people.
func (g goal) String() string {
	return [...]string{"ending", "powering off", "rebooting", "halting", "starting the kernel that was loaded", "switching to another root"}[g]
}

// firstRealTime is the first of the signals that C libraries leave to programs; it is
// from there that the convention of systemd counts. The kernel's own first two or
// three are theirs.
const firstRealTime = syscall.Signal(34)

// wishes are the signals by which process 1 of a machine is asked to end it.
var wishes = [...]struct {
	sig  syscall.Signal
	goal goal
}{
	{unix.SIGTERM, powerOff},
	{unix.SIGINT, reboot}, // Ctrl-Alt-Del
	{unix.SIGPWR, powerOff},
	{firstRealTime + 3, halted},
	{firstRealTime + 4, powerOff},
	{firstRealTime + 5, reboot},
	{firstRealTime + 6, kexec},
	{switchSignal, switchRoot},
}

// goalOf is what a signal asks for, and whether it asks for an end at all. In a
// container every such wish is one to end: engines send some that mean the machine.
func goalOf(sig syscall.Signal, r role) (g goal, ends bool) {
	if r == standalone {
		return exit, sig == unix.SIGTERM || sig == unix.SIGINT
	}
	for _, w := range wishes {
		switch {
		case w.sig != sig:
		case r == machine:
			return w.goal, true
		case w.goal != switchRoot:
			return exit, true
		}
	}
	return exit, false
}

// asked decides about a signal.
func (l *life) asked(e asked, now time.Time) []any {
	goal, ends := goalOf(e.sig, l.role)
	switch {
	case e.sig == syscall.SIGUSR1:
		return l.softly(now)
	case !ends && l.stage >= drain:
		return nil
	case !ends:
		return []any{tellServer{e.sig}}
	case l.stage == halt:
		l.goal = goal
		return []any{finish{l.goal, l.code}} // the kernel refused: ask it again
	case l.stage >= drain && e.sig == syscall.SIGINT && l.role != machine:
		if l.stage == sweep && l.killing {
			return nil
		}
		l.code = 1
		return append([]any{say{"interrupted again: killing everything"}, refuseSpawns{}}, l.kill(now)...)
	case l.stage >= drain:
		return nil // it is under way
	}
	l.drain(goal, e.worst, now)
	if !l.running && !l.starting {
		return l.takeOver("there is no server")
	}
	// The server knows two ways to be asked, and not what comes after it.
	tell := syscall.SIGTERM
	if e.sig == syscall.SIGINT {
		tell = e.sig
	}
	return []any{refuseSpawns{}, tellServer{tell}}
}

// usual is what a shutdown leads to unless told otherwise.
func (l *life) usual() goal {
	if l.role == machine {
		return powerOff
	}
	return exit
}

// sweep begins to end what is left.
func (l *life) sweep(now time.Time) []any {
	l.stage = sweep
	if l.patience.heed == 0 {
		return append([]any{refuseSpawns{}}, l.kill(now)...)
	}
	l.heedBy = now.Add(l.patience.heed)
	return []any{refuseSpawns{}, askAll{}}
}

// kill ends it without asking.
func (l *life) kill(now time.Time) []any {
	l.stage, l.killing = sweep, true
	l.sweepBy = now.Add(l.patience.sweep)
	return []any{killAll{}}
}

func (l *life) halt() []any {
	l.stage = halt
	return []any{finish{l.goal, l.code}}
}

// end is the moment at which everything has ended at the latest, what is killed and
// lives on included. It does not move.
func (l *life) end() time.Time { return l.endBy.Add(l.patience.heed + l.patience.sweep) }

// hopeless is how many servers in a row may fail before somebody should look.
const hopeless = 5

// despair offers a shell on the console of a machine that has nothing else left, and
// another one when that has ended and nothing is better.
func (l *life) despair() []any {
	switch {
	case l.role != machine || l.delay < firstDelay<<(hopeless-1):
		return nil
	case l.offered:
		return []any{offerShell{}}
	}
	l.offered = true
	return []any{say{"no server comes up: what runs runs on, and trying goes on"}, offerShell{}}
}
