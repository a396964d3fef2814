package host

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Down puts away what must be before the power goes: the random seed is saved, swap
// is given back, file systems are unmounted, the last first, and those that are busy
// are made read-only; the root is. It returns at the deadline at the latest, with
// what hangs left to itself. say gets a line for what could not be done.
func Down(deadline time.Time, say func(format string, args ...any)) {
	within(deadline, func(begin func(string)) { putAway(begin, say) }, say)
}

// within runs work until the deadline. Work tells what it begins; what it hangs in
// then is left to itself.
func within(deadline time.Time, work func(begin func(string)), say func(format string, args ...any)) {
	done := make(chan struct{})
	step := make(chan string, 16)
	go func() {
		defer close(done)
		work(func(name string) {
			select {
			case step <- name:
			case <-time.After(time.Until(deadline)): // nobody listens any more
			}
		})
	}()
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	at := "the beginning"
	for {
		select {
		case at = <-step:
		case <-done:
			return
		case <-late.C:
			say("%s does not come to an end: going on without it", at)
			return
		}
	}
}

func putAway(begin func(string), say func(format string, args ...any)) {
	begin("saving the random seed")
	if err := saveSeed(""); err != nil {
		say("random seed not saved: %v", err)
	}
	begin("writing to the disks")
	unix.Sync()
	swaps, _ := os.ReadFile("/proc/swaps") // none without /proc
	for _, path := range swapAreas(swaps) {
		begin("giving back the swap area " + path)
		if err := swapOff(path); err != nil {
			say("cannot give back the swap area %s: %v", path, err)
		}
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		say("which file systems are mounted cannot be seen: %v", err)
	}
	busy := "" // that can be written still
	for _, at := range toUnmount(table) {
		begin("unmounting " + at)
		if err := unmount(at); err != nil {
			say("%v", err)
			if !isReadOnly(at) {
				busy = at
			}
		}
	}
	begin("making the root read-only")
	switch err := readOnly("/"); err {
	case nil, unix.EINVAL: // an initramfs has no such thing
	case unix.EBUSY:
		busy = "/"
	default:
		say("cannot make / read-only: %v", err)
	}
	if busy != "" {
		begin("making everything read-only")
		if err := forceReadOnly(busy, sysrq); err != nil {
			say("cannot make %s read-only: %v", busy, err)
		}
	}
	begin("writing to the disks")
	unix.Sync()
}

// sysrq takes orders for the kernel, each a letter.
const sysrq = "/proc/sysrq-trigger"

// forceTime is how long the kernel may take to make everything read-only.
const forceTime = 5 * time.Second

// forceReadOnly makes all disks read-only though files are in use that have no name any
// more: this program itself is one when it was replaced. The kernel does so beside us.
func forceReadOnly(at, trigger string) error {
	f, err := os.OpenFile(trigger, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("%w, and it cannot be forced: %w", unix.EBUSY, err)
	}
	defer f.Close()
	if _, err := f.WriteString("u"); err != nil {
		return fmt.Errorf("%w, and it cannot be forced: %w", unix.EBUSY, err)
	}
	late := time.After(forceTime)
	// The kernel tells nobody when it has: the table of mounts stays as it was.
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !isReadOnly(at) {
		select {
		case <-again.C:
		case <-late:
			return fmt.Errorf("%w, and the kernel was asked to force it and has not", unix.EBUSY)
		}
	}
	return nil
}

func isReadOnly(at string) bool {
	var st unix.Statfs_t
	return unix.Statfs(at, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

// unmount takes a file system away, or makes it read-only when it is busy.
func unmount(at string) error {
	err := unix.Unmount(at, unix.UMOUNT_NOFOLLOW)
	if err == nil || err == unix.EINVAL || err == unix.ENOENT { // it is gone already
		return nil
	}
	if ro := readOnly(at); ro != nil {
		return fmt.Errorf("cannot unmount %s: %w, nor make it read-only: %w", at, err, ro)
	}
	return fmt.Errorf("cannot unmount %s: %w: made it read-only", at, err)
}

func readOnly(at string) error {
	return unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

// ofKernel are kinds of file systems that hold nothing to be written.
var ofKernel = []string{
	"proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "mqueue", "securityfs", "debugfs", "tracefs",
	"bpf", "pstore", "configfs", "efivarfs", "hugetlbfs", "binfmt_misc", "autofs", "rootfs", "ramfs", "fusectl",
}

// toUnmount lists mount points from the text of /proc/self/mountinfo, in the order
// in which they can be unmounted: the last that was mounted first. The root is not
// among them, and neither is what holds nothing: of tmpfs it is only those below
// which something else may be.
func toUnmount(table []byte) (list []string) {
	for line := range bytes.Lines(table) {
		f := strings.Fields(string(line))
		sep := slices.Index(f, "-")
		if len(f) < 5 || sep < 0 || sep+1 >= len(f) {
			continue
		}
		at := unescape(f[4])
		kind := f[sep+1]
		if at == "/" || slices.Contains(ofKernel, kind) || kind == "tmpfs" && (at == "/run" || at == "/dev" || strings.HasPrefix(at, "/dev/")) {
			continue
		}
		list = append(list, at)
	}
	slices.Reverse(list)
	return list
}

// unescape undoes what the kernel does to spaces and the like: \040.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+4 <= len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// swapAreas lists what the text of /proc/swaps names.
func swapAreas(table []byte) (list []string) {
	for line := range bytes.Lines(table) {
		f := strings.Fields(string(line))
		if len(f) > 1 && strings.HasPrefix(f[0], "/") {
			list = append(list, unescape(f[0]))
		}
	}
	return list
}

func swapOff(path string) error {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_SWAPOFF, uintptr(unsafe.Pointer(p)), 0, 0); errno != 0 {
		return errno
	}
	return nil
}
