//go:build linux

package sock

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	for variable, run := range map[string]func(path string){
		"SOCK_TEST_CONNECT": connectAsChild, "SOCK_TEST_SERVE": serveAsChild, "SOCK_TEST_USE": useAsChild,
	} {
		if path := os.Getenv(variable); path != "" {
			run(path)
			return
		}
	}
	os.Exit(m.Run())
}

// connectAsChild is the test binary as another user: it shows what a server at
// path says to it.
func connectAsChild(path string) {
	c, err := net.Dial("unix", path)
	if err == nil {
		io.WriteString(c, ping) // a server that turns us away may be gone already
		var n int
		line := make([]byte, 4096)
		n, err = c.Read(line)
		fmt.Print(string(line[:n]))
	}
	if err != nil {
		fmt.Print(err)
	}
}

// Fault 36: nothing that is no socket is ever touched.
func TestFault36WhatIsNoSocketIsLeftAlone(t *testing.T) {
	for kind, put := range map[string]func(path string) error{
		"regular file": func(p string) error { return os.WriteFile(p, []byte("mine"), 0o600) },
		"directory":    func(p string) error { return os.Mkdir(p, 0o700) },
		"symbolic link to a file": func(p string) error {
			return errors.Join(os.WriteFile(p+".file", nil, 0o600), os.Symlink(p+".file", p))
		},
		"symbolic link to nothing": func(p string) error { return os.Symlink(p+".nothing", p) },
		"symbolic link to a stale socket": func(p string) error {
			l, err := Listen(p + ".socket")
			if err != nil {
				return err
			}
			return errors.Join(l.Close(), os.Symlink(p+".socket", p))
		},
		"something that is no socket": func(p string) error { return syscall.Mkfifo(p, 0o600) },
	} {
		t.Run(kind, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			l, err := Listen(path)
			if err == nil {
				l.Close()
				t.Fatal("it listens")
			}
			short, _, _ := strings.Cut(kind, " to ")
			if !strings.Contains(err.Error(), short) {
				t.Errorf("got %v", err)
			}
			after, err := os.Lstat(path)
			if err != nil || !os.SameFile(before, after) {
				t.Errorf("it was replaced: %v", err)
			}
		})
	}
}

// otherThings are ways to put something at a path, none of which is the socket of a server.
func otherThings() map[string]func(path string) error {
	return map[string]func(path string) error{
		"file":      func(p string) error { return os.WriteFile(p, []byte("mine"), 0o600) },
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"symlink":   func(p string) error { return os.Symlink(p+".nothing", p) },
		"socket": func(p string) error {
			l, err := Listen(p)
			if err != nil {
				return err
			}
			return l.Close()
		},
	}
}

// Fault 36: only the socket that is meant is removed.
func TestFault36OnlyTheSocketItselfIsRemoved(t *testing.T) {
	for kind, put := range otherThings() {
		t.Run(kind, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			l, err := Listen(path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			id, err := Identify(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Rename(path, path+".mine"), put(path)); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := Remove(path, id); err == nil || !strings.Contains(err.Error(), "it is left alone") {
				t.Errorf("got %v", err)
			}
			// As when it changes between the look and the move.
			aside := filepath.Join(t.TempDir(), "aside")
			if err := errors.Join(os.Rename(path, aside), removeAside(path, aside, id)); err == nil || !strings.Contains(err.Error(), "it changed meanwhile") {
				t.Errorf("got %v", err)
			}
			after, err := os.Lstat(path)
			if err != nil || !os.SameFile(before, after) {
				t.Fatalf("it was replaced: %v", err)
			}
			if err := Remove(path+".mine", id); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(path + ".mine"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket is still there: %v", err)
			}
		})
	}
}

// Nothing that came to path meanwhile is replaced by what is moved back.
func TestWhatIsMovedBackReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	path, aside := filepath.Join(dir, "s"), filepath.Join(dir, "aside")
	if err := errors.Join(os.WriteFile(path, []byte("new"), 0o600), os.WriteFile(aside, []byte("old"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := removeAside(path, aside, ID{}); err == nil || !strings.Contains(err.Error(), "what was there is now "+aside) {
		t.Errorf("got %v", err)
	}
	for name, want := range map[string]string{path: "new", aside: "old"} {
		if text, err := os.ReadFile(name); err != nil || string(text) != want {
			t.Errorf("%s holds %q, %v", name, text, err)
		}
	}
}

// Fault 37: a stale socket is reclaimed, a live one refused.
func TestFault37AStaleSocketIsReplacedALiveOneIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "dirs", "s")
	first, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Listen(path)
	if err == nil || !strings.Contains(err.Error(), "another zinit server answers on "+path) {
		t.Fatalf("got %v", err)
	}
	first.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the closed listener took its file along: %v", err)
	}
	second, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o660 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 2 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestOfServersThatStartAtOnceOneListens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	stale.Close()
	var wg sync.WaitGroup
	listeners := make([]*net.UnixListener, 20)
	for i := range listeners {
		wg.Go(func() { listeners[i], _ = Listen(path) })
	}
	wg.Wait()
	won := 0
	for _, l := range listeners {
		if l != nil {
			won++
			defer l.Close()
		}
	}
	if won != 1 {
		t.Errorf("%d listen", won)
	}
}

