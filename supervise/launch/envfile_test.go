package launch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"zinit/supervise/config"
)

func TestEnvFilesMayBeMissingOrNot(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("A=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	missing, bad := filepath.Join(dir, "missing"), filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("A=1\nB\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := readEnvFiles([]config.EnvFile{{Path: missing, Optional: true}, {Path: there}})
	if err != nil || !slices.Equal(got, []string{"A=1"}) {
		t.Errorf("%q %v", got, err)
	}
	for path, want := range map[string]string{
		missing: "env_file " + missing + " does not exist: write it, or put a - in front of the path",
		bad:     "env_file " + bad + ", line 2: 'B' has no =: write NAME=VALUE, or # before a comment",
		dir:     "cannot read env_file " + dir + ": it is not a regular file: correct the path, or its mode",
	} {
		if _, err := readEnvFiles([]config.EnvFile{{Path: path}}); err == nil || err.Error() != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}
