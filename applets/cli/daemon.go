package cli

import (
	"context"
	"io"
	"net"
	"time"

	"zinit/applets/env"
	"zinit/sock"
)

// ping tells whether the server answers, and its version.
func ping(s *session) int {
	limit, err := s.timeout()
	if err != nil {
		return s.usage(err)
	}
	s.patience = limit
	if s.call.has("json") {
		return s.relay(sock.MethodPing, nil)
	}
	var reply sock.Ping
	if err := s.ask(sock.MethodPing, nil, &reply); err != nil {
		return s.fail(err)
	}
	s.printf("zinit daemon v%s is running\n", escape(reply.Version))
	return env.ExitDone
}

// shutdown stops the server and returns when it has gone.
func shutdown(s *session) int { return s.shutdown() }

func (s *session) shutdown() int {
	if err := s.connect(); err != nil {
		return s.fail(err)
	}
	// Connected before the request: the kernel closes this one when the server
	// ends, however it ends.
	witness, err := dial(s.path)
	if err != nil {
		return s.fail(err)
	}
	if err := s.ask(sock.MethodShutdown, nil, nil); err != nil {
		witness.Close()
		return s.fail(err)
	}
	s.print("Shutting down zinit daemon...\n")
	if err := s.flush(); err != nil {
		witness.Close()
		return s.fail(err)
	}
	awaitEnd(s.path, witness)
	s.print("zinit daemon stopped\n")
	return env.ExitDone
}

// awaitEnd returns when nothing answers on the socket any more. The server may
// be replaced in the middle of a shutdown, and the keeper holds the socket a
// moment longer than the server lives: so the end of one connection is not the
// end. Whoever holds the socket then ends the next one, too, by closing it.
func awaitEnd(path string, witness net.Conn) {
	for turn := 0; ; turn++ {
		// A reset is an end too.
		_, _ = io.Copy(io.Discard, witness)
		witness.Close()
		next, err := dial(path)
		if err != nil {
			return
		}
		witness = next
		if turn > 0 {
			// A server that turns everybody away must not make us spin.
			<-time.After(20 * time.Millisecond)
		}
	}
}

func dial(path string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}
