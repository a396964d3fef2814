package pid1

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// InContainer reports, for process 1, whether it is process 1 of a container and
// not of a machine. getenv answers as os.Getenv does.
func InContainer(getenv func(string) string) bool {
	return signs{
		pidNamespace: inode("/proc/self/ns/pid"),
		engine:       getenv("container") != "" || exists("/.dockerenv") || exists("/run/.containerenv"),
		mayReboot:    mayReboot,
	}.container()
}

// signs tell a container from a machine.
type signs struct {
	pidNamespace uint64 // inode of the namespace's file; 0 when there is no /proc
	engine       bool   // something that container engines leave behind was found
	mayReboot    func() bool
}

// firstNamespace is the inode of the PID namespace that a kernel boots with.
const firstNamespace = 4026531836

func (s signs) container() bool {
	switch {
	case s.pidNamespace != 0:
		return s.pidNamespace != firstNamespace
	case s.engine:
		return true
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

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
