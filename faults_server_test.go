package main_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zinit/sock"
)

// The faults that kill the server at a moment of which something is known, and the
// one that replaces it.

// A line to the server that waits for no answer: when order returns, the request
// is in the socket of the server that answered accepted.
type orderLine struct {
	t *testing.T
	net.Conn
}

// accepted connects, and returns when the server has taken the connection.
func (in *instance) accepted() orderLine {
	in.t.Helper()
	conn, err := net.Dial("unix", in.socket)
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() { conn.Close() })
	l := orderLine{in.t, conn}
	l.order(sock.MethodStatus)
	for b := make([]byte, 1); b[0] != '\n'; {
		if _, err := conn.Read(b); err != nil {
			in.t.Fatal(err)
		}
	}
	return l
}

func (l orderLine) order(method string) {
	l.t.Helper()
	if _, err := fmt.Fprintf(l, `{"jsonrpc":"2.0","id":1,"method":%q,"params":{"name":"a"}}`+"\n", method); err != nil {
		l.t.Fatal(err)
	}
}

// Fault 10: kill -9 of the server around the start of a service.
func TestFault10AServerKilledAroundASpawnLeavesExactlyOneProcess(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	d := in.observed("a", "still", stopped)
	in.launch()
	c := in.dial()

	// Before the order is read: nothing is written, and nothing comes of it.
	server, line := in.serverPID(), in.accepted()
	in.send(server, syscall.SIGSTOP)
	line.order(sock.MethodStart)
	in.send(server, syscall.SIGKILL)
	if n, err := line.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("an order that nobody read was answered")
	}
	if s := in.status("a"); s.State.State != sock.Inactive {
		t.Errorf("it is %s", s.State.State)
	}

	// After the state is written and before the fork.
	server = in.serverPID()
	in.freeze()
	if err := c.Start(shortly(t), "a", sock.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	in.send(server, syscall.SIGKILL)
	in.thaw()
	in.lived("a", d, 1)

	// After the fork, of which no server has heard.
	in.must("stop", "--wait", "a")
	server = in.serverPID()
	in.freeze()
	if err := c.Start(shortly(t), "a", sock.StartOptions{}); err != nil {
		t.Fatal(err)
	}
	in.send(server, syscall.SIGSTOP)
	in.thaw()
	// The order leaves the server a moment after the answer to who gave it. If it was
	// stopped before that, it has to go on once more.
	late := time.AfterFunc(2*time.Second, func() { _ = syscall.Kill(server, syscall.SIGCONT) })
	in.until("its second life", func() (string, bool) { return fmt.Sprint(d.lives), d.read() == nil && d.begun() == 2 })
	late.Stop()
	in.send(server, syscall.SIGKILL)
	in.lived("a", d, 2)

	// Wherever it happens to be: the order was carried out or not, never twice.
	done := 0
	for i := range 24 {
		server, n, line := in.serverPID(), d.begun(), in.accepted()
		fd, err := unix.PidfdOpen(server, 0)
		if err != nil {
			t.Fatal(err)
		}
		line.order(sock.MethodRestart)
		for began := time.Now(); time.Since(began) < time.Duration(i)*20*time.Microsecond; {
		}
		err = unix.PidfdSendSignal(fd, syscall.SIGKILL, nil, 0)
		unix.Close(fd)
		if err != nil {
			t.Fatal(err)
		}
		in.settledAfter(server, d)
		done += d.begun() - n
		in.lived("a", d, n+min(d.begun()-n, 1))
	}
	t.Logf("%d of 24 restarts were taken up before the server was killed", done)
	if s := in.status("a"); s.Restarts != 0 {
		t.Errorf("after restarts that were asked for it counts %d of its own", s.Restarts)
	}
}

