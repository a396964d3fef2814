package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// services is what holds on a machine with fifty services.
var services = []fact{
	{"fifty services run", fifty},
	{"mounts", mounts},
	{"host name", hostName},
	{"loopback", loopback},
	{"environment", environment},
	{"a program alone", alone},
	{"limits of cgroups", limits},
	{"out of memory", outOfMemory},
	{"signals", signals},
	{"orphans", orphans},
	{"the clock is set", clock},
	{"kill -9 of the server, fifty times", killServers},
	{"out of memory under another server", func() error {
		if err := os.WriteFile("/tmp/now", nil, 0o600); err != nil {
			return err
		}
		return outOfMemoryOf("later")
	}},
	{"a full /run", fullRun},
	{"no fork and no thread", noForks},
	{"no server comes up", noServer},
	{"quiet", quiet},
	{"memory of process 1", memory},
	{"another root", anotherRoot},
}

func fifty() error {
	return until(func() error {
		list, err := all()
		if err != nil {
			return err
		}
		n := 0
		for name, s := range list {
			if strings.HasPrefix(name, "s") && s.State.State == "running" {
				n++
			}
		}
		if n != 50 {
			return fmt.Errorf("%d run", n)
		}
		return nil
	})
}

func mounts() error {
	var wrong error
	for at, kind := range map[string]int64{
		"/proc": unix.PROC_SUPER_MAGIC, "/sys": unix.SYSFS_MAGIC, "/dev": unix.TMPFS_MAGIC, "/dev/pts": unix.DEVPTS_SUPER_MAGIC,
		"/dev/shm": unix.TMPFS_MAGIC, "/run": unix.TMPFS_MAGIC, "/tmp": unix.TMPFS_MAGIC, "/sys/fs/cgroup": unix.CGROUP2_SUPER_MAGIC,
		"/dev/mqueue": 0x19800202, "/sys/kernel/security": unix.SECURITYFS_MAGIC,
	} {
		var st unix.Statfs_t
		if err := unix.Statfs(at, &st); err != nil || st.Type != kind {
			wrong = errors.Join(wrong, fmt.Errorf("%s is of type %x, and not %x (%v)", at, st.Type, kind, err))
		}
	}
	for _, device := range []string{"/dev/null", "/dev/console", "/dev/urandom", "/dev/ptmx"} {
		if st, err := os.Stat(device); err != nil || st.Mode()&os.ModeCharDevice == 0 {
			wrong = errors.Join(wrong, fmt.Errorf("%s is no device (%v)", device, err))
		}
	}
	return wrong
}

func hostName() error {
	if name, err := os.Hostname(); err != nil || name != "box" {
		return fmt.Errorf("it is %q (%v)", name, err)
	}
	return nil
}

func loopback() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer ln.Close()
	c, err := net.DialTimeout("tcp", ln.Addr().String(), patience)
	if err != nil {
		return err
	}
	return c.Close()
}

// environment is that of this service, whose command has no path.
func environment() error {
	if !strings.Contains(os.Getenv("PATH"), "/bin") {
		return fmt.Errorf("PATH is %q", os.Getenv("PATH"))
	}
	return nil
}

// memory is looked at until process 1 rests: what a burst took goes back after that.
func memory() error {
	return until(func() error {
		rss, err := number("/proc/1/smaps_rollup", "Rss")
		if err != nil {
			return err
		}
		anonymous, err := number("/proc/1/smaps_rollup", "Anonymous")
		if err != nil {
			return err
		}
		if rss > 7<<10 || anonymous > 4<<10 {
			return fmt.Errorf("RSS %d kB, of that its own %d kB", rss, anonymous)
		}
		tell("MEASURED memory of process 1: RSS %d kB, of that its own %d kB", rss, anonymous)
		return nil
	})
}

