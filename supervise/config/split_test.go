package config

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// everything and nothing answer for the programs of a machine.
func everything(string) bool { return true }
func nothing(string) bool    { return false }

func TestSplitCommandTakesWordsAsTheShellDoes(t *testing.T) {
	for line, want := range map[string][]string{
		"/bin/a":                           {"/bin/a"},
		"  a \t b  ":                       {"a", "b"},
		"a 'b c' \"d e\"":                  {"a", "b c", "d e"},
		`a b\ c \'d\" \\`:                  {"a", "b c", `'d"`, `\`},
		`a "x\"y" "\$HOME" "\a" "\\"`:      {"a", `x"y`, "$HOME", `\a`, `\`},
		"a '' \"\"":                        {"a", "", ""},
		"a b'c'd\"e\"f":                    {"a", "bcdef"},
		"a # not b":                        {"a"},
		"a b#c":                            {"a", "b#c"},
		"a \\\n  b":                        {"a", "b"},
		"a b\\\nc":                         {"a", "bc"},
		"a \"b\\\nc\"":                     {"a", "bc"},
		"\n# first\na b\n\n":               {"a", "b"},
		"a 'b\nc'":                         {"a", "b\nc"},
		`a "*" '?' \[ '$x' \$x "\` + "`\"": {"a", "*", "?", "[", "$x", "$x", "`"},
		"a {b,c} } {":                      {"a", "{b,c}", "}", "{"},
		"a --x=y x=y":                      {"a", "--x=y", "x=y"},
		"a b~ x/~ --d=~/x":                 {"a", "b~", "x/~", "--d=~/x"},
		"a ! if ] % @ ^ + =":               {"a", "!", "if", "]", "%", "@", "^", "+", "="},
		`"if" x`:                           {"if", "x"},
		"echo -n é":                        {"echo", "-n", "é"},
	} {
		got, err := SplitCommandWith(line, everything)
		if err != nil || got.Shell || !slices.Equal(got.Argv, want) {
			t.Errorf("%q:\n got %q shell=%v (%s) %v\nwant %q", line, got.Argv, got.Shell, got.ShellWhy, err, want)
		}
	}
}

func TestSplitCommandSaysWhatNeedsAShell(t *testing.T) {
	for _, c := range []struct{ line, why, script string }{
		{"a | b", "the pipe |", "a | b"},
		{"a & b", "the background sign &", "a & b"},
		{"a &", "the background sign &", "a &"},
		{"a && b c", "the operator &&", "a && exec b c"},
		{"a || b", "the operator ||", "a || exec b"},
		{"a; b", "the separator ;", "a; exec b"},
		{"a; b;", "the separator ;", "a; exec b;"},
		{"a; b &", "the separator ;", "a; b &"},
		{"a > f", "the redirection >", "exec a > f"},
		{"a 2>&1 >>f", "the redirection >&", "exec a 2>&1 >>f"},
		{">f 2>&1 a b", "the redirection >", ">f 2>&1 exec a b"},
		{"a <<X", "the here-document <<", "a <<X"},
		{"(a)", "the parenthesis (", "(a)"},
		{"a $HOME", "the variable $HOME", "exec a $HOME"},
		{`a "$HOME/x"`, "the variable $HOME", `exec a "$HOME/x"`},
		{"a ${X:-y}", "the variable ${X:-y}", "exec a ${X:-y}"},
		{"a $1", "the variable $1", "exec a $1"},
		{"a $", "the dollar sign $", "exec a $"},
		{"a $(b c)", "the substitution $( )", "exec a $(b c)"},
		{"a $(b \"c\")", "the substitution $( )", "a $(b \"c\")"},
		{"a $((1+2))", "the substitution $( )", "a $((1+2))"},
		{"a `b c`", "the substitution `", "exec a `b c`"},
		{"a *.c", "the pattern *", "exec a *.c"},
		{"a b?", "the pattern ?", "exec a b?"},
		{"a [b]", "the pattern [", "exec a [b]"},
		{"a ~/x", "the home directory ~", "exec a ~/x"},
		{"~/bin/a x", "the home directory ~", "exec ~/bin/a x"},
		{"a x=~", "the home directory ~", "exec a x=~"},
		{"a x=y:~", "the home directory ~", "exec a x=y:~"},
		{"A=1 B='x y' a", "the assignment A=1", "A=1 B='x y' exec a"},
		{"A=1", "the assignment A=1", "A=1"},
		{"if a; then b; fi", "the separator ;", "if a; then b; fi"},
		{"a; if b; then c; fi", "the separator ;", "a; if b; then c; fi"},
		{"! a", "the shell word !", "! a"},
		{"{ a", "the shell word {", "{ a"},
		{"{ a; }", "the separator ;", "{ a; }"},
		{"cd /x && ./a b", "the operator &&", "cd /x && exec ./a b"},
		{"exec a", "the builtin exec", "exec a"},
		{"exec 2>&1; a", "the redirection >&", "exec 2>&1; exec a"},
		{"export A", "the builtin export", "export A"},
		{`"export" A`, "the builtin export", `"export" A`},
		{"umask 077; ulimit -n 9; a", "the separator ;", "umask 077; ulimit -n 9; exec a"},
		{"trap 'x' EXIT; a", "the separator ;", "trap 'x' EXIT; a"},
		{"eval x; a", "the separator ;", "eval x; a"},
		{". ./env; a", "the separator ;", ". ./env; a"},
		{"$x; a", "the variable $x", "$x; a"},
		{"a; echo b", "the separator ;", "a; echo b"},
		{"a | b; c", "the pipe |", "a | b; c"},
		{"a\nb c\n", "the line break between two commands", "a\nexec b c\n"},
		{"a; >f", "the separator ;", "a; >f"},
		{"a &&", "the operator &&", "a &&"},
		{"f() { a; }; f", "the parenthesis (", "f() { a; }; f"},
		{"-x $y", "the variable $y", "-x $y"},
		{"a $'b'", "the dollar sign $", "a $'b'"},
	} {
		got, err := SplitCommandWith(c.line, everything)
		want := []string{"/bin/sh", "-c", c.script}
		if err != nil || !got.Shell || got.ShellWhy != c.why || !slices.Equal(got.Argv, want) {
			t.Errorf("%q:\n got %q because of %q %v\nwant %q because of %q", c.line, got.Argv, got.ShellWhy, err, want, c.why)
		}
	}
}

func TestABuiltinNeedsAShellOnlyWhereItIsNoProgram(t *testing.T) {
	for _, c := range []struct {
		line  string
		found func(string) bool
		why   string
	}{
		{"echo a", everything, ""},
		{"echo a", nothing, "the builtin echo"},
		{"test -f /x", everything, ""},
		{"ulimit -n 5", nothing, "the builtin ulimit"},
		{"cd /x", everything, ""}, // some systems do have such a program
		{"exec a", everything, "the builtin exec"},
		{"nginx", nothing, ""},
	} {
		got, err := SplitCommandWith(c.line, c.found)
		if err != nil || got.ShellWhy != c.why {
			t.Errorf("%q: got %q %v, want %q", c.line, got.ShellWhy, err, c.why)
		}
	}
}

func TestSplitCommandRefusesWhatNoShellWouldRun(t *testing.T) {
	for line, want := range map[string]string{
		"":            "holds no command",
		" \n# x":      "holds no command",
		"a 'b":        "the quote ' at character 3 is never closed",
		`é "b`:        `the quote " at character 3 is never closed`,
		`a | "b`:      `the quote " at character 5 is never closed`,
		`a \`:         "ends in a backslash",
		"a\x00b":      "NUL",
		"'' a":        "begins with an empty word",
		"'a' | b 'c":  "the quote ' at character 9",
		"a \"$x y 'z": `the quote " at character 3`,
	} {
		_, err := SplitCommandWith(line, everything)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", line, err, want)
		}
	}
}

