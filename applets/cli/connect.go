package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"zinit/sock"
)

const (
	// connectTimeout bounds the search for a server; a socket whose queue is full
	// would hold us for ever otherwise.
	connectTimeout = 3 * time.Second
	// answerTimeout bounds every request that does not wait by its nature. The
	// keeper holds the socket while the server restarts, so an answer may take a
	// moment.
	answerTimeout = 30 * time.Second
	// connectAgain is the pause between two looks for a server that may be about
	// to start, by a verb that may wait.
	connectAgain = 50 * time.Millisecond
)

// noServer says where a server was looked for, and how to start one.
type noServer struct {
	tried  []string // "PATH: REASON"
	denied string   // a socket that is there, but not for us
	start  string   // the command line
}

func (e *noServer) Error() string {
	text := "no zinit server answers\n  looked at " + strings.Join(e.tried, "\n  looked at ")
	if e.denied != "" {
		return text + "\nBe root, or of the group of " + e.denied + ", to use that one"
	}
	return text + "\nIs zinit-server running? Start one with: " + e.start
}

// connect dials the first candidate that accepts. A verb that may wait sets
// patience, and then it looks again until that is over.
func (s *session) connect() error {
	if s.client != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), max(connectTimeout, s.patience))
	defer cancel()
	over := time.After(s.patience)
	for {
		missing := s.look(ctx)
		if missing == nil {
			return nil
		}
		select {
		case <-over:
			return missing
		case <-time.After(connectAgain):
		}
	}
}

// look tries each candidate once.
func (s *session) look(ctx context.Context) error {
	missing := &noServer{start: "zinit-server --config-dir " + s.env.ConfigDir("")}
	named := s.call.value("socket", "")
	for _, path := range s.env.SocketCandidates(named) {
		client, err := sock.Dial(ctx, path)
		if err == nil {
			s.client, s.path = client, path
			return nil
		}
		reason := noSocket(path)
		if reason == "" {
			reason = bareReason(err)
		} else {
			named = "" // no server listens there
		}
		missing.tried = append(missing.tried, path+": "+reason)
		if errors.Is(err, fs.ErrPermission) {
			missing.denied = path
		}
	}
	if named != "" {
		missing.start += " --socket " + named
	}
	return missing
}

// noSocket says that what is at a path is no socket; empty: it is one, or nothing.
func noSocket(path string) string {
	info, err := os.Stat(path)
	switch {
	case err != nil || info.Mode()&fs.ModeSocket != 0:
		return ""
	case info.IsDir():
		return "it is a directory, and not the socket in it"
	}
	return "it is no socket"
}

// bareReason is the innermost reason: the line that shows it says the rest.
func bareReason(err error) string {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection"
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}

func (s *session) close() {
	if s.client != nil {
		s.client.Close()
	}
}

// ask sends one request and decodes the result into what the pointer result
// points to.
func (s *session) ask(method string, params, result any) error {
	return s.askFor(answerTimeout, method, params, result)
}

// askFor is ask with a bound of its own; 0 is none.
func (s *session) askFor(bound time.Duration, method string, params, result any) error {
	if err := s.connect(); err != nil {
		return err
	}
	ctx := context.Background()
	if bound > 0 {
		limited, cancel := context.WithTimeout(ctx, bound)
		defer cancel()
		ctx = limited
	}
	err := s.client.Call(ctx, method, params, result)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the server on %s has not answered within %s: look at its log", s.path, bound)
	}
	return s.explain(method, err)
}

// otherVersion is that a server does not know a method.
type otherVersion string

func (o otherVersion) Error() string { return string(o) }

// explain puts what a call has failed by into words for people; nil stays nil.
func (s *session) explain(method string, err error) error {
	var refused *sock.Error
	switch {
	case errors.As(err, &refused) && refused.Code == sock.CodeMethodNotFound:
		return otherVersion(fmt.Sprintf("the server on %s does not know %s: it is of another version, which zinit ping tells", s.path, method))
	case errors.As(err, &refused):
		return withDetails(refused)
	case !errors.As(err, new(syscall.Errno)) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return &noServer{
		tried: []string{s.path + ": connected, but " + bareReason(err)},
		start: "zinit-server --config-dir " + s.env.ConfigDir("") + " --socket " + s.path,
	}
}

// withDetails adds the list of problems that some refusals carry: the message
// alone does not say what to mend.
func withDetails(refused *sock.Error) error {
	data, _ := refused.Data.(map[string]any)
	list, _ := data["errors"].([]any)
	text := refused.Message
	for _, item := range list {
		if line, ok := item.(string); ok {
			text += "\n  " + line
		}
	}
	if len(list) == 0 {
		return refused
	}
	return &sock.Error{Code: refused.Code, Message: text, Data: refused.Data}
}

// relay prints the server's result as it is, for --json.
func (s *session) relay(method string, params any) int {
	var raw json.RawMessage
	if err := s.ask(method, params, &raw); err != nil {
		return s.fail(err)
	}
	s.printf("%s\n", raw)
	return 0
}

// relayEach prints the results for the names as they are: as an object when the
// command line has one NAME, otherwise as an array. A name that fails is left out.
func (s *session) relayEach(method string, names []string) int {
	var results [][]byte
	code := s.each(names, func(name string) error {
		var raw json.RawMessage
		err := s.ask(method, sock.NameParams{Name: name}, &raw)
		if err == nil {
			results = append(results, raw)
		}
		return named(name, err)
	})
	s.printResults(results, len(s.call.words) == 1)
	return code
}

// printResults prints what the server answered: as it is to a question about one
// thing, otherwise as an array.
func (s *session) printResults(results [][]byte, one bool) {
	switch {
	case !one:
		s.printArray(results)
	case len(results) == 1:
		s.printf("%s\n", results[0])
	}
}

// named adds the name that the refusal of a reading method leaves out.
func named(name string, err error) error {
	var refused *sock.Error
	if !errors.As(err, &refused) || refused.Code != sock.CodeServiceNotFound {
		return err
	}
	return &sock.Error{Code: refused.Code, Message: refused.Message + ": " + name, Data: refused.Data}
}

func (s *session) printArray(items [][]byte) {
	s.print("[")
	for i, item := range items {
		if i > 0 {
			s.print(",")
		}
		s.out.Write(item)
	}
	s.print("]\n")
}

// printJSON prints a value of our own.
func (s *session) printJSON(v any) {
	encoder := json.NewEncoder(&s.out)
	encoder.SetEscapeHTML(false)
	// Only our own plain structs come here: there is nothing that can fail.
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
}
