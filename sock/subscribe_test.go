package sock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A script is what a server says to each connection in turn, by the request that
// came; then it closes the connection.
func script(t *testing.T, answers ...func(request string) string) *Client {
	t.Helper()
	var turns []func(*talker)
	for _, answer := range answers {
		turns = append(turns, func(c *talker) {
			request := make([]byte, 4096)
			n, err := c.Read(request)
			if err != nil {
				t.Errorf("no request: %v", err)
			}
			io.WriteString(c, answer(string(request[:n])))
		})
	}
	// The first connection is that of Dial, which says nothing.
	return dial(t, flaky(t, append([]func(*talker){func(*talker) {}}, turns...)...))
}

// subscribed is the reply to a subscription, and what the server sends then.
func subscribed(reply Subscribed, notes ...any) string {
	reply.Subscribed = true
	out := newOutput()
	out.appendResult([]byte("1"), reply)
	text := string(out.b) + "\n"
	for _, note := range notes {
		out := newOutput()
		method := NoteEnd
		switch note.(type) {
		case EventBatch:
			method = NoteEvents
		case LogBatch:
			method = NoteLogs
		}
		if err := out.appendNote(method, note); err != nil {
			panic(err)
		}
		text += string(out.b) + "}\n"
	}
	return text
}

func batchOf(events ...string) EventBatch {
	var b EventBatch
	for _, e := range events {
		b.Events = append(b.Events, Event{Type: EventState, Service: e, To: Running})
	}
	return b
}

func TestEventsSurviveARestartOfTheServer(t *testing.T) {
	lost := Refuse(WordSlow, "you are too slow")
	c := script(t,
		func(request string) string {
			if strings.Contains(request, `"now"`) || !strings.Contains(request, `"params":{"names":["a"]}`) {
				t.Errorf("asked %s", request)
			}
			text := subscribed(Subscribed{}, batchOf("a", "b"), batchOf("c"))
			return text[:len(text)-5] // cut off in the middle of a message
		},
		func(string) string { return "" }, // not back yet
		func(request string) string {
			if !strings.Contains(request, `"now":true`) {
				t.Errorf("asked %s", request)
			}
			return subscribed(Subscribed{}, batchOf("d"), lost, batchOf("never"))
		},
		func(string) string { // something newer
			return strings.ReplaceAll(subscribed(Subscribed{}, batchOf("x")), NoteEvents, "events.unknown") +
				`{"jsonrpc":"2.0","method":"events.batch","params":{"events":[{"service":"e","type":"state","new":1}],"more":{}}}` + "\n" +
				`{"jsonrpc":"2.0","method":"stream.end"}` + "\n"
		},
	)
	var got []string
	for e, err := range c.Events(t.Context(), EventsParams{Names: []string{"a"}}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Type+e.Service)
		if e.Type == EventGap && (e.TimeMs == 0 || e.Reason == "" || strings.Contains(e.Reason, "\n")) {
			t.Errorf("gap %+v", e)
		}
	}
	if want := "[statea stateb gap stated gap statee]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func lineOf(service string, cursor int64) FollowedLine {
	return FollowedLine{LogLine: LogLine{Service: service, Content: fmt.Sprint(cursor), Stream: "stdout"}, Cursor: cursor}
}

func TestFollowLosesAndDoublesNothingOverARestart(t *testing.T) {
	cursors := func(request string) string {
		var r struct{ Params LogsFollowParams }
		if err := json.Unmarshal([]byte(request), &r); err != nil {
			t.Error(err)
		}
		return fmt.Sprint(r.Params.Cursors)
	}
	c := script(t,
		func(request string) string {
			if got := cursors(request); got != "map[b:7]" || !strings.Contains(request, `"lines":3`) {
				t.Errorf("asked %s", request)
			}
			return subscribed(Subscribed{Cursors: map[string]int64{"a": 5, "b": 7, "quiet": 9}},
				LogBatch{Lines: []FollowedLine{lineOf("a", 10), lineOf("b", 20)}}, LogBatch{Dropped: 100},
				LogBatch{Dropped: 11, Lines: []FollowedLine{lineOf("a", 30), lineOf("a", 40)}}, ShuttingDown())
		},
		func(request string) string {
			if got := cursors(request); got != "map[a:40 b:20 quiet:9]" {
				t.Errorf("went on at %s", got)
			}
			return subscribed(Subscribed{Cursors: map[string]int64{"a": 40, "b": 20, "quiet": 9}},
				LogBatch{Lines: []FollowedLine{lineOf("b", 50), lineOf("quiet", 60)}}, nil)
		},
	)
	asked := LogsFollowParams{Names: []string{"a", "b", "quiet"}, Lines: 3, Cursors: map[string]int64{"b": 7}}
	var got []string
	for line, err := range c.Follow(t.Context(), asked) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(line.Service, line.Cursor, "-", line.Dropped))
	}
	if want := "[a10-0 b20-0 a30-111 a40-0 b50-0 quiet60-0]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if fmt.Sprint(asked.Cursors) != "map[b:7]" {
		t.Errorf("the caller's cursors are %v", asked.Cursors)
	}
}

