package power

import (
	"errors"
	"time"

	"zinit/sock"
)

// repairServices are what a machine under repair shows on its console, the first that
// there is; the server of a machine has the last by itself, if there is a shell.
var repairServices = [...]string{"single", "rescue", "rescue-shell"}

// repairWait is how long the shell waits for what stops; the server is to answer within
// askTime.
const repairWait = askTime - 2*time.Second

// repair stops what is not of the system and then gives the console a shell. Whoever
// asks for it most often sits at that console, and what stops is the login there.
func (m machine) repair() error {
	m.leave()
	var stopped sock.StoppedResult
	if err := m.ask(sock.MethodStopAll, nil, &stopped); err != nil {
		return err
	}
	if len(stopped.Stopped) > 0 {
		// What takes longer, or what is gone by now, is no reason to have no shell.
		_ = m.ask(sock.MethodWait, sock.WaitParams{
			Names: stopped.Stopped, State: sock.GoalDown, TimeoutMs: repairWait.Milliseconds()}, nil)
	}
	for _, name := range repairServices {
		if err := m.ask(sock.MethodStart, sock.StartParams{Name: name}, nil); !isUnknown(err) {
			return err
		}
	}
	return errors.New("all is stopped, and there is no shell for the console: " +
		"this is no machine of its own, or has no /bin/sh: add a service named rescue")
}

// repaired starts everything again and ends that shell, in which it may run itself.
func (m machine) repaired() error {
	err := m.ask(sock.MethodStartAll, nil, nil)
	if err != nil {
		return err
	}
	for _, name := range repairServices {
		if e := m.ask(sock.MethodStop, sock.NameParams{Name: name}, nil); !isUnknown(e) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func isUnknown(err error) bool {
	var refused *sock.Error
	return errors.As(err, &refused) && refused.Word() == sock.WordServiceNotFound
}
