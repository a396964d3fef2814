package proxy

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zinit/proxy/address"
)

func hold(t *testing.T, text string) *Held {
	t.Helper()
	a, err := address.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Hold(a, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// TestWhatIsHeldWaitsForWhoGetsIt: whatever kind it is, who comes is noticed once,
// nothing is taken of what is there, and the copy waits like one of one's own.
func TestWhatIsHeldWaitsForWhoGetsIt(t *testing.T) {
	dir := t.TempDir()
	s, err := NewSentry()
	if err != nil {
		t.Fatal(err)
	}
	comes := func(network string) func(string) {
		return func(path string) {
			c, err := net.Dial(network, path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for network, come := range map[string]func(string){
		address.Unix: comes("unix"), address.Unixgram: comes("unixgram"),
		address.FIFO: func(path string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			if _, err := f.WriteString("x"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		path := filepath.Join(dir, network)
		h := hold(t, network+":"+path+",mode=0600")
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: its file is %v, %v", network, st, err)
		}
		came := make(chan string, 10)
		heed := func(word string) {
			if err := s.Heed(h, func() { came <- word }); err != nil {
				t.Fatal(network, err)
			}
		}
		heed("first")
		select {
		case <-came:
			t.Errorf("%s: somebody came before there was anybody", network)
		default:
		}
		heed("second")
		come(path)
		if got := heard(t, came); got != "second" {
			t.Errorf("%s: heard %s", network, got)
		}
		heed("third") // it is still there
		if got := heard(t, came); got != "third" {
			t.Errorf("%s: heard %s", network, got)
		}
		s.Forget(h)
		if len(came) > 0 {
			t.Errorf("%s: heard %s", network, <-came)
		}
		f, err := h.Copy()
		if err != nil {
			t.Fatal(network, err)
		}
		if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("%s: its copy does not wait: %#x, %v", network, flags, err)
		}
		f.Close()
		if err := h.Remove(); err != nil {
			t.Error(network, err)
		}
		if _, err := os.Lstat(path); (err == nil) != (network == address.FIFO) {
			t.Errorf("%s: its file: %v", network, err)
		}
	}
}

func heard(t *testing.T, came <-chan string) string {
	t.Helper()
	select {
	case word := <-came:
		return word
	case <-time.After(30 * time.Second):
		t.Fatal("nobody came")
		return ""
	}
}

func TestWhatCannotBeHeldIsRefusedWithTheReason(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken := hold(t, "udp:127.0.0.1:"+freeUDP(t))
	for text, want := range map[string]string{
		"unix:" + plain:          "there is something that is no socket",
		"unixgram:" + plain:      "there is something that is no socket",
		"fifo:" + plain:          "there is something that is no named pipe",
		taken.Address.String():   "it is in use",
		"tcp:192.0.2.1:9":        "it is no address of this machine",
		"unix:" + plain + "/a/b": "not a directory",
	} {
		a, err := address.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Hold(a, 0, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", text, err, want)
		}
	}
	if text, err := os.ReadFile(plain); string(text) != "text" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

// TestABacklogBoundsWhoWaits: with one, the third connection to a unix socket is put off.
func TestABacklogBoundsWhoWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	h, err := Hold(address.Address{Network: address.Unix, Path: path}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for i := range 3 {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		want := error(nil)
		if i == 2 {
			want = syscall.EAGAIN
		}
		if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}); err != want {
			t.Errorf("connection %d: %v, not %v", i+1, err, want)
		}
	}
}

func freeUDP(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, port, _ := net.SplitHostPort(c.LocalAddr().String())
	return port
}
