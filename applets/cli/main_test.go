package cli

import (
	"bytes"
	stdflag "flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zinit/applets/env"
)

var update = stdflag.Bool("update", false, "rewrite the golden files")

const goldenDir = "../../testdata/cli"

// A stage runs command lines and writes down what happens, as a transcript:
// stdout as it is, lines of stderr after "! ", requests after "> " when a spy is set.
type stage struct {
	script   bytes.Buffer
	env      map[string]string
	terminal bool
	width    int
	host     host
	stdin    string
	spy      *fake    // its requests are part of the transcript
	hide     []string // path, placeholder, ...
}

func (s *stage) run(args ...string) int {
	var out, errs bytes.Buffer
	e := &env.Env{
		Args: append([]string{"zinit"}, args...), Stdin: strings.NewReader(s.stdin), Stdout: &out, Stderr: &errs,
		Getenv: func(key string) string { return s.env[key] }, UID: 1000,
	}
	now := func() time.Time { return time.UnixMilli(startedAt).UTC() }
	code := run(&session{env: e, terminal: s.terminal, width: s.width, now: now, host: s.host})
	hide := strings.NewReplacer(s.hide...)
	fmt.Fprintf(&s.script, "$ zinit %s\n%s", hide.Replace(strings.Join(args, " ")), hide.Replace(out.String()))
	for line := range strings.Lines(hide.Replace(errs.String())) {
		s.script.WriteString("! " + line)
	}
	if s.spy != nil {
		for _, request := range s.spy.took() {
			s.script.WriteString("> " + request + "\n")
		}
	}
	fmt.Fprintf(&s.script, "[exit %d]\n\n", code)
	return code
}

func (s *stage) compare(t *testing.T, golden string) {
	t.Helper()
	file := filepath.Join(goldenDir, golden+".golden")
	if *update {
		if err := os.WriteFile(file, s.script.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.script.String(); got != string(want) {
		t.Errorf("%s differs; go test -update rewrites it\n%s", file, firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got %q\nwant %q", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(g), len(w))
}
