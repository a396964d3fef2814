package launch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zinit/supervise/config"
)

func TestVariablesAreReadFromLines(t *testing.T) {
	tests := []struct {
		text string
		want []string
		err  string
	}{
		{"", nil, ""},
		{"A=1\n# B=2\n; C=3\n\n  D = 4  \r\nexport E=5", []string{"A=1", "D=4", "E=5"}, ""},
		{"A=\nB=\"\"\nC=''", []string{"A=", "B=", "C="}, ""},
		{`A=" x  y "` + "\nB=' x $A \\n'\nC=x # not a comment", []string{"A= x  y ", `B= x $A \n`, "C=x # not a comment"}, ""},
		{`A="a \"b\" \\ \$c \x"`, []string{`A=a "b" \ $c \x`}, ""},
		{"A=1\nA=2", []string{"A=1", "A=2"}, ""},
		{"A=1\nB", nil, "line 2: it is not KEY=VALUE: correct it, or begin it with #"},
		{"1A=1", nil, "line 1: it is not KEY=VALUE"},
		{"A B=1", nil, "line 1: it is not KEY=VALUE"},
		{`A="x`, nil, "line 1: the quotes of A do not match"},
		{`A="x" y`, nil, "line 1: the quotes of A do not match"},
		{"A=x\x00y", nil, "line 1: the value of A has a NUL byte"},
	}
	for _, test := range tests {
		got, err := appendVariables(nil, test.text)
		if test.err != "" && (err == nil || !strings.HasPrefix(err.Error(), test.err)) || test.err == "" && (err != nil || !slices.Equal(got, test.want)) {
			t.Errorf("%q: %q, %v", test.text, got, err)
		}
	}
}

func TestEnvFilesMayBeMissingOrNot(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("A=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	got, err := readEnvFiles([]config.EnvFile{{Path: missing, Optional: true}, {Path: there}})
	if err != nil || !slices.Equal(got, []string{"A=1"}) {
		t.Errorf("%q %v", got, err)
	}
	for path, want := range map[string]string{
		missing: "env_file " + missing + " does not exist: write it, or put a - in front of the path",
		dir:     "cannot read env_file " + dir + ": it is not a regular file",
	} {
		if _, err := readEnvFiles([]config.EnvFile{{Path: path}}); err == nil || err.Error() != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func FuzzVariables(f *testing.F) {
	f.Add("A=1\nexport B='x'\n")
	f.Add("A=\"\\")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := appendVariables(nil, text)
		if err != nil && list != nil {
			t.Fatal(list)
		}
		for _, kv := range list {
			name, value, ok := strings.Cut(kv, "=")
			if !ok || !isName(name) || strings.ContainsRune(value, 0) {
				t.Fatalf("%q", kv)
			}
		}
	})
}
