package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Of listen, in its environment: what it calls itself, the port that it listens on
// (empty: on none, 0: on any), and whether it ignores SIGTERM.
const (
	listenName = "LISTEN_NAME"
	listenPort = "LISTEN_PORT"
	listenDeaf = "LISTEN_DEAF"
)

// listen plays a server; it says its port.
func listen() int {
	if name := os.Getenv(listenName); name != "" {
		if err := os.WriteFile("/proc/self/comm", []byte(name), 0); err != nil {
			return 1
		}
	}
	if os.Getenv(listenDeaf) != "" {
		signal.Ignore(syscall.SIGTERM)
	}
	port := os.Getenv(listenPort)
	if port == "" {
		fmt.Println(0)
		select {}
	}
	l, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	for {
		if _, err := l.Accept(); err != nil {
			return 4
		}
	}
}

// listener is a service that listens; its other lines are of the table [service].
func listener(t *testing.T, name, comm string, port int, rest ...string) string {
	exec := fmt.Sprintf("env %s=%s %s=%s %s", listenName, comm, listenPort, portText(port), childExec(t, "listen"))
	return file(name, exec, rest...)
}

func portText(port int) string {
	if port < 0 {
		return ""
	}
	return strconv.Itoa(port)
}

// A foreigner is a process that zinit knows nothing of.
type foreigner struct {
	pid, port int
	ended     chan syscall.WaitStatus
}

// foreign starts a process that listens on a port, 0: any, less: none.
func foreign(t *testing.T, comm string, port int, env ...string) *foreigner {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(env, childVar+"=listen", listenName+"="+comm, listenPort+"="+portText(port), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f := &foreigner{pid: cmd.Process.Pid, ended: make(chan syscall.WaitStatus, 1)}
	said := bufio.NewReader(out)
	if _, err := fmt.Fscan(said, &f.port); err != nil {
		cmd.Process.Kill()
		t.Fatal(err)
	}
	go func() {
		err := cmd.Wait()
		var exit *exec.ExitError
		if err == nil || errors.As(err, &exit) {
			f.ended <- cmd.ProcessState.Sys().(syscall.WaitStatus)
		}
		close(f.ended)
	}()
	t.Cleanup(func() { cmd.Process.Kill(); <-f.ended })
	return f
}

// ends kills it.
func (f *foreigner) ends(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(f.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-f.ended
}

// lives fails the test when something has ended it.
func (f *foreigner) lives(t *testing.T) {
	t.Helper()
	select {
	case status := <-f.ended:
		t.Errorf("a bystander has ended: %v", status)
	default:
	}
}

// endedBy waits for the signal that ends it.
func (f *foreigner) endedBy(t *testing.T, sig syscall.Signal) {
	t.Helper()
	select {
	case status := <-f.ended:
		if !status.Signaled() || status.Signal() != sig {
			t.Errorf("it has ended with %#x, not by %s", status, sig)
		}
	case <-time.After(patience):
		t.Errorf("nothing has ended it in %s", patience)
	}
}

// ownName is a name for a process that none of another run of the tests has.
func ownName(name string) string { return name + strconv.Itoa(os.Getpid()%1_000_000) }

// blocked waits until a service is blocked for this reason.
func (in *instance) blocked(service, reason string) {
	in.t.Helper()
	in.until("its reason", func() (string, bool) {
		s := in.status(service)
		return s.State.State + ": " + s.Reason, s.State.State == "blocked" && s.Reason == reason
	})
}

func ports(port int) string { return fmt.Sprintf("ports = [%d]", port) }

func TestAPortInUseBlocksAStart(t *testing.T) {
	t.Parallel()
	squatter := foreign(t, "squatter", 0)
	port := squatter.port
	in := startServer(t, map[string]string{"web": listener(t, "web", "web", port, ports(port))})
	fact := fmt.Sprintf("port %d is in use by squatter (pid %d) on tcp 127.0.0.1:%[1]d", port, squatter.pid)
	reason := fact + ": stop it, or set kill_others = true"
	in.blocked("web", reason)
	for _, args := range [][]string{{"list"}, {"status", "web"}, {"why", "web"}, {"logs", "web"}} {
		// A table breaks long lines.
		if out := strings.Join(strings.Fields(in.must(args...)), " "); !strings.Contains(out, fact) || !strings.Contains(out, "kill_others") {
			t.Errorf("zinit %s: %s", strings.Join(args, " "), out)
		}
	}
	if out := in.must("why", "--json", "web"); !strings.Contains(out, `"port_conflict":"`+fact+`"`) || !strings.Contains(out, `"reason":"`+reason+`"`) {
		t.Error(out)
	}
	// It starts by itself.
	squatter.ends(t)
	in.waitState("web", "running")
	// A restart by hand looks at once, and so does a start.
	in.must("stop", "--wait", "web")
	squatter = foreign(t, "squatter", port)
	out, code := in.zinit("start", "--wait", "web")
	if code == 0 || !strings.Contains(out, fmt.Sprintf("by squatter (pid %d)", squatter.pid)) {
		t.Errorf("started, with code %d: %s", code, out)
	}
	squatter.ends(t)
	if out := in.must("start", "web"); out != "Started: web\n" {
		t.Errorf("not started at once: %s", out)
	}
	in.waitState("web", "running")
	// The policy's restart looks, too.
	run := in.status("web").Run
	in.kill9("web")
	if again := in.waitRun("web", run); again.Restarts != 1 {
		t.Errorf("%d restarts", again.Restarts)
	}
}

// A port with connections, living or lingering, is free: the original ends every
// process of the machine for one.
func TestConnectionsAreInNobodysWay(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	pair := func() (client, server net.Conn) {
		client, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if server, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		return client, server
	}
	client, server := pair()
	defer client.Close()
	defer server.Close()
	past, first := pair()
	first.Close() // who closes first keeps TIME_WAIT
	past.Close()
	l.Close()
	in := startServer(t, map[string]string{"web": file("web", quiet, ports(port), "kill_others = true")})
	in.waitState("web", "running")
}

func TestKillOthersEndsTheOwnersAlone(t *testing.T) {
	t.Parallel()
	owner, bystander := foreign(t, "owner", 0), foreign(t, "owner", 0)
	stubborn := foreign(t, "stubborn", 0, listenDeaf+"=1")
	client, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", owner.port))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	in := startServer(t, map[string]string{
		"beside": listener(t, "beside", "owner", freePorts(t, 1)[0]),
		"web":    listener(t, "web", "web", owner.port, ports(owner.port), "kill_others = true"),
		"slow":   listener(t, "slow", "slow", stubborn.port, ports(stubborn.port), "kill_others = true"),
	})
	in.waitState("beside", "running")
	check := in.untouched("beside")
	owner.endedBy(t, syscall.SIGTERM)
	in.waitState("web", "running")
	stubborn.endedBy(t, syscall.SIGKILL)
	in.waitState("slow", "running")
	bystander.lives(t)
	check()
	want := fmt.Sprintf("ended who was in the way: port %d is in use by owner (pid %d) on tcp 127.0.0.1:%[1]d", owner.port, owner.pid)
	if out := in.must("logs", "web"); !strings.Contains(out, want) {
		t.Errorf("the log of web: %s", out)
	}
}

