package logs

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// hasFile waits until a log file has exactly this text.
func hasFile(t *testing.T, path, want string) {
	t.Helper()
	var got []byte
	defer func() {
		if string(got) != want {
			t.Errorf("%s has %q, want %q", path, got, want)
		}
	}()
	eventually(t, "the log file is as it should be", func() bool {
		got, _ = os.ReadFile(path)
		return string(got) == want
	})
}

func TestFileGetsEveryLine(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "web.txt")
	l, _ := open(t, dir)
	l.Append("web", "from before")
	l.Configure("web", Options{File: file})
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "one\r\nha")
	say(t, l, "web", p.Stderr, "err\n")
	say(t, l, "web", p.Stdout, "lf\n")
	l.Append("web", "a note")
	hasFile(t, file, "one\r\nerr\nhalf\n[zinit: a note]\n")
	say(t, l, "web", p.Stdout, "no newline")
	p.Stdout.Close()
	hasFile(t, file, "one\r\nerr\nhalf\n[zinit: a note]\nno newline\n")
	fi, err := os.Stat(file)
	if err != nil || fi.Mode().Perm() != 0o640&^umask() {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	l.Configure("web", Options{})
	l.Append("web", "not for the file")
	l.Flush(t.Context())
	other := filepath.Join(t.TempDir(), "other.txt")
	l.Flush(t.Context())
	l.Configure("web", Options{File: other})
	l.Flush(t.Context())
	say(t, l, "web", p.Stderr, "more\n")
	hasFile(t, other, "more\n")
}

// A file that is taken away before the first byte gets none.
func TestFileThatIsNamedNoMoreGetsNoFirstLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.txt")
	l, _ := open(t, t.TempDir())
	l.Configure("web", Options{File: file})
	l.Configure("web", Options{})
	l.Flush(t.Context())
	l.Append("web", "not for the file")
	l.Flush(t.Context())
	hasFile(t, file, "")
}

func umask() os.FileMode {
	m := syscallUmask()
	return os.FileMode(m)
}

func TestLongLineIsCutInTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.txt")
	l, _ := open(t, "")
	l.Configure("web", Options{File: file})
	p := start(t, l, "web", 1)
	x := strings.Repeat("x", MaxLine)
	p.Stdout.WriteString(x + x + "y\nnext\n")
	hasFile(t, file, x+" [zinit: line cut]\n"+x+" [zinit: line cut]\ny\nnext\n")
}

func TestFault5FullDiskDropsCountsMarksAndResumes(t *testing.T) {
	dir := t.TempDir()
	link, good := filepath.Join(dir, "log"), filepath.Join(dir, "good")
	if err := os.Symlink("/dev/full", link); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, "")
	l.Configure("web", Options{BufferBytes: 64 << 10, File: link})
	p := start(t, l, "web", 1)
	const size = 1 << 20 // far more than the store keeps: the service would block
	p.Stdout.WriteString(strings.Repeat("fifteen letters\n", size/16))
	say(t, l, "web", p.Stdout, "last one\n")
	l.Flush(t.Context())
	if got := show(t, l, "web", 1000); strings.Count(got, "no space left on device: lines are dropped") > 1 {
		t.Errorf("said more than once: %.300q", got)
	}
	os.Remove(link)
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	l.Start("web", 1) // the event that gives the file its next chance at once
	say(t, l, "web", p.Stdout, "after\n")
	var lost int
	eventually(t, "the file works again", func() bool {
		b, _ := os.ReadFile(good)
		n, err := fmt.Sscanf(string(b), "[zinit: %d bytes lost]\nafter\n", &lost)
		return n == 1 && err == nil && bytes.HasSuffix(b, []byte("lost]\nafter\n"))
	})
	if lost < size || lost > size+500 {
		t.Errorf("%d bytes are said to be lost", lost)
	}
}

func TestMissingDirectoryIsSaidOnceAndTriedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	file := filepath.Join(dir, "web.txt")
	l, _ := open(t, "")
	l.Configure("web", Options{File: file})
	p := start(t, l, "web", 1)
	for i := range 3 {
		say(t, l, "web", p.Stdout, fmt.Sprintf("dropped%d\n", i))
		l.Flush(t.Context())
	}
	want := "log file " + file + ": no such file or directory: lines are dropped until it can be written"
	eventually(t, "others are told", func() bool { return l.Trouble("web") == want })
	if got := show(t, l, "web", 100); strings.Count(got, want) != 1 {
		t.Errorf("the log has %q", got)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l.Start("web", 1)
	say(t, l, "web", p.Stdout, "kept\n")
	lost := 3*len("dropped0\n") + len("[zinit: "+want+"]\n")
	hasFile(t, file, fmt.Sprintf("[zinit: %d bytes lost]\nkept\n", lost))
	eventually(t, "others are told that it is well", func() bool { return l.Trouble("web")+l.Trouble("nosuch") == "" })
}

