package pid1

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"zinit/applets/env"
)

func TestAContainerIsToldFromAMachine(t *testing.T) {
	cases := []struct {
		name         string
		pidNamespace uint64
		told         bool
		mayReboot    bool
		want         bool
	}{
		{"a machine", firstNamespace, false, true, false},
		{"a machine that is told to be a container", firstNamespace, true, true, false},
		{"a machine that may not reboot", firstNamespace, false, false, false},
		{"a PID namespace", 4026532184, false, false, true},
		{"a machine before /proc is mounted", 0, false, true, false},
		{"a machine that is told so before /proc is mounted", 0, true, true, false},
		{"a container without /proc", 0, true, false, true},
		{"a container in the first namespace that is told so", firstNamespace, true, false, true},
		{"a PID namespace that may reboot", 4026532184, true, true, true},
		{"a bare PID namespace without /proc", 0, false, false, true},
	}
	for _, c := range cases {
		s := signs{c.pidNamespace, c.told, func() bool { return c.mayReboot }}
		if got := s.container(); got != c.want {
			t.Errorf("%s: container is %v", c.name, got)
		}
	}
}

func TestRoles(t *testing.T) {
	none := func(string) string { return "" }
	if r := roleOf(812, env.ServerFlags{Container: true}, none); r != standalone {
		t.Errorf("a process that is not the first has role %d", r)
	}
	if r := roleOf(1, env.ServerFlags{Container: true}, none); r != container {
		t.Errorf("--container gives role %d", r)
	}
}

// A stuck reader does not take anything until it is let go.
type stuck struct {
	text strings.Builder
	let  chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.let
	return s.text.Write(p)
}

func TestTheConsoleNeverWaits(t *testing.T) {
	out := &stuck{let: make(chan struct{})}
	c := newConsole(out)
	for i := range 1000 {
		c.printf("message %d", i)
	}
	c.flush(time.Millisecond) // gives up
	close(out.let)
	c.flush(time.Minute)
	text := out.text.String()
	if !strings.HasPrefix(text, "zinit: message 0\n") {
		t.Errorf("the first message is not there: %.60q", text)
	}
	if !strings.Contains(text, "more messages did not get through") {
		t.Errorf("the lost ones are not counted: %q", text)
	}
}

func TestTheConsoleSurvivesItsEnd(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	c := newConsole(w)
	for i := range 10 {
		c.printf("%s", fmt.Sprint(i))
	}
	c.flush(time.Minute)
}
