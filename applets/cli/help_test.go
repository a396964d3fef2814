package cli

import (
	"bytes"
	"strings"
	"testing"

	"zinit/applets/env"
)

func TestHelp(t *testing.T) {
	s := &stage{env: map[string]string{}}
	s.run()
	s.run("help")
	s.run("-h")
	s.run("help", "nonsense")
	for _, v := range table() {
		s.run("help", v.name)
	}
	s.compare(t, "help")
}

func TestHelpFitsTheScreen(t *testing.T) {
	texts := map[string]string{"overview": overview()}
	for _, v := range table() {
		texts[v.name] = v.helpText()
	}
	for name, text := range texts {
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) > 23 {
			t.Errorf("%s: %d lines and a prompt do not fit 24", name, len(lines))
		}
		for _, line := range lines {
			if len(line) > 79 {
				t.Errorf("%s: %d columns: %s", name, len(line), line)
			}
		}
	}
}

func TestEveryHelpFormSaysTheSame(t *testing.T) {
	for _, v := range table() {
		for _, args := range [][]string{{v.name, "--help"}, {v.name, "-h"}, {"-h", v.name}, {"help", v.name}} {
			var out bytes.Buffer
			e := &env.Env{Args: append([]string{"zinit"}, args...), Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }}
			if code := Main(e); code != env.ExitDone || out.String() != v.helpText() {
				t.Errorf("%v: exit %d\n%s", args, code, out.String())
			}
		}
	}
}

func TestVersionIsTwoWords(t *testing.T) {
	for _, line := range []string{"-V", "--version", "-s /x -V", "list -V"} {
		s := &stage{env: map[string]string{}, hide: []string{env.Version, "VERSION"}}
		s.run(strings.Fields(line)...)
		if want := "$ zinit " + line + "\nzinit VERSION\n[exit 0]\n\n"; s.script.String() != want {
			t.Errorf("%q", s.script.String())
		}
	}
}

func TestMistypedCommandLines(t *testing.T) {
	s := &stage{env: map[string]string{}}
	for _, line := range []string{
		"stauts", "lst", "restrat web", "frobnicate", "rhai", "rhai setup.rhai", "setup.rhai",
		"list --jsno", "list -x", "logs web --lines", "logs web -n", "list --color=blue", "list --json=yes", "--wat list", "--json start web",
	} {
		s.run(strings.Fields(line)...)
	}
	s.compare(t, "usage")
}
