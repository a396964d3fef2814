package main

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readByte waits for the end of a pipe, after a fork: without Go's runtime.
//
//go:nosplit
func readByte(fd int, into *[8]byte) {
	syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(into)), 1)
}

// refuse writes a limit, kills two processes, waits, and writes the limit of before:
// without Go's runtime, which could want a thread meanwhile.
func refuse(fd int, low, before []byte, server, service int, pause *unix.Timespec) {
	syscall.RawSyscall6(syscall.SYS_PWRITE64, uintptr(fd), uintptr(unsafe.Pointer(&low[0])), uintptr(len(low)), 0, 0, 0)
	syscall.RawSyscall(syscall.SYS_KILL, uintptr(service), uintptr(syscall.SIGKILL), 0)
	syscall.RawSyscall(syscall.SYS_KILL, uintptr(server), uintptr(syscall.SIGKILL), 0)
	syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(pause)), 0, 0)
	syscall.RawSyscall6(syscall.SYS_PWRITE64, uintptr(fd), uintptr(unsafe.Pointer(&before[0])), uintptr(len(before)), 0, 0, 0)
}
