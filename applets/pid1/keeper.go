package pid1

import (
	"errors"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"zinit/reap"
)

// A keeper feeds a life with what happens and does what it wants. All of it
// belongs to the goroutine that runs it.
type keeper struct {
	life life
	reap *reap.Keeper

	binary *binary
	argv   []string // of the server
	// contained: what runs here is a container, whoever its process 1 is.
	contained bool
	reports   bool     // SIGUSR1 asks for a report
	births    chan any // how the start that is under way ended: started or notStarted

	applet     []string // the name under which this program was found, and its arguments
	rehearsals chan rehearsal
	candidate  *reap.Candidate // that has rehearsed well
	unheard    unheard

	console   *console
	signals   <-chan os.Signal
	terminals []int // standard descriptors that were terminals at the start

	waves *waves    // nil unless the keeper stops the services by itself
	wake  time.Time // when the waves go on; zero for not by time

	standIn *standIn

	machine  machinery
	newRoot  newRoot // to go on in, when that was asked for
	progress progress

	over bool // return code
	code int
}

// run lives that life, from where an earlier program left it. It returns the exit
// code.
func (k *keeper) run(left *reap.Heritage) int {
	timer := time.NewTimer(0)
	defer timer.Stop()
	if left == nil {
		k.guard(func() { k.feed(begun{}) })
	} else {
		k.guard(func() { k.takeUp(left.Notes) })
	}
	for !k.over {
		if due, ok := k.due(); ok {
			timer.Reset(time.Until(due))
		} else {
			timer.Stop()
		}
		notices := k.reap.Notices()
		if k.life.starting {
			notices = nil // that it runs is told before what it does
		}
		select {
		case sig := <-k.signals:
			k.guard(func() { k.signalled(sig) })
		case b := <-k.births:
			k.guard(func() {
				k.feed(b)
				k.advance()
			})
		case r := <-k.rehearsals:
			k.guard(func() {
				k.candidate = r.candidate
				k.feed(rehearsed{r.err})
			})
		case n := <-notices:
			k.guard(func() { k.noticed(n) })
		case <-k.reap.Changed():
			k.guard(k.advance)
		case <-timer.C:
			k.guard(func() {
				k.feed(ticked{})
				k.advance()
			})
		}
		k.showProgress()
	}
	return k.code
}

// guard survives a panic. The pause keeps one that repeats itself from becoming a
// spin.
func (k *keeper) guard(f func()) {
	defer func() {
		if r := recover(); r != nil {
			k.console.printf("the keeper failed and goes on: %v\n%s", r, debug.Stack())
			<-time.After(time.Second)
		}
	}()
	f()
}

// due is when something is to be done although nothing has happened.
func (k *keeper) due() (time.Time, bool) {
	due := k.life.deadline()
	if !k.wake.IsZero() && (due.IsZero() || k.wake.Before(due)) {
		due = k.wake
	}
	if show := k.progress.due(k.life.stage); !show.IsZero() && (due.IsZero() || show.Before(due)) {
		due = show
	}
	return due, !due.IsZero()
}

// feed hands an event to the life and does what it wants.
func (k *keeper) feed(event any) {
	for _, action := range k.life.step(event, time.Now()) {
		k.perform(action)
	}
}

func (k *keeper) perform(action any) {
	switch a := action.(type) {
	case say:
		k.console.printf("%s", a.text)
	case startServer:
		k.startServer(a.back)
	case prove:
		k.binary.prove()
	case killServer:
		k.signalServer(unix.SIGKILL)
	case tellServer:
		k.reap.Forward(a.sig)
	case endServer:
		k.reap.Tell(unix.SIGUSR1)
	case rehearse:
		k.rehearse()
	case execute:
		k.execute()
	case refuse:
		k.reap.RefuseReexec(a.why)
	case refuseSpawns:
		k.reap.SetStage(reap.StageDrain)
	case stopServices:
		plan, _ := k.reap.Plan()
		k.waves = newWaves(plan, k.reap.Children(), time.Now(), a.endBy)
		k.advance()
	case askAll:
		k.waves, k.wake = nil, time.Time{}
		askStrays()
		k.advance()
	case killAll:
		k.waves, k.wake = nil, time.Time{}
		k.advance()
	case offerShell:
		k.offerShell()
	case finish:
		k.finish(a)
	}
}

