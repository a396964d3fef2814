package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"zinit/applets/env"
)

// A server whose keeper reports on SIGUSR1 is replaced by the other signal, and every
// other one by that.
func TestTheSignalByWhichAServerIsReplaced(t *testing.T) {
	flags := env.ServerFlags{ConfigDir: "/c", Socket: "/s", LogLevel: "info"}
	plain := flags.Args()
	flags.ReportOnUsr1 = true
	for _, c := range []struct {
		name string
		args []string // nil: they cannot be read
		want syscall.Signal
	}{
		{"zinit-server", plain, syscall.SIGUSR1},
		{"start init", flags.Args(), 43},
		{"a directory of that name", []string{"--config-dir=" + env.ReportFlag}, syscall.SIGUSR1},
		{"out of sight", nil, syscall.SIGUSR1},
	} {
		dir := t.TempDir()
		if c.args != nil {
			line := "zinit-server\x00" + strings.Join(c.args, "\x00") + "\x00"
			if err := os.MkdirAll(filepath.Join(dir, "77"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "77", "cmdline"), []byte(line), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got := (host{proc: dir}).replaces(77); got != c.want {
			t.Errorf("%s: signal %d, want %d", c.name, got, c.want)
		}
	}
}
