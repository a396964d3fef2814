package legacy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"

	"zinit/supervise/config/words"
)

// A Backend carries out commands. What an error says goes to the client as it is; the
// fixed errors are in this package. Its methods may be called at the same time.
type Backend interface {
	List() (map[string]string, error) // states by name
	Status(name string) (Status, error)
	Start(ctx context.Context, name string) error
	Stop(ctx context.Context, name string) error
	Monitor(ctx context.Context, name string) error
	Forget(ctx context.Context, name string) error
	Kill(ctx context.Context, name, signal string) error
	Shutdown() error
	Reboot() error
	// Logs writes the lines that there are, and with follow each one that comes, until
	// ctx ends or w fails.
	Logs(ctx context.Context, w io.Writer, follow bool) error
}

// Serve answers one line, without its newline. The caller closes the connection then.
func Serve(ctx context.Context, line []byte, w io.Writer, b Backend) {
	if !utf8.Valid(line) {
		send(w, append([]byte("bad request"), reply(nil, errCommand)...))
		return
	}
	list, err := words.Split(string(line))
	switch {
	case err != nil:
		send(w, reply(nil, errSyntax))
	case len(list) == 0:
		send(w, reply(nil, errCommand))
	case list[0] == "log":
		serveLog(ctx, list[1:], w, b)
	default:
		send(w, reply(run(ctx, list[0], list[1:], b)))
	}
}

// run carries out a command but log.
func run(ctx context.Context, command string, args []string, b Backend) (any, error) {
	switch command {
	case "list":
		return b.List()
	case "shutdown":
		return nil, b.Shutdown()
	case "reboot":
		return nil, b.Reboot()
	case "kill":
		if len(args) == 2 {
			return nil, b.Kill(ctx, args[0], args[1])
		}
		return nil, wrongCount(command)
	}
	if len(args) != 1 {
		return nil, wrongCount(command)
	}
	name := args[0]
	switch command {
	case "status":
		return b.Status(name)
	case "start":
		return nil, b.Start(ctx, name)
	case "stop":
		return nil, b.Stop(ctx, name)
	case "monitor":
		return nil, b.Monitor(ctx, name)
	case "forget":
		return nil, b.Forget(ctx, name)
	}
	return nil, wrongCount(command)
}

func serveLog(ctx context.Context, args []string, w io.Writer, b Backend) {
	if len(args) > 1 || len(args) == 1 && args[0] != "snapshot" {
		send(w, reply(nil, errLog))
		return
	}
	// Who listens to lines has no ear for errors: they end the stream.
	_ = b.Logs(ctx, w, len(args) == 0)
}

// reply is what a client reads: keys in their order, no newline.
func reply(body any, err error) []byte {
	state := "ok"
	if err != nil {
		state, body = "error", err.Error()
	}
	var text bytes.Buffer
	text.WriteString(`{"state":"` + state + `","body":`)
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil { // maps and texts always encode
		return []byte(`{"state":"error","body":"internal error"}`)
	}
	return append(bytes.TrimSuffix(text.Bytes(), []byte("\n")), '}')
}

// send writes a reply; a client that is gone misses nothing.
func send(w io.Writer, text []byte) { _, _ = w.Write(text) }

// Denied is what the commands get that a client has no right to.
func Denied(line []byte, w io.Writer) {
	command, _, _ := strings.Cut(string(bytes.TrimSpace(line)), " ")
	if !utf8.ValidString(command) {
		command = "this"
	}
	send(w, reply(nil, Error("permission denied: "+command+": become root, or a member of the socket's group")))
}
