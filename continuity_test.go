package main_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A manager is a socket like systemd's, which is told how a service is.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newManager(in *instance) *manager {
	in.t.Helper()
	path := filepath.Join(in.dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() { conn.Close() })
	in.env = append(in.env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=1", "LISTEN_FDS=1")
	return &manager{in.t, conn}
}

// hears waits for the next message, which must have this assignment.
func (m *manager) hears(assignment string) {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		m.t.Fatal(err)
	}
	text := make([]byte, 4096)
	n, err := m.conn.Read(text)
	if err != nil {
		m.t.Fatalf("waited for %s: %v", assignment, err)
	}
	for _, line := range strings.Split(string(text[:n]), "\n") {
		if line == assignment {
			return
		}
	}
	m.t.Fatalf("heard %q, want %s", text[:n], assignment)
}

func TestTheManagerAboveIsToldAndServicesAreNotToldAboutIt(t *testing.T) {
	in := newInstance(t, map[string]string{"env": "[service]\nname = \"env\"\nexec = \"env\"\noneshot = true\n"})
	m := newManager(in)
	in.launch()
	m.hears("READY=1")
	in.waitState("env", "exited")
	if out := in.must("logs", "env"); strings.Contains(out, "NOTIFY_SOCKET") || strings.Contains(out, "WATCHDOG") || strings.Contains(out, "LISTEN_") ||
		!strings.Contains(out, in.mark) {
		t.Errorf("the environment of a service:\n%s", out)
	}
	if err := syscall.Kill(in.keeperPID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	m.hears("RELOADING=1")
	m.hears("READY=1")
	if err := syscall.Kill(in.serverPID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.hears("READY=1")
	in.must("shutdown")
	m.hears("STOPPING=1")
}

func TestTheUnitFileSaysWhatContinuityNeeds(t *testing.T) {
	text, err := os.ReadFile("docs/zinit.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Type=notify", "NotifyAccess=all", "Delegate=yes", "KillMode=mixed", "ExecReload=/bin/kill -HUP $MAINPID"} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

// takeover replaces the server by whatever the test does to it, and returns when
// another one answers.
func (in *instance) takeover(do func(server int)) {
	in.t.Helper()
	old := in.serverPID()
	do(old)
	in.another(old)
}

func send(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

func TestSIGUSR1ReplacesTheServerAndNothingElse(t *testing.T) {
	in := startServer(t, map[string]string{
		"web": "[service]\nname = \"web\"\nexec = \"sleep 1000\"\n",
		"off": "[service]\nname = \"off\"\nexec = \"sleep 1000\"\n",
	})
	in.waitState("web off", "running")
	in.must("stop", "off", "--wait")
	pid := in.pid("web")
	in.takeover(func(server int) { send(t, server, syscall.SIGUSR1) })
	in.takeover(func(int) { send(t, in.keeperPID(), syscall.SIGUSR1) })
	if now := in.pid("web"); now != pid {
		t.Errorf("web has pid %d, it had %d", now, pid)
	}
	if s := in.status("off"); s.State.State != "exited" {
		t.Errorf("what was stopped by hand is %s", s.State.State)
	}
}

func TestADirectoryThatCannotBeLoadedIsShownAndWhatRunsGoesOn(t *testing.T) {
	in := startServer(t, map[string]string{"web": "[service]\nname = \"web\"\nexec = \"sleep 1000\"\n"})
	in.waitState("web", "running")
	pid := in.pid("web")
	away := in.config + ".away"
	if err := os.Rename(in.config, away); err != nil {
		t.Fatal(err)
	}
	// What is in its place is no directory, for root either.
	if err := os.WriteFile(in.config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	in.takeover(func(server int) { send(t, server, syscall.SIGKILL) })
	if now := in.pid("web"); now != pid {
		t.Errorf("web has pid %d, it had %d", now, pid)
	}
	if out := in.must("ping", "--json"); !strings.Contains(out, in.config) {
		t.Errorf("nobody is told: %s", out)
	}
	in.must("stop", "web", "--wait")
	if err := os.Remove(in.config); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, in.config); err != nil {
		t.Fatal(err)
	}
	in.must("reload")
	if s := in.status("web"); s.State.State != "exited" {
		t.Errorf("after a reload web, which was stopped by hand, is %s", s.State.State)
	}
}

func TestAnEmptyListSaysWhyNothingWasLoaded(t *testing.T) {
	in := newInstance(t, nil)
	if err := os.Remove(in.config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in.config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	in.launch()
	if out, code := in.zinit("list"); code != 1 || !strings.Contains(out, "No services configured") || !strings.Contains(out, in.config) {
		t.Errorf("exit code %d: %s", code, out)
	}
}
