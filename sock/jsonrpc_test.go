package sock

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func TestRequestsAreAnsweredAsTheContractSays(t *testing.T) {
	table := append(sample(2), Method{Name: "test.echo", Access: Read, Params: []Param{
		{Name: "name", Type: "string", Required: true},
		{Name: "lines", Type: "integer", Lax: true},
		{Name: "no_deps", Type: "boolean"},
	}, Handle: func(_ context.Context, call *Call) (any, error) {
		p := struct {
			Lines  int64  `json:"lines"`
			Name   string `json:"name"`
			NoDeps bool   `json:"no_deps"`
		}{Lines: 100}
		if err := call.Params(&p); err != nil {
			return nil, err
		}
		return p, nil
	}}, Method{Name: "test.unencodable", Access: Read, Handle: func(context.Context, *Call) (any, error) {
		return make(chan int), nil
	}})
	_, path := start(t, table, Options{})
	missing := `"error":{"code":-32602,"message":"missing 'name' parameter"}}`
	echo := func(params string) string {
		return `{"jsonrpc":"2.0","method":"test.echo","params":` + params + `,"id":1}`
	}
	for _, tt := range []struct{ name, send, want string }{
		{"as the original client sends it", `{"jsonrpc":"2.0","method":"service.status","params":{"name":"service-001"},"id":1}`,
			`{"jsonrpc":"2.0","id":1,"result":{"name":"service-001","pid":1001,"state":"running"}}`},
		{"unknown service", `{"jsonrpc":"2.0","method":"service.status","params":{"name":"x"},"id":1}`, `"code":-32000,"message":"service not found"`},
		{"unknown method", `{"jsonrpc":"2.0","method":"a.b","id":1}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"unknown method"}}`},
		{"other version", `{"jsonrpc":"1.0","method":"system.ping","id":1}`, pong},
		{"unknown keys", `{"x":[{}],"jsonrpc":"2.0","method":"system.ping","id":1}`, pong},
		{"largest id", `{"jsonrpc":"2.0","method":"system.ping","id":18446744073709551615}`, `"id":18446744073709551615,"result"`},
		{"number kept as text", `{"jsonrpc":"2.0","method":"system.ping","id":-1.50e3}`, `"id":-1.50e3,"result"`},
		{"string id", `{"jsonrpc":"2.0","method":"system.ping","id":"a\"\u0041"}`, `"id":"a\"\u0041","result"`},
		{"null id", `{"jsonrpc":"2.0","method":"system.ping","id":null}`, `"id":null,"result"`},
		{"several lines", "\r\n {\n\"jsonrpc\" : \"2.0\",\r\n\"method\":\"system.ping\" , \"id\": 1 }", pong},
		{"escaped key and method", `{"jsonrpc":"2.0","m\u0065thod":"system\u002eping","id":1}`, pong},
		{"missing jsonrpc", `{"id":7,"method":"system.ping"}`, parse + "\"message\":\"missing field `jsonrpc` at line 1 column 31\"}}"},
		{"missing method", `{"id":7,"jsonrpc":"2.0"}`, parse + "\"message\":\"missing field `method`"},
		{"method is a number", `{"id":7,"jsonrpc":"2.0","method":7}`, parse},
		{"version is a number", `{"id":7,"jsonrpc":2,"method":"system.ping"}`, parse},
		{"id is an object", `{"id":{},"jsonrpc":"2.0","method":"system.ping"}`, parse},
		{"id is too long", `{"id":"` + strings.Repeat("x", maxID) + `","jsonrpc":"2.0","method":"system.ping"}`, parse + `"message":"id is too long`},
		{"a word", "list", parse + `"message":"expected value at line 1 column 1"}}`},
		{"no params", `{"jsonrpc":"2.0","method":"test.echo","id":1}`, missing},
		{"null params", echo("null"), missing},
		{"array params", echo(`["a"]`), missing},
		{"name is a number", echo(`{"name":1}`), missing},
		{"defaults", echo(`{"name":"a"}`), `"result":{"lines":100,"name":"a","no_deps":false}}`},
		{"lax parameter of a wrong type", echo(`{"name":"a","lines":"many"}`), `"result":{"lines":100,`},
		{"lax parameter that does not fit", echo(`{"name":"a","lines":1.5}`), `"result":{"lines":100,`},
		{"strict parameter of a wrong type", echo(`{"name":"a","no_deps":"yes"}`), `"code":-32602,"message":"invalid 'no_deps' parameter: it must be of type boolean"`},
		{"strict parameter null", echo(`{"name":"a","no_deps":null}`), `"no_deps":false`},
		{"result that is no JSON", `{"jsonrpc":"2.0","method":"test.unencodable","id":1}`, `"code":-32603,"message":"cannot encode result`},
		{"empty batch", `[]`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,`},
		{"batch", `[` + strings.TrimSpace(ping) + `,7,{"jsonrpc":"2.0","method":"system.ping"},` + strings.TrimSpace(ping) + `]`,
			`[` + pong + `,{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"expected a request object"}},` + pong + `]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := talk(t, path)
			c.send(tt.send + "\n")
			c.want(tt.want)
			c.alive()
		})
	}
}

