package legacy

import (
	"fmt"
	"strings"
)

// The states, as clients compare them. An end with an error is made by Exited and
// Signaled.
const (
	StateUnknown = "Unknown" // not looked at yet, or not there
	StateBlocked = "Blocked" // something that it needs is not there
	StateSpawned = "Spawned" // its process runs, and its test has not passed
	StateRunning = "Running"
	StateSuccess = "Success" // ended with code 0
	StateFailure = "Failure" // there was no process
)

// The targets: what somebody wants of a service.
const (
	TargetUp   = "Up"
	TargetDown = "Down"
)

// Exited is the state of a service whose process ended with a code other than 0.
func Exited(pid, code int) string { return fmt.Sprintf("Error(Exited(Pid(%d), %d))", pid, code) }

// Signaled is the state of one that was killed; signal is a full name, such as SIGTERM.
func Signaled(pid int, signal string) string {
	return fmt.Sprintf("Error(Signaled(Pid(%d), %s, false))", pid, signal)
}

// A Status is what is known of a service.
type Status struct {
	After  map[string]string `json:"after"` // the states of what it is started after
	Name   string            `json:"name"`
	PID    int               `json:"pid"` // 0: it has no process
	State  string            `json:"state"`
	Target string            `json:"target"`
}

// An Error is an error whose text clients know.
type Error string

func (e Error) Error() string { return string(e) }

// The fixed errors. Those with a name of a service are made by the functions below.
const (
	ErrShuttingDown = Error("zinit is shutting down")
	ErrConfig       = Error("failed to load service config")
	ErrSignal       = Error("EINVAL: Invalid argument")
	errCommand      = Error("unknown command")
	errSyntax       = Error("invalid command syntax")
	errLog          = Error("invalid log command arguments")
)

// Unknown says that there is no such service.
func Unknown(name string) Error { return Error("service name " + quote(name) + " unknown") }

// AlreadyMonitored says that there is such a service already.
func AlreadyMonitored(name string) Error {
	return Error("service " + quote(name) + " already monitored")
}

// IsUp says that a service has not been stopped.
func IsUp(name string) Error { return Error("service " + quote(name) + " is up") }

// IsDown says that a service has no process.
func IsDown(name string) Error { return Error("service " + quote(name) + " is down") }

func wrongCount(command string) Error {
	return Error("unknown command '" + command + "' or wrong arguments count")
}

// quote writes text as the original did.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch r {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case 0:
			b.WriteString(`\0`)
		default:
			if r < ' ' || r >= 0x7f && r < 0xa0 {
				fmt.Fprintf(&b, `\u{%x}`, r)
				continue
			}
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// AppendLine appends a line of a log stream: what a service wrote to stdout (out), or
// to stderr, or what zinit says of it.
func AppendLine(b []byte, service string, out bool, text []byte) []byte {
	if out {
		b = append(b, "[+] "...)
	} else {
		b = append(b, "[-] "...)
	}
	b = append(b, service...)
	b = append(b, ": "...)
	b = append(b, text...)
	return append(b, '\n')
}
