package ports

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/supervise/proc"
)

// TestMain plays a foreign process: PLAY=hold[,stubborn] listens, tells its port and
// waits for the end of its input.
func TestMain(m *testing.M) {
	if play := os.Getenv("PLAY"); play != "" {
		os.Exit(foreigner(strings.Split(play, ",")))
	}
	os.Exit(m.Run())
}

func foreigner(how []string) int {
	if slices.Contains(how, "stubborn") {
		signal.Ignore(syscall.SIGTERM)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 1
	}
	// The name of the process is that of its first thread, which need not be this one.
	_ = os.WriteFile("/proc/self/comm", []byte(how[0]), 0) // the test sees that it did
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// A stranger is a process of the test's that holds a port.
type stranger struct {
	cmd  *exec.Cmd
	port uint16
	done chan error
}

func begin(t *testing.T, how string) *stranger {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{"PLAY=" + how, "GOMAXPROCS=1"}
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
	s := &stranger{cmd: cmd, done: make(chan error, 1)}
	if _, err := fmt.Fscan(bufio.NewReader(out), &s.port); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- cmd.Wait() }()
	t.Cleanup(func() { in.Close(); cmd.Process.Kill() })
	return s
}

func nobody(*proc.Tree, proc.Process) bool { return false }

func everybody(*proc.Tree, proc.Process) bool { return true }

func pids(holders []Holder) (list []int) {
	for _, h := range holders {
		list = append(list, h.Pid)
	}
	return list
}

func look(t *testing.T, c Claim, ours Ours) []Holder {
	t.Helper()
	found, err := Look(proc.FS{}, c, ours)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestLookNamesWhoHoldsAPort(t *testing.T) {
	s := begin(t, "hold")
	found := look(t, Claim{Ports: []uint16{s.port}}, nobody)
	if len(found) != 1 || found[0].Pid != s.cmd.Process.Pid {
		t.Fatalf("found %v, want pid %d", found, s.cmd.Process.Pid)
	}
	want := fmt.Sprintf("port %d is in use by %s (pid %d) on tcp 127.0.0.1:%[1]d", s.port, found[0].Name, found[0].Pid)
	if found[0].String() != want {
		t.Errorf("it says %q, want %q", found[0], want)
	}
}

func TestLookSeesEveryKindOfHolder(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6", "udp4", "udp6"} {
		t.Run(network, func(t *testing.T) {
			host := "127.0.0.1:0"
			if network[3] == '6' {
				host = "[::1]:0"
			}
			var port int
			if network[:3] == "tcp" {
				l, err := net.Listen(network, host)
				if err != nil {
					t.Skip("no such addresses here:", err)
				}
				defer l.Close()
				port = l.Addr().(*net.TCPAddr).Port
			} else {
				c, err := net.ListenPacket(network, host)
				if err != nil {
					t.Skip("no such addresses here:", err)
				}
				defer c.Close()
				port = c.LocalAddr().(*net.UDPAddr).Port
			}
			found := look(t, Claim{Ports: []uint16{uint16(port)}}, nobody)
			if !slices.Contains(pids(found), os.Getpid()) {
				t.Errorf("found %v, want this process", found)
			}
		})
	}
}

// A connection is not a claim to a port, neither while it lives nor when it lingers
// in TIME_WAIT: the original ends every process of the machine for one.
func TestLookPassesConnectionsBy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	check := func(when string) {
		t.Helper()
		if found := look(t, Claim{Ports: []uint16{port}}, nobody); len(found) != 0 {
			t.Errorf("%s: found %v", when, found)
		}
	}
	check("connected")
	a.Close() // the side that closes first keeps TIME_WAIT
	_, _ = io.Copy(io.Discard, c)
	c.Close()
	check("lingering")
}

func TestLookFindsFilteredNamesButNeverOurs(t *testing.T) {
	s := begin(t, "XyForeigner")
	for _, c := range []struct {
		filter string
		ours   Ours
		want   bool
	}{
		{"xyfor", nobody, true},
		{"FOREIGN", nobody, true},
		{"xyfor", everybody, false},
		{"xyother", nobody, false},
		{"", nobody, false},
	} {
		found := look(t, Claim{Filters: []string{c.filter}}, c.ours)
		if got := slices.Contains(pids(found), s.cmd.Process.Pid); got != c.want {
			t.Errorf("filter %q: found %v", c.filter, found)
		}
	}
}

func TestLookWithoutProcSaysSo(t *testing.T) {
	if _, err := Look(proc.FS{Root: t.TempDir()}, Claim{Filters: []string{"x"}}, nobody); !errors.Is(err, proc.ErrNoProc) {
		t.Errorf("error %v, want ErrNoProc", err)
	}
}

