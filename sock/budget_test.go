package sock

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// held waits until the long requests hold that many bytes.
func held(t *testing.T, s *Server, ok func(int64) bool) {
	t.Helper()
	end := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok(s.frames.used.Load()) {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("they hold %d bytes", s.frames.used.Load())
		}
	}
}

func nothing(n int64) bool { return n == 0 }

func TestRequestsOfAllConnectionsTogetherAreBounded(t *testing.T) {
	const most = 1 << 20
	s, path := start(t, sample(1), Options{MaxFrames: most})
	half := `{"jsonrpc":"2.0","method":"system.ping","id":1,"x":"` + strings.Repeat("x", 400<<10)
	a, b, c, other := talk(t, path), talk(t, path), talk(t, path), talk(t, path)
	a.send(half)
	held(t, s, func(n int64) bool { return n > 400<<10 })
	b.send(half)
	held(t, s, func(n int64) bool { return n > 800<<10 })
	go fmt.Fprint(c, half) // the server closes before it has read all
	c.want(`"code":-32700,"message":"too many long requests at once: they may hold 1048576 bytes`)
	c.wantClosed()
	other.alive() // what is short is always heard
	if n := s.frames.used.Load(); n > most {
		t.Errorf("they hold %d bytes", n)
	}
	a.send(`"}`) // those that were there first are heard out
	a.want(pong)
	b.Close()
	held(t, s, nothing)
	d := talk(t, path)
	d.send(half + `"}`)
	d.want(pong)
	held(t, s, nothing)
}

func TestAStreamHoldsNothingOfItsRequest(t *testing.T) {
	begun := make(chan struct{}, 1)
	s, path := start(t, streamTable(func(ctx context.Context, call *Call) error {
		err := call.Begin(len(call.Raw))
		begun <- struct{}{}
		<-ctx.Done()
		return err
	}), Options{})
	c := talk(t, path)
	c.send(strings.Replace(askStream, `"id"`, `"params":["`+strings.Repeat("x", 1<<19)+`"],"id"`, 1))
	<-begun
	if n := s.frames.used.Load(); n != 0 {
		t.Errorf("the stream holds %d bytes", n)
	}
	c.want(fmt.Sprintf(`"id":7,"result":%d`, 1<<19+4))
}
