package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// moved is what holds in the other root.
var moved = []fact{
	{"process 1 is the one of the other root", func() error {
		here, err := os.Stat("/sbin/init")
		if err != nil {
			return err
		}
		is, err := os.Stat("/proc/1/exe")
		if err == nil && !os.SameFile(here, is) {
			err = errors.New("it is another file")
		}
		if _, old := os.Stat("/newroot"); old == nil {
			err = errors.Join(err, errors.New("this is the old root"))
		}
		return err
	}},
	{"mounts of the other root", mounts},
	{"cgroups of the other root", func() error {
		list, err := all()
		if err != nil {
			return err
		}
		if group := groupOf(list["s00"].State.Pid); !strings.HasSuffix(group, "/s00.svc") {
			return fmt.Errorf("s00 is in %s", group)
		}
		return nil
	}},
	// The test does so when it is told; see there.
	{"somebody presses control, alt and delete", func() error { tell("press"); return nil }},
}

// single is what holds when the kernel's command line says single: a server that does
// not answer does not hold up the end.
var single = []fact{
	{"a shell, and nothing but the system", func() error {
		return until(func() error {
			list, err := all()
			if err != nil {
				return err
			}
			if _, err := os.Stat("/run/shell"); err != nil {
				return err
			}
			for name, want := range map[string]string{"rescue-shell": "running", "single": "running", "deaf": "running", "s00": "inactive"} {
				if is := list[name].State.State; is != want {
					return fmt.Errorf("%s is %s", name, is)
				}
			}
			return nil
		})
	}},
	{"the others can be started", func() error {
		_, err := zinit("start-all")
		if err == nil {
			_, err = zinit("wait", "s00")
		}
		return err
	}},
	{"power off without a server", func() error {
		if err := stray(); err != nil {
			return err
		}
		pid, err := serverPid()
		if err == nil {
			err = kill(pid, unix.SIGSTOP)
		}
		if err == nil {
			err = kill(1, unix.SIGPWR)
		}
		return err
	}},
}

// stray leaves behind a process that heeds nothing and that no service has.
func stray() error {
	p, err := os.StartProcess("/bin/vm", []string{"vm", "stubborn"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: true}})
	if err != nil {
		return err
	}
	return os.WriteFile("/sys/fs/cgroup/cgroup.procs", []byte(strconv.Itoa(p.Pid)), 0)
}

// other is what holds on a machine that goes on with another kernel.
var other = []fact{
	{"a service", func() error { _, err := zinit("wait", "s00"); return err }},
	{"no kernel for kexec", func() error {
		text, err := output("reboot", "--kexec")
		if err == nil || !strings.Contains(text+err.Error(), "no kernel is loaded") {
			return fmt.Errorf("%v %s", err, text)
		}
		return nil
	}},
	{"another kernel", func() error {
		kernel, err := unix.Open("/boot/kernel", unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		image, err := unix.Open("/boot/image", unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		// There is no such console: process 1 begins with no descriptor at all.
		if err := unix.KexecFileLoad(kernel, image, "console=none0 panic=-1 quiet no_timer_check zinit.log=error rdinit=/bin/start", 0); err != nil {
			return err
		}
		return run("reboot", "--kexec")
	}},
}

// mute is what holds on a machine without a console.
var mute = []fact{
	{"no console", func() error {
		fd, err := unix.Open("/dev/console", unix.O_WRONLY|unix.O_NOCTTY, 0)
		if err == nil {
			unix.Close(fd)
			return errors.New("/dev/console can be opened")
		}
		return nil
	}},
	{"host name of start.toml", func() error {
		if name, err := os.Hostname(); err != nil || name != "named" {
			return fmt.Errorf("it is %q (%v)", name, err)
		}
		return nil
	}},
	{"services without a console", func() error {
		if _, err := zinit("wait", "s00"); err != nil {
			return err
		}
		list, err := all()
		if err != nil {
			return err
		}
		before := list["s00"].State.Pid
		if err := kill(before, unix.SIGKILL); err != nil {
			return err
		}
		return until(func() error {
			list, err := all()
			if is := list["s00"].State; err == nil && (is.State != "running" || is.Pid == before) {
				err = fmt.Errorf("s00 is %+v", is)
			}
			return err
		})
	}},
	{"another server without a console", func() error {
		return replaced(func(pid int) error { return kill(pid, unix.SIGKILL) })
	}},
	{"power off without a console", func() error { return kill(1, unix.SIGTERM) }}, // which may end this one before it says so
}

// halts is what holds on a machine that is to be halted in a minute, and is at once.
var halts = []fact{
	{"a shell for a repair, and everything again", func() error {
		runs := func(shell, others bool) func() error {
			return func() error {
				list, err := all()
				if err == nil && (list["rescue-shell"].State.State == "running" != shell || list["s00"].State.State == "running" != others) {
					err = fmt.Errorf("%+v, %+v", list["rescue-shell"], list["s00"])
				}
				return err
			}
		}
		err := until(runs(false, true))
		// It is asked for in what stops then.
		err = errors.Join(err, os.WriteFile("/run/repair", nil, 0o600), until(runs(true, false)))
		err = errors.Join(err, until(func() error { _, err := os.Stat("/run/shell"); return err }))
		return errors.Join(err, run("telinit", "3"), until(runs(false, true)))
	}},
	{"a halt that is cancelled, and one that is not", func() error {
		later, err := start("shutdown", "-H", "+5", "later")
		if err != nil {
			return err
		}
		err = until(func() error { return run("shutdown", "-c") })
		if state, waited := later.Wait(); waited != nil || state.Success() {
			err = errors.Join(err, fmt.Errorf("the first ended with %v (%v)", state, waited))
		}
		return errors.Join(err, run("halt"))
	}},
}
