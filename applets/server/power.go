package server

import (
	"context"
	"os"
	"syscall"

	"zinit/applets/env"
	"zinit/sock"
)

// realTime3 is the signal for a halt in the convention of systemd, which the keeper
// follows as process 1 of a machine; the others follow it.
const realTime3 = syscall.Signal(34 + 3)

// power is the methods that end the machine.
func (s *server) power() sock.Table {
	row := func(method, what string, sig syscall.Signal, summary string) sock.Method {
		return sock.Method{Name: method, Access: sock.Change, Result: sock.OK{}, Summary: summary,
			Handle: func(context.Context, *sock.Call) (any, error) { return s.endMachine(what, sig) }}
	}
	kexec := row(sock.MethodKexec, "Kexec", realTime3+3, "The same, and starts the kernel that was loaded for that; refused where none was.")
	kexec.Handle = func(context.Context, *sock.Call) (any, error) { return s.endInKernel(kexecLoaded) }
	return sock.Table{
		row(sock.MethodPoweroff, "Poweroff", syscall.SIGTERM, "Has process 1 stop all services in order and power the machine off; refused where that is not the keeper."),
		row(sock.MethodReboot, "Reboot", syscall.SIGINT, "The same, and starts the machine anew."),
		row(sock.MethodHalt, "Halt", realTime3, "The same, and leaves the machine on."),
		kexec,
	}
}

// kexecLoaded tells whether there is a kernel to start: 0 or 1.
const kexecLoaded = "/sys/kernel/kexec_loaded"

// endInKernel ends the machine for the kernel that was loaded. Process 1 would find out
// that there is none only when everything is stopped.
func (s *server) endInKernel(loaded string) (any, error) {
	if text, err := os.ReadFile(loaded); err == nil && len(text) > 0 && text[0] == '0' && s.tellInit != nil {
		return nil, sock.Refuse(sock.WordUnusable, "no kernel is loaded: load one with kexec -l, or reboot")
	}
	return s.endMachine("Kexec", realTime3+3)
}

// endMachine asks process 1 to.
func (s *server) endMachine(what string, sig syscall.Signal) (any, error) {
	if s.tellInit == nil {
		return nil, sock.Refuse(sock.WordNotInit, "%s only available when running as PID 1", what)
	}
	if err := s.tellInit(sig); err != nil {
		return nil, sock.Refuse(sock.WordNotInit, "cannot signal process 1: %v", err)
	}
	return sock.Done, nil
}

// initOf is how process 1 is signalled, if that is the keeper of this server and has
// the machine: another one may take the same signal for something else. Else nil.
func initOf(flags env.ServerFlags, parent int) func(syscall.Signal) error {
	if !flags.Pid1Mode || flags.Container || parent != 1 {
		return nil
	}
	return func(sig syscall.Signal) error {
		if os.Getppid() != 1 {
			return syscall.ESRCH // the keeper has gone
		}
		return syscall.Kill(1, sig)
	}
}
