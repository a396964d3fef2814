package sock

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// echo answers a line with itself.
func echo(_ context.Context, l *Line) { fmt.Fprintf(l, "line %q", l.Text) }

func TestLinesAndJSONOnOneSocket(t *testing.T) {
	_, path := start(t, sample(1), Options{Lines: echo})
	for _, tt := range []struct {
		name, send, want string
		half             bool // the client says that it will send no more
	}{
		{name: "a line", send: "list\n", want: `line "list"`},
		{name: "blanks in front", send: " \t list all\n", want: `line "list all"`},
		{name: "the rest is dropped", send: "list\nstop a\n{}\n", want: `line "list"`},
		{name: "without its end", send: "stop a", want: `line "stop a"`, half: true},
		{name: "a return", send: "list\r\n", want: `line "list\r"`},
		{name: "an empty line", send: "\n", want: `line ""`},
		{name: "blanks", send: "   ", want: `line ""`, half: true},
		{name: "nothing", want: "", half: true},
		{name: "no text", send: "a\xff\n", want: `line "a\xff"`},
		{name: "no text at all", send: "\xff\n", want: `line "\xff"`},
		{name: "a line and half of another", send: "list\nsto", want: `line "list"`},
		{name: "binary", send: "\x16\x03\x01", want: parse, half: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, tt.send); err != nil {
				t.Fatal(err)
			}
			if tt.half {
				if err := c.(*net.UnixConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			got, err := io.ReadAll(c)
			if err != nil && !strings.Contains(err.Error(), "reset") || tt.want == "" && len(got) > 0 || !strings.HasPrefix(string(got), tt.want) {
				t.Errorf("%q %v, want %s", got, err, tt.want)
			}
		})
	}
	// JSON goes on as ever, whatever blanks are in front of it.
	c := talk(t, path)
	io.WriteString(c, "\n  "+ping+"\n"+ping)
	c.want(pong)
	c.want(pong)
	c.alive()
}

// A stream of lines ends when the client hangs up, and not before.
func TestAStreamOfLinesEndsWithItsClient(t *testing.T) {
	ended := make(chan error, 1)
	_, path := start(t, sample(1), Options{Lines: func(ctx context.Context, l *Line) {
		io.WriteString(l, "first\n")
		<-ctx.Done()
		ended <- ctx.Err()
	}})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "log\n")
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 6)
	if _, err := io.ReadFull(c, line); err != nil || string(line) != "first\n" {
		t.Fatalf("%q %v", line, err)
	}
	select {
	case <-ended:
		t.Fatal("it ended although the client listens")
	default:
	}
	c.Close()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on although nobody listens")
	}
}
