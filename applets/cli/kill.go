package cli

import (
	"errors"
	"fmt"
	"strings"

	"zinit/applets/env"
	"zinit/sock"
)

// kill sends a signal to one service.
func kill(s *session) int {
	name, signal := s.call.words[0], s.call.value("signal", "")
	if len(s.call.words) == 2 {
		if s.call.has("signal") {
			return s.usage(errors.New("the signal is given twice: use NAME SIG or -s SIG"))
		}
		signal = s.call.words[1]
	}
	err := s.ask(sock.MethodKill, sock.KillParams{Name: name, Signal: signal}, nil)
	var refused *sock.Error
	if errors.As(err, &refused) && wordOf(refused) == sock.WordSignal {
		_, why, _ := strings.Cut(refused.Message, "): ")
		if strings.Contains(why, "signal") { // it is none
			why += ": write HUP, SIGHUP or 1"
		}
		return s.fail(fmt.Errorf("cannot send %s to %s: %s", signal, name, why))
	}
	if err != nil {
		return s.fail(err)
	}
	s.printf("Sent %s to: %s\n", fullName(signal), name)
	return env.ExitDone
}

// signalReload has services read their own configuration again.
func signalReload(s *session) int {
	return s.each(s.call.words, func(name string) error {
		err := s.ask(sock.MethodSignalReload, sock.NameParams{Name: name}, nil)
		if err == nil {
			s.printf("Told to reload: %s\n", name)
		}
		return err
	})
}

// fullName is the signal with its prefix: SIGHUP for hup, "signal 1" for 1. The
// numbers are the server's: those of another system may differ.
func fullName(signal string) string {
	name := strings.TrimPrefix(strings.ToUpper(signal), "SIG")
	switch {
	case name == "":
		return "SIGTERM"
	case name[0] >= '0' && name[0] <= '9':
		return "signal " + name
	}
	return "SIG" + name
}
