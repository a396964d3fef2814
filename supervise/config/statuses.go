package config

import "syscall"

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
