package pid1

import (
	"time"

	"golang.org/x/sys/unix"

	"zinit/applets/pid1/host"
)

const (
	// syncTime bounds how long a disk that does not answer holds up a power-off.
	syncTime = 10 * time.Second
	// downTime is the same for what is put away when everything has ended.
	downTime = 15 * time.Second
)

// A machinery is the machine around the services, as process 1 of it has it.
type machinery struct {
	up    func(say func(format string, args ...any))
	asks  func() host.Cmdline // the kernel's command line
	down  func(deadline time.Time, say func(format string, args ...any))
	power func(goal) error // returns only when the kernel refuses
}

func thisMachine() machinery {
	return machinery{up: raise, asks: host.ReadCmdline, down: putAway, power: power}
}

// finish ends this process, or the machine. Where the kernel refuses there is nothing
// left but to wait to be asked again: process 1 must not exit.
func (k *keeper) finish(f finish) {
	if k.life.role != machine {
		k.over, k.code = true, f.code
		return
	}
	if f.goal == switchRoot {
		k.console.printf("%v: %s in %s", f.goal, k.newRoot.argv[0], k.newRoot.dir)
		k.console.flush(time.Second)
		err := k.newRoot.enter()
		k.console.printf("cannot switch to another root: %v: everything is stopped", err)
		k.offerShell()
		return
	}
	k.machine.down(time.Now().Add(downTime), k.console.printf)
	k.console.printf("%v", f.goal)
	k.console.flush(time.Second)
	err := k.machine.power(f.goal)
	if f.goal == kexec {
		k.console.printf("cannot start another kernel: %v: rebooting", err)
		k.console.flush(time.Second)
		err = k.machine.power(reboot)
	}
	k.console.printf("cannot end the machine: %v: everything is stopped, switch it off by hand", err)
}

// power ends the machine. It returns only when the kernel refuses.
func power(g goal) error {
	written := make(chan struct{})
	go func() {
		unix.Sync()
		close(written)
	}()
	late := time.NewTimer(syncTime)
	defer late.Stop()
	select {
	case <-written:
	case <-late.C:
	}
	switch g {
	case reboot:
		return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	case halted:
		cmd := uint32(unix.LINUX_REBOOT_CMD_HALT) // more than an int of 32 bits holds
		return unix.Reboot(int(int32(cmd)))
	case kexec:
		return unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC)
	}
	return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}
