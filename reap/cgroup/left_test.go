package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestOnlyWhatADeadKeeperLeftIsLeft(t *testing.T) {
	own := t.TempDir()
	for group, populated := range map[string]string{
		"zinit-12/keeper":      "populated 0\n",
		"zinit-12/web.svc":     "populated 1\n",
		"zinit-12/db.svc":      "populated 0\n",
		"zinit-12/other":       "populated 1\n",
		"zinit-12-2/keeper":    "populated 1\n", // a server lives, or the keeper of another namespace
		"zinit-12-2/web.svc":   "populated 1\n",
		"zinit-12-3/keeper":    "nonsense\n",
		"zinit-12-3/web.svc":   "populated 1\n",
		"zinit-12-4/keeper":    "populated 0\n", // our own
		"zinit-12-4/web.svc":   "populated 1\n",
		"zinit-123/keeper":     "populated 0\n",
		"zinit-123/web.svc":    "populated 1\n",
		"elsewhere-12/keeper":  "populated 0\n",
		"elsewhere-12/web.svc": "populated 1\n",
	} {
		dir := filepath.Join(own, group)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, EventsFile), []byte(populated), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	left := At(filepath.Join(own, "zinit-12-4")).Left(12)
	if !slices.Equal(left, []string{filepath.Join(own, "zinit-12/web.svc")}) || ServiceOf(left[0]) != "web" {
		t.Errorf("left are %v", left)
	}
}
