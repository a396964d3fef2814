package cli

import (
	"bytes"
	"context"
	"iter"
	"strings"
	"testing"

	"zinit/applets/env"
	"zinit/sock"
)

func TestStreams(t *testing.T) {
	for _, test := range []struct {
		golden   string
		terminal bool
		width    int
		lines    []string
	}{
		{golden: "events", lines: []string{"events", "events web", "events web api --now", "events web -f --json", "events nosuch"}},
		{golden: "events-terminal", terminal: true, width: 72, lines: []string{"events web", "events --color never"}},
		{golden: "follow", lines: []string{
			"logs web -f", "logs db web --follow -n 5", "logs web -f --since 10m --stream stdout", "logs web -f --json", "logs -f -n 1 --grep o", "logs nosuch -f", "logs web -f -n x",
		}},
		{golden: "follow-terminal", terminal: true, lines: []string{"logs db web -f"}},
	} {
		t.Run(test.golden, func(t *testing.T) {
			s := &stage{terminal: test.terminal, width: test.width, env: map[string]string{}}
			for _, restarts := range []bool{false, true} {
				if restarts {
					s.script.WriteString("# the server is restarted meanwhile\n\n")
				}
				for _, line := range test.lines {
					f := newFake(t, world())
					f.restarts = restarts
					s.env["ZINIT_SOCKET"], s.spy, s.hide = f.path, f, []string{f.path, "$SOCKET"}
					s.run(strings.Fields(line)...)
				}
			}
			s.compare(t, test.golden)
		})
	}
}

// endless counts up until it is told to stop.
func endless(ctx context.Context, stopped chan<- struct{}) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		defer close(stopped)
		for i := 0; ctx.Err() == nil && yield(i, nil); i++ {
		}
	}
}

func TestAStreamEndsWithItsReader(t *testing.T) {
	f := newFake(t, nil)
	var errs bytes.Buffer
	e := &env.Env{Stdout: failing{}, Stderr: &errs, Getenv: func(string) string { return "" }}
	s := &session{env: e, call: call{flags: map[string][]string{"socket": {f.path}}}}
	defer s.close()
	stopped := make(chan struct{})
	open := func(ctx context.Context) iter.Seq2[int, error] { return endless(ctx, stopped) }
	if code := show(s, sock.MethodEvents, open, func(i *int) { s.printf("%d\n", *i) }); code != env.ExitFailed {
		t.Errorf("exit code %d", code)
	}
	<-stopped
	if !strings.Contains(errs.String(), "no space left") {
		t.Error(errs.String())
	}
}

// A counter counts writes, and what they hold.
type counter struct{ writes, lines int }

func (c *counter) Write(p []byte) (int, error) {
	c.writes++
	c.lines += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

func TestWhatIsThereAlreadyIsWrittenTogether(t *testing.T) {
	f := newFake(t, nil)
	out := &counter{}
	s := &session{env: &env.Env{Stdout: out}, call: call{flags: map[string][]string{"socket": {f.path}}}}
	defer s.close()
	const lines = 200 // less than is read ahead
	ahead := make(chan drop[int], lines)
	for i := range lines {
		ahead <- drop[int]{value: i}
	}
	close(ahead)
	if code := drain(s, sock.MethodEvents, ahead, func(i *int) { s.printf("%d\n", *i) }); code != env.ExitDone {
		t.Errorf("exit code %d", code)
	}
	if out.writes != 1 || out.lines != lines {
		t.Errorf("%d lines in %d writes", out.lines, out.writes)
	}
}
