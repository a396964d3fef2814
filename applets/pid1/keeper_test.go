package pid1

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func up(p *play) *play {
	p.t.Helper()
	p.awaitAll("ready", "a ", "b ")
	return p
}

func TestAnOrderedShutdownLeavesNobody(t *testing.T) {
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT} {
		p := up(enter(t, "good", nil))
		p.send(sig)
		p.ends(0)
	}
}

func TestFault62TheFirstServersCodeIsTheKeepers(t *testing.T) {
	p := enter(t, "exits", nil)
	p.ends(7)
}

// losesServer kills the server, and waits until another one has found its services.
func (p *play) losesServer(pid int) {
	p.t.Helper()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
	if next := p.await("server "); !strings.HasSuffix(next, "finds [a b]") {
		p.t.Errorf("the next server: %s", next)
	}
	p.await("ready")
}

func TestAServerThatWasKilledFindsItsServicesAgain(t *testing.T) {
	p := enter(t, "good", nil)
	server := serverPid(p.await("server "))
	up(p)
	p.losesServer(server)
	p.send(unix.SIGTERM)
	p.ends(0)
	if n := p.count("a "); n != 2 { // up, stops
		t.Errorf("a was started again:\n%s", strings.Join(p.seen, "\n"))
	}
}

func TestASoftRestartChangesTheServerAndNothingElse(t *testing.T) {
	for part, says := range map[string]string{
		"good":  "zinit: the server ended (exit code 0) to be replaced: starting the next",
		"stays": "zinit: the server was asked to end and did not within 500ms: killing it",
	} {
		p := enter(t, part, nil)
		first := p.await("server ")
		from := len(up(p).seen)
		p.send(unix.SIGUSR1)
		p.await("server got signal 10")
		second := p.await("server ")
		p.awaitSince(from, says)
		if !strings.HasSuffix(second, "finds [a b]") || strings.Fields(first)[0] == strings.Fields(second)[0] {
			t.Errorf("%s: first server %s, second %s", part, first, second)
		}
		p.awaitSince(from, "ready")
		p.send(unix.SIGTERM)
		p.ends(0)
		if n := p.count("server got signal 10"); n != 1 {
			t.Errorf("%s: %d servers were asked to end:\n%s", part, n, strings.Join(p.seen, "\n"))
		}
	}
}

func TestASoftRestartUsesTheFileThatIsAtThePathNow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zinit")
	copyBinary(t, path)
	copyBinary(t, path+".new")
	p := enter(t, "good", func(cmd *exec.Cmd) { cmd.Path = path })
	p.await("server ")
	up(p)
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	p.send(unix.SIGUSR1)
	p.await("server got")
	second := p.await("server ")
	if exe, err := os.Readlink("/proc/" + strings.Fields(second)[0] + "/exe"); exe != path {
		t.Errorf("the second server runs %s, %v", exe, err)
	}
	p.await("ready")
	p.send(unix.SIGTERM)
	p.ends(0)
}

func TestAServerThatDiesBeforeItIsReadyIsReplaced(t *testing.T) {
	p := enter(t, "dies at first", func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "ZINIT_PLAY_MARKER="+filepath.Join(t.TempDir(), "marker"))
	})
	p.await("zinit: the server ended (killed by signal 9) before it was ready: starting it again in 100ms")
	up(p).send(unix.SIGTERM)
	p.ends(0)
}

// As far as it concerns a standalone keeper.
func TestFault14AServerThatEndsAgainAndAgainIsNotTheEndOfTheServices(t *testing.T) {
	p := enter(t, "exits later", func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "ZINIT_PLAY_MARKER="+filepath.Join(t.TempDir(), "marker"))
	})
	first := p.await("server ")
	up(p)
	pid, _ := strconv.Atoi(strings.Fields(first)[0])
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, delay := range []string{"100ms", "200ms", "400ms"} {
		p.await("zinit: the server ended (exit code 7) before it was ready: starting it again in " + delay)
	}
	for _, pid := range p.pids {
		if err := unix.Kill(pid, 0); err != nil {
			t.Errorf("service %d: %v", pid, err)
		}
	}
	p.send(unix.SIGTERM)
	p.await("b stops")
	p.ends(0)
}

