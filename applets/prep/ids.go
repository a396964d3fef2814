//go:build !386 && !arm

package prep

import "golang.org/x/sys/unix"

const (
	sysSetuid    = unix.SYS_SETUID
	sysSetgid    = unix.SYS_SETGID
	sysSetgroups = unix.SYS_SETGROUPS
)
