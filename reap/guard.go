package reap

import "runtime/debug"

// survive calls f and reports whether it returned; a panic is logged instead of
// ending the process.
func survive(log func(format string, args ...any), who string, f func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			log("%s failed and goes on: %v\n%s", who, r, debug.Stack())
		}
	}()
	f()
	return true
}

// forever runs a loop that is not meant to end, again after each panic.
func forever(log func(format string, args ...any), who string, loop func()) {
	for !survive(log, who, loop) {
	}
}
