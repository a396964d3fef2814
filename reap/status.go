package reap

import (
	"fmt"
	"strconv"
	"syscall"
)

// A Status is how a process ended: by a code or by a signal, never both and
// never neither. The zero Status is an exit with code 0.
type Status struct {
	code   uint8
	signal uint8
	core   bool
}

// ExitCode is the status of a process that called exit(code).
func ExitCode(code int) Status { return Status{code: uint8(code)} }

// KilledBy is the status of a process that a signal ended.
func KilledBy(sig syscall.Signal) Status { return Status{signal: uint8(sig)} }

// StatusOf translates what wait(2) stored. Stopped and continued children are
// never waited for, so every other value is an exit.
func StatusOf(ws syscall.WaitStatus) Status {
	if ws.Signaled() {
		return Status{signal: uint8(ws.Signal()), core: ws.CoreDump()}
	}
	return Status{code: uint8(ws.ExitStatus())}
}

// Code is the exit code; ok is false when a signal ended the process.
func (s Status) Code() (code int, ok bool) { return int(s.code), s.signal == 0 }

// Signal is the signal that ended the process; ok is false when it exited.
func (s Status) Signal() (sig syscall.Signal, ok bool) {
	return syscall.Signal(s.signal), s.signal != 0
}

// CoreDumped reports whether the kernel wrote a core file.
func (s Status) CoreDumped() bool { return s.core }

// Success reports an exit with code 0.
func (s Status) Success() bool { return s.code == 0 && s.signal == 0 }

// String is the form that people read: "exit code 3", "killed by signal 9".
func (s Status) String() string {
	if s.signal != 0 {
		return "killed by signal " + strconv.Itoa(int(s.signal))
	}
	return fmt.Sprintf("exit code %d", s.code)
}
