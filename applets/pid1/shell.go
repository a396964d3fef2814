package pid1

import (
	"os"
	"syscall"

	"zinit/reap"
)

// consolePath is the terminal of the machine.
const consolePath = "/dev/console"

// offerShell gives whoever sits at the console a shell where nobody else can.
func (k *keeper) offerShell() {
	// A line that waits for a carrier must not be waited for; the shell gets it as usual.
	tty, err := os.OpenFile(consolePath, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		k.console.printf("there is no emergency shell: %v", err)
		return
	}
	defer tty.Close()
	for _, argv := range [][]string{{"/bin/sh"}, {"/usr/bin/sh"}, {"/bin/busybox", "sh"}} {
		var pid int
		pid, err = k.reap.StartShell(argv, os.Environ(), tty)
		switch err {
		case nil:
			k.console.printf("an emergency shell is on %s (pid %d)", consolePath, pid)
			return
		case reap.ErrShell:
			return
		}
	}
	k.console.printf("there is no emergency shell: %v: kill -TERM 1 powers off, kill -INT 1 reboots", err)
}