// printWords is a program that prints its arguments so that they can be told
// apart, for the comparison with the real shell.
func shellOutput(t *testing.T, script string) (string, bool) {
	t.Helper()
	cmd := exec.Command(Shell, "-c", script)
	cmd.Dir = t.TempDir()
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	return out.String(), err == nil
}

func needShell(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(Shell); err != nil {
		t.Skip("no " + Shell + " to compare with")
	}
}

// pieces are glued together to lines that are full of doubt.
var pieces = []string{
	"a", "bc", " ", "  ", "\t", "'", "''", "'x y'", `"`, `""`, `"x y"`, `\`, `\ `, `\'`, `\"`, `\\`,
	"#", " #c", "é", "-n", "%s", "=", "x=", "~", "!", "{", "}", ",", "]", "^", "@", "\\\n", `"\n"`, `"\""`, `"\$x"`, "1", ":", "/",
}

func TestWordsAgreeWithTheRealShell(t *testing.T) {
	needShell(t)
	seed := uint64(1)
	next := func(n int) int {
		seed = seed*6364136223846793005 + 1442695040888963407
		return int(seed>>33) % n
	}
	compared := 0
	for range 700 {
		line := "x"
		for range 1 + next(9) {
			line += pieces[next(len(pieces))]
		}
		got, err := SplitCommandWith("printf '%s\\0' "+line, everything)
		if err != nil || got.Shell {
			continue
		}
		want, ok := shellOutput(t, "printf '%s\\0' "+line)
		if !ok {
			t.Errorf("%q: the shell refuses it, we split it into %q", line, got.Argv)
			continue
		}
		if ours := strings.Join(got.Argv[2:], "\x00") + "\x00"; ours != want {
			t.Errorf("%q:\n ours %q\nshell %q", line, ours, want)
		}
		compared++
	}
	if compared < 150 {
		t.Errorf("only %d lines could be compared", compared)
	}
}

