package prep

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"zinit/reap"
)

// becomeUser changes the user of this thread alone, which is the one that executes:
// package syscall would make the others follow.
func becomeUser(o *reap.PrepOrder) error {
	u := o.User
	if u == nil {
		return nil
	}
	if o.Prep.Capabilities != nil {
		if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil { // exec clears it
			return fmt.Errorf("cannot keep capabilities: %w: remove the key", err)
		}
	}
	if !u.KeepGroups {
		var groups unsafe.Pointer
		if len(u.Groups) > 0 {
			groups = unsafe.Pointer(&u.Groups[0])
		}
		if _, _, errno := unix.RawSyscall(sysSetgroups, uintptr(len(u.Groups)), uintptr(groups), 0); errno != 0 {
			return refusedUser("set the supplementary groups", errno)
		}
	}
	if _, _, errno := unix.RawSyscall(sysSetgid, uintptr(u.Gid), 0, 0); errno != 0 {
		return refusedUser("become group "+strconv.FormatUint(uint64(u.Gid), 10), errno)
	}
	if _, _, errno := unix.RawSyscall(sysSetuid, uintptr(u.Uid), 0, 0); errno != 0 {
		return refusedUser("become user "+strconv.FormatUint(uint64(u.Uid), 10), errno)
	}
	return nil
}

func refusedUser(what string, errno syscall.Errno) error {
	switch errno {
	case unix.EPERM:
		return fmt.Errorf("cannot %s: %w: only root can: run zinit as root, or remove the key", what, errno)
	case unix.EINVAL:
		return fmt.Errorf("cannot %s: %w: this user namespace has no such number: take one that it maps", what, errno)
	}
	return fmt.Errorf("cannot %s: %w: start it again, or take another", what, errno)
}

// capabilityNames are the names of capabilities by their numbers.
var capabilityNames = [...]string{"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
	"setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
	"sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource",
	"sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin",
	"syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore"}

func capabilityName(n int) string {
	if n < len(capabilityNames) {
		return "CAP_" + strings.ToUpper(capabilityNames[n])
	}
	return "capability " + strconv.Itoa(n)
}

// maxCapabilities is how many the interface of the kernel has room for.
const maxCapabilities = 64

// dropBounds takes what is not kept out of the bounding set, from which a program of
// root's, or one with capabilities of its own, would get it back.
func dropBounds(o *reap.PrepOrder) error {
	if o.Prep.Capabilities == nil {
		return nil
	}
	for n := range maxCapabilities {
		if *o.Prep.Capabilities>>n&1 != 0 {
			continue
		}
		there, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0)
		if err != nil {
			break // the kernel has no more
		}
		if there == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(n), 0, 0, 0); err != nil {
			return fmt.Errorf("cannot drop %s: %w: only root can: run zinit as root, or remove capabilities", capabilityName(n), err)
		}
	}
	return nil
}

// keepCapabilities reduces what this process has to what is kept. A program of a user
// other than root gets that by way of the ambient set.
func keepCapabilities(o *reap.PrepOrder) error {
	if o.Prep.Capabilities == nil {
		return nil
	}
	kept := *o.Prep.Capabilities
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return fmt.Errorf("cannot read the capabilities: %w: remove the key", err)
	}
	have := uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted)
	for n := range maxCapabilities {
		if (kept&^have)>>n&1 != 0 {
			return fmt.Errorf("cannot keep %s: %w: the keeper does not have it: remove it from capabilities, or give it to zinit", capabilityName(n), unix.EPERM)
		}
	}
	ambient := unix.Geteuid() != 0
	if o.User != nil {
		ambient = o.User.Uid != 0
	}
	for i := range data {
		word := uint32(kept >> (32 * i))
		data[i] = unix.CapUserData{Effective: word, Permitted: word}
		if ambient {
			data[i].Inheritable = word
		}
	}
	if err := unix.Capset(&head, &data[0]); err != nil {
		return fmt.Errorf("cannot set the capabilities: %w: remove the key", err)
	}
	for n := range maxCapabilities {
		if !ambient || kept>>n&1 == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(n), 0, 0); err != nil {
			return fmt.Errorf("cannot keep %s: %w: remove it from capabilities", capabilityName(n), err)
		}
	}
	return nil
}
