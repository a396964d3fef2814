package config

import (
	"os"
	"path/filepath"
	"testing"
)

// TestAFileIsSupersededUnderItsOwnName, and what was there is kept each time.
func TestAFileIsSupersededUnderItsOwnName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "web.toml")
	if err := os.WriteFile(path, []byte("0"), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{path + "~", path + "~1~"} {
		got, kept, err := Supersede(path, "web", []byte{byte('1' + i)})
		if err != nil || got != path || kept != want {
			t.Fatalf("%s, %s, %v", got, kept, err)
		}
		before, _ := os.ReadFile(kept)
		now, _ := os.ReadFile(path)
		if string(before) != string([]byte{byte('0' + i)}) || string(now) != string([]byte{byte('1' + i)}) {
			t.Errorf("%d: %q is %q now", i, before, now)
		}
	}
}
