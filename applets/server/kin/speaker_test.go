package kin

import (
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"zinit/supervise/notify"
	"zinit/supervise/proc"
)

func TestWhoMaySpeakForAService(t *testing.T) {
	self, err := (proc.FS{}).Read(os.Getpid())
	if err != nil {
		t.Skip("needs /proc:", err)
	}
	dead := unreaped(t)
	base := Speaker{
		Family: Family{Keeper: -1, Group: func(string) ([]int, bool) { return nil, false }},
		Main:   func(string) int { return 999999999 },
	}
	for _, c := range []struct {
		name string
		with func(*Speaker)
		n    notify.Notice
		want bool
	}{
		{"the main process", func(s *Speaker) { s.Main = func(string) int { return self.Pid } }, notify.Notice{Pid: self.Pid}, true},
		{"its child", func(s *Speaker) { s.Main = func(string) int { return self.Ppid } }, notify.Notice{Pid: self.Pid}, true},
		{"one of its session", func(s *Speaker) { s.Main = func(string) int { return self.Session } }, notify.Notice{Pid: self.Pid}, self.Session != 0},
		{"one of its cgroup", func(s *Speaker) { s.Group = func(string) ([]int, bool) { return []int{self.Pid}, true } }, notify.Notice{Pid: self.Pid}, true},
		{"its parent", func(s *Speaker) { s.Main = func(string) int { return self.Pid } }, notify.Notice{Pid: self.Ppid}, self.Ppid > 1},
		{"its parent, the keeper", func(s *Speaker) {
			s.Main, s.Keeper = func(string) int { return self.Pid }, self.Ppid
		}, notify.Notice{Pid: self.Ppid}, false},
		{"a stranger", func(*Speaker) {}, notify.Notice{Pid: self.Pid}, false},
		{"a child of the keeper, before anybody knows the main process", func(s *Speaker) {
			s.Main, s.Keeper = func(string) int { return 0 }, self.Ppid
		}, notify.Notice{Pid: self.Pid}, true},
		{"a stranger, before that", func(s *Speaker) { s.Main = func(string) int { return 0 } }, notify.Notice{Pid: self.Pid}, false},
		{"one that has ended, of the service's user", func(*Speaker) {}, notify.Notice{Pid: 999999998, UID: 77}, true},
		{"one that has ended, of root", func(*Speaker) {}, notify.Notice{Pid: 999999998}, true},
		{"one that has ended, of another user", func(*Speaker) {}, notify.Notice{Pid: 999999998, UID: 78}, false},
		{"one that is not reaped yet, of the service's user", func(*Speaker) {}, notify.Notice{Pid: dead, UID: 77}, true},
		{"one that is not reaped yet, of another user", func(*Speaker) {}, notify.Notice{Pid: dead, UID: 78}, false},
		{"over its own descriptor", func(*Speaker) {}, notify.Notice{FromFD: true}, true},
	} {
		sp := base
		c.with(&sp)
		if got := sp.Belongs("web", 77, c.n); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

// unreaped is a process that has ended and is not waited for before the test is over.
func unreaped(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(time.Minute); ; <-again.C {
		p, err := (proc.FS{}).Read(cmd.Process.Pid)
		switch {
		case err != nil:
			t.Fatal(err)
		case p.State == 'Z':
			return p.Pid
		case time.Now().After(late):
			t.Fatalf("it does not end: %+v", p)
		}
	}
}
