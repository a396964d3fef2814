package config

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestFilesOfVariables(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"comments and blank lines", "# a\n ; b\n\n \t\n#", nil},
		{"plain", "A=b\nC = d e \t\nD=", []string{"A=b", "C=d e", "D="}},
		{"lines of Windows, a mark of the encoding, no last newline", "\ufeffA=b\r\nC=d", []string{"A=b", "C=d"}},
		{"export", "export A=b\nexport  C=d\nexport=e", []string{"A=b", "C=d", "export=e"}},
		{"the last value counts", "A=1\nB=2\nA=3", []string{"A=3", "B=2"}},
		{"what is no comment", "A=b # c\nB=#", []string{"A=b # c", "B=#"}},
		{"nothing is expanded", "A=$HOME `x` ~ *", []string{"A=$HOME `x` ~ *"}},
		{"quotes inside", "A=b\"c\" 'd", []string{"A=b\"c\" 'd"}},
		{"equals signs", "A=b=c", []string{"A=b=c"}},
		{"escapes", `A=a\ b\\\"\n\ `, []string{`A=a b\"n `}},
		{"a last backslash", "A=b\\", []string{"A=b\\"}},
		{"joined lines", "A=b\\\n  c\nD=e", []string{"A=b  c", "D=e"}},
		{"single quotes", `A=' b\n"c" '`, []string{`A= b\n"c" `}},
		{"double quotes", `A=" b\"\\\$\x '"`, []string{`A= b"\$\x '`}},
		{"quotes over lines", "A=\"b\nc\\\nd\"\nB='\n'\nC=1", []string{"A=b\ncd", "B=\n", "C=1"}},
		{"quotes side by side", `A="b"'c'"" `, []string{"A=bc"}},
		{"a comment behind quotes", `A="b" # c`, []string{"A=b"}},
		{"empty quotes", "A=''\nB=\"\"", []string{"A=", "B="}},
		{"odd names", "a.b-c=1\né=2\n1=3", []string{"a.b-c=1", "é=2", "1=3"}},
		{"bytes that are no text", "A=\xff\x01", []string{"A=\xff\x01"}},
	} {
		got, err := ParseEnvFile([]byte(c.text))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestBadFilesOfVariablesSayWhere(t *testing.T) {
	for _, c := range []struct {
		name, text string
		line       int
		want       string
	}{
		{"no =", "A=b\nnonsense here\n", 2, "'nonsense here' has no =: write NAME=VALUE"},
		{"no name", "=b", 1, "'' cannot be the name"},
		{"a blank in the name", "# x\n\nA B=c", 3, "'A B' cannot be the name"},
		{"a quote in the name", `"A"=c`, 1, "cannot be the name"},
		{"an open quote", "A=1\nB=\"x\ny\nz", 2, "the quote \" is never closed"},
		{"an open quote behind an escape", `A="x\"`, 1, "is never closed"},
		{"text behind a quote", "A='b'\nB=\"c\nd\" e", 2, "'e' follows after the closing quote"},
		{"a comment too close", `A='b'#c`, 1, "'#c' follows"},
		{"NUL", "A=b\x00", 1, "NUL"},
		{"NUL in the name", "A\x00=b", 1, `'A\x00' cannot be`},
		{"size", strings.Repeat("#", MaxFile+1), 0, "larger than 1 MiB"},
	} {
		env, err := ParseEnvFile([]byte(c.text))
		var bad *EnvFileError
		if env != nil || !errors.As(err, &bad) || bad.Line != c.line || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q %v, want line %d: %s", c.name, env, err, c.line, c.want)
		}
	}
}

func TestTheDocumentedFileOfVariablesIsRead(t *testing.T) {
	text, err := os.ReadFile("../../docs/services.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```env\n(.*?)```").FindSubmatch(text)
	if example == nil {
		t.Fatal("there is none")
	}
	got, err := ParseEnvFile(example[1])
	if want := []string{"LANG=C.UTF-8", `OPTIONS=--port 8080 --name "my web"`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q %v, want %q", got, err, want)
	}
}

func FuzzParseEnvFile(f *testing.F) {
	for _, text := range []string{"A=b\n#c\n", "export A='b\n'\nC=\"d\\\n\\$\" # e", "A=b\\\nc\\ ", "=", "A=\"", "A\r\nB=\r\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		env, err := ParseEnvFile(text)
		if err != nil {
			var bad *EnvFileError
			if !errors.As(err, &bad) || bad.Line > 1+strings.Count(string(text), "\n") || strings.ContainsAny(err.Error(), "\x00\x1b\n") {
				t.Fatalf("error %q", err)
			}
			return
		}
		var again strings.Builder
		seen := map[string]bool{}
		for _, kv := range env {
			name, value, ok := strings.Cut(kv, "=")
			if !ok || name == "" || seen[name] || strings.ContainsAny(kv, "\x00") || strings.ContainsAny(name, " \n\t") {
				t.Fatalf("variable %q of %q", kv, env)
			}
			seen[name] = true
			again.WriteString(name + "='" + strings.ReplaceAll(value, "'", `'"'"'`) + "'\n")
		}
		// What was read can be written in single quotes, and is the same then.
		if strings.Contains(again.String(), "\r\n") {
			return // a line of Windows, made by joining
		}
		if back, err := ParseEnvFile([]byte(again.String())); err != nil && again.Len() <= MaxFile || !slices.Equal(back, env) && again.Len() <= MaxFile {
			t.Fatalf("%q as %q: %q %v", env, again.String(), back, err)
		}
	})
}
