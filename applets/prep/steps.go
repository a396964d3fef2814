package prep

import (
	"fmt"
	"math"
	"strconv"
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
		return fmt.Errorf("cannot enter the cgroup: %w", err)
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
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, *o.Prep.Nice); err != nil {
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
		return fmt.Errorf("cannot set oom_score_adj to %s: there is no /proc here: %w", score, err)
	}
	if err == nil {
		_, err = unix.Write(fd, []byte(score))
		unix.Close(fd)
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
		var now syscall.Rlimit
		if syscall.Getrlimit(l.Resource, &now) == nil && l.Hard > now.Max {
			err = fmt.Errorf("%w: the hard limit is %s, and raising it needs CAP_SYS_RESOURCE", err, amount(now.Max))
		}
		return err
	}
	return nil
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
		return fmt.Errorf("cannot set no_new_privs: %w", err)
	}
	return nil
}

// enterDir comes after the change of the user, whose rights count.
func enterDir(o *reap.PrepOrder) error {
	if o.Dir == "" {
		return nil
	}
	if err := unix.Chdir(o.Dir); err != nil {
		return fmt.Errorf("cannot enter dir %s: %w", o.Dir, err)
	}
	return nil
}
