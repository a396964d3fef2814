package prep

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"zinit/reap"
)

func enterCgroup(o *reap.PrepOrder) error {
	if o.Cgroup < 0 {
		return nil
	}
	fd, err := unix.Openat(o.Cgroup, "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte("0")) // whoever writes it
		unix.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("cannot enter the cgroup: %w: start it again, which makes a new one", err)
	}
	return nil
}

func setUmask(o *reap.PrepOrder) error {
	if o.Prep.Umask != nil {
		unix.Umask(int(*o.Prep.Umask))
	}
	return nil
}

func setNice(o *reap.PrepOrder) error {
	if o.Prep.Nice == nil {
		return nil
	}
	err := unix.Setpriority(unix.PRIO_PROCESS, 0, *o.Prep.Nice)
	if err == unix.EACCES || err == unix.EPERM {
		err = fmt.Errorf("%w: lowering it needs CAP_SYS_NICE: raise it, or give zinit that capability", err)
	}
	if err != nil {
		return fmt.Errorf("cannot set nice to %d: %w", *o.Prep.Nice, err)
	}
	return nil
}

func setScore(o *reap.PrepOrder) error {
	if o.Prep.OOMScoreAdj == nil {
		return nil
	}
	score := strconv.Itoa(*o.Prep.OOMScoreAdj)
	fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return fmt.Errorf("cannot set oom_score_adj to %s: %w: there is no /proc here: mount it, or remove the key", score, err)
	}
	if err == nil {
		_, err = unix.Write(fd, []byte(score))
		unix.Close(fd)
	}
	if err == unix.EACCES || err == unix.EPERM {
		err = fmt.Errorf("%w: lowering it needs CAP_SYS_RESOURCE: raise it, or give zinit that capability", err)
	}
	if err != nil {
		return fmt.Errorf("cannot set oom_score_adj to %s: %w", score, err)
	}
	return nil
}

// limitNames are the names of resource limits by their numbers.
var limitNames = [...]string{"cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as", "locks",
	"sigpending", "msgqueue", "nice", "rtprio", "rttime"}

func setLimits(o *reap.PrepOrder) error {
	for _, l := range o.Prep.Rlimits {
		// This one is known to the runtime, which otherwise gives the program the limit
		// that this process was started with.
		err := syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: l.Soft, Max: l.Hard})
		if err == nil {
			continue
		}
		name := "limit " + strconv.Itoa(l.Resource)
		if l.Resource >= 0 && l.Resource < len(limitNames) {
			name = limitNames[l.Resource]
		}
		err = fmt.Errorf("cannot set %s to %s:%s: %w", name, amount(l.Soft), amount(l.Hard), err)
		return fmt.Errorf("%w: %s", err, mend(l, nrOpen()))
	}
	return nil
}

// mend is why a limit cannot be set, and what helps; most is the highest number of open
// files that the kernel gives to anybody, 0: not known.
func mend(l reap.Rlimit, most uint64) string {
	var now syscall.Rlimit
	switch err := syscall.Getrlimit(l.Resource, &now); {
	case l.Resource == unix.RLIMIT_NOFILE && most > 0 && l.Hard > most:
		return fmt.Sprintf("fs.nr_open is %d: lower it, or raise that with sysctl", most)
	case err == nil && l.Hard > now.Max:
		return fmt.Sprintf("the hard limit is %s, and raising it needs CAP_SYS_RESOURCE: lower it, or give zinit that capability", amount(now.Max))
	}
	return "correct it in [rlimits]"
}

// nrOpen reads what the kernel says. The limits that are set already may leave no
// descriptor for that.
func nrOpen() uint64 {
	fd, err := unix.Open("/proc/sys/fs/nr_open", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var text [32]byte
	n, err := unix.Read(fd, text[:])
	if err != nil {
		return 0
	}
	most, _ := strconv.ParseUint(strings.TrimSpace(string(text[:n])), 10, 64) // 0 is not known
	return most
}

func amount(n uint64) string {
	if n == math.MaxUint64 {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

func noNewPrivs(o *reap.PrepOrder) error {
	if !o.Prep.NoNewPrivs {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot set no_new_privs: %w: remove the key", err)
	}
	return nil
}

// enterDir comes after the change of the user, whose rights count.
func enterDir(o *reap.PrepOrder) error {
	if o.Dir == "" {
		return nil
	}
	if err := unix.Chdir(o.Dir); err != nil {
		return fmt.Errorf("cannot enter dir %s: %w: correct the path, or let its user in", o.Dir, err)
	}
	return nil
}