func TestALongPathIsRefusedInWords(t *testing.T) {
	_, err := Listen("/tmp/" + strings.Repeat("x", 103))
	if err == nil || !strings.Contains(err.Error(), "has 108 bytes, at most 107 fit") {
		t.Errorf("got %v", err)
	}
}

func TestAKeptSocketIsAdopted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	l.Close()
	waiting := talk(t, path) // while there is no server
	waiting.send(ping)
	for range 2 { // two servers, one after the other
		adopted, err := FromFile(kept)
		if err != nil {
			t.Fatal(err)
		}
		s := NewServer(sample(1), Options{})
		served := make(chan error, 1)
		go func() { served <- s.Serve(adopted) }()
		waiting.want(pong)
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		waiting = talk(t, path)
		waiting.send(ping)
	}
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := FromFile(file); err == nil {
		t.Error("adopted something that is no socket")
	}
}

func TestGrantFollowsUserAndGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	group := int(info.Sys().(*syscall.Stat_t).Gid)
	for _, tt := range []struct {
		name string
		path string
		peer Peer
		want Access
	}{
		{"root", path, Peer{UID: 0, GID: group + 1}, Change},
		{"own user", path, Peer{UID: os.Geteuid(), GID: group + 1}, Change},
		{"main group", path, Peer{UID: 54321, GID: group}, Change},
		{"supplementary group", path, Peer{UID: 54321, GID: group + 1, Groups: []int{7, group}}, Change},
		{"stranger", path, Peer{UID: 54321, GID: group + 1, Groups: []int{7}}, Nothing},
		{"socket file is gone", path + "x", Peer{UID: 54321, GID: group}, Nothing},
		{"no socket file", filepath.Dir(path), Peer{UID: 54321, GID: group}, Nothing},
	} {
		if got := Grant(tt.path, tt.peer); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Fault 39: peers without rights, as real users.
func TestFault39AStrangerIsTurnedAway(t *testing.T) {
	dir, child := common(t)
	path := filepath.Join(dir, "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	// The socket where anybody can reach it: the mode alone would let them in.
	err = errors.Join(os.Chmod(path, 0o777), os.Chown(path, 0, 4242))
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(sample(1), Options{})
	go s.Serve(l)
	defer s.Shutdown(t.Context())
	for _, tt := range []struct {
		name string
		cred syscall.Credential
		want string
	}{
		{"stranger", syscall.Credential{Uid: 54321, Gid: 54321}, `"message":"access denied: uid 54321 is neither root`},
		{"main group", syscall.Credential{Uid: 54321, Gid: 4242}, pong},
		{"supplementary group", syscall.Credential{Uid: 54321, Gid: 54321, Groups: []uint32{4242}}, pong},
		{"root in no group", syscall.Credential{Uid: 0, Gid: 54321}, pong},
	} {
		cmd := as(tt.cred, child, "SOCK_TEST_CONNECT", path)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: got %s, %v", tt.name, out, err)
		}
	}
}

// Fault 59: sockets that get the numbers of closed standard streams.
func TestFault59AConnectionMayHaveTheNumberOfAStandardStream(t *testing.T) {
	var saved [3]int
	for fd := range saved {
		var err error
		if saved[fd], err = syscall.Dup(fd); err != nil {
			t.Fatal(err)
		}
		syscall.CloseOnExec(saved[fd])
	}
	defer func() {
		for fd, copied := range saved {
			if err := errors.Join(syscall.Dup3(copied, fd, 0), syscall.Close(copied)); err != nil {
				t.Error(err)
			}
		}
	}()
	t.Run("closed", func(t *testing.T) { // its sockets are closed before the streams come back
		for fd := range saved {
			if err := syscall.Close(fd); err != nil {
				t.Fatal(err)
			}
		}
		_, path := start(t, sample(1), Options{})
		a, b := talk(t, path), talk(t, path)
		a.alive()
		b.alive()
		a.Close()
		b.alive()
	})
}
