package reap

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// playRehearsal is the test binary as a candidate.
func playRehearsal() int {
	h, err := Inherit()
	if err != nil || h == nil || !h.Rehearsal() {
		fmt.Fprintln(os.Stderr, "rehearsal:", err)
		return 1
	}
	switch part := os.Getenv("ZINIT_TEST_CANDIDATE"); part {
	case "":
		fmt.Println(h.Answer())
	case "hangs":
		_ = unix.Pause()
	case "crashes":
		panic("something is wrong")
	case "refuses":
		fmt.Fprintln(os.Stderr, "zinit: this is too much")
		return 7
	case "other":
		fmt.Println(strings.Replace(h.Answer(), "0", "1", 1))
	case "floods":
		for {
			fmt.Println(h.Answer())
		}
	}
	return 0
}

// again replaces the program of the keeper by the same one, which is at the given
// step then.
func (k *keeperPlay) again(step int, notes map[string]string) error {
	c, err := k.Rehearse(self(), map[string]string{"step": "0"}, patience)
	if err != nil {
		return err
	}
	return k.replaceSoon(c, step, func() map[string]string { return notes })
}

// replaceSoon tries again, as people do, when the machine is too slow for what comes
// before the moment in which nothing moves.
func (k *keeperPlay) replaceSoon(c *Candidate, step int, more func() map[string]string) error {
	for late := time.Now().Add(patience); ; {
		still := false
		err := k.replace(c, step, func() map[string]string {
			still = true
			return more()
		})
		if still || !strings.Contains(err.Error(), "does not answer") || time.Now().After(late) {
			return err
		}
	}
}

func (k *keeperPlay) replace(c *Candidate, step int, more func() map[string]string) error {
	return k.Replace(c, os.Args, os.Environ(), func() map[string]string {
		notes := map[string]string{"step": strconv.Itoa(step), "number": strconv.Itoa(k.number)}
		maps.Copy(notes, more())
		return notes
	})
}

func (k *keeperPlay) note(name string) int {
	if k.left == nil {
		return 0
	}
	n, _ := strconv.Atoi(k.left.Notes[name])
	return n
}

// What outlives a server outlives the keeper's program too: the story of heir, with
// another program at each step.
var reexec = scenario{keeper: func(k *keeperPlay) error {
	if _, there := os.LookupEnv(heritageEnv); there {
		return fmt.Errorf("the environment tells children of the heritage")
	}
	step := k.note("step")
	var err error
	switch step {
	case 0, 6:
		err = k.serve()
	case 1:
		_, err = next[ServerReady](k)
	case 2:
		err = k.SignalServer(syscall.SIGKILL)
	case 3:
		var e ServerExited
		if e, err = next[ServerExited](k); err != nil || !e.WasReady || e.Draining || e.Status != KilledBy(syscall.SIGKILL) {
			return fmt.Errorf("%v: %#v", err, e)
		}
		err = k.Signal("late", 7, syscall.SIGKILL, ScopeMain)
	case 4:
		err = k.until("late is reaped", func() bool {
			return !slices.ContainsFunc(k.Children(), func(c Child) bool { return c.Key == "late" })
		})
		k.Forward(syscall.SIGTERM)
	case 5:
		if steps, worst := k.Plan(); worst != time.Minute || len(steps) != 5000 || steps[4999].Wave != 4999 {
			return fmt.Errorf("plan of %d steps, %v", len(steps), worst)
		}
		k.SetStage(StageDrain)
		if err = k.serve(); err == nil {
			err = k.ended()
		}
	default:
		return k.ended()
	}
	if err != nil {
		return err
	}
	return k.again(step+1, nil)
}, server: heir.server}

func TestTheKeepersProgramIsReplacedAndNothingIsLost(t *testing.T) { play(t, "reexec") }

