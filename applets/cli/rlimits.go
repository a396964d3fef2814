package cli

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"zinit/supervise/config"
)

// Bounds are how high the resource limits of services can be set here.
type bounds struct {
	nrOpen uint64 // the most that nofile can be; 0: not known
	// hard is the hard limit that cannot be raised here; false: it can, or is not known.
	hard func(resource int) (limit uint64, bound bool)
}

// capSysResource is the number of the capability to raise hard limits.
const capSysResource = 24

// rlimitNofile is the number of that limit on Linux.
const rlimitNofile = 7

// thisMachine looks at what the kernel says of itself and of this process: a server
// that the same user starts can set what this process can. Where nothing is known
// everything can be set.
func thisMachine(nrOpen, status string) bounds {
	m := bounds{hard: func(int) (uint64, bool) { return 0, false }}
	if text, err := os.ReadFile(nrOpen); err == nil {
		m.nrOpen, _ = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	}
	text, err := os.ReadFile(status)
	if err != nil || runtime.GOOS != "linux" || hasCapability(string(text), capSysResource) {
		return m
	}
	m.hard = func(resource int) (uint64, bool) {
		var l syscall.Rlimit
		err := syscall.Getrlimit(resource, &l)
		return l.Max, err == nil
	}
	return m
}

// hasCapability reports whether a process has a capability in effect, by what
// /proc/PID/status says of it. What cannot be read may be so.
func hasCapability(status string, number int) bool {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
			set, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
			return err != nil || set>>number&1 != 0
		}
	}
	return true
}

// rlimits warns of resource limits that cannot be set here. They are set when a
// service starts, perhaps on another machine: nothing is wrong with the file.
func rlimits(services []*config.Service, here bounds) []config.Problem {
	var problems []config.Problem
	for _, svc := range services {
		for _, l := range svc.Setup.Rlimits {
			name, text := config.RlimitName(l.Resource), ""
			bound, isBound := here.hard(l.Resource)
			switch {
			case l.Resource == rlimitNofile && here.nrOpen > 0 && l.Hard > here.nrOpen:
				text = fmt.Sprintf("%s is above fs.nr_open of this machine, which is %d: lower it, or raise that with sysctl",
					limitText(l.Hard), here.nrOpen)
			case isBound && l.Hard > bound:
				text = fmt.Sprintf("%s is above the hard limit here, which is %s and which only CAP_SYS_RESOURCE can raise: lower it, or give zinit that capability",
					limitText(l.Hard), limitText(bound))
			default:
				continue
			}
			problems = append(problems, config.Problem{
				File: svc.Source, Line: lineOf(svc.Source, name, ""), Key: "rlimits." + name, Service: svc.Name,
				Severity: config.Warning, Message: text,
			})
		}
	}
	return problems
}

func limitText(n uint64) string {
	if n == config.Unlimited {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}
