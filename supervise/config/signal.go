package config

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// signalNames holds the names of the signals by their numbers on Linux. The
// numbers are written out because files are also checked on systems whose
// numbers differ, while the services always run on Linux.
var signalNames = [...]string{
	1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE",
	9: "KILL", 10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM",
	16: "STKFLT", 17: "CHLD", 18: "CONT", 19: "STOP", 20: "TSTP", 21: "TTIN", 22: "TTOU",
	23: "URG", 24: "XCPU", 25: "XFSZ", 26: "VTALRM", 27: "PROF", 28: "WINCH", 29: "IO",
	30: "PWR", 31: "SYS",
}

// By their numbers on Linux.
const (
	defaultStopSignal   = syscall.Signal(15) // SIGTERM
	defaultReloadSignal = syscall.Signal(1)  // SIGHUP
)

// ParseSignal returns the signal that text names: trimmed, in any case, with or
// without SIG, or as a number from 1 to 31. Numbers are those of Linux. The error
// reads on from the name of what was parsed ("'X' is not a valid signal: …").
func ParseSignal(text string) (syscall.Signal, error) {
	word := strings.ToUpper(strings.TrimSpace(text))
	if n, err := strconv.Atoi(word); err == nil {
		if n < 1 || n >= len(signalNames) {
			return 0, fmt.Errorf("%s is not a valid signal: numbers go from 1 to %d", quoted(text), len(signalNames)-1)
		}
		return syscall.Signal(n), nil
	}
	word = strings.TrimPrefix(word, "SIG")
	switch word {
	case "IOT":
		word = "ABRT"
	case "POLL":
		word = "IO"
	case "CLD":
		word = "CHLD"
	case "UNUSED":
		word = "SYS"
	}
	if word != "" {
		for n, name := range signalNames {
			if name == word {
				return syscall.Signal(n), nil
			}
		}
	}
	hint := "write a name such as SIGTERM or a number"
	var full []string // a person has the whole name in mind
	for _, name := range signalNames[1:] {
		full = append(full, "SIG"+name)
	}
	if near := Nearest("SIG"+word, full); near != "" {
		hint = "did you mean " + near + "?"
	}
	return 0, fmt.Errorf("%s is not a valid signal: %s", quoted(text), hint)
}

// SignalName returns the full name of a signal by its number on Linux, such as
// "SIGTERM"; for one without a name "signal 40".
func SignalName(sig syscall.Signal) string {
	if n := int(sig); n > 0 && n < len(signalNames) {
		return "SIG" + signalNames[n]
	}
	return "signal " + strconv.Itoa(int(sig))
}
