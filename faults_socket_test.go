package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/sock"
)

// A caller is a connection without a client: it sends what it likes.
type caller struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func (in *instance) call() *caller {
	in.t.Helper()
	c, err := net.Dial("unix", in.socket)
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		in.t.Fatal(err)
	}
	return &caller{c, in.t, bufio.NewReader(c)}
}

const pingRequest = `{"jsonrpc":"2.0","method":"system.ping","id":1}` + "\n"

// alive sends a ping and reads its answer.
func (c *caller) alive() {
	c.t.Helper()
	if _, err := io.WriteString(c, pingRequest); err != nil {
		c.t.Fatal(err)
	}
	if line, err := c.in.ReadString('\n'); err != nil || !strings.Contains(line, `"version"`) {
		c.t.Fatalf("the answer is %q, %v", line, err)
	}
}

// Fault 8: no descriptor for a new connection.
func TestFault8ConnectionsBeyondTheDescriptorsWaitWithoutASpin(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{"a": file("a", quiet)})
	in.waitState("a", "running")
	server, early := in.serverPID(), in.call()
	early.alive()
	restore := limitFiles(t, server, uint64(descriptors(t, server)))
	late := make([]*caller, 50)
	for i := range late {
		late[i] = in.call()
	}
	before := cpuTime(t, server)
	second := time.After(time.Second)
	for waiting := true; waiting; {
		early.alive() // who is in is served
		select {
		case <-second:
			waiting = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	if used := cpuTime(t, server) - before; used > 300*time.Millisecond {
		t.Errorf("the server used %v of a second", used)
	}
	restore()
	for _, c := range late {
		c.alive()
	}
	if now := in.serverPID(); now != server {
		t.Errorf("the server was %d and is %d", server, now)
	}
}

// fails starts a server that cannot come up, and returns what it wrote and how it
// ended.
func (in *instance) fails() (log string, code int) {
	in.t.Helper()
	in.spawn()
	code = in.exit()
	in.until("the end of its log", func() (string, bool) {
		log = in.log.String()
		return log, strings.HasSuffix(log, "\n")
	})
	return log, code
}

// Fault 36: the path of the socket is taken by something else.
func TestFault36WhatIsNoSocketIsNeverDeleted(t *testing.T) {
	t.Parallel()
	for kind, put := range map[string]func(path string) error{
		"file":      func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"fifo":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"symlink to a file": func(path string) error {
			return os.Symlink("/etc/hostname", path)
		},
		"symlink to a socket": func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path + "2", Net: "unix"})
			if err != nil {
				return err
			}
			l.SetUnlinkOnClose(false)
			l.Close()
			return os.Symlink(path+"2", path)
		},
	} {
		t.Run(kind, func(t *testing.T) {
			in := newInstance(t, map[string]string{"a": file("a", quiet)})
			if err := put(in.socket); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(in.socket)
			if err != nil {
				t.Fatal(err)
			}
			log, code := in.fails()
			if code != 1 || !strings.Contains(log, in.socket) {
				t.Errorf("code %d: %s", code, log)
			}
			after, err := os.Lstat(in.socket)
			if err != nil || !os.SameFile(before, after) || before.ModTime() != after.ModTime() {
				t.Errorf("it was %v and is %v, %v", before, after, err)
			}
			if strings.Contains(log, "service=a") {
				t.Errorf("services were touched: %s", log)
			}
		})
	}
}

// replaceServer kills the server and returns when the next one answers.
func (in *instance) replaceServer() {
	in.t.Helper()
	old := in.serverPID()
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		in.t.Fatal(err)
	}
	in.another(old)
}

// Fault 36, at the end of a server: what has come to the path of its socket is not
// its own to remove.
func TestFault36AtItsEndAServerRemovesItsOwnSocketOnly(t *testing.T) {
	t.Parallel()
	for kind, put := range map[string]func(path string) error{
		"file":      func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"symlink":   func(path string) error { return os.Symlink(path+".own", path) },
		"another socket": func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err == nil {
				l.SetUnlinkOnClose(false)
				t.Cleanup(func() { l.Close() })
			}
			return err
		},
	} {
		for _, adopted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/adopted=%v", kind, adopted), func(t *testing.T) {
				t.Parallel()
				in := startServer(t, map[string]string{"a": file("a", quiet)})
				if adopted {
					in.replaceServer()
				}
				own := in.socket + ".own"
				if err := os.Rename(in.socket, own); err != nil {
					t.Fatal(err)
				}
				if err := put(in.socket); err != nil {
					t.Fatal(err)
				}
				before, err := os.Lstat(in.socket)
				if err != nil {
					t.Fatal(err)
				}
				path := in.socket
				in.socket = own
				in.shutdown()
				after, err := os.Lstat(path)
				if err != nil || !os.SameFile(before, after) || before.ModTime() != after.ModTime() {
					t.Errorf("it was %v and is %v, %v", before, after, err)
				}
			})
		}
	}
	t.Run("its own", func(t *testing.T) {
		t.Parallel()
		in := startServer(t, nil)
		in.replaceServer()
		in.shutdown()
		if left, err := filepath.Glob(in.socket + "*"); err != nil || len(left) != 1 { // the lock
			t.Errorf("left over: %v, %v", left, err)
		}
	})
}

