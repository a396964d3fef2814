package notify

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

func text(s string) *string { return &s }

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Notice
	}{
		{"READY=1", Notice{Ready: true}},
		{"READY=1\nSTATUS=serving 3 of 4\nMAINPID=42\n", Notice{Ready: true, Status: text("serving 3 of 4"), MainPID: 42}},
		{"READY=0", Notice{}},
		{"STATUS=", Notice{Status: text("")}},
		{"STATUS=a=b", Notice{Status: text("a=b")}},
		{"STATUS=a\nSTATUS=b", Notice{Status: text("b")}},
		{"STATUS=\xff!", Notice{Status: text("\uFFFD!")}},
		{"RELOADING=1\nMONOTONIC_USEC=12", Notice{Reloading: true}},
		{"STOPPING=1", Notice{Stopping: true}},
		{"WATCHDOG=1", Notice{Alive: true}},
		{"WATCHDOG=trigger", Notice{Hurt: true}},
		{"WATCHDOG_USEC=2000000\nEXTEND_TIMEOUT_USEC=500", Notice{Watchdog: 2 * time.Second, Extend: 500 * time.Microsecond}},
		{"EXTEND_TIMEOUT_USEC=18446744073709551615", Notice{Extend: longest}},
		{"MAINPID=0\nWATCHDOG_USEC=-1\nEXTEND_TIMEOUT_USEC=x", Notice{}},
		{"MAINPID=-3", Notice{}},
		{"MAINPID=99999999999", Notice{}},
		{"", Notice{}},
		{"READY", Notice{}},
		{"ready=1\n READY=1", Notice{}},
		{"X_MINE=1\n\n=\nREADY=1", Notice{Ready: true}},
	} {
		got := Parse([]byte(c.in))
		if (got.Status == nil) != (c.want.Status == nil) || got.Status != nil && *got.Status != *c.want.Status {
			t.Errorf("Parse(%q): status differs", c.in)
		}
		got.Status, c.want.Status = nil, nil
		if got != c.want {
			t.Errorf("Parse(%q) = %+v, want %+v", c.in, got, c.want)
		}
	}
}

func TestAStatusIsBoundedAtARunesEnd(t *testing.T) {
	n := Parse([]byte("STATUS=" + strings.Repeat("ä", maxStatus)))
	if len(*n.Status) > maxStatus || !utf8.ValidString(*n.Status) {
		t.Errorf("kept %d bytes", len(*n.Status))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("READY=1\nSTATUS=x\nMAINPID=1\nWATCHDOG_USEC=5"))
	f.Fuzz(func(t *testing.T, in []byte) {
		n := Parse(in)
		if n.MainPID < 0 || n.Watchdog < 0 || n.Extend < 0 || n.Watchdog > longest || n.Extend > longest {
			t.Errorf("%+v", n)
		}
		if n.Status != nil && (len(*n.Status) > maxStatus || !utf8.ValidString(*n.Status)) {
			t.Errorf("status %q", *n.Status)
		}
	})
}

