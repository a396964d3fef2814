package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A fact is one thing that has to be so.
type fact struct {
	name string
	look func() error
}

// checkAll looks at facts and tells a line for each. The last of them ends the machine.
func checkAll(facts []fact) {
	for _, f := range facts {
		began := time.Now()
		if err := f.look(); err != nil {
			tell("FAIL %s: %v", f.name, err)
		} else {
			tell("ok %s (%.1f s)", f.name, time.Since(began).Seconds())
		}
	}
	tell("all looked at")
	serve()
}

// patience is how long a fact is waited for.
const patience = 60 * time.Second

// until waits for a fact, which is looked at again and again.
func until(look func() error) (err error) {
	late := time.After(patience)
	again := time.NewTicker(300 * time.Millisecond) // in an emulation a look is dear
	defer again.Stop()
	for {
		if err = look(); err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-late:
			return fmt.Errorf("after %v: %w", patience, err)
		}
	}
}

// zinit runs the command line.
func zinit(args ...string) (string, error) { return output("zinit", args...) }

// output runs a program of the binary by its name and returns what it says.
func output(name string, args ...string) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	p, err := os.StartProcess("/bin/"+name, append([]string{name}, args...), &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{nil, w, w},
	})
	w.Close()
	if err != nil {
		return "", err
	}
	text, _ := io.ReadAll(r)
	state, err := p.Wait()
	if err == nil && !state.Success() {
		err = fmt.Errorf("%s %s: %v: %s", name, strings.Join(args, " "), state, text)
	}
	return string(text), err
}

// A service as list --json has it.
type service struct {
	Name, Reason string
	State        struct {
		State string
		Pid   int
	}
}

// all is every service by name.
func all() (map[string]service, error) {
	text, err := zinit("list", "--json")
	if err != nil {
		return nil, err
	}
	var list []service
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("%w in %s", err, text)
	}
	m := map[string]service{}
	for _, s := range list {
		m[s.Name] = s
	}
	return m, nil
}

// serverPid is that of the server that answers.
func serverPid() (int, error) {
	text, err := zinit("ping", "--json")
	if err != nil {
		return 0, err
	}
	var p struct{ Pid int }
	return p.Pid, json.Unmarshal([]byte(text), &p)
}

// sameAs returns a fact: what runs now runs then, in the same processes.
func sameAs() (func() error, error) {
	before, err := all()
	if err != nil {
		return nil, err
	}
	return func() error {
		return until(func() error {
			now, err := all()
			if err != nil {
				return err
			}
			for name, was := range before {
				if is := now[name]; name != "clock" && was.State.State == "running" && is.State != was.State {
					return fmt.Errorf("%s was %+v and is %+v: %s", name, was.State, is.State, is.Reason)
				}
			}
			return nil
		})
	}, nil
}

// unharmed does something that no service may notice.
func unharmed(what func() error) error {
	same, err := sameAs()
	if err != nil {
		return err
	}
	return errors.Join(what(), same())
}

// printed finds a line of the kernel's and the moment of it, in seconds.
func printed(words string) (at float64, ok bool) {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	text := make([]byte, 8192)
	for {
		n, err := unix.Read(fd, text)
		switch {
		case err == unix.EPIPE:
			continue // lines were overwritten
		case err != nil:
			return 0, false
		}
		head, line, _ := strings.Cut(string(text[:n]), ";")
		if fields := strings.Split(head, ","); len(fields) > 2 && strings.Contains(line, words) {
			us, err := strconv.ParseInt(fields[2], 10, 64)
			return float64(us) / 1e6, err == nil
		}
	}
}

// number reads a line "NAME: NUMBER" of a file of /proc.
func number(path, name string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if key, rest, _ := strings.Cut(line, ":"); key == name {
			return strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	return 0, fmt.Errorf("%s has no %s", path, name)
}

// kill signals a process that has to be there.
func kill(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err != nil {
		return fmt.Errorf("cannot send %v to %d: %w", sig, pid, err)
	}
	return nil
}

// start runs a program of the binary by its name.
func start(name string, args ...string) (*os.Process, error) {
	return os.StartProcess("/bin/"+name, append([]string{name}, args...), &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{nil, os.Stdout, os.Stderr},
	})
}

// run does so and waits for its success.
func run(name string, args ...string) error {
	p, err := start(name, args...)
	if err != nil {
		return err
	}
	if state, err := p.Wait(); err != nil || !state.Success() {
		return fmt.Errorf("%s %s: %v %v", name, strings.Join(args, " "), state, err)
	}
	return nil
}