func TestExecInFrontChangesNothingButThePid(t *testing.T) {
	needShell(t)
	for _, line := range []string{
		"A=1 B=$A sh -c 'echo $A-$B'", "sh -c 'echo x' > f && cat f", "cat /dev/null; cat f || cat /etc/hostname",
		">out sh -c 'echo a'; cat <out", "cd / && pwd; ls -d /tm*", "X=5; export X; sh -c 'echo $X'",
		"sh -c 'exit 3'", "false && sh -c 'echo no'", "false || sh -c 'exit 4' x", "nosuchprogram $HOME",
		"umask 077; sh -c umask", "set -e; false; cat /etc/hostname", "cat <<X\na $HOME\nX\n", "sh -c 'echo $$' | tr -d 0-9",
		"if true; then echo y; fi", "for i in a b; do echo $i; done", "f() { echo f; }; f", "trap 'echo bye' EXIT; true $X",
		"echo $((1+2))", "echo `echo a b`", "printf '%s,' ~ \"$HOME\"", "sh -c 'echo \"$@\"' x ${NONE:-d e} \"${NONE:-d e}\"",
		"sleep 0 & wait", "! false", "A=1", "cat /etc/hostname # | wc", "sh -c 'echo a' 2>&1", "env A=~ sh -c 'echo $A'",
		"a=b; sh -c \"echo $a\"", "sh -c 'echo one'\nsh -c 'echo two'\n", "{ echo x; }; sh -c 'echo z'",
		"case x in x) echo y;; esac", "echo a;cat /dev/null;", "exec 2>&1; sh -c 'echo e >&2'",
	} {
		c, err := SplitCommandWith(line, nothing)
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		script := line
		if c.Shell {
			script = c.Argv[2]
		}
		if out, err := exec.Command(Shell, "-n", "-c", script).CombinedOutput(); err != nil {
			t.Errorf("%q became %q, which no shell accepts: %s", line, script, out)
		}
		want, wantOK := shellOutput(t, line)
		got, gotOK := shellOutput(t, script)
		if got != want || gotOK != wantOK {
			t.Errorf("%q:\n as %q gives %q %v\nitself gives %q %v", line, script, got, gotOK, want, wantOK)
		}
	}
}

func TestLookPathSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"run": 0o755, "plain": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=/nowhere", "PATH=/none:" + dir}
	for _, c := range []struct{ file, dir, path, err string }{
		{"run", "", dir + "/run", ""},
		{"./run", dir, dir + "/run", ""},
		{dir + "/run", "/", dir + "/run", ""},
		{"plain", "", "", "is not executable"},
		{dir + "/plain", "", "", "is not executable"},
		{dir + "/folder", "", "", "is a directory"},
		{"./none", dir, "", "does not exist"},
		{"none", "", "", "'none' is not found in PATH (/none:" + dir + ")"},
		{"", "", "", "is empty"},
		{dir + "/run/x", "", "", "cannot be examined"},
	} {
		path, err := LookPath(c.file, env, c.dir)
		if path != c.path || (c.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q in %q: got %q, %v; want %q, %q", c.file, c.dir, path, err, c.path, c.err)
		}
	}
	if _, err := LookPath("no-such-program", nil, ""); err == nil || !strings.Contains(err.Error(), DefaultPath) {
		t.Errorf("without PATH: %v", err)
	}
}

func TestAMissingShellIsNamed(t *testing.T) {
	c, err := SplitCommandWith("a | b", nothing)
	if err != nil {
		t.Fatal(err)
	}
	want := "the line needs a shell (the pipe |) and there is no /bin/sh here: install a shell, or write a command without shell syntax"
	if got := ShellMissing(c); got != want {
		t.Errorf("got %q", got)
	}
}

// singleQuoted writes a word so that a shell takes it for itself.
func singleQuoted(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func FuzzSplitCommand(f *testing.F) {
	for _, seed := range append(pieces, "a | b", "a $(b)", "A=1 b >c 2>&1", "x `y` ${z}", "a <<E\nb\nE") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := SplitCommandWith(s, nothing)
		switch {
		case err != nil && len(c.Argv) > 0:
			t.Errorf("%q: both %q and %v", s, c.Argv, err)
		case err == nil && len(c.Argv) == 0, c.Shell != (c.ShellWhy != ""):
			t.Errorf("%q: incomplete: %+v", s, c)
		case c.Shell && strings.Replace(c.Argv[2], "exec ", "", 1) != strings.Replace(s, "exec ", "", 1):
			t.Errorf("%q: the shell gets %q", s, c.Argv[2])
		}
		if strings.IndexByte(s, 0) >= 0 {
			return
		}
		back, err := SplitCommandWith("x "+singleQuoted(s), nothing)
		if err != nil || back.Shell || len(back.Argv) != 2 || back.Argv[1] != s {
			t.Errorf("%q quoted became %q (%s) %v", s, back.Argv, back.ShellWhy, err)
		}
	})
}

func BenchmarkSplitCommand(b *testing.B) {
	for b.Loop() {
		if _, err := SplitCommandWith(`/usr/bin/app --listen 127.0.0.1:8080 --name "a b" 'c d'`, nothing); err != nil {
			b.Fatal(err)
		}
	}
}