// alone tells what to start a program costs on this machine without anybody: the floor
// of the time until the first service.
func alone() error {
	var took []time.Duration
	for range 5 {
		began := time.Now()
		if err := run("vm", "nothing"); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	tell("MEASURED a program that does nothing: %.3f s", took[2].Seconds())
	return nil
}

// limits starts a service with each limit and looks whether the kernel keeps to it.
func limits() error {
	if _, err := zinit("start", "crowd", "spin"); err != nil {
		return err
	}
	err := until(func() error {
		text, err := zinit("logs", "crowd")
		if err == nil && !strings.Contains(text, "refused after") {
			err = fmt.Errorf("the log of crowd is %q", text)
		}
		if strings.Contains(text, "not refused") {
			err = errors.New("it could fork as often as it liked")
		}
		return err
	})
	err = errors.Join(err, until(func() error {
		list, err := all()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(groupOf(list["spin"].State.Pid) + "/cpu.stat")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if n, ok := strings.CutPrefix(line, "nr_throttled "); ok && n != "0\n" {
				return nil
			}
		}
		return fmt.Errorf("spin is not throttled: %s", text)
	}))
	if text, failed := zinit("status", "spin", "crowd"); failed != nil || strings.Contains(text, "not in force") {
		err = errors.Join(err, fmt.Errorf("%s (%v)", text, failed))
	}
	_, stopped := zinit("stop", "--wait", "crowd", "spin")
	return errors.Join(err, stopped)
}

func groupOf(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return "/sys/fs/cgroup" + strings.TrimPrefix(strings.TrimSpace(string(text)), "0::")
}

func outOfMemory() error {
	if _, err := zinit("start", "hog"); err != nil {
		return err
	}
	return outOfMemoryOf("hog")
}

func outOfMemoryOf(name string) error {
	return until(func() error {
		list, err := all()
		if hog := list[name]; err == nil && (hog.State.State != "failed" || !strings.Contains(hog.Reason, "out of memory")) {
			err = fmt.Errorf("%+v", hog)
		}
		return err
	})
}

// signals sends process 1 all that can be sent and does not ask for an end.
func signals() error {
	return unharmed(func() error {
		ends := []syscall.Signal{unix.SIGKILL, unix.SIGSTOP, unix.SIGTERM, unix.SIGINT, unix.SIGPWR, unix.SIGUSR2, 37, 38, 39, 40, 42}
		for sig := syscall.Signal(1); sig <= 64; sig++ {
			if !slices.Contains(ends, sig) {
				if err := kill(1, sig); err != nil {
					return err
				}
			}
		}
		return kill(1, 42) // there is no order with it: it is passed over
	})
}

// orphans leaves hundreds of processes to process 1, which end together.
func orphans() error {
	return unharmed(func() error {
		p, err := os.StartProcess("/bin/vm", []string{"vm", "forks"}, &os.ProcAttr{Files: []*os.File{nil, os.Stdout, os.Stdout}})
		if err != nil {
			return err
		}
		if state, err := p.Wait(); err != nil || !state.Success() {
			return fmt.Errorf("%v %v", state, err)
		}
		return until(func() error {
			dir, err := os.ReadDir("/proc")
			if err != nil {
				return err
			}
			for _, d := range dir {
				text, err := os.ReadFile("/proc/" + d.Name() + "/stat")
				if err == nil && bytes.Contains(text, []byte("(vm) Z 1 ")) {
					return fmt.Errorf("not reaped: %s", text)
				}
			}
			return nil
		})
	})
}

// clock sets the clock a year ahead, and two back.
func clock() error {
	year := 365 * 24 * time.Hour
	return unharmed(func() error {
		for _, by := range []time.Duration{year, -2 * year, year} {
			at := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
			if err := unix.Settimeofday(&at); err != nil {
				return err
			}
			if _, err := zinit("restart", "--wait", "clock"); err != nil {
				return err
			}
		}
		return nil
	})
}