// Fault 37: a socket that a dead server left, and one that a live server has.
func TestFault37AStaleSocketIsReclaimedALiveOneIsNot(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{"a": file("a", quiet)})
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: in.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	log, code := in.fails() // somebody answers there
	if code != 1 || !strings.Contains(log, in.socket) {
		t.Errorf("code %d: %s", code, log)
	}
	l.Close()
	in.launch()
	in.waitState("a", "running")
	server, untouched := in.serverPID(), in.untouched("a")

	second := newInstance(t, map[string]string{"b": file("b", quiet)})
	second.socket = in.socket
	log, code = second.fails()
	if code != 1 || !strings.Contains(log, "in use by another") || !strings.Contains(log, "--socket") {
		t.Errorf("code %d: %s", code, log)
	}
	untouched()
	if now := in.serverPID(); now != server {
		t.Errorf("the server was %d and is %d", server, now)
	}
}

// Fault 62: a server that cannot start ends its keeper, once and for all.
func TestFault62AServerThatCannotStartEndsTheKeeperWithItsCode(t *testing.T) {
	t.Parallel()
	in := startServer(t, nil)
	for _, tt := range []struct {
		name, socket, want string
		flags              []string
		code               int
	}{
		{"a live server", in.socket, "in use by another", nil, 1},
		{"an unknown flag", "", "unknown flag --config-dri", []string{"--config-dri", "x"}, 2},
		{"an unknown level", "", "unknown log level", []string{"--log-level", "loud"}, 2},
		{"a path that is too long", filepath.Join(t.TempDir(), strings.Repeat("x", 120)), "at most 107", nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := newInstance(t, nil, tt.flags...)
			if tt.socket != "" {
				bad.socket = tt.socket
			}
			log, code := bad.fails()
			if code != tt.code || strings.Count(log, tt.want) != 1 {
				t.Errorf("code %d: %s", code, log)
			}
			if strings.Contains(log, "starting it again") {
				t.Errorf("it tried again: %s", log)
			}
		})
	}
	in.must("ping")
}

// Fault 39: a user without rights, where the mode of the socket lets everybody
// connect.
func TestFault39AStrangerIsRefusedByItsCredentials(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	t.Parallel()
	in := startServer(t, map[string]string{"a": file("a", quiet)})
	in.waitState("a", "running")
	check := in.untouched("a")
	if err := os.Chmod(in.socket, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"list", "stop a", "shutdown"} {
		cmd := exec.Command(filepath.Join(binDir(t), "zinit"), append([]string{"--socket", in.socket}, strings.Fields(args)...)...)
		cmd.Env = in.env
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: aUser, Gid: aUser}}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), fmt.Sprintf("access denied: uid %d", aUser)) {
			t.Errorf("zinit %s: %v: %s", args, err, out)
		}
	}
	check()
}

// Fault 40: clients that do not read, or hardly write.
func TestFault40ASlowClientIsDroppedAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 100 {
		name := fmt.Sprintf("s%d", i)
		files[name] = file(name, quiet, stopped)
	}
	in := startServer(t, files)
	server, other := in.serverPID(), in.call()
	// One sends the beginning of a request, and no more.
	slow := in.call()
	if _, err := io.WriteString(slow, pingRequest[:20]); err != nil {
		t.Fatal(err)
	}
	// One asks and asks and reads nothing, until it is thrown out.
	deafClient := in.call()
	thrown := make(chan error, 1)
	go func() {
		request := []byte(strings.Repeat(`{"jsonrpc":"2.0","method":"service.list_full","id":1}`, 100))
		for {
			if _, err := deafClient.Write(request); err != nil {
				thrown <- err
				return
			}
		}
	}()
	before := resident(t, server)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	slowest := time.Duration(0)
	for waiting := true; waiting; {
		began := time.Now()
		other.alive()
		slowest = max(slowest, time.Since(began))
		select {
		case err := <-thrown:
			if os.IsTimeout(err) {
				t.Errorf("it was not dropped: %v", err)
			}
			waiting = false
		case <-again.C:
		}
	}
	if slowest > 8*time.Second { // it takes ten until somebody is thrown out
		t.Errorf("somebody else waited for %v", slowest)
	}
	if grew := resident(t, server) - before; grew > 32<<20 {
		t.Errorf("the server grew by %d kB", grew>>10)
	}
	in.call().alive()
}