func TestEvictEndsExactlyTheHolders(t *testing.T) {
	for _, how := range []string{"hold", "hold,stubborn"} {
		t.Run(how, func(t *testing.T) {
			s, bystander := begin(t, how), begin(t, "hold")
			grace := 10 * time.Second
			if strings.Contains(how, "stubborn") {
				grace = 50 * time.Millisecond // it takes all of it
			}
			holders := look(t, Claim{Ports: []uint16{s.port}}, nobody)
			if err := Evict(t.Context(), proc.FS{}, holders, nobody, grace, func() {}); err != nil && how == "hold" {
				t.Fatal(err)
			}
			want := syscall.SIGTERM
			if how != "hold" {
				want = syscall.SIGKILL
			}
			var exit *exec.ExitError
			if err := <-s.done; !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != want {
				t.Errorf("it ended with %v, want %v", err, want)
			}
			if err := bystander.cmd.Process.Signal(syscall.Signal(0)); err != nil {
				t.Errorf("another process was hit: %v", err)
			}
		})
	}
}

// Who is not to be ended any more has got SIGTERM, and no more than that.
func TestAnEvictionCanBeGivenUp(t *testing.T) {
	s := begin(t, "hold,stubborn")
	holders := look(t, Claim{Ports: []uint16{s.port}}, nobody)
	ctx, stop := context.WithCancel(t.Context())
	late := time.AfterFunc(50*time.Millisecond, stop) // it waits by then, or finds it at once
	defer late.Stop()
	begun := time.Now()
	if err := Evict(ctx, proc.FS{}, holders, nobody, time.Hour, func() {}); !errors.Is(err, context.Canceled) {
		t.Errorf("after %s: %v", time.Since(begun), err)
	}
	if err := Evict(ctx, proc.FS{}, holders, nobody, 0, func() {}); !errors.Is(err, context.Canceled) {
		t.Errorf("given up before: %v", err)
	}
	if err := s.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("it was ended: %v", err)
	}
}

// One that may not be ended protects all others: half a clearing helps nobody.
func TestEvictSparesTheProtected(t *testing.T) {
	s := begin(t, "hold")
	victim := look(t, Claim{Ports: []uint16{s.port}}, nobody)[0]
	self, err := (proc.FS{}).Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	isVictim := func(_ *proc.Tree, p proc.Process) bool { return p.Pid == victim.Pid }
	for _, c := range []struct {
		name  string
		other Holder
		ours  Ours
	}{
		{"process 1", Holder{Pid: 1, Name: "init"}, nobody},
		{"itself", Holder{Pid: self.Pid, Start: self.Start, Name: "zinit"}, nobody},
		{"its parent", Holder{Pid: self.Ppid, Name: "go"}, nobody},
		{"one of ours", victim, isVictim},
		{"one that cannot be seen", Holder{Port: 80, Where: "tcp 0.0.0.0:80"}, nobody},
	} {
		if err := Evict(t.Context(), proc.FS{}, []Holder{victim, c.other}, c.ours, time.Second, func() { t.Error("it begins") }); !errors.Is(err, ErrProtected) {
			t.Errorf("%s: error %v, want ErrProtected", c.name, err)
		}
	}
	if err := s.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the process was hit: %v", err)
	}
}

// A pid that has been given to another process since is left alone.
func TestEvictKnowsAReusedPid(t *testing.T) {
	s := begin(t, "hold")
	h := look(t, Claim{Ports: []uint16{s.port}}, nobody)[0]
	h.Start++
	if err := Evict(t.Context(), proc.FS{}, []Holder{h}, nobody, time.Second, func() {}); err != nil {
		t.Errorf("error %v for one that is gone", err)
	}
	if err := s.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger was hit: %v", err)
	}
}

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000:0050":                         "0.0.0.0:80",
		"00000000000000000000000001000000:0016": "[::1]:22",
		"0000000000000000FFFF00000100007F:01BB": "127.0.0.1:443",
		"0100007F":                              "",
		"0100007F:":                             "",
		"01:0050":                               "",
		"zz00007F:0050":                         "",
		"0100007F:10000":                        "",
	} {
		got, ok := address(text)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("address(%q) = %v, %t, want %q", text, got, ok, want)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add("  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4242 1\n")
	f.Add("garbage\n: : :\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range table(strings.NewReader(text), "tcp", tcpListens, []uint16{8080}) {
			if s.local.Port() != 8080 {
				t.Errorf("picked %v", s)
			}
		}
	})
}

func BenchmarkLook(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	free := []uint16{1}
	held := []uint16{uint16(l.Addr().(*net.TCPAddr).Port)}
	for name, ports := range map[string][]uint16{"free": free, "held": held} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Look(proc.FS{}, Claim{Ports: ports}, nobody); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
