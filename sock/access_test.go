//go:build linux

package sock

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// accessTable has a method for each kind of access, and a stream.
func accessTable() Table {
	return append(sample(1), events(make(chan struct{}, 9), make(chan error, 9))...)
}

// serveAsChild is the test binary as a server of another user: it serves until
// its input ends.
func serveAsChild(path string) {
	l, err := Listen(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	s := NewServer(accessTable(), Options{})
	go s.Serve(l)
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	s.Shutdown(context.Background())
}

// useAsChild is the test binary as a client of another user: it tells what it may
// do.
func useAsChild(path string) {
	ctx := context.Background()
	c, err := Dial(ctx, path)
	if err != nil {
		fmt.Print(verdict(err))
		return
	}
	_, read := c.Ping(ctx)
	change := c.Start(ctx, "service-000", StartOptions{})
	var stream error
	for _, stream = range c.Events(ctx, EventsParams{}) {
		break
	}
	fmt.Print("read ", verdict(read), ", change ", verdict(change), ", stream ", verdict(stream))
}

func verdict(err error) string {
	var e *Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e):
		return e.Word()
	case errors.Is(err, syscall.EACCES):
		return "permission denied"
	}
	return err.Error()
}

// common is a directory that everybody can reach, with the test binary in it.
func common(t *testing.T) (dir, binary string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become other users")
	}
	dir, err := os.MkdirTemp("", "sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "child")
	if err := errors.Join(os.WriteFile(binary, text, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return dir, binary
}

// as prepares a command of another user.
func as(cred syscall.Credential, binary, variable, path string) *exec.Cmd {
	cmd := exec.Command(binary)
	cmd.Dir = "/"
	cmd.Env = []string{variable + "=" + path, "GORACE=atexit_sleep_ms=0"} // a race detector would wait a second
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &cred}
	return cmd
}

// Fault 39, and what those with rights may do: who else may use a server, by the
// user it runs as, and by the mode that its socket has come to.
func TestFault39WhoMayDoWhat(t *testing.T) {
	dir, binary := common(t)
	user := func(uid, gid uint32, groups ...uint32) syscall.Credential {
		return syscall.Credential{Uid: uid, Gid: gid, Groups: groups}
	}
	const (
		all    = "read ok, change ok, stream ok"
		none   = "read access_denied, change access_denied, stream access_denied"
		closed = "permission denied"
	)
	for _, server := range []struct {
		name  string
		cred  syscall.Credential
		group int // of the socket
	}{
		{"of root", user(0, 0), 4242},
		{"of a user", user(54321, 54321), 54321},
	} {
		t.Run(server.name, func(t *testing.T) {
			home := filepath.Join(dir, strings.ReplaceAll(server.name, " ", "-"))
			if err := errors.Join(os.Mkdir(home, 0o755), os.Chown(home, int(server.cred.Uid), int(server.cred.Gid))); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(home, "s")
			startAs(t, as(server.cred, binary, "SOCK_TEST_SERVE", path))
			if err := os.Chown(path, int(server.cred.Uid), server.group); err != nil {
				t.Fatal(err)
			}
			group := uint32(server.group)
			for _, tt := range []struct {
				name string
				cred syscall.Credential
				mode os.FileMode
				want string
			}{
				{"root", user(0, 999), 0o660, all},
				{"its user", server.cred, 0o660, all},
				{"its user in another group", user(server.cred.Uid, 999), 0o660, all},
				{"a member of the group", user(777, group), 0o660, all},
				{"a member of the group by the way", user(777, 777, 5, group), 0o660, all},
				{"a member of many groups", user(777, 777, append(many(100), group)...), 0o660, all},
				{"a stranger", user(777, 777, 5), 0o660, closed},
				{"a stranger, mode 0666", user(777, 777, 5), 0o666, none},
				{"nobody, mode 0777", user(65534, 65534), 0o777, none},
				{"a member of the group, mode 0600", user(777, group), 0o600, closed},
			} {
				if err := os.Chmod(path, tt.mode); err != nil {
					t.Fatal(err)
				}
				out, err := as(tt.cred, binary, "SOCK_TEST_USE", path).CombinedOutput()
				if err != nil || string(out) != tt.want {
					t.Errorf("%s: got %s, %v, want %s", tt.name, out, err, tt.want)
				}
			}
		})
	}
}

// many is so many groups that nobody shares.
func many(n uint32) (groups []uint32) {
	for i := range n {
		groups = append(groups, 100_000+i)
	}
	return groups
}

// startAs starts a server and ends it with the test.
func startAs(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the server says %q, %v", line, err)
	}
}
