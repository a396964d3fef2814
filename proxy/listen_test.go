package proxy

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"zinit/proxy/address"
)

func unixAt(path string) address.Address { return address.Address{Network: address.Unix, Path: path} }

func TestFault36WhatIsNoSocketOfOursIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	file, folder, link := filepath.Join(dir, "file"), filepath.Join(dir, "dir"), filepath.Join(dir, "link")
	for _, err := range []error{os.WriteFile(file, []byte("precious"), 0o600), os.Mkdir(folder, 0o700), os.Symlink(file, link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	live, err := net.Listen("unix", filepath.Join(dir, "live"))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	for _, c := range []struct {
		at   address.Address
		want string
	}{
		{unixAt(file), "there is something that is no socket"},
		{unixAt(folder), "there is something that is no socket"},
		{unixAt(link), "there is something that is no socket"},
		{unixAt(live.Addr().String()), "somebody listens there: stop that"},
		{unixAt(filepath.Join(file, "below")), "not a directory"},
		{address.Address{Network: "tcp", Host: "127.0.0.1", Port: uint16(port.Addr().(*net.TCPAddr).Port)}, "it is in use: stop who listens there"},
		{address.Address{Network: "tcp", Host: "192.0.2.1", Port: 1}, "it is no address of this machine"},
		{address.Address{Network: "udp", Port: 1}, "it is no stream"},
		{address.Address{Network: "unix", Path: filepath.Join(dir, "owned"), User: "nobody"}, "numbers here, not \"nobody\""},
	} {
		l, err := Listen(c.at, nil)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "cannot listen on "+c.at.Network+":") {
			t.Errorf("%s: %v, want %q", c.at, err, c.want)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file is now %q, %v", text, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "owned")); err == nil {
		t.Error("what could not be given its owner is left behind")
	}
}

func TestASocketFileHasItsModeAndIsReplacedWhenItIsStale(t *testing.T) {
	at := unixAt(filepath.Join(t.TempDir(), "made", "s"))
	at.Mode = 0o606
	old, err := Listen(at, nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Lstat(at.Path)
	if err != nil || st.Mode() != fs.ModeSocket|0o606 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	old.Close() // as by a kill: its file stays
	next, err := Listen(at, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	// While it is open its number is nobody else's.
	if err := os.Remove(at.Path); err != nil {
		t.Fatal(err)
	}
	other, err := Listen(at, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := next.Remove(); err == nil || !strings.Contains(err.Error(), "is another file by now") {
		t.Errorf("removed what is another's: %v", err)
	}
	next = other
	if err := next.Remove(); err != nil {
		t.Error(err)
	}
	if err := next.Remove(); err != nil {
		t.Errorf("gone already: %v", err)
	}
}

// TestACopyLeavesTheSocketAsItIs: one that blocks could not be closed under an accept.
func TestACopyLeavesTheSocketAsItIs(t *testing.T) {
	l, err := Listen(unixAt(filepath.Join(t.TempDir(), "s")), nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	other, err := Adopt(f, l.Address, l.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Listener{l, other} {
		flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Fatalf("flags %#x, %v", flags, err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := l.conn.Accept()
			ended <- err
		}()
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}

func TestAbstractSocketsHaveNoFile(t *testing.T) {
	at := address.Address{Network: address.Unix, Path: "@zinit-test-" + filepath.Base(t.TempDir())}
	l, err := Listen(at, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", at.Path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := l.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := Listen(at, nil); err == nil || !strings.Contains(err.Error(), "it is in use") {
		t.Errorf("listened twice: %v", err)
	}
}

func TestKeepAliveIsForThoseWhoCanBeCutOff(t *testing.T) {
	for host, want := range map[string]int{"127.0.0.1": 0, "localhost": 0, "0.0.0.0": 1, "": 1} {
		l, err := Listen(address.Address{Network: address.TCP, Host: host}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, port, err := net.SplitHostPort(l.Endpoint())
		if err != nil {
			t.Fatal(err)
		}
		client, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			t.Fatal(err)
		}
		served, err := l.conn.Accept()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := served.(stream).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Control(func(fd uintptr) {
			alive, aliveErr := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			prompt, promptErr := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY)
			if alive != want || prompt != 1 || aliveErr != nil || promptErr != nil {
				t.Errorf("%q: keep-alive %d, no delay %d, %v, %v", host, alive, prompt, aliveErr, promptErr)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		served.Close()
		client.Close()
		l.Close()
	}
}
