package cli

import (
	"os"
	"path/filepath"
	"testing"

	"zinit/supervise/config"
)

func TestWhatAServiceOfZinit02AwaitsAndNobodyHas(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"web.yaml":  "exec: a\n# after: nobody\nafter:\n  # one\n  - db\n  - nobody\nenv:\n  A: nobody\n",
		"flow.yaml": "exec: a\nafter: [db, nobody]\n",
		"db.yaml":   "exec: a\n",
		"x.toml":    "[service]\nname = \"x\"\nexec = \"a\"\n[dependencies]\nawaits = [\"nobody\"]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, err := config.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		filepath.Join(dir, "web.yaml") + ":6: after: warning: nobody does not exist: web waits until it does":           true,
		filepath.Join(dir, "flow.yaml") + ":2: after: warning: nobody does not exist: flow waits until it does":         true,
		filepath.Join(dir, "x.toml") + ":5: dependencies.awaits: warning: nobody does not exist: x waits until it does": true,
	}
	problems := relations(checkSet{set, true})
	for _, p := range problems {
		if !want[p.String()] {
			t.Errorf("%s", p)
		}
	}
	if len(problems) != len(want) {
		t.Errorf("%d problems, want %d", len(problems), len(want))
	}
}
