package cgroup

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxText bounds what is read of one file: the members of a group of half a million.
const maxText = 4 << 20

// read reads a file of the kernel's, which a plain read gives from one moment.
func read(path string) (string, error) {
	fd, err := open(path, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	text := make([]byte, 0, 4096)
	for len(text) < maxText {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := unix.Read(fd, text[len(text):cap(text)])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return "", fmt.Errorf("cannot read %s: %w", path, err)
		case n == 0:
			return string(text), nil
		}
		text = text[:len(text)+n]
	}
	return "", fmt.Errorf("cannot read %s: %w", path, unix.EFBIG)
}

// readShort reads a file of the kernel's that has a few lines of figures.
func readShort(path string) (string, error) {
	fd, err := open(path, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var text [512]byte
	for {
		n, err := unix.Read(fd, text[:])
		if err == nil {
			return string(text[:n]), nil
		}
		if err != unix.EINTR {
			return "", fmt.Errorf("cannot read %s: %w", path, err)
		}
	}
}

// write writes a file of the kernel's in one go.
func write(path, text string) error {
	fd, err := open(path, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		_, err := unix.Write(fd, []byte(text))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot write %s to %s: %w", text, path, err)
		}
		return nil
	}
}

func open(path string, mode int) (fd int, err error) {
	for {
		fd, err = unix.Open(path, mode|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return -1, fmt.Errorf("cannot open %s: %w", path, err)
	}
	return fd, nil
}

// value is what a file of "name number" lines has under a name.
func value(text, name string) (n uint64, ok bool) {
	for line := range strings.Lines(text) {
		key, rest, found := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if found && key == name {
			n, err := strconv.ParseUint(rest, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
