package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What runs is what is kept, and what restore brings back, wherever it is by now.
func TestWhatRunsIsKeptWhenACandidateIsInstalled(t *testing.T) {
	for _, c := range []struct {
		name    string
		files   map[string]string // beside one another
		running string            // which of them
	}{
		{"it is at the target", map[string]string{"zinit": "good", "zinit.old": "older"}, "zinit"},
		{"it was the first", map[string]string{"zinit": "good"}, "zinit"},
		{"the keeper went back to the old one", map[string]string{"zinit": "bad", "zinit.old": "good"}, "zinit.old"},
		{"it is at neither", map[string]string{"zinit": "bad", "zinit.old": "worse", "exe": "good"}, "exe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := filepath.Join
			dir := t.TempDir()
			c.files["candidate"] = "bad, too"
			for name, text := range c.files {
				if err := os.WriteFile(at(dir, name), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			// As /proc has it: another name for the same file.
			exe := at(dir, "link")
			if err := os.Symlink(c.running, exe); err != nil {
				t.Fatal(err)
			}
			if c.running == "zinit" {
				if err := errors.Join(os.Remove(exe), os.Link(at(dir, "zinit"), exe)); err != nil {
					t.Fatal(err)
				}
			}
			holds := func(name, want string) {
				t.Helper()
				if text, err := os.ReadFile(at(dir, name)); string(text) != want {
					t.Errorf("%s holds %q, not %q: %v", name, text, want, err)
				}
			}
			target := at(dir, "zinit")
			next := candidate{path: at(dir, "candidate"), copy: target + ".new"}
			if err := copyTo(next.path, next.copy, 0o755); err != nil {
				t.Fatal(err)
			}
			restore, err := next.install(target, exe)
			if err != nil {
				t.Fatal(err)
			}
			holds("zinit", "bad, too")
			holds("zinit.old", "good")
			if err := restore(); err != nil {
				t.Fatal(err)
			}
			holds("zinit", "good")
			if left, _ := filepath.Glob(at(dir, "*.new")); len(left) > 0 {
				t.Errorf("left behind: %s", left)
			}
		})
	}
}

// The file of the user may change in the meantime: it is not looked at again.
func TestOneUpgradeAtATime(t *testing.T) {
	target := filepath.Join(t.TempDir(), "zinit")
	first, err := lockProgram(target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockProgram(target); err == nil || !strings.Contains(err.Error(), "is being upgraded by somebody else") {
		t.Errorf("a second one beside it: %v", err)
	}
	first.Close()
	again, err := lockProgram(target)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestWhatIsExaminedIsWhatIsInstalled(t *testing.T) {
	dir := t.TempDir()
	file, target := filepath.Join(dir, "file"), filepath.Join(dir, "zinit")
	for _, path := range []string{file, target} {
		if err := os.WriteFile(path, []byte("old"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	next := candidate{path: file, copy: target + ".new"}
	if err := copyTo(file, next.copy, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("of somebody else"), 0o755); err != nil {
		t.Fatal(err)
	}
	const sumOfOld = "cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4"
	if err := next.examine(target, sumOfOld); err == nil || !strings.Contains(err.Error(), "no program that Linux executes") {
		t.Errorf("the checksum is not that of the copy: %v", err)
	}
	if _, err := next.install(target, target); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(target); string(text) != "old" {
		t.Errorf("%q is installed: %v", text, err)
	}
	// One that is refused leaves nothing.
	if _, err := bring(file, target, target, "00"); err == nil || !strings.Contains(err.Error(), file+" has the sha256") {
		t.Errorf("it is not refused: %v", err)
	}
	if _, err := os.Stat(next.copy); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy is left: %v", err)
	}
}
