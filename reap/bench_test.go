package reap

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const benchSpawns = 1000

// benchPath is what the benchmarks start; ZINIT_BENCH_PROGRAM names a bigger one.
func benchSpec(key string) Spec {
	s := Spec{Key: key, Run: 1, Group: true, Env: os.Environ(), Path: os.Getenv("ZINIT_TEST_TINY"), Argv: tinyArgs("p")}
	if path := os.Getenv("ZINIT_BENCH_PROGRAM"); path != "" {
		s.Path, s.Argv = path, []string{path, "1000"}
	}
	return s
}

func pipe() (r, w *os.File) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		panic(err)
	}
	return os.NewFile(uintptr(p[0]), "r"), os.NewFile(uintptr(p[1]), "w")
}

// massStart measures what a server sees: from the first request to the last
// answer, two pipes for each.
var massStart = scenario{server: func(_ int, s *serverPlay) error {
	begin := time.Now()
	for i := range benchSpawns {
		sp := benchSpec("s" + strconv.Itoa(i))
		sp.Keep[0], sp.Stdout = pipe()
		sp.Keep[1], sp.Stderr = pipe()
		s.Spawn(sp)
	}
	for range benchSpawns {
		if _, err := nextEvent[Spawned](s); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "elapsed=%d\n", time.Since(begin).Nanoseconds())
	return nil
}, keeper: func(k *keeperPlay) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := k.serve(); err != nil {
		return err
	}
	if err := k.ended(); err != nil {
		return err
	}
	runtime.ReadMemStats(&after)
	fmt.Fprintf(os.Stderr, "allocs=%d bytes=%d\n",
		(after.Mallocs-before.Mallocs)/benchSpawns, (after.TotalAlloc-before.TotalAlloc)/benchSpawns)
	return nil
}}

func BenchmarkMassStart(b *testing.B) {
	figures := measure(b, "massStart", "elapsed", "allocs", "bytes")
	b.ReportMetric(figures[0]/1e6, "ms/1000")
	b.ReportMetric(figures[1], "keeper-allocs/spawn")
	b.ReportMetric(figures[2], "keeper-B/spawn")
}

// massDressed is the same with a user, groups, and a cgroup for each, all of which ride
// in the clone.
var massDressed = scenario{server: func(_ int, s *serverPlay) error {
	top := os.Getenv("ZINIT_TEST_CGROUP")
	var dirs []*os.File
	for i := range benchSpawns {
		path := top + "/s" + strconv.Itoa(i)
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		dir, err := os.Open(path)
		if err != nil {
			return err
		}
		dirs = append(dirs, dir)
	}
	begin := time.Now()
	for i := range benchSpawns {
		sp := benchSpec("s" + strconv.Itoa(i))
		sp.Keep[0], sp.Stdout = pipe()
		sp.Keep[1], sp.Stderr = pipe()
		sp.User, sp.Cgroup = &Credential{Uid: 65534, Gid: 65534, Groups: []uint32{1, 2}}, dirs[i]
		s.Spawn(sp)
	}
	for range benchSpawns {
		if _, err := nextEvent[Spawned](s); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "elapsed=%d\n", time.Since(begin).Nanoseconds())
	for i := range benchSpawns {
		s.Signal("s"+strconv.Itoa(i), 1, syscall.SIGKILL, ScopeCgroup)
	}
	for range benchSpawns {
		if _, err := s.event(); err != nil {
			return err
		}
	}
	for _, dir := range dirs {
		if err := eventually("the cgroup is empty", func() bool { return os.Remove(dir.Name()) == nil }); err != nil {
			return err
		}
	}
	return nil
}}

func BenchmarkMassStartWithUserAndCgroup(b *testing.B) {
	if os.Getuid() != 0 {
		b.Skip("only root can")
	}
	dir := benchCgroup(b)
	b.Setenv("ZINIT_TEST_CGROUP", dir)
	// The tiny program must be one that another user can execute.
	path := tiny(b)
	for at := filepath.Dir(path); at != "/tmp" && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			b.Fatal(err)
		}
	}
	b.Setenv("ZINIT_TEST_TINY", path)
	b.ReportMetric(measure(b, "massDressed", "elapsed")[0]/1e6, "ms/1000")
}

