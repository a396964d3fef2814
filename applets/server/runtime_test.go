package server

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"zinit/applets/env"
	"zinit/applets/logline"
	"zinit/reap"
	"zinit/sock"
)

// keptLog is a log that a test reads.
func keptLog() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return logline.New(&b, "trace", false), &b
}

// home is a short directory: the path of a socket has no room for t.TempDir.
func home(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "srv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestThePlaceIsPrivateAndLocked(t *testing.T) {
	socket := filepath.Join(home(t), "deep", "er", "z.sock")
	log, said := keptLog()
	p, err := openPlace(socket, false)
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSuffix(socket, ".sock")
	if p.dir != dir || p.logDir() != filepath.Join(dir, "logs") {
		t.Errorf("it is at %s, its logs at %s", p.dir, p.logDir())
	}
	for name, want := range map[string]os.FileMode{"": 0o711 | os.ModeDir, "lock": 0o600} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode() != want {
			t.Errorf("%q has mode %v, want %v", name, st.Mode(), want)
		}
	}
	// The collector must not think that nobody needs the lock.
	runtime.GC()
	runtime.GC()
	if _, err := openPlace(socket, false); err == nil || err.Error() != dir+" is in use by another zinit server: stop it, or name another socket with --socket" {
		t.Errorf("a second server is told: %v", err)
	}
	p.close()
	p.close()
	again, err := openPlace(socket, false)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	again.warn(nil, log)
	again.close()
	if said.Len() > 0 {
		t.Errorf("it says %s", said)
	}
}

// What is deleted of a place under a server is made again, and is locked.
func TestALostPlaceIsMadeAgain(t *testing.T) {
	for name, lose := range map[string]func(dir string) error{
		"nothing": func(string) error { return nil },
		"lock":    func(dir string) error { return os.Remove(lockPath(dir)) },
		"all":     os.RemoveAll,
		"moved":   func(dir string) error { return os.Rename(dir, dir+".old") },
	} {
		socket := filepath.Join(home(t), "z.sock")
		dir := strings.TrimSuffix(socket, ".sock")
		p, err := openPlace(socket, false)
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		if err := errors.Join(os.Mkdir(p.logDir(), 0o700), lose(dir)); err != nil {
			t.Fatal(err)
		}
		if remade, err := p.restore(); err != nil || remade != (name != "nothing") {
			t.Errorf("%s lost: made again %v, %v", name, remade, err)
		}
		if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o711 {
			t.Errorf("%s lost: %v, %v", name, st, err)
		}
		if _, err := openPlace(socket, true); err == nil {
			t.Errorf("%s lost: a second server may use it", name)
		}
	}
}

// A keeper's next server takes what the last one used, whatever is left of it.
func TestAKnownPlaceIsTakenOverWithoutItsLock(t *testing.T) {
	socket := filepath.Join(home(t), "z.sock")
	dir := strings.TrimSuffix(socket, ".sock")
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o711); err != nil {
		t.Fatal(err)
	}
	for _, known := range []bool{false, true} {
		p, err := openPlace(socket, known)
		if err != nil {
			t.Fatal(err)
		}
		if p.close(); (p.dir != "") != known {
			t.Errorf("known %v: it is at %q", known, p.dir)
		}
	}
}

