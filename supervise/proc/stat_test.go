package proc

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// stat is a line as the kernel writes it.
func stat(pid int, name string, state byte, ppid int, start uint64) string {
	return fmt.Sprintf("%d (%s) %c %d 812 800 0 -1 4194560 2000 3000 1 2 150 50 7 8 20 -5 3 0 %d 99999999 321 18446744073709551615 1 1 0 0\n",
		pid, name, state, ppid, start)
}

func TestALineOfStat(t *testing.T) {
	for _, name := range []string{
		"nginx", "tmux: server", "((sd-pam))", ") R 1 1 1 (", "a) S 2 (b", "", " ", "(", ")", "(sh", "sh)",
		"two\nlines", "tab\there", "\xff\xfe", "кот", "kworker/u257:12-events_unbound-and-more",
	} {
		got, err := parseStat([]byte(stat(812, name, 'S', 800, 5000)))
		want := Process{
			Pid: 812, Ppid: 800, Group: 812, Session: 800, Name: name, State: 'S', Start: 5000,
			RSS: 321 * int64(os.Getpagesize()), CPU: 2 * time.Second, Threads: 3,
		}
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", name, got, err, want)
		}
	}
}

// A process whose session leader lives outside the pid namespace has session 0, too.
func TestThreadsOfTheKernelAreKnownByTheirFlag(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       bool
	}{
		{"a kernel thread", "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 0\n", true},
		{"a process of a container", "2 (sh) S 0 0 0 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 5 99999 321 0\n", false},
	} {
		if p, err := parseStat([]byte(c.line)); err != nil || p.Kernel != c.want || p.Session != 0 {
			t.Errorf("%s: %+v, %v", c.name, p, err)
		}
	}
}

func TestWhatIsNoStat(t *testing.T) {
	whole := stat(812, "sh", 'S', 800, 5000)
	short := whole[:strings.Index(whole, " 321 ")]
	for _, line := range []string{
		"", "812", "812 sh S 800", "812 (sh", "812 )sh( S 800", "(sh) S 1", short,
		strings.Replace(whole, "812 (", "x (", 1),
		strings.Replace(whole, "812 (", "0 (", 1),
		strings.Replace(whole, "812 (", "-812 (", 1),
		strings.Replace(whole, "812 (", "4294967296 (", 1),
		strings.Replace(whole, " S ", " SS ", 1),
		strings.Replace(whole, " 800 ", " 8x0 ", 1),
		strings.Replace(whole, " 800 ", " 99999999999 ", 1),
		strings.Replace(whole, " 5000 ", " 18446744073709551616 ", 1),
	} {
		if p, err := parseStat([]byte(line)); err == nil {
			t.Errorf("%q is %+v", line, p)
		}
	}
}

func TestUnits(t *testing.T) {
	if got := ticks(250); got != 2500*time.Millisecond {
		t.Errorf("250 ticks are %s", got)
	}
	if got := ticks(math.MaxUint64); got != math.MaxInt64 {
		t.Errorf("all ticks are %s", got)
	}
	if got := sum(ticks(math.MaxUint64), time.Second); got != math.MaxInt64 {
		t.Errorf("one second more than all is %s", got)
	}
	if got := pages(math.MaxUint64); got != 0 {
		t.Errorf("nonsense is %d bytes", got)
	}
	for _, c := range []struct {
		start     uint64
		cpu       time.Duration
		sinceBoot time.Duration
		want      float64
	}{
		{1000, 5 * time.Second, 20 * time.Second, 50},
		{1000, 40 * time.Second, 20 * time.Second, 400},
		{1000, 0, 20 * time.Second, 0},
		{1000, 20 * time.Millisecond, 10 * time.Second, 0},
		{1000, 20 * time.Millisecond, 5 * time.Second, 0},
	} {
		if got := percent(Process{Start: c.start, CPU: c.cpu}, c.sinceBoot); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestStateWords(t *testing.T) {
	for state, want := range map[byte]string{
		'R': "running", 'S': "sleeping", 'D': "disk sleep", 'Z': "zombie", 'T': "stopped", 't': "stopped", 'X': "dead", 'I': "unknown", 0: "unknown",
	} {
		if got := (Process{State: state}).StateWord(); got != want {
			t.Errorf("%c: %q, want %q", state, got, want)
		}
	}
}

// FuzzStat: any bytes are read or refused, and whatever a process calls itself
// changes no other field.
func FuzzStat(f *testing.F) {
	for _, name := range []string{"sh", ") R 1 1 1 (", "two\nlines", "1 (x) S 1"} {
		f.Add([]byte(name), []byte(stat(812, name, 'S', 800, 5000)))
	}
	f.Add([]byte(nil), []byte("1 (x) S 1 -1 99999999999999999999"))
	f.Fuzz(func(t *testing.T, name, line []byte) {
		if p, err := parseStat(line); err == nil {
			if p.Pid < 1 || p.Ppid < 0 || p.Group < 0 || p.Session < 0 || p.RSS < 0 || p.CPU < 0 || !bytes.Contains(line, []byte("("+p.Name+")")) {
				t.Errorf("%q: %+v", line, p)
			}
		}
		plain, err := parseStat([]byte(stat(812, "sh", 'S', 800, 5000)))
		if err != nil {
			t.Fatal(err)
		}
		plain.Name = string(name)
		if got, err := parseStat([]byte(stat(812, string(name), 'S', 800, 5000))); err != nil || got != plain {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	})
}
