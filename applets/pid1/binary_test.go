package pid1

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheFileAtThePathComesFirst(t *testing.T) {
	cases := []struct {
		name  string
		fails map[string]syscall.Errno
		tried string
		want  syscall.Errno
	}{
		{"it is there", nil, "path", 0},
		{"removed", map[string]syscall.Errno{"path": unix.ENOENT}, "path exe", 0},
		{"not executable", map[string]syscall.Errno{"path": unix.EACCES}, "path exe", 0},
		{"half written", map[string]syscall.Errno{"path": unix.ENOEXEC}, "path exe", 0},
		{"being written", map[string]syscall.Errno{"path": unix.ETXTBSY}, "path exe", 0},
		{"the kernel's link is of no use", map[string]syscall.Errno{"path": unix.ENOEXEC, "exe": unix.ENOENT}, "path exe fd", 0},
		{"nothing helps", map[string]syscall.Errno{"path": unix.EACCES, "exe": unix.ENOENT, "fd": unix.ENOENT}, "path exe fd", unix.EACCES},
		{"not for the file's sake", map[string]syscall.Errno{"path": unix.EAGAIN}, "path", unix.EAGAIN},
		{"not for the kept file's sake", map[string]syscall.Errno{"path": unix.ENOENT, "exe": unix.ENOMEM}, "path exe", unix.ENOMEM},
	}
	for _, c := range cases {
		b := &binary{path: "path", kept: []string{"exe", "fd"}}
		var tried, said []string
		pid, _, err := b.start(false, func(path string) (int, error) {
			tried = append(tried, path)
			if errno, ok := c.fails[path]; ok {
				return 0, fmt.Errorf("cannot start server %s: %w", path, errno)
			}
			return 7, nil
		}, func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
		if strings.Join(tried, " ") != c.tried {
			t.Errorf("%s: tried %v, want %s", c.name, tried, c.tried)
		}
		if c.want != 0 && !errors.Is(err, c.want) || c.want == 0 && (err != nil || pid != 7) {
			t.Errorf("%s: pid %d, %v", c.name, pid, err)
		}
		if told := len(said) > 0; told != (err == nil && len(tried) > 1) {
			t.Errorf("%s: said %q", c.name, said)
		}
	}
}

func TestTheBinaryIsKeptOpen(t *testing.T) {
	b := thisBinary()
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append([]string{b.path}, b.kept...) {
		if info, err := os.Stat(path); err != nil || !os.SameFile(info, self) {
			t.Errorf("%s: %v", path, err)
		}
	}
	fd, err := strconv.Atoi(filepath.Base(b.kept[len(b.kept)-1]))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor %d is handed to children: %d, %v", fd, flags, err)
	}
}

// copyBinary puts a copy of the test binary somewhere.
func copyBinary(t *testing.T, to string) {
	t.Helper()
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
}

// bereave enters a keeper of the binary at path, lets the change be made and
// kills the server.
func bereave(t *testing.T, path string, change func()) *play {
	t.Helper()
	copyBinary(t, path)
	p := enter(t, "good", func(cmd *exec.Cmd) { cmd.Path = path })
	first := p.await("server ")
	up(p)
	change()
	pid, _ := strconv.Atoi(strings.Fields(first)[0])
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAServerIsReplacedWhateverHappensToTheBinary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zinit")
	put := func(text string, mode os.FileMode) func() error {
		return func() error {
			if err := os.WriteFile(path+".new", []byte(text), mode); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}
	}
	for name, change := range map[string]func() error{
		"no such file or directory": func() error { return os.Remove(path) },
		"permission denied":         put("#!/bin/sh\n", 0o600),
		"exec format error":         put("half of it", 0o700),
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { os.Remove(path) })
			p := bereave(t, path, func() {
				if err := change(); err != nil {
					t.Fatal(err)
				}
			})
			p.awaitAll("zinit: cannot start server "+path+": "+name+": started from the file that the keeper itself runs", "ready")
			p.send(unix.SIGTERM)
			p.ends(0)
		})
	}
}

// The exec of the new binary hangs while somebody holds a lease on it, as it would
// on a file system that does not answer.
func TestAServerThatCannotBeExecutedDoesNotDelayAShutdown(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "zinit")
	copyBinary(t, path+".new")
	f, err := os.Open(path + ".new")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, unix.SIGIO) // the kernel's wish that we let go
	defer signal.Stop(asked)
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skipf("no leases here: %v", err)
	}
	p := bereave(t, path, func() {
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	})
	<-asked
	p.send(unix.SIGHUP) // as with any other server
	p.send(unix.SIGTERM)
	p.awaitAll("zinit: the server did not start in time: the keeper stops the services by itself", "b stops")
	p.send(unix.SIGINT) // and the next one kills, what hangs too
	p.ends(1)
	if slices.Contains(p.seen, "server got signal 1") {
		t.Error("a server came up after all")
	}
}
