package reap

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// playPrep is the test binary as the step before a program: what it does is in the
// environment of the program.
func playPrep() int {
	first, _ := strconv.Atoi(os.Args[1])
	o, err := TakePrep(first)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	switch {
	case slices.Contains(o.Env, "PREP=die"):
		return 9
	case slices.Contains(o.Env, "PREP=kill"):
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	case slices.Contains(o.Env, "PREP=hang"):
		_ = unix.Pause()
	case slices.Contains(o.Env, "PREP=refuse"):
		o.Refused(fmt.Errorf("cannot do %s: %w", strings.Repeat("that", maxReport), unix.EPERM))
		return 1
	}
	if o.Cgroup >= 0 {
		fd, err := unix.Openat(o.Cgroup, "cgroup.procs", unix.O_WRONLY, 0)
		if err == nil {
			_, err = unix.Write(fd, []byte("0"))
			unix.Close(fd)
		}
		if err != nil {
			o.Refused(err)
			return 1
		}
	}
	o.Executing()
	o.Refused(syscall.Exec(o.Path, o.Argv, o.Env))
	return 1
}

func preparedSpec(key string, run uint64, part string, env ...string) Spec {
	sp := spec(key, run, part)
	sp.Prep, sp.Env = new(Prep), append(sp.Env, env...)
	return sp
}

// A process that is prepared is as any other; also one that ends at once.
var prepared = scenario{server: func(_ int, s *serverPlay) error {
	for run := uint64(1); run < 100; run++ {
		s.Spawn(preparedSpec("a", run, "\x07"))
		e, err := nextEvent[Spawned](s)
		if err != nil {
			return err
		}
		if err := exits(s, Exited{Key: "a", Run: run, Pid: e.Pid, Status: ExitCode(7)}); err != nil {
			return err
		}
	}
	// What is asked for meanwhile comes after it, in order.
	s.Spawn(preparedSpec("a", 100, "p"))
	s.Signal("a", 100, syscall.SIGTERM, ScopeGroup)
	s.Spawn(preparedSpec("a", 101, "p"))
	var list []string
	for range 3 {
		e, err := s.event()
		if err != nil {
			return err
		}
		list = append(list, strings.TrimPrefix(fmt.Sprintf("%T", e), "reap."))
	}
	// The second is refused if the first has not ended by then; that it is may be told
	// before the end of the first or after it.
	switch got := strings.Join(list, " "); got {
	case "Spawned Exited Spawned", "Spawned SpawnFailed Exited", "Spawned Exited SpawnFailed":
		return nil
	default:
		return fmt.Errorf("%s", got)
	}
}}

func TestAPreparedProcessIsAsAnyOther(t *testing.T) { play(t, "prepared") }

var notPrepared = scenario{server: func(_ int, s *serverPlay) error {
	before := openFiles(os.Getppid())
	cases := []struct {
		env, text string
		errno     syscall.Errno
	}{
		{"PREP=die", "it ended while it was prepared: exit code 9", noWord},
		{"PREP=kill", "it ended while it was prepared: killed by signal 9", noWord},
		{"PREP=refuse", "cannot do that", unix.EPERM},
		{"", "", unix.ENOENT},
	}
	for i := range 40 {
		c := cases[i%len(cases)]
		sp := preparedSpec("a", uint64(i+1), "p", c.env)
		if c.env == "" {
			sp.Path, sp.Env = "/nothing", nil
		}
		s.Spawn(sp)
		e, err := nextEvent[SpawnFailed](s)
		if err != nil || e.Errno != c.errno || !strings.HasPrefix(e.Text, c.text) || c.text == "" && e.Text != "" {
			return fmt.Errorf("%q: %v: %#v", c.env, err, e)
		}
	}
	s.Spawn(spec("a", 100, "p")) // nothing of it is left in the way
	if _, err := nextEvent[Spawned](s); err != nil {
		return err
	}
	return eventually("nothing is left open", func() bool { return len(openFiles(os.Getppid())) <= len(before) })
}}

