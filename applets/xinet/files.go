package xinet

import "syscall"

// enoughFiles are descriptors for 30,000 connections, which need two each.
const enoughFiles = 1 << 16

// raiseFiles lets this process have that many, where that is allowed. The Go runtime
// has raised the limit as far as everybody may; a kernel without anybody who sets
// limits allows 4,096.
func raiseFiles() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil && limit.Max < enoughFiles {
		// Without the right to do it there are fewer, and others wait.
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: enoughFiles, Max: enoughFiles})
	}
}
