package sock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// streamTable has a method that does what a test says.
func streamTable(handle func(ctx context.Context, call *Call) error) Table {
	return append(sample(1), Method{Name: "test.stream", Access: Read, Streams: true,
		Handle: func(ctx context.Context, call *Call) (any, error) { return "no stream", handle(ctx, call) }})
}

const askStream = `{"jsonrpc":"2.0","method":"test.stream","id":7}` + "\n"

func TestAStreamIsAReplyThenNotificationsThenItsEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  error
		want string
	}{
		{"that is complete", nil, `{"jsonrpc":"2.0","method":"stream.end"}`},
		{"with an error", errors.New("cannot go on"), `{"jsonrpc":"2.0","method":"stream.end","params":{"code":-32603,"message":"cannot go on"}}`},
		{"with a word", Refuse(WordSlow, "too slow"),
			`{"jsonrpc":"2.0","method":"stream.end","params":{"code":-32603,"message":"too slow","data":{"code":"slow"}}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, path := start(t, streamTable(func(_ context.Context, call *Call) error {
				if err := call.Begin(Subscribed{Subscribed: true}); err != nil {
					return err
				}
				for i := range 3 {
					if err := call.Push("test.note", Names{fmt.Sprint(i)}); err != nil {
						return err
					}
				}
				return tt.end
			}), Options{})
			c := talk(t, path)
			c.send(ping + askStream + ping) // what follows a stream is not read
			for _, want := range []string{pong, `{"jsonrpc":"2.0","id":7,"result":{"subscribed":true}}`,
				`{"jsonrpc":"2.0","method":"test.note","params":["0"]}`,
				`{"jsonrpc":"2.0","method":"test.note","params":["1"]}`,
				`{"jsonrpc":"2.0","method":"test.note","params":["2"]}`, tt.want} {
				if got := c.line(); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
			}
			c.wantClosed()
		})
	}
}

func TestBeforeItBeginsAStreamIsAnOrdinaryCall(t *testing.T) {
	_, path := start(t, streamTable(func(_ context.Context, call *Call) error {
		if call.Raw != nil {
			return NoService()
		}
		return nil
	}), Options{})
	c := talk(t, path)
	c.send(askStream)
	c.want(`{"jsonrpc":"2.0","id":7,"result":"no stream"}`)
	c.send(`{"jsonrpc":"2.0","method":"test.stream","params":{},"id":7}`)
	c.want(`{"jsonrpc":"2.0","id":7,"error":{"code":-32000,`)
	c.alive()
}

func TestAStreamNeedsAConnectionAndAnIDOfItsOwn(t *testing.T) {
	// JSON-RPC forbids any answer to a notification, errors included.
	_, path := start(t, streamTable(func(context.Context, *Call) error {
		t.Error("it was called")
		return nil
	}), Options{})
	c := talk(t, path)
	note := `{"jsonrpc":"2.0","method":"test.stream"}`
	c.send(note)
	c.alive()
	c.send("[" + strings.TrimSpace(ping+","+askStream+","+note) + "]")
	want := "[" + pong + `,{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"test.stream answers with a stream: call it by itself and not in a batch"}}]`
	if got := c.line(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c.send("[" + note + "]")
	c.alive()
	denied := streamTable(nil)
	denied[len(denied)-1].Access = Change
	_, path = start(t, denied, Options{Grant: func(string, Peer) Access { return Read }})
	c = talk(t, path)
	c.send(askStream)
	c.want(`"id":7,"error":{"code":-32603,"message":"access denied`)
	c.alive()
}

func TestMisuseOfAStreamIsAnError(t *testing.T) {
	mistakes := make(chan error, 5)
	table := streamTable(func(_ context.Context, call *Call) error {
		mistakes <- call.Push("early", nil)
		mistakes <- call.Begin(make(chan int)) // cannot be encoded: nothing is sent
		if err := call.Begin(true); err != nil {
			return err
		}
		mistakes <- call.Begin(true)
		mistakes <- call.Push("bad", make(chan int))
		return call.Push("good", true)
	})
	table = append(table, Method{Name: "test.plain", Access: Read, Handle: func(_ context.Context, call *Call) (any, error) {
		return nil, errors.Join(call.Begin(true), call.Push("x", nil))
	}})
	_, path := start(t, table, Options{})
	c := talk(t, path)
	c.send(`{"jsonrpc":"2.0","method":"test.plain","id":1}`)
	c.want(`"message":"cannot stream: `)
	c.send(askStream)
	c.want(`{"jsonrpc":"2.0","id":7,"result":true}`)
	c.want(`{"jsonrpc":"2.0","method":"good","params":true}`)
	c.want(NoteEnd)
	for range 4 {
		if <-mistakes == nil {
			t.Error("a mistake was no error")
		}
	}
}

// A quiet stream, whose handler waits for its context.
func quiet(begun chan<- struct{}, ended chan<- error) Table {
	return streamTable(func(ctx context.Context, call *Call) error {
		if err := call.Begin(true); err != nil {
			return err
		}
		begun <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	})
}

func TestAStreamEndsWhenTheClientIsGone(t *testing.T) {
	begun, ended := make(chan struct{}, 1), make(chan error, 1)
	_, path := start(t, quiet(begun, ended), Options{})
	c := talk(t, path)
	c.send(askStream)
	<-begun
	c.send("it may say what it likes\n")
	c.want(`"result":true`)
	c.Close()
	<-ended
}

func TestAStreamGoesOnForAClientThatOnlyReads(t *testing.T) {
	more := make(chan struct{})
	_, path := start(t, streamTable(func(_ context.Context, call *Call) error {
		if err := call.Begin(true); err != nil {
			return err
		}
		<-more
		return call.Push("x", nil)
	}), Options{})
	c := talk(t, path)
	c.send(askStream)
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.want(`"result":true`)
	close(more)
	c.want(`{"jsonrpc":"2.0","method":"x"}`)
	c.want(NoteEnd)
	c.wantClosed()
}

func TestShutdownEndsStreamsAndSaysSo(t *testing.T) {
	begun, ended := make(chan struct{}, 1), make(chan error, 1)
	s, path := start(t, quiet(begun, ended), Options{})
	c := talk(t, path)
	c.send(askStream)
	<-begun
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	c.want(`"result":true`)
	c.want(`{"jsonrpc":"2.0","method":"stream.end","params":{"code":-32603,"message":"supervisor not available","data":{"code":"shutting_down"}}}`)
	c.wantClosed()
}

// flood pushes until it cannot any more, and tells why.
func flood(ended chan<- error) Table {
	return streamTable(func(_ context.Context, call *Call) error {
		err := call.Begin(true)
		for text := strings.Repeat("x", 1<<16); err == nil; {
			err = call.Push("x", text)
		}
		ended <- err
		return err
	})
}

// Fault 40: a subscriber that does not read.
func TestFault40ASubscriberThatDoesNotReadIsDropped(t *testing.T) {
	ended := make(chan error, 1)
	_, path := start(t, flood(ended), Options{StreamTimeout: 50 * time.Millisecond})
	c, other := talk(t, path), talk(t, path)
	c.send(askStream)
	other.alive()
	if err := <-ended; err == nil {
		t.Error("no error")
	}
	other.alive()
}

func TestASubscriberThatDoesNotReadHoldsUpNoShutdown(t *testing.T) {
	ended := make(chan error, 1)
	s, path := start(t, flood(ended), Options{StreamTimeout: time.Hour})
	c := talk(t, path)
	c.send(askStream)
	c.want(`"result":true`)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-ended
}

// A subscriber that reads keeps a handler that has much to tell busy.
func TestASubscriberThatReadsHoldsUpNoShutdown(t *testing.T) {
	ended := make(chan error, 1)
	s, path := start(t, flood(ended), Options{})
	c := talk(t, path)
	c.send(askStream)
	c.want(`"result":true`)
	read := make(chan struct{})
	go func() {
		defer close(read)
		io.Copy(io.Discard, c.in)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience/2)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	<-ended
	<-read
}

func TestAStreamWaitsLongerThanAReplyForItsClientToRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts Options
		cut  bool
	}{
		{"than a reply", Options{WriteTimeout: 1}, false},
		{"but not for ever", Options{StreamTimeout: 1}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ended := make(chan error, 1)
			large := strings.Repeat("x", 8<<20) // no socket holds that
			_, path := start(t, streamTable(func(_ context.Context, call *Call) error {
				err := errors.Join(call.Begin(true), call.Push("x", large))
				ended <- err
				return Refuse(WordSlow, "too slow")
			}), tt.opts)
			c := talk(t, path)
			c.send(askStream)
			c.want(`"result":true`)
			if tt.cut {
				if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("it ended with %v", err)
				}
				return
			}
			c.want(large)
			c.want(`"data":{"code":"slow"}`)
			c.wantClosed()
		})
	}
}

