package main_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/sock"
)

// Fault 59: started without standard descriptors.
func TestFault59StandardDescriptorsMayBeClosed(t *testing.T) {
	t.Parallel()
	for name, closed := range map[string]string{"stdin": "<&-", "stdout": ">&-", "stderr": "2>&-", "all": "<&- >&- 2>&-"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, map[string]string{
				"speaks": file("speaks", `sh -c "echo out; echo err >&2; readlink /proc/self/fd/0; exec sleep 100000"`),
			})
			in.alter = func(cmd *exec.Cmd) {
				cmd.Args = append([]string{"sh", "-c", `exec "$0" "$@" ` + closed, cmd.Path}, cmd.Args[1:]...)
				cmd.Path = "/bin/sh"
			}
			in.spawn()
			in.until("an answer", func() (string, bool) {
				out, code := in.zinit("ping")
				return out, code == 0
			})
			in.waitState("speaks", "running")
			in.until("what it says", func() (string, bool) {
				log := in.must("logs", "speaks")
				return log, strings.Contains(log, "[stdout] out\n") && strings.Contains(log, "[stderr] err\n") &&
					strings.Contains(log, "[stdout] /dev/null\n")
			})
			in.kill9("speaks")
			in.waitRun("speaks", 1)
			in.shutdown()
		})
	}
}

// Fault 63: process 1 of a system that holds nothing but the program itself. The
// services are that program too: there is no other.
func TestFault63Process1NeedsNoDeviceNoShellAndNoStandardDescriptor(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"zinit-pid1", "zinit-server", "zinit"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, err := os.MkdirTemp("", "zinit-e2e-")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(root)
			furnish(t, root)
			p := startProcess1(t, root, name)
			in := &instance{t: t, socket: filepath.Join(root, "run", "s"), env: os.Environ()}
			in.until("an answer of process 1", func() (string, bool) {
				out, code := in.zinit("ping")
				return out, code == 0
			})
			in.waitState("stays", "running")
			in.waitState("speaks", "exited")
			if log := in.must("logs", "speaks"); !strings.Contains(log, "[stdout] zinit ") {
				t.Errorf("the log is %q", log)
			}
			if s := in.status("stays"); s.State.State != sock.Running {
				t.Errorf("stays is %s", s.State.State)
			}
			in.must("shutdown")
			if code := p.exit(); code != 0 {
				t.Errorf("process 1 ended with %d", code)
			}
		})
	}
}

// furnish puts all that there is into the root of a system.
func furnish(t *testing.T, root string) {
	t.Helper()
	for _, dir := range []string{"services", "run"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	from, err := os.Open(filepath.Join(binDir(t), "zinit"))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(root, "zinit"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		// It waits for itself to end, which is to say for ever.
		"stays":  file("stays", "/zinit --socket /run/s wait stays --state exited"),
		"speaks": file("speaks", "/zinit -V", "oneshot = true"),
	} {
		if err := os.WriteFile(filepath.Join(root, "services", name+".toml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A process1 is one in a PID namespace of its own.
type process1 struct {
	t     *testing.T
	pid   int
	ended chan syscall.WaitStatus
}

// startProcess1 starts the program under a name as process 1, with that root and
// without any descriptor. With it everything in its namespace ends.
func startProcess1(t *testing.T, root, name string) *process1 {
	t.Helper()
	args := []string{name, "--config-dir", "/services", "--socket", "/run/s"}
	if name == "zinit" {
		args = []string{name, "init", "-c", "/services", "--socket", "/run/s"}
	}
	attr := &syscall.ProcAttr{ // and without any environment
		Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Chroot: root, Setsid: true},
	}
	if uid := os.Geteuid(); uid != 0 {
		attr.Sys.Cloneflags |= syscall.CLONE_NEWUSER
		attr.Sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attr.Sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	pid, err := forkExec("/zinit", args, attr)
	if err != nil {
		t.Skipf("needs namespaces for processes and mounts: %v", err)
	}
	p := &process1{t: t, pid: pid, ended: make(chan syscall.WaitStatus, 1)}
	go func() {
		var status syscall.WaitStatus
		for {
			if _, err := syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
				break
			}
		}
		p.ended <- status
		close(p.ended)
	}()
	t.Cleanup(func() {
		select {
		case <-p.ended:
		default:
			syscall.Kill(pid, syscall.SIGKILL)
			<-p.ended
		}
	})
	return p
}

// forkExec tries again while a test beside this one still has the program, which
// was just written, open in a process that it forked.
func forkExec(path string, args []string, attr *syscall.ProcAttr) (pid int, err error) {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for range 400 {
		if pid, err = syscall.ForkExec(path, args, attr); err != syscall.ETXTBSY {
			break
		}
		<-again.C
	}
	return pid, err
}

// exit waits for its end.
func (p *process1) exit() int {
	p.t.Helper()
	select {
	case status := <-p.ended:
		if status.Signaled() {
			p.t.Errorf("process 1 was ended by %v", status.Signal())
		}
		return status.ExitStatus()
	case <-time.After(patience):
		p.t.Fatal("process 1 does not end")
		return -1
	}
}

// Fault 60: the runtime directory is deleted under the running server.
func TestFault60TheServerGoesOnWithoutItsRuntimeDirectory(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{
		"held":  file("held", quiet),
		"talks": file("talks", `sh -c "while :; do date +%N; sleep 0.02; done"`, "[logging]", fmt.Sprintf("file = %q", "/dev/null")),
	})
	d := in.observed("a", "still")
	in.write("told", file("told", acts(t, "await", in.path("go"), "tell", "READY=1", "serve"), `type = "notify"`))
	in.launch()
	in.lived("a", d, 1)
	if _, err := in.dial().Monitor(shortly(t), described("brief", quiet)); err != nil {
		t.Fatal(err)
	}
	in.waitState("held talks brief", "running")
	check := in.untouched("talks", "brief")
	dir := filepath.Join(in.dir, "zinit")
	if err := os.Rename(dir, dir+".gone"); err != nil { // at once: it is made again while one deletes
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir + ".gone"); err != nil {
		t.Fatal(err)
	}
	in.until("new lines in the log", func() (string, bool) {
		log := in.must("logs", "talks")
		return log, strings.Count(log, "[stdout]") > 5
	})
	in.must("stop", "--wait", "held")
	in.must("restart", "--wait", "a")
	in.lived("a", d, 2)
	check()
	for _, name := range []string{"lock", "state", filepath.Join("services", "brief.toml")} {
		in.until(name+" to be made again", func() (string, bool) {
			_, err := os.Stat(filepath.Join(dir, name))
			return fmt.Sprint(err), err == nil
		})
	}
	in.until("the notify socket to be made again", func() (string, bool) {
		names, err := os.ReadDir(filepath.Join(dir, "notify"))
		return fmt.Sprint(names, err), len(names) == 1
	})
	in.cue("go")
	in.waitState("told", "running")
	check = in.untouched("a", "talks", "brief")
	in.killServer()
	check()
	if s := in.status("held"); s.State.State != sock.Exited {
		t.Errorf("what was stopped by hand is %s", s.State.State)
	}
	in.until("lines under the next server", func() (string, bool) {
		log := in.must("logs", "talks")
		return log, strings.Count(log, "[stdout]") > 5
	})
	if !in.tells("warn", dir) {
		t.Error("nobody says so")
	}
}