func TestAPlaceFromBeforeIsTakenOver(t *testing.T) {
	socket := filepath.Join(home(t), "z.sock")
	dir := strings.TrimSuffix(socket, ".sock")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	p, err := openPlace(socket, false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o711 {
		t.Errorf("it is open to others: %v, %v", st.Mode(), err)
	}
}

// Where nothing can be written the logs are in memory, and one warning says so.
func TestWithoutAPlaceOneWarningSaysSo(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir string) error
		why  string
	}{
		{"a link", func(t *testing.T, dir string) error { return os.Symlink(t.TempDir(), dir) }, "is not a directory of ours: remove it"},
		{"a link to nowhere", func(t *testing.T, dir string) error { return os.Symlink("/nowhere/at/all", dir) }, "is not a directory of ours: remove it"},
		{"a file", func(_ *testing.T, dir string) error { return os.WriteFile(dir, nil, 0o600) }, "is not a directory of ours: remove it"},
		{"the parent is a file", func(_ *testing.T, dir string) error {
			return errors.Join(os.Remove(filepath.Dir(dir)), os.WriteFile(filepath.Dir(dir), nil, 0o600))
		}, "cannot make " /* the parent or the directory */},
		{"a link where the lock is", func(t *testing.T, dir string) error {
			return errors.Join(os.Mkdir(dir, 0o711), os.Symlink(filepath.Join(t.TempDir(), "other"), filepath.Join(dir, "lock")))
		}, "was not made by a zinit server: move it away"},
		{"a directory where the lock is", func(_ *testing.T, dir string) error {
			return os.MkdirAll(filepath.Join(dir, "lock"), 0o711)
		}, "was not made by a zinit server: move it away"},
		{"the lock of something else", func(_ *testing.T, dir string) error {
			return errors.Join(os.Mkdir(dir, 0o711), os.WriteFile(filepath.Join(dir, "lock"), []byte("812\n"), 0o600))
		}, "was not made by a zinit server: move it away"},
		{"others may write to the parent", func(_ *testing.T, dir string) error {
			return os.Chmod(filepath.Dir(dir), 0o777)
		}, "everybody may replace what is in "},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := filepath.Join(home(t), "p")
			if err := os.Mkdir(parent, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := c.make(t, filepath.Join(parent, "z")); err != nil {
				t.Fatal(err)
			}
			inMemory(t, filepath.Join(parent, "z.sock"), c.why)
		})
	}
}