func TestNotificationsAreCarriedOutAndNotAnswered(t *testing.T) {
	calls := 0
	table := append(sample(1), Method{Name: "test.count", Access: Read, Handle: func(context.Context, *Call) (any, error) {
		calls++
		return calls, nil
	}})
	_, path := start(t, table, Options{})
	c := talk(t, path)
	c.send(`{"jsonrpc":"2.0","method":"test.count"}` + "\n")
	c.send(`[{"jsonrpc":"2.0","method":"test.count"},{"jsonrpc":"2.0","method":"no.such"}]`)
	c.send(`{"jsonrpc":"2.0","method":"test.count","id":"x"}`)
	c.want(`{"jsonrpc":"2.0","id":"x","result":3}`)
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	_, path := start(t, sample(1), Options{})
	c := talk(t, path)
	const n = 5000
	go func() { // while the replies are read: nobody buffers without bound
		for i := range n {
			fmt.Fprintf(c, `{"jsonrpc":"2.0","method":"system.ping","id":%d}`, i)
		}
	}()
	for i := range n {
		c.want(fmt.Sprintf(`"id":%d,`, i))
	}
}

func TestLastLineIsServedWhenTheClientHalfCloses(t *testing.T) {
	for send, want := range map[string]string{
		strings.TrimSpace(ping): pong,
		"list":                  parse,
		`{"jsonrpc":"2.0","id`:  "EOF while parsing a string at line 1 column",
		`{"jsonrpc":"2.0"`:      "EOF while parsing an object",
		`[`:                     "EOF while parsing a list",
	} {
		_, path := start(t, sample(1), Options{})
		c := talk(t, path)
		c.send(send)
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		c.want(want)
		c.wantClosed()
	}
}

func TestAfterBadJSONTheNextRequestIsFound(t *testing.T) {
	_, path := start(t, sample(1), Options{})
	for _, bad := range []string{
		"{]\n", "{foo}\n", `{"a":}` + "\n", `{"a":1,}` + "\n", `[1 2]` + "\n", `{"a":tru}` + "\n", `{"a":01}` + "\n",
		`{"a":-}` + "\n", `{"a":1.}` + "\n", `{"a":1e}` + "\n", `{"a" 1}` + "\n", `{"a":"\x"}` + "\n", `{"a":"\u12g4"}` + "\n",
		`{"cut":"off` + "\n", // the next line is the next request
		`{"cut":"off",` + "\n",
		`{"cut":` + `1` + "\n",
		"help me\r\n",
	} {
		c := talk(t, path)
		c.send(bad)
		if strings.Contains(bad, "cut") {
			c.send(ping)
			c.want(parse)
			c.want(pong)
			continue
		}
		c.want(parse)
		c.alive()
	}
}

func TestAWaitingCallHoldsUpNoEarlierReply(t *testing.T) {
	entered, release, ended := make(chan struct{}, 1), make(chan struct{}), make(chan struct{}, 1)
	_, path := start(t, blockTable(entered, release, ended), Options{})
	c := talk(t, path)
	c.send(ping + `{"jsonrpc":"2.0","method":"test.block","id":2}` + ping)
	c.want(pong)
	<-entered
	close(release)
	c.want(`{"jsonrpc":"2.0","id":2,"result":{"ok":true}}`)
	c.want(pong)
}

func TestAWaitingCallEndsWhenTheClientIsGone(t *testing.T) {
	entered, ended := make(chan struct{}, 1), make(chan struct{}, 1)
	_, path := start(t, blockTable(entered, nil, ended), Options{})
	c := talk(t, path)
	c.send(`{"jsonrpc":"2.0","method":"test.block","id":2}` + ping)
	<-entered
	c.Close()
	<-ended
}

func TestAHalfClosedClientGetsTheAnswerItWaitsFor(t *testing.T) {
	entered, release, ended := make(chan struct{}, 1), make(chan struct{}), make(chan struct{}, 1)
	_, path := start(t, blockTable(entered, release, ended), Options{})
	c := talk(t, path)
	c.send(`{"jsonrpc":"2.0","method":"test.block","id":2}`)
	<-entered
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	close(release)
	c.want(`"ok":true`)
	c.wantClosed()
}