func killServers() error {
	return unharmed(func() error {
		for range 50 {
			if err := replaced(func(pid int) error { return kill(pid, unix.SIGKILL) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// replaced does something to the server and waits for another one.
func replaced(what func(pid int) error) error {
	var pid int
	err := until(func() (err error) {
		pid, err = serverPid()
		return err
	})
	if err == nil {
		err = what(pid)
	}
	if err != nil {
		return err
	}
	return until(func() error {
		next, err := serverPid()
		if err == nil && next == pid {
			err = fmt.Errorf("it is server %d still", pid)
		}
		return err
	})
}

func fullRun() error {
	if err := unix.Mount("", "/run", "", unix.MS_REMOUNT|unix.MS_NOSUID|unix.MS_NODEV, "size=16m"); err != nil {
		return err // to fill all that it may have takes an emulator long
	}
	f, err := os.Create("/run/filler")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	megabyte := make([]byte, 1<<20)
	for err == nil {
		_, err = f.Write(megabyte)
	}
	if !errors.Is(err, unix.ENOSPC) {
		return err
	}
	return unharmed(func() error {
		return replaced(func(pid int) error { return kill(pid, unix.SIGKILL) })
	})
}

// noForks has the kernel refuse every fork and thread, of everybody, while the server
// and a service die.
func noForks() error {
	const path = "/proc/sys/kernel/threads-max"
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	list, err := all()
	if err != nil {
		return err
	}
	victim := list["again"].State.Pid
	err = replaced(func(pid int) error {
		fd, err := unix.Open(path, unix.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		// From here on Go's runtime must not want a thread.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		low := []byte("20")
		pause := unix.Timespec{Sec: 3}
		refuse(fd, low, before, pid, victim, &pause)
		return nil
	})
	if err != nil {
		return err
	}
	return until(func() error {
		list, err := all()
		if is := list["again"].State; err == nil && (is.Pid == victim || is.State != "running") {
			err = fmt.Errorf("again is %+v", is)
		}
		return err
	})
}

// noServer keeps servers from coming up until process 1 offers a shell.
func noServer() error {
	return unharmed(func() error {
		lock, err := os.OpenFile("/run/zinit/lock", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer lock.Close()
		if err := until(func() error {
			if pid, err := serverPid(); err == nil {
				_ = kill(pid, unix.SIGKILL) // another one may have come
			}
			return unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		}); err != nil {
			return fmt.Errorf("cannot take the lock from the server: %w", err)
		}
		return until(func() error { _, err := os.Stat("/run/shell"); return err })
	})
}

// quiet tells how often process 1 wakes up while nothing happens.
func quiet() error {
	count := func() (n int) {
		threads, _ := os.ReadDir("/proc/1/task")
		for _, t := range threads {
			for _, name := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
				if k, err := number("/proc/1/task/"+t.Name()+"/status", name); err == nil {
					n += k
				}
			}
		}
		return n
	}
	<-time.After(8 * time.Second) // what it does after a burst is over
	before := count()
	<-time.After(5 * time.Second)
	n := count() - before
	tell("MEASURED wake-ups of process 1 in 5 s of nothing: %d", n)
	if n > 10 {
		return fmt.Errorf("%d wake-ups in 5 s", n)
	}
	return nil
}

// anotherRoot makes one of memory and goes on there.
func anotherRoot() error {
	const root = "/newroot"
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, ""); err != nil {
		return err
	}
	for _, dir := range []string{"bin", "sbin", "proc", "sys", "dev", "run", "tmp", "etc/zinit/services", "var/lib/zinit"} {
		if err := os.MkdirAll(root+"/"+dir, 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"/bin/zinit", "/bin/vm"} {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(root+name, text, 0o755); err != nil {
			return err
		}
	}
	err := os.Symlink("../bin/zinit", root+"/sbin/init")
	for name, exec := range map[string]string{"moved": "vm moved", "s00": "vm serve"} {
		text := fmt.Sprintf("[service]\nname = %q\nexec = %q\n", name, exec)
		err = errors.Join(err, os.WriteFile(root+"/etc/zinit/services/"+name+".toml", []byte(text), 0o644))
	}
	if err != nil {
		return err
	}
	p, err := os.StartProcess("/bin/zinit", []string{"zinit-pid1", "--switch-root", root}, &os.ProcAttr{Files: []*os.File{nil, os.Stdout, os.Stdout}})
	if err != nil {
		return err
	}
	if state, err := p.Wait(); err != nil || !state.Success() {
		return fmt.Errorf("%v %v", state, err)
	}
	return nil
}
