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

// A slowFinder answers when it is told to.
type slowFinder struct {
	note func(string)
	done func(Found, error)
}

func (f *slowFinder) Find(_ *config.Service, _ uint64, _ int, note func(string), done func(Found, error)) {
	f.note, f.done = note, done
}

// heardLogs remembers what is said in the logs of services.
type heardLogs struct {
	noLogs
	lines []string
}

func (l *heardLogs) Append(service, text string) { l.lines = append(l.lines, service+": "+text) }

// TestWhatALookForAMainProcessWaitsForIsShown while it does, and what it has passed over
// is said in the log.
func TestWhatALookForAMainProcessWaitsForIsShown(t *testing.T) {
	b, finder, log := newBench(), &slowFinder{}, &heardLogs{}
	b.c.Finder, b.c.Logs = finder, log
	b.c.Post = func(f func(*core)) { f(b.c) }
	b.boot(services(t, "web forking"))
	web := b.c.byName["web"]
	b.c.keeperEvent(reap.Exited{Key: "web", Run: 1, Lingers: true})
	b.c.turn()
	phase := func() string { return b.c.viewOf(web).Phase }
	if got := phase(); got != "its main process is looked for" {
		t.Fatalf("it is %q", got)
	}
	finder.note("its pid file is empty")
	if got, want := phase(), "its main process is looked for: its pid file is empty"; got != want {
		t.Errorf("it is %q, not %q", got, want)
	}
	finder.done(Found{Pid: 7, Odd: "its pid file names 3: passed over"}, nil)
	b.c.turn()
	if got := phase(); strings.Contains(got, "pid file") {
		t.Errorf("when it is found it is %q", got)
	}
	if want := []string{"web: its pid file names 3: passed over"}; !slices.Equal(log.lines, want) {
		t.Errorf("the log has %q", log.lines)
	}
	finder.note("late") // and of nobody's interest
	if got := phase(); strings.Contains(got, "late") {
		t.Errorf("afterwards it is %q", got)
	}
}