// What belongs to zinit, and what zinit belongs to, is not ended.
func TestKillOthersSparesOurOwn(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0") // by the parent of the keeper
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	name := ownName("our")
	above, taken := l.Addr().(*net.TCPAddr).Port, freePorts(t, 1)[0]
	in := newInstance(t, map[string]string{"holder": listener(t, "holder", name, taken)})
	in.launch()
	in.waitState("holder", "running")
	in.until("its port", func() (string, bool) {
		out := in.must("logs", "holder")
		return out, strings.Contains(out, strconv.Itoa(taken))
	})
	check, holder := in.untouched("holder"), in.pid("holder")
	bystander := foreign(t, name+"z", 0)
	in.write("grab", file("grab", quiet, ports(taken), "kill_others = true"))
	in.write("up", file("up", quiet, ports(above), "kill_others = true"))
	in.write("name", file("name", quiet, fmt.Sprintf("process_filters = [%q]", strings.ToUpper(name)), "kill_others = true"))
	in.must("reload")
	in.blocked("grab", fmt.Sprintf("port %d is in use by %s (pid %d) on tcp 127.0.0.1:%[1]d: it belongs to the service holder: stop holder", taken, name, holder))
	self, _ := processOf(os.Getpid())
	in.blocked("up", fmt.Sprintf("port %d is in use by %s (pid %d) on tcp 127.0.0.1:%[1]d: it is above zinit, which does not end it: stop it", above, self.name, self.pid))
	// Of two with the name only the foreign one is ended.
	bystander.endedBy(t, syscall.SIGTERM)
	in.waitState("name", "running")
	check()
	in.must("stop", "--wait", "holder")
	in.must("start", "grab")
	in.waitState("grab", "running")
}

func TestAProcessInTheWayByItsName(t *testing.T) {
	t.Parallel()
	name := ownName("rival")
	filter := strings.ToUpper(name)
	other := foreign(t, "x"+name, -1)
	in := startServer(t, map[string]string{
		"web":  file("web", quiet, fmt.Sprintf(`process_filters = ["nosuchname", %q]`, filter)),
		"free": file("free", quiet, `process_filters = ["nosuchname"]`),
	})
	in.waitState("free", "running")
	in.blocked("web", fmt.Sprintf("process x%s (pid %d) is running, which the filter %q does not allow beside it: stop it, or set kill_others = true", name, other.pid, filter))
	if out, want := in.must("why", "web"), fmt.Sprintf("Process conflict: %s matches x%s (pid %d)", filter, name, other.pid); !strings.Contains(out, want) {
		t.Errorf("%q is not in %s", want, out)
	}
	other.ends(t)
	in.must("start", "web")
	in.waitState("web", "running")
}

func TestTwoServicesOfOnePort(t *testing.T) {
	t.Parallel()
	port := freePorts(t, 1)[0]
	in := startServer(t, map[string]string{
		"a": listener(t, "a", "a", port, ports(port)),
		"b": listener(t, "b", "b", port, ports(port), "kill_others = true"),
	})
	in.waitState("a", "running")
	in.blocked("b", fmt.Sprintf("port %d is in use by the service a: stop a, or give one of them another port", port))
	// It is not taken from a while that comes back.
	run := in.status("a").Run
	in.kill9("a")
	in.waitRun("a", run)
	in.must("restart", "a")
	in.waitState("a", "running")
	in.must("stop", "a")
	in.waitState("b", "running")
}
