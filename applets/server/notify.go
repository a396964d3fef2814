package server

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"

	"zinit/reap"
)

// notifyVar names the socket of the manager that started the keeper, when that is
// one that wants to be told; see sd_notify(3).
const notifyVar = "NOTIFY_SOCKET"

// A notifier tells that manager how the server is. Without one it tells nobody.
type notifier struct {
	socket string
	log    *slog.Logger
}

func newNotifier(socket string, log *slog.Logger) notifier {
	if name, abstract := strings.CutPrefix(socket, "@"); abstract {
		socket = "\x00" + name
	}
	return notifier{socket, log}
}

// tell sends assignments like READY=1. A manager that does not listen is no reason
// to do anything else.
func (n notifier) tell(assignments ...string) {
	if n.socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err == nil {
		defer conn.Close()
		_, err = conn.Write([]byte(strings.Join(assignments, "\n")))
	}
	if err != nil {
		n.log.Debug("the manager above cannot be told", "socket", n.socket, "error", err)
	}
}

func (n notifier) ready(services int) {
	n.tell("READY=1", fmt.Sprintf("STATUS=supervising %d services", services))
}

func (n notifier) reloading() {
	n.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", reap.Monotonic()/1000))
}

func (n notifier) stopping() { n.tell("STOPPING=1", "STATUS=stopping services in order") }

// heritage is what services get of the server's environment: what somebody told the
// server about itself is not meant for them.
func heritage(environ []string) []string {
	ours := []string{notifyVar, "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "MAINPID"}
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(ours, name)
	})
}