// A directory may have the name of the socket by chance.
func TestADirectoryWithOtherContentsIsLeftAsItIs(t *testing.T) {
	socket := filepath.Join(home(t), "z.sock")
	dir := strings.TrimSuffix(socket, ".sock")
	if err := errors.Join(os.Mkdir(dir, 0o750), os.WriteFile(filepath.Join(dir, "letter"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	inMemory(t, socket, dir+" was not made by a zinit server: move it away, or name another socket with --socket")
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("it is open to others: %v, %v", st.Mode(), err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("it holds %v, %v", list, err)
	}
}

// Without a directory of its own a user's server is below /tmp, where somebody
// else may have made the directory before.
func TestTheParentIsNotAnotherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a directory away")
	}
	parent := filepath.Join(home(t), "p")
	if err := errors.Join(os.Mkdir(parent, 0o755), os.Chown(parent, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	inMemory(t, filepath.Join(parent, "z.sock"), parent+" belongs to user 12345, who could replace what is in it: name a socket elsewhere with --socket")
	if list, err := os.ReadDir(parent); err != nil || len(list) != 0 {
		t.Errorf("it holds %v, %v", list, err)
	}
}

func TestASharedParentMayBeSticky(t *testing.T) {
	parent := filepath.Join(home(t), "p")
	if err := errors.Join(os.Mkdir(parent, 0o755), os.Chmod(parent, 0o777|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	p, err := openPlace(filepath.Join(parent, "z.sock"), false)
	if err != nil || p.dir == "" {
		t.Fatalf("%v, %v", p, err)
	}
	p.close()
}

func TestOnlyUnderProcess1ServicesRunWithoutASocket(t *testing.T) {
	readOnly := fmt.Errorf("cannot open lock file: %w", syscall.EROFS)
	for _, c := range []struct {
		name  string
		flags env.ServerFlags
		err   error
		want  bool
	}{
		{"process 1", env.ServerFlags{Pid1Mode: true}, readOnly, true},
		{"a container", env.ServerFlags{Container: true}, readOnly, true},
		{"standalone", env.ServerFlags{}, readOnly, false},
		{"no right to write", env.ServerFlags{Container: true}, syscall.EACCES, true},
		{"nor to make a directory", env.ServerFlags{Container: true}, syscall.ENOENT, true},
		{"nor a node", env.ServerFlags{Container: true}, syscall.EPERM, true},
		{"somebody answers", env.ServerFlags{Container: true}, errors.New("another zinit server answers"), false},
	} {
		if got := mayGoUnserved(c.flags, c.err); got != c.want && os.Getppid() != 1 {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestAPlaceOfAnotherUserIsNotUsed(t *testing.T) {
	socket := "/usr.sock" // /usr is root's
	if os.Geteuid() == 0 {
		socket = filepath.Join(home(t), "z.sock")
		dir := strings.TrimSuffix(socket, ".sock")
		if err := errors.Join(os.Mkdir(dir, 0o777), os.Chown(dir, 12345, 12345)); err != nil {
			t.Fatal(err)
		}
	}
	inMemory(t, socket, "is not a directory of ours: remove it")
}

func TestWithoutAWritableParent(t *testing.T) {
	// No user, not even root, may make anything there.
	inMemory(t, "/proc/zinit-test/z.sock", "cannot make /proc/zinit-test")
}

// inMemory checks that there is no place, and that one warning says why.
func inMemory(t *testing.T, socket, why string) {
	t.Helper()
	log, said := keptLog()
	p, err := openPlace(socket, false)
	if err != nil {
		t.Fatal(err)
	}
	p.warn(nil, log)
	if p.dir != "" || p.logDir() != "" {
		t.Errorf("it is at %q", p.dir)
	}
	text := said.String()
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, " warn  no runtime directory: logs are kept in memory") || !strings.Contains(text, why) {
		t.Errorf("it says %q, want one warning because of %q", text, why)
	}
	store, err := openLogs(p.logDir(), func(string) {}, log)
	if err != nil {
		t.Fatal(err)
	}
	store.Append("web", "kept")
	if lines, err := store.Tail("web", 10); err != nil || len(lines) != 1 {
		t.Errorf("the log has %v, %v", lines, err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	p.close()
}

func TestLogsThatHaveNoDirectoryAreInMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log, said := keptLog()
	store, err := openLogs(dir, func(string) {}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if text := said.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "logs are kept in memory") || !strings.Contains(text, "not a directory") {
		t.Errorf("it says %q", text)
	}
}

func TestAKeptSocketIsTakenOver(t *testing.T) {
	path := filepath.Join(home(t), "z.sock")
	first, err := sock.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := first.File()
	if err != nil {
		t.Fatal(err)
	}
	early, err := net.Dial("unix", path) // while no server is there
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	first.Close()
	ln, id, err := listen(path, map[string]*os.File{"listen/3/4": f, "out/web/1/1": nil}, nil)
	if err != nil || id != (sock.ID{Dev: 3, Ino: 4}) {
		t.Fatal(id, err)
	}
	defer ln.Close()
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the copy of the keeper's is left open: %v", err)
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := early.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	b := make([]byte, 1)
	if _, err := c.Read(b); err != nil {
		t.Errorf("the connection of before is not served: %v", err)
	}
	c.Close()
	ln.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("closing it removed the file of the one that the keeper holds: %v", err)
	}
}

func TestAKeptDescriptorThatIsNoSocketIsRefused(t *testing.T) {
	for name, open := range map[string]func() (*os.File, error){
		"a file": func() (*os.File, error) { return os.Open(os.DevNull) },
		"tcp": func() (*os.File, error) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			defer l.Close()
			return l.(*net.TCPListener).File()
		},
	} {
		f, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if ln, _, err := listen("/z.sock", map[string]*os.File{"listen/1/2": f}, nil); err == nil || !strings.HasPrefix(err.Error(), "cannot take over the socket /z.sock: ") {
			t.Errorf("%s: %v, %v", name, ln, err)
		}
	}
}

// A new socket is the keeper's as well as ours.
func TestANewSocketIsHandedToTheKeeper(t *testing.T) {
	path := filepath.Join(home(t), "z.sock")
	var held *os.File
	var heldAs string
	ln, id, err := listen(path, nil, keep(func(name string, f *os.File) error {
		heldAs = name
		fd, err := syscall.Dup(int(f.Fd()))
		held = os.NewFile(uintptr(fd), name)
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	again, same, err := listen(path, map[string]*os.File{heldAs: held}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := sock.Identify(path); err != nil || id != now || same != now {
		t.Errorf("its file is %v, then %v, in truth %v, %v", id, same, now, err)
	}
	defer again.Close()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the socket is gone with the server: %v", err)
	}
	c.Close()
	_, _, err = listen(path, nil, keep(nil))
	if err == nil || !strings.Contains(err.Error(), "another zinit server answers on "+path) {
		t.Errorf("a second server is told: %v", err)
	}
	_, _, err = listen(filepath.Join(home(t), "y.sock"), nil, keep(func(string, *os.File) error { return syscall.EMFILE }))
	if !errors.Is(err, syscall.EMFILE) || !strings.HasPrefix(err.Error(), "cannot hand over the socket ") {
		t.Errorf("a keeper that takes nothing: %v", err)
	}
}

// keep is the part of a keeper that holds descriptors.
type keep func(name string, f *os.File) error

func (k keep) Keep(name string, f *os.File) error { return k(name, f) }

var _ holder = (*reap.Client)(nil)
