package logs

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// A screen is a stdout that can be blocked.
type screen struct {
	mu   sync.Mutex // held to block it
	text bytes.Buffer
	err  error
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	return s.text.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func shows(t *testing.T, s *screen, want string) {
	t.Helper()
	eventually(t, "it is shown", func() bool { return strings.HasSuffix(s.String(), want) })
	if got := s.String(); got != want {
		t.Errorf("stdout has %q, want %q", got, want)
	}
}

func TestStdoutShowsLinesBehindTheName(t *testing.T) {
	var s screen
	dir := t.TempDir()
	l, _ := open(t, dir)
	l.SetOutlets(Outlets{Stdout: &s})
	l.Append("web", "of earlier")
	o := Options{Stdout: true}
	l.Configure("web", o)
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "one\ntwo\x1b[1m\n")
	say(t, l, "web", p.Stderr, "three\n")
	l.Append("web", "a note")
	want := "web | one\nweb | two\x1b[1m\nweb | three\nweb | [zinit: a note]\n"
	shows(t, &s, want)
	l.Close()

	// The next server goes on where this one was.
	l, _ = open(t, dir)
	l.SetOutlets(Outlets{Stdout: &s})
	l.Append("web", "meanwhile")
	l.Configure("web", o)
	l.Flush(t.Context())
	if want += "web | [zinit: meanwhile]\n"; s.String() != want {
		t.Errorf("stdout has %q, want %q", s.String(), want)
	}
	l.Configure("web", Options{})
	eventually(t, "its place is forgotten", func() bool {
		_, err := os.Stat(filepath.Join(dir, "web.stdout-pos"))
		return os.IsNotExist(err)
	})
	l.Append("web", "not shown")
	l.Flush(t.Context())
	shows(t, &s, want)
}

func TestRemovedServiceIsShownToItsEndAndForgotten(t *testing.T) {
	var s screen
	dir := t.TempDir()
	l, _ := open(t, dir)
	l.SetOutlets(Outlets{Stdout: &s})
	for range 3 {
		l.Configure("web", Options{Stdout: true})
		s.mu.Lock() // it is behind
		s.text.Reset()
		for n := range 3 {
			l.Append("web", fmt.Sprint(n))
		}
		l.Remove("web")
		s.mu.Unlock()
		shows(t, &s, "web | [zinit: 0]\nweb | [zinit: 1]\nweb | [zinit: 2]\n")
		if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
			t.Errorf("there is %v left, %v", files, err)
		}
	}
}

func TestStderrCanHaveItsOwnWay(t *testing.T) {
	var out, errs screen
	l, _ := open(t, "")
	l.SetOutlets(Outlets{Stdout: &out, Stderr: &errs})
	l.Configure("web", Options{Stdout: true})
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "one\n")
	say(t, l, "web", p.Stderr, "two\n")
	l.Append("web", "a note")
	shows(t, &errs, "web | two\nweb | [zinit: a note]\n")
	say(t, l, "web", p.Stdout, "three\n")
	shows(t, &out, "web | one\nweb | three\n")
}

func TestTerminalGetsColoursAndNoControls(t *testing.T) {
	var s screen
	l, _ := open(t, "")
	l.SetOutlets(Outlets{Stdout: &s, Colour: true})
	l.Configure("web", Options{Stdout: true})
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "a\tü\x1b[2J\x00\xff\n")
	eventually(t, "it is shown", func() bool { return strings.HasSuffix(s.String(), "\n") })
	if got := s.String(); !regexp.MustCompile(`^\x1b\[3\dmweb \|\x1b\[0m a\tü\\x1b\[2J\\x00\\xff\n$`).MatchString(got) {
		t.Errorf("it shows %q", got)
	}
}

func TestBlockedStdoutHoldsUpNobodyAndLosesWhatIsReleased(t *testing.T) {
	var s screen
	l, _ := open(t, "")
	l.SetOutlets(Outlets{Stdout: &s})
	l.Configure("web", Options{Stdout: true, BufferBytes: 64 << 10})
	p := start(t, l, "web", 1)
	s.mu.Lock()
	p.Stdout.WriteString(strings.Repeat("a line of the flood\n", 100_000))
	say(t, l, "web", p.Stdout, "the last one\n")
	s.mu.Unlock()
	eventually(t, "it is shown", func() bool { return strings.HasSuffix(s.String(), "web | the last one\n") })
	if !regexp.MustCompile(`(?m)^web \| \[zinit: \d+ bytes lost\]$`).MatchString(s.String()) {
		t.Errorf("nothing is said to be lost")
	}
}

