package pid1

import (
	"errors"
	"fmt"
	"time"
)

// This file is how a life has programs replaced: the server's, and its own.

// softly replaces the server by one of the file that is at its path now. It is no
// failure of the server's, so the back-off neither applies nor changes.
func (l *life) softly(now time.Time) []any {
	l.back = false
	switch {
	case l.stage >= drain || l.soft:
		return nil // it ends anyhow
	case l.running:
		return l.endSoftly(now)
	case l.starting:
		l.soft = true
		return nil
	}
	l.trial = trial{}
	return l.start(now)
}

func (l *life) endSoftly(now time.Time) []any {
	l.soft, l.softBy = true, now.Add(l.patience.soft)
	return []any{endServer{}}
}

// replacing is how far the keeper is with becoming another program.
type replacing uint8

const (
	asItIs    replacing = iota
	trying              // the program rehearses
	postponed           // it can take over; a server is on its way, or on trial, and comes first
)

// replaceWanted begins to replace the keeper's own program. Who asks while that is
// under way shares the outcome.
func (l *life) replaceWanted() []any {
	if l.replacing != asItIs {
		return nil
	}
	switch {
	case l.stage >= drain:
		return l.refused(errShutdown)
	case l.back:
		return l.refused(errFailed)
	}
	l.replacing = trying
	return []any{rehearse{}}
}

var errShutdown = errors.New("a shutdown is under way")

// rehearsed is the moment before the point of no return.
func (l *life) rehearsed(err error) []any {
	switch {
	case err != nil:
		return l.refused(err)
	case l.stage >= drain:
		return l.refused(errShutdown)
	case l.back:
		return l.refused(errFailed)
	case l.starting || l.trial.on:
		l.replacing = postponed
		return nil
	}
	return []any{execute{}}
}

// afterStart is called when no server is on its way any more, and when one is not on
// trial any more.
func (l *life) afterStart() []any {
	if l.replacing != postponed {
		return nil
	}
	return l.rehearsed(nil)
}

func (l *life) refused(err error) []any {
	l.replacing = asItIs
	return []any{say{fmt.Sprintf("the keeper stays the program that it is: %v", err)}, refuse{err.Error()}}
}
