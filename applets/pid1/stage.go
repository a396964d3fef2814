package pid1

import (
	"fmt"
	"syscall"
	"time"

	"zinit/reap"
)

// A stage is how far the keeper is with its own life.
type stage uint8

const (
	boot    stage = iota // the first server is on its way
	serve                // a server decides
	respawn              // there is none, or it has not taken over yet
	drain                // a shutdown began
	sweep                // what is left is killed
	halt                 // nothing is left to do but to end
)

func (s stage) String() string {
	return [...]string{"boot", "serve", "respawn", "drain", "sweep", "halt"}[s]
}

// A role is what the end of the keeper is the end of.
type role uint8

const (
	standalone role = iota // of a process among others
	container              // of a container, as its process 1
	machine                // of a machine, as its process 1: it must not exit
)

const (
	firstDelay = 100 * time.Millisecond // before a server that was not ready is replaced
	lastDelay  = 30 * time.Second       // the delay doubles up to this
	slowStart  = 10 * time.Second       // after which a start that does not end is told of
)

// A patience is how long the parts of a shutdown, and of a soft restart, may take.
type patience struct {
	soft   time.Duration // for a server that is to be replaced to end
	answer time.Duration // for a server to say that it has begun
	spare  time.Duration // on top of what the plan takes at worst
	own    time.Duration // for the keeper, after a server that hung
	heed   time.Duration // for what is left, no service, to end when it is asked to
	sweep  time.Duration // for what was killed to be gone
	whole  time.Duration // for everything but the sweep; zero is unlimited
}

// patienceOf is what a role leaves time for.
func patienceOf(r role) patience {
	p := patience{soft: 5 * time.Second, answer: 5 * time.Second, spare: 2 * time.Second, own: 5 * time.Second, sweep: 3 * time.Second}
	switch r {
	case container:
		p = p.within(containerTime)
	case machine:
		p.heed = 2 * time.Second
	}
	return p
}

// A life decides what the keeper does next. It is pure: time comes with the
// events, and what is to be done is returned.
type life struct {
	role     role
	patience patience
	stage    stage

	// running: there is a server process; starting: one is on its way, which takes as
	// long as an exec hangs. Both can be so in every stage, but never at once.
	running, starting bool
	// first: no server has ended yet and none was ready.
	first bool
	// readyAt is when the server was ready; zero is long ago. hasty: the last one ended
	// at once after that.
	readyAt time.Time
	hasty   bool
	// delay is the back-off of the next respawn, and startAt, in stage respawn
	// without a server, the moment of it. While one starts it is when to tell that
	// this takes long; zero when it was told.
	delay   time.Duration
	startAt time.Time

	// soft: the server is to be replaced because somebody wants it to be. softBy, while
	// it runs, is when it is killed; zero when it was.
	soft   bool
	softBy time.Time

	// trial is of the program at the path; back: it has failed one.
	trial trial
	back  bool

	replacing replacing // of the keeper's own program

	// From drain on. The three moments are fixed when the shutdown begins.
	goal       goal
	answerBy   time.Time // the server has said Draining, or is hung
	handOverBy time.Time // the server has ended, or is hung
	endBy      time.Time // the services are stopped, or are killed
	answered   bool      // the server said Draining
	alone      bool      // the keeper stops the services by itself

	// In stage sweep: what lives on at heedBy is killed, and at sweepBy cannot be.
	heedBy, sweepBy time.Time
	killing         bool
	offered         bool // a shell, since no server comes up, and that was said
	code            int  // with which to exit
}

// What happens to a life.
type (
	begun   struct{} // the keeper is set up
	started struct { // a server was forked; nothing comes from it before
		pid   int
		fresh bool // of another program than the one that proved itself last
	}
	notStarted struct{ err error } // it could not be
	ready      struct{}            // the server has taken over
	ended      struct {            // the server was reaped
		status          reap.Status
		ready, draining bool
	}
	draining struct { // the server has begun a shutdown, perhaps by itself
		worst time.Duration
		code  int // with which to exit after it
	}
	replaceWanted struct{}            // this process is to become the program at its path
	rehearsed     struct{ err error } // that program was tried
	refused       struct{ err error } // the kernel would not execute it
	asked         struct {            // a signal came; worst as the plan says
		sig   syscall.Signal
		worst time.Duration
	}
	ticked  struct{} // the deadline has passed
	emptied struct{} // in drain, alone: the last service is gone; in sweep: everything is
)

