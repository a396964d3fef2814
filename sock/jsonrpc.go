package sock

import (
	"context"
	"encoding/json"
	"errors"
)

// A request is one JSON-RPC request; its slices lie in the frame.
type request struct {
	id     []byte // as it came; nil for a notification
	method []byte // without quotes
	params []byte // nil when absent or null
	bad    string // why it is no request
}

// maxID bounds the text of an id, which is echoed as it came.
const maxID = 1024

// parseRequest takes a valid JSON value apart. Like zinit 0.3.9 it demands
// jsonrpc and method as strings and does not look at the version.
func parseRequest(text []byte) request {
	var r request
	if !isObject(text) {
		r.bad = "expected a request object"
		return r
	}
	var version, method []byte
	members(text, func(key, value []byte) bool {
		switch {
		case keyIs(key, "jsonrpc"):
			version = value
		case keyIs(key, "id"):
			r.id = value
		case keyIs(key, "method"):
			method = value
		case keyIs(key, "params"):
			r.params = value
		}
		return true
	})
	if string(r.params) == "null" {
		r.params = nil
	}
	switch {
	case version == nil:
		r.bad = "missing field `jsonrpc`"
	case version[0] != '"':
		r.bad = "invalid type for `jsonrpc`, expected a string"
	case method == nil:
		r.bad = "missing field `method`"
	case method[0] != '"':
		r.bad = "invalid type for `method`, expected a string"
	case len(r.id) > maxID:
		r.bad = "id is too long"
	case len(r.id) > 0 && !hasType(r.id, "string") && !hasType(r.id, "integer") && string(r.id) != "null":
		r.bad = "invalid type for `id`, expected a string, a number or null"
	default:
		r.method = method[1 : len(method)-1]
	}
	return r
}

// parseErrorID is the id of a reply to what could not be understood, as zinit
// 0.3.9 sends it; in a batch, which it does not know, JSON-RPC 2.0 says null.
const (
	parseErrorID = "0"
	batchErrorID = "null"
)

// answerFrame answers one frame into the connection's output.
func (c *conn) answerFrame(f frame) {
	switch {
	case f.kind == badFrame || f.kind == endFrame:
		c.out.appendError([]byte(parseErrorID), f.err)
	case f.kind == lineFrame:
		c.out.appendError([]byte(parseErrorID), &Error{Code: CodeParse, Message: positioned("expected value", f.text, 0)})
	case f.text[0] == '[':
		c.answerBatch(f.text)
		return
	default:
		r := parseRequest(f.text)
		if r.bad != "" {
			c.out.appendError([]byte(parseErrorID), &Error{Code: CodeParse, Message: positioned(r.bad, f.text, len(f.text)-1)})
		} else if !c.answerOne(&r) {
			return
		}
	}
	c.out.b = append(c.out.b, '\n')
}

// answerOne answers a request that came alone. It says whether there is a line
// to complete.
func (c *conn) answerOne(r *request) bool {
	method := c.srv.find(r.method)
	switch streams := method != nil && method.Streams; {
	case r.id == nil:
		c.notify(method, r)
		return false
	case streams:
		c.stream(method, r)
		return false
	default:
		return c.answer(method, r, true)
	}
}

// answerBatch answers the requests of a batch in order, as one array. Its parts
// are sent as they come: a batch may ask for more than anybody wants to hold.
func (c *conn) answerBatch(batch []byte) {
	count := 0
	elements(batch, func([]byte) bool { count++; return count <= c.srv.opts.MaxBatch })
	if count == 0 || count > c.srv.opts.MaxBatch {
		c.out.appendError([]byte(batchErrorID), batchSize(c.srv.opts.MaxBatch))
		c.out.b = append(c.out.b, '\n')
		return
	}
	next := byte('[')
	elements(batch, func(value []byte) bool {
		r := parseRequest(value)
		method := c.srv.find(r.method)
		if r.bad == "" && r.id == nil {
			c.notify(method, &r)
			return c.failed == nil
		}
		c.out.b = append(c.out.b, next)
		next = ','
		switch {
		case r.bad != "":
			c.out.appendError([]byte(batchErrorID), &Error{Code: CodeInvalidRequest, Message: r.bad})
		case method != nil && method.Streams:
			c.out.appendError(r.id, refuseStream(method))
		default:
			c.answer(method, &r, false)
		}
		return c.flushOver(flushSize)
	})
	if next == ',' {
		c.out.b = append(c.out.b, ']', '\n')
	}
}