func listen(t *testing.T, dir string) *Socket {
	t.Helper()
	s, err := Listen(dir, "web", -1, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// drained is what has been sent by now.
func drained(s *Socket) (list []Notice, err error) {
	err = s.Drain(func(n Notice) { list = append(list, n) })
	return list, err
}

func say(t *testing.T, path, text string) {
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

func TestANoticeTellsItsSender(t *testing.T) {
	for _, dir := range []string{t.TempDir(), ""} {
		s := listen(t, dir)
		heard := make(chan Notice, 8)
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(func(n Notice) { heard <- n }) }()
		say(t, s.Path(), "READY=1")
		n := <-heard
		if n.Pid != os.Getpid() || int(n.UID) != os.Getuid() || int(n.GID) != os.Getgid() || !n.Ready || n.FromFD {
			t.Errorf("%q: heard %+v", dir, n)
		}
		s.Close()
		if err := <-ended; err != nil {
			t.Errorf("%q: Serve ended with %v", dir, err)
		}
	}
}

func TestWhatWasSentMeanwhileIsReadByTheNextServer(t *testing.T) {
	s := listen(t, t.TempDir())
	kept, err := unix.FcntlInt(s.File().Fd(), unix.F_DUPFD_CLOEXEC, 3) // the keeper's
	if err != nil {
		t.Fatal(err)
	}
	path := s.Path()
	s.Close()
	say(t, path, "STATUS=one")
	say(t, path, "STATUS=two")
	next, err := Adopt(os.NewFile(uintptr(kept), "kept"))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if next.Path() != path {
		t.Errorf("the path is %q, was %q", next.Path(), path)
	}
	list, err := drained(next)
	if err != nil || len(list) != 2 || *list[0].Status != "one" || *list[1].Status != "two" {
		t.Errorf("pending %v, %v", list, err)
	}
	if list, err := drained(next); err != nil || len(list) != 0 {
		t.Errorf("pending again %v, %v", list, err)
	}
	heard := make(chan Notice, 1)
	go func() { _ = next.Serve(func(n Notice) { heard <- n }) }() // ends with the socket
	say(t, path, "WATCHDOG=1")
	if n := <-heard; !n.Alive {
		t.Errorf("heard %+v", n)
	}
	// While Serve waits, or at the same time, each is delivered once.
	for i := range 100 {
		say(t, path, "STATUS=x")
		if list, err := drained(next); err != nil || len(list) > 1 {
			t.Fatalf("drained %v, %v", list, err)
		} else if len(list) == 0 {
			<-heard
		}
		if len(heard) > 0 {
			t.Fatalf("%d was heard twice", i)
		}
	}
}

func TestAdoptRefusesWhatIsNoSocket(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := Adopt(r); err == nil {
		t.Error("a pipe was accepted")
	}
}

func TestTheSocketBelongsToTheUserAlone(t *testing.T) {
	dir := t.TempDir()
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	uid := os.Getuid()
	if uid == 0 {
		uid = 12345
	}
	s, err := Listen(dir, strings.Repeat("n", 128), uid, os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var st unix.Stat_t
	if err := unix.Stat(s.Path(), &st); err != nil {
		t.Fatal(err)
	}
	if int(st.Uid) != uid || st.Mode&0o777 != 0o600 {
		t.Errorf("uid %d, mode %o", st.Uid, st.Mode)
	}
	if fi, err := os.Stat(filepath.Dir(s.Path())); err != nil || fi.Mode().Perm() != 0o711 {
		t.Errorf("folder %v, %v", fi, err)
	}
	if err := s.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Remove: %v", err)
	}
}

func TestALongRuntimeDirectoryGetsAnAbstractAddress(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	if s := listen(t, dir); s.Path()[0] != '@' {
		t.Errorf("address %q", s.Path())
	}
}

// A barrier waits until its descriptor is closed: it must not stay open here.
func TestDescriptorsThatComeAlongAreClosed(t *testing.T) {
	s := listen(t, t.TempDir())
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rights := unix.UnixRights(int(w.Fd()))
	if err := unix.Sendmsg(fd, []byte("BARRIER=1"), rights, &unix.SockaddrUnix{Name: s.Path()}, 0); err != nil {
		t.Fatal(err)
	}
	w.Close()
	list, err := drained(s)
	if err != nil || len(list) != 1 {
		t.Fatalf("pending %v, %v", list, err)
	}
	if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the descriptor is still open: %v", err)
	}
}

func TestWhatIsTooLongIsPassedOver(t *testing.T) {
	s := listen(t, t.TempDir())
	say(t, s.Path(), "READY=1\n"+strings.Repeat("x", maxMessage))
	say(t, s.Path(), "STOPPING=1")
	list, err := drained(s)
	if err != nil || len(list) != 1 || !list[0].Stopping {
		t.Errorf("pending %v, %v", list, err)
	}
}

func TestALineMeansReady(t *testing.T) {
	for in, want := range map[string]bool{"\n": true, "up\nmore": true, "up": false, "": false} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(in); err != nil {
			t.Fatal(err)
		}
		w.Close()
		heard := false
		line := NewLine(r)
		if in == "\n" {
			line.Drain(func(n Notice) { heard = n.Ready && n.FromFD })
		}
		err = line.Serve(func(n Notice) {
			if heard {
				t.Errorf("%q: heard twice", in)
			}
			heard = n.Ready && n.FromFD
		})
		if err != nil || heard != want {
			t.Errorf("%q: ready %t, error %v", in, heard, err)
		}
		r.Close()
	}
}
