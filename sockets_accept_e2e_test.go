package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/sock"
)

// inetd plays a program that is started for a connection: it says who it is, and who has
// come, and repeats lines until the connection ends.
func inetd() int {
	var in, three syscall.Stat_t
	if err := syscall.Fstat(0, &in); err != nil || syscall.Fstat(3, &three) != nil || in.Ino != three.Ino ||
		os.Getenv("LISTEN_FDS") != "1" || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		fmt.Fprintln(os.Stderr, "it is given", os.Environ(), in, three, err)
		return 3
	}
	fmt.Println(os.Getpid(), os.Getenv("LISTEN_FDNAMES"), os.Getenv("REMOTE_ADDR"), os.Getenv("REMOTE_PORT"))
	fmt.Fprintln(os.Stderr, "serves", os.Getenv("LISTEN_FDNAMES"))
	if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
		return 4
	}
	return 0
}

// A guest is a connection to a program that is started for it.
type guest struct {
	t *testing.T
	net.Conn
	lines *bufio.Reader
}

func visits(t *testing.T, network, address string) guest {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * patience))
	return guest{t, c, bufio.NewReader(c)}
}

// hears is the next line.
func (g guest) hears() string {
	g.t.Helper()
	text, err := g.lines.ReadString('\n')
	if err != nil {
		g.t.Fatalf("it said %q, %v", text, err)
	}
	return strings.TrimSpace(text)
}

// says sends a line, which must come back.
func (g guest) says(text string) {
	g.t.Helper()
	fmt.Fprintln(g, text)
	if got := g.hears(); got != text {
		g.t.Errorf("it said %q, want %q", got, text)
	}
}

// TestAServiceIsStartedForEachConnection: each has a process of its own, which goes on
// when the server is killed and when all of zinit is replaced; who is too many waits, and
// a stop ends them all.
func TestAServiceIsStartedForEachConnection(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	path := filepath.Join(in.dir, "echo.sock")
	tcp := "127.0.0.1:" + strconv.Itoa(freePorts(t, 1)[0])
	in.write("echo", file("echo", childExec(t, "inetd"), stopped)+fmt.Sprintf(
		"[[socket]]\nlisten = %q\naccept = true\nmax_connections = 2\n[[socket]]\nlisten = %q\nname = \"local\"\nmode = \"0600\"\naccept = true\n",
		"tcp:"+tcp, "unix:"+path))
	in.ofItsOwn()
	in.launch()
	in.waitState("echo", "inactive")

	one := visits(t, "tcp", tcp)
	host, port, _ := net.SplitHostPort(one.LocalAddr().String())
	who := strings.Fields(one.hears())
	if len(who) != 4 || who[1] != "connection" || who[2] != host || who[3] != port {
		t.Errorf("it was told of %q, and is %s", who, one.LocalAddr())
	}
	two := visits(t, "unix", path)
	if got := two.hears(); !strings.HasSuffix(got, " local") {
		t.Errorf("it was told of %q", got)
	}
	three := visits(t, "unix", path)
	in.until("two are shown", func() (string, bool) {
		var s sock.ServiceStatusFull
		text := in.must("status", "echo", "--json")
		err := json.Unmarshal([]byte(text), &s)
		return text, err == nil && s.State.State == sock.Running && s.OpenConnections == 2 && len(s.Connections) == 2 &&
			s.ConnectionsTotal == 2 && s.Connections[0].Peer == one.LocalAddr().String() && fmt.Sprint(s.Connections[0].PID) == who[0] && len(s.Sockets) == 2
	})

	if err := syscall.Kill(in.serverPID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	one.says("while no server is there")
	in.must("ping", "--timeout", patience.String())
	if err := syscall.Kill(in.keeperPID(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	two.says("during an upgrade")
	one.Close() // there is room for the third
	three.hears()
	three.says("room")
	two.says("still here")
	in.must("stop", "--wait", "echo")
	for _, g := range []guest{two, three} {
		if text, err := io.ReadAll(g.lines); len(text) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("after the stop: %q, %v", text, err)
		}
	}
	four := visits(t, "tcp", tcp) // who comes starts it again
	four.hears()
	in.until("all have written", func() (string, bool) {
		log := in.must("logs", "echo")
		return log, strings.Count(log, "serves local") == 2 && strings.Count(log, "serves connection") == 2
	})
	in.shutdown()
	if _, err := io.ReadAll(four.lines); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("after the end: %v", err)
	}
}
