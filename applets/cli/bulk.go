package cli

import (
	"zinit/applets/env"
	"zinit/sock"
)

// startAll starts all services of class user.
func startAll(s *session) int {
	var r sock.StartedResult
	return s.changeAll(sock.MethodStartAll, &r, &r.Started, "start", "Started", sock.GoalUp)
}

// stopAll stops all services of class user.
func stopAll(s *session) int {
	var r sock.StoppedResult
	return s.changeAll(sock.MethodStopAll, &r, &r.Stopped, "stop", "Stopped", sock.GoalDown)
}

// deleteAll removes all services of class user.
func deleteAll(s *session) int {
	var r sock.DeletedResult
	return s.changeAll(sock.MethodDeleteAll, &r, &r.Deleted, "remove", "Removed", sock.GoalDown)
}

// changeAll lets the server choose whom it does something to: names is the part
// of the result that tells.
func (s *session) changeAll(method string, result any, names *sock.Names, do, done, state string) int {
	w, err := s.awaits()
	if err != nil {
		return s.usage(err)
	}
	if err := s.ask(method, nil, result); err != nil {
		return s.fail(err)
	}
	if len(*names) == 0 {
		s.printf("Nothing to %s\n", do)
	}
	if w.wanted {
		return s.awaitChange(*names, done, state, w)
	}
	for _, name := range *names {
		s.printf("%s: %s\n", done, escape(name))
	}
	return env.ExitDone
}