// reexecLoad replaces the keeper's program again and again while processes start and
// end and signals come.
var reexecLoad = scenario{before: caught, keeper: func(k *keeperPlay) error {
	step, rounds := k.note("step"), many(100)
	switch {
	case step == 0:
		return k.again(1, nil)
	case step == 1:
		k.left.Notes["files"] = strconv.Itoa(allFiles())
		k.left.Notes["memory"] = strconv.Itoa(memory())
		if err := k.serve(); err != nil {
			return err
		}
	case step == rounds+2:
		if now, before := allFiles(), k.note("files"); now != before {
			return fmt.Errorf("%d descriptors are open, there were %d: %v", now, before, k.heldNames())
		}
		if now, before := memory(), k.note("memory"); now > before+before/2 {
			return fmt.Errorf("%d kB of memory are used, there were %d", now, before)
		}
		return nil
	}
	for i, times := range strings.Split(k.left.Notes["signals"], " ") {
		for n, _ := strconv.Atoi(times); n > 0; n-- {
			k.Forward(firstDisturber + syscall.Signal(i))
		}
	}
	if step == rounds+1 {
		// The server answers each with the next of its kind: one that is lost is the last.
		for seen := map[os.Signal]bool{}; len(seen) < disturbers; {
			select {
			case sig := <-signals:
				seen[sig] = true
				k.Forward(sig.(syscall.Signal))
			case <-time.After(patience):
				return fmt.Errorf("signals were lost: only these came: %v", seen)
			}
		}
		k.Forward(unix.SIGTERM)
		if err := k.ended(); err != nil {
			return err
		}
		return k.again(step+1, map[string]string{"files": k.left.Notes["files"], "memory": k.left.Notes["memory"]})
	}
	if fd := k.holdersCopy(k.current()); fd >= 0 {
		return fmt.Errorf("the holder has the server's channel open, too: its descriptor %d", fd)
	}
	// A few exits later, at any moment.
	for range step % 7 {
		select {
		case <-k.Changed():
		case sig := <-signals:
			k.Forward(sig.(syscall.Signal))
		case <-time.After(patience):
			return fmt.Errorf("nothing happens any more")
		}
	}
	c, err := k.Rehearse(self(), nil, patience)
	if err != nil {
		return err
	}
	return k.replaceSoon(c, step+1, func() map[string]string {
		return map[string]string{"files": k.left.Notes["files"], "memory": k.left.Notes["memory"], "signals": tally()}
	})
}, server: func(_ int, s *serverPlay) error {
	return (&load{serverPlay: s, alive: make(map[string]uint64), exits: make(map[string]uint64)}).run()
}}

func TestManyReplacementsUnderLoadLoseNothing(t *testing.T) { play(t, "reexecLoad") }

// The signals that the server sends to the keeper, which hands them back.
const (
	disturbers     = 7
	firstDisturber = syscall.Signal(40)
)

// signals is where they arrive; they are caught before anything is forked.
var signals = make(chan os.Signal, 64)

func caught() error {
	for i := range disturbers {
		signal.Notify(signals, firstDisturber+syscall.Signal(i))
	}
	return nil
}

// tally empties the channel: how often there is each of the signals.
func tally() string {
	var times [disturbers]int
	for {
		select {
		case sig := <-signals:
			times[sig.(syscall.Signal)-firstDisturber]++
		default:
			return strings.Trim(fmt.Sprint(times), "[]")
		}
	}
}

// A load is a server that has a number of processes end and starts them again.
type load struct {
	*serverPlay
	alive    map[string]uint64 // run by key; asked for
	exits    map[string]uint64 // the last run that ended
	under    [disturbers]bool  // way: signals to the keeper
	got      int
	spawned  int
	stopping bool
}

const loadKeys = 20

func (l *load) run() error {
	r, w := pipe()
	if err := l.Keep("forever", r); err != nil {
		return err
	}
	for i := range loadKeys {
		l.start(strconv.Itoa(i))
	}
	l.start("steady")
	l.Ready()
	for i := range disturbers {
		l.disturb(i)
	}
	for len(l.alive) > 0 {
		e, err := l.event()
		if err != nil {
			return fmt.Errorf("%w: %d run, %d signals came", err, len(l.alive), l.got)
		}
		if err := l.take(e); err != nil {
			return err
		}
	}
	w.Close()
	l.Release("forever")
	l.sendQueued()
	fmt.Fprintf(os.Stderr, "%d processes, %d signals\n", l.spawned, l.got)
	return nil
}

