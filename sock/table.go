package sock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Access is what a peer may do, and what a method asks for.
type Access uint8

// The levels, each including the ones before it.
const (
	Nothing Access = iota // may not even connect
	Read                  // looks only
	Change                // starts, stops, kills, alters
)

// A Method is one row of a Table.
type Method struct {
	Name    string  // as on the wire, frozen: "service.status"
	Access  Access  // what the peer must be allowed
	Summary string  // one sentence for documentation
	Params  []Param // the named parameters, checked before they are decoded
	Result  any     // a zero value of the type of the result, for documentation
	Pushes  []Push  // what it sends after its reply if it Streams, but for NoteEnd

	// Waits marks a handler that may take long. Replies that are still held back
	// are sent before it runs, and its context ends when the client hangs up.
	Waits bool

	// Streams marks a handler that goes on after its reply: it calls Call.Begin
	// once, then Call.Push as often as it likes, until its context ends (the
	// client hung up, or the server stops) or it has no more to say. When it
	// returns, the client is sent NoteEnd, with the error if there is one, and the
	// connection is closed. What it returns before Begin is an ordinary reply.
	Streams bool

	// Handle answers one call. It runs on the connection's goroutine, so the
	// next request of that connection waits for it. The call is valid until it
	// returns. A result of type Encoded goes out verbatim, everything else as
	// JSON; an error that is no *Error becomes CodeInternal with its text.
	Handle func(ctx context.Context, call *Call) (any, error)
}

// A Push describes a notification of a method that streams.
type Push struct {
	Name   string
	Params any // a zero value of the type of its params
}

// A Param describes one named parameter.
type Param struct {
	Name     string
	Type     string // "string", "integer", "boolean", "array", "object" or "any"
	Required bool
	Summary  string

	// Of is a zero value of the type of an array or an object, for documentation;
	// nil when anything goes.
	Of any

	// Lax parameters of a wrong type count as absent, as in zinit 0.3.9;
	// otherwise they are refused.
	Lax bool
}

// A Table is the methods that a server offers, in the order of documentation.
type Table []Method

// Encoded is a result that is JSON already: one complete value on one line. It
// is sent as it is and not kept; it must not change while it is being sent.
type Encoded []byte

// A Call is one request as its handler sees it.
type Call struct {
	Peer   Peer            // who asks
	Method *Method         // the row that was found
	Raw    json.RawMessage // the params as they came, nil when there were none

	stream *stream // nil but for methods that stream
}

// Params decodes the parameters into the struct that v points to. Parameters
// that are absent leave their field alone, so that v may hold defaults; unknown
// ones are ignored. What Method.Params does not allow is a CodeInvalidParams
// *Error, in the words of zinit 0.3.9: missing 'name' parameter.
func (c *Call) Params(v any) error {
	if err := c.checkParams(); err != nil {
		return err
	}
	if !isObject(c.Raw) {
		return nil
	}
	err := json.Unmarshal(c.Raw, v)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		name, _, _ := strings.Cut(wrong.Field, ".")
		for i := range c.Method.Params {
			if p := &c.Method.Params[i]; p.Name == name && p.Lax {
				return nil
			}
		}
		return invalidParam(name, "it does not fit")
	}
	if err != nil {
		return invalidParam("params", err.Error())
	}
	return nil
}

// Name is the parameter "name" of a method that declares it as required.
func (c *Call) Name() (string, error) {
	if err := c.checkParams(); err != nil {
		return "", err
	}
	return unquote(member(c.Raw, "name")), nil
}

func (c *Call) checkParams() error {
	for i := range c.Method.Params {
		p := &c.Method.Params[i]
		value := member(c.Raw, p.Name)
		fits := value != nil && hasType(value, p.Type)
		switch {
		case p.Required && !fits:
			return &Error{Code: CodeInvalidParams, Message: fmt.Sprintf("missing '%s' parameter", p.Name)}
		case value == nil || fits || p.Lax || string(value) == "null":
		default:
			return invalidParam(p.Name, "it must be of type "+p.Type)
		}
	}
	return nil
}

func invalidParam(name, why string) *Error {
	return &Error{
		Code:    CodeInvalidParams,
		Message: fmt.Sprintf("invalid '%s' parameter: %s", name, why),
		Data:    Detail{Word: WordInvalidParam},
	}
}

// hasType judges a valid JSON value by its first byte; what that leaves open
// (1.5 for an integer) is found when the value is decoded.
func hasType(value []byte, want string) bool {
	switch want {
	case "string":
		return value[0] == '"'
	case "integer":
		return value[0] == '-' || value[0] >= '0' && value[0] <= '9'
	case "boolean":
		return value[0] == 't' || value[0] == 'f'
	case "array":
		return value[0] == '['
	case "object":
		return value[0] == '{'
	}
	return true
}
