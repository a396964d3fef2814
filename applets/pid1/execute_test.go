package pid1

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const another = "zinit: this keeper is zinit"

// reexec has the keeper become the program at its path.
func (p *play) reexec() *play {
	p.t.Helper()
	p.send(unix.SIGUSR2)
	p.await(another)
	return p
}

func serverPid(line string) int {
	pid, _ := strconv.Atoi(strings.Fields(line)[0])
	return pid
}

func TestAKeeperBecomesTheFileThatIsAtItsPathNow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zinit")
	copyBinary(t, path)
	copyBinary(t, path+".new")
	p := enter(t, "good", func(cmd *exec.Cmd) { cmd.Path = path })
	server := serverPid(p.await("server "))
	up(p)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	p.reexec()
	for pid, want := range map[int]string{p.cmd.Process.Pid: path, server: path + ".old", p.pids[0]: path + ".old"} {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); exe != want {
			t.Errorf("pid %d runs %s, %v: want %s", pid, exe, err, want)
		}
	}
	p.losesServer(server)
	p.send(unix.SIGTERM)
	p.ends(0)
	if n := p.count("a "); n != 2 || p.count("server ") != 2 { // up, stops
		t.Errorf("something was started again:\n%s", strings.Join(p.seen, "\n"))
	}
}

func TestManyReexecsLeakNothing(t *testing.T) {
	p := up(enter(t, "good", nil))
	files := func() int {
		names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/fd/*", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{} // in any of the tables
		for _, name := range names {
			seen[filepath.Base(name)] = true
		}
		return len(seen)
	}
	before := files()
	for range 100 {
		p.reexec()
	}
	if after := files(); after > before+3 {
		t.Errorf("%d descriptors became %d", before, after)
	}
	if p.count("server ") != 1 {
		t.Errorf("the server was replaced:\n%s", strings.Join(p.seen, "\n"))
	}
	p.send(unix.SIGTERM)
	p.awaitAll("a stops", "b stops")
	p.ends(0)
}

func TestASignalThatComesWithAReexecIsObeyed(t *testing.T) {
	for range 10 {
		p := up(enter(t, "good", nil))
		p.send(unix.SIGUSR2)
		p.send(unix.SIGTERM)
		p.ends(0)
	}
	p := up(enter(t, "good", nil))
	for range 20 {
		p.reexec()
		p.send(unix.SIGUSR2)
		// The rehearsal takes some milliseconds; this is before, amidst or after the exec.
		<-time.After(rand.N(15 * time.Millisecond))
		p.send(unix.SIGUSR1)
		p.awaitAll(another, "server got signal 10", "ready")
	}
	p.send(unix.SIGTERM)
	p.ends(0)
}

// Those that Go's runtime is open to while it begins are dropped in that moment.
func TestNoSignalEndsAKeeperThatBecomesAnotherProgram(t *testing.T) {
	p := up(enter(t, "good", nil))
	for range 20 {
		p.send(unix.SIGUSR2)
		done := make(chan struct{})
		go func() {
			for tick := time.NewTicker(200 * time.Microsecond); ; {
				select {
				case <-done:
					return
				case <-tick.C:
					_ = p.cmd.Process.Signal(unix.SIGHUP) // its end is found below
				}
			}
		}()
		p.await(another)
		p.await("server got signal 1")
		close(done)
	}
	p.send(unix.SIGTERM)
	p.ends(0)
}

func TestProcess1BecomesAnotherProgram(t *testing.T) {
	p := enter(t, "good", func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
		if os.Geteuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		}
	})
	p.awaitAll("ready", "a ", "b ")
	p.pids = nil // they are of another namespace
	for range 10 {
		p.reexec()
	}
	p.send(unix.SIGUSR1)
	if found := p.await("server "); !strings.Contains(found, "got signal 10") {
		t.Errorf("server %s", found)
	}
	if found := p.await("server "); !strings.HasSuffix(found, "finds [a b]") {
		t.Errorf("server %s", found)
	}
	p.await("ready")
	p.send(unix.SIGTERM)
	p.ends(0)
}

func TestProcess1OfAUserNamespaceBecomesAnotherProgram(t *testing.T) {
	p := enter(t, "good", func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWPID | unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		}
	})
	p.awaitAll("ready", "a ", "b ")
	p.pids = nil // they are of another namespace
	p.reexec().reexec().send(unix.SIGTERM)
	p.ends(0)
}

func TestProcess1OfAMachineStaysThat(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may ask the kernel to end a namespace")
	}
	p := enter(t, "good", func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
		cmd.Args = append(cmd.Args, "quiet", "--nonsense") // as kernels do
		cmd.Env = append(cmd.Env, "ZINIT_PLAY_MACHINE=1")
	})
	p.awaitAll("zinit: not understood", "ready", "a ", "b ")
	p.pids = nil // they are of another namespace
	p.reexec().reexec().send(unix.SIGTERM)
	p.ends(-1)
	if ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != unix.SIGINT || p.count("zinit: not understood") != 1 {
		t.Errorf("it ended with %v:\n%s", ws.Signal(), strings.Join(p.seen, "\n"))
	}
}

func TestAFileThatCannotTakeOverIsRefusedInOneLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zinit")
	copyBinary(t, path)
	p := enter(t, "good", func(cmd *exec.Cmd) { cmd.Path = path })
	server := serverPid(p.await("server "))
	up(p)
	for _, c := range []struct{ text, want string }{
		{"#!/bin/sh\nexit 0\n", path + " is no program for this kind of machine"},
		{"\x7fELF and no more", "cannot start " + path + ": exec format error"},
		{"", "open " + path + ": no such file or directory"},
	} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if c.text != "" {
			if err := os.WriteFile(path, []byte(c.text), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		p.send(unix.SIGUSR2)
		p.await("zinit: the keeper stays the program that it is: " + c.want)
	}
	if err := unix.Kill(server, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.await("server ")
	copyBinary(t, path)
	p.reexec().send(unix.SIGTERM)
	p.ends(0)
}

// The terminal, the back-off and a soft restart go on in the next program.
func TestWhatAKeeperWasAboutToDoItsSuccessorDoes(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "marker")
	p := enter(t, "exits later", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "ZINIT_PLAY_MARKER="+marker) })
	first := p.await("server ")
	up(p)
	if err := unix.Kill(serverPid(first), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.await("zinit: the server ended (exit code 7) before it was ready: starting it again in 400ms")
	p.reexec()
	p.await("zinit: the server ended (exit code 7) before it was ready: starting it again in 800ms")
	p.send(unix.SIGTERM)
	p.ends(0)

	p = up(enter(t, "stays", nil))
	p.send(unix.SIGUSR1)
	p.await("server got signal 10")
	p.send(unix.SIGUSR2)
	p.awaitAll(another, "zinit: the server was asked to end and did not within 500ms: killing it", "zinit: the server ended (killed by signal 9) to be replaced", "ready")
	p.send(unix.SIGTERM)
	p.ends(0)
}

func TestTheTerminalOfAKeeperIsThatOfItsSuccessor(t *testing.T) {
	p, master := onTerminal(t)
	p.reexec()
	master.Close()
	p.await("b stops")
	p.ends(0)
}