func (l *load) start(key string) {
	run := l.exits[key] + 1
	l.alive[key] = run
	sp := spec(key, run, string([]byte{code(key, run)}))
	if key == "steady" {
		sp = spec(key, run, "p")
	}
	sp.Keep[0], sp.Stdout = pipe()
	l.Spawn(sp)
	sp.Keep[0].Close()
}

// code is the exit code of a run.
func code(key string, run uint64) byte { return byte(1 + (uint64(len(key))*31+run)%100) }

// disturb sends a signal to the keeper, at some moment. Of each kind there is never
// more than one under way, so none can be taken for another.
func (l *load) disturb(i int) {
	l.under[i] = true
	time.AfterFunc(time.Duration(rand.Int64N(int64(20*time.Millisecond))), func() {
		_ = unix.Kill(os.Getppid(), firstDisturber+syscall.Signal(i)) // it fails with the parent
	})
}

func (l *load) take(e Event) error {
	switch e := e.(type) {
	case Spawned:
		l.spawned++
	case Exited:
		want := ExitCode(int(code(e.Key, e.Run)))
		if e.Key == "steady" {
			want = KilledBy(unix.SIGTERM)
		}
		if l.exits[e.Key] >= e.Run || l.alive[e.Key] != e.Run || e.Status != want {
			return fmt.Errorf("%#v: run %d was started", e, l.alive[e.Key])
		}
		l.exits[e.Key] = e.Run
		delete(l.alive, e.Key)
		l.Ack(e.Key, e.Run)
		l.Release(OutputName(e.Key, e.Run, 1))
		if !l.stopping {
			l.start(e.Key)
		}
	case Signaled:
		if e.Signal == unix.SIGTERM {
			l.stopping = true
			l.Signal("steady", 1, unix.SIGTERM, ScopeMain)
			return nil
		}
		i := int(e.Signal - firstDisturber)
		if l.got++; !l.under[i] {
			return fmt.Errorf("signal %d came twice", e.Signal)
		}
		if l.under[i] = false; !l.stopping {
			l.disturb(i)
		}
	default:
		return fmt.Errorf("%#v", e)
	}
	return nil
}

// heldNames is what is kept.
func (k *keeperPlay) heldNames() (names []string) {
	_ = k.kept.errand(nil, patience, func(h *holder, _ []int) { names = slices.Sorted(maps.Keys(h.held)) })
	return names
}

// holdersCopy is the descriptor of the holder that is the channel of a session; -1
// when it has none, as it must be: the server would not see the keeper close it.
func (k *keeperPlay) holdersCopy(s *session) (copied int) {
	copied = -1
	var channel unix.Stat_t
	if s == nil || unix.Fstat(s.fd, &channel) != nil {
		return copied
	}
	_ = k.kept.errand(nil, patience, func(*holder, []int) {
		for fd := range 1024 {
			var st unix.Stat_t
			if unix.Fstat(fd, &st) == nil && st.Dev == channel.Dev && st.Ino == channel.Ino {
				copied = fd
			}
		}
	})
	return copied
}

// allFiles is the number of descriptors in all tables of this process.
func allFiles() int {
	n := 0
	tasks, _ := filepath.Glob("/proc/self/task/*/fd")
	tables := make(map[string]bool)
	for _, task := range tasks {
		names, _ := filepath.Glob(task + "/*")
		for i := range names {
			names[i] = filepath.Base(names[i])
		}
		if table := strings.Join(names, " "); !tables[table] {
			tables[table] = true
			n += len(names)
		}
	}
	return n
}

// memory is what this process has to itself, in kB.
func memory() (kb int) {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kb); n == 1 {
			return kb
		}
	}
	return 0
}
