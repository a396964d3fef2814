package main_test

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// countTo is how many lines count writes.
const countTo = 300_000

// count writes numbered lines as fast as it can, and last words without a newline.
func count() int {
	out := bufio.NewWriterSize(os.Stdout, 3000)
	for n := range countTo {
		fmt.Fprintf(out, "%d abcdefghijklmnopqrstuvwxyz\n", n)
	}
	out.WriteString("last words")
	if out.Flush() != nil {
		return 1
	}
	return 0
}

// tick writes a numbered line every few milliseconds.
func tick() int {
	for n := 0; ; n++ {
		<-time.After(5 * time.Millisecond)
		if _, err := fmt.Printf("tick %d\n", n); err != nil {
			return 1
		}
	}
}

// logFiles is what is in a log file and the old ones, the oldest first.
func logFiles(t *testing.T, path string) (text string, files int) {
	t.Helper()
	var all []string
	for n := 1; ; n++ {
		name := path + "." + strconv.Itoa(n)
		packed, err := os.Open(name + ".gz")
		if err == nil {
			z, err := gzip.NewReader(packed)
			var b []byte
			if err == nil {
				b, err = io.ReadAll(z)
			}
			packed.Close()
			if err != nil {
				t.Fatalf("%s.gz: %v", name, err)
			}
			all = append(all, string(b))
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			break
		}
		all = append(all, string(b))
	}
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var whole strings.Builder
	for i := len(all) - 1; i >= 0; i-- {
		whole.WriteString(all[i])
	}
	whole.Write(b)
	return whole.String(), len(all) + 1
}

