package prep

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zinit/applets/env"
	"zinit/reap"
)

// The test binary plays all parts: the keeper, the server, and the step itself. Each
// case is a keeper of its own, whose server starts one process, reads what /proc says
// of it and tells the test.
func TestMain(m *testing.M) {
	switch {
	case os.Args[0] == Name:
		os.Exit(Main(&env.Env{Args: os.Args, Stderr: os.Stderr, Getenv: os.Getenv}))
	case len(os.Args) > 2 && os.Args[1] == "-play":
		if err := play(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const patience = 30 * time.Second

func play(args []string) error {
	switch args[0] {
	case "server":
		return playServer(cases[args[1]])
	case "starter":
		return playBench(args[1])
	}
	c, server := cases[args[1]], "server"
	if args[0] == "bench" {
		server = "starter"
	}
	if c.before != nil {
		if err := c.before(); err != nil {
			return err
		}
	}
	log := func(format string, args ...any) { fmt.Fprintf(os.Stderr, "keeper: "+format+"\n", args...) }
	k, err := reap.NewKeeper(log)
	if err != nil {
		return err
	}
	if path := os.Getenv("ZINIT_BENCH_SELF"); path != "" {
		k.SetSelf(path)
	}
	_, err = k.StartServer("/proc/self/exe", []string{"play", "-play", server, args[1]}, os.Environ(),
		[3]*os.File{nil, os.Stdout, os.Stderr})
	if err != nil {
		return err
	}
	for n := range k.Notices() {
		if e, ok := n.(reap.ServerExited); ok {
			for _, c := range k.Children() {
				_ = k.Signal(c.Key, c.Run, unix.SIGKILL, reap.ScopeCgroup)
			}
			if !e.Status.Success() {
				return fmt.Errorf("server: %v", e.Status)
			}
			return nil
		}
	}
	return nil
}

// A finding is what became of the process of a case.
type finding struct {
	Failed reap.SpawnFailed
	Pid    int
	Status map[string]string // of /proc/PID/status
	Stat   []string          // of /proc/PID/stat, from the state on
	Limits map[string]string // of /proc/PID/limits: soft, blank, hard
	Files  map[string]string // descriptors and where they lead
	Env    []string
	Cgroup string // of version 2
	Score  string
	Dir    string
}

func playServer(c testCase) error {
	client, _, err := reap.Connect(3, 4)
	if err != nil {
		return err
	}
	spec := reap.Spec{Key: "a", Run: 1, Group: true, Path: "/bin/sleep", Argv: []string{"sleep", "1000"},
		Env: []string{"A=1", "LISTEN_PID=x", "GOMAXPROCS=3"}}
	if err := c.spec(&spec); err != nil {
		return err
	}
	client.Spawn(spec)
	client.Ready()
	select {
	case batch := <-client.Events():
		var f finding
		switch e := batch[0].(type) {
		case reap.SpawnFailed:
			f.Failed = e
		case reap.Spawned:
			if err := asleep(e.Pid); err != nil {
				return err
			}
			f = look(e.Pid)
			if c.after != nil {
				c.after(client, &f)
			}
		default:
			return fmt.Errorf("%#v", e)
		}
		return json.NewEncoder(os.Stdout).Encode(f)
	case <-time.After(patience):
		return fmt.Errorf("no event")
	}
}

// asleep waits until the program has begun to do what it is for: before, it opens files
// of its own.
func asleep(pid int) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for {
		doing, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/syscall")
		if err != nil {
			return err
		}
		number, _, _ := strings.Cut(string(doing), " ")
		if number == strconv.Itoa(unix.SYS_CLOCK_NANOSLEEP) || number == strconv.Itoa(unix.SYS_NANOSLEEP) {
			return nil
		}
		select {
		case <-tick.C:
		case <-limit:
			return fmt.Errorf("it does not sleep but %s", doing)
		}
	}
}

func look(pid int) finding {
	dir := "/proc/" + strconv.Itoa(pid) + "/"
	read := func(name string) string {
		text, err := os.ReadFile(dir + name)
		if err != nil {
			panic(err)
		}
		return string(text)
	}
	f := finding{Pid: pid, Status: map[string]string{}, Limits: map[string]string{}, Files: map[string]string{}}
	for line := range strings.Lines(read("status")) {
		name, value, _ := strings.Cut(line, ":")
		f.Status[name] = strings.TrimSpace(value)
	}
	stat := read("stat")
	f.Stat = strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	for line := range strings.Lines(read("limits")) {
		if len(line) > 66 {
			f.Limits[strings.TrimSpace(line[:26])] = strings.Join(strings.Fields(line[26:66]), " ")
		}
	}
	names, _ := os.ReadDir(dir + "fd")
	for _, name := range names {
		f.Files[name.Name()], _ = os.Readlink(dir + "fd/" + name.Name())
	}
	f.Env = strings.Split(strings.TrimSuffix(read("environ"), "\x00"), "\x00")
	for line := range strings.Lines(read("cgroup")) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			f.Cgroup = strings.TrimSpace(path)
		}
	}
	f.Score = strings.TrimSpace(read("oom_score_adj"))
	f.Dir, _ = os.Readlink(dir + "cwd")
	return f
}

// of plays a case.
func of(t *testing.T, name string) finding {
	t.Helper()
	if cases[name].root && os.Getuid() != 0 {
		t.Skip("only root can")
	}
	cmd := exec.Command("/proc/self/exe", "-play", "keeper", name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	cmd.Env = append(os.Environ(), "ZINIT_TEST_CGROUP="+groupDir(t, name))
	var said, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &wrong
	err := cmd.Run()
	if strings.Contains(wrong.String(), "SKIP: ") {
		t.Skip(wrong.String())
	}
	if err != nil {
		t.Fatalf("%v: %s", err, &wrong)
	}
	var f finding
	if err := json.Unmarshal(said.Bytes(), &f); err != nil {
		t.Fatalf("%v: %s", err, &said)
	}
	return f
}

// groupDir makes a cgroup for a case that asks for one.
func groupDir(t *testing.T, name string) string {
	t.Helper()
	if !cases[name].cgroup {
		return ""
	}
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if unix.Access(mount+"/cgroup.procs", unix.W_OK) != nil || unix.Access(mount+"/cgroup.controllers", unix.R_OK) != nil {
			continue
		}
		dir, err := os.MkdirTemp(mount, "test-prep-")
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() {
			deadline := time.After(patience)
			for os.Remove(dir) != nil { // it is empty when the kernel is done with the killed
				select {
				case <-deadline:
					t.Errorf("cannot remove %s", dir)
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
		return dir
	}
	t.Skip("there is no cgroup v2 tree that can be written")
	return ""
}

// sorted is the numbers of the open descriptors.
func (f finding) sorted() (list []string) {
	for name := range f.Files {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func (f finding) cgroupName() string { return filepath.Base(f.Cgroup) }