// ErrNextServer is the error of a handler under whose call another server takes over.
// A call that came alone and that a client may repeat is not answered then.
var ErrNextServer = &Error{CodeInternal, "another server takes over: ask again", Detail{WordShuttingDown}}

// answer carries out one request and appends the reply, unless it is left to the next
// server. A method of nil is one that nobody knows.
func (c *conn) answer(method *Method, r *request, alone bool) (answered bool) {
	if method == nil {
		c.out.appendError(r.id, unknownMethod())
		return true
	}
	result, err := c.handle(method, r)
	if alone && errors.Is(err, ErrNextServer) && repeatable(method.Name) {
		c.srv.awaitDeafness() // or it would be asked again
		c.flushOver(0)
		c.fail(err) // closed without an answer: the client asks again, and who takes over answers
		return false
	}
	if err != nil {
		c.out.appendError(r.id, asError(err))
		return true
	}
	c.out.appendResult(r.id, result)
	return true
}

// notify carries out a notification: nobody hears how it went. One for a stream
// does nothing: nothing of what it would tell may be sent.
func (c *conn) notify(method *Method, r *request) {
	if method != nil && !method.Streams {
		if _, err := c.handle(method, r); err != nil {
			c.srv.opts.Log.Debug("a notification was refused", "method", method.Name, "error", err)
		}
	}
}

// handle runs the handler of one request.
func (c *conn) handle(method *Method, r *request) (any, error) {
	if c.access < method.Access {
		return nil, accessDenied(c.peer)
	}
	c.call = Call{Peer: c.peer, Method: method, Raw: r.params}
	if !method.Waits {
		return method.Handle(c.srv.base, &c.call)
	}
	c.flushOver(0)
	ctx, cancel := context.WithCancel(c.srv.base)
	defer cancel()
	defer c.watchHangUp(cancel)()
	return method.Handle(ctx, &c.call)
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: CodeInternal, Message: err.Error()}
}

// An output collects replies. It keeps an encoder, which is costly to make.
type output struct {
	b   []byte
	enc *json.Encoder
}

func newOutput() *output {
	o := &output{b: make([]byte, 0, 4096)}
	o.enc = json.NewEncoder(o)
	o.enc.SetEscapeHTML(false) // as the original: -> stays ->
	return o
}

// Write is where the encoder writes to.
func (o *output) Write(b []byte) (int, error) {
	o.b = append(o.b, b...)
	return len(b), nil
}

func (o *output) appendHead(id []byte) {
	o.b = append(o.b, `{"jsonrpc":"2.0","id":`...)
	o.b = append(o.b, id...)
}

// appendResult appends a reply. A result that cannot be encoded becomes an
// error: the client must learn that its call was carried out badly.
func (o *output) appendResult(id []byte, result any) {
	mark := len(o.b)
	o.appendHead(id)
	o.b = append(o.b, `,"result":`...)
	if err := o.appendValue(result); err != nil {
		o.b = o.b[:mark]
		o.appendError(id, &Error{Code: CodeInternal, Message: "cannot encode result: " + err.Error()})
		return
	}
	o.b = append(o.b, '}')
}

func (o *output) appendError(id []byte, e *Error) {
	o.appendHead(id)
	o.b = append(o.b, `,"error":{"code":`...)
	o.b = appendInt(o.b, "", int64(e.Code))
	o.b = appendString(append(o.b, `,"message":`...), e.Message)
	if e.Data != nil {
		mark := len(o.b)
		o.b = append(o.b, `,"data":`...)
		if err := o.appendValue(e.Data); err != nil {
			o.b = o.b[:mark] // the code and the message say the most
		}
	}
	o.b = append(o.b, "}}"...)
}

func (o *output) appendValue(v any) error {
	switch v := v.(type) {
	case nil:
		o.b = append(o.b, "null"...)
	case Encoded:
		o.b = append(o.b, v...)
	case json.RawMessage:
		o.b = append(o.b, v...)
	case encodedText:
		o.b = append(o.b, v...)
	case []ServiceInfo:
		o.b = appendList(o.b, v)
	case appender:
		o.b = v.appendJSON(o.b)
	default:
		if err := o.enc.Encode(v); err != nil {
			return err
		}
		o.b = o.b[:len(o.b)-1] // the encoder ends with a newline
	}
	return nil
}

func batchSize(limit int) *Error {
	return &Error{
		Code:    CodeInvalidRequest,
		Message: string(appendInt([]byte("a batch holds 1 to "), "", int64(limit))) + " requests",
		Data:    Detail{WordBatchSize},
	}
}
