package launch

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"zinit/reap"
	"zinit/supervise/config"
)

// prepare looks up what an order needs. On an error the caller closes what the spec
// has in Stdin and Cgroup.
func (l *Launcher) prepare(o *Order) (spec reap.Spec, err error) {
	svc := o.Service
	who, env, path, err := l.lookUp(o)
	if err != nil {
		return spec, err
	}
	spec = o.Spec()
	spec.Path, spec.Env, spec.User = path, env, who.credential
	if !o.Guest || len(o.Files) > 0 && !o.Inetd { // hooks and checks read nothing
		if err := openStdin(svc, &spec); err != nil {
			return spec, err
		}
	}
	spec.Cgroup, err = l.groups.enter(svc, o.Guest)
	if err != nil {
		return spec, err
	}
	if who.credential != nil {
		// So that it can open /dev/stderr again. A pipe that is not its own works too,
		// but for that.
		for _, f := range []*os.File{spec.Stdout, spec.Stderr} {
			if f != nil {
				_ = f.Chown(int(who.credential.Uid), int(who.credential.Gid))
			}
		}
	}
	if svc.Main && !o.Guest && l.streams != nil {
		return spec, l.streams.lend(svc, &spec)
	}
	return spec, nil
}

// checkDir says what is wrong with a working directory. Whether the service's user may
// enter it shows when it is started.
func checkDir(dir string) error {
	if dir == "" {
		return nil
	}
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("dir %s does not exist: make it, or correct the path", dir)
	case err != nil:
		return fmt.Errorf("cannot enter dir %s: %w: correct the path", dir, reason(err))
	case !st.IsDir():
		return fmt.Errorf("dir %s is not a directory: correct the path", dir)
	}
	return nil
}

// openStdin opens what the main process of a service reads, if that is not nothing. A
// terminal is what it writes to, too.
func openStdin(svc *config.Service, spec *reap.Spec) (err error) {
	switch svc.Stdin {
	case "":
		return nil
	case config.StdinTTY:
	default:
		spec.Stdin, err = openAtOnce(svc.Stdin, os.O_RDONLY)
		if err != nil {
			return fmt.Errorf("cannot open stdin %s: %w: correct the path, or its mode", svc.Stdin, reason(err))
		}
		return nil
	}
	if spec.Stdin, err = openAtOnce(svc.TTY, os.O_RDWR); err != nil {
		return fmt.Errorf("cannot open tty %s: %w: name a terminal that is there", svc.TTY, reason(err))
	}
	closeAll(spec.Stdout, spec.Stderr)
	spec.Stdout, spec.Stderr, spec.Keep = nil, nil, [2]*os.File{}
	for _, out := range []**os.File{&spec.Stdout, &spec.Stderr} {
		fd, err := duplicate(spec.Stdin)
		if err != nil {
			closeAll(spec.Stdout)
			return err
		}
		*out = os.NewFile(fd, svc.TTY)
	}
	spec.TTY = true
	return nil
}

// openAtOnce opens a file without waiting, neither for a writer of a FIFO nor for the
// carrier of a line, and without making a terminal anybody's.
func openAtOnce(path string, mode int) (*os.File, error) {
	fd, err := syscall.Open(path, mode|syscall.O_NOCTTY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	// What is read later waits as everybody expects.
	if err := syscall.SetNonblock(fd, false); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// duplicate copies a descriptor.
func duplicate(f *os.File) (fd uintptr, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("cannot copy descriptor of %s: %w", f.Name(), err)
	}
	errno := syscall.EBADF
	_ = raw.Control(func(old uintptr) { // it fails for a closed file, which errno says
		fd, _, errno = syscall.Syscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
	})
	if errno != 0 {
		return 0, fmt.Errorf("cannot copy descriptor of %s: %w", f.Name(), errno)
	}
	return fd, nil
}

// reason takes the path out of an error: who words it has named it.
func reason(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if !errors.As(err, &errno) && errors.Is(err, os.ErrNotExist) {
		return syscall.ENOENT
	}
	return errno // 0 says that the text is all there is
}

// environment is all variables of a process.
func (l *Launcher) environment(o *Order, who identity) ([]string, error) {
	svc := o.Service
	files, err := readEnvFiles(svc.EnvFiles)
	if err != nil {
		return nil, err
	}
	base, own := l.environ, who.variables()
	if !svc.InheritEnv {
		if who.credential == nil {
			who.account = l.users.own(l.uid)
		}
		base, own = nil, minimal(l.environ, who)
	}
	if svc.Stdin == config.StdinTTY {
		own = append(own, "TERM="+terminalKind(svc.TTY))
	}
	return merge(base, own, files, svc.Env, o.Env), nil
}

// terminalKind is what a terminal is taken for whose kind nobody has named.
func terminalKind(tty string) string {
	name := strings.TrimPrefix(tty, "/dev/")
	if rest, ok := strings.CutPrefix(name, "tty"); name == "console" || ok && rest != "" && strings.Trim(rest, "0123456789") == "" {
		return "linux"
	}
	return "vt220"
}

// minimal is what a service has that does not inherit: where programs are, and who it
// is.
func minimal(environ []string, who identity) []string {
	list := append([]string{"PATH=" + config.DefaultPath}, who.account.variables()...)
	for _, kv := range environ {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "HOME", "USER", "LOGNAME", "SHELL":
			if who.credential != nil {
				continue // those are of somebody else
			}
			list = append(list, kv)
		case "PATH":
			list = append(list, kv)
		}
	}
	return list
}

// merge puts lists of variables together; of one that is there several times the last
// wins. A list that is alone is not copied.
func merge(lists ...[]string) []string {
	total, alone := 0, -1
	for i, list := range lists {
		if len(list) > 0 {
			alone = i
		}
		total += len(list)
	}
	if alone < 0 || len(lists[alone]) == total && alone == 0 {
		return lists[max(alone, 0)]
	}
	at := make(map[string]int, total)
	merged := make([]string, 0, total)
	for _, list := range lists {
		for _, kv := range list {
			name, _, _ := strings.Cut(kv, "=")
			if i, ok := at[name]; ok {
				merged[i] = kv
				continue
			}
			at[name] = len(merged)
			merged = append(merged, kv)
		}
	}
	return merged
}
