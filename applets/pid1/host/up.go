package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Step is one thing that is done on the way up.
type Step struct {
	Name string
	Do   func() error
}

// mountSteps are the first on the way up, in order. root is "" but in tests.
func mountSteps(root string) (list []Step) {
	for _, m := range mounts {
		list = append(list, Step{"mount " + m.at, func() error { return m.put(root) }})
	}
	return list
}

// steps are those that need what is mounted then.
func steps(root string, c Cmdline) []Step {
	return []Step{
		{"console", func() error { return attachConsole(filepath.Join(root, "/dev/console")) }},
		{"host name", func() error { return setHostname(root, c.Hostname) }},
		{"loopback", loopbackUp},
		{"random seed", func() error { return restoreSeed(root) }},
	}
}

// Up takes all steps; say gets a line for each that fails. It returns at the deadline
// at the latest, with what hangs left to itself.
func Up(deadline time.Time, say func(format string, args ...any)) {
	within(deadline, func(begin func(string)) {
		take(mountSteps(""), begin, say)
		take(steps("", ReadCmdline()), begin, say)
	}, say)
}

func take(list []Step, begin func(string), say func(format string, args ...any)) {
	for _, s := range list {
		begin(s.Name)
		if err := s.Do(); err != nil {
			say("%s: %v: going on without", s.Name, err)
		}
	}
}

// attachConsole has the standard descriptors that nobody gave this process lead to the
// console: those are the end of a pipe from which nothing comes. That there is no
// console is no reason to complain: to whom?
func attachConsole(path string) error {
	for fd := range 3 {
		var st unix.Stat_t
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil || unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO || flags&unix.O_ACCMODE != unix.O_RDONLY {
			continue
		}
		console, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil
		}
		err = unix.Dup3(console, fd, 0)
		unix.Close(console)
		if err != nil {
			return err
		}
	}
	return nil
}

// setHostname names the machine: as asked, otherwise as /etc/hostname has it.
// Without either it keeps the kernel's name.
func setHostname(root, asked string) error {
	name := asked
	if name == "" {
		text, err := os.ReadFile(filepath.Join(root, "/etc/hostname"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name = firstWord(text)
	}
	if name == "" {
		return nil
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("cannot set it to %q: %w", name, err)
	}
	return nil
}

// firstWord is the first line that is no comment.
func firstWord(text []byte) string {
	for line := range bytes.Lines(text) {
		if word := strings.TrimSpace(string(line)); word != "" && word[0] != '#' {
			return word
		}
	}
	return ""
}

// loopbackUp brings lo up. The kernel gives it its addresses then.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return err
	}
	if req.Uint16()&unix.IFF_UP != 0 {
		return nil
	}
	req.SetUint16(req.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// seedFile keeps randomness from one life of the machine to the next.
const seedFile = "/var/lib/zinit/random-seed"

const seedSize = 512

// restoreSeed stirs what the last life left into the kernel's pool. It is not
// counted as randomness: the file may have been copied. It is used once: a crash
// must not bring the same seed twice.
func restoreSeed(root string) error {
	path := filepath.Join(root, seedFile)
	seed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(seed) > 0 {
		if err := os.WriteFile(filepath.Join(root, "/dev/urandom"), seed[:min(len(seed), seedSize)], 0); err != nil {
			return err
		}
	}
	if err := saveSeed(root); err != nil && !errors.Is(err, unix.EROFS) { // the root is often read-only yet
		return err
	}
	return nil
}

// saveSeed leaves randomness for the next life. It does not wait for the kernel to
// have some.
func saveSeed(root string) error {
	var seed [seedSize]byte
	n, err := unix.Getrandom(seed[:], unix.GRND_NONBLOCK)
	if err != nil || n < len(seed) {
		return fmt.Errorf("the kernel has no randomness yet: %w", err)
	}
	path := filepath.Join(root, seedFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", seed[:], 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
