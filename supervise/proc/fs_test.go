package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = time.Minute

// TestMain plays a process: PLAY=NAME[,MORE] calls it NAME, has it start one that
// plays MORE, say the pids of all, and live until its input ends.
func TestMain(m *testing.M) {
	play, ok := os.LookupEnv("PLAY")
	if !ok {
		os.Exit(m.Run())
	}
	name, more, child := strings.Cut(play, ",")
	if err := os.WriteFile("/proc/self/comm", []byte(name), 0); err != nil {
		panic(err)
	}
	if child {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{"PLAY=" + more}
		cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		defer cmd.Wait()
	}
	fmt.Println(os.Getpid())
	// Whoever reads the end of the input reads it for all.
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		panic(err)
	}
}

// play starts processes, each the child of the one before, and returns their pids
// and what ends them.
func play(t *testing.T, names string) (pids []int, end func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{"PLAY=" + names}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	for range strings.Split(names, ",") {
		var pid int
		if _, err := fmt.Fscanln(out, &pid); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids, end
}

func TestOneself(t *testing.T) {
	var fs FS
	p, err := fs.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	session, err := unix.Getsid(0)
	if err != nil {
		t.Fatal(err)
	}
	if p.Pid != os.Getpid() || p.Ppid != os.Getppid() || p.Group != unix.Getpgrp() || p.Session != session {
		t.Errorf("got %+v", p)
	}
	if p.RSS < 1<<20 || p.RSS > 1<<40 || p.Start == 0 {
		t.Errorf("got %+v", p)
	}
	if again, err := fs.Lookup(p.Pid, p.Start); err != nil || again.Start != p.Start {
		t.Errorf("got %+v, %v", again, err)
	}
	if _, err := fs.Lookup(p.Pid, p.Start+1); !errors.Is(err, ErrGone) {
		t.Errorf("of one that had the pid: %v", err)
	}
}

func TestWorkIsCounted(t *testing.T) {
	var fs FS
	before, err := fs.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for late := time.After(patience); ; {
		p, err := fs.Read(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if p.CPU >= before.CPU+50*time.Millisecond {
			if got := CPUPercent(p); got <= 0 || got > 100*float64(runtime.NumCPU()) {
				t.Errorf("%v percent of %d processors", got, runtime.NumCPU())
			}
			return
		}
		select {
		case <-late:
			t.Fatalf("it has used %s, and before %s", p.CPU, before.CPU)
		default:
		}
	}
}

func TestAFamilyOfProcesses(t *testing.T) {
	var fs FS
	names := []string{"first", ") R 1 (x", "two words"}
	pids, end := play(t, strings.Join(names, ","))
	// They say their pids in any order, but the first is known.
	got, err := fs.Descendants(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 {
		t.Fatalf("got %+v, want those of %v", got, pids)
	}
	parent := os.Getpid()
	for i, p := range got {
		if p.Name != names[i] || p.Ppid != parent || !slices.Contains(pids, p.Pid) || p.RSS == 0 {
			t.Errorf("got %+v, want %q under %d", p, names[i], parent)
		}
		parent = p.Pid
	}
	end()
	if left, err := fs.Descendants(os.Getpid()); err != nil || len(left) != 0 {
		t.Errorf("after their end: %+v, %v", left, err)
	}
	for _, p := range got {
		if q, err := fs.Lookup(p.Pid, p.Start); !errors.Is(err, ErrGone) {
			t.Errorf("%d: %+v, %v", p.Pid, q, err)
		}
	}
}

func TestThreadsAreNoProcesses(t *testing.T) {
	var fs FS
	stop := make(chan struct{})
	var here, gone sync.WaitGroup
	tids := make([]int, 4)
	for i := range tids {
		here.Add(1)
		gone.Go(func() {
			runtime.LockOSThread()
			tids[i] = unix.Gettid()
			here.Done()
			<-stop
		})
	}
	here.Wait()
	defer gone.Wait()
	defer close(stop)
	all, err := fs.All()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b Process) int { return a.Pid - b.Pid }) {
		t.Error("not sorted by pid")
	}
	pids := pidsOf(all)
	if !slices.Contains(pids, os.Getpid()) || !slices.Contains(pids, os.Getppid()) {
		t.Errorf("it lacks %d and its parent %d: %v", os.Getpid(), os.Getppid(), pids)
	}
	for _, tid := range tids {
		if tid != os.Getpid() && slices.Contains(pids, tid) {
			t.Errorf("thread %d is there", tid)
		}
	}
}

// fake makes a proc file system of stat files by pid.
func fake(t *testing.T, stats map[int]string) FS {
	t.Helper()
	fs := FS{Root: t.TempDir()}
	if err := os.Symlink(strconv.Itoa(os.Getpid()), fs.path("self")); err != nil {
		t.Fatal(err)
	}
	for pid, text := range stats {
		dir := fs.path(strconv.Itoa(pid))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return fs
}

func TestWithoutProc(t *testing.T) {
	foreign := fake(t, map[int]string{7: stat(7, "sh", 'S', 1, 5)})
	if err := os.Remove(foreign.path("self")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(strconv.Itoa(os.Getpid()+1), foreign.path("self")); err != nil {
		t.Fatal(err)
	}
	for name, fs := range map[string]FS{
		"no directory":            {Root: filepath.Join(t.TempDir(), "none")},
		"an empty directory":      {Root: t.TempDir()},
		"that of other processes": foreign,
	} {
		_, read := fs.Read(7)
		_, all := fs.All()
		_, descendants := fs.Descendants(7)
		for what, err := range map[string]error{"Read": read, "All": all, "Descendants": descendants} {
			if !errors.Is(err, ErrNoProc) || !strings.HasPrefix(err.Error(), "needs /proc") {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
}

func TestAProcessThatEndsWhileItIsRead(t *testing.T) {
	fs := fake(t, map[int]string{7: stat(7, "sh", 'S', 1, 5), 9: stat(9, "sh", 'S', 7, 6)})
	// Its directory is listed, and its file is no longer there.
	if err := os.Mkdir(fs.path("8"), 0o755); err != nil {
		t.Fatal(err)
	}
	all, err := fs.All()
	if got := pidsOf(all); err != nil || !slices.Equal(got, []int{7, 9}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := fs.Read(8); !errors.Is(err, ErrGone) {
		t.Errorf("got %v", err)
	}
	if got, err := fs.Descendants(7); err != nil || len(got) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestAListIsWholeOrAnError: what cannot be read, or understood, is not left out.
func TestAListIsWholeOrAnError(t *testing.T) {
	fs := fake(t, map[int]string{7: stat(7, "sh", 'S', 1, 5), 8: "8 (sh"})
	if all, err := fs.All(); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("got %+v, %v", all, err)
	}
	if _, err := fs.Read(8); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkAll(b *testing.B) {
	var n int
	for b.Loop() {
		all, err := FS{}.All()
		if err != nil {
			b.Fatal(err)
		}
		n = len(all)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/process")
}

func BenchmarkLookup(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (FS{}).Lookup(os.Getpid(), 0); err != nil {
			b.Fatal(err)
		}
	}
}