// settledAfter waits until another server than that says that a, which was to be
// restarted or not, runs as its latest life.
func (in *instance) settledAfter(server int, d *diary) {
	in.t.Helper()
	in.until("a service that runs under the next server", func() (string, bool) {
		pid, err := ping(shortly(in.t), in.socket)
		if err != nil || pid == server {
			return fmt.Sprint(pid, err), false
		}
		s := in.status("a")
		err = d.read()
		return fmt.Sprintf("%+v, %v", s, err), err == nil && s.State.State == sock.Running && s.State.PID == d.last().pid
	})
}

// Fault 11: kill -9 of the server during a stop.
func TestFault11AStopThatIsUnderWayIsCompletedByTheNextServer(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	flag := filepath.Join(in.dir, "enough")
	hesitant := fmt.Sprintf(`sh -c "trap 'while ! test -e %s; do sleep 0.02; done; exit 0' TERM; echo ready; while :; do sleep 0.02; done"`, flag)
	in.write("deaf", file("deaf", deaf, lifecycle, "stop_timeout_ms = 1000"))
	in.write("gentle", file("gentle", hesitant, lifecycle, "stop_timeout_ms = 60000"))
	in.write("base", file("base", quiet))
	in.write("upper", file("upper", hesitant, requires("base"), lifecycle, "stop_timeout_ms = 60000"))
	again := in.observed("again", "deaf", lifecycle, "stop_timeout_ms = 500")
	in.launch()
	in.waitState("deaf gentle base upper", "running")
	in.lived("again", again, 1)
	for _, name := range []string{"deaf", "again"} {
		in.deafened(in.pid(name))
	}
	for _, name := range []string{"gentle", "upper"} {
		in.until("the trap of "+name, func() (string, bool) {
			log := in.must("logs", name)
			return log, strings.Contains(log, "ready")
		})
	}
	c := in.dial()
	began := time.Now()
	for _, name := range []string{"deaf", "gentle", "base"} {
		if err := c.Stop(shortly(t), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Restart(shortly(t), "again"); err != nil {
		t.Fatal(err)
	}
	// Twice: what one server has taken over the next one takes over from it.
	in.killServer()
	in.killServer()
	if s := in.status("gentle"); s.State.State != sock.Stopping {
		t.Errorf("gentle is %s", s.State.State)
	}
	if s := in.status("base"); s.State.State != sock.Running {
		t.Errorf("base is %s before what requires it is down", s.State.State)
	}
	in.waitState("deaf", "down")
	if took := time.Since(began); took < time.Second {
		t.Errorf("deaf was killed after %v", took)
	}
	if err := os.WriteFile(flag, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	in.waitState("gentle base", "down")
	for name, want := range map[string]string{"deaf": "stopped (killed by signal 9)", "gentle": "stopped", "base": "stopped"} {
		if s := in.status(name); s.State.State != sock.Exited || s.Reason != want {
			t.Errorf("%s is %s: %s, want %s", name, s.State.State, s.Reason, want)
		}
	}
	if s := in.status("upper"); s.State.State != sock.Blocked {
		t.Errorf("upper is %s: %s", s.State.State, s.Reason)
	}
	in.lived("again", again, 2)
}

// Fault 12: kill -9 of the server during a back-off.
func TestFault12DelaysAndCountersGoOnUnderTheNextServer(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{
		"waits": file("waits", childExec(t, "fail"), lifecycle, "restart_delay_ms = 200000"),
	})
	d := in.observed("counts", "fail", lifecycle, "restart_delay_ms = 30", "restart_delay_max_ms = 60", "max_restarts = 6")
	in.launch()
	c := in.dial()
	in.waitState("waits", "failed")
	was, err := c.Status(shortly(t), "waits")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		// Nobody is there for a while: that is no reason to wait longer.
		server := in.serverPID()
		in.freeze()
		in.send(server, syscall.SIGKILL)
		gap := time.NewTimer(100 * time.Millisecond)
		<-gap.C
		in.thaw()
		is, err := c.Status(shortly(t), "waits")
		if err != nil {
			t.Fatal(err)
		}
		off := time.Duration(is.NextStartMs-was.NextStartMs) * time.Millisecond
		if is.State != sock.Failed || is.Run != was.Run || is.Restarts != was.Restarts || is.Reason != "exit code 7" || off.Abs() > 50*time.Millisecond {
			t.Errorf("it was %+v and is %+v", was, is)
		}
		was.NextStartMs = is.NextStartMs
	}
	in.waitState("counts", "down")
	// The number of a run that a server was killed over before it had asked for it is of none.
	if s, err := in.status("counts"), d.read(); err != nil || d.begun() != 7 || s.Run < 7 || s.Restarts != 6 || s.Reason != "exit code 7; given up after 6 restarts" {
		t.Errorf("in the end it is %+v after %d lives, %v", s, d.begun(), err)
	}
}

// replace puts another program in the place from which servers are started, in one
// step, like an upgrade. See ofItsOwn.
func replace(t *testing.T, place string, text []byte) {
	t.Helper()
	executable(t, place+".other", text)
	if err := os.Rename(place+".other", place); err != nil {
		t.Fatal(err)
	}
}

// hopeless is a server that ends before it is ready.
const hopeless = "#!/bin/sh\nexit 3\n"

// Fault 14: the server ends again and again before it is ready.
func TestFault14TheKeeperBacksOffAndTheServicesRunOn(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	d := in.observed("a", "still")
	place := in.ofItsOwn()
	good, err := os.ReadFile(place)
	if err != nil {
		t.Fatal(err)
	}
	in.launch()
	in.lived("a", d, 1)
	check, server := in.untouched("a"), in.serverPID()
	replace(t, place, []byte(hopeless))
	in.send(server, syscall.SIGKILL)
	for _, delay := range []string{"100ms", "200ms", "400ms", "800ms"} {
		in.until("a pause of "+delay, func() (string, bool) {
			return in.log.String(), in.log.contains("exit code 3", "before it was ready: starting it again in "+delay)
		})
	}
	replace(t, place, good)
	in.until("a server", func() (string, bool) {
		pid, err := ping(shortly(t), in.socket)
		return fmt.Sprint(pid, err), err == nil && pid != server
	})
	check()
	in.lived("a", d, 1)
	want := 100 * time.Millisecond
	for _, m := range regexp.MustCompile(`before it was ready: starting it again in (\S+)`).FindAllStringSubmatch(in.log.String(), -1) {
		if m[1] != want.String() {
			t.Errorf("it was started again in %s, want %v", m[1], want)
		}
		want *= 2
	}
}

// Fault 27: the program is replaced while a service starts.
func TestFault27AStartIsCompletedUnderTheNewProgram(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	place := in.ofItsOwn()
	flag := filepath.Join(in.dir, "healthy")
	d := in.observed("slow", "still", "[health]\ntype = \"exec\"", fmt.Sprintf("target = \"test -e %s\"", flag),
		"interval_ms = 100\nretries = 1000000", lifecycle, "start_timeout_ms = 60000")
	in.write("later", file("later", quiet, requires("slow")))
	in.launch()
	in.waitState("slow", "starting")
	in.until("its life", func() (string, bool) { return fmt.Sprint(d.lives), d.read() == nil && d.begun() == 1 })
	began, server := in.status("slow").SinceMs, in.serverPID()
	// Another program by its size, which is all the same to what it does.
	text, err := os.ReadFile(place)
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(in.dir, "next")
	executable(t, next, append(text, "another one"...))
	in.must("upgrade", next)
	runs, err := os.Stat(fmt.Sprintf("/proc/%d/exe", in.serverPID()))
	if err != nil || runs.Size() != int64(len(text)+len("another one")) || in.serverPID() == server {
		t.Fatalf("the new program does not run: %v, %v", runs, err)
	}
	if s := in.status("slow"); s.State.State != sock.Starting || s.State.PID != d.last().pid || s.SinceMs != began {
		t.Errorf("under the new program it is %+v", s)
	}
	if s := in.status("later"); s.State.State != sock.Blocked {
		t.Errorf("later is %s", s.State.State)
	}
	if err := os.WriteFile(flag, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	in.waitState("slow later", "running")
	in.lived("slow", d, 1)
}
