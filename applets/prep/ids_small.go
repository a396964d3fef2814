//go:build 386 || arm

package prep

import "golang.org/x/sys/unix"

// The calls without 32 take numbers of 16 bits here.
const (
	sysSetuid    = unix.SYS_SETUID32
	sysSetgid    = unix.SYS_SETGID32
	sysSetgroups = unix.SYS_SETGROUPS32
)
