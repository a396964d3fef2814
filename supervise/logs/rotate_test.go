package logs

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// textOf is what an old or the present log file has.
func textOf(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(path, zipped) {
		return string(b)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if b, err = io.ReadAll(z); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(b)
}

// allFiles are the log file and the old ones, the oldest first.
func allFiles(t testing.TB, path string) (files []string) {
	t.Helper()
	last := 0
	for n := 1; n <= 2000; n++ {
		if ext, ok := taken(path, n); ok {
			files = append(files, oldName(path, n)+ext)
			last = n
			if _, err := os.Lstat(oldName(path, n)); err == nil && ext == zipped {
				t.Errorf("%s is there twice", oldName(path, n))
			}
		} else if n > last+3 {
			break
		}
	}
	slices.Reverse(files)
	if _, err := os.Lstat(path); err == nil {
		files = append(files, path)
	}
	return files
}

func allText(t testing.TB, path string) string {
	t.Helper()
	var b strings.Builder
	for _, f := range allFiles(t, path) {
		b.WriteString(textOf(t, f))
	}
	return b.String()
}

func names(t *testing.T, path string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

// allPressed returns when only the current file is not compressed, and nothing is left
// over of that work.
func allPressed(t *testing.T, path string) {
	t.Helper()
	eventually(t, "all old files are compressed", func() bool {
		return !slices.ContainsFunc(strings.Fields(names(t, path)), func(f string) bool {
			return f != filepath.Base(path) && !strings.HasSuffix(f, zipped)
		})
	})
}

func TestFileIsRotatedBySize(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.txt")
	l, _ := open(t, "")
	l.Configure("web", Options{File: file, FileMax: 20, FileKeep: 2})
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "one\ntwo\nthree\nfour\nfive\nsix\nseven, which is a long line\neight\nnine\n")
	hasFile(t, file, "eight\nnine\n")
	if err := os.Chmod(file, 0o604); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, file), "web.txt web.txt.1 web.txt.2"; got != want {
		t.Errorf("there are %s, want %s", got, want)
	}
	if got, want := allText(t, file), "five\nsix\nseven, which is a long line\neight\nnine\n"; got != "four\n"+want && got != want {
		t.Errorf("the files have %q", got)
	}
	say(t, l, "web", p.Stdout, "the tenth line\n")
	hasFile(t, file, "the tenth line\n")
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o604 {
		t.Errorf("the new file has the mode %v, %v", fi.Mode(), err)
	}
	for _, f := range allFiles(t, file) {
		if fi, err := os.Stat(f); err != nil || fi.Size() > 20 && !strings.HasPrefix(textOf(t, f), "seven") {
			t.Errorf("%s is larger than a file may be: %q", f, textOf(t, f))
		}
	}
	l.Configure("web", Options{File: file, FileMax: 20, FileKeep: 1})
	say(t, l, "web", p.Stdout, "the eleventh line\n")
	hasFile(t, file, "the eleventh line\n")
	if got, want := names(t, file), "web.txt web.txt.1"; got != want {
		t.Errorf("there are %s, want %s", got, want)
	}
}

func TestFileIsRotatedByAge(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.txt")
	if err := os.WriteFile(file, []byte("of another time\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(file, long, long); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l, _ := open(t, dir)
	o := Options{File: file, FileAge: time.Hour}
	l.Configure("web", o)
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "new\n")
	hasFile(t, file, "new\n")
	hasFile(t, file+".1", "of another time\n")
	// The age is known to the next server, whatever was written in between.
	l.Flush(t.Context())
	l.Close()
	rec, ok := readRecord(t, dir)
	if !ok || time.Since(time.UnixMilli(rec.born)) > time.Minute {
		t.Fatalf("the record is %+v, %t", rec, ok)
	}
	rec.born = long.UnixMilli()
	if err := os.WriteFile(filepath.Join(dir, "web.pos"), rec.encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ = open(t, dir)
	l.Configure("web", o)
	p = start(t, l, "web", 2)
	say(t, l, "web", p.Stdout, "newer\n")
	hasFile(t, file, "newer\n")
	hasFile(t, file+".1", "new\n")
}

func readRecord(t *testing.T, dir string) (record, bool) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "web.pos"))
	if err != nil {
		t.Fatal(err)
	}
	return decodeRecord(b)
}

