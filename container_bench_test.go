package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// How much of what BenchmarkContainer does.
const (
	boxServices = 100
	boxOrphans  = 20000
	boxSpawns   = 10000
	boxRounds   = 15
)

// BenchmarkContainer measures what process 1 of a container costs; docs/bench.md says
// what the lines mean. It is meant to be run once (-benchtime 1x).
func BenchmarkContainer(b *testing.B) {
	newBox(b) // makes the image, or skips
	boxRuns(b)
	boxStop(b)
	boxMemory(b)
	for _, peer := range [][]string{{"tini", "sleep", "60"}, {"dumb-init", "sleep", "60"}, {"s6-svscan", b.TempDir()}} {
		boxPeer(b, peer)
	}
	boxFloor(b)
}

// boxRuns compares whole runs of a container whose command ends at once, in turns.
func boxRuns(b *testing.B) {
	ways := []struct {
		name string
		args []string
		took []time.Duration
	}{{name: "no process 1"}, {name: "tini-static", args: []string{"tini-static"}}, {name: "dumb-init", args: []string{"dumb-init"}},
		{name: "zinit", args: []string{"zinit", "--"}}}
	for range boxRounds {
		for i := range ways {
			way := &ways[i]
			bind := map[string]string{}
			if i > 0 && way.name != "zinit" {
				if bind = withLibraries(way.name); bind == nil {
					continue
				}
			}
			box := newBox(b, append(slices.Clone(way.args), "app", "exit", "0")...)
			box.services, box.bind = map[string]string{}, bind
			box.start().ends(0)
			way.took = append(way.took, time.Since(box.begun))
		}
	}
	for _, way := range ways {
		if len(way.took) > 0 {
			slices.Sort(way.took)
			median := way.took[len(way.took)/2]
			fmt.Printf("container: a command that ends at once, %-13s %6.1f ms, %.2fx\n", way.name+":", millis(median),
				float64(median)/float64(ways[0].took[len(ways[0].took)/2]))
		}
	}
}

// withLibraries are the files that a program of this machine needs in a container, by
// where they are there; nil where it is not installed.
func withLibraries(name string) map[string]string {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil
	}
	files := map[string]string{"/bin/" + name: path}
	text, _ := exec.Command("ldd", path).Output() // it fails for what is static, and needs nothing
	for word := range strings.FieldsSeq(string(text)) {
		if filepath.IsAbs(word) {
			files[word] = word
		}
	}
	return files
}

// boxStop is from the signal until the engine has seen the end of 100 services that
// obey at once.
func boxStop(b *testing.B) {
	var took []time.Duration
	for range 5 {
		box := boxOf(b, boxServices).start()
		box.allServe()
		began := time.Now()
		box.kill(syscall.SIGTERM)
		box.ends(0)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	fmt.Printf("container: the stop of %d services: %.1f ms\n", boxServices, millis(took[len(took)/2]))
}

// boxOf is a container of n services that serve.
func boxOf(b testing.TB, n int) *box {
	box := newBox(b, "zinit")
	box.services = map[string]string{}
	for i := range n {
		name := fmt.Sprintf("s%d", i)
		box.services[name] = appService(name, "serve", "[logging]\nlog = \"store\"")
	}
	return box
}

func (b *box) allServe() {
	b.t.Helper()
	b.says(b.errs, "started")
	names := []string{"zinit", "wait", "--timeout", patience.String()}
	for name := range b.services {
		names = append(names, name)
	}
	b.must(names...)
}

// boxMemory is process 1 with 100 services at rest, and after what it has reaped.
func boxMemory(b *testing.B) {
	box := boxOf(b, boxServices)
	box.services["again"] = appService("again", "exit 0", "status = \"stop\"",
		"[lifecycle]\nrestart = \"always\"\nrestart_delay_ms = 0\nmax_restarts = 0\n[logging]\nlog = \"none\"")
	syscall.Sync() // pages of a file that is not written yet count as dirty
	box.start()
	delete(box.services, "again")
	box.allServe()
	box.showMemory(b, "at rest")
	box.must("app", "orphans", fmt.Sprint(boxOrphans))
	box.showMemory(b, fmt.Sprintf("after %d orphans", boxOrphans))
	for _, spawns := range []int{boxSpawns, 2 * boxSpawns} {
		box.must("zinit", "start", "again")
		began := time.Now()
		for {
			text := box.must("zinit", "status", "--json", "again")
			if n := boxNumber(text, `"run":`); n >= spawns {
				break
			}
			if time.Since(began) > 5*time.Minute {
				b.Fatalf("too few restarts: %s", text)
			}
			<-time.After(200 * time.Millisecond)
		}
		box.must("zinit", "stop", "--wait", "again")
		box.showMemory(b, fmt.Sprintf("after %d spawns", spawns))
	}
	box.kill(syscall.SIGTERM)
	box.ends(0)
}

func boxNumber(text, key string) (n int) {
	_, rest, _ := strings.Cut(text, key)
	fmt.Sscanf(strings.TrimSpace(rest), "%d", &n) // 0 if there is none
	return n
}

func (b *box) showMemory(t testing.TB, when string) {
	<-time.After(12 * time.Second) // what a burst took goes back after a few seconds
	fmt.Printf("process 1 with %d services, %s: %s\n", boxServices, when, memoryOf(t, b.pid()))
}

func memoryOf(t testing.TB, pid int) string {
	path := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	rss, err := benchField(path, "Rss")
	if err != nil {
		t.Fatal(err)
	}
	dirty, err := benchField(path, "Private_Dirty")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("RSS %.2f MB, private dirty %.2f MB", float64(rss)/1000, float64(dirty)/1000)
}

// boxPeer is another process 1 with nothing to do, where it is installed.
func boxPeer(b *testing.B, argv []string) {
	if _, err := exec.LookPath(argv[0]); err != nil {
		return
	}
	cmd := exec.Command("unshare", append([]string{"-pf", "--mount-proc", "--kill-child"}, argv...)...)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for range 1000 {
		for _, p := range childrenOf(cmd.Process.Pid) {
			if p.name == filepath.Base(argv[0]) && p.state == "S" {
				fmt.Printf("%s: %s\n", argv[0], memoryOf(b, p.pid))
				return
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	b.Errorf("%s does not run", argv[0])
}

// boxFloor is what Go itself takes: a program of the packages of zinit that only waits,
// at once, and when it has collected garbage and given memory back once, twice and five
// times.
func boxFloor(b *testing.B) {
	waiter := filepath.Join(b.TempDir(), "waiter")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", waiter, "./testdata/bench/waiter")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	syscall.Sync() // pages of a file that is not written yet count as dirty
	for _, args := range [][]string{nil, {"1"}, {"2"}, {"5"}} {
		cmd := exec.Command(waiter, args...)
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 16)); err != nil {
			b.Error(err)
		}
		fmt.Printf("a program of the same packages that waits %v: %s\n", args, memoryOf(b, cmd.Process.Pid))
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
