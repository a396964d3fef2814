package logs

import "os"

// Watch has the stores made anew when their directory is deleted; with the
// descriptor that an earlier server had for that, or nil. What it returns is for
// whoever outlives this process to hold (see pump.Pump.Watch); it is nil where the
// stores are in memory. stirred is called when something was deleted beside them, and
// before they are made anew; it must not wait for anything of the logs. Watch is called
// once at most.
func (l *Logs) Watch(left *os.File, stirred func()) (*os.File, error) {
	return l.pump.Watch(left, stirred)
}
