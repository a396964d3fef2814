package pid1

import (
	"errors"
	"fmt"
	"time"

	"zinit/applets/env"
	"zinit/reap"
)

// RehearsalApplet is the name under which Rehearse is found.
const RehearsalApplet = reap.RehearsalName

// Rehearse is the applet that a keeper starts from the file that is to replace it: it
// shows that it understands what it would be left, and ends.
func Rehearse(e *env.Env) int {
	h, err := reap.Inherit()
	if err == nil {
		err = understands(e, h)
	}
	if err != nil {
		fmt.Fprintf(e.Stderr, "%s: %v\n", e.Name(), err)
		return env.ExitFailed
	}
	text := h.Answer() + "\n"
	if holds != 0 {
		text += reap.HoldsSignals + "\n"
	}
	return answer(e.Stdout, text)
}

func understands(e *env.Env, h *reap.Heritage) error {
	if h == nil || !h.Rehearsal() {
		return errors.New("there is nothing to rehearse: a keeper starts this by itself")
	}
	l, err := lifeOf(h.Notes, time.Now())
	if err != nil {
		return err
	}
	r := reader{notes: h.Notes}
	applet := env.Env{Args: append([]string{h.Notes[noteApplet]}, r.list(noteArgs)...), Getenv: e.Getenv, UID: e.UID}
	// Process 1 of a machine makes the best of what it is told.
	if _, err := applet.ParseServerFlags(dialectOf(applet.Name())); err != nil && l.role != machine {
		return err
	}
	return nil
}
