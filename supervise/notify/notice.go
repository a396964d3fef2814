package notify

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// A Notice is one message of a service. What it does not say is zero.
type Notice struct {
	// Pid, UID and GID are those of the sender, as the kernel vouches for them; 0, 0,
	// 0 with FromFD.
	Pid      int
	UID, GID uint32
	// FromFD: it came over the notification descriptor, which only processes of the
	// service have.
	FromFD bool

	Ready     bool // READY=1
	Reloading bool // RELOADING=1
	Stopping  bool // STOPPING=1
	// Status is what STATUS= says, of at most maxStatus bytes; nil: not said. An
	// empty one takes the last one away.
	Status *string
	// MainPID is the pid that MAINPID= names; 0: not said.
	MainPID int
	// Alive is WATCHDOG=1, Hurt WATCHDOG=trigger: treat it as if it had hung.
	Alive, Hurt bool
	// Watchdog is the period that WATCHDOG_USEC= asks for; 0: not said.
	Watchdog time.Duration
	// Extend is what EXTEND_TIMEOUT_USEC= asks for, from now on; 0: not said.
	Extend time.Duration
}

// maxStatus bounds what is kept of a status text.
const maxStatus = 512

// Parse reads the text of a datagram: lines KEY=VALUE. Of a key that comes twice the
// last one counts. Keys that we do not know, and values that make no sense, are
// passed over, as sd_notify(3) wants it.
func Parse(text []byte) (n Notice) {
	for line := range bytes.Lines(text) {
		key, value, ok := strings.Cut(string(bytes.TrimRight(line, "\n")), "=")
		if !ok {
			continue
		}
		switch key {
		case "READY":
			n.Ready = value == "1"
		case "RELOADING":
			n.Reloading = value == "1"
		case "STOPPING":
			n.Stopping = value == "1"
		case "STATUS":
			value = shorten(strings.ToValidUTF8(value, "\uFFFD"))
			n.Status = &value
		case "MAINPID":
			if pid, err := strconv.ParseInt(value, 10, 32); err == nil && pid > 0 {
				n.MainPID = int(pid)
			}
		case "WATCHDOG":
			n.Alive, n.Hurt = value == "1", value == "trigger"
		case "WATCHDOG_USEC":
			n.Watchdog = micros(value)
		case "EXTEND_TIMEOUT_USEC":
			n.Extend = micros(value)
		}
	}
	return n
}

// shorten cuts a text at a rune's end.
func shorten(s string) string {
	if len(s) <= maxStatus {
		return s
	}
	return strings.ToValidUTF8(s[:maxStatus], "")
}

// longest is more than any service means, and small enough to be added to a moment.
const longest = 365 * 24 * time.Hour

func micros(text string) time.Duration {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(min(n, uint64(longest/time.Microsecond))) * time.Microsecond
}