// What a life wants done.
type (
	startServer  struct{ back bool } // without waiting for it; started or notStarted follows
	prove        struct{}            // the program that was started last has proved itself
	killServer   struct{}
	tellServer   struct{ sig syscall.Signal }
	endServer    struct{}                  // ask it to end and leave the services alone
	rehearse     struct{}                  // try the program at the path; rehearsed follows
	execute      struct{}                  // it, in this process; refused follows if it fails
	refuse       struct{ why string }      // tell whoever asked for another program
	refuseSpawns struct{}                  // tell package reap that this is a drain
	stopServices struct{ endBy time.Time } // in the waves of the plan
	askAll       struct{}                  // whatever is left to end, and reap it
	killAll      struct{}                  // the same, without asking
	offerShell   struct{}                  // to whoever sits at the console, unless it is there
	finish       struct {                  // exit, or ask the kernel
		goal goal
		code int
	}
	say struct{ text string }
)

// deadline is when ticked is due; the zero time is never.
func (l *life) deadline() time.Time {
	verdict := l.verdictDue()
	switch {
	case l.stage < drain && l.running && l.soft:
		return l.softBy
	case l.stage == respawn && !l.running && !verdict.IsZero() && verdict.Before(l.startAt):
		return verdict
	case l.stage < drain && l.starting, l.stage == respawn && !l.running:
		return l.startAt
	case l.stage < drain:
		return verdict
	case l.stage == drain && l.alone:
		return time.Time{} // the waves have their own
	case l.stage == drain && !l.answered:
		return l.answerBy
	case l.stage == drain:
		return l.handOverBy
	case l.stage == sweep && !l.killing:
		return l.heedBy
	case l.stage == sweep:
		return l.sweepBy
	}
	return time.Time{}
}

// step takes an event and says what is to be done, in order.
func (l *life) step(event any, now time.Time) []any {
	switch e := event.(type) {
	case begun:
		l.first = true
		return l.start(now)
	case started:
		l.tryOut(e.fresh, now)
		return append(l.started(now), l.afterStart()...)
	case notStarted:
		return append(l.notStarted(e.err, now), l.afterStart()...)
	case replaceWanted:
		return l.replaceWanted()
	case rehearsed:
		return l.rehearsed(e.err)
	case refused:
		return l.refused(e.err)
	case ready:
		return l.ready(now)
	case ended:
		l.running = false
		return l.ended(e, now)
	case draining:
		if l.stage < drain {
			l.drain(l.usual(), e.worst, now)
		}
		l.answered, l.code = true, max(l.code, e.code)
	case asked:
		return l.asked(e, now)
	case ticked:
		return l.ticked(now)
	case emptied:
		return l.emptied(now)
	}
	return nil
}

func (l *life) ready(now time.Time) []any {
	l.first, l.offered = false, false
	l.readyAt = now
	if l.trial.on {
		l.trial.proved = now.Add(probation)
	}
	if l.stage == respawn {
		l.stage = serve
		return []any{say{"the server has taken over again"}}
	}
	if l.stage == boot {
		l.stage = serve
	}
	return nil
}

// start asks for a server unless one is on its way.
func (l *life) start(now time.Time) []any {
	if l.starting {
		return nil
	}
	l.starting = true
	l.startAt = now.Add(slowStart)
	return []any{startServer{l.back}}
}

// started does away with a server that comes after the keeper has begun to stop
// the services by itself. One that comes earlier in a shutdown is told of it.
func (l *life) started(now time.Time) []any {
	l.running, l.starting = true, false
	switch {
	case l.alone || l.stage > drain:
		return []any{killServer{}}
	case l.soft:
		return l.endSoftly(now) // it may be of the file that was there before
	}
	return nil
}

func (l *life) notStarted(err error, now time.Time) []any {
	l.starting, l.soft = false, false
	switch {
	case l.stage == drain && !l.alone:
		return l.takeOver(err.Error())
	case l.stage >= drain:
		return nil
	case l.first && l.role == standalone:
		l.code = 1
		return append([]any{say{err.Error()}}, l.sweep(now)...)
	}
	return l.respawn(err.Error(), now)
}

