package pid1

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"zinit/reap"
)

// childless reports whether this process has no child, dead or alive.
func childless() bool {
	return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == unix.ECHILD
}

// askStrays asks the same processes to end. A shell that somebody sits at ignores TERM
// and obeys HUP; what is stopped hears neither until it goes on.
func askStrays() {
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGHUP, unix.SIGCONT} {
		toStrays(sig)
	}
}

// killStrays kills the children that nobody here started: what daemons left
// behind. As process 1 that is everything in sight, including what is not our
// child yet. Without /proc a standalone keeper does not find them.
func killStrays() { toStrays(unix.SIGKILL) }

func toStrays(sig syscall.Signal) {
	if os.Getpid() == 1 {
		_ = unix.Kill(-1, sig) // ESRCH says that there is nobody
		return
	}
	self := os.Getpid()
	for _, pid := range inProc() {
		if parent, start, err := reap.Origin(pid); err == nil && parent == self {
			_ = reap.SignalByPidfd(pid, start, sig) // it may be gone by now
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
