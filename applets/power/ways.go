package power

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"zinit/applets/env"
	"zinit/sock"
	"zinit/supervise/proc"
)

// A way is how a machine ends.
type way struct {
	name   string // what goes on, for people
	method string // of the server
	signal syscall.Signal
	cmd    uint32 // for the kernel
}

// The signals of real time are in the convention of systemd.
var (
	wayPoweroff = way{"powering off", sock.MethodPoweroff, unix.SIGTERM, unix.LINUX_REBOOT_CMD_POWER_OFF}
	wayReboot   = way{"rebooting", sock.MethodReboot, unix.SIGINT, unix.LINUX_REBOOT_CMD_RESTART}
	wayHalt     = way{"halting", sock.MethodHalt, 34 + 3, unix.LINUX_REBOOT_CMD_HALT}
	wayKexec    = way{"starting the kernel that was loaded", sock.MethodKexec, 34 + 6, unix.LINUX_REBOOT_CMD_KEXEC}
)

// askTime is how long the server may take to say that it has understood.
const askTime = 10 * time.Second

// A machine is what is to be ended; tests have one of their own.
type machine struct {
	ask    func(method string, params, result any) error
	init   func() (ours bool, name string) // process 1
	parent func(pid int) int               // 0: it cannot be seen
	signal func(syscall.Signal) error      // to process 1
	force  func(cmd uint32) error          // returns only when the kernel refuses
	leave  func()                          // the login that this process was started from
}

// errNoServer says that nobody answered; what somebody answered is another error.
var errNoServer = errors.New("no zinit server answers")

func thisMachine(e *env.Env) machine {
	return machine{
		ask:    func(method string, params, result any) error { return askServer(e, method, params, result) },
		init:   initIsOurs,
		parent: parentOf,
		signal: func(sig syscall.Signal) error { return unix.Kill(1, sig) },
		force: func(cmd uint32) error {
			unix.Sync()
			return unix.Reboot(int(int32(cmd))) // more than an int of 32 bits holds
		},
		leave: leaveLogin,
	}
}

// groups are where a machine's tree of cgroups may be, the likely one first.
var groups = [...]string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}

// leaveLogin has this process go on when the login ends that it was started from. That
// may be a service of its own, such as a getty: with it goes whatever is in its cgroup.
func leaveLogin() {
	signal.Ignore(unix.SIGHUP)
	if ours, _ := initIsOurs(); !ours {
		return
	}
	for _, dir := range groups {
		// Without cgroups a service has no more than its process groups, and a shell gives
		// what it starts another one.
		f, err := os.OpenFile(filepath.Join(dir, "cgroup.procs"), os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		_, err = f.WriteString("0") // this process
		f.Close()
		if err == nil {
			return
		}
	}
}

func askServer(e *env.Env, method string, params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	reason := errNoServer
	for _, path := range e.SocketCandidates("") {
		client, err := sock.Dial(ctx, path)
		if err != nil {
			continue
		}
		err = client.Call(ctx, method, params, result)
		client.Close()
		var refused *sock.Error
		if err == nil || errors.As(err, &refused) {
			return err
		}
		reason = fmt.Errorf("%w: %v", errNoServer, err)
	}
	return reason
}

// initIsOurs reports whether process 1 runs this program, or one of its name: the file
// may have been replaced since. Without a name it cannot be seen.
func initIsOurs() (ours bool, name string) {
	exe, err := os.Readlink("/proc/1/exe")
	if err != nil {
		return false, ""
	}
	self, err := os.Stat("/proc/self/exe")
	if err == nil {
		if is, err := os.Stat("/proc/1/exe"); err == nil && os.SameFile(self, is) {
			return true, exe
		}
	}
	return strings.HasPrefix(filepath.Base(exe), "zinit"), exe
}

// end ends the machine in order.
func (m machine) end(w way) error {
	err := m.ask(w.method, nil, nil)
	if err == nil {
		return nil
	}
	if ours, name := m.init(); !ours {
		return notOurs(name)
	}
	var refused *sock.Error
	if errors.As(err, &refused) && refused.Code != sock.CodeMethodNotFound {
		return err
	}
	if err := m.signal(w.signal); err != nil {
		return fmt.Errorf("cannot signal process 1: %w: be root", err)
	}
	return nil
}

func notOurs(name string) error {
	if name == "" {
		return errors.New("no zinit server of this machine answers, and what process 1 is cannot be seen: be root")
	}
	return fmt.Errorf("process 1 is %s and not zinit: use the command that belongs to it", name)
}

// reach reports that there is nobody who could end the machine in order. A server that is
// no child of process 1 has no machine.
func (m machine) reach() error {
	var pong sock.Ping
	if m.ask(sock.MethodPing, nil, &pong) == nil {
		if parent := m.parent(pong.PID); parent == 1 || parent == 0 {
			return nil
		}
	}
	if ours, name := m.init(); !ours {
		return notOurs(name)
	}
	return nil
}

// parentOf is the parent of a process; 0: it cannot be seen.
func parentOf(pid int) int {
	p, err := proc.FS{}.Read(pid)
	if err != nil {
		return 0
	}
	return p.Ppid
}

// endNow ends it without asking anybody.
func (m machine) endNow(w way) error {
	if err := m.force(w.cmd); err != nil {
		return fmt.Errorf("the kernel refuses: %w", err)
	}
	return nil
}
