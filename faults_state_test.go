package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/reap"
	"zinit/sock"
	"zinit/supervise/state"
)

// The faults of what a server writes down for the next one.

// stateFile is where the states of services are.
func (in *instance) stateFile() string { return filepath.Join(in.dir, "zinit", "state") }

// rewriteState lets f change the text of a record, while no server has it open.
func (in *instance) rewriteState(key string, f func(record map[string]any)) {
	in.t.Helper()
	s, report, err := state.Open(in.stateFile())
	if err != nil || report.Damaged() {
		in.t.Fatalf("the state is %+v: %v", report, err)
	}
	defer s.Close()
	record := map[string]any{}
	if err := json.Unmarshal(s.Get(key), &record); err != nil {
		in.t.Fatalf("%s is %q: %v", key, s.Get(key), err)
	}
	f(record)
	text, err := json.Marshal(record)
	if err == nil {
		err = s.Put(key, text)
	}
	if err == nil {
		err = s.Commit()
	}
	if err != nil {
		in.t.Fatal(err)
	}
}

// loseRecord spoils a record, while no server has the state open.
func (in *instance) loseRecord(key string) {
	in.t.Helper()
	text, err := os.ReadFile(in.stateFile())
	if err != nil {
		in.t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(key+"{")) {
		in.t.Fatalf("%s is not in the state", key)
	}
	spoilt := bytes.ReplaceAll(text, []byte(key+"{"), []byte(key+"!"))
	if err := os.WriteFile(in.stateFile(), spoilt, 0o600); err != nil {
		in.t.Fatal(err)
	}
}

// killBoth kills keeper and server as one step, and the services live on.
func (in *instance) killBoth() {
	in.t.Helper()
	server := in.serverPID()
	in.freeze() // or it would start another server
	in.send(server, syscall.SIGKILL)
	in.keeper.Process.Kill()
	in.exit()
	// Each of its threads ends by itself, and until the last one did it has its files.
	in.until("the end of the server's threads", func() (string, bool) {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", server)) // the pattern is good
		return fmt.Sprint(tasks), len(tasks) <= 1
	})
}

// killOrphan ends a process of a service after killBoth, if it has not ended itself by
// writing into its pipe, which nobody reads any more.
func (in *instance) killOrphan(pid int) {
	in.t.Helper()
	was, ok := processOf(pid)
	if !ok {
		return
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		in.t.Fatal(err)
	}
	in.until("the end of "+was.String(), func() (string, bool) { // process 1 may never reap it
		left := alive([]process{was})
		return fmt.Sprint(left), len(left) == 0
	})
}

// Fault 26: a pid that was written down has become somebody else's.
func TestFault26APidThatIsSomebodyElsesNowIsNotSignalled(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{"b": file("b", quiet)})
	d := in.observed("a", "still")
	in.launch()
	in.lived("a", d, 1)
	in.waitState("b", "running")
	old := in.pid("b")
	was, _ := processOf(old)
	gone := in.pid("a")
	in.killBoth()
	in.killOrphan(gone)
	stranger := exec.Command("sleep", "100000")
	stranger.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- stranger.Wait() }()
	defer func() {
		stranger.Process.Kill()
		<-ended
	}()
	// Its start time is the only thing in which it is not what was written down.
	in.rewriteState("state/a", func(record map[string]any) {
		if pid, _ := record["pid"].(float64); int(pid) != gone {
			t.Errorf("what was written down is %v, want pid %d", record, gone)
		}
		record["pid"] = stranger.Process.Pid
	})
	in.launch()
	in.lived("a", d, 2)
	in.waitState("b", "running")
	if left := alive([]process{was}); len(left) != 0 || in.pid("b") == old {
		t.Errorf("what was left over of b lives: %v", left)
	}
	select {
	case err := <-ended:
		t.Fatalf("the stranger was ended: %v", err)
	default:
	}
	// With the right start time it is no stranger.
	start, err := reap.StartTime(stranger.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	in.killBoth()
	in.killOrphan(d.last().pid)
	in.rewriteState("state/a", func(record map[string]any) {
		record["pid"], record["start"] = stranger.Process.Pid, start
	})
	in.launch()
	select {
	case <-ended:
		ended <- nil
	case <-time.After(patience):
		t.Fatal("what was written down, by pid and start time, was not ended")
	}
	in.lived("a", d, 3)
}

// damages are ways in which a file can be spoilt, at places that chance decides.
func damages(rng *rand.Rand) (list []func(text []byte) []byte) {
	for i := range 10 {
		at := rng.Float64()
		list = append(list,
			func(text []byte) []byte { return text[:int(at*float64(len(text)+1))] },
			func(text []byte) []byte {
				text[int(at*float64(len(text)))] ^= 1 << (i % 8)
				return text
			})
	}
	return append(list,
		func([]byte) []byte { return nil },
		func([]byte) []byte { return []byte("[service]\nname = \"a\"\n") },
		func(text []byte) []byte { clear(text); return text },
		func(text []byte) []byte {
			for i := range text {
				text[i] = byte(rng.Uint32())
			}
			return text
		},
		func(text []byte) []byte { return append(text, make([]byte, 8<<20)...) })
}

// Fault 28: the state is cut, or other bytes are in it, when a server takes over.
func TestFault28ADamagedStateCostsNoProcess(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{
		"later": file("later", quiet, requires("a")),
		"fails": file("fails", childExec(t, "fail"), lifecycle, "restart_delay_ms = 1000000"),
		"once":  file("once", "true", "oneshot = true"),
	})
	a, b := in.observed("a", "still"), in.observed("b", "deaf", lifecycle, "stop_timeout_ms = 200")
	in.launch()
	in.lived("a", a, 1)
	in.lived("b", b, 1)
	in.waitState("later", "running")
	ended := func() {
		t.Helper()
		in.waitState("fails", sock.Failed)
		in.waitState("once", sock.Exited)
	}
	ended()
	check := in.untouched("a", "b", "later")
	spoil := func(f func(path string, text []byte) error) {
		t.Helper()
		server := in.serverPID()
		in.freeze()
		in.send(server, syscall.SIGKILL)
		text, err := os.ReadFile(in.stateFile())
		if err == nil {
			err = f(in.stateFile(), text)
		}
		if err != nil {
			t.Fatal(err)
		}
		in.thaw()
		check()
		ended() // nothing may be known of them any more: they are run again
	}
	for _, damage := range damages(rand.New(rand.NewPCG(28, 28))) {
		spoil(func(path string, text []byte) error { return os.WriteFile(path, damage(text), 0o600) })
	}
	spoil(func(path string, _ []byte) error { return os.Remove(path) })
	in.lived("a", a, 1)
	in.lived("b", b, 1)
	if !in.tells("warn", "the state that the last server wrote is damaged") {
		t.Error("nobody says so")
	}
	if strings.Contains(in.log.String(), "before it was ready") {
		t.Error("a server did not get ready")
	}
}
