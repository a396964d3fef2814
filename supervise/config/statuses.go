package config

import (
	"strings"
	"syscall"
)

// Statuses is a set of ways to end: codes and signals. The zero value is empty.
// Values can be compared with ==.
type Statuses struct {
	Codes   [4]uint64 // a bit for each code from 0 to 255
	Signals uint64    // a bit for each signal, by its number on Linux
}

// HasCode tells whether to exit with this code is one of them.
func (s Statuses) HasCode(code int) bool {
	return code >= 0 && code < 256 && s.Codes[code/64]&(1<<(code%64)) != 0
}

// HasSignal tells whether to be killed by this signal is one of them.
func (s Statuses) HasSignal(sig syscall.Signal) bool {
	return sig > 0 && sig < 64 && s.Signals&(1<<sig) != 0
}

// Empty tells whether it has none.
func (s Statuses) Empty() bool { return s == Statuses{} }

// statuses takes a list of codes and names of signals.
func (v value) statuses() (set Statuses) {
	for _, e := range v.list() {
		switch x := e.entry.value.(type) {
		case int64:
			if x < 0 || x > 255 {
				e.fail("contains %d: codes go from 0 to 255", x)
				continue
			}
			set.Codes[x/64] |= 1 << (x % 64)
		case string:
			sig, err := ParseSignal(x)
			switch {
			case err != nil:
				e.fail("%v", err)
			case strings.Trim(strings.TrimSpace(x), "0123456789") == "":
				e.fail("contains %s, which may be a code or a signal: write %s without quotes, or \"%s\"", quoted(x), strings.TrimSpace(x), SignalName(sig))
			default:
				set.Signals |= 1 << sig
			}
		default:
			e.fail("contains %s: write codes such as 143 and signals such as \"SIGTERM\"", describe(x))
		}
	}
	return set
}

// list is what statuses takes.
func (s Statuses) list() any {
	var list []any
	if s.Empty() {
		return list // nearly always
	}
	for code := range 256 {
		if s.HasCode(code) {
			list = append(list, int64(code))
		}
	}
	for sig := range syscall.Signal(64) {
		if s.HasSignal(sig) {
			list = append(list, SignalName(sig))
		}
	}
	return list
}
