package logs

import "os"

// Watch has the stores made anew when their directory is deleted; with the
// descriptor that an earlier server had for that, or nil. What it returns is for
// whoever outlives this process to hold (see pump.Pump.Watch); it is nil where the
// stores are in memory. It is called once at most.
func (l *Logs) Watch(left *os.File) (*os.File, error) { return l.pump.Watch(left) }
