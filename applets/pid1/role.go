package pid1

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// containerVar, set to anything, says that this is a container.
const containerVar = "ZINIT_CONTAINER"

// InContainer reports, for process 1, whether it is process 1 of a container and
// not of a machine. getenv answers as os.Getenv does.
func InContainer(getenv func(string) string) bool {
	return isContainer(getenv(containerVar) != "")
}

// isContainer finds that out for somebody who is told so, or not.
func isContainer(told bool) bool {
	return signs{inode("/proc/self/ns/pid"), told, mayReboot}.container()
}

// signs tell a container from a machine.
type signs struct {
	pidNamespace uint64 // inode of the namespace's file; 0 when there is no /proc
	told         bool   // somebody says that it is a container
	mayReboot    func() bool
}

// firstNamespace is the inode of the PID namespace that a kernel boots with.
const firstNamespace = 4026531836

// container believes the kernel more than people: the end of a process 1 that takes
// its machine for a container is the end of the machine. What container engines leave
// behind, such as the variable container, is nothing to go by, then.
func (s signs) container() bool {
	if s.pidNamespace != 0 && (s.pidNamespace != firstNamespace || !s.told) {
		return s.pidNamespace != firstNamespace
	}
	return !s.mayReboot()
}

// mayReboot asks the kernel whether it would. It refuses this request in every
// PID namespace but the first; there it makes Ctrl-Alt-Del a SIGINT to process 1,
// which is what a keeper of a machine wants.
func mayReboot() bool {
	return os.Getpid() == 1 && unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF) == nil
}

func inode(path string) uint64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
