package cli

import (
	"strings"

	"zinit/applets/env"
	"zinit/sock"
)

// debugState shows what the server knows about the graph of services.
func debugState(s *session) int {
	if s.call.has("json") {
		return s.relay(sock.MethodDebugState, nil)
	}
	var reply sock.Output
	if err := s.ask(sock.MethodDebugState, nil, &reply); err != nil {
		return s.fail(err)
	}
	s.print(outputText(reply))
	return env.ExitDone
}

// debugProcs shows the processes of services.
func debugProcs(s *session) int {
	if s.call.has("json") {
		return s.relayEach(sock.MethodDebugProcs, s.call.words)
	}
	return s.each(s.call.words, func(name string) error {
		var reply sock.Output
		if err := s.ask(sock.MethodDebugProcs, sock.NameParams{Name: name}, &reply); err != nil {
			return named(name, err)
		}
		s.print(outputText(reply))
		return nil
	})
}

// outputText is text that the server drew, with one end.
func outputText(o sock.Output) string {
	return strings.TrimRight(escapeLines(o.Output), "\n") + "\n"
}
