package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"zinit/reap"
	"zinit/sock"
)

// A note is what a server sends by itself.
type note struct {
	Method string
	Params struct {
		sock.EventBatch
		sock.LogBatch
		Code    int
		Message string
		Data    sock.Detail
	}
}

// note reads the next line of a stream.
func (l *line) note() (n note) {
	l.t.Helper()
	text, err := l.in.ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(text), &n)
	}
	if err != nil {
		l.t.Errorf("%.100q: %v", text, err)
	}
	return n
}

// subscribe begins a stream and returns the reply to that.
func (l *line) subscribe(method, params string) string {
	l.t.Helper()
	return l.ask(fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":%s,"id":1}`, method, params))
}

// events reads events until one of them is said to be the last.
func (l *line) events(last func(sock.Event) bool) (all []sock.Event) {
	l.t.Helper()
	for {
		n := l.note()
		if n.Method != sock.NoteEvents || len(n.Params.Events) == 0 {
			l.t.Fatalf("after %v came %+v", all, n)
		}
		for _, e := range n.Params.Events {
			if all = append(all, e); last(e) {
				return all
			}
		}
	}
}

func said(events []sock.Event) string {
	var words []string
	for _, e := range events {
		text := e.Service + " " + e.Type
		if e.To != "" {
			text += " " + strings.TrimPrefix(e.From+">"+e.To, ">")
		}
		words = append(words, text)
	}
	return strings.Join(words, ", ")
}

func TestEventsTellEveryChange(t *testing.T) {
	h := newHouse(t, "service a", "service b")
	h.wait("a b", "running")
	l := h.dial()
	if reply := l.subscribe("events.subscribe", `{"now":true}`); !strings.Contains(reply, `"result":{"subscribed":true}`) {
		t.Fatal(reply)
	}
	now := l.events(func(e sock.Event) bool { return e.Service == "b" })
	if got := said(now); got != "a now running, b now running" || now[0].Seq != 0 || now[0].PID == 0 || now[0].TimeMs == 0 {
		t.Errorf("now there is %+v", now)
	}
	h.k.end(h.k.find("a"), reap.ExitCode(3))
	got := l.events(func(e sock.Event) bool { return e.To == sock.Failed })
	if said(got) != "a state running>failed" {
		t.Fatalf("events %s", said(got))
	}
	e := got[0]
	if e.ExitCode == nil || *e.ExitCode != 3 || e.Run != 1 || e.Reason == "" || e.Seq == 0 {
		t.Errorf("the end is told as %+v", e)
	}
	if err := h.s.sup.Stop("b"); err != nil {
		t.Fatal(err)
	}
	got = l.events(func(e sock.Event) bool { return e.Service == "b" && e.To == sock.Exited })
	if said(got) != "b state running>stopping, b state stopping>exited" {
		t.Errorf("events %s", said(got))
	}
}

// TestEventsFollowTheSnapshot: whoever asks for the present state hears of no
// change that it shows already.
func TestEventsFollowTheSnapshot(t *testing.T) {
	h := newHouse(t, "service a")
	other := h.dial()
	if reply := other.subscribe("events.subscribe", `{}`); !strings.Contains(reply, `"result"`) {
		t.Fatal(reply)
	}
	for range 50 {
		if err := h.s.sup.Restart("a"); err != nil {
			t.Fatal(err)
		}
		l := h.dial()
		l.subscribe("events.subscribe", `{"now":true,"names":["a"]}`)
		state := ""
		l.events(func(e sock.Event) bool {
			if e.Type == sock.EventState && e.From != state {
				t.Fatalf("it was %q, and then went from %s to %s", state, e.From, e.To)
			}
			state = e.To
			return state == sock.Running
		})
	}
}

func TestEventsOfSome(t *testing.T) {
	h := newHouse(t, "service a", "service b")
	h.wait("a b", "running")
	l := h.dial()
	if reply := l.subscribe("events.subscribe", `{"names":["a","nosuch"]}`); !strings.Contains(reply, `"code":-32000,"message":"service not found: nosuch"`) {
		t.Errorf("of a service that is not there: %s", reply)
	}
	if reply := l.subscribe("events.subscribe", `{"names":["b"]}`); !strings.Contains(reply, `"result"`) {
		t.Fatal(reply)
	}
	for _, name := range []string{"a", "b"} {
		if err := h.s.sup.Stop(name); err != nil {
			t.Fatal(err)
		}
	}
	if got := said(l.events(func(e sock.Event) bool { return e.To == sock.Exited })); got != "b state running>stopping, b state stopping>exited" {
		t.Errorf("events %s", got)
	}
}

func TestEventsOfTheConfiguration(t *testing.T) {
	h := newStoredHouse(t, map[string]string{"old": service("old"), "same": service("same")})
	h.wait("old same", "running")
	l := h.dial()
	l.subscribe("events.subscribe", `{}`)
	h.write("same", service("same", `dir = "/"`))
	h.write("new", service("new", `status = "stop"`))
	if _, err := h.s.reread(t.Context(), sock.ReloadParams{}); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	l.events(func(e sock.Event) bool {
		got[e.Service+" "+e.Type] = true
		return len(got) == 2
	})
	if !got["new added"] || !got["same changed"] {
		t.Errorf("events %v", got)
	}
	ask := h.dial()
	ask.ask(`{"jsonrpc":"2.0","method":"service.delete","params":{"name":"old"},"id":1}`)
	l.events(func(e sock.Event) bool { return e.Type == sock.EventRemoved && e.Service == "old" })
}

// TestASlowSubscriberIsTold: it does not read, and when it does it learns that it
// has missed something. Nobody else waits, or misses anything.
func TestASlowSubscriberIsTold(t *testing.T) {
	h := newHouse(t, "service a")
	h.wait("a", "running")
	h.path += "2" // the same, where replies must be read at once
	wire, served := sock.NewServer(h.s.table(), sock.Options{WriteTimeout: 1}), make(chan error, 1)
	ln, err := sock.Listen(h.path)
	if err != nil {
		t.Fatal(err)
	}
	go func() { served <- wire.Serve(ln) }()
	defer func() {
		if err := errors.Join(wire.Shutdown(t.Context()), <-served); err != nil {
			t.Error(err)
		}
	}()
	slow, attentive := h.dial(), h.dial()
	slow.subscribe("events.subscribe", `{}`)
	attentive.subscribe("events.subscribe", `{}`)
	const restarts = 4000
	heard := make(chan int, 1)
	unheard := make(chan struct{}, 100) // restarts: who reads is not to be slow, however busy the machine is
	go func() {
		runs, all := uint64(1), 0
		defer func() { heard <- all }()
		for runs <= restarts {
			n := attentive.note()
			if n.Method != sock.NoteEvents {
				t.Errorf("who reads hears %+v", n)
				return
			}
			all += len(n.Params.Events)
			for now := n.Params.Events[len(n.Params.Events)-1].Run; runs < now; runs++ {
				<-unheard
			}
		}
	}()
	for range restarts {
		select {
		case unheard <- struct{}{}:
		case <-time.After(patience):
			t.Fatal("who reads hears nothing")
		}
		if err := h.s.sup.Restart("a"); err != nil {
			t.Fatal(err)
		}
		h.wait("a", "running")
	}
	all, some := <-heard, 0
	for {
		n := slow.note()
		if n.Method == sock.NoteEvents {
			some += len(n.Params.Events)
			continue
		}
		if n.Method != sock.NoteEnd || n.Params.Data.Word != sock.WordSlow {
			t.Errorf("after %d events it ends with %+v", some, n)
		}
		break
	}
	if some == 0 || some >= all {
		t.Errorf("of %d events it was told %d", all, some)
	}
}

// TestStreamsEndWithTheServer: their clients learn why, and the server does not
// wait for those that do not read.
func TestStreamsEndWithTheServer(t *testing.T) {
	h := newHouse(t, "service a")
	h.wait("a", "running")
	l := h.dial()
	l.subscribe("events.subscribe", `{}`)
	h.s.sup.Shutdown()
	l.events(func(e sock.Event) bool { return e.To == sock.Exited })
	n := l.note()
	if n.Method != sock.NoteEnd || n.Params.Data.Word != sock.WordShuttingDown {
		t.Errorf("it ends with %+v", n)
	}
	if err := l.c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.in.ReadByte(); err == nil {
		t.Error("the connection stays open")
	}
}

// lines reads lines of a log until there are so many.
func (l *line) lines(n int) (all []sock.FollowedLine) {
	l.t.Helper()
	for len(all) < n {
		got := l.note()
		if got.Method != sock.NoteLogs || len(got.Params.Lines) == 0 {
			l.t.Fatalf("after %v came %+v", all, got)
		}
		all = append(all, got.Params.Lines...)
	}
	return all
}

func texts(lines []sock.FollowedLine) string {
	var words []string
	for _, l := range lines {
		words = append(words, l.Service+" "+l.Stream+" "+l.Content)
	}
	return strings.Join(words, ", ")
}

func TestLogsAreFollowed(t *testing.T) {
	h := newHouse(t, player("a", "say=one,two,"), player("b", "say=other,"), "[target]\nname = \"t\"\n")
	h.wait("a b", "running")
	eventually(t, "what they say", func() (string, bool) {
		a, _ := h.s.logs.Tail("a", 10)
		b, _ := h.s.logs.Tail("b", 10)
		return fmt.Sprint(len(a), len(b)), len(a) == 2 && len(b) == 1
	})
	for params, want := range map[string]string{
		`{"names":["a"],"lines":1}`:                                "a stdout two",
		`{"names":["a"],"lines":100}`:                              "a stdout one, a stdout two",
		`{"names":["a","a"],"since":1}`:                            "a stdout one, a stdout two",
		`{"names":["a"],"cursors":{"a":0,"b":7}}`:                  "a stdout one, a stdout two",
		`{"names":["a"],"cursors":{"a":4},"lines":100}`:            "a stdout two",
		`{"names":["b"],"lines":5,"stream":"stdout","cursors":{}}`: "b stdout other",
	} {
		l := h.dial()
		if reply := l.subscribe("logs.subscribe", params); !strings.Contains(reply, `"subscribed":true`) {
			t.Fatalf("%s: %s", params, reply)
		}
		if got := texts(l.lines(strings.Count(want, ",") + 1)); got != want {
			t.Errorf("%s: lines %q, want %q", params, got, want)
		}
	}
	for params, want := range map[string]string{
		`{"names":["a"],"grep":"("}`:         "missing closing )",
		`{"names":["a","nosuch"]}`:           "service not found: nosuch",
		`{"names":["a"],"stream":"nonsuch"}`: "unknown stream",
		`{"names":[5]}`:                      "names",
	} {
		if reply := h.dial().subscribe("logs.subscribe", params); !strings.Contains(reply, `"error"`) || !strings.Contains(reply, want) {
			t.Errorf("%s: %s, want %q", params, reply, want)
		}
	}
	l := h.dial()
	l.subscribe("logs.subscribe", `{"names":["t"],"lines":5}`)
	if n := l.note(); n.Method != sock.NoteEnd {
		t.Errorf("a target, which says nothing, says %+v", n)
	}
}

// TestFollowersSeeWhatIsWritten, from several services on one connection, and hear
// of the end of a service that is removed.
func TestFollowersSeeWhatIsWritten(t *testing.T) {
	h := newStoredHouse(t, map[string]string{"a": player("a", "say=a,"), "b": player("b", "say=b,")})
	h.wait("a b", "running")
	l := h.dial()
	l.subscribe("logs.subscribe", `{"names":["a","b"],"lines":100}`)
	l.lines(2)
	for range 3 {
		for _, name := range []string{"a", "b"} {
			if err := h.s.sup.Restart(name); err != nil {
				t.Fatal(err)
			}
			if got := texts(l.lines(1)); got != name+" stdout "+name {
				t.Errorf("it says %q", got)
			}
			h.wait(name, "running")
		}
	}
	for _, name := range []string{"a", "b"} {
		if err := h.dial().call(sock.MethodDelete, map[string]any{"name": name}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.note(); n.Method != sock.NoteEnd || n.Params.Message != "" {
		t.Errorf("when they are gone it hears %+v", n)
	}
}

// TestAFollowerWhoHangsUpIsForgotten, while it waits and while it is not read from.
func TestAFollowerWhoHangsUpIsForgotten(t *testing.T) {
	h := newHouse(t, player("a", "say="+strings.Repeat(strings.Repeat("x", 1000)+",", 900)))
	h.wait("a", "running")
	before := runtime.NumGoroutine()
	for range 20 {
		l := h.dial()
		l.subscribe("logs.subscribe", `{"names":["a"],"lines":100000}`)
		l.c.Close()
		l = h.dial()
		l.subscribe("logs.subscribe", `{"names":["a"]}`)
		l.c.Close()
	}
	eventually(t, "nobody who follows", func() (string, bool) {
		n := runtime.NumGoroutine()
		return fmt.Sprint(n-before, " more goroutines"), n <= before+10 // of 40; others may have begun meanwhile
	})
}
