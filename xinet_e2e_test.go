package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// echoAt, in its environment, is where echo listens.
const echoAt = "ECHO_AT"

// echo plays a server that sends back what it gets.
func echo() int {
	path := os.Getenv(echoAt)
	os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return 2
		}
		go func() {
			io.Copy(c, c)
			c.Close()
		}()
	}
}

// echoer is a service that echoes at a path, and is not started by itself.
func echoer(t *testing.T, name, path string) string {
	return file(name, fmt.Sprintf("env %s=%s %s", echoAt, path, childExec(t, "echo")), stopped)
}

// A line is a connection to a proxy.
type line struct {
	t *testing.T
	net.Conn
}

func (in *instance) connect(path string) line {
	in.t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		in.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(2 * patience))
	in.t.Cleanup(func() { c.Close() })
	return line{in.t, c}
}

// echoes sends a word, which must come back.
func (l line) echoes(word string) {
	l.t.Helper()
	got := make([]byte, len(word))
	if _, err := l.Write([]byte(word)); err != nil {
		l.t.Fatal(err)
	}
	if _, err := io.ReadFull(l, got); err != nil || string(got) != word {
		l.t.Fatalf("sent %q, got %q, %v", word, got, err)
	}
}

// xinets are the pids of the processes that carry the connections of an instance.
func (in *instance) xinets() (pids []int) {
	in.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		in.t.Fatal(err)
	}
	for _, path := range all {
		dir := filepath.Dir(path)
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if strings.HasPrefix(string(cmdline), "zinit-xinet\x00--socket="+in.socket+"\x00") {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			pids = append(pids, pid)
		}
	}
	return pids
}

func (in *instance) proxyStatus(name string) (s struct {
	Active      int `json:"active_connections"`
	Activations int
	Running     bool
}) {
	in.t.Helper()
	if err := json.Unmarshal([]byte(in.must("xinet", "status", name, "--json")), &s); err != nil {
		in.t.Fatal(err)
	}
	return s
}

// TestXinetOutlivesServersAndUpgrades: a proxied connection goes on when the server is
// killed and when all programs are replaced, new ones are served all the time, and the
// service ends when nobody needs it any more.
func TestXinetOutlivesServersAndUpgrades(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	back, front := filepath.Join(in.dir, "back"), filepath.Join(in.dir, "front")
	in.write("echo", echoer(t, "echo", back))
	program := in.ofItsOwn()
	in.launch()
	in.must("xinet", "set", "p", "--listen", front, "--backend", back, "--service", "echo", "--idle-timeout", "200ms")
	if pids := in.xinets(); len(pids) != 1 {
		t.Fatalf("the processes are %v", pids)
	}
	if s := in.status("echo"); s.State.State != "inactive" {
		t.Errorf("it is %s before anybody came", s.State.State)
	}
	one := in.connect(front)
	one.echoes("one")
	in.waitState("echo", "running")

	if err := syscall.Kill(in.serverPID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	meanwhile := in.connect(front)
	meanwhile.echoes("while no server is there")
	meanwhile.Close()
	one.echoes("after a kill")
	in.must("ping", "--timeout", patience.String())

	// Another file at the path: the server and xinet are of it, the connection is not.
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	executable(t, program+".new", text)
	if err := os.Rename(program+".new", program); err != nil {
		t.Fatal(err)
	}
	old := in.xinets()
	if err := syscall.Kill(in.keeperPID(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	in.until("another process takes the connections", func() (string, bool) {
		pids := in.xinets()
		return fmt.Sprint(pids), len(pids) == 2
	})
	one.echoes("after an upgrade")
	two := in.connect(front)
	two.echoes("of the new process")
	two.Close()
	if s := in.proxyStatus("p"); s.Active < 1 || !s.Running {
		t.Errorf("%+v", s)
	}
	// The old process still has a connection: the service is not stopped under it, not
	// even when the new one says that it needs it no more.
	server := in.dial()
	if stopped, err := server.Release(t.Context(), "echo"); stopped || err != nil {
		t.Errorf("it is stopped: %v, %v", stopped, err)
	}
	one.echoes("not stopped under me")
	one.Close()
	in.until("the old process has ended", func() (string, bool) {
		pids := in.xinets()
		return fmt.Sprint(pids), len(pids) == 1 && pids[0] != old[0]
	})
	in.waitState("echo", "exited")
	in.connect(front).echoes("started again")
	in.must("xinet", "delete", "p")
	if _, err := net.Dial("unix", front); err == nil {
		t.Error("what was deleted accepts connections")
	}
}

// TestXinetThatIsKilledComesBack: its sockets are held elsewhere, so that nobody is
// refused meanwhile. What files declare is there after a boot.
func TestXinetThatIsKilledComesBack(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	back, front := filepath.Join(in.dir, "back"), filepath.Join(in.dir, "front")
	in.write("echo", echoer(t, "echo", back))
	in.write("proxy", fmt.Sprintf("[xinet]\nname = \"p\"\nlisten = %q\nbackend = %q\nservice = \"echo\"\n", "unix:"+front+",mode=0600", back))
	in.launch()
	in.must("ping") // it answers when the proxies listen
	if st, err := os.Stat(front); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	for range 3 {
		in.connect(front).echoes("here")
		pid := in.xinets()[0]
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		in.until("it is dead", func() (string, bool) { // or it may still accept
			pids := in.xinets()
			return fmt.Sprint(pids), !slices.Contains(pids, pid)
		})
	}
	in.connect(front).echoes("here again")
	in.must("shutdown")
	if _, err := os.Lstat(front); err == nil {
		t.Error("the socket is left behind")
	}
}

// TestXinetByHand: one proxy, in front of a server that knows nothing of it, and beside
// one that it knows.
func TestXinetByHand(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	back, front := filepath.Join(in.dir, "back"), filepath.Join(in.dir, "front")
	in.write("echo", echoer(t, "echo", back))
	in.launch()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(binDir(t), "xinet"), "--listen", front, "--backend", back, "--service", "echo", "-s", in.socket)
	cmd.Env, cmd.Stderr = in.env, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := io.ReadAtLeast(r, make([]byte, 10), 10); err != nil { // it says that it listens
		t.Fatal(err)
	}
	go io.Copy(io.Discard, r)
	beside := filepath.Join(in.dir, "beside")
	in.must("xinet", "set", "p", "--listen", beside, "--backend", back, "--service", "echo")
	managed := in.connect(beside)
	managed.echoes("beside it")
	l := in.connect(front)
	l.echoes("by hand")
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil { // no more, but this one goes on
		t.Fatal(err)
	}
	in.until("it accepts no more", func() (string, bool) {
		_, err := os.Lstat(front)
		return fmt.Sprint(err), err != nil
	})
	l.echoes("to the end")
	managed.echoes("goes on")
	l.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