// Faults 22 and 24 with files that are rotated and compressed, while the server is
// killed again and again.
func TestFaults22And24RotatedFilesHaveEveryLineOfAServiceWhoseServerIsKilled(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	path := filepath.Join(in.dir, "count.txt")
	in.write("count", file("count", childExec(t, "count"), "oneshot = true", "[logging]",
		fmt.Sprintf("file = %q", path), `file_max = "256K"`, "file_keep = 1000", "compress = true", `buffer_bytes = "256K"`))
	in.launch()
	for range 5 {
		server := in.serverPID()
		in.until("some lines more", func() (string, bool) {
			info, err := os.Stat(path)
			return fmt.Sprint(err), err == nil && info.Size() > 0
		})
		if err := syscall.Kill(server, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		in.another(server)
	}
	in.waitState("count", "exited")
	in.until("the last words", func() (string, bool) {
		text, err := os.ReadFile(path)
		return fmt.Sprint(err, string(text[max(0, len(text)-200):])), strings.HasSuffix(string(text), "last words\n")
	})
	in.until("the last compression", func() (string, bool) {
		all, err := filepath.Glob(path + ".*")
		plain := slices.DeleteFunc(all, func(f string) bool { return strings.HasSuffix(f, ".gz") })
		return fmt.Sprint(plain, err), err == nil && len(plain) == 0
	})
	text, files := logFiles(t, path) // nothing moves any more
	n, at := 0, 0
	for line := range strings.Lines(strings.TrimSuffix(text, "last words\n")) {
		if want := fmt.Sprintf("%d abcdefghijklmnopqrstuvwxyz\n", n); line != want {
			t.Fatalf("there is %q, want %q, in %q", line, want, text[max(0, at-200):min(len(text), at+200)])
		}
		n++
		at += len(line)
	}
	if n != countTo || files < 30 {
		t.Errorf("there are %d lines in %d files", n, files)
	}
}

// Fault 5: the disk of a log file is full for a while.
func TestFault5AFullDiskOfTheLogFileHoldsUpNobody(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	dir := filepath.Join(in.dir, "full")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	in.write("tick", file("tick", childExec(t, "tick"), "[logging]", fmt.Sprintf("file = %q", filepath.Join(dir, "tick.txt")), "buffer_bytes = 65536"))
	in.confine("tmpfs:" + dir)
	in.launch()
	in.waitState("tick", "running")
	makeRoom := in.fill(dir)
	in.until("that lines are dropped", func() (string, bool) {
		log := in.must("logs", "tick", "-n", "1000")
		return log, strings.Contains(log, "no space left on device: lines are dropped until it can be written")
	})
	before := in.must("logs", "tick", "-n", "1")
	in.until("that it goes on", func() (string, bool) {
		now := in.must("logs", "tick", "-n", "1")
		return now, now != before
	})
	makeRoom()
	lost := regexp.MustCompile(`(?m)^\[zinit: \d+ bytes lost\]\n(\[zinit: .*\]\n)*tick \d+\n`)
	in.until("that lines are written again", func() (string, bool) {
		text, _ := logFiles(t, in.inside(dir, "tick.txt"))
		return text[max(0, strings.Index(text, "[zinit:")-100):], lost.MatchString(text)
	})
}

// What goes where, in one server.
func TestLogsGoWhereTheirServicesSay(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{
		"loud":  file("loud", "sh -c 'echo out; echo err >&2; sleep 100000'", "[logging]", `log = ["stdout"]`),
		"quiet": file("quiet", "sh -c 'echo dropped; sleep 100000'", "[logging]", `log = ["none"]`),
		"flood": file("flood", "sh -c 'seq 1 5000; sleep 100000'", "[logging]", "rate = 100"),
	}, "--pid1-mode")
	socket := filepath.Join(in.dir, "log")
	in.env = append(in.env, "ZINIT_SYSLOG="+socket)
	in.launch()
	in.waitState("loud quiet flood", "running")
	in.until("lines on stdout", func() (string, bool) {
		return in.log.String(), in.log.contains("loud | out") && in.log.contains("loud | err")
	})
	if log := in.must("logs", "quiet"); strings.Contains(log, "dropped") || !strings.Contains(log, "is not kept") {
		t.Errorf("the log that is not kept is %q", log)
	}
	in.until("that lines were dropped", func() (string, bool) {
		log := in.must("logs", "flood", "-n", "1000")
		return log, strings.Contains(log, "4900 lines dropped until ") && strings.Contains(log, "[stdout] 100\n") && !strings.Contains(log, "[stdout] 101\n")
	})
	send := func(text string) {
		c, err := net.Dial("unixgram", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	send("<30>Jan  2 15:04:05 loud[12]: by syslog")
	server := in.serverPID()
	if err := syscall.Kill(server, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	send("<30>1 - - cron 7 - - while there was no server")
	in.until("what was sent", func() (string, bool) {
		log, code := in.zinit("logs", "--stream", "syslog")
		return log, code == 0 && strings.Contains(log, "loud    | ") && strings.Contains(log, " [syslog] by syslog\n") &&
			strings.Contains(log, "@syslog | ") && strings.Contains(log, " [syslog] cron[7]: while there was no server\n")
	})
	if log := in.must("logs", "--grep", "^(out|by|100)", "--stream", "stdout"); strings.Count(log, "\n") != 2 {
		t.Errorf("what was asked for is %q", log)
	}
	in.shutdown()
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// All services at once, also one that comes later, over a restart of the server.
func TestAllLogsAreFollowedAtOnce(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{"one": file("one", "sh -c 'echo first; sleep 100000'")})
	in.waitState("one", "running")
	cmd := exec.Command(filepath.Join(binDir(t), "zinit"), "--socket", in.socket, "logs", "-f")
	cmd.Env = in.env
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	defer cmd.Wait()
	defer cmd.Process.Kill()
	shown := newRecord(r)
	in.until("the first line", func() (string, bool) { return shown.String(), shown.contains("one | ", "[stdout] first") })
	in.write("two", file("two", "sh -c 'echo second; sleep 100000'"))
	in.must("reload")
	in.until("the second line", func() (string, bool) { return shown.String(), shown.contains("two | ", "[stdout] second") })
	if err := syscall.Kill(in.serverPID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	in.until("a server", func() (string, bool) {
		_, code := in.zinit("restart", "two")
		return "", code == 0
	})
	in.until("the second line again", func() (string, bool) {
		return shown.String(), strings.Count(shown.String(), "[stdout] second") == 2
	})
	if got := strings.Count(shown.String(), "[stdout] first"); got != 1 {
		t.Errorf("the first line is shown %d times", got)
	}
}

// TestTheExamplesOfTheDocumentationOfLogsRun: each table in a service, and the commands
// about two of them. Only the path of the file is another one.
func TestTheExamplesOfTheDocumentationOfLogsRun(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	in := newInstance(t, nil)
	// What each of them is to show: lines that it writes, and where something of it is.
	shown := map[string]struct {
		exec  string
		where func() string
		want  string
	}{
		"web":   {"sh -c 'echo refused >&2; exec sleep 100000'", func() string { return in.text("web.log") }, "refused\n"},
		"db":    {"sh -c 'echo checkpoint; exec sleep 100000'", func() string { return in.log.String() }, "db | checkpoint"},
		"flood": {"sh -c 'seq 1 3000; exec sleep 100000'", func() string { return in.must("logs", "flood") }, "lines dropped until "},
	}
	names, examples := []string{"web", "db", "flood"}, 0
	for _, part := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		if examples == len(names) {
			t.Fatal("there are more examples: have them run here")
		}
		name := names[examples]
		examples++
		in.write(name, file(name, shown[name].exec)+strings.Replace(part[1], "/var/log/", in.dir+"/", 1))
	}
	if out := in.must("check", in.config); examples != len(names) || !strings.Contains(out, " 0 errors, 0 warnings") {
		t.Fatalf("%d examples: %s", examples, out)
	}
	in.launch()
	in.waitState(strings.Join(names, " "), "running")
	for name, s := range shown {
		in.until("what "+name+" writes", func() (string, bool) { got := s.where(); return got, strings.Contains(got, s.want) })
	}
	commands := regexp.MustCompile(`(?m)^    zinit (logs.*?)(?: +#.*)?$`).FindAllStringSubmatch(string(text), -1)
	if len(commands) < 3 {
		t.Errorf("there are only %d commands", len(commands))
	}
	for _, c := range commands {
		// One that follows does not end; what it takes is taken without that too.
		words := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(c[1], " -f", ""), "'", ""))
		// The last lines of all are those of the one that writes most.
		if out := in.must(words...); !strings.Contains(out, "refused") && len(words) > 1 || out == "" {
			t.Errorf("zinit %s: %s", c[1], out)
		}
	}
}
