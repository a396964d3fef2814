package pid1

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"zinit/reap"
)

// A trial is what another program at the path has to stand, so that servers go on
// being started from it. Otherwise the keeper goes back to the one that proved itself
// last: whoever installed it may be gone and not look after it.
type trial struct {
	on       bool
	by       time.Time // a server of it is ready, and not killed after that
	proved   time.Time // the one that is ready has lived long enough; zero if none is
	failures int       // servers of it that have ended
}

const (
	trialTime = 15 * time.Second // until a server of a new program has to be ready
	probation = time.Second      // for which it then has to live
	// maxFailures is after how many ends of its servers a program has failed. Being
	// killed by SIGKILL is not one: that is somebody else's doing. It proves nothing
	// either: a program may do that to itself.
	maxFailures = 5
)

// tryOut is called when a server was started, fresh if it is of another program than
// the one that proved itself last.
func (l *life) tryOut(fresh bool, now time.Time) {
	switch {
	case !fresh:
		l.trial = trial{}
	case !l.trial.on:
		l.trial = trial{on: true, by: now.Add(trialTime)}
	}
	l.back = l.back && !fresh
}

// verdictDue is when the trial is decided unless something happens before; zero is
// not by time.
func (l *life) verdictDue() time.Time {
	switch {
	case !l.trial.on || l.starting || l.stage >= drain:
		return time.Time{}
	case !l.trial.proved.IsZero():
		return l.trial.proved
	}
	return l.trial.by
}

// verdict ends the trial at that time.
func (l *life) verdict(now time.Time) []any {
	if !l.trial.proved.IsZero() {
		return l.passed()
	}
	return l.goBack(fmt.Sprintf("no server of the new program was ready within %v", trialTime), now)
}

func (l *life) passed() []any {
	l.trial, l.delay = trial{}, 0
	return append([]any{prove{}}, l.afterStart()...)
}

// failed counts the end of a server on trial. It answers whether that decides.
func (l *life) failed(e ended, now time.Time) (actions []any, decided bool) {
	l.trial.proved = time.Time{}
	if isKill(e.status) {
		if now.Before(l.trial.by) {
			return nil, false
		}
		return l.goBack(fmt.Sprintf("no server of the new program has lived for %v within %v", probation, trialTime), now), true
	}
	if l.trial.failures++; l.trial.failures < maxFailures {
		return nil, false
	}
	return l.goBack(fmt.Sprintf("the server ended (%s): the new program has failed %d times", e.status, maxFailures), now), true
}

func isKill(s reap.Status) bool {
	sig, killed := s.Signal()
	return killed && sig == syscall.SIGKILL
}

// goBack has servers started from the program that proved itself last, until there is
// another file at the path or somebody wants the present one tried again.
func (l *life) goBack(why string, now time.Time) []any {
	l.trial, l.back, l.delay = trial{}, true, 0
	actions := []any{say{why + ": going back to the program before it: install another, or send SIGUSR1 to try this one again"}}
	if l.replacing == postponed {
		actions = append(actions, l.refused(errFailed)...)
	}
	if l.running {
		l.soft, l.softBy = true, time.Time{} // it does not come to being asked
		return append(actions, killServer{})
	}
	l.stage = respawn
	return append(actions, l.start(now)...)
}

var errFailed = errors.New("the program at its path has failed as a server: install another")
