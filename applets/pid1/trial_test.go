package pid1

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"zinit/reap"
)

func TestAProgramThatIsNewProvesItselfOrIsGivenUp(t *testing.T) {
	usr1 := asked{syscall.SIGUSR1, 0}
	fresh := started{6, true}
	// new: a server of another program is on its way, asked for after two seconds.
	begun := append(serves[:3:3],
		at{2 * s, usr1, serve, does(endServer{})},
		at{2 * s, ended{reap.ExitCode(0), true, false}, respawn, does(startServer{false})},
		at{2 * s, fresh, respawn, nil})
	fails := func(story []at, n int, then ...at) []at {
		story = slices.Clone(story)
		now := 3 * s
		for i := range n {
			story = append(story, at{now, code(3), respawn, nil},
				at{now + 99*ms<<i, ticked{}, respawn, nil},
				at{now + 100*ms<<i, ticked{}, respawn, does(startServer{false})},
				at{now + 100*ms<<i, fresh, respawn, nil})
			now += 100*ms<<i + 1
		}
		return append(story, then...)
	}
	live(t, []tale{
		{"it has when a server of it was ready and lived", standalone, append(begun[:6:6],
			at{3 * s, ready{}, serve, nil},
			at{3*s + 999*ms, ticked{}, serve, nil},
			at{4 * s, ticked{}, serve, does(prove{})},
			at{17 * s, ticked{}, serve, nil},
			at{18 * s, code(1), respawn, nil})},
		{"nobody waits longer for it than a while", standalone, append(begun[:6:6],
			at{16 * s, ticked{}, respawn, nil},
			at{17 * s, ticked{}, respawn, does(killServer{})},
			at{18 * s, ticked{}, respawn, nil},
			at{18 * s, killed(false, false), respawn, does(startServer{true})},
			at{18 * s, started{7, false}, respawn, nil},
			at{19 * s, ready{}, serve, nil},
			at{20 * s, killed(true, false), respawn, does(startServer{true})})},
		{"its servers may end a few times", standalone, fails(begun, 4,
			at{5 * s, code(3), respawn, does(startServer{true})},
			at{5 * s, started{7, false}, respawn, nil},
			at{6 * s, ready{}, serve, nil})},
		{"after that they may fail as any other", standalone, fails(begun, 4,
			at{5 * s, ready{}, serve, nil},
			at{6 * s, ticked{}, serve, does(prove{})},
			at{7 * s, code(3), respawn, nil},
			at{8 * s, ticked{}, respawn, does(startServer{false})})},
		{"that they were ready before they end is not enough", standalone, append(begun[:6:6],
			at{3 * s, ready{}, serve, nil},
			at{3*s + 500*ms, ended{reap.ExitCode(1), true, false}, respawn, does(startServer{false})},
			at{3*s + 500*ms, fresh, respawn, nil},
			at{4 * s, ticked{}, respawn, nil},
			at{16 * s, ticked{}, respawn, nil},
			at{17 * s, ticked{}, respawn, does(killServer{})})},
		{"nor is a crash that follows at once, again and again", standalone, slices.Concat(begun[:6:6],
			slices.Repeat([]at{
				{3 * s, ready{}, serve, nil},
				{3 * s, ended{reap.KilledBy(11), true, false}, respawn, does(startServer{false})},
				{3 * s, fresh, respawn, nil}}, 4), []at{
				{3 * s, ready{}, serve, nil},
				{3 * s, ended{reap.KilledBy(11), true, false}, respawn, does(startServer{true})}})},
		{"who kills a server that is ready neither condemns nor proves it", standalone, append(begun[:6:6],
			at{3 * s, ready{}, serve, nil},
			at{3*s + 100*ms, killed(true, false), respawn, does(startServer{false})},
			at{3*s + 100*ms, fresh, respawn, nil},
			at{4 * s, ready{}, serve, nil},
			at{5 * s, ticked{}, serve, does(prove{})})},
		{"one that is killed again and again is given up in the end", standalone, slices.Concat(begun[:6:6],
			slices.Repeat([]at{
				{3 * s, ready{}, serve, nil},
				{3*s + 100*ms, killed(true, false), respawn, does(startServer{false})},
				{3*s + 100*ms, fresh, respawn, nil}}, 20), []at{
				{16*s + 950*ms, ready{}, serve, nil},
				{17*s + 50*ms, killed(true, false), respawn, does(startServer{true})},
				{17*s + 50*ms, started{7, false}, respawn, nil},
				{18 * s, ready{}, serve, nil}})},
		{"nor one that is not, but the time goes on", standalone, append(begun[:6:6],
			at{16*s + 950*ms, killed(false, false), respawn, nil},
			at{17 * s, ticked{}, respawn, does(startServer{true})},
			at{17 * s, started{7, false}, respawn, nil})},
		{"a start that hangs is waited for", standalone, append(begun[:5:5],
			at{12 * s, ticked{}, respawn, nil},
			at{60 * s, ticked{}, respawn, nil},
			at{70 * s, fresh, respawn, nil},
			at{84 * s, ticked{}, respawn, nil},
			at{85 * s, ticked{}, respawn, does(killServer{})})},
		{"a wish for another one begins a trial anew", standalone, append(begun[:6:6],
			at{10 * s, usr1, respawn, does(endServer{})},
			at{11 * s, code(0), respawn, does(startServer{false})},
			at{11 * s, fresh, respawn, nil},
			at{25 * s, ticked{}, respawn, nil},
			at{26 * s, ticked{}, respawn, does(killServer{})})},
		{"also of one that was given up", standalone, append(begun[:6:6],
			at{17 * s, ticked{}, respawn, does(killServer{})},
			at{18 * s, killed(false, false), respawn, does(startServer{true})},
			at{18 * s, started{7, false}, respawn, nil},
			at{19 * s, ready{}, serve, nil},
			at{20 * s, usr1, serve, does(endServer{})},
			at{20 * s, ended{reap.ExitCode(0), true, false}, respawn, does(startServer{false})})},
		{"the keeper does not become it before", standalone, append(begun[:6:6],
			at{3 * s, replaceWanted{}, respawn, does(rehearse{})},
			at{3 * s, rehearsed{}, respawn, nil},
			at{3 * s, ready{}, serve, nil},
			at{4 * s, ticked{}, serve, does(prove{}, execute{})})},
		{"or at all", standalone, append(begun[:6:6],
			at{3 * s, replaceWanted{}, respawn, does(rehearse{})},
			at{3 * s, rehearsed{}, respawn, nil},
			at{17 * s, ticked{}, respawn, does(refuse{errFailed.Error()}, killServer{})},
			at{17 * s, replaceWanted{}, respawn, does(refuse{errFailed.Error()})})},
		{"a shutdown comes first", standalone, append(begun[:6:6],
			at{3 * s, draining{s, 0}, drain, nil},
			at{18 * s, done, sweep, sweeps})},
	})
}

func TestServersAreOfTheProgramThatProvedItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zinit")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	b := &binary{path: path, kept: []string{"/proc/self/exe"}}
	// starts tells what is started: the text of a file.
	starts := func(back bool, want string, wantFresh bool) {
		t.Helper()
		var text []byte
		_, fresh, err := b.start(back, func(path string) (_ int, err error) {
			text, err = os.ReadFile(path)
			if string(text) == "nothing" {
				err = unix.ENOEXEC
			}
			return 7, err
		}, func(format string, args ...any) { t.Logf(format, args...) })
		if err != nil || string(text) != want || fresh != wantFresh {
			t.Fatalf("%q is started, fresh %v, %v: want %q, %v", text, fresh, err, want, wantFresh)
		}
	}
	put("first")
	starts(false, "first", false)
	b.prove()
	put("bad")
	starts(false, "bad", true)
	starts(false, "bad", true)
	starts(true, "first", false) // its name is gone
	b.prove()                    // a server of the first is ready; the bad one has proved nothing
	starts(true, "first", false)
	starts(false, "bad", true) // somebody wants it
	put("nothing")
	starts(false, "first", false)
	put("better")
	starts(true, "better", true)
	b.prove()
	starts(true, "better", false)
	put("worse")
	starts(false, "worse", true)
	starts(true, "better", false)
	if files, err := filepath.Glob("/proc/self/fd/*"); err == nil {
		held := 0
		for _, f := range files {
			if to, err := os.Readlink(f); err == nil && strings.HasPrefix(to, path) {
				held++
			}
		}
		if held != 2 { // better and worse
			t.Errorf("%d files are held", held)
		}
	}
	// Where there is no /proc the proven program is found by its second name.
	put("better")
	b.proven.close()
	b.proven = openImage(path)
	if err := os.Link(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if paths := b.provenPaths(); !slices.Contains(paths, path+".old") {
		t.Errorf("the ways to it are %v", paths)
	}
	put("worse")
	starts(false, "worse", true)
	var tried []string
	_, _, err := b.start(true, func(path string) (int, error) {
		if tried = append(tried, path); strings.HasPrefix(path, "/proc") || strings.HasPrefix(path, "/dev") {
			return 0, fmt.Errorf("no such thing: %w", unix.ENOENT)
		}
		return 7, nil
	}, t.Logf)
	if err != nil || len(tried) != 3 || tried[2] != path+".old" {
		t.Errorf("tried %v, %v", tried, err)
	}
	b.proven.close()
	b.tried.close()
}

func TestAnImageIsOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if openImage(path) != nil {
		t.Error("there is nothing")
	}
	var none *image
	if none.same(none) {
		t.Error("nothing is the same as nothing")
	}
	if err := os.WriteFile(path, []byte("text"), 0o100); err != nil {
		t.Fatal(err)
	}
	a, b := openImage(path), openImage(path)
	defer a.close()
	defer b.close()
	if !a.same(b) {
		t.Errorf("%+v, %+v", a, b)
	}
	if err := os.WriteFile(path, []byte("another text"), 0o100); err == nil {
		c := openImage(path)
		defer c.close()
		if a.same(c) {
			t.Error("it was written over")
		}
	}
}
