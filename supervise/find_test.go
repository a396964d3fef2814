package supervise

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"zinit/supervise/config"
)

func TestTheMainProcessIsFound(t *testing.T) {
	master, workers := []Relative{{Pid: 20, Parent: 1}}, []Relative{{Pid: 30, Parent: 20}, {Pid: 20, Parent: 1}, {Pid: 31, Parent: 20}}
	for _, tc := range []struct {
		name string
		file string // its text; empty: there is none, "-": the service has no pid_file
		left []Relative
		err  error // of the listing
		want string
	}{
		{"by its file", "20\n", workers, nil, "20"},
		{"by its file, a worker", " 31", workers, nil, "31"},
		{"without a file, alone", "-", master, nil, "20"},
		{"without a file, with its workers", "-", workers, nil, "20"},
		{"a file that is not there yet", "", workers, nil, "20"},
		{"a file of an earlier run", "999", workers, nil, "20"},
		{"a file that is empty yet", "\n", master, nil, "20"},
		{"nothing is left", "-", nil, nil, "it has no pid_file, and no process is left"},
		{"nothing is left of what the file names", "999", nil, nil, "its pid file names none of its processes, and no process is left"},
		{"two that have nothing to do with each other", "-", []Relative{{Pid: 20, Parent: 1}, {Pid: 21, Parent: 1}}, nil, "it has no pid_file, and it may be any of 20, 21"},
		{"a listing that fails, with a file", "20", nil, errors.New("no /proc"), "20"},
		{"a listing that fails, without", "-", nil, errors.New("no /proc"), "it has no pid_file, and its processes cannot be listed: no /proc"},
		{"not a number", "twenty", nil, nil, "its pid file FILE holds no pid, and no process is left"},
		{"process 1", "1", nil, nil, "its pid file FILE holds no pid, and no process is left"},
		{"an endless file", strings.Repeat("1", 200), nil, nil, "its pid file FILE holds no pid, and no process is left"},
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
		finder := PidFiles{Left: func(string, uint64, int) ([]Relative, error) { return tc.left, tc.err }}
		finder.Find(s, 1, 10, func(pid int, err error) {
			if err != nil {
				found <- strings.ReplaceAll(err.Error(), file, "FILE")
				return
			}
			found <- fmt.Sprint(pid)
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
