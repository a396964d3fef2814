package pump

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// flood writes a million lines of 100 bytes to descriptor 3, in pieces of the
// given number of lines, from a process of its own.
func flood(b *testing.B, w *os.File, piece int) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(exe, "flood-child", strconv.Itoa(piece))
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	w.Close()
	return cmd
}

func floodChild(piece string) {
	n, err := strconv.Atoi(piece)
	if err != nil {
		panic(err)
	}
	w := os.NewFile(3, "pipe")
	lines := bytes.Repeat(append(bytes.Repeat([]byte{'x'}, 99), '\n'), n)
	for range 1_000_000 / n {
		if _, err := w.Write(lines); err != nil {
			panic(err)
		}
	}
}

func cpu() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchmarkMillion(b *testing.B, piece int, run func(r *os.File) <-chan struct{}) {
	for b.Loop() {
		r, w, err := os.Pipe()
		if err != nil {
			b.Fatal(err)
		}
		before := cpu()
		cmd := flood(b, w, piece)
		<-run(r)
		b.ReportMetric((cpu() - before).Seconds(), "cpu-s/op")
		cmd.Wait()
	}
}

func BenchmarkMillionLines(b *testing.B) {
	dir := "/dev/shm"
	if _, err := os.Stat(dir); err != nil {
		dir = ""
	}
	for _, piece := range []int{1, 40, 1000} {
		b.Run("lines_a_write="+strconv.Itoa(piece), func(b *testing.B) {
			b.Run("store", func(b *testing.B) {
				at := ""
				if dir != "" {
					at, _ = os.MkdirTemp(dir, "pump")
					defer os.RemoveAll(at)
				}
				p, err := New(at, func() {})
				if err != nil {
					b.Fatal(err)
				}
				defer p.Close()
				st := NewStore(at, "web")
				defer st.Remove()
				benchmarkMillion(b, piece, func(r *os.File) <-chan struct{} {
					done := make(chan struct{})
					p.NewSource(r, st, Stdout, 1, true, func() { close(done) }).Start()
					return done
				})
			})
			b.Run("discard", func(b *testing.B) {
				benchmarkMillion(b, piece, func(r *os.File) <-chan struct{} {
					done := make(chan struct{})
					go func() {
						buf := make([]byte, 64<<10)
						for {
							if n, err := r.Read(buf); n == 0 || err == io.EOF {
								break
							}
						}
						r.Close()
						close(done)
					}()
					return done
				})
			})
		})
	}
}

func BenchmarkPipesOfAService(b *testing.B) {
	p, err := New("", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	st := NewStore("", "web")
	for b.Loop() {
		var sources [2]*Source
		for i := range sources {
			var fds [2]int
			if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
				b.Fatal(err)
			}
			sources[i] = p.NewSource(os.NewFile(uintptr(fds[0]), "r"), st, Stream(i), 1, true, func() {})
			sources[i].Start()
			unix.Close(fds[1])
		}
		for _, s := range sources {
			s.Finish()
		}
	}
}