func TestLinkIsNotRotatedAndThatIsSaidOnce(t *testing.T) {
	dir := t.TempDir()
	link, file := filepath.Join(dir, "link"), filepath.Join(dir, "file")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, "")
	l.Configure("web", Options{File: link, FileMax: 5})
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "one\ntwo\nthree\nfour\n")
	l.Flush(t.Context())
	say(t, l, "web", p.Stdout, "five\n")
	l.Flush(t.Context())
	hasFile(t, file, "one\ntwo\nthree\nfour\n[zinit: log file "+link+": it is a symbolic link: it cannot be rotated and grows on]\nfive\n")
}

func TestFileMovedAwayByOthersIsNotRotated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.txt")
	l, _ := open(t, "")
	l.Configure("web", Options{File: file, FileMax: 8, FileKeep: 3})
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "one\ntwo\n")
	hasFile(t, file, "one\ntwo\n")
	if err := os.Rename(file, file+".moved"); err != nil {
		t.Fatal(err)
	}
	say(t, l, "web", p.Stdout, "three\n")
	hasFile(t, file, "three\n")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	say(t, l, "web", p.Stdout, "four\n")
	hasFile(t, file, "four\n")
	if got, want := names(t, file), "web.txt web.txt.moved"; !strings.HasSuffix(got, want) {
		t.Errorf("there are %s, want %s", got, want)
	}
}

func TestOldFilesAreCompressed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.txt")
	l, _ := open(t, "")
	l.Configure("web", Options{File: file, FileMax: 1000, FileKeep: 100, Compress: true})
	p := start(t, l, "web", 1)
	var want strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&want, "line %d\n", n)
	}
	say(t, l, "web", p.Stdout, want.String())
	l.Flush(t.Context())
	allPressed(t, file)
	if files := allFiles(t, file); len(files) <= 5 {
		t.Errorf("there are only %q", files)
	}
	if got := allText(t, file); got != want.String() {
		t.Errorf("the files have %d bytes, want %d", len(got), want.Len())
	}
}

// A mortal disk lets the server die before the last of so many changes, a write half
// done.
type mortal struct {
	mu   sync.Mutex
	left int // guarded by mu
}

var errDead = errors.New("dead")

func (m *mortal) step() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left--; m.left < 0 {
		return errDead
	}
	return nil
}

func (m *mortal) died() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left < 0
}

func (m *mortal) open(path string, flags int, mode os.FileMode) (*os.File, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	return osDisk{}.open(path, flags, mode)
}

func (m *mortal) write(f *os.File, b []byte) (int, error) {
	if m.died() {
		return 0, errDead
	}
	if err := m.step(); err != nil {
		n, _ := f.Write(b[:len(b)/2])
		return n, err
	}
	return f.Write(b)
}

func (m *mortal) writeAt(f *os.File, b []byte, off int64) error {
	if err := m.step(); err != nil {
		return err
	}
	return osDisk{}.writeAt(f, b, off)
}

