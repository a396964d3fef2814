package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"zinit/applets/env"
	"zinit/sock"
)

func TestExitCodesOfRefusals(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{errors.New("no"), env.ExitFailed},
		{&noServer{}, env.ExitNoServer},
		{fmt.Errorf("%w, and more", &noServer{}), env.ExitNoServer},
		{sock.NoService(), env.ExitUnknown},
		{sock.UnknownService("x"), env.ExitUnknown},
		{sock.ServiceNotRunning("x"), env.ExitState},
		{sock.ShuttingDown(), env.ExitFailed},
		{sock.Refuse(sock.WordConflict, "service not found: in words only"), env.ExitFailed},
		// As zinit 0.3.9 has them.
		{&sock.Error{Code: sock.CodeInternal, Message: "service not found: x"}, env.ExitUnknown},
		{&sock.Error{Code: sock.CodeInternal, Message: "service not running: x"}, env.ExitState},
		{&sock.Error{Code: sock.CodeServiceNotFound, Message: "service not found"}, env.ExitUnknown},
		{&sock.Error{Code: sock.CodeInternal, Message: "unknown method"}, env.ExitFailed},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}

// A failing writer is a full disk.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestOutputThatCannotBeWrittenIsAFailure(t *testing.T) {
	f := newFake(t, world())
	var errs bytes.Buffer
	e := &env.Env{Args: []string{"zinit", "list", "-s", f.path}, Stdout: failing{}, Stderr: &errs, Getenv: func(string) string { return "" }}
	if code := Main(e); code != env.ExitFailed || !strings.Contains(errs.String(), "no space left") {
		t.Errorf("exit %d, %q", code, errs.String())
	}
}
