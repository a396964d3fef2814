package pid1

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"zinit/applets/env"
	"zinit/reap"
)

const (
	// rehearsalTime is how long a program may take to show that it can take over.
	rehearsalTime = 10 * time.Second
	// lastLine is how long the message that is being written may take before its end is
	// given up: whoever reads it may have stopped.
	lastLine = 200 * time.Millisecond
)

// A rehearsal is how the program at the path of this one did.
type rehearsal struct {
	candidate *reap.Candidate
	err       error
}

// unheard is what has come and what was said that nobody has heard yet.
type unheard struct {
	signals  []syscall.Signal
	messages []string
}

// rehearse tries the program that is at the path now, while everything goes on.
func (k *keeper) rehearse() {
	notes := k.notes()
	go func() {
		var r rehearsal
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("the rehearsal failed: %v", p)
				k.console.printf("%v\n%s", r.err, debug.Stack())
			}
			k.rehearsals <- r
		}()
		r.candidate, r.err = k.reap.Rehearse(k.binary.path, notes, rehearsalTime)
	}()
}

// execute becomes the candidate. Where that fails nothing has happened.
func (k *keeper) execute() {
	resume := k.console.pause(lastLine)
	err := k.reap.Replace(k.candidate, os.Args, os.Environ(), k.leave)
	resume()
	k.candidate = nil
	u := k.unheard
	k.unheard = unheard{}
	k.feed(refused{err})
	k.hear(u)
}

// notes is what a program is told that is to go on.
func (k *keeper) notes() map[string]string {
	n := k.life.notes(time.Now())
	n[noteVersion] = env.Version
	n[noteApplet] = k.applet[0]
	n[noteArgs] = list(k.applet[1:])
	n[noteTerminals] = words(k.terminals)
	return n
}

// leave adds what is unheard. It is called when nothing moves.
func (k *keeper) leave() map[string]string {
	k.unheard.messages = k.console.takeBack()
	for waiting := true; waiting; {
		select {
		case sig := <-k.signals:
			if s, ok := sig.(syscall.Signal); ok {
				k.unheard.signals = append(k.unheard.signals, s)
			}
		default:
			waiting = false
		}
	}
	n := k.notes()
	n[noteSignals] = words(k.unheard.signals)
	n[noteMessages] = list(k.unheard.messages)
	return n
}

// takeUp begins where an earlier program has stopped.
func (k *keeper) takeUp(notes map[string]string) {
	r := reader{notes: notes}
	k.terminals = r.numbers(noteTerminals)
	if pid, ready := k.reap.Server(); ready {
		k.binary.adopt(pid) // no other is replaced while it is on trial
	} else {
		k.standIn.serverBorn()
	}
	u := unheard{messages: r.list(noteMessages)}
	for _, n := range r.numbers(noteSignals) {
		u.signals = append(u.signals, syscall.Signal(n))
	}
	k.hear(u)
	if r.wrong != nil {
		k.console.printf("%v", r.wrong)
	}
	k.console.printf("this keeper is zinit %s now; before, it was zinit %s", env.Version, notes[noteVersion])
}

func (k *keeper) hear(u unheard) {
	for _, text := range u.messages {
		k.console.printf("%s", text)
	}
	for _, sig := range u.signals {
		k.signalled(sig)
	}
}

// list is what reader.list reads.
func list(elements []string) string {
	var b strings.Builder
	for _, e := range elements {
		b.WriteString(e)
		b.WriteString(listEnd)
	}
	return b.String()
}

// words is what reader.numbers reads.
func words[T ~int](numbers []T) string {
	return strings.Trim(fmt.Sprintf("%d", numbers), "[]")
}
