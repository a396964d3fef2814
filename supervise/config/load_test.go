package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func serviceText(name string) string {
	return "[service]\nname = \"" + name + "\"\nexec = \"/bin/sleep 1000\"\n"
}

// names lists what a set loaded.
func names(s *Set) []string {
	var all []string
	for _, svc := range s.Services {
		all = append(all, svc.Name)
	}
	return all
}

// problemOf finds the only problem of one file.
func problemOf(t *testing.T, s *Set, file string) Problem {
	t.Helper()
	var found []Problem
	for _, p := range s.Problems {
		if filepath.Base(p.File) == file {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s: %v", file, found)
	}
	return found[0]
}

// Faults 30 and 35: whatever lies in the directory, the good files are loaded.
func TestOneBadEntryStopsNoOther(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	writeFile(t, at("b.toml"), serviceText("second"))
	writeFile(t, at("a.toml"), serviceText("first"))
	writeFile(t, at("broken.toml"), "[service")
	writeFile(t, at("escape.toml"), serviceText("../../etc/cron.d/x"))
	writeFile(t, at("large.toml"), strings.Repeat("# filler\n", 300000))
	writeFile(t, at("notes.txt"), "not a service")
	writeFile(t, at("upper.TOML"), serviceText("upper"))
	for _, err := range []error{
		os.Mkdir(at("folder.toml"), 0o755), os.Symlink("gone", at("dangling.toml")), os.Symlink("x@y.1:2", at(".#a.toml")),
		os.Symlink("loop.toml", at("loop.toml")), os.Symlink("/dev/zero", at("device.toml")), os.Symlink("a.toml.real", at("z.toml")),
		syscall.Mkfifo(at("pipe.toml"), 0o644), os.Mkdir(at("below"), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, at("a.toml.real"), serviceText("linked"))
	writeFile(t, at("elf.toml"), "\x7fELF\x02\x01\x00\x00")
	writeFile(t, at("below/c.toml"), serviceText("below"))
	l, err := net.Listen("unix", at("s.toml"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	set, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(set); !slices.Equal(got, []string{"first", "second", "linked"}) {
		t.Errorf("loaded %v", got)
	}
	for file, want := range map[string]string{
		"broken.toml": "is not a header", "escape.toml": "invalid characters", "large.toml": "larger than 1 MiB",
		"folder.toml": "is a directory and not a file", "dangling.toml": "is a link to gone, which does not exist",
		"loop.toml": "too many levels of symbolic links", "device.toml": "is a device and not a file", "elf.toml": "is no text: it holds 2 NUL characters",
		"pipe.toml": "is a named pipe and not a file", "s.toml": "is a socket and not a file",
	} {
		p := problemOf(t, set, file)
		if p.Severity != Error || !strings.Contains(p.Message, want) || p.Service != strings.TrimSuffix(file, ".toml") || p.File != at(file) {
			t.Errorf("%s: got %+v, want %q", file, p, want)
		}
	}
	if len(set.Problems) != 10 {
		t.Errorf("got %d problems: %v", len(set.Problems), set.Problems)
	}
}

func TestAnUnreadableFileIsAProblem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.toml")
	writeFile(t, path, serviceText("a"))
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		// Root reads every file; a thread that looks at files as somebody else does
		// not.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0); errno != 0 {
			t.Fatal(errno)
		}
		defer syscall.RawSyscall(syscall.SYS_SETFSUID, 0, 0, 0)
	}
	svc, problems := LoadFile(path)
	if svc != nil || len(problems) != 1 || !strings.Contains(problems[0].Message, "permission denied") {
		t.Errorf("got %v %v", svc, problems)
	}
}

func TestADirectoryThatCannotBeReadIsAnError(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	writeFile(t, file, "")
	for _, path := range []string{filepath.Join(dir, "none"), file} {
		set, err := LoadDir(path)
		if set != nil || err == nil || !strings.HasPrefix(err.Error(), "cannot read configuration directory "+path+": ") {
			t.Errorf("%s: got %v, %v", path, set, err)
		}
	}
	if set, err := LoadDir(dir); err != nil || len(set.Services)+len(set.Problems) != 0 {
		t.Errorf("empty directory: %v, %v", set, err)
	}
}

func TestServicesOfOneNameAreNotLoaded(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.toml"), serviceText("web"))
	writeFile(t, filepath.Join(dir, "b.toml"), "# a line more\n"+serviceText("web"))
	writeFile(t, filepath.Join(dir, "c.toml"), "[target]\nname = \"web\"\n")
	writeFile(t, filepath.Join(dir, "d.toml"), serviceText("db"))
	writeFile(t, filepath.Join(dir, "e.toml"), "[service]\nname = \"db\"\n") // broken: claims nothing
	set, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(set); !slices.Equal(got, []string{"db"}) {
		t.Errorf("loaded %v", got)
	}
	for file, want := range map[string]struct {
		line   int
		key    string
		others []string
	}{
		"a.toml": {2, "service.name", []string{"b.toml", "c.toml"}},
		"b.toml": {3, "service.name", []string{"a.toml", "c.toml"}},
		"c.toml": {2, "target.name", []string{"a.toml", "b.toml"}},
	} {
		p := problemOf(t, set, file)
		if p.Line != want.line || p.Key != want.key || p.Service != "web" || p.Severity != Error {
			t.Errorf("%s: got %+v", file, p)
		}
		for _, other := range want.others {
			if !strings.Contains(p.Message, filepath.Join(dir, other)) {
				t.Errorf("%s: %s does not name %s", file, p.Message, other)
			}
		}
	}
}

// Fault 29.
func TestAFileReplacedWhileItIsReadIsOldOrNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.toml")
	texts := []string{serviceText("old") + strings.Repeat("# old\n", 5000), serviceText("new") + strings.Repeat("# new!\n", 9000)}
	writeFile(t, path, texts[0])
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			aside := filepath.Join(dir, "aside")
			err := os.WriteFile(aside, []byte(texts[i%2]), 0o644)
			if err == nil {
				err = os.Rename(aside, path)
			}
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 300 {
		text, _, err := readFile(path)
		if err != nil || !slices.Contains(texts, string(text)) {
			t.Fatalf("read %d bytes, %v", len(text), err)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}

// justWritten reads a file that was written to less than a second before, also when
// that has been read.
func justWritten(t *testing.T, path string, read func()) {
	t.Helper()
	for {
		now := time.Now()
		if err := os.Chtimes(path, now, now); err != nil {
			t.Fatal(err)
		}
		if read(); time.Since(now) < time.Second {
			return
		}
	}
}

// A file that is written in its place is read when that is done. Half of one, which
// may well be valid, is never taken for the whole.
func TestAFileThatIsBeingWrittenIsNotReadInHalf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.toml")
	half := serviceText("half")
	writeFile(t, path, half)
	if text, _, err := readFile(path); err != nil || string(text) != half {
		t.Fatalf("read %q, %v", text, err)
	}
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	probe, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer probe.Close()
	if holdStill(probe) {
		t.Skip("this file system does not tell who writes")
	}
	var text []byte
	justWritten(t, path, func() { text, _, err = readFile(path) })
	if err != errBeingWritten {
		t.Errorf("while it is written: %q, %v", text, err)
	}
	var svc *Service
	var problems []Problem
	justWritten(t, path, func() { svc, problems = LoadFile(path) })
	if svc != nil || len(problems) != 1 || !strings.Contains(problems[0].String(), "reload when it is complete") {
		t.Errorf("while it is written: %v", problems)
	}
	whole := half + "# the rest\n"
	if _, err := w.WriteString("# the rest\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if text, _, err := readFile(path); err != nil || string(text) != whole {
		t.Errorf("when it was complete: %q, %v", text, err)
	}
	// Who has it open and has not written for long does not count.
	if w, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	long := time.Now().Add(-time.Minute)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	if text, _, err := readFile(path); err != nil || string(text) != whole {
		t.Errorf("read %q, %v", text, err)
	}
}

// realistic is the size of file that people write.
func realistic(name string) string {
	return `[service]
name = "` + name + `"
exec = "/usr/bin/app --listen 127.0.0.1:8080 --name '` + name + `'"
dir = "/var/lib/app"
env = { LANG = "C", MODE = "production" }

[dependencies]
requires = ["database", "network"] # must be up
after = ["logger"]

[lifecycle]
restart = "always"
restart_delay_ms = 1000
stop_timeout_ms = 10000

[health]
type = "tcp"
target = "127.0.0.1:8080"
interval_ms = 10000
`
}

func benchmarkLoadDir(b *testing.B, count int) {
	dir := b.TempDir()
	for i := range count {
		name := fmt.Sprintf("service-%05d", i)
		writeFile(b, filepath.Join(dir, name+".toml"), realistic(name))
	}
	b.ReportAllocs()
	for b.Loop() {
		set, err := LoadDir(dir)
		if err != nil || len(set.Services) != count {
			b.Fatal(err, len(set.Services), set.Problems)
		}
	}
}

func BenchmarkLoadDir1000(b *testing.B)  { benchmarkLoadDir(b, 1000) }
func BenchmarkLoadDir10000(b *testing.B) { benchmarkLoadDir(b, 10000) }

func BenchmarkParse(b *testing.B) {
	text := []byte(realistic("app"))
	b.ReportAllocs()
	for b.Loop() {
		if svc, problems := Parse("app.toml", text); svc == nil {
			b.Fatal(problems)
		}
	}
}

func BenchmarkGuard(b *testing.B) {
	text := []byte(realistic("app"))
	b.ReportAllocs()
	for b.Loop() {
		g, _ := newGuard(text)
		g.run()
	}
}

// The worst that the limits let through must stay bearable: it is decoded by the
// process that supervises everything else.
func BenchmarkParseWorst(b *testing.B) {
	head := serviceText("a")
	for _, c := range []struct{ name, text string }{
		{"values", head + "ports = [" + strings.Repeat("1 , ", maxValues-10) + "]"},
		{"keys", head + "[service.env]\n" + manyKeys(15000)},
		{"text", head + "[service.env]\nA = \"\"\"" + strings.Repeat(`\\x`, 300000) + "\"\"\""},
		{"comments", head + strings.Repeat("#\n", 500000)},
		{"blanks", head + strings.Repeat(" \n", 500000)},
		{"headers", head + manyHeaders(60000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Parse("a.toml", []byte(c.text))
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "VARIABLE_%d = \"some value of it\"\n", i)
	}
	return b.String()
}

func manyHeaders(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[x.y%d.z]\n", i)
	}
	return b.String()
}
