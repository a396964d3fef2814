package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"zinit/applets/env"
	"zinit/sock"
)

// poweroff has process 1 power off the machine.
func poweroff(s *session) int {
	return s.power("Poweroff", "TERM", syscall.SIGTERM, sock.MethodPoweroff)
}

// reboot has process 1 start the machine anew.
func reboot(s *session) int { return s.power("Reboot", "INT", syscall.SIGINT, sock.MethodReboot) }

// halt has process 1 stop everything and leave the machine on. The number is that of
// systemd's convention.
func halt(s *session) int { return s.power("Halt", "37", 37, sock.MethodHalt) }

// power sends process 1 the signal that means what is asked, once it has proved
// to be ours: another init may take the same signal for something else. Without
// a proof it stops the server. Who may not signal process 1 has the server do it.
func (s *session) power(what, name string, signal syscall.Signal, method string) int {
	var reply sock.Ping
	if err := s.ask(sock.MethodPing, nil, &reply); err != nil {
		if s.host.isNamed() {
			err = fmt.Errorf("%w\nProcess 1 is a zinit: as root, kill -s %s 1 has it do this", err, name)
		}
		return s.fail(err)
	}
	ours, err := s.host.isInit(reply.PID)
	if err != nil {
		return s.fail(fmt.Errorf("cannot see whether process 1 is zinit: %s: run zinit %s as root", bareReason(err), s.call.verb.name))
	}
	if !ours {
		s.print("zinit is not running as PID 1 - stopping daemon only\n")
		return s.shutdown()
	}
	err = s.host.kill(1, signal)
	if errors.Is(err, fs.ErrPermission) {
		err = s.ask(method, nil, nil) // whoever may ask the server may have this done
	}
	if err != nil {
		return s.fail(fmt.Errorf("cannot signal process 1: %s: run zinit %s as root", bareReason(err), s.call.verb.name))
	}
	s.printf("%s signal sent to init\n", what)
	return env.ExitDone
}

// A host is the machine as power sees it; tests have one of their own.
type host struct {
	proc string // where /proc is
	kill func(pid int, signal syscall.Signal) error
}

func thisHost() host { return host{"/proc", syscall.Kill} }

// isInit reports whether process 1 is the keeper of the server with that pid.
// What process 1 is called proves nothing, and neither does its binary alone: a
// server may be run from the same one under any init. So it must be the parent
// of the server that answers, and run the server's binary, or one of that name
// when the file has been replaced since. It is an error when process 1 is the
// parent but may not be looked at.
func (h host) isInit(server int) (bool, error) {
	if server <= 1 || h.parent(server) != 1 {
		return false, nil
	}
	exe := h.path(1, "exe")
	init, err := os.Stat(exe)
	if errors.Is(err, fs.ErrPermission) {
		return false, err
	}
	if err == nil {
		own, err := os.Stat(h.path(server, "exe"))
		if err == nil && os.SameFile(init, own) {
			return true, nil
		}
	}
	return h.isNamed(), nil
}

// isNamed reports whether the binary of process 1 has our name, or had it before
// it was replaced.
func (h host) isNamed() bool {
	name, err := os.Readlink(h.path(1, "exe"))
	return err == nil && strings.HasPrefix(filepath.Base(name), "zinit")
}

func (h host) path(pid int, file string) string {
	return filepath.Join(h.proc, strconv.Itoa(pid), file)
}

// parent is the pid of a process's parent, 0 when it cannot be told.
func (h host) parent(pid int) int {
	text, err := os.ReadFile(h.path(pid, "stat"))
	if err != nil {
		return 0
	}
	// PID (NAME) STATE PARENT ...: the name may hold anything, brackets included.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return parent
}
