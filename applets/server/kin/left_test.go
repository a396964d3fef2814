package kin

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/proc"
)

func TestTheMainProcessIsFound(t *testing.T) {
	master, workers := []relative{{pid: 20, parent: 1}}, []relative{{pid: 30, parent: 20}, {pid: 20, parent: 1}, {pid: 31, parent: 20}}
	for _, tc := range []struct {
		name string
		file string // its text; empty: there is none, "-": the service has no pid_file
		left []relative
		err  error // of the listing
		want string
	}{
		{"by its file", "20\n", workers, nil, "20"},
		{"by its file, a worker", " 31", workers, nil, "31"},
		{"without a file, alone", "-", master, nil, "20 perhaps"},
		{"without a file, with its workers", "-", workers, nil, "20 perhaps"},
		{"a file that is not there yet", "", workers, nil, "20 perhaps"},
		{"a file of an earlier run", "999", workers, nil, "20 perhaps: its pid file FILE names process 999, which is none of its processes: passed over, 20 is taken for the main one"},
		{"a file that is empty yet", "\n", master, nil, "20 perhaps"},
		{"nothing is left", "-", nil, nil, "it has no pid_file, and no process is left: one that stays in the foreground is of type simple"},
		{"nothing is left of what the file names", "999", nil, nil, "its pid file FILE names process 999, which is none of its processes, and no process is left: one that stays in the foreground is of type simple"},
		{"two that have nothing to do with each other", "-", []relative{{pid: 20, parent: 1}, {pid: 21, parent: 1}}, nil, "it has no pid_file, and it may be any of 20, 21"},
		{"a listing that fails, with a file", "20", nil, errors.New("no /proc"), "20"},
		{"a listing that fails, without", "-", nil, errors.New("no /proc"), "it has no pid_file, and its processes cannot be listed: no /proc"},
		{"not a number", "twenty", nil, nil, "its pid file FILE holds no pid, and no process is left: one that stays in the foreground is of type simple"},
		{"process 1", "1", nil, nil, "its pid file FILE holds no pid, and no process is left: one that stays in the foreground is of type simple"},
		{"an endless file", strings.Repeat("1", 200), nil, nil, "its pid file FILE holds no pid, and no process is left: one that stays in the foreground is of type simple"},
	} {
		file := filepath.Join(t.TempDir(), "x.pid")
		s := &config.Service{Name: "x", PidFile: file}
		switch tc.file {
		case "-":
			s.PidFile = ""
		case "":
		default:
			if err := os.WriteFile(file, []byte(tc.file), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		found := make(chan string)
		finder := Finder{left: func(string, int) ([]relative, error) { return tc.left, tc.err }}
		finder.Find(s, 1, 10, func(string) {}, func(f supervise.Found, err error) {
			if err != nil {
				found <- strings.ReplaceAll(err.Error(), file, "FILE")
				return
			}
			text := fmt.Sprint(f.Pid) + map[bool]string{true: " perhaps"}[f.Guessed]
			if f.Odd != "" {
				text += ": " + strings.ReplaceAll(f.Odd, file, "FILE")
			}
			found <- text
		})
		if got := <-found; got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// TestAPidFileThatIsNone holds up nobody.
func TestAPidFileThatIsNone(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{fifo, dir, filepath.Join(dir, "missing")} {
		if pid, err := readPid(name); err == nil {
			t.Errorf("%s holds the pid %d", name, pid)
		}
	}
}

// Several are left, and which one it is shows only when the file comes.
func TestAPidFileIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pid")
	if err := os.WriteFile(path, []byte("999"), 0o644); err != nil { // of an earlier life
		t.Fatal(err)
	}
	looked := make(chan struct{}, 16)
	f := Finder{wait: time.Minute, left: func(string, int) ([]relative, error) {
		looked <- struct{}{}
		return []relative{{20, 1}, {21, 1}}, nil
	}}
	answer, notes := make(chan supervise.Found, 1), make(chan string, 16)
	f.Find(&config.Service{PidFile: path}, 1, 10, func(text string) { notes <- text }, func(found supervise.Found, err error) { answer <- found })
	<-looked
	want := fmt.Sprintf("its pid file %s names process 999, which is none of its processes, and it may be any of 20, 21", path)
	if got := <-notes; got != want {
		t.Errorf("meanwhile it says %q, not %q", got, want)
	}
	if err := os.WriteFile(path+".new", []byte("21"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if got := <-answer; got != (supervise.Found{Pid: 21}) {
		t.Errorf("found %+v, want 21", got)
	}
}

// leaves starts a process that lives until the end of the test.
func leaves(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip("there is no cat:", err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() }) // it ends with its input
	return cmd.Process.Pid
}

func TestWhoIsLeftOfARun(t *testing.T) {
	one, other := leaves(t), leaves(t)
	self, err := (proc.FS{}).Read(os.Getpid())
	if err != nil {
		t.Skip("needs /proc:", err)
	}
	for _, c := range []struct {
		name    string
		members []int // of the cgroup; nil: there is none
		known   []int
		want    string
	}{
		{"in its cgroup", []int{one, 12345678}, nil, fmt.Sprint([]int{one})},
		{"nobody in its cgroup", []int{12345678}, nil, "[]"},
		{"both in its cgroup", []int{other, one}, nil, fmt.Sprint([]int{one, other})},
		{"without a cgroup, whom nobody knows", nil, []int{other}, fmt.Sprint([]int{one})},
		{"all are known", nil, []int{one, other}, "[]"},
	} {
		k := kinship{
			Family: Family{Keeper: os.Getpid(), Group: func(string) ([]int, bool) { return c.members, c.members != nil }},
			known:  func(pid int) bool { return slices.Contains(c.known, pid) },
		}
		list, err := k.left("web", 12345678)
		if err != nil {
			t.Fatal(err)
		}
		var pids []int
		for _, r := range list {
			if r.parent != os.Getpid() {
				t.Errorf("%s: %d is the child of %d", c.name, r.pid, r.parent)
			}
			if r.pid == one || r.pid == other || c.members != nil {
				pids = append(pids, r.pid)
			}
		}
		slices.Sort(pids)
		if got := fmt.Sprint(pids); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	// Its last process has forked and ended between the one look and the other.
	looks := 0
	hasty := kinship{Family: Family{Keeper: os.Getpid(), Group: func(string) ([]int, bool) {
		if looks++; looks == 1 {
			return []int{12345678}, true
		}
		return []int{one}, true
	}}}
	if list, err := hasty.left("web", 12345678); err != nil || len(list) != 1 || list[0].pid != one {
		t.Errorf("of one that forked meanwhile: %v, %v", list, err)
	}
	k := kinship{Family: Family{Keeper: -1, Group: func(string) ([]int, bool) { return nil, false }}, known: func(int) bool { return false }}
	list, err := k.left("web", self.Session)
	if err != nil || !slices.ContainsFunc(list, func(r relative) bool { return r.pid == self.Pid }) {
		t.Errorf("of the session: %v, %v", list, err)
	}
}
