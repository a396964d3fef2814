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
	{"reboot", func() error { _, err := zinit("reboot"); return err }},
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

// halts is what holds on a machine that is to be halted in a minute, and is at once.
var halts = []fact{
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
