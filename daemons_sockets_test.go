package main_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestADaemonIsGivenItsSocket: dbus-daemon, which takes its socket as from systemd, is
// started by its first client, and by the first after its end.
func TestADaemonIsGivenItsSocket(t *testing.T) {
	t.Parallel()
	in := daemonHouse(t, "dbus-daemon=dbus-daemon", "dbus-send=dbus-bin")
	socket := filepath.Join(in.dir, "bus.sock")
	in.write("bus", file("bus", "dbus-daemon --session --address=systemd: --nofork --nopidfile", stopped)+
		fmt.Sprintf("[socket]\nlisten = %q\n", "unix:"+socket))
	in.write("asks", file("asks", "dbus-send --bus=unix:path="+socket+
		" --dest=org.freedesktop.DBus --print-reply / org.freedesktop.DBus.GetId", "oneshot = true", stopped))
	in.launch()
	in.waitState("bus", "inactive")
	for range 2 {
		in.must("start", "asks")
		in.waitState("asks", "exited")
		in.waitState("bus", "running")
		in.must("stop", "--wait", "bus")
	}
	in.until("both answers", func() (string, bool) {
		log := in.must("logs", "asks")
		return log, strings.Count(log, "method return") == 2
	})
}