func TestWhatDoesNotPassEndsASubscription(t *testing.T) {
	refusal := func(e *Error) func(string) string {
		return func(string) string {
			out := newOutput()
			out.appendError([]byte("1"), e)
			return string(out.b) + "\n"
		}
	}
	ends := func(e *Error) func(string) string {
		return func(string) string { return subscribed(Subscribed{}, e) }
	}
	for _, tt := range []struct {
		name    string
		answers []func(string) string
		want    string
	}{
		{"an old server", []func(string) string{refusal(unknownMethod())}, "unknown method"},
		{"an unknown service", []func(string) string{refusal(NoService())}, "service not found"},
		{"after it began", []func(string) string{ends(NoService())}, "service not found"},
		{"when it is back", []func(string) string{ends(ShuttingDown()), refusal(ShuttingDown()), refusal(NoService())}, "service not found"},
		{"no server", []func(string) string{func(string) string { return "HTTP/1.1 400\n" }}, "does not speak JSON-RPC"},
		{"nonsense", []func(string) string{func(string) string {
			return subscribed(Subscribed{}) + `{"method":"logs.batch","params":{"lines":7}}` + "\n"
		}}, "cannot decode logs.batch"},
		{"a nonsensical end", []func(string) string{func(string) string {
			return subscribed(Subscribed{}) + `{"method":"stream.end","params":{"code":"x"}}` + "\n"
		}}, "cannot decode the end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var last error
			for _, err := range script(t, tt.answers...).Follow(t.Context(), LogsFollowParams{Names: []string{"a"}}) {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), tt.want) {
				t.Errorf("got %v", last)
			}
		})
	}
}

func TestASubscriptionNeedsAServerAtFirstAndWaitsForItLater(t *testing.T) {
	c := script(t)
	c.path = filepath.Join(t.TempDir(), "none")
	for _, err := range c.Events(t.Context(), EventsParams{}) {
		if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "cannot connect to ") {
			t.Errorf("got %v", err)
		}
	}

	// A real server that goes, is missed, and comes again at the same place.
	begun, ended := make(chan struct{}, 2), make(chan error, 2)
	s, path := start(t, events(begun, ended), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	for e, err := range dial(t, path).Events(ctx, EventsParams{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Type)
		switch len(got) {
		case 1:
			<-begun
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
			time.AfterFunc(2*firstWait, func() {
				l, err := Listen(path)
				if err != nil {
					t.Error(err)
					return
				}
				s = NewServer(events(begun, ended), Options{})
				go s.Serve(l)
			})
		case 3:
			cancel()
		}
	}
	if want := "[now gap now]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	<-ended
	<-ended // the second one ended because the client hung up
	s.Shutdown(t.Context())
}

// events sends the present state, and nothing more.
func events(begun chan<- struct{}, ended chan<- error) Table {
	return Table{{Name: MethodEvents, Access: Read, Streams: true, Handle: func(ctx context.Context, call *Call) (any, error) {
		err := errors.Join(call.Begin(Subscribed{Subscribed: true}), call.Push(NoteEvents, EventBatch{[]Event{{Type: EventNow}}}))
		begun <- struct{}{}
		<-ctx.Done()
		ended <- err
		return nil, ctx.Err()
	}}}
}

func TestASubscriptionEndsWithItsLoopAndItsContext(t *testing.T) {
	begun, ended := make(chan struct{}, 9), make(chan error, 9)
	_, path := start(t, events(begun, ended), Options{})
	c := dial(t, path)
	for range c.Events(t.Context(), EventsParams{}) {
		break
	}
	<-ended
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, err := range c.Events(ctx, EventsParams{}) {
		if err != nil {
			t.Error(err)
		}
		cancel()
	}
	<-ended
	for _, err := range c.Events(ctx, EventsParams{}) { // it has ended already
		t.Errorf("got %v", err)
	}
}

func TestSubscribingAgainBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var waits []time.Duration
		last := time.Now()
		err := keepUp(ctx, func(context.Context, error) error {
			waits = append(waits, time.Since(last))
			switch len(waits) {
			case 10: // this one holds for a while
				<-time.After(time.Minute)
			case 12:
				cancel()
			}
			last = time.Now()
			return &brokenError{"s", io.ErrUnexpectedEOF}
		})
		want := "[0s 50ms 100ms 200ms 400ms 800ms 1.6s 2s 2s 2s 50ms 100ms]"
		if fmt.Sprint(waits) != want || err != nil {
			t.Errorf("got %v, %v, want %s", waits, err, want)
		}
	})
}