func TestPartialWriteIsMended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f := file{disk: osDisk{}, path: path, gap: gap{lost: 10, midline: true}}
	f.ready()
	if problem := f.write([]byte("text\n")); problem != "" {
		t.Fatal(problem)
	}
	f.close()
	hasFile(t, path, "\n[zinit: 10 bytes lost]\ntext\n")
}

func TestRotatedFileIsReopenedAtTheNextStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.txt")
	l, _ := open(t, "")
	l.Configure("web", Options{File: file})
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "one\n")
	hasFile(t, file, "one\n")
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	say(t, l, "web", p.Stdout, "two\n")
	hasFile(t, file+".1", "one\ntwo\n")
	p = start(t, l, "web", 2)
	say(t, l, "web", p.Stdout, "three\n")
	hasFile(t, file, "three\n")
}

// An onOpen disk calls a function before it opens a file, the first time.
type onOpen struct {
	osDisk
	once sync.Once
	call func()
}

func (d *onOpen) open(path string, flags int, mode os.FileMode) (*os.File, error) {
	d.once.Do(d.call)
	return d.osDisk.open(path, flags, mode)
}

// A start that comes while the sink is at work holds for all that is written after it:
// the file is not opened anew behind the first line.
func TestStartWhileTheSinkIsAtWorkHoldsForTheFirstLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.txt")
	l, _ := open(t, t.TempDir())
	l.Configure("web", Options{File: file})
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "nothing of this\n")
	l.Configure("web", Options{})
	l.Flush(t.Context()) // the sink has let go of file and store
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	l.services["web"].sink.pos.disk = &onOpen{call: func() {
		l.Start("web", 1)
		say(t, l, "web", p.Stdout, "one\n")
	}}
	l.Configure("web", Options{File: file})
	hasFile(t, file, "one\n")
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	say(t, l, "web", p.Stdout, "two\n")
	hasFile(t, file+".1", "one\ntwo\n")
}

func TestFifoWithoutReaderHoldsUpNobody(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := mkfifo(fifo); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, "")
	l.Configure("web", Options{BufferBytes: 1, File: fifo})
	p := start(t, l, "web", 1)
	p.Stdout.WriteString(strings.Repeat("text\n", 100_000))
	l.Flush(t.Context())
}

func TestFlushEndsWithItsContext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.txt") // first: it is removed after the logs are closed
	l, _ := open(t, "")
	l.Configure("web", Options{File: file})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.Flush(ctx)
}

func TestRecordRefusesWhatItDidNotWrite(t *testing.T) {
	good := record{cursor: 10, skip: 5, file: fileInfo{size: 99, dev: 3, ino: 4}, born: 12, gap: gap{7, true},
		pending: [4]begun{{off: 1}, {off: 2, text: []byte("text")}, {off: 10, text: []byte{}}, {off: 3}}}
	encoded := good.encode()
	if got, ok := decodeRecord(append(encoded[:len(encoded):len(encoded)], "behind"...)); !ok || !reflect.DeepEqual(got, good) {
		t.Errorf("decoded %+v, %t", got, ok)
	}
	for i := range encoded {
		b := good.encode()
		b[i] ^= 1
		if _, ok := decodeRecord(b); ok {
			t.Errorf("accepted a flipped bit in byte %d", i)
		}
		if _, ok := decodeRecord(encoded[:i]); ok {
			t.Errorf("accepted %d bytes", i)
		}
	}
	for st := range good.pending {
		good.pending[st] = begun{off: 1 << 60, text: make([]byte, maxBegun)}
	}
	if encoded = good.encode(); len(encoded) > 4096 {
		t.Errorf("a record takes %d bytes", len(encoded))
	}
	if _, ok := decodeRecord(encoded); ok {
		t.Errorf("accepted a line that begins after the cursor")
	}
}

