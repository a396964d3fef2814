package pid1

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"zinit/reap"
)

// childless reports whether this process has no child, dead or alive.
func childless() bool {
	return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == unix.ECHILD
}

// killStrays kills the children that nobody here started: what daemons left
// behind. As process 1 that is everything in sight, including what is not our
// child yet. Without /proc a standalone keeper does not find them.
func killStrays() {
	if os.Getpid() == 1 {
		_ = unix.Kill(-1, unix.SIGKILL) // ESRCH says that there is nobody
		return
	}
	self := os.Getpid()
	for _, pid := range inProc() {
		if parent, start, err := reap.Origin(pid); err == nil && parent == self {
			_ = reap.SignalByPidfd(pid, start, unix.SIGKILL) // it may be gone by now
		}
	}
}

// inProc lists the processes that /proc shows.
func inProc() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // as many as there are; the next round finds more
	var list []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			list = append(list, pid)
		}
	}
	return list
}
