package prep

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zinit/reap"
)

// The benchmarks measure from the request to the answer, one start after the other,
// with the step of the real binary: that of the test binary is slower.
const benchStarts = 300

func playBench(kind string) error {
	client, _, err := reap.Connect(3, 4)
	if err != nil {
		return err
	}
	var took []time.Duration
	for i := range benchStarts {
		spec := reap.Spec{Key: "s" + strconv.Itoa(i), Run: 1, Group: true, Path: "/bin/true", Argv: []string{"true"}, Env: os.Environ()}
		if kind == "prepared" {
			spec.Prep = &reap.Prep{Umask: is(uint32(0o77)), OOMScoreAdj: is(5), NoNewPrivs: true,
				Rlimits: []reap.Rlimit{{Resource: unix.RLIMIT_CORE}}}
		}
		begin := time.Now()
		client.Spawn(spec)
		for seen := false; !seen; {
			for _, e := range <-client.Events() {
				switch e := e.(type) {
				case reap.Spawned:
					took = append(took, time.Since(begin))
				case reap.Exited:
					seen = true
				case reap.SpawnFailed:
					return fmt.Errorf("%+v", e)
				}
			}
		}
	}
	slices.Sort(took)
	fmt.Printf("p50=%d p90=%d\n", took[len(took)/2].Nanoseconds(), took[len(took)*9/10].Nanoseconds())
	return nil
}

func benchmark(b *testing.B, kind string) {
	self := filepath.Join(b.TempDir(), "zinit")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", self, "zinit")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Skipf("cannot build: %v: %s", err, out)
	}
	b.Setenv("ZINIT_BENCH_SELF", self)
	var p50, p90 float64
	for b.Loop() {
		cmd := exec.Command("/proc/self/exe", "-play", "bench", kind)
		out, err := cmd.CombinedOutput()
		found := regexp.MustCompile(`p50=(\d+) p90=(\d+)`).FindSubmatch(out)
		if err != nil || found == nil {
			b.Fatalf("%v: %s", err, out)
		}
		n, _ := strconv.ParseFloat(string(found[1]), 64)
		m, _ := strconv.ParseFloat(string(found[2]), 64)
		p50, p90 = p50+n, p90+m
	}
	b.ReportMetric(p50/float64(b.N)/1e3, "us/p50")
	b.ReportMetric(p90/float64(b.N)/1e3, "us/p90")
}

func BenchmarkBareStart(b *testing.B)     { benchmark(b, "bare") }
func BenchmarkPreparedStart(b *testing.B) { benchmark(b, "prepared") }
