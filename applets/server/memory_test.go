package server

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"zinit/reap"
)

// A memoryShelf is a keeper that holds files of any kind.
type memoryShelf map[string]*os.File

func (s memoryShelf) Keep(name string, f *os.File) error {
	fd, err := syscall.Dup(int(f.Fd()))
	if err == nil {
		s[name] = os.NewFile(uintptr(fd), name)
	}
	return err
}

func TestAStateThatIsMissingIsSaidWhenTheKeeperKnowsRuns(t *testing.T) {
	for name, c := range map[string]struct {
		text string // of the file
		runs map[string]uint64
		want string
	}{
		"nothing was there": {"", nil, ""},
		"it is empty":       {"", map[string]uint64{"a": 1}, "the state that the last server wrote is missing"},
		"it is damaged":     {"damage", map[string]uint64{"a": 1}, "the state that the last server wrote is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := home(t)
			if err := os.WriteFile(filepath.Join(dir, stateName), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			log, said := keptLog()
			m := openMemory(&place{dir: dir}, reap.Inventory{Runs: c.runs}, memoryShelf{}, log)
			if m == nil || (c.want == "") != (said.Len() == 0) || !strings.Contains(said.String(), c.want) {
				t.Errorf("it says %q, want %q", said, c.want)
			}
		})
	}
}

// What is written while the file cannot be opened is there for the next server, also
// when the file could be opened again.
func TestAStateThatCannotBeOpenedIsHeldByTheKeeper(t *testing.T) {
	dir := home(t)
	path := filepath.Join(dir, stateName)
	mkdir(t, path)
	keeper := memoryShelf{}
	log, said := keptLog()
	first := openMemory(&place{dir: dir}, reap.Inventory{}, keeper, log)
	if first == nil || !strings.Contains(said.String(), "move away what is in its place") {
		t.Fatalf("it says %q", said)
	}
	if err := errors.Join(first.Put("state/a", []byte("{}")), first.Commit(), os.Remove(path), first.Close()); err != nil {
		t.Fatal(err)
	}
	said.Reset()
	next := openMemory(&place{dir: dir}, reap.Inventory{Kept: keeper, Runs: map[string]uint64{"a": 1}}, keeper, log)
	if next == nil || string(next.Get("state/a")) != "{}" || said.Len() != 0 {
		t.Errorf("the next server knows nothing of it, and says %q", said)
	}
}

func TestNothingIsLeftForAnotherServerAfterAShutdown(t *testing.T) {
	log, said := keptLog()
	s := &server{log: log, at: &place{dir: home(t)}, turn: make(chan struct{}, 1)}
	for _, name := range []string{stateName, stateName + ".new", compiledName, compiledName + ".new"} {
		if err := os.WriteFile(filepath.Join(s.at.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.leaveNothing()
	s.saveCompiled() // one that was late
	dir, err := os.Open(s.at.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if names, err := dir.Readdirnames(1); err != io.EOF {
		t.Errorf("left are %v, %v: %s", names, err, said)
	}
}
