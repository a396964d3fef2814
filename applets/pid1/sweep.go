package pid1

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
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
	for _, pid := range childrenInProc() {
		killChild(pid)
	}
}

// killChild kills a process if it is a child of this one. The descriptor is taken
// before the check: what is checked is then what is killed, whoever has the number
// meanwhile.
func killChild(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	if parentOf(pid) != os.Getpid() {
		return
	}
	if err == nil {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // it may be gone by now
		return
	}
	_ = unix.Kill(pid, unix.SIGKILL) // before Linux 5.3
}

func childrenInProc() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // as many as there are; the next round finds more
	var list []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && parentOf(pid) == os.Getpid() {
			list = append(list, pid)
		}
	}
	return list
}

// parentOf is the parent of a process, 0 when that cannot be found out.
func parentOf(pid int) int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	return parentIn(text)
}

// parentIn finds the parent in the text of a stat file: "PID (NAME) STATE PPID",
// where NAME can hold anything.
func parentIn(stat []byte) int {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	ppid, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return ppid
}