func (m *mortal) rename(from, to string) error {
	if err := m.step(); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (m *mortal) remove(path string) error {
	if err := m.step(); err != nil {
		return err
	}
	return os.Remove(path)
}

// The server dies before each change that it makes to a file system, one after the
// other: in the end the files have every line once.
func TestDeathAtAnyStepOfARotationLosesAndDoublesNothing(t *testing.T) {
	for _, compress := range []bool{false, true} {
		t.Run(fmt.Sprintf("compress %t", compress), func(t *testing.T) {
			t.Parallel()
			steps := 0
			for dies := true; dies; steps++ {
				dies = diesAt(t, steps, compress)
				if t.Failed() {
					t.Fatalf("it died before change %d", steps+1)
				}
			}
			if steps < 50 {
				t.Errorf("there were %d steps only", steps)
			}
		})
	}
}

func diesAt(t *testing.T, step int, compress bool) (died bool) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "web.txt")
	disk := &mortal{left: step}
	o := Options{File: file, FileMax: 100, FileKeep: 50, Compress: compress}
	var want strings.Builder
	say := func(l *Logs, from, to int) {
		l.mu.Lock()
		st := l.serviceLocked("web").store
		l.mu.Unlock()
		var b strings.Builder
		for n := from; n < to; n++ {
			fmt.Fprintf(&b, "number %d\n", n)
		}
		want.WriteString(b.String())
		st.Add(Syslog, strings.TrimSuffix(b.String(), "\n"))
		l.Flush(t.Context())
	}
	l, err := Open(dir, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	l.disk = disk
	l.Configure("web", o)
	l.Flush(t.Context())
	for n := 0; n < 4 && !disk.died(); n++ { // the dead take nothing in
		say(l, 20*n, 20*n+20)
	}
	l.Close()
	died = disk.died()
	if l, err = Open(dir, func(string) {}); err != nil {
		t.Fatal(err)
	}
	l.Configure("web", o)
	if step%2 == 0 { // or nothing more comes
		say(l, 80, 100)
	}
	l.Flush(t.Context())
	if compress {
		allPressed(t, file)
	}
	l.Close()
	var got strings.Builder
	for line := range strings.Lines(allText(t, file)) {
		if !strings.HasPrefix(line, "[zinit: log file ") { // what the dead server says
			got.WriteString(line)
		}
	}
	if got.String() != want.String() {
		t.Errorf("%s: the files have\n%s", names(t, file), got.String())
	}
	return died
}

// The server is killed again and again while a service logs at full speed into a
// file that is rotated and compressed all the time.
func TestKilledServerLosesNoLineOfRotatedFiles(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "web.txt")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	wrote := 0
	var writer sync.WaitGroup
	stop := make(chan struct{})
	writer.Go(func() {
		defer w.Close()
		wrote = writeNumbers(w, 0, stop)
	})
	for range 40 {
		cmd := command(t, "rotate-child", dir, file)
		cmd.ExtraFiles = []*os.File{r}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Duration(10_000+rand.IntN(40_000)) * time.Microsecond)
		cmd.Process.Kill()
		cmd.Wait()
	}
	close(stop)
	l, released := open(t, dir)
	l.Configure("web", rotated(file))
	l.Adopt("web", 1, 1, dup(t, r))
	writer.Wait()
	eventually(t, "the stream ended", func() bool { return released.String() == "out/web/1/1" })
	l.Flush(t.Context())
	<-l.services["web"].sink.press.stop()
	next := 0
	for line := range strings.Lines(allText(t, file)) {
		if want := fmt.Sprintf("0 %d xxxxxxxxxx\n", next); line != want {
			t.Fatalf("%q, want %q", line, want)
		}
		next++
	}
	if next != wrote {
		t.Errorf("the files have %d lines, written were %d", next, wrote)
	}
	t.Logf("%d lines in %d files", wrote, len(allFiles(t, file)))
}

func rotated(file string) Options {
	return Options{BufferLines: 1 << 16, BufferBytes: 256 << 10, File: file, FileMax: 100_000, FileKeep: 1000, Compress: true}
}

func rotateChild(dir, file string) {
	l, err := Open(dir, func(string) {})
	if err != nil {
		panic(err)
	}
	l.Configure("web", rotated(file))
	l.Adopt("web", 1, 1, os.NewFile(3, "pipe"))
	select {}
}
