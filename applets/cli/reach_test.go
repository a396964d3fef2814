package cli

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zinit/applets/env"
)

func TestNoServer(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &stage{env: map[string]string{"HOME": dir}, hide: []string{dir, "$HOME"}}
	s.run("ping", "--socket", file)
	s.run("list", "-s", dir)
	s.run("-s", dir+"/none.sock", "shutdown")
	s.run("-s", dir+"/none.sock", "start", "a", "b")
	s.env["ZINIT_SOCKET"] = dir + "/other.sock"
	s.run("wait", "a")
	s.compare(t, "no-server")
}

func TestASocketOfAnotherUser(t *testing.T) {
	e := &noServer{tried: []string{"/run/zinit.sock: permission denied"}, denied: "/run/zinit.sock", start: "zinit-server"}
	want := "no zinit server answers\n  looked at /run/zinit.sock: permission denied\nBe root, or of the group of /run/zinit.sock, to use that one"
	if e.Error() != want {
		t.Error(e)
	}
}

func TestNoServerNamesEveryPlace(t *testing.T) {
	if _, err := os.Stat(env.DefaultSocket); err == nil {
		return // this machine may have a server of its own
	}
	dir := t.TempDir()
	s := &stage{env: map[string]string{"HOME": dir, "XDG_RUNTIME_DIR": dir + "/run"}, hide: []string{dir, "$HOME"}}
	s.run("list")
	s.compare(t, "no-server-anywhere")
}

func TestTheFirstSocketThatAcceptsIsUsed(t *testing.T) {
	f := newFake(t, world())
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, "hero/var"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(f.path, filepath.Join(home, "hero/var/zinit.sock")); err != nil {
		t.Fatal(err)
	}
	s := &stage{env: map[string]string{"HOME": home, "XDG_RUNTIME_DIR": home}}
	if _, err := os.Stat(env.DefaultSocket); err == nil {
		s.env["ZINIT_SOCKET"] = f.path // a server of the machine's own would answer first
	}
	if code := s.run("ping"); code != env.ExitDone {
		t.Fatal(s.script.String())
	}
}

// A verb that may wait also waits for a server that is about to start; the others
// say at once that there is none.
func TestWhoMayWaitWaitsForTheServerToo(t *testing.T) {
	for _, line := range []string{"wait web --timeout 20s", "start web --wait --timeout 20s", "ping --timeout 20s", "ping --json --timeout 20s"} {
		t.Run(line, func(t *testing.T) {
			f := newFake(t, world())
			away := f.path + ".away"
			if err := os.Rename(f.path, away); err != nil {
				t.Fatal(err)
			}
			back := make(chan error, 1)
			time.AfterFunc(3*connectAgain, func() { back <- os.Rename(away, f.path) })
			s := &stage{env: map[string]string{"ZINIT_SOCKET": f.path}}
			if code := s.run(strings.Fields(line)...); code != env.ExitDone {
				t.Error(s.script.String())
			}
			if err := <-back; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheWaitForAServerEnds(t *testing.T) {
	s := &stage{env: map[string]string{"ZINIT_SOCKET": filepath.Join(t.TempDir(), "none.sock")}}
	for _, line := range []string{"ping --timeout 120ms", "wait web --timeout 120ms", "stop web --wait --timeout 120ms", "ping", "wait web"} {
		if code := s.run(strings.Fields(line)...); code != env.ExitNoServer {
			t.Errorf("%s: exit code %d", line, code)
		}
	}
}

func TestShutdownReturnsWhenTheServerHasGone(t *testing.T) {
	f := newFake(t, world())
	s := &stage{env: map[string]string{}, hide: []string{f.path, "$SOCKET"}}
	s.run("shutdown", "-s", f.path)
	select {
	case <-f.gone:
	case <-time.After(time.Minute):
		t.Fatal("the server is still there")
	}
	s.run("ping", "-s", f.path)
	s.compare(t, "shutdown")
}

// The keeper may hold the socket longer than the server lives, or start another
// server that ends the shutdown: connections end, and others can still be made.
func TestTheEndOfOneConnectionIsNotTheEnd(t *testing.T) {
	dir, err := os.MkdirTemp("", "cli")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "z.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 1)
	go func() {
		turns := 0
		defer func() { ended <- turns }()
		defer listener.Close()
		for ; turns < 3; turns++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	witness, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	awaitEnd(path, witness)
	if turns := <-ended; turns != 3 {
		t.Errorf("it was over after %d of 3 connections", turns)
	}
}
