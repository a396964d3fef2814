package config

import "syscall"

// changeTime is when the file or what the system knows of it was changed, in
// nanoseconds.
func changeTime(s *syscall.Stat_t) int64 { return s.Ctim.Nano() }
