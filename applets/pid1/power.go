package pid1

import (
	"time"

	"golang.org/x/sys/unix"
)

// syncTime bounds how long a disk that does not answer holds up a power-off.
const syncTime = 10 * time.Second

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
	if g == reboot {
		return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	}
	return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}