// ended decides after the death of a server.
func (l *life) ended(e ended, now time.Time) []any {
	hasty := l.wasHasty(e, now)
	code, exited := e.status.Code()
	how := fmt.Sprintf("the server ended (%s)", e.status)
	switch {
	case l.stage > drain:
		return nil
	case l.stage == drain && l.alone:
		return nil // it was killed for being hung
	case l.stage == drain && e.draining && e.status.Success():
		return l.sweep(now)
	case l.stage == drain:
		return l.takeOver(how + " in the shutdown")
	case l.soft:
		l.soft, l.first, l.stage, l.trial = false, false, respawn, trial{}
		return append([]any{say{how + " to be replaced: starting the next"}}, l.start(now)...)
	case l.first && !e.ready && exited && l.role == standalone:
		// It has said why: nobody is helped by the same again and again.
		l.code = code
		return l.sweep(now)
	}
	var actions []any
	if l.trial.on {
		var decided bool
		if actions, decided = l.failed(e, now); decided {
			return actions
		}
	}
	if !e.ready {
		return append(actions, l.respawn(how+" before it was ready", now)...)
	}
	if hasty && !l.trial.on {
		return l.respawn(how+" at once after it was ready, again", now)
	}
	l.first = false
	l.stage = respawn
	return append(append(actions, say{how + ": starting it again"}), l.start(now)...)
}

// wasHasty notes how long a server was ready, and has the back-off begin anew unless
// that was short. It answers whether it was short the time before, too: once is an
// accident, and SIGKILL is somebody else's doing.
func (l *life) wasHasty(e ended, now time.Time) (again bool) {
	switch {
	case !e.ready:
		return false
	case isKill(e.status) || now.Sub(l.readyAt) >= probation:
		l.hasty, l.delay = false, 0
		return false
	}
	again, l.hasty = l.hasty, true
	return again
}

// respawn plans the next server.
func (l *life) respawn(why string, now time.Time) []any {
	l.first = false
	l.stage = respawn
	l.delay = min(max(2*l.delay, firstDelay), lastDelay)
	l.startAt = now.Add(l.delay)
	return append([]any{say{fmt.Sprintf("%s: starting it again in %v", why, l.delay)}}, l.despair()...)
}

// drain begins a shutdown and fixes its end.
func (l *life) drain(g goal, worst time.Duration, now time.Time) {
	l.stage, l.goal, l.soft, l.trial = drain, g, false, trial{}
	p := l.patience
	worst = min(worst, endless)
	answer, handOver := p.answer, max(p.answer, worst+p.spare)
	end := handOver + p.own
	if p.whole != 0 && end > p.whole {
		end = p.whole
		handOver = min(handOver, end*7/8) // the server stops the services within less
		answer = min(answer, end/4)
	}
	l.answerBy, l.handOverBy, l.endBy = now.Add(answer), now.Add(handOver), now.Add(end)
}

// takeOver makes the keeper stop the services by itself.
func (l *life) takeOver(why string) []any {
	l.alone = true
	return []any{say{why + ": the keeper stops the services by itself"}, refuseSpawns{}, stopServices{l.endBy}}
}

func (l *life) ticked(now time.Time) []any {
	if due := l.deadline(); due.IsZero() || now.Before(due) {
		return nil
	}
	switch {
	case l.stage < drain && l.running && l.soft:
		l.softBy = time.Time{}
		return []any{say{fmt.Sprintf("the server was asked to end and did not within %v: killing it", l.patience.soft)}, killServer{}}
	case l.stage < drain && l.starting:
		l.startAt = time.Time{}
		return []any{say{"the server cannot be started yet: a program is being executed and its file system does not answer: the start goes on when that does"}}
	case l.stage < drain && !l.verdictDue().IsZero() && !now.Before(l.verdictDue()):
		return l.verdict(now)
	case l.stage == respawn:
		return l.start(now)
	case l.stage == drain && l.starting:
		return l.takeOver("the server did not start in time")
	case l.stage == drain:
		return append([]any{killServer{}}, l.takeOver("the server does not answer")...)
	case l.stage == sweep && !l.killing:
		return l.kill(now)
	case l.stage == sweep:
		return append([]any{say{"something cannot be killed: going on without it"}}, l.halt()...)
	}
	return nil
}

func (l *life) emptied(now time.Time) []any {
	switch {
	case l.stage == drain && l.alone:
		return l.sweep(now)
	case l.stage == sweep:
		return l.halt()
	}
	return nil
}
