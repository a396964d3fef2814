package main_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// given plays a server that is given its sockets: it tells each client its pid and the
// name of the socket. Datagrams and bytes of a fifo it writes to the file DATAGRAMS.
func given() int {
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	if err != nil || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) || len(names) != n {
		fmt.Fprintln(os.Stderr, "it is given", os.Environ())
		return 3
	}
	for i, name := range names {
		f := os.NewFile(uintptr(3+i), name)
		if kind, err := syscall.GetsockoptInt(3+i, syscall.SOL_SOCKET, syscall.SO_TYPE); err != nil || kind == syscall.SOCK_DGRAM {
			go note(name, f)
			continue
		}
		l, err := net.FileListener(f)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 4
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(5)
				}
				fmt.Fprintln(c, os.Getpid(), name)
				c.Close()
			}
		}()
	}
	select {}
}

// note writes down what comes.
func note(name string, f *os.File) {
	buf := make([]byte, 100)
	n, err := f.Read(buf)
	out, openErr := os.OpenFile(os.Getenv("DATAGRAMS"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if openErr != nil {
		os.Exit(6)
	}
	fmt.Fprintln(out, name, string(buf[:n]), err)
	out.Close()
}

// asks connects and returns what it is told.
func asks(network, address string) (string, error) {
	c, err := net.Dial(network, address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * patience))
	said, err := io.ReadAll(c)
	return strings.TrimSpace(string(said)), err
}

// TestSocketsOfAServiceOutliveItAndTheServer: nobody who connects is refused, or is not
// answered, while the service and the server are restarted, killed and reloaded.
func TestSocketsOfAServiceOutliveItAndTheServer(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	path := filepath.Join(in.dir, "web.sock")
	tcp := "127.0.0.1:" + strconv.Itoa(freePorts(t, 1)[0])
	text := file("web", childExec(t, "given")) + "[lifecycle]\nrestart_delay_ms = 0\n" +
		fmt.Sprintf("[[socket]]\nlisten = %q\nname = \"http\"\n[[socket]]\nlisten = %q\nname = \"local\"\nmode = \"0600\"\n", "tcp:"+tcp, "unix:"+path)
	in.write("web", text)
	in.launch()
	in.waitState("web", "running")
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("its file is %v, %v", st, err)
	}

	var over atomic.Bool
	var answered atomic.Int64
	var clients sync.WaitGroup
	for _, to := range [][3]string{{"tcp", tcp, "http"}, {"unix", path, "local"}} {
		clients.Go(func() {
			for !over.Load() {
				// Who is accepted by a process that is killed then is cut off; refused is nobody.
				said, err := asks(to[0], to[1])
				if err != nil && !strings.Contains(err.Error(), "reset") || said != "" && !strings.HasSuffix(said, " "+to[2]) {
					t.Errorf("%s said %q, %v", to[1], said, err)
					return
				}
				answered.Add(1)
				<-time.After(time.Millisecond)
			}
		})
	}
	more := func(what string) {
		t.Helper()
		was := answered.Load()
		in.until("answers after "+what, func() (string, bool) {
			n := answered.Load()
			return fmt.Sprint(n, " after ", was), n > was+4 || t.Failed()
		})
	}
	more("the start")
	pid := in.pid("web")
	in.must("restart", "--wait", "web")
	more("a restart")
	if again := in.pid("web"); again == pid {
		t.Errorf("it has still the pid %d", pid)
	}
	syscall.Kill(in.pid("web"), syscall.SIGKILL)
	more("its death")
	in.must("reload")
	more("a reload")
	syscall.Kill(in.serverPID(), syscall.SIGKILL)
	in.must("ping", "--timeout", patience.String())
	in.must("restart", "--wait", "web")
	more("the death of the server")
	over.Store(true)
	clients.Wait()
	if t.Failed() {
		t.Log(in.must("status", "web"))
	}
}

// TestWhoComesToItsSocketStartsAService, be it by a connection, a datagram or a byte, and
// after each of its ends; under another server, too.
func TestWhoComesToItsSocketStartsAService(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	at := func(name string) string { return filepath.Join(in.dir, name) }
	listens := func(name, list string) string {
		exec := fmt.Sprintf("env DATAGRAMS=%s %s", at(name+".log"), childExec(t, "given"))
		return file(name, exec, stopped) + fmt.Sprintf("[socket]\nlisten = %q\n", list)
	}
	in.write("web", listens("web", "unix:"+at("web.sock")))
	in.write("log", listens("log", "unixgram:"+at("log.sock")))
	in.write("pipe", listens("pipe", "fifo:"+at("pipe.fifo")))
	udp := "127.0.0.1:" + strconv.Itoa(freePorts(t, 1)[0])
	in.write("net", listens("net", "udp:"+udp))
	in.launch()
	in.waitState("web log pipe net", "inactive")

	first, err := asks("unix", at("web.sock"))
	if err != nil || !strings.HasSuffix(first, " web") {
		t.Fatalf("it said %q, %v", first, err)
	}
	in.must("stop", "--wait", "web")
	second, err := asks("unix", at("web.sock"))
	if err != nil || second == "" || second == first {
		t.Fatalf("it said %q after %q, %v", second, first, err)
	}
	in.must("stop", "--wait", "web")
	syscall.Kill(in.serverPID(), syscall.SIGKILL)
	third, err := asks("unix", at("web.sock")) // it waits for another server
	if err != nil || third == "" || third == second {
		t.Fatalf("it said %q after %q, %v", third, second, err)
	}

	for network, to := range map[string]string{"unixgram": at("log.sock"), "udp": udp} {
		c, err := net.Dial(network, to)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("datagram")); err != nil {
			t.Fatal(err)
		}
	}
	p, err := os.OpenFile(at("pipe.fifo"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := p.WriteString("byte"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"log": "log datagram <nil>\n", "net": "net datagram <nil>\n", "pipe": "pipe byte <nil>\n"} {
		in.until(name+" got it", func() (string, bool) {
			text, err := os.ReadFile(at(name + ".log"))
			return fmt.Sprint(string(text), err), string(text) == want
		})
	}
	in.shutdown()
	for name, there := range map[string]bool{"web.sock": false, "log.sock": false, "pipe.fifo": true} {
		if _, err := os.Lstat(at(name)); (err == nil) != there {
			t.Errorf("%s is there after the end: %v", name, !there)
		}
	}
}