// Fault 41: frames that are none.
func TestFault41GarbageGetsAnErrorAndDisturbsNobody(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{"a": file("a", quiet)})
	in.waitState("a", "running")
	check, server, other := in.untouched("a"), in.serverPID(), in.call()
	call := strings.TrimSpace(pingRequest)
	for name, tt := range map[string]struct{ send, want string }{
		"endless":    {`{"a":"` + strings.Repeat("x", 2<<20), "request is larger than"},
		"deep":       {strings.Repeat(`{"a":`, 100_000), "recursion limit"},
		"huge id":    {`{"jsonrpc":"2.0","method":"system.ping","id":` + strings.Repeat("9", 1<<19) + "}", "id is too long"},
		"batch":      {"[" + strings.Repeat(call+",", 5000) + call + "]", "a batch holds 1 to 1000 requests"},
		"empty":      {"[]", "a batch holds 1 to 1000 requests"},
		"binary":     {"\x00\x01\xff\xfe\x7fELF", "error"},
		"half":       {`{"jsonrpc":"2.0","method"` + "}", "error"},
		"no UTF-8":   {"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\",\"id\":1}", "not valid UTF-8"},
		"http":       {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "error"},
		"a terminal": {"\x1b[A\x1b[B\r\n", "error"},
	} {
		c := in.call()
		go io.WriteString(c, tt.send) // the server may close before it has read all
		line, err := c.in.ReadString('\n')
		if !strings.Contains(line, tt.want) {
			t.Errorf("%s: the answer is %.200q, %v; want %q", name, line, err, tt.want)
		}
		other.alive()
		c.Close()
	}
	check()
	if now := in.serverPID(); now != server {
		t.Errorf("the server was %d and is %d", server, now)
	}
}

// Fault 42: connections on which nothing happens.
func TestFault42TwoThousandIdleConnectionsAreHeld(t *testing.T) {
	const count = 2000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < count+500 { // the server inherits it
		t.Skipf("needs %d open files, the limit is %d: raise it with ulimit -n", count+500, limit.Cur)
	}
	t.Parallel()
	in := startServer(t, map[string]string{"a": file("a", quiet)})
	in.waitState("a", "running")
	server := in.serverPID()
	in.call().alive()
	before := resident(t, server)
	idle := make([]*caller, count)
	for i := range idle {
		idle[i] = in.call()
		idle[i].alive()
	}
	each := (resident(t, server) - before) / count
	t.Logf("%d bytes of the server for each idle connection", each)
	if each > 30_000 {
		t.Errorf("%d bytes of the server for each idle connection", each)
	}
	if s := in.status("a"); s.State.State != sock.Running {
		t.Errorf("a is %s", s.State.State)
	}
	for _, i := range []int{0, count / 2, count - 1} {
		idle[i].alive()
	}
}

// Where nothing can be written there is no socket: under process 1 that is no
// reason not to run what is to run. Elsewhere it is an error.
func TestWithoutASocketServicesRunUnderProcess1(t *testing.T) {
	t.Parallel()
	const nowhere = "/proc/zinit-test/s.sock" // nobody may make that, not even root
	in := newInstance(t, nil, "--pid1-mode")
	runs := filepath.Join(in.dir, "runs")
	if err := syscall.Mkfifo(runs, 0o600); err != nil {
		t.Fatal(err)
	}
	in.write("a", file("a", fmt.Sprintf("sh -c 'echo up > %s; exec %s'", runs, quiet)))
	in.socket = nowhere
	in.launch()
	if text, err := os.ReadFile(runs); err != nil || string(text) != "up\n" {
		t.Errorf("it says %q, %v", text, err)
	}
	if err := in.keeper.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := in.exit(); code != 0 {
		t.Errorf("code %d", code)
	}
	if log := in.log.String(); !in.tells("nobody can connect") || strings.Count(log, "nobody can connect") > 1 {
		t.Errorf("want one warning: %s", log)
	}

	alone := newInstance(t, nil)
	alone.socket = nowhere
	if log, code := alone.fails(); code != 1 || !strings.Contains(log, nowhere) {
		t.Errorf("code %d: %s", code, log)
	}
}
