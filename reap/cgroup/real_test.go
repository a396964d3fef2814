package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain plays the processes that the tests need.
func TestMain(m *testing.M) {
	if len(os.Args) < 3 || os.Args[1] != "-play" {
		os.Exit(m.Run())
	}
	switch os.Args[2] {
	case "keeper":
		os.Exit(playKeeper())
	case "server":
		os.Exit(playServer())
	case "crowd": // processes in sessions of their own
		for range 5 {
			cmd := exec.Command("sleep", "1000")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := cmd.Start(); err != nil {
				panic(err)
			}
		}
		fmt.Println("ready")
		_ = unix.Pause()
	case "bomb": // each process makes another one in another session, and ends
		fmt.Println("ready")
		os.Stdout.Close()
		bomb()
	}
	os.Exit(2)
}

// bomb is what a fork bomb is that stays small: there is always one more.
func bomb() {
	_, err := syscall.ForkExec("/proc/self/exe", []string{"bomb", "-play", "bomb"},
		&syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// playKeeper enters a tree, as a keeper does, has a server find it and leaves.
func playKeeper() int {
	check := func(what string, err error) {
		if err != nil {
			fmt.Println(what+":", err)
			os.Exit(1)
		}
	}
	before, err := ownDir()
	check("before", err)
	if err := Enter(); err != nil {
		fmt.Println("SKIP:", err)
		return 0
	}
	check("again", Enter())
	inside, err := ownDir()
	check("inside", err)
	if want := fmt.Sprintf("%s/zinit-%d/keeper", strings.TrimSuffix(before, "/"), os.Getpid()); inside != want {
		fmt.Println("in", inside, "instead of", want)
		return 1
	}
	server := exec.Command("/proc/self/exe", "-play", "server")
	server.Stdout = os.Stdout
	check("server", server.Run())
	check("leave", Leave())
	after, err := ownDir()
	check("after", err)
	if _, err := os.Stat(filepath.Dir(inside)); after != before || !os.IsNotExist(err) {
		fmt.Println("left:", after, err)
		return 1
	}
	return 0
}

func playServer() int {
	tree, err := Find()
	if err == nil {
		var dir *os.File
		var fresh bool
		if dir, fresh, err = tree.Group("web"); err == nil && (dir.Name() != tree.Path("web") || !fresh) {
			err = errors.New(dir.Name())
		}
	}
	if err == nil && !slices.Equal(tree.Services(), []string{"web"}) {
		err = fmt.Errorf("services %v", tree.Services())
	}
	if err == nil {
		err = tree.Remove("web")
	}
	if err != nil {
		fmt.Println("server:", err)
		return 1
	}
	return 0
}

func TestTheKeeperEntersATreeThatTheServerFinds(t *testing.T) {
	out, err := exec.Command("/proc/self/exe", "-play", "keeper").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if strings.HasPrefix(string(out), "SKIP") {
		t.Skip(string(out))
	}
}

// Keepers that come and go at once sweep, but nobody away.
func TestKeepersThatEnterAtOnceAllHaveATree(t *testing.T) {
	type result struct {
		out []byte
		err error
	}
	done := make(chan result)
	const keepers = 12
	for range keepers {
		go func() {
			out, err := exec.Command("/proc/self/exe", "-play", "keeper").CombinedOutput()
			done <- result{out, err}
		}()
	}
	for range keepers {
		if r := <-done; r.err != nil {
			t.Errorf("%v: %s", r.err, r.out)
		}
	}
}

// group makes a real group for one test.
func group(t *testing.T) string {
	t.Helper()
	parent, err := ownDir()
	if err != nil {
		t.Skip(err)
	}
	dir, err := os.MkdirTemp(parent, "test-cgroup-")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := Kill(dir); err != nil {
			t.Error(err)
		}
		empty(t, dir)
		if err := discard(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// empty waits until nobody is in the group.
func empty(t *testing.T, dir string) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		lives, err := Populated(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !lives {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			pids, err := Procs(dir)
			t.Fatalf("still there: %v %v", pids, err)
		}
	}
}

// start starts a part in the group and waits until it is ready.
func start(t *testing.T, dir, part string) {
	t.Helper()
	fd, err := open(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	cmd := exec.Command("/proc/self/exe", "-play", part)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Skip(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatal(line, err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // killed by then
}

func TestKillReachesEveryProcessOfTheGroup(t *testing.T) {
	ways := map[string]func(string) error{"as a whole": Kill, "one by one": killEach, "to the end": toTheEnd}
	for _, part := range []string{"crowd", "bomb"} {
		for way, kill := range ways {
			t.Run(part+" "+way, func(t *testing.T) {
				dir := group(t)
				start(t, dir, part)
				if err := kill(dir); err != nil {
					t.Fatal(err)
				}
				empty(t, dir)
			})
		}
	}
}

func toTheEnd(dir string) error { return End(dir, time.Minute) }

// Kill may be the end of whoever is born there later; End is not.
func TestAGroupIsAsGoodAsNewAfterEnd(t *testing.T) {
	dir := group(t)
	for range 3 {
		start(t, dir, "crowd")
		if err := toTheEnd(dir); err != nil {
			t.Fatal(err)
		}
		if lives, err := Populated(dir); lives || err != nil {
			t.Fatalf("after End: %v %v", lives, err)
		}
	}
	if err := toTheEnd(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
}

func TestASignalReachesEveryProcessOfTheGroupAndThoseBelow(t *testing.T) {
	dir := group(t)
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o755); err != nil {
		t.Fatal(err)
	}
	start(t, dir, "crowd")
	start(t, below, "crowd")
	pids, err := Procs(dir)
	if err != nil || len(pids) != 12 {
		t.Fatalf("%v %v", pids, err)
	}
	if s := ReadStats(dir); s.Tasks < 12 || s.CPU <= 0 {
		t.Errorf("%+v", s)
	}
	if err := Signal(dir, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	empty(t, dir)
}

func TestAMissingGroupIsEmpty(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	lives, err := Populated(dir)
	pids, procs := Procs(dir)
	if lives || err != nil || pids != nil || procs != nil {
		t.Errorf("%v %v, %v %v", lives, err, pids, procs)
	}
	if err := errors.Join(Kill(dir), Signal(dir, unix.SIGTERM), discard(dir)); err != nil {
		t.Error(err)
	}
	if s := ReadStats(dir); s != (Stats{Unknown, Unknown, Unknown, Unknown, Unknown}) {
		t.Errorf("%+v", s)
	}
}

// A directory that only looks like a group: no cgroup.kill, no freezer.
func TestKillWithoutTheHelpOfTheKernel(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("0\n1\n%d\n", cmd.Process.Pid) // of another PID namespace, nobody's to kill, ours
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Kill(dir); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Error(err)
	}
}

func TestLimitsAreWrittenOrRefusedByName(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"memory.max", "memory.high", "cpu.max"} {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	refused := SetLimits(dir, Limits{MemoryMax: 1 << 20, CPUQuota: 1500, TasksMax: 10})
	if len(refused) != 1 || refused[0].Limit != "tasks_max" || !strings.Contains(refused[0].Why, "the pids controller is not available") {
		t.Errorf("%v", refused)
	}
	for file, want := range map[string]string{"memory.max": "1048576", "memory.high": "max", "cpu.max": "150000 100000"} {
		if text, err := os.ReadFile(filepath.Join(dir, file)); string(text) != want {
			t.Errorf("%s: %q %v", file, text, err)
		}
	}
	if refused := SetLimits(dir, Limits{}); len(refused) != 0 {
		t.Error(refused)
	}
}
