package server

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"zinit/applets/env"
)

// asServer is the variable that makes the test binary a server without a keeper.
const asServer = "ZINIT_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) == "" {
		os.Exit(m.Run())
	}
	os.Exit(Main(&env.Env{Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, UID: os.Geteuid()}))
}

// serverProcess is a server whose channels to its keeper are nothing of the sort.
func serverProcess(t *testing.T, stderr *os.File, args ...string) *exec.Cmd {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	cmd := exec.Command(os.Args[0])
	cmd.Args = append([]string{"zinit-child"}, args...)
	cmd.Env = append(os.Environ(), asServer+"=1")
	cmd.ExtraFiles = []*os.File{null, null}
	cmd.Stderr = stderr
	return cmd
}

// A log that nobody reads any more must not end the server: with every line it
// has to say, it would end again.
func TestAServerOutlivesTheReaderOfItsLog(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := serverProcess(t, w)
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != env.ExitFailed {
		t.Errorf("it ended with %v, want code %d of its own", err, env.ExitFailed)
	}
}

func TestAServerWithoutAKeeperSaysHowToStart(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, env.ExitFailed, "error cannot go on: cannot speak to the keeper: "},
		{[]string{"--log-level", "loud"}, env.ExitUsage, `zinit-server: --log-level: unknown log level "loud"`},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := serverProcess(t, w, c.args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		var said bytes.Buffer
		if _, err := said.ReadFrom(r); err != nil {
			t.Error(err)
		}
		r.Close()
		err = cmd.Wait()
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(said.String(), c.says) {
			t.Errorf("%v: it ended with %v and says %q", c.args, err, &said)
		}
	}
}