func TestRingGetsRecordsWithALevelAndNoMoreThanItTakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kmsg")
	l, _ := open(t, "")
	l.SetOutlets(Outlets{Ring: path})
	l.Configure("web", Options{Ring: true})
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "nobody is there\n")
	say(t, l, "web", p.Stdout, "nobody is there again\n")
	l.Flush(t.Context())
	if got := show(t, l, "web", 10); strings.Count(got, "log of the kernel: "+path+": no such file or directory: lines do not go there until that works") != 1 {
		t.Errorf("the log has %q", got)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := ringOutlet{service: "web", path: path, missing: shortfall{lines: 3}}
	long := strings.Repeat("ä", 500)
	lines := []Line{
		{Stream: Stdout, Text: []byte("out\x00")}, {Stream: Stderr, Text: []byte("err")},
		{Stream: Zinit, Text: []byte("own")}, {Stream: Stdout, Text: []byte(long)},
	}
	for n := range 20 {
		lines = append(lines, Line{Text: fmt.Append(nil, n)})
	}
	if problem := o.put(lines, 0); problem != "" {
		t.Error(problem)
	}
	o.from = o.from.Add(-time.Minute)
	o.put([]Line{{Text: []byte("later")}}, 5)
	if wait := o.owes(); wait != 0 {
		t.Errorf("it wants to say something in %v", wait)
	}
	o.missing.lines++
	if wait := o.owes(); wait <= 0 || wait > ringWindow+time.Second {
		t.Errorf("it wants to say something in %v", wait)
	}
	o.from = o.from.Add(-time.Minute)
	o.put(nil, 0)
	o.close()
	cutAt := (ringRecord - len("web") - len("<30>: \n")) / 2
	want := "<29>web: 3 lines dropped\n<30>web: out\\0\n<28>web: err\n<29>web: own\n" +
		"<30>web: " + strings.Repeat("ä", cutAt) + "\n<30>web: " + strings.Repeat("ä", 500-cutAt) + "\n" +
		"<30>web: 0\n<30>web: 1\n<30>web: 2\n" +
		"<29>web: 17 lines dropped, 5 bytes lost\n<30>web: later\n<29>web: 1 lines dropped\n"
	hasFile(t, path, want)
}

func TestSyslogGetsMessagesAndIsFoundAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	listen := func() net.PacketConn {
		os.Remove(path)
		c, err := net.ListenPacket("unixgram", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	l, _ := open(t, "")
	l.SetOutlets(Outlets{Syslog: path, MainPid: func(string) int { return 42 }})
	l.Configure("web", Options{Syslog: true})
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "nobody is there\n")
	l.Flush(t.Context())
	want := "system log: " + path + ": no such file or directory: lines do not go there until that works"
	if got := show(t, l, "web", 10); !strings.Contains(got, want) {
		t.Errorf("the log has %q", got)
	}
	hear := func(c net.PacketConn) string {
		b := make([]byte, 10_000)
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, _, err := c.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	c := listen()
	o := syslogOutlet{service: "web", path: path, pid: func(string) int { return 0 }, missing: shortfall{lines: 2}}
	at := time.Date(2026, 1, 31, 12, 30, 15, 7e6, time.UTC)
	o.put([]Line{{Stream: Stderr, Text: []byte("a line"), Time: at}}, 0)
	if got := hear(c); !regexp.MustCompile(`^<29>1 \S+ \S+ web - zinit - 2 lines dropped$`).MatchString(got) {
		t.Errorf("heard %q", got)
	}
	host, _ := os.Hostname()
	if got, want := hear(c), "<28>1 2026-01-31T12:30:15.007Z "+printASCII(host, 255)+" web - stderr - a line"; got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
	c.Close()
	c = listen() // the receiver is another one
	o.put([]Line{{Text: []byte("more")}}, 0)
	if got := hear(c); !strings.HasSuffix(got, " web - stdout - more") {
		t.Errorf("heard %q", got)
	}
	c.Close()
	os.Remove(path)
	for range 3 {
		o.put([]Line{{Text: []byte("dropped")}}, 0)
	}
	if o.missing.lines != 3 {
		t.Errorf("%d lines are counted", o.missing.lines)
	}
	own := syslogOutlet{own: true}
	if a, b := own.put([]Line{{}}, 0), own.put([]Line{{}}, 0); a == "" || b != "" {
		t.Errorf("says %q and %q", a, b)
	}
}

func TestServiceWithoutALogSaysSo(t *testing.T) {
	l, _ := open(t, "")
	l.Configure("web", Options{None: true})
	for run := range 3 {
		p, err := l.Pipes("web", uint64(run+1))
		if err != nil || p != (Pipes{}) {
			t.Fatalf("%+v, %v", p, err)
		}
		l.Start("web", uint64(run+1))
		l.Ended("web", uint64(run+1))
	}
	if got, want := show(t, l, "web", 10), "[zinit] "+noLog; got != want {
		t.Errorf("the log has %q, want %q", got, want)
	}
}

func TestSplitKeepsEveryByteAndCharacter(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("ä", 100), strings.Repeat("\x80", 100), strings.Repeat("x\U0001f600", 40)} {
		var all []byte
		for _, piece := range split([]byte(text), 17) {
			if len(piece) > 17 {
				t.Errorf("a piece has %d bytes", len(piece))
			}
			if strings.ToValidUTF8(text, "") == text && strings.ToValidUTF8(string(piece), "") != string(piece) {
				t.Errorf("%q is cut in a character: %q", text, piece)
			}
			all = append(all, piece...)
		}
		if string(all) != text {
			t.Errorf("%q became %q", text, all)
		}
	}
}