func TestAPanicOfAStreamCostsOnlyItsConnection(t *testing.T) {
	_, path := start(t, streamTable(func(_ context.Context, call *Call) error {
		if err := call.Begin(true); err != nil {
			return err
		}
		panic("mistake")
	}), Options{})
	c, other := talk(t, path), talk(t, path)
	c.send(askStream)
	c.want(`"result":true`)
	c.wantClosed()
	other.alive()
}

func TestAThousandQuietStreamsAreCheap(t *testing.T) {
	const count = 1000
	raiseFileLimit(t, 2*count+100)
	begun, ended := make(chan struct{}, count), make(chan error, count)
	_, path := start(t, quiet(begun, ended), Options{})
	before := memory()
	streams := make([]*talker, count)
	for i := range streams {
		streams[i] = talk(t, path)
		streams[i].in.Reset(strings.NewReader("")) // the test's own memory does not count
		streams[i].in = nil
		streams[i].send(askStream)
		<-begun
	}
	each := (memory() - before) / count
	t.Logf("%d bytes for each quiet stream, both ends", each)
	if each > 30_000 {
		t.Errorf("%d bytes for each quiet stream", each)
	}
	talk(t, path).alive()
}

// BenchmarkPush sends a small event to many subscribers.
func BenchmarkPush(b *testing.B) {
	const count = 1000
	raiseFileLimit(b, 2*count+100)
	var ready, turn sync.WaitGroup
	ready.Add(count)
	var queues []chan struct{}
	next := make(chan chan struct{}, count)
	batch := EventBatch{Events: []Event{{Type: EventState, Service: "web", From: Starting, To: Running, Seq: 1, TimeMs: 1795196509387}}}
	_, path := start(b, streamTable(func(ctx context.Context, call *Call) error {
		mine := make(chan struct{}, 1)
		if err := call.Begin(true); err != nil {
			return err
		}
		next <- mine
		for {
			select {
			case <-mine:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := call.Push(NoteEvents, batch); err != nil {
				return err
			}
			turn.Done()
		}
	}), Options{})
	for range count {
		c := talk(b, path)
		c.SetDeadline(time.Time{})
		c.send(askStream)
		go io.Copy(io.Discard, c)
		queues = append(queues, <-next)
	}
	for b.Loop() {
		turn.Add(count)
		for _, q := range queues {
			q <- struct{}{}
		}
		turn.Wait()
	}
	b.ReportMetric(float64(b.N*count)/b.Elapsed().Seconds(), "pushes/s")
}
