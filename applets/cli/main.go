package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"zinit/applets/env"
	"zinit/sock"
	"zinit/supervise/config"
)

// Main runs the command line in e.Args and returns its exit code. It blocks until
// the server has answered, or for as long as a verb that waits has to wait.
func Main(e *env.Env) int {
	s := &session{env: e, terminal: isTerminal(e.Stdout), now: time.Now, host: thisHost()}
	if s.terminal {
		s.width = columns(e.Stdout)
	}
	return run(s)
}

// run is Main with a session in which a test has replaced something.
func run(s *session) int {
	e := s.env
	var args []string
	if len(e.Args) > 1 {
		args = e.Args[1:]
	}
	c, err := parse(table(), args)
	s.call = c
	code := env.ExitUsage
	switch {
	case err != nil:
		fmt.Fprintln(e.Stderr, err)
	case c.has("version"):
		s.printf("zinit %s\n", env.Version)
		code = env.ExitDone
	case c.verb == nil && c.has("help"):
		s.print(overview())
		code = env.ExitDone
	case c.verb == nil:
		io.WriteString(e.Stderr, overview()) // nobody is left to tell when this fails
	case c.has("help"):
		s.print(c.verb.helpText())
		code = env.ExitDone
	default:
		s.colour = wantsColour(c.value("color", "auto"), s.terminal, e.Getenv)
		code = c.verb.run(s)
	}
	s.close()
	if err := s.flush(); err != nil && code == env.ExitDone {
		return s.fail(err)
	}
	return code
}

// A session is one command being carried out.
type session struct {
	env      *env.Env
	call     call
	terminal bool // stdout is one
	width    int  // of the terminal, 0: not known
	colour   bool
	now      func() time.Time // its location is also the one in which times are shown
	host     host

	patience time.Duration // for how long to look for a server; 0: once

	out    bytes.Buffer // what goes to stdout, in one write
	lost   error        // the first failure of such a write
	client *sock.Client // nil until the first request
	path   string       // the socket of client
}

func (s *session) print(text string)              { s.out.WriteString(text) }
func (s *session) printf(format string, a ...any) { fmt.Fprintf(&s.out, format, a...) }

// flush writes what was printed so far. Once that has failed, it always does.
func (s *session) flush() error {
	if s.out.Len() == 0 || s.lost != nil {
		return s.lost
	}
	if _, err := s.env.Stdout.Write(s.out.Bytes()); err != nil {
		s.lost = fmt.Errorf("cannot write the output: %w", err)
	}
	s.out.Reset()
	return s.lost
}

// fail shows an error and returns the exit code that belongs to it.
func (s *session) fail(err error) int {
	var shown told
	if errors.As(err, &shown) {
		return int(shown)
	}
	// Control bytes in what a server says must not reach a terminal, and whether
	// stderr is one is not known here.
	text := "Error: " + escapeLines(err.Error()+s.meant(err)) + "\n"
	io.WriteString(s.env.Stderr, text) // nobody is left to tell when this fails
	return exitCode(err)
}

// meant is ": did you mean NAME?" for a service or dependency that does not exist, if
// there is one of nearly that name. Which name it is only the text tells, and the
// contract fixes that.
func (s *session) meant(err error) string {
	_, name, is := strings.Cut(err.Error(), "service not found: ")
	if _, lacking, other := strings.Cut(err.Error(), "Dependency '"); other {
		name, _, is = strings.Cut(lacking, "' not found")
	}
	if !is || s.client == nil {
		return ""
	}
	if near := s.nearest(name); near != "" {
		return ": did you mean " + near + "?"
	}
	return ""
}

// nearest is the service whose name is nearly that; empty: none.
func (s *session) nearest(name string) string {
	var services []sock.ServiceInfo
	if s.ask(sock.MethodListFull, nil, &services) != nil {
		return ""
	}
	names := make([]string, len(services))
	for i := range services {
		names[i] = services[i].Name
	}
	return config.Nearest(name, names)
}

// warn shows what is odd but keeps nobody from going on, after what was printed
// before it; that this is not lost is for the next flush to tell.
func (s *session) warn(text string) {
	_ = s.flush()
	io.WriteString(s.env.Stderr, "Warning: "+escapeLines(text)+"\n") // nobody is left to tell when this fails
}

// told is the exit code of a failure that what was printed has told already.
type told int

func (t told) Error() string { return "exit code " + strconv.Itoa(int(t)) }

// exitCode tells scripts apart what text tells people.
func exitCode(err error) int {
	var missing *noServer
	var refused *sock.Error
	switch {
	case errors.As(err, &missing):
		return env.ExitNoServer
	case !errors.As(err, &refused):
		return env.ExitFailed
	case refused.Code == sock.CodeServiceNotFound, wordOf(refused) == sock.WordServiceNotFound, wordOf(refused) == sock.WordProxyNotFound:
		return env.ExitUnknown
	case refused.Code == sock.CodeNotRunning, wordOf(refused) == sock.WordNotRunning:
		return env.ExitState
	}
	return env.ExitFailed
}

// wordOf is the stable word of a refusal. A server of 0.3.9 sends none, but its
// texts are as stable.
func wordOf(refused *sock.Error) string {
	switch {
	case refused.Data != nil:
		return refused.Word()
	case strings.HasPrefix(refused.Message, "service not found: "):
		return sock.WordServiceNotFound
	case strings.HasPrefix(refused.Message, "service not running: "):
		return sock.WordNotRunning
	}
	return ""
}

// each does something for every name. It goes on after a refusal, but not without
// a server; the first failure decides the exit code.
func (s *session) each(names []string, do func(name string) error) int {
	code := env.ExitDone
	for _, name := range names {
		if err := do(name); err != nil {
			// Results first, so that text and errors of several names appear in
			// their order.
			if err := s.flush(); err != nil {
				return s.fail(err)
			}
			if failed := s.fail(err); code == env.ExitDone {
				code = failed
			}
			var missing *noServer
			if errors.As(err, &missing) {
				return code
			}
		}
	}
	return code
}

// plural is "1 restart" and "2 restarts".
func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