// A caught-up sink must never make the writer wait, however far back the line is
// that a stream has begun, in this server's life and in the next.
func TestBegunLineBlocksNobody(t *testing.T) {
	for _, size := range []int{8, 2 * maxBegun} {
		dir, file := t.TempDir(), filepath.Join(t.TempDir(), "web.txt")
		l, _ := open(t, dir)
		o := Options{BufferBytes: 64 << 10, File: file}
		l.Configure("web", o)
		p := start(t, l, "web", 1)
		begun := strings.Repeat("b", size)
		say(t, l, "web", p.Stdout, begun)
		flood := strings.Repeat("another stream\n", 20_000)
		p.Stderr.WriteString(flood)
		kept := [2]*os.File{dup(t, p.Keep[0]), dup(t, p.Keep[1])}
		l.Flush(t.Context())
		l.Close()
		l, _ = open(t, dir)
		l.Configure("web", o)
		for i, f := range kept {
			l.Adopt("web", 1, i+1, f)
		}
		p.Stderr.WriteString(flood)
		p.Stdout.WriteString(" end\n")
		var b []byte
		eventually(t, "all lines are in the file", func() bool {
			b, _ = os.ReadFile(file)
			return bytes.Contains(b, []byte(" end\n")) && bytes.Count(b, []byte("another stream\n")) >= 40_000
		})
		if n := bytes.Count(b, []byte("another stream\n")); n != 40_000 {
			t.Errorf("the file has %d lines of the flood", n)
		}
		if size <= maxBegun && !bytes.Contains(b, []byte("\n"+begun+" end\n")) {
			t.Errorf("the line is not whole")
		}
		p.Stdout.Close()
		p.Stderr.Close()
	}
}

func logsChild(dir, file string) {
	l, err := Open(dir, func(string) {})
	if err != nil {
		panic(err)
	}
	l.Configure("web", Options{BufferLines: 1 << 16, BufferBytes: 256 << 10, File: file})
	for fd := 1; fd <= 2; fd++ {
		l.Adopt("web", 1, fd, os.NewFile(uintptr(2+fd), "pipe"))
	}
	select {}
}

// The server is killed again and again while a service logs at full speed into a
// file: the file has every line once, in the order of its stream.
func TestFault13KilledServerLosesNoLineOfTheFile(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "web.txt")
	var ends [2]*os.File
	var wrote [2]int
	var writers sync.WaitGroup
	stop := make(chan struct{})
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
	for range 40 {
		cmd := command(t, "logs-child", dir, file)
		cmd.ExtraFiles = ends[:]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Duration(5000+rand.IntN(30000)) * time.Microsecond)
		cmd.Process.Kill()
		cmd.Wait()
	}
	close(stop)
	l, released := open(t, dir)
	l.Configure("web", Options{BufferLines: 1 << 16, BufferBytes: 256 << 10, File: file})
	for i, r := range ends {
		l.Adopt("web", 1, i+1, dup(t, r))
	}
	writers.Wait()
	eventually(t, "both streams ended", func() bool { return len(released.String()) == len("out/web/1/1 out/web/1/2") })
	l.Flush(t.Context())
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var next [2]int
	at := 0
	for i, line := range bytes.Split(bytes.TrimSuffix(b, []byte{'\n'}), []byte{'\n'}) {
		at += len(line) + 1
		var stream, n int
		if _, err := fmt.Sscanf(string(line), "%d %d xxxxxxxxxx", &stream, &n); err != nil || stream > 1 || len(line) < 10 {
			t.Fatalf("line %d is torn: %q in %q", i, line, b[max(0, at-100):min(len(b), at+100)])
		}
		if n != next[stream] {
			t.Fatalf("line %d: stream %d has number %d, want %d", i, stream, n, next[stream])
		}
		next[stream]++
	}
	if next != wrote {
		t.Errorf("the file has %d lines, written were %d", next, wrote)
	}
	t.Logf("%d lines", wrote)
}

func writeNumbers(w *os.File, stream int, stop <-chan struct{}) int {
	var b []byte
	for n := 0; ; n++ {
		select {
		case <-stop:
			w.Write(b)
			return n
		default:
		}
		b = fmt.Appendf(b, "%d %d xxxxxxxxxx\n", stream, n)
		if len(b) > 50+stream*3000 {
			// Torn on purpose: a write need not end with a line.
			k := len(b) - 7
			w.Write(b[:k])
			b = append(b[:0], b[k:]...)
		}
	}
}
