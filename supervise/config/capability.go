package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// capabilityNames holds the capabilities by their numbers on Linux.
var capabilityNames = [...]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
	"SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
	"IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
	"SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
	"LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
	"WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
}

// ParseCapability returns the number of a capability on Linux by its name, in any
// case, with or without CAP_. The error reads on from the name of what was parsed.
func ParseCapability(text string) (int, error) {
	word := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), "CAP_")
	if n := slices.Index(capabilityNames[:], word); n >= 0 {
		return n, nil
	}
	hint := "write a name such as CAP_NET_BIND_SERVICE"
	if near := Nearest(word, capabilityNames[:]); near != "" {
		hint = "did you mean CAP_" + near + "?"
	}
	return 0, fmt.Errorf("%s is not a capability: %s", quoted(text), hint)
}

// CapabilityName returns the full name of a capability by its number on Linux, such
// as "CAP_KILL"; for one without a name "capability 63".
func CapabilityName(n int) string {
	if n >= 0 && n < len(capabilityNames) {
		return "CAP_" + capabilityNames[n]
	}
	return "capability " + strconv.Itoa(n)
}

// setCapabilities takes service.capabilities.
func setCapabilities(s *Service, v value) {
	if _, ok := v.entry.value.([]tomlEntry); !ok {
		v.list() // says what is wrong
		return
	}
	keep := []int{}
	for _, e := range v.texts() {
		n, err := ParseCapability(e.entry.value.(string))
		if err != nil {
			e.fail("%v", err)
			continue
		}
		keep = append(keep, n)
	}
	slices.Sort(keep)
	keep = slices.Compact(keep)
	s.Setup.Capabilities = &keep
}

func getCapabilities(s *Service) any {
	if s.Setup.Capabilities == nil {
		return nil
	}
	names := make([]string, 0, len(*s.Setup.Capabilities))
	for _, n := range *s.Setup.Capabilities {
		names = append(names, CapabilityName(n))
	}
	return names
}
