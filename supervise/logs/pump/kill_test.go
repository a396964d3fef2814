package pump

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// The process that pumps is killed again and again while both streams are written
// at full speed; the test holds the read ends as the keeper does.
func TestKillNeverLosesDoublesOrTearsALine(t *testing.T) {
	for name, limit := range map[string]int64{"all kept": 1 << 30, "old released": 256 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killed(t, limit)
		})
	}
}

func killed(t *testing.T, limit int64) {
	dir := t.TempDir()
	var ends [2]*os.File
	var writers sync.WaitGroup
	stop := make(chan struct{})
	var wrote [2]int
	for i := range ends {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		ends[i] = r
		writers.Go(func() {
			defer w.Close()
			wrote[i] = writeNumbers(w, i, stop)
		})
	}
	var last *os.Process
	for range 40 {
		cmd := child(t, dir, limit, ends)
		<-time.After(time.Duration(2000+rand.IntN(40000)) * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
	}
	cmd := child(t, dir, limit, ends)
	last = cmd.Process
	close(stop)
	writers.Wait()
	st := NewStore(dir, "web")
	st.Limit(limit, 1<<20)
	// All is in the store when both pipes are empty.
	sources := [2]*Source{{fd: int(ends[0].Fd())}, {fd: int(ends[1].Fd())}}
	eventually(t, "the pipes are drained", func() bool { return sources[0].available()+sources[1].available() == 0 })
	last.Kill()
	cmd.Wait()
	v, err := st.View()
	if err != nil {
		t.Fatal(err)
	}
	var text [2][]byte
	segs, _ := v.Segments(v.Freed, v.Size, 0)
	for _, s := range segs {
		b := make([]byte, s.End-s.Off)
		if _, err := v.ReadAt(b, s.Off); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		text[s.Stream] = append(text[s.Stream], b...)
	}
	for i, b := range text {
		from, to := numbers(t, b, v.Freed > 0)
		if to != wrote[i]-1 || v.Freed == 0 && from != 0 {
			t.Errorf("%s: has lines %d to %d of %d", Stream(i), from, to, wrote[i])
		}
	}
	if du := diskUsage(t, dir, "web.log"); du > limit+2*pageSize {
		t.Errorf("the store takes %d bytes, its cap is %d", du, limit)
	}
	t.Logf("%d and %d lines, %d bytes, %d intents", wrote[0], wrote[1], v.Size, v.count)
}

// writeNumbers writes numbered lines, one stream in small and one in big pieces,
// and returns how many.
func writeNumbers(w io.Writer, stream int, stop <-chan struct{}) int {
	b := bufio.NewWriterSize(w, 100+stream*5000)
	defer b.Flush()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return n
		default:
		}
		if _, err := fmt.Fprintf(b, "%d %s\n", n, strings.Repeat("x", 20)); err != nil {
			return n
		}
	}
}
