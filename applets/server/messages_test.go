package server

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zinit/applets/env"
)

// A shelf is a keeper that only holds descriptors.
type shelf map[string]*os.File

func (s shelf) Keep(name string, f *os.File) error {
	fd, err := duplicate(f)
	if err != nil {
		return err
	}
	s[name] = fd
	return nil
}

func (s shelf) Release(name string) { delete(s, name) }

func duplicate(f *os.File) (*os.File, error) {
	c, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.(*net.UnixConn).File()
}

func send(t *testing.T, path, text string) {
	t.Helper()
	c, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hears(t *testing.T, c net.PacketConn, want string) {
	t.Helper()
	b := make([]byte, 100)
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := c.ReadFrom(b); err != nil || string(b[:n]) != want {
		t.Errorf("it hears %q, %v; want %q", b[:n], err, want)
	}
}

// What is sent while there is no server is read by the next one, and the file goes
// with the last.
func TestTheSocketOfTheSystemLogOutlivesTheServer(t *testing.T) {
	path := filepath.Join(home(t), "log")
	log, text := keptLog()
	keeper := shelf{}
	first := openMessages(path, nil, keeper, log)
	if first == nil {
		t.Fatal(text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	send(t, path, "one")
	hears(t, first.conn, "one")
	first.conn.Close() // the server is dead
	send(t, path, "two")
	second := openMessages(path, keeper, keeper, log)
	if second == nil || second.id != first.id {
		t.Fatal(text)
	}
	hears(t, second.conn, "two")
	second.end(log)
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left behind: %v", err)
	}
}

func TestALostSocketOfTheSystemLogIsMadeAgain(t *testing.T) {
	path := filepath.Join(home(t), "log")
	log, text := keptLog()
	keeper := shelf{}
	first := openMessages(path, nil, keeper, log)
	if first == nil {
		t.Fatal(text)
	}
	first.conn.Close()
	os.Remove(path)
	if second := openMessages(path, keeper, keeper, log); second == nil || len(keeper) != 1 {
		t.Fatal(text, len(keeper))
	} else {
		send(t, path, "one")
		hears(t, second.conn, "one")
		second.end(log)
	}
}

func TestOnlyAStaleSocketIsReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		is   func(path string) error
		want string // what is said; empty: it is replaced
	}{
		"nothing":      {func(string) error { return nil }, ""},
		"stale socket": {func(path string) error { return listenAndClose(path) }, ""},
		"in use": {func(path string) error {
			_, err := net.ListenPacket("unixgram", path)
			return err
		}, "is read by another program: stop it"},
		"a file":  {func(path string) error { return os.WriteFile(path, nil, 0o600) }, "is no socket"},
		"a link":  {func(path string) error { return os.Symlink("elsewhere", path) }, "is no socket"},
		"no room": {func(path string) error { return os.Remove(filepath.Dir(path)) }, "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(home(t), "d")
			mkdir(t, dir)
			path := filepath.Join(dir, "log")
			if err := c.is(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(path)
			log, said := keptLog()
			m := openMessages(path, nil, shelf{}, log)
			if c.want == "" {
				if m == nil || said.String() != "" {
					t.Fatalf("it says %q", said)
				}
				m.end(log)
				return
			}
			if after, _ := os.Lstat(path); before != nil && !os.SameFile(before, after) {
				t.Error("it was touched")
			}
			if m != nil || strings.Count(said.String(), "\n") != 1 || !strings.Contains(said.String(), c.want) {
				t.Errorf("it says %q, want %q", said, c.want)
			}
		})
	}
}

// listenAndClose leaves the file of a socket behind.
func listenAndClose(path string) error {
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	f, err := c.File()
	if err != nil {
		return err
	}
	other, err := net.FilePacketConn(f) // closing this one does not remove the file
	if err != nil {
		return err
	}
	f.Close()
	aside := path + ".aside"
	if err := os.Rename(path, aside); err != nil {
		return err
	}
	c.Close()
	other.Close()
	return os.Rename(aside, path)
}

func TestTheSystemLogIsReadUnderProcessOneOnly(t *testing.T) {
	off := func(name string) string { return map[string]string{syslogVar: "0"}[name] }
	none := func(string) string { return "" }
	for _, c := range []struct {
		parent int
		flags  env.ServerFlags
		getenv func(string) string
		want   bool
	}{
		{17, env.ServerFlags{}, none, false},
		{17, env.ServerFlags{Pid1Mode: true}, none, true},
		{17, env.ServerFlags{Pid1Mode: true}, off, false},
		{1, env.ServerFlags{}, none, true},
		{1, env.ServerFlags{}, off, false},
	} {
		if got := wantsMessages(c.parent, c.flags, c.getenv); got != c.want {
			t.Errorf("%+v: %t", c, got)
		}
	}
}
