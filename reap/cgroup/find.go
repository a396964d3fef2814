package cgroup

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// own is the directory of the group that a process is in; mounts and groups are the
// texts of /proc/PID/mountinfo and /proc/PID/cgroup.
func own(mounts, groups string) (string, error) {
	path, ok := pathV2(groups)
	if !ok {
		return "", errors.New("this kernel has no cgroup v2")
	}
	readOnly, outside := "", ""
	for line := range strings.Lines(mounts) {
		m, ok := parseMount(strings.TrimSuffix(line, "\n"))
		if !ok {
			continue
		}
		below, ok := within(path, m.root)
		switch {
		case !ok:
			outside = m.point
		case m.readOnly:
			readOnly = m.point
		default:
			return filepath.Join(m.point, below), nil
		}
	}
	switch {
	case readOnly != "":
		return "", fmt.Errorf("the cgroup tree at %s is mounted read-only", readOnly)
	case outside != "":
		return "", fmt.Errorf("the cgroup %s of this process is not in the tree at %s", path, outside)
	}
	return "", errors.New("no cgroup v2 tree is mounted")
}

// pathV2 is the path of the group in the one tree of version 2.
func pathV2(groups string) (string, bool) {
	for line := range strings.Lines(groups) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return path, strings.HasPrefix(path, "/")
		}
	}
	return "", false
}

// within is the path of a group as seen from the root of a mount.
func within(path, root string) (below string, ok bool) {
	// A path or root that begins so is outside of this process's cgroup namespace.
	if strings.HasPrefix(path, "/..") || strings.HasPrefix(root, "/..") {
		return "", false
	}
	if root == "/" {
		return path, true
	}
	below, ok = strings.CutPrefix(path, root)
	return below, ok && (below == "" || below[0] == '/')
}

type mount struct {
	root, point string
	readOnly    bool
}

// parseMount reads a line of mountinfo, if it is about a tree of version 2: number,
// parent, device, root, mount point, options, tags …, "-", type, source, options of
// the file system.
func parseMount(line string) (m mount, ok bool) {
	head, tail, found := strings.Cut(line, " - ")
	fields := strings.Fields(head)
	if !found || len(fields) < 6 || !strings.HasPrefix(tail, "cgroup2 ") {
		return mount{}, false
	}
	m = mount{root: unescape(fields[3]), point: unescape(fields[4])}
	for option := range strings.SplitSeq(fields[5], ",") {
		m.readOnly = m.readOnly || option == "ro"
	}
	return m, true
}

// unescape undoes what the kernel does to blanks in paths: three octal digits.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// ownDir is the directory of the group that this process is in.
func ownDir() (string, error) {
	groups, err := read("/proc/self/cgroup")
	if err != nil {
		return "", noProc(err, "this kernel has no cgroups")
	}
	mounts, err := read("/proc/self/mountinfo")
	if err != nil {
		return "", noProc(err, "")
	}
	return own(mounts, groups)
}

func noProc(err error, otherwise string) error {
	switch {
	case unix.Access("/proc/self/stat", unix.F_OK) != nil:
		return errors.New("/proc is missing, where the kernel says which cgroup this is")
	case otherwise != "":
		return errors.New(otherwise)
	}
	return err
}
