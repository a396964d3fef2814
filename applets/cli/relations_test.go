package cli

import (
	"os"
	"path/filepath"
	"slices"
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
	problems := relations(checkSet{Set: set, complete: true})
	for _, p := range problems {
		if !want[p.String()] {
			t.Errorf("%s", p)
		}
	}
	if len(problems) != len(want) {
		t.Errorf("%d problems, want %d", len(problems), len(want))
	}
}

// The targets that files of sideros-start name need no file; other names do.
func TestTargetsOfSiderosStartThatNothingDescribes(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"nginx.toml", "postgresql.toml"} {
		text, err := os.ReadFile(filepath.Join("../../testdata/sideros", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(dir, "other.toml")
	text := "[service]\nname = \"other\"\nexec = \"a\"\n[service.dependencies]\nafter = [\"network\"]\nrequires = [\"disk\"]\n"
	if err := os.WriteFile(other, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := config.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range relations(checkSet{Set: set, complete: true}) {
		got = append(got, p.String())
	}
	want := []string{
		other + ":6: dependencies.requires: disk does not exist: add it, or drop it from requires",
		other + ":5: dependencies.after: warning: network does not exist: it is ignored",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}
