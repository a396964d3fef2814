package logs

import (
	"path/filepath"
	"time"
)

// DefaultLines is how many lines Tail returns at most when Options name no number.
const DefaultLines = 1000

// Options are the settings of one service. The zero Options are the defaults.
type Options struct {
	BufferLines int   // lines that Tail returns at most; 0: DefaultLines
	BufferBytes int64 // bytes that the store keeps; 0: 4 MiB; at least 64 KiB are kept
	Rate        int   // lines a second; what is more is dropped and counted; 0: no bound

	// Where lines go beside the store and the file: to the server's stdout, to the log
	// of the kernel, to the socket of the system log. None of them is waited for.
	Stdout, Ring, Syslog bool
	// None: what the next run writes is not even read.
	None bool

	// File is a file that every line is appended to; empty: to none. With FileMax
	// (bytes) or FileAge it becomes FILE.1 when a line would make it larger, or when a
	// line comes and it is older; FILE.1 becomes FILE.2, and so on, and FileKeep (at
	// least 1) of them stay, compressed with Compress.
	File     string
	FileMax  int64
	FileAge  time.Duration
	FileKeep int
	Compress bool
}

// target is the log file.
func (o *Options) target() target {
	return target{o.File, rotation{max(0, o.FileMax), max(0, o.FileAge), max(1, o.FileKeep), o.Compress}}
}

// Configure sets the options of a service; they apply from the next byte on. What
// was stored before a file is named does not go into the file.
func (l *Logs) Configure(service string, o Options) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.serviceLocked(service)
	if s.lines = o.BufferLines; s.lines <= 0 {
		s.lines = DefaultLines
	}
	// Who reads comes before the limit: what is above that is released at once.
	switch {
	case s.sink != nil:
		s.sink.aim(o.target())
	case o.File != "":
		s.sink = l.newSink(s.store, l.position(service), o.target())
	case !s.configured:
		s.store.Unhold()
	}
	l.forwardLocked(s, toStdout, o.Stdout)
	l.forwardLocked(s, toRing, o.Ring)
	l.forwardLocked(s, toSyslog, o.Syslog)
	s.store.Limit(o.BufferBytes, s.lines)
	s.store.Ration(o.Rate)
	s.none = o.None
	s.configured = true
}

// foreseeLocked keeps for a log file, which nobody has named yet, what the file had
// not when the last server ended: a pipe may be read before Configure.
func (l *Logs) foreseeLocked(s *service) {
	if s.configured || s.foreseen {
		return
	}
	s.foreseen = true
	pos := position{path: l.position(s.name)}
	if rec, ok := pos.load(); ok {
		s.store.Hold(rec.held(), nil)
	}
}

// position is the file that says how far the log file of a service has come.
func (l *Logs) position(service string) string {
	if l.dir == "" || filepath.Base(service) != service {
		return ""
	}
	return filepath.Join(l.dir, service+".pos")
}
