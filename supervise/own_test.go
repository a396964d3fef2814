package supervise

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"zinit/reap"
	"zinit/supervise/config"
)

// TestOthersHearWhatTheKeeperSays, of services and of what belongs to zinit itself.
func TestOthersHearWhatTheKeeperSays(t *testing.T) {
	b := newBench()
	b.c.load(services(t, "web"), reap.Inventory{})
	b.c.turn()
	var heard []string
	b.c.Heard = func(ev reap.Event) { heard = append(heard, fmt.Sprintf("%T %s", ev, keyOf(ev))) }
	for _, ev := range []reap.Event{
		reap.Spawned{Key: "@shell", Run: 1, Pid: 5},
		reap.Spawned{Key: "web", Run: 1, Pid: 6},
		reap.Exited{Key: "@shell", Run: 1, Pid: 5},
		reap.SpawnFailed{Key: "@shell", Run: 2},
		reap.Exited{Key: "web", Run: 1, Pid: 6},
	} {
		b.c.keeperEvent(ev)
	}
	want := []string{"reap.Spawned @shell", "reap.Spawned web", "reap.Exited @shell", "reap.SpawnFailed @shell", "reap.Exited web"}
	if !slices.Equal(heard, want) {
		t.Errorf("heard were %q, not %q", heard, want)
	}
}

// TestWhyAProcessWasNotStarted ends with what helps.
func TestWhyAProcessWasNotStarted(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EAGAIN:  "cannot fork: resource temporarily unavailable (the limit on processes is reached): raise it, or end others",
		syscall.ENOMEM:  "cannot fork: cannot allocate memory: free some",
		syscall.EMFILE:  "cannot start web: too many open files: raise the limit on open files of zinit",
		syscall.E2BIG:   "over the kernel's limit): shorten them",
		syscall.ENOEXEC: "script without #! line): correct exec",
		syscall.EACCES:  "cannot execute web: permission denied: let its user execute it and enter its dir",
		syscall.ETXTBSY: "cannot execute web: text file busy (somebody writes to it): start it again when that is done",
		syscall.ENOENT:  "cannot execute web: its interpreter does not exist: install it",
	} {
		got := SpawnError(config.Command{Argv: []string{"web"}}, reap.SpawnFailed{Errno: errno})
		if !strings.Contains(got, want) {
			t.Errorf("%d: %q, not %q", errno, got, want)
		}
	}
}