func TestWhatIsNotPreparedFailsWithItsReason(t *testing.T) { play(t, "notPrepared") }

// A step that hangs is in nobody's way, and SIGKILL reaches it.
var hungPrep = scenario{server: func(_ int, s *serverPlay) error {
	for i := range spawnWorkers + 2 {
		s.Spawn(preparedSpec("hung"+strconv.Itoa(i), 1, "p", "PREP=hang"))
	}
	s.Spawn(preparedSpec("b", 1, "p"))
	if e, err := nextEvent[Spawned](s); err != nil || e.Key != "b" {
		return fmt.Errorf("%v: %#v", err, e)
	}
	for i := range spawnWorkers + 2 {
		key := "hung" + strconv.Itoa(i)
		s.Signal(key, 1, syscall.SIGTERM, ScopeGroup) // waits
		s.Signal(key, 1, syscall.SIGKILL, ScopeGroup)
		e, err := nextEvent[SpawnFailed](s)
		if err != nil || e.Key != key || e.Text != "it ended while it was prepared: killed by signal 9" {
			return fmt.Errorf("%v: %#v", err, e)
		}
	}
	return nil
}}

func TestAHungStepIsInNobodysWayAndCanBeKilled(t *testing.T) { play(t, "hungPrep") }

var latePrep = scenario{keeper: func(k *keeperPlay) error {
	k.prepTime = 50 * time.Millisecond
	if err := k.serve(); err != nil {
		return err
	}
	return k.ended()
}, server: func(_ int, s *serverPlay) error {
	s.Spawn(preparedSpec("a", 1, "p", "PREP=hang"))
	e, err := nextEvent[SpawnFailed](s)
	if err != nil || e.Errno != unix.ETIMEDOUT || e.Text != "cannot execute it: nothing came of it within 50ms" {
		return fmt.Errorf("%v: %#v", err, e)
	}
	return nil
}}

func TestAStepThatTakesTooLongIsEnded(t *testing.T) { play(t, "latePrep") }

func TestOrdersAreReadAsTheyWereWritten(t *testing.T) {
	want := &prepOrder{Args: spawnArgs{"/bin/x", "/srv", []string{"x"}, []string{"A=1"}}, Enter: true,
		User: &Credential{Uid: 1, Groups: []uint32{2}}, Prep: wholePrep()}
	fd, err := want.seal()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	text, err := readSealed(fd, maxArgs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodePrep(text)
	if err != nil || fmt.Sprintf("%+v%+v", got.Args, *got.User) != fmt.Sprintf("%+v%+v", want.Args, *want.User) || *got.Prep.Nice != -5 {
		t.Errorf("%v: %+v", err, got)
	}
	for _, wrong := range [][]byte{nil, {version + 1}, text[:len(text)-1], {version, 0xff}} {
		if _, err := decodePrep(wrong); err == nil && len(wrong) != len(text)-1 {
			t.Errorf("read: %v", wrong)
		}
	}
}

func FuzzPrepOrder(f *testing.F) {
	c := coder{buf: []byte{version}}
	(&prepOrder{Args: spawnArgs{Path: "x"}, Prep: wholePrep(), User: &Credential{}}).fields(&c)
	f.Add(c.buf)
	f.Fuzz(func(t *testing.T, text []byte) {
		if o, err := decodePrep(text); err == nil {
			c := coder{buf: []byte{version}}
			o.fields(&c)
			if _, err := decodePrep(c.buf); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzReport(f *testing.F) {
	f.Add([]byte{executing})
	f.Add([]byte{executing, refusing, 1, 'a'})
	f.Fuzz(func(t *testing.T, said []byte) {
		errno, text, executed := judgeReport(said)
		if executed && text != "" || !executed && errno == 0 && text == "" && !slices.Contains(said, refusing) {
			t.Fatalf("%v %q %v", errno, text, executed)
		}
	})
}
