package power

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// wall tells everybody who sits at a terminal. It waits for none: a terminal may be
// stopped.
func wall(text, message string) {
	host, _ := os.Hostname() // empty when nobody knows
	lines := fmt.Sprintf("\r\n\aBroadcast message of %s: %s\r\n", host, text)
	if message != "" {
		lines += printable(message) + "\r\n"
	}
	for _, path := range inUse("/proc") {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		_, _ = unix.Write(fd, []byte(lines)) // who cannot be told is not told
		unix.Close(fd)
	}
}

// printable keeps a message from driving terminals.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// inUse lists the terminals that processes have.
func inUse(proc string) (list []string) {
	stats, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "stat")) // the pattern is good
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// PID (NAME) STATE PARENT GROUP SESSION TERMINAL ...
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 5 {
			continue
		}
		if n, err := strconv.Atoi(fields[4]); err == nil {
			if name := terminal(uint64(uint32(n))); name != "" && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

// terminal is the path of the terminal with a number; empty if it is of another kind.
func terminal(dev uint64) string {
	major, minor := unix.Major(dev), unix.Minor(dev)
	switch {
	case major >= 136 && major <= 143:
		return fmt.Sprintf("/dev/pts/%d", (major-136)<<8|minor)
	case major == 4 && minor < 64:
		return fmt.Sprintf("/dev/tty%d", minor)
	case major == 4:
		return fmt.Sprintf("/dev/ttyS%d", minor-64)
	case major == 5 && minor == 1:
		return "/dev/console"
	}
	return ""
}