// startServer begins to start a server. What the last one had asked for is carried
// out first, and an exec of that, or the server's own, can hang; signals and
// deadlines are obeyed meanwhile.
func (k *keeper) startServer(back bool) {
	go func() {
		result := any(notStarted{errors.New("cannot start server: the attempt failed")})
		defer func() {
			if r := recover(); r != nil {
				k.console.printf("the start of a server failed: %v\n%s", r, debug.Stack())
			}
			k.births <- result
		}()
		k.standIn.serverComes()
		// Standard input is not handed on: the keeper's terminal is not the server's. That
		// of a container is for its main service.
		stdio := [3]*os.File{nil, os.Stdout, os.Stderr}
		if k.contained {
			stdio[0] = os.Stdin
		}
		pid, fresh, err := k.binary.start(back, func(path string) (int, error) {
			return k.reap.StartServer(path, k.argv, os.Environ(), stdio)
		}, k.console.printf)
		if err != nil {
			k.standIn.serverGone()
			result = notStarted{err}
			return
		}
		k.standIn.serverBorn()
		result = started{pid, fresh}
	}()
}

func (k *keeper) signalServer(sig syscall.Signal) {
	if err := k.reap.SignalServer(sig); err != nil && err != unix.ESRCH {
		k.console.printf("cannot send signal %d to the server: %v", sig, err)
	}
}

func (k *keeper) signalled(sig os.Signal) {
	s, ok := sig.(syscall.Signal)
	if !ok {
		return
	}
	switch meaningOf(s, k.life.role, k.reports) {
	case anEnd:
		if goal, _ := goalOf(s, k.life.role); goal == switchRoot && !k.takeOrder() {
			return
		}
	case anotherServer:
		s = unix.SIGUSR1
	case anotherKeeper:
		k.feed(replaceWanted{})
		return
	case aReport:
		// Between keeper and server SIGUSR1 means to leave.
		k.reap.Tell(unix.SIGUSR2)
		return
	case aReload:
		if k.reap.OwnHangup() {
			return
		}
		if k.life.role != machine && hungUp(k.terminals) {
			s = unix.SIGTERM
		}
	default:
		return
	}
	_, worst := k.reap.Plan()
	k.feed(asked{s, worst})
}

func (k *keeper) noticed(n reap.Notice) {
	switch n := n.(type) {
	case reap.ServerReady:
		k.standIn.serverReady()
		k.feed(ready{})
		if !k.life.trial.on {
			k.binary.prove()
		}
	case reap.ServerExited:
		k.standIn.serverGone()
		k.feed(ended{n.Status, n.WasReady, n.Draining})
	case reap.ReexecWanted:
		k.feed(replaceWanted{})
	case reap.Draining:
		_, worst := k.reap.Plan()
		k.feed(draining{worst, int(n.Code)})
	}
	k.advance()
}

// advance goes on with what the keeper does by itself: the stop waves, and then
// the sweep. It is called whenever somebody may have ended.
func (k *keeper) advance() {
	switch {
	case k.life.stage == drain && k.waves != nil:
		orders, notes, wake, done := k.waves.step(k.reap.Children(), time.Now())
		for _, o := range orders {
			if err := k.reap.Signal(o.key, o.run, o.sig, o.scope); err != nil && err != unix.ESRCH {
				k.console.printf("cannot send signal %d to %s: %v", o.sig, o.key, err)
			}
		}
		for _, note := range notes {
			k.console.printf("%s", note)
		}
		k.wake = wake
		if done {
			k.waves = nil
			k.feed(emptied{})
		}
	case k.life.stage == sweep:
		if childless() && !k.life.starting { // what is on its way is nobody's child yet
			k.feed(emptied{})
			return
		}
		if !k.life.killing {
			return // they were asked
		}
		for _, c := range k.reap.Children() {
			_ = k.reap.Signal(c.Key, c.Run, unix.SIGKILL, reap.ScopeCgroup) // it may be gone by now
		}
		k.signalServer(unix.SIGKILL)
		killStrays()
	}
}