// The keeper stops the services by itself, wave after wave.
func TestFault61TheKeeperStopsTheServicesWhenTheServerDoesNot(t *testing.T) {
	for _, part := range []string{"deaf", "hangs", "dies in the shutdown"} {
		p := up(enter(t, part, nil))
		p.send(unix.SIGTERM)
		p.ends(0)
		if !p.before("b stops", "a stops") {
			t.Errorf("%s: the waves were not kept:\n%s", part, strings.Join(p.seen, "\n"))
		}
	}
}

func TestFault15AStoppedServerIsKilledInTheShutdown(t *testing.T) {
	p := enter(t, "good", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "ZINIT_PLAY_STUBBORN=1") })
	first := p.await("server ")
	up(p)
	pid, _ := strconv.Atoi(strings.Fields(first)[0])
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.send(unix.SIGTERM)
	p.await("zinit: b did not stop in time: killing it")
	p.ends(0)
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("the server is left: %v", err)
	}
}

func TestTheSecondInterruptKills(t *testing.T) {
	p := up(enter(t, "hangs", nil))
	p.send(unix.SIGINT)
	p.await("draining")
	p.send(unix.SIGINT)
	p.ends(1)
	if p.count("a stops") > 0 {
		t.Errorf("a was asked first:\n%s", strings.Join(p.seen, "\n"))
	}
}

func TestWhatAServiceLeftBehindIsSwept(t *testing.T) {
	p := enter(t, "leaves a stray", nil)
	p.awaitAll("ready", "a ", "b ", "stray ", "forks ")
	p.send(unix.SIGTERM)
	p.ends(0)
}

func TestNoSignalEndsTheKeeper(t *testing.T) {
	p := up(enter(t, "good", nil))
	for sig := syscall.Signal(1); sig <= lastSignal; sig++ {
		switch sig {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGTERM, unix.SIGINT:
		case 32, 33, 34: // C libraries' own, not for Go to catch
		default:
			p.send(sig)
		}
	}
	p.awaitAll("server got signal 1", "server got signal 10", "ready", "zinit: this keeper is zinit")
	p.send(unix.SIGTERM)
	p.ends(0)
}

// A hang-up is told from a reload by the terminal.
func TestAClosedTerminalStopsTheServer(t *testing.T) {
	p, master := onTerminal(t)
	p.send(unix.SIGHUP)
	p.await("server got signal 1")
	master.Close()
	p.await("b stops")
	p.ends(0)
}

// onTerminal enters a keeper whose standard input is a terminal of its own.
func onTerminal(t *testing.T) (*play, *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() }) // it is closed already, nearly always
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := up(enter(t, "good", func(cmd *exec.Cmd) {
		cmd.Stdin = slave
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}))
	slave.Close()
	return p, master
}

func TestProcess1OfAContainer(t *testing.T) {
	p := enter(t, "good", func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
		if os.Geteuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		}
	})
	p.awaitAll("ready", "a ", "b ")
	p.pids = nil // they are of another namespace
	p.send(unix.SIGTERM)
	p.ends(0)
}

// In a PID namespace the kernel does to the namespace what it would do to the
// machine, and tells its parent by a signal.
func TestProcess1OfAMachineAsksTheKernel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may ask the kernel to end a namespace")
	}
	for sig, want := range map[syscall.Signal]syscall.Signal{unix.SIGTERM: unix.SIGINT, unix.SIGINT: unix.SIGHUP} {
		p := enter(t, "good", func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
			cmd.Args = append(cmd.Args, "quiet", "--nonsense") // as kernels do
			cmd.Env = append(cmd.Env, "ZINIT_PLAY_MACHINE=1")
		})
		p.awaitAll("zinit: not understood", "ready", "a ", "b ")
		p.pids = nil // they are of another namespace
		p.send(sig)
		p.ends(-1)
		if ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != want {
			t.Errorf("after %v it ended with %v, want %v:\n%s", sig, ws.Signal(), want, strings.Join(p.seen, "\n"))
		}
	}
}

func TestABadFlagIsToldBeforeAnythingIsForked(t *testing.T) {
	p := enter(t, "good", func(cmd *exec.Cmd) { cmd.Args = append(cmd.Args, "--log-level", "loud") })
	p.await(`zinit-server: --log-level: unknown log level "loud"`)
	p.await("usage: zinit-server")
	p.ends(2)
	if p.count("server") > 0 {
		t.Errorf("a server was started:\n%s", strings.Join(p.seen, "\n"))
	}
}