func benchCgroup(b *testing.B) string {
	b.Helper()
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if dir, err := os.MkdirTemp(mount, "bench-reap-"); err == nil {
			if unix.Access(dir+"/cgroup.procs", unix.W_OK) == nil {
				b.Cleanup(func() { os.Remove(dir) })
				return dir
			}
			os.Remove(dir)
		}
	}
	b.Skip("there is no cgroup v2 tree that can be written")
	return ""
}

// BenchmarkForkExec is the same work in one process and one goroutine.
func BenchmarkForkExec(b *testing.B) {
	b.Setenv("ZINIT_TEST_TINY", tiny(b))
	null, err := openNull()
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(null)
	var total time.Duration
	for b.Loop() {
		var pids []int
		var files []*os.File
		begin := time.Now()
		for range benchSpawns {
			r1, w1 := pipe()
			r2, w2 := pipe()
			sp := benchSpec("")
			pid, err := syscall.ForkExec(sp.Path, sp.Argv, &syscall.ProcAttr{
				Env: sp.Env, Files: []uintptr{uintptr(null), w1.Fd(), w2.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}})
			if err != nil {
				b.Fatal(err)
			}
			w1.Close()
			w2.Close()
			pids, files = append(pids, pid), append(files, r1, r2)
		}
		total += time.Since(begin)
		for i, pid := range pids {
			unix.Kill(pid, unix.SIGKILL)
			unix.Wait4(pid, nil, 0, nil)
			files[2*i].Close()
			files[2*i+1].Close()
		}
	}
	b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms/1000")
}

// restart measures from a kill to the answer that the next run is there.
var restart = scenario{server: func(_ int, s *serverPlay) error {
	const rounds = 1000
	for i := range 100 { // there are others too
		s.Spawn(benchSpec("other" + strconv.Itoa(i)))
		if _, err := nextEvent[Spawned](s); err != nil {
			return err
		}
	}
	var took []time.Duration
	s.Spawn(benchSpec("a"))
	e, err := nextEvent[Spawned](s)
	if err != nil {
		return err
	}
	for run := uint64(2); run < rounds; run++ {
		begin := time.Now()
		unix.Kill(e.Pid, unix.SIGKILL)
		if _, err := nextEvent[Exited](s); err != nil {
			return err
		}
		sp := benchSpec("a")
		sp.Run = run
		sp.Keep[0], sp.Stdout = pipe()
		sp.Keep[1], sp.Stderr = pipe()
		s.Ack("a", run-1)
		s.Spawn(sp)
		if e, err = nextEvent[Spawned](s); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
		for i, f := range sp.Keep {
			f.Close()
			s.Release(OutputName("a", run, i+1))
		}
	}
	slices.Sort(took)
	fmt.Fprintf(os.Stderr, "elapsed=%d p90=%d\n", took[len(took)/2].Nanoseconds(), took[len(took)*9/10].Nanoseconds())
	return nil
}}

func BenchmarkRestart(b *testing.B) {
	figures := measure(b, "restart", "elapsed", "p90")
	b.ReportMetric(figures[0]/1e3, "us/p50")
	b.ReportMetric(figures[1]/1e3, "us/p90")
}

// measure runs a scenario and answers with the means of what it reports by name.
func measure(b *testing.B, name string, what ...string) []float64 {
	sums := make([]float64, len(what))
	env := append(os.Environ(), "ZINIT_TEST_TINY="+tiny(b))
	for b.Loop() {
		cmd := exec.Command(self(), "-play", "keeper", name)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		for i := range what {
			found := regexp.MustCompile(what[i] + `=(\d+)`).FindSubmatch(out)
			if found == nil {
				b.Fatalf("no %s:\n%s", what[i], out)
			}
			figure, _ := strconv.ParseFloat(string(found[1]), 64)
			sums[i] += figure
		}
	}
	for i := range sums {
		sums[i] /= float64(b.N)
	}
	return sums
}
